"""Which reading is the best: by gold, or by where two models of opposite directions agree."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import numpy.typing as npt

from ojak.align.error_rate import ErrorRate, error_rate
from ojak.align.extract import cut, see
from ojak.align.links import Gold, Links
from ojak.align.reading import Reading, every
from ojak.corpus.pair import Pair
from ojak.translate import Translator

Looked = npt.NDArray[np.int64]
"""For each target word of all pairs, end to end, the source word it looked at most, both numbered through all pairs"""


def looked(translator: Translator, pairs: Sequence[Pair]) -> dict[Reading, Looked]:
    """Where each reading of a model says that the target words looked."""
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    begins = np.cumsum([0, *(len(source.split()) for source in sources)])
    readings = every(translator.views)
    found: dict[Reading, list[Looked]] = {reading: [np.zeros(0, dtype=np.int64)] * len(pairs) for reading in readings}
    for place, seen in see(translator, cut(translator, sources, targets)):
        for reading in readings:
            found[reading][place] = seen.matrix(reading).argmax(1) + begins[place]
    return {reading: np.concatenate(rows) for reading, rows in found.items()}


def by_gold(looks: Mapping[Reading, Looked], pairs: Sequence[Pair], golds: Sequence[Gold]) -> dict[Reading, ErrorRate]:
    """The error rate of each reading alone, best first; of equal ones the first in the order of `every`."""
    rates = {reading: error_rate(_links(look, pairs), golds) for reading, look in looks.items()}
    return dict(sorted(rates.items(), key=lambda item: item[1].aer))


def by_agreement(
    forward: Mapping[Reading, Looked], backward: Mapping[Reading, Looked]
) -> tuple[Reading, Reading, float]:
    """The readings of two models of opposite directions that agree best, and how many of their links, from 0 to 1, are
    found by both (Chen 2020, section 4.1, who choose the layer so). No gold is needed."""
    best: tuple[float, Reading, Reading] | None = None
    for one, ahead in forward.items():
        for other, back in backward.items():
            both = int((back[ahead] == np.arange(len(ahead))).sum())
            agreement = 2 * both / (len(ahead) + len(back))
            if best is None or agreement > best[0]:
                best = agreement, one, other
    assert best is not None
    return best[1], best[2], best[0]


def _links(look: Looked, pairs: Sequence[Pair]) -> list[Links]:
    found, source, target = [], 0, 0
    for pair in pairs:
        long = len(pair.target.split())
        here = look[target : target + long] - source
        found.append(frozenset((int(i), j) for j, i in enumerate(here)))
        source, target = source + len(pair.source.split()), target + long
    return found
