"""The live rows of a search: what each has said so far."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ojak.text.vocabulary import BOS


@dataclass(frozen=True)
class Live:
    """The beginnings that may still go on. Rows of a sentence stand side by side; they are selected here and in the
    model's state alike. Words are columns of the search's vocabulary, which without a shortlist are their ids."""

    sentence: Tensor
    """(N), which sentence of the batch a row belongs to"""
    tokens: Tensor
    """(N,1+T), BOS first"""
    scores: Tensor
    """(N), what the search goes by, in double precision; −∞ where a row stands for nothing"""
    said: Tensor
    """(N,T), the log-probability by the model of each token"""
    trail: Tensor
    """(N,T), the row of the step's attention, counted over all steps, that each token was written with"""
    coverage: Tensor | None
    """(N,S), how much each source token has been looked at, the mean over views, or None when nothing asks"""

    @classmethod
    def first(cls, sentences: int, groups: int, width: int, source: Tensor | None, device: torch.device) -> Live:
        """Nothing said yet. Only the first row of each group of `width` / `groups` rows stands for something."""
        rows = torch.arange(sentences, device=device).repeat_interleave(width)
        scores = torch.full((sentences, groups, width // groups), -torch.inf, dtype=torch.float64, device=device)
        scores[:, :, 0] = 0.0
        return cls(
            rows,
            torch.full((len(rows), 1), BOS, device=device),
            scores.flatten(),
            torch.zeros(len(rows), 0, device=device),
            torch.zeros(len(rows), 0, dtype=torch.long, device=device),
            None if source is None else torch.zeros(len(rows), source.shape[1], dtype=torch.float64, device=device),
        )

    @property
    def step(self) -> int:
        """How many tokens each row has said."""
        return self.tokens.shape[1] - 1

    def extend(self, rows: Tensor | None, words: Tensor, scores: Tensor, said: Tensor, seen: int) -> Live:
        """The chosen `rows` (M), or all as they stand, each with one more word; `seen` rows of attention came before
        this step's."""
        if rows is None:
            rows, of = torch.arange(len(words), device=words.device), self
        else:
            of = self.select(rows)
        return Live(
            of.sentence,
            torch.cat([of.tokens, words.unsqueeze(1)], 1),
            scores,
            torch.cat([of.said, said.unsqueeze(1)], 1),
            torch.cat([of.trail, rows.unsqueeze(1) + seen], 1),
            of.coverage,
        )

    def cpu(self) -> Live:
        """The same where words can be read one by one: on a GPU every look would wait for all that is under way."""
        parts: list[Any] = [getattr(self, field.name) for field in fields(self)]
        moved: list[Any] = [None if part is None else part.cpu() for part in parts]
        return Live(*moved)

    def select(self, rows: Tensor) -> Live:
        """The chosen rows."""
        return Live(
            self.sentence[rows],
            self.tokens[rows],
            self.scores[rows],
            self.said[rows],
            self.trail[rows],
            None if self.coverage is None else self.coverage[rows],
        )
