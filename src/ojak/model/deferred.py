"""Products in a recurrence whose gradients wait for the end.

A matrix that every step multiplies with has a gradient that is a sum over the steps. torch computes a product for each
step and adds it to the sum, which for a small batch takes longer than all else. The sum is one product as well: of the
inputs of all steps, side by side, with their gradients.
"""

from __future__ import annotations

from typing import Any, cast

import torch
from torch import Tensor

Steps = list[tuple[Tensor, Tensor]]
"""What entered a product and the gradient of what came out, a step each."""


class _Root(torch.autograd.Function):
    """The matrix and the bias themselves; the way back ends here, after that of all steps."""

    @staticmethod
    def forward(ctx: Any, matrix: Tensor, bias: Tensor | None, steps: Steps) -> tuple[Tensor, Tensor | None]:
        ctx.set_materialize_grads(False)
        ctx.steps, ctx.biased = steps, bias is not None
        return matrix.view_as(matrix), None if bias is None else bias.view_as(bias)

    @staticmethod
    def backward(ctx: Any, *_: Tensor | None) -> tuple[Tensor | None, Tensor | None, None]:
        if not ctx.steps:
            return None, None, None
        entered, gradients = (torch.cat(part, -2) for part in zip(*ctx.steps, strict=True))
        ctx.steps.clear()
        return entered.mT @ gradients, gradients.sum(0) if ctx.biased else None, None


class _Step(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, entered: Tensor, matrix: Tensor, bias: Tensor | None, steps: Steps) -> Tensor:
        ctx.save_for_backward(entered, matrix)
        ctx.steps = steps
        return entered @ matrix if bias is None else torch.addmm(bias, entered, matrix)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, None, None, None]:
        entered, matrix = ctx.saved_tensors
        ctx.steps.append((entered, gradients[0]))
        return gradients[0] @ matrix.mT if ctx.needs_input_grad[0] else None, None, None, None


class Shared:
    """A matrix (E,D) with or without a bias (D), or one for each row (N,E,D), that many steps multiply with."""

    def __init__(self, matrix: Tensor, bias: Tensor | None = None) -> None:
        self._steps: Steps = []
        self._deferred = torch.is_grad_enabled() and matrix.requires_grad
        self._matrix, self._bias = matrix, bias
        if self._deferred:
            self._matrix, self._bias = _Root.apply(matrix, bias, self._steps)  # type: ignore[no-untyped-call]

    def times(self, entered: Tensor) -> Tensor:
        """`entered` (N,E), or (N,T,E) for a matrix a row, times the matrix, plus the bias."""
        if self._deferred:
            found = _Step.apply(entered, self._matrix, self._bias, self._steps)  # type: ignore[no-untyped-call]
            return cast(Tensor, found)
        return entered @ self._matrix if self._bias is None else torch.addmm(self._bias, entered, self._matrix)
