"""A hypothesis, and what greedy and beam search share."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import BOS, EOS, PAD, UNK


@dataclass(frozen=True)
class Hypothesis:
    """A finished target, in ids."""

    tokens: list[int]
    """T, without BOS, ended by EOS"""
    score: float
    """the sum of the log-probabilities of `tokens`"""
    attention: Tensor | None
    """(T,K,S), over the real source tokens only, or None when it was not asked for"""

    def normalised(self, alpha: float) -> float:
        """The score that hypotheses of different lengths are compared by."""
        return self.score / length_penalty(len(self.tokens), alpha)


def length_penalty(length: int, alpha: float) -> float:
    """((5 + length) / 6) ** alpha, Wu 2016, equation 14. The length counts EOS."""
    return math.pow((5.0 + length) / 6.0, alpha)


def limits(source: Tensor, model: Seq2Seq, config: SearchConfig) -> Tensor:
    """The longest target (B) for each source (B,S), EOS included.

    It depends on the sentence alone, so that a sentence is translated alike in every batch.
    """
    real = (source != PAD).sum(1)
    longest: Tensor = (real * config.max_length_factor).long() + 10
    return longest.clamp(max=model.config.max_length)


def log_probabilities(model: Seq2Seq, states: Tensor, step: int, limit: Tensor) -> Tensor:
    """What each row (N) may say next, (N,V): the model's log-probabilities of all that can stand in a target.

    PAD, BOS and UNK cannot; and at its limit a row can only end. Forbidden words get −∞ and the others keep their
    probability, so that the score of a hypothesis is that of teacher-forcing its tokens.
    """
    logits = model.output(states)
    found = torch.log_softmax(logits.float() if logits.dtype != torch.float64 else logits, -1)
    found[:, [PAD, BOS, UNK]] = -torch.inf
    full = limit <= step + 1
    if full.any():
        end = found[full, EOS]
        found[full] = -torch.inf
        found[full, EOS] = end
    return found
