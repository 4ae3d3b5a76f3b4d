"""How far two views put the source words in the same order: rank correlation. numpy only, no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ojak.maps import Map
from ojak.words import is_special

FEWEST = 3
"""source words that an order must be of to say anything"""

Numbers = npt.NDArray[np.floating]


@dataclass(frozen=True)
class Agreement:
    """Mean rank correlations over `rows` target tokens: 1 the same order, 0 none, -1 the opposite."""

    spearman: float
    kendall: float
    rows: int


def ranks(values: Numbers) -> npt.NDArray[np.float64]:
    """The rank of each value from 0, equal ones sharing the mean of theirs."""
    below = (values[None] < values[:, None]).sum(1)
    alike = (values[None] == values[:, None]).sum(1)
    found: npt.NDArray[np.float64] = below + (alike - 1) / 2
    return found


def spearman(one: Numbers, other: Numbers) -> float:
    """Spearman's ρ (1904): Pearson's correlation of the ranks. NaN where either is all of one value."""
    first, second = (ranks(each) - ranks(each).mean() for each in (one, other))
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / length) if length else float("nan")


def kendall(one: Numbers, other: Numbers) -> float:
    """Kendall's τ-b (1945): pairs in the same order less pairs in the opposite one, with regard to ties. NaN where
    either is all of one value."""
    above = np.triu_indices(len(one), 1)
    first, second = (np.sign(each[:, None] - each[None])[above] for each in (one, other))
    length = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum() / length) if length else float("nan")


def agreement(one: Map, other: Map) -> Agreement | None:
    """How far two maps of the same rows and columns agree, or None where no row can tell.

    For each target token the source's are put in the order of how much they mattered, which for differences of a
    log-probability is their size, whatever the sign. The end of the sentence is left out on both sides: where there is
    nothing to read, attention rests there, which says nothing of words.
    """
    assert one.rows == other.rows and one.columns == other.columns
    words = [place for place, token in enumerate(one.columns) if not is_special(token)]
    if len(words) < FEWEST:
        return None
    found = []
    for row, token in enumerate(one.rows):
        first, second = np.abs(one.values[row, words]), np.abs(other.values[row, words])
        if not is_special(token) and np.ptp(first) > 0 and np.ptp(second) > 0:
            found.append((spearman(first, second), kendall(first, second)))
    if not found:
        return None
    means = np.mean(found, axis=0)
    return Agreement(float(means[0]), float(means[1]), len(found))


def told(one: Map, others: Sequence[Map]) -> tuple[str, ...]:
    """The agreements of a map with others, for a reader; nothing where there are none to tell of."""
    found = [(other.view, how) for other in others if (how := agreement(one, other)) is not None]
    if not found:
        return ()
    parts = [f"{view} {how.spearman:+.2f} / {how.kendall:+.2f}" for view, how in found]
    return ("Rank correlation with other views (Spearman / Kendall; 1: the same order of source words): "
            + " · ".join(parts) + ".",)  # fmt: skip
