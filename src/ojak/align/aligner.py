"""Pairs in, alignments out: by one model, or by two of opposite directions made into one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ojak.align.extract import cut, see
from ojak.align.links import Link, Links, pharaoh
from ojak.align.reading import Reading, checked, default
from ojak.align.symmetrise import both_ways, one_way
from ojak.align.words import Cut, Matrix
from ojak.corpus.pair import Pair
from ojak.errors import UseError
from ojak.translate import Translator

Cuts = tuple[Cut, Cut]
"""source and target of a model"""

CHUNK = 4096
"""pairs whose matrices are kept at once"""

WAY = "mutual"
"""how two directions are made one where nothing is said; benchmarks/alignment.py measures the others beside it"""


@dataclass(frozen=True)
class Alignment:
    """The words of a pair, what white space parts, and the links between them, each with how much the model (the mean
    of both, where there are two) looked along it: the share of what was read for one word that came from the other."""

    source: tuple[str, ...]
    target: tuple[str, ...]
    shares: dict[Link, float]

    @property
    def links(self) -> Links:
        """(source word, target word), from 0."""
        return frozenset(self.shares)

    def turned(self) -> Alignment:
        """The same with source and target in each other's place."""
        return Alignment(self.target, self.source, {(j, i): share for (i, j), share in self.shares.items()})

    def line(self, probabilities: bool = False) -> str:
        """As Pharaoh writes it, with the shares behind the links if they are wanted."""
        return pharaoh(self.shares, self.shares if probabilities else None)

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, for JSON; links in order, and their shares in the same."""
        links = sorted(self.shares)
        return {
            "source": list(self.source),
            "target": list(self.target),
            "links": [list(link) for link in links],
            "probabilities": [self.shares[link] for link in links],
        }


class Aligner:
    """Aligns by the attention of `forward`, and of `backward`, which translates the other way, if it is there.

    A reading that is None is the default of its model. Raises UseError for a model without attention or the view, and
    for two models that do not go opposite ways.
    """

    def __init__(
        self,
        forward: Translator,
        reading: Reading | None = None,
        backward: Translator | None = None,
        back_reading: Reading | None = None,
        way: str = WAY,
    ) -> None:
        self.forward, self.backward, self.way = forward, backward, way
        self.reading = checked(reading or default(forward.views), forward.views)
        self.back_reading = checked(back_reading or default(backward.views), backward.views) if backward else None
        if backward:
            opposite(forward, backward)

    def align(self, pairs: Sequence[Pair]) -> list[Alignment]:
        """The alignment of each pair, in their order. Raises TooLong, which has the place, for a long sentence."""
        sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
        ahead = cut(self.forward, sources, targets)
        back = cut(self.backward, targets, sources) if self.backward else []
        found: list[Alignment] = []
        for begin in range(0, len(pairs), CHUNK):
            part = slice(begin, begin + CHUNK)
            found += self._chunk(pairs[part], ahead[part], back[part])
        return found

    def _chunk(self, pairs: Sequence[Pair], ahead: Sequence[Cuts], back: Sequence[Cuts]) -> Iterator[Alignment]:
        forward = _matrices(self.forward, ahead, self.reading)
        if self.backward is None or self.back_reading is None:
            for place, pair in enumerate(pairs):
                yield self._made(pair, one_way(forward[place]), forward[place])
            return
        backward = _matrices(self.backward, back, self.back_reading)
        for place, pair in enumerate(pairs):
            one, other = forward[place], backward[place].T
            yield self._made(pair, both_ways(self.way, one, other), (one + other) * np.float32(0.5))

    def _made(self, pair: Pair, links: Links, matrix: Matrix) -> Alignment:
        shares = {(i, j): float(matrix[j, i]) for i, j in links}
        return Alignment(tuple(pair.source.split()), tuple(pair.target.split()), shares)


def opposite(forward: Translator, backward: Translator) -> None:
    """Raises UseError where two models are known not to go opposite ways."""
    one, other = forward.languages, backward.languages[::-1]
    if all((*one, *other)) and one != other:
        raise UseError(
            f"The reverse model must translate from {one[1]} to {one[0]}, but it goes from {other[1]} to {other[0]}; "
            "name one that was trained the other way (data.reverse=true)."
        )


def _matrices(translator: Translator, pairs: Sequence[Cuts], reading: Reading) -> dict[int, Matrix]:
    return {place: seen.matrix(reading) for place, seen in see(translator, pairs, [reading.measure])}
