"""What a system does besides being right or wrong: how long it talks, how it repeats itself and copies.

Each rate is told beside that of the references, which repeat and copy as well: a loop and a name are told apart so.
Words are runs of letters and digits, case aside.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import pairwise

from ojak.corpus.split import fold


@dataclass(frozen=True)
class Habits:
    """Rates from 0 to 1, over all sentences together."""

    repeated: float
    """of the pairs of neighbouring words, those that stood earlier in the same sentence (seq-rep-2, Welleck 2020)"""
    copied: float
    """of the words, those that stand in the source too"""
    untranslated: float
    """of the sentences, those that are the source again, case and punctuation aside"""
    empty: float
    """of the sentences, those without text"""

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def habits(texts: Sequence[str], sources: Sequence[str]) -> Habits:
    """The rates of texts that stand for sources: translations, or references."""
    words = pairs = again = there = same = empty = 0
    for text, source in zip(texts, sources, strict=True):
        said, given = _words(text), set(_words(source))
        neighbours = list(pairwise(said))
        pairs += len(neighbours)
        again += len(neighbours) - len(set(neighbours))
        words += len(said)
        there += sum(word in given for word in said)
        empty += not text.strip()
        same += bool(text.strip()) and fold(text) == fold(source)
    count = max(1, len(texts))
    return Habits(again / max(1, pairs), there / max(1, words), same / count, empty / count)


def length_ratio(texts: Sequence[str], references: Sequence[str]) -> float:
    """The characters of the texts over those of the references, spaces aside."""
    mine, theirs = (sum(len("".join(text.split())) for text in side) for side in (texts, references))
    return mine / max(1, theirs)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
