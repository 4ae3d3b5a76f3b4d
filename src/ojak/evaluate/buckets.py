"""Parts of a corpus that are scored apart: by length, by label, and target words by how often training had them."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

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
    sentence, none counted twice.
    """

    name: str
    wanted: int
    said: int
    matched: int

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
        both = self.wanted + self.said
        return 2 * self.matched / both if both else 0.0


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
) -> list[Words]:
    """How a system fared with target words, by how often they stand in the training text (`trained`).

    `cut` cuts text into words parted by spaces. Parts of which no text has a word are left out.
    Raises UseError for unequal counts.
    """
    if len(hypotheses) != len(references):
        raise UseError(
            f"There must be one reference for each translation, but there are {len(hypotheses)} and {len(references)}."
        )
    counts = [[0, 0, 0] for _ in FREQUENCIES]
    for hypothesis, reference in zip(hypotheses, references, strict=True):
        said, wanted = Counter(cut(hypothesis).split()), Counter(cut(reference).split())
        for word in said | wanted:
            part = counts[_part(FREQUENCIES, trained.get(word, 0))]
            part[0] += wanted[word]
            part[1] += said[word]
            part[2] += min(wanted[word], said[word])
    names = _names(FREQUENCIES)
    return [Words(name, *part) for name, part in zip(names, counts, strict=True) if any(part)]


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
