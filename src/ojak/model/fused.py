"""Parts of the Transformer with their gradients written out, for speed in training on a CPU.

There every pass over the activations costs about as much as a small matrix product, so these do with as few passes as
they can: what `FeedForward` and `MultiHead` say plainly, and are tested against. Rotation is of use on a GPU as well.

For every shape of product that it meets anew oneDNN writes itself a program, which takes ten times as long as the
product where AMX multiplies, and hardly two batches have the same number of tokens. So the states go through the layers
as rows, to which rows of zeros are added there up to a round number; attention leaves them out, and no gradient comes
from them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor

from ojak.model.dropout import Masks

# Not in every build of torch, and not promised to stay.
_POINTWISE = getattr(torch.ops.mkldnn, "_linear_pointwise", None) if torch.backends.mkldnn.is_available() else None

# Not in every torch that serves to translate.
_AMX = getattr(torch.cpu, "_is_amx_tile_supported", bool)()

ROUNDED = frozenset({torch.bfloat16} if _AMX else ())
"""The types of states that are worth the rows that are added: where products are slower, these would cost more than the
programs."""

_LANES = 16
"""Rows of scores are padded to a multiple of this, which the vectorised softmax needs to be fast."""


def serves(states: Tensor) -> bool:
    """Whether to take these ways: for a gradient, on a CPU."""
    return torch.is_grad_enabled() and states.device.type == "cpu"


def round_up(count: int, dtype: torch.dtype) -> int:
    """How many rows so many of this type become: where they are rounded, less than an eighth more."""
    step = max(16, 1 << count.bit_length() >> 4) if dtype in ROUNDED else 1
    return -(-count // step) * step


def rows(states: Tensor) -> Tensor:
    """States (N,T,D) as rows (M,D), a round number of them if these ways serve."""
    flat = states.flatten(0, 1)
    missing = round_up(len(flat), flat.dtype) - len(flat)
    return F.pad(flat, (0, 0, 0, missing)) if missing and serves(states) else flat


def states(rows: Tensor, shape: Sequence[int]) -> Tensor:
    """Rows (M,D) as the states (N,T,D) of this shape (N,T) that they were made of."""
    count, length = shape
    return (rows if len(rows) == count * length else rows[: count * length]).view(count, length, -1)


def linear(states: Tensor, weight: Tensor, bias: Tensor, activation: str = "none") -> Tensor:
    """states (M,E) @ weight (D,E)ᵀ + bias (D), then `activation` (none or relu), without gradient.

    oneDNN adds the bias and cuts at 0 while it writes the product, which torch's own call does in passes of their own.
    """
    if _POINTWISE is not None and states.device.type == "cpu" and states.dtype in (torch.bfloat16, torch.float32):
        return cast(Tensor, _POINTWISE(states, weight, bias, activation, [], ""))
    product = torch.addmm(bias, states, weight.T)
    return product.relu_() if activation == "relu" else product


def weight_gradient(states: Tensor, gradient: Tensor) -> tuple[Tensor, Tensor]:
    """The gradients of the weight (D,E) and bias (D) of a linear layer.

    They are of its states (M,E) and its output's gradient (M,D). In gradientᵀ @ states oneDNN turns the first factor by
    itself, for bf16 in more time than the product takes. There it is quicker to turn the states, if they are the
    narrower, and a row of ones among them gives the bias as well. The weight's gradient then lies in memory by columns.
    """
    width = states.shape[1]
    if states.device.type != "cpu" or states.dtype != torch.bfloat16 or width > gradient.shape[1]:
        return torch.mm(gradient.T, states), gradient.sum(0)
    turned = states.new_empty(width + 1, len(states))
    turned[:width].copy_(states.T)
    turned[width] = 1
    found = torch.mm(turned, gradient)
    return found[:width].T, found[width]


class _FeedForward(torch.autograd.Function):
    """outer(mask · relu(inner(x))) for x (M,D)."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, inner: Tensor, inner_bias: Tensor, outer: Tensor, outer_bias: Tensor, masks: Masks
    ) -> Tensor:
        hidden = linear(states, inner, inner_bias, "relu")
        if masks:
            hidden.mul_(masks.draw(hidden))
        ctx.scale = masks.scale
        ctx.save_for_backward(states, inner, hidden, outer)
        return linear(hidden, outer, outer_bias)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        states, inner, hidden, outer = ctx.saved_tensors
        # `hidden` is 0 both where relu is flat and where the mask drops, so it serves as the mask of the way back.
        of_hidden = torch.mm(gradient, outer * ctx.scale)
        of_hidden = torch.ops.aten.threshold_backward.grad_input(of_hidden, hidden, 0, grad_input=of_hidden)
        of_inner, of_outer = weight_gradient(states, of_hidden), weight_gradient(hidden, gradient)
        return torch.mm(of_hidden, inner), *of_inner, *of_outer, None


def feed_forward(states: Tensor, inner: Any, outer: Any, masks: Masks) -> Tensor:
    """Two linear layers with relu and dropout between them, of states (…,D)."""
    found = _FeedForward.apply(  # type: ignore[no-untyped-call]
        states.flatten(0, -2), inner.weight, inner.bias, outer.weight, outer.bias, masks
    )
    return cast(Tensor, found).view(states.shape)


class _Attend(torch.autograd.Function):
    """softmax(q kᵀ · scale + bias) v, each (N,H,T or S,d), with `bias` (N or 1,1,T or 1,S), as `rows` (M,D)."""

    @staticmethod
    def forward(ctx: Any, query: Tensor, keys: Tensor, values: Tensor, bias: Tensor) -> Tensor:
        count, heads, length, width = query.shape
        padded = bias.shape[-1]
        ctx.real = keys.shape[2]
        query, keys, values = _batched(query, length), _batched(keys, padded), _batched(values, padded)
        scale = width**-0.5
        scores = torch.bmm(query, keys.transpose(1, 2)).view(count, heads, length, padded)
        exact = torch.add(bias, scores, alpha=scale).softmax(-1).view(-1, length, padded)
        weights = exact.to(query.dtype)
        ctx.scale = scale
        ctx.save_for_backward(query, keys, values, weights)
        ctx.shape = count, heads
        merged = torch.bmm(weights, values).view(count, heads, length, width).transpose(1, 2)
        real = count * length
        context = merged.new_empty(round_up(real, merged.dtype), heads * width)
        context[:real].view(merged.shape).copy_(merged)
        context[real:].zero_()
        return context

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        query, keys, values, weights = ctx.saved_tensors
        count, heads = ctx.shape
        _, length, width = query.shape
        gradient = gradients[0][: count * length].view(count, length, heads, width)
        gradient = _batched(gradient.transpose(1, 2), length)
        of_weights = torch.bmm(gradient, values.transpose(1, 2))
        exact = weights.float() if weights.dtype == torch.bfloat16 else weights
        of_scores = torch._softmax_backward_data(of_weights.to(exact.dtype), exact, -1, exact.dtype)
        of_scores = of_scores.mul_(ctx.scale).to(query.dtype)
        found = (
            torch.bmm(of_scores, keys),
            torch.bmm(of_scores.transpose(1, 2), query),
            torch.bmm(weights.transpose(1, 2), gradient),
        )
        of_query, of_keys, of_values = (part.view(count, heads, -1, width) for part in found)
        real = ctx.real
        return of_query, of_keys[:, :, :real], of_values[:, :, :real], None


def attend(query: Tensor, keys: Tensor, values: Tensor, keep: Tensor) -> Tensor:
    """The context, as `rows` (M,D), of queries (N,H,T,d) over keys and values (N,H,S,d), by scaled dot attention.

    `keep` broadcasts to (N,H,T,S). Scores of bf16 become weights in fp32.
    """
    length = keep.shape[-1]
    padded = -(-length // _LANES) * _LANES
    exact = torch.float32 if query.dtype == torch.bfloat16 else query.dtype
    bias = torch.full((*(1,) * (4 - keep.ndim), *keep.shape[:-1], padded), -torch.inf, dtype=exact)
    bias[..., :length].masked_fill_(keep, 0)
    return cast(Tensor, _Attend.apply(query, keys, values, bias))  # type: ignore[no-untyped-call]


class _Rotate(torch.autograd.Function):
    """The vectors (N,H,T,d) turned; the result lies in memory as attention wants it, the gradient as the projection."""

    @staticmethod
    def forward(ctx: Any, heads: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
        ctx.save_for_backward(sine, cosine)
        return _turn(heads, sine, cosine, heads.new_empty(heads.shape))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        sine, cosine = ctx.saved_tensors
        rows, heads, length, width = gradients[0].shape
        room = gradients[0].new_empty(rows, length, heads, width).transpose(1, 2)
        return _turn(gradients[0], -sine, cosine, room), None, None


def _turn(heads: Tensor, sine: Tensor, cosine: Tensor, out: Tensor) -> Tensor:
    (first, second), (turned, other) = heads.chunk(2, -1), out.chunk(2, -1)
    torch.mul(first, cosine, out=turned).addcmul_(second, sine, value=-1)
    torch.mul(first, sine, out=other).addcmul_(second, cosine)
    return out


def rotate(heads: Tensor, sine: Tensor, cosine: Tensor) -> Tensor:
    """Each pair of the vectors (N,H,T,d) turned by the angle of its place, whose sines and cosines are (T,d/2)."""
    return cast(Tensor, _Rotate.apply(heads, sine, cosine))  # type: ignore[no-untyped-call]


def _batched(heads: Tensor, length: int) -> Tensor:
    """(N,H,S,d) as (N·H,length,d), with zeros after the S."""
    rows, count, short, width = heads.shape
    if short == length:
        return heads.reshape(-1, length, width)
    padded = heads.new_zeros(rows, count, length, width)
    padded[:, :, :short] = heads
    return padded.view(-1, length, width)
