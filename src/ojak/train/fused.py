"""Output layer and loss in one, for speed: what `loss.plain_cross_entropy` computes, without a tensor of all logits.

The logits of a few hundred tokens at a time are made, turned into their own gradient in place while they are in the
processor's cache, and multiplied on: nothing of size tokens × vocabulary is ever kept.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

CHUNK = 2**22
"""logits held at a time"""


class FusedCrossEntropy(torch.autograd.Function):
    """(smoothed, plain) sums over M states (M,D) against target words (M), through an output layer (V,D) and (V)."""

    @staticmethod
    def forward(
        ctx: Any, states: Tensor, weight: Tensor, bias: Tensor, target: Tensor, smoothing: float
    ) -> tuple[Tensor, Tensor]:
        vocabulary = len(weight)
        of_states, of_weight, of_bias = torch.empty_like(states), torch.zeros_like(weight), torch.zeros_like(bias)
        true = mean = states.new_zeros(())
        rows = max(1, CHUNK // vocabulary)
        for begin in range(0, len(states), rows):
            piece, words = states[begin : begin + rows], target[begin : begin + rows].unsqueeze(1)
            logits = torch.addmm(bias, piece, weight.T)
            said, level = logits.gather(1, words), logits.mean(1, keepdim=True)
            top = logits.amax(1, keepdim=True)
            total = logits.sub_(top).exp_().sum(1, keepdim=True)
            log_total = total.log() + top
            true, mean = true + (said - log_total).sum(), mean + (level - log_total).sum()
            # The gradient of the smoothed loss by the logits: softmax, less the target distribution.
            gradient = logits.div_(total)
            if smoothing:
                gradient.sub_(smoothing / vocabulary)
            gradient.scatter_add_(1, words, torch.full_like(said, smoothing - 1))
            torch.mm(gradient, weight, out=of_states[begin : begin + rows])
            of_weight.addmm_(gradient.T, piece)
            of_bias += gradient.sum(0)
        ctx.save_for_backward(of_states, of_weight, of_bias)
        return -((1 - smoothing) * true + smoothing * mean), -true

    @staticmethod
    def backward(ctx: Any, *gradients: Any) -> tuple[Tensor, Tensor, Tensor, None, None]:
        of_states, of_weight, of_bias = ctx.saved_tensors
        scale = gradients[0]
        return of_states * scale, of_weight * scale, of_bias * scale, None, None
