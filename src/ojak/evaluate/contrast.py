"""Which words one system gets right more often than another: what a difference of scores is made of (compare-mt)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

MOST = 10
"""words that are told each way"""


@dataclass(frozen=True)
class Contrast:
    """A word of the references: how often they have it, and how often each system said it where they do."""

    word: str
    wanted: int
    base: int
    other: int


@dataclass(frozen=True)
class Contrasts:
    """The words that a system got right more often than the baseline, and less often; the clearest first."""

    more: list[Contrast]
    fewer: list[Contrast]

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return asdict(self)


def contrasts(
    base: Sequence[str], other: Sequence[str], references: Sequence[str], cut: Callable[[str], str]
) -> Contrasts:
    """The words for which two systems differ most; `cut` cuts text into words parted by spaces.

    A word is right as often as it stands in both translation and reference of a sentence. The order is that of
    (right of the one + 1) / (right of both + 2), so that rare words need a clearer difference.
    """
    wanted: Counter[str] = Counter()
    right: tuple[Counter[str], Counter[str]] = Counter(), Counter()
    for *texts, reference in zip(base, other, references, strict=True):
        there = Counter(cut(reference).split())
        wanted += there
        for counts, text in zip(right, texts, strict=True):
            counts.update(there & Counter(cut(text).split()))
    every = [Contrast(word, count, right[0][word], right[1][word]) for word, count in wanted.items()]

    def clearest(one: Contrast) -> tuple[float, int, str]:
        return -(max(one.base, one.other) + 1) / (one.base + one.other + 2), -one.wanted, one.word

    more = sorted((one for one in every if one.other > one.base), key=clearest)[:MOST]
    return Contrasts(more, sorted((one for one in every if one.other < one.base), key=clearest)[:MOST])
