"""What of held-out pairs stands in training pairs: the same sentences, and nearly the same ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ojak.corpus.pair import Pair, chunks
from ojak.corpus.split import fold
from ojak.errors import UseError

NEAR = 90.0  # out of 100, from which two sentences are nearly the same
SHORTEST = 8  # letters and digits of a sentence for which that means something
CHUNK = 8192  # training pairs looked at together
BLOCK = 512  # of one length or nearly so, compared at once
SHOWN = 5


@dataclass(slots=True)
class Leaks:
    """Held-out pairs of which something stands in training."""

    train: int = 0
    held: int = 0
    near: float = NEAR
    pairs: set[int] = field(default_factory=set)
    """places of held-out pairs that stand in training, both sides of one pair, after `fold`"""
    sources: set[int] = field(default_factory=set)
    targets: set[int] = field(default_factory=set)
    near_sources: set[int] = field(default_factory=set)
    """those with a source nearly the same as one of training, and none the same"""
    near_targets: set[int] = field(default_factory=set)
    examples: dict[str, list[tuple[str, str]]] = field(default_factory=dict)
    """for each kind, held-out text and training text"""

    @property
    def exact(self) -> set[int]:
        """Places of held-out pairs of which a side stands in training."""
        return self.sources | self.targets

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        counts = {name: len(getattr(self, name)) for name in _KINDS}
        return {"train": self.train, "held_out": self.held, "near": self.near, **counts, "examples": self.examples}

    def table(self) -> str:
        """For a reader."""
        lines = [f"{self.held:,} held-out pairs against {self.train:,}"]
        for name, what in _KINDS.items():
            if name.startswith("near") and not self.near:
                continue
            count = len(getattr(self, name))
            said = what.format(near=f"{self.near:g}")
            lines.append(f"{count:>10,}  {count / max(1, self.held):>6.1%}  {said}")
            lines += [f"{'':20}{one} | {other}" for one, other in self.examples.get(name, [])]
        return "\n".join(lines)


_KINDS = {
    "pairs": "pairs that stand in training as they are, after folding case, width and punctuation",
    "sources": "sources that stand in training",
    "targets": "targets that stand in training",
    "near_sources": "other sources that agree with one of training to {near} of 100",
    "near_targets": "other targets that agree with one of training to {near} of 100",
}


def check_near(near: float) -> None:
    """Raises UseError for what is no measure of likeness."""
    if not 0 <= near <= 100:
        raise UseError(f"How near sentences are must be from 0 to 100, but is {near:g}. Give --near 90, or 0 for none.")


def find_leaks(train: Iterable[Pair], held: Sequence[Pair], near: float = NEAR) -> Leaks:
    """Compares held-out pairs, which are kept in memory, with training pairs, which go by.

    `near` is how much two sentences agree, 100 times twice the letters they have in common in order over the letters
    of both (rapidfuzz's ratio), after `fold`; 0 looks for the same sentences only, which is much quicker.
    Raises UseError for another number.
    """
    check_near(near)
    found = Leaks(held=len(held), near=near)
    sides = [_Side([fold(getattr(pair, name)) for pair in held]) for name in ("source", "target")]
    exact, close = (found.sources, found.targets), (found.near_sources, found.near_targets)
    for chunk in chunks(train, CHUNK):
        found.train += len(chunk)
        folded = [[fold(getattr(pair, name)) for pair in chunk] for name in ("source", "target")]
        for place, pair in enumerate(chunk):
            same = [side.places.get(texts[place], ()) for side, texts in zip(sides, folded, strict=True)]
            for kind, name, places in zip(("sources", "targets"), ("source", "target"), same, strict=True):
                for other in places:
                    _show(found, kind, other, getattr(held[other], name), getattr(pair, name))
            exact[0].update(same[0])
            exact[1].update(same[1])
            found.pairs.update(set(same[0]) & set(same[1]))
        if near:
            for side, texts, kind, name, nearly in zip(
                sides, folded, ("near_sources", "near_targets"), ("source", "target"), close, strict=True
            ):
                for other, place in side.near(texts, near):
                    _show(found, kind, other, getattr(held[other], name), getattr(chunk[place], name))
                    nearly.add(other)
    found.near_sources -= found.sources
    found.near_targets -= found.targets
    return found


class _Side:
    """The folded texts of one side of the held-out pairs."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.places: dict[str, list[int]] = {}
        for place, text in enumerate(texts):
            self.places.setdefault(text, []).append(place)
        self._texts = sorted((text for text in self.places if len(text) >= SHORTEST), key=len)
        self._lengths = np.array([len(text) for text in self._texts])
        self._found: set[str] = set()

    def near(self, texts: Sequence[str], cutoff: float) -> Iterator[tuple[int, int]]:
        """Places of held-out texts and of texts that are nearly, not wholly, the same; each of the first once."""
        from rapidfuzz import fuzz, process

        order = sorted(
            (place for place, text in enumerate(texts) if len(text) >= SHORTEST), key=lambda p: len(texts[p])
        )
        least = cutoff / (200 - cutoff)  # of the longer length the shorter one has at least this, or they cannot agree
        for begin in range(0, len(order), BLOCK):
            block = order[begin : begin + BLOCK]
            low, high = len(texts[block[0]]) * least, len(texts[block[-1]]) / least
            first, last = np.searchsorted(self._lengths, [low, high + 1])
            queries = [text for text in self._texts[first:last] if text not in self._found]
            if not queries:
                continue
            choices = [texts[place] for place in block]
            scores = process.cdist(queries, choices, scorer=fuzz.ratio, score_cutoff=cutoff, dtype=np.uint8)
            for row, column in zip(*np.nonzero(scores), strict=True):
                query, choice = queries[row], choices[column]
                if query != choice and query not in self._found:
                    self._found.add(query)
                    for place in self.places[query]:
                        yield place, block[column]


def _show(found: Leaks, kind: str, place: int, one: str, other: str) -> None:
    shown = found.examples.setdefault(kind, [])
    if len(shown) < SHOWN and place not in getattr(found, kind):
        shown.append((one, other))
