"""The guard against loops: rows that go round in circles may only end."""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.text.vocabulary import PAD

PERIODS = 12
"""the longest circle that is noticed, in tokens"""
ROUNDS = 4
"""so often a circle is gone round before it counts as a loop, unless the source repeats itself as often"""
LEAST = 6
"""so many tokens a loop has at least: three dots and a short laugh are none"""
EVERY = 4
"""the guard looks at every so many steps"""


def rounds(tokens: Tensor, period: int) -> Tensor:
    """By how many tokens (M) the ends of the rows (M,T) agree with what stands `period` tokens before."""
    same = tokens[:, period:] == tokens[:, :-period]
    return same.flip(1).int().cumprod(1).sum(1)


def looping(tokens: Tensor, allowed: Tensor) -> Tensor:
    """Whether each row of `tokens` (N,T) has gone round a circle more often than is `allowed` (N)."""
    found = torch.zeros(len(tokens), dtype=torch.bool, device=tokens.device)
    most = min(PERIODS, tokens.shape[1] // ROUNDS)
    again = (tokens[:, -1 - most : -1] == tokens[:, -1:]).any(0)  # the last token stood so many places before
    for period in (most - again.nonzero().squeeze(1)).tolist():
        found |= rounds(tokens, period) >= ((allowed - 1) * period).clamp(min=LEAST - period)
    return found


def allowed(source: Tensor) -> Tensor:
    """How often a circle may be gone round, (B): two times more than the source itself repeats anything."""
    most = torch.ones(len(source), dtype=torch.long, device=source.device)
    real = source != PAD
    for period in range(1, min(PERIODS, source.shape[1] // 2) + 1):
        same = (source[:, period:] == source[:, :-period]) & real[:, period:]
        # The longest run of True in each row: counts that begin anew at each False.
        counts = same.int().cumsum(1)
        run = counts - torch.where(same, 0, counts).cummax(1)[0]
        most = torch.maximum(most, 1 + run.amax(1) // period)
    return torch.where(most > 1, most + 2, most).clamp(min=ROUNDS)


def cut(said: list[int], source: list[int]) -> int | None:
    """Where the guard would have ended what was `said` of a `source`, or None: for engines that have no such guard."""
    most = allowed(torch.tensor([source]))
    tokens = torch.tensor([said])
    for step in range(LEAST + -LEAST % EVERY, len(said) + 1, EVERY):
        if looping(tokens[:, :step], most).any():
            return step
    return None
