"""Output layer and loss in one, by chunks of some hundred tokens: no tensor of all tokens × vocabulary is ever kept.

`FusedCrossEntropy` is what `loss.plain_cross_entropy` computes, for speed: the logits of a chunk are turned into their
own gradient in place, and multiplied on. `Chunked` is any other loss of logits. States in bf16 have logits in bf16;
what chunks give is added up in the type of the weights.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from ojak.model.fused import linear, weight_gradient

CHUNK, CHUNK_OF_GPU = 2**23, 2**27
"""logits held at a time: few enough for the caches of a processor, enough to fill a GPU"""

STEP = 64
"""Products are of a multiple of so many tokens: oneDNN prepares itself anew for every other shape that it meets."""


def held(weight: Tensor) -> int:
    """How many logits are held at a time where this output layer is."""
    return CHUNK_OF_GPU if weight.is_cuda else CHUNK


class FusedCrossEntropy(torch.autograd.Function):
    """(smoothed, plain) sums over M states (M,D) against target words (M), through an output layer (V,D) and (V)."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        exact, count, vocabulary = weight.dtype, len(states), len(weight)
        near, near_bias, middle = weight.to(states.dtype), bias.to(states.dtype), weight.mean(0)
        of_weight, of_bias = None, torch.zeros_like(bias)
        true, level = weight.new_zeros(()), weight.new_zeros(())
        even = smoothing / vocabulary
        full = F.pad(states, (0, 0, 0, -count % STEP))
        of_states = torch.empty_like(full)
        rows = max(STEP, held(weight) // vocabulary // STEP * STEP)
        room = states.new_empty(min(rows, len(full)), vocabulary)
        for begin in range(0, len(full), rows):
            piece, words = full[begin : begin + rows], target[begin : begin + rows].unsqueeze(1)
            real = len(words)
            logits = linear(piece, near, near_bias)
            said = logits[:real].gather(1, words).to(exact)
            chances = torch.softmax(logits, 1, out=room[: len(piece)])
            chances[real:] = 0
            log_true = chances[:real].gather(1, words).to(exact).log()
            lost = (log_true < -60).squeeze(1)  # a probability so small may have lost its digits
            if lost.any():
                log_true[lost] = logits[:real][lost].to(exact).log_softmax(1).gather(1, words[lost])
            wide = piece[:real].to(exact)
            true += log_true.sum()
            level += (wide @ middle + bias.mean()).sum() + (log_true - said).sum()
            # The gradient of the smoothed loss by the logits is the softmax, less the target distribution, whose even
            # part is the same in every place and so is taken off afterwards.
            places = torch.arange(real, device=words.device) * vocabulary + words.squeeze(1)
            chances.view(-1)[places] -= 1 - smoothing  # scatter_add_ would copy all of it
            torch.mm(chances, near, out=of_states[begin : begin + rows])
            part, part_bias = weight_gradient(piece, chances)
            of_weight = part.to(exact) if of_weight is None else of_weight.add_(part)  # in the part's order in memory
            of_bias += part_bias
        of_states = of_states[:count]
        of_weight = torch.zeros_like(weight) if of_weight is None else of_weight.contiguous()
        if smoothing:
            of_states -= (smoothing * middle).to(states.dtype)
            of_weight -= even * states.sum(0, dtype=exact)
            of_bias -= even * count
        ctx.save_for_backward(of_states, of_weight, of_bias)
        return -((1 - smoothing) * true + smoothing * level), -true

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, Tensor, None, None]:
        of_states, of_weight, of_bias = ctx.saved_tensors
        scale = gradients[0]
        return of_states * scale, of_weight * scale, of_bias * scale, None, None


class Chunked(torch.autograd.Function):
    """(learnt, plain) sums of what `loss` says of the logits of a chunk, (M,V) for each of the `states` (M,D), and of
    its target words (M), through an output layer (V,D) and (V)."""

    @staticmethod
    def forward(
        ctx: Any,
        loss: Callable[[list[Tensor], Tensor], tuple[Tensor, Tensor]],
        target: Tensor,
        weight: Tensor,
        bias: Tensor,
        *states: Tensor,
    ) -> tuple[Tensor, Tensor]:
        near, near_bias = weight.detach().to(states[0].dtype), bias.detach().to(states[0].dtype)
        of_states = [torch.empty_like(one) for one in states]
        of_weight, of_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        learnt, plain = weight.new_zeros(()), weight.new_zeros(())
        rows = max(1, held(weight) // (len(states) * len(weight)))
        for begin in range(0, len(target), rows):
            own = slice(begin, begin + rows)
            pieces = [one[own] for one in states]
            logits = [F.linear(piece, near, near_bias).to(weight.dtype).requires_grad_() for piece in pieces]
            with torch.enable_grad():
                value, likelihood = loss(logits, target[own])
            for piece, of_piece, found in zip(pieces, of_states, torch.autograd.grad(value, logits), strict=True):
                close = found.to(piece.dtype)
                torch.mm(close, near, out=of_piece[own])
                of_weight += torch.mm(close.T, piece)
                of_bias += found.sum(0)
            learnt += value.detach()
            plain += likelihood.detach()
        ctx.save_for_backward(of_weight, of_bias, *of_states)
        return learnt, plain

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        return None, None, *(found * gradients[0] for found in ctx.saved_tensors)
