"""Dropout whose masks come from random bytes.

torch draws a floating-point number for every element, which is a fifth of the time of training a small Transformer on
a CPU. A byte decides as well: eight elements share a 64-bit draw. The rate is therefore a multiple of 1/256.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Zeroes a share of the elements in training and scales the others up (Srivastava 2014).

    The share is `rate` rounded to 1/256, and the scale fits the rounded share, so that the expected value is exact.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.threshold = round(rate * 256)

    def forward(self, values: Tensor) -> Tensor:
        if not self.training or self.threshold == 0:
            return values
        count = values.numel()
        draws = torch.empty(-(-count // 8), dtype=torch.int64, device=values.device)
        # The whole range: each of the eight bytes is then uniform.
        bytes_ = draws.random_(-(2**63), None).view(torch.uint8)[:count].view(values.shape)
        mask = (bytes_ >= self.threshold).to(values.dtype).mul_(256 / (256 - self.threshold))
        return values * mask
