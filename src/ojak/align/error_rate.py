"""How near links are to gold (Och and Ney 2003, equations 37 and 38)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from ojak.align.links import Gold, Links


@dataclass(frozen=True)
class ErrorRate:
    """Counts over all sentences, and what they make. Sure links are possible too.

    `links` were found, `sure` are in the gold, `right` were found and are possible, `met` were found and are sure.
    """

    links: int
    sure: int
    right: int
    met: int

    @property
    def precision(self) -> float:
        """The share of the found links that are possible; 1 where nothing was found."""
        return self.right / self.links if self.links else 1.0

    @property
    def recall(self) -> float:
        """The share of the sure links that were found; 1 where the gold has none."""
        return self.met / self.sure if self.sure else 1.0

    @property
    def aer(self) -> float:
        """The alignment error rate, 0 to 1: 1 - (met + right) / (links + sure); 0 where there are no links at all."""
        every = self.links + self.sure
        return 1 - (self.met + self.right) / every if every else 0.0

    def as_dict(self) -> dict[str, float]:
        """The rates and counts by name."""
        rates = {"aer": self.aer, "precision": self.precision, "recall": self.recall}
        return {**rates, "links": self.links, "sure": self.sure}


def error_rate(found: Iterable[Links], golds: Iterable[Gold]) -> ErrorRate:
    """The error rate of the links of some sentences. Raises ValueError where gold and sentences are not as many."""
    links = sure = right = met = 0
    for one, gold in zip(found, golds, strict=True):
        links += len(one)
        sure += len(gold.sure)
        right += len(one & gold.possible)
        met += len(one & gold.sure)
    return ErrorRate(links, sure, right, met)
