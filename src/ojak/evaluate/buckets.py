"""Parts of a corpus that are scored apart: by length, by label, and target words by how often training had them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.errors import UseError

LENGTHS = (1, 6, 11, 16, 21, 31, 51)
"""from so many words on a source belongs to the next part"""
CHARACTERS = (1, 11, 21, 31, 41, 61, 101)
"""the same in characters, for languages that part no words"""
FREQUENCIES = (0, 1, 2, 3, 4, 5, 10, 100, 1000)
"""from so many times in training on a word belongs to the next part: as compare-mt has it"""

_UNPARTED = ("ja", "zh", "th", "lo", "km", "my")


@dataclass(frozen=True)
class Bucket:
    """A part: what it is called, and the places of its sentences."""

    name: str
    places: tuple[int, ...]


@dataclass(frozen=True)
class Words:
    """Words of the references whose count in training lies in one range, and how a system fared with them.

    `wanted` is how many the references have, `said` how many the system, `matched` how many stand in both for the same
    sentence, none counted twice. `low` and `high` hold F with 95 %, and are None where that was not asked for.
    """

    name: str
    wanted: int
    said: int
    matched: int
    low: float | None = None
    high: float | None = None

    @property
    def precision(self) -> float:
        """Of the words said, those that were wanted; 0 where none was said."""
        return self.matched / self.said if self.said else 0.0

    @property
    def recall(self) -> float:
        """Of the words wanted, those that were said; 0 where none was wanted."""
        return self.matched / self.wanted if self.wanted else 0.0

    @property
    def f(self) -> float:
        """Their harmonic mean."""
        return f((self.wanted, self.said, self.matched))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        rates = {"precision": self.precision, "recall": self.recall, "f": self.f}
        chance = {} if self.low is None else {"low": self.low, "high": self.high}
        return {"name": self.name, "wanted": self.wanted, "said": self.said, "matched": self.matched} | rates | chance


def f(row: Sequence[float]) -> float:
    """The F of words wanted, said and matched; 0 where there are none."""
    wanted, said, matched = row
    return 2 * matched / (wanted + said) if wanted + said else 0.0


def length_unit(language: str) -> str:
    """What lengths are counted in: words, parted by spaces, or characters where a language parts none."""
    return "characters" if re.split("[-_]", language.lower())[0] in _UNPARTED else "words"


def by_length(sources: Sequence[str], language: str = "") -> list[Bucket]:
    """Sentences by the length of their source, in `length_unit`. Parts without sentences are left out."""
    words = length_unit(language) == "words"
    starts = LENGTHS if words else CHARACTERS
    lengths = [len(source.split()) if words else len("".join(source.split())) for source in sources]
    return _ranges(starts, [max(1, length) for length in lengths])


def by_label(labels: Sequence[str]) -> list[Bucket]:
    """Sentences by their label, in alphabetical order; none where all have the same."""
    names = sorted(set(labels))
    if len(names) < 2:
        return []
    return [
        Bucket(name or "no label", tuple(place for place, label in enumerate(labels) if label == name))
        for name in names
    ]


def by_frequency(
    hypotheses: Sequence[str], references: Sequence[str], trained: Mapping[str, int], cut: Callable[[str], str]
) -> dict[str, npt.NDArray[np.float64]]:
    """How a system fared with target words, by how often they stand in the training text (`trained`): for each range
    (sentences, 3), the words wanted, said and matched.

    `cut` cuts text into words parted by spaces. Ranges of which no text has a word are left out. Raises UseError for
    unequal counts.
    """
    if len(hypotheses) != len(references):
        raise UseError(
            f"There must be one reference for each translation, but there are {len(hypotheses)} and {len(references)}."
        )
    counts = np.zeros((len(FREQUENCIES), len(references), 3))
    for place, (hypothesis, reference) in enumerate(zip(hypotheses, references, strict=True)):
        said, wanted = Counter(cut(hypothesis).split()), Counter(cut(reference).split())
        for word in said | wanted:
            part = _part(FREQUENCIES, trained.get(word, 0))
            counts[part, place] += wanted[word], said[word], min(wanted[word], said[word])
    return {name: rows for name, rows in zip(_names(FREQUENCIES), counts, strict=True) if rows.any()}


def words_in(texts: Iterable[str], cut: Callable[[str], str]) -> set[str]:
    """The different words of texts."""
    return {word for text in texts for word in cut(text).split()}


def _ranges(starts: Sequence[int], values: Sequence[int]) -> list[Bucket]:
    places: list[list[int]] = [[] for _ in starts]
    for place, value in enumerate(values):
        places[_part(starts, value)].append(place)
    return [Bucket(name, tuple(inside)) for name, inside in zip(_names(starts), places, strict=True) if inside]


def _part(starts: Sequence[int], value: int) -> int:
    return max(place for place, start in enumerate(starts) if value >= start)


def _names(starts: Sequence[int]) -> list[str]:
    """`1–5` and so on, the last one `51+`."""
    ends = [start - 1 for start in starts[1:]]
    ranges = [f"{start}" if start == end else f"{start}–{end}" for start, end in zip(starts, ends, strict=False)]
    return [*ranges, f"{starts[-1]}+"]
