"""A hypothesis, and how finished ones are compared."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
from torch import Tensor

from ojak.config import SearchConfig

Ending = Literal["model", "limit", "loop"]
"""what ended a hypothesis: the model itself, the longest length, or the guard against loops"""

Number = TypeVar("Number", float, Tensor)


@dataclass(frozen=True)
class Hypothesis:
    """A finished target, in ids."""

    tokens: list[int]
    """T, without BOS, ended by EOS"""
    score: float
    """the sum of the log-probabilities of `tokens`"""
    attention: Tensor | None
    """(T,K,S), over the real source tokens only, or None when it was not asked for"""
    token_scores: list[float]
    """T, the log-probability of each token"""
    rank: float
    """what hypotheses of a sentence are sorted by: the search's score, normalised and less penalties"""
    ending: Ending = "model"


def length_penalty(length: Number, config: SearchConfig) -> Number:
    """What a score of `length` tokens, EOS counted, is divided by: ((5 + length) / 6)^α, Wu 2016, equation 14, or
    length^α."""
    base = (5.0 + length) / 6.0 if config.length_norm == "wu" else length
    penalty: Number = base**config.length_penalty
    return penalty


def rank(scores: Tensor, length: int, coverage: Tensor | None, keep: Tensor, config: SearchConfig) -> Tensor:
    """What finished hypotheses (M) of `length` tokens are sorted by, Wu 2016, equation 14.

    s = log P / lp + β Σ_i log min(Σ_t a_ti, 1), where a_ti is the mean weight over the views. `coverage` is Σ_t a_ti,
    (M,S), and `keep` (M,S) says which source tokens are real.
    """
    value = scores / length_penalty(float(length), config)
    if coverage is not None:
        seen = coverage.clamp(1e-9, 1.0).log().masked_fill(~keep, 0.0)
        value = value + config.coverage_penalty * seen.sum(1)
    return value


def best_to_come(ahead: Tensor, step: int, limit: Tensor, config: SearchConfig) -> Tensor:
    """The best rank (A) that beginnings with the best scores `ahead` (A) are thought to reach after `step` tokens.

    `stop=exact`: a bound. Scores only fall, penalties only cost, and the divisor only grows, so none can do better than
    to go on to the `limit` (A) for nothing. `stop=likely`: what they would have if they ended here. A longer one is
    divided by more, so with a length penalty one may yet overtake; it is rare, and waiting for it takes as long as the
    search again. Without a length penalty the two are the same.
    """
    length = limit.double() if config.stop == "exact" else torch.full_like(ahead, step)
    return ahead / length_penalty(length, config)
