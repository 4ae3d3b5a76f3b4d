"""R-Drop (Liang 2021): every sentence goes through the model twice, with other dropout, and the two are to agree.

What is learnt is the mean of both cross entropies and α / 4 of the divergences in both directions, which is half of the
paper's equation 4: so the loss is still one of a target token, and α means what it means there.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ojak.batch import Batch
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import PAD
from ojak.train.fused import CHUNK
from ojak.train.loss import Loss


def twice(batch: Batch) -> Batch:
    """Every pair two times, those of the second time behind all of the first."""
    tensors = {name: getattr(batch, name) for name in ("source", "target_in", "target_out", "links")}
    doubled: dict[str, Any] = {name: None if one is None else torch.cat([one, one]) for name, one in tensors.items()}
    return replace(batch, **doubled, tokens=2 * batch.tokens)


def agreeing_cross_entropy(model: Seq2Seq, states: Tensor, target: Tensor, smoothing: float, alpha: float) -> Loss:
    """The loss of the decoder states (2B,T,D) of a batch that was taken `twice`, against its words (2B,T)."""
    layer, real = model.project, target != PAD
    first, second = states[real].chunk(2)
    smoothed, plain = _Chunks.apply(  # type: ignore[no-untyped-call]
        first, second, layer.weight, layer.bias, target[real].chunk(2)[0], smoothing, alpha
    )
    return Loss(smoothed, plain.detach())


def _of_logits(first: Tensor, second: Tensor, words: Tensor, smoothing: float, alpha: float) -> tuple[Tensor, Tensor]:
    """What is learnt, and the mean negative log-likelihood, of the logits (M,V) of both times."""
    logs = F.log_softmax(first, 1), F.log_softmax(second, 1)
    true = torch.stack([log.gather(1, words.unsqueeze(1)).sum() for log in logs]).mean()
    level = torch.stack([log.mean(1).sum() for log in logs]).mean()
    # KL(p|q) + KL(q|p) = Σ (p - q) (log p - log q)
    apart = ((logs[0].exp() - logs[1].exp()) * (logs[0] - logs[1])).sum()
    return -(1 - smoothing) * true - smoothing * level + alpha / 4 * apart, -true


class _Chunks(torch.autograd.Function):
    """`_of_logits` of an output layer. Some hundred tokens after others have their gradient at once, so no tensor of
    all tokens × vocabulary lives."""

    @staticmethod
    def forward(
        ctx: Any,
        first: Tensor,
        second: Tensor,
        weight: Tensor,
        bias: Tensor,
        target: Tensor,
        smoothing: float,
        alpha: float,
    ) -> tuple[Tensor, Tensor]:
        near, near_bias = weight.detach().to(first.dtype), bias.detach().to(first.dtype)
        of_states = torch.empty_like(first), torch.empty_like(second)
        of_weight, of_bias = torch.zeros_like(weight), torch.zeros_like(bias)
        learnt, plain = weight.new_zeros(()), weight.new_zeros(())
        rows = max(1, CHUNK // (2 * len(weight)))
        for begin in range(0, len(target), rows):
            own = slice(begin, begin + rows)
            pieces = first[own], second[own]
            logits = [F.linear(piece, near, near_bias).to(weight.dtype).requires_grad_() for piece in pieces]
            with torch.enable_grad():
                value, likelihood = _of_logits(logits[0], logits[1], target[own], smoothing, alpha)
            for piece, of_piece, found in zip(pieces, of_states, torch.autograd.grad(value, logits), strict=True):
                close = found.to(piece.dtype)
                torch.mm(close, near, out=of_piece[own])
                of_weight += torch.mm(close.T, piece)
                of_bias += found.sum(0)
            learnt += value.detach()
            plain += likelihood.detach()
        ctx.save_for_backward(*of_states, of_weight, of_bias)
        return learnt, plain

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor | None, ...]:
        return *(found * gradients[0] for found in ctx.saved_tensors), None, None, None
