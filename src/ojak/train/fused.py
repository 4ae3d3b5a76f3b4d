"""Output layer and loss in one, for speed: what `loss.plain_cross_entropy` computes, without a tensor of all logits.

The logits of some hundred tokens at a time are made, turned into their own gradient in place, and multiplied on:
nothing of size tokens × vocabulary is ever kept. States in bf16 have logits in bf16; sums over tokens are in the
type of the weights.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from ojak.model.fused import linear, weight_gradient

CHUNK = 2**23
"""logits held at a time"""


class FusedCrossEntropy(torch.autograd.Function):
    """(smoothed, plain) sums over M states (M,D) against target words (M), through an output layer (V,D) and (V)."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        exact, count, vocabulary = weight.dtype, len(states), len(weight)
        near, near_bias, middle = weight.to(states.dtype), bias.to(states.dtype), weight.mean(0)
        of_states, of_weight, of_bias = torch.empty_like(states), None, torch.zeros_like(bias)
        true, level = weight.new_zeros(()), weight.new_zeros(())
        even = smoothing / vocabulary
        rows = min(count, max(1, CHUNK // vocabulary))
        room = states.new_empty(rows, vocabulary)
        for begin in range(0, count, rows):
            piece, words = states[begin : begin + rows], target[begin : begin + rows].unsqueeze(1)
            logits = linear(piece, near, near_bias)
            said = logits.gather(1, words).to(exact)
            chances = torch.softmax(logits, 1, out=room[: len(piece)])
            log_true = chances.gather(1, words).to(exact).log()
            lost = (log_true < -60).squeeze(1)  # a probability so small may have lost its digits
            if lost.any():
                log_true[lost] = logits[lost].to(exact).log_softmax(1).gather(1, words[lost])
            wide = piece.to(exact)
            true += log_true.sum()
            level += (wide @ middle + bias.mean()).sum() + (log_true - said).sum()
            # The gradient of the smoothed loss by the logits is the softmax, less the target distribution, whose even
            # part is the same in every place and so is taken off afterwards.
            places = torch.arange(len(piece), device=words.device) * vocabulary + words.squeeze(1)
            chances.view(-1)[places] -= 1 - smoothing  # scatter_add_ would copy all of it
            torch.mm(chances, near, out=of_states[begin : begin + rows])
            part, part_bias = weight_gradient(piece, chances)
            of_weight = part.to(exact) if of_weight is None else of_weight.add_(part)  # in the part's order in memory
            of_bias += part_bias
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
