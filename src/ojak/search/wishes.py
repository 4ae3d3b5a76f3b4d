"""What single sentences ask for beside the settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.errors import UseError

Ids = Sequence[int]


@dataclass(frozen=True)
class Wish:
    """What one sentence asks for, in target ids."""

    prefix: Ids = ()
    """the target begins so"""
    phrases: Sequence[Ids] = ()
    """each of them must appear in the target"""
    words: Tensor | None = field(default=None, compare=False)
    """the shortlist (C) of words that may be said, or None for all"""


@dataclass(frozen=True)
class Wishes:
    """What a batch of sentences asks for, and the `banned` sequences that none of them may say."""

    sentences: Sequence[Wish]
    banned: Sequence[Ids] = ()

    @property
    def constrained(self) -> bool:
        """Whether any sentence has phrases that must appear."""
        return any(wish.phrases for wish in self.sentences)

    def check(self, config: SearchConfig) -> None:
        """Raises UseError for wishes and settings that exclude each other."""
        if self.constrained and (config.sampling or config.diversity_groups > 1):
            which = "sampling" if config.sampling else "diversity_groups"
            raise UseError(
                f"Terms that must appear share one beam out among them, but {which} is asked for too; leave one out."
            )


def padded(rows: Sequence[Ids], device: torch.device, filler: int = -1) -> Tensor:
    """Rows of ids (R,L) with `filler` after each."""
    found = torch.full((len(rows), max([1, *map(len, rows)])), filler)
    for row, ids in zip(found, rows, strict=True):
        row[: len(ids)] = torch.as_tensor(ids, dtype=torch.long)
    return found.to(device)
