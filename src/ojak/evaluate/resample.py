"""How far chance may have moved a score, and whether two systems differ by more than chance.

Both tests are sacreBLEU's (`--paired-bs`, `--paired-ar`), seed and all, with these differences: a corpus is resampled
by a product of matrices, a block at a time, so that memory does not grow with corpus and resamples together; all
systems and measures, given ones too, see the same resamples; the difference has an interval of its own; and a
difference as large as the one found counts against it (Riezler and Maxwell 2005), where sacreBLEU counts larger ones
only and so finds a system better than itself.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from ojak.errors import UseError
from ojak.evaluate.counts import Counts, Numbers

RESAMPLES, TRIALS, SEED = 1000, 10_000, 12345
LEVEL = 0.95
MORE_THAN_CHANCE = {"randomisation": 0.05, "bootstrap": 0.025}
"""p below which systems differ: of equals 5 of 100 pairs do by either test, since the bootstrap's p is one-sided"""
BLOCK = 4_000_000  # numbers of a block of resamples or trials


@dataclass(frozen=True)
class Chance:
    """How often chance is asked: bootstrap resamples (0: no intervals), trials of approximate randomisation (0: none).
    Raises UseError for numbers below 0."""

    resamples: int = RESAMPLES
    trials: int = TRIALS
    seed: int = SEED

    def __post_init__(self) -> None:
        for name in ("resamples", "trials", "seed"):
            if getattr(self, name) < 0:
                raise UseError(f"There can be no fewer than 0 {name}, but {getattr(self, name)} were asked for.")

    @property
    def test(self) -> str | None:
        """The test that says whether systems differ by more than chance; None where neither was asked for."""
        return "randomisation" if self.trials else "bootstrap" if self.resamples else None

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {"resamples": self.resamples, "trials": self.trials, "seed": self.seed, "level": LEVEL}

    def significance(self) -> dict[str, str | None]:
        """What the p of comparisons are, and which is significant, for JSON."""
        below = f"p_{self.test} < {MORE_THAN_CHANCE[self.test]}" if self.test else None
        return {"p_randomisation": "two-sided", "p_bootstrap": "one-sided", "significant": below}


@dataclass(frozen=True)
class Paired:
    """A system against the baseline by one measure. `difference` is the system's score less the baseline's; `low` and
    `high` hold it with 95 % (bootstrap). None where that was not asked for."""

    name: str
    difference: float
    low: float | None
    high: float | None
    p_bootstrap: float | None
    """one-sided: how often a resampled difference lies as far above its mean as that found lies above 0"""
    p_randomisation: float | None
    """two-sided: how often swapping at random makes a difference as large, whichever system is the better"""
    wins: float | None
    """share of the resampled corpora in which the system is the better one, ties counting half"""
    digits: int = 2

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        told = {key: value for key, value in asdict(self).items() if key != "digits"}
        return {**told, "significant": self.significant}

    @property
    def significant(self) -> bool:
        """Whether a difference as large comes about by chance in less than 5 of 100 cases: by randomisation, which
        assumes less; by the bootstrap where there was none."""
        if self.p_randomisation is not None:
            return self.p_randomisation < MORE_THAN_CHANCE["randomisation"]
        return self.p_bootstrap is not None and self.p_bootstrap < MORE_THAN_CHANCE["bootstrap"]


def bootstrap(measures: Sequence[Counts], chance: Chance) -> Numbers:
    """The scores of each measure on corpora drawn from the sentences with replacement, `(measures, resamples)`.

    All measures are of the same sentences and see the same corpora. Koehn 2004.
    """
    count = len(measures[0].rows)
    rows = np.hstack([measure.rows for measure in measures])
    random = np.random.default_rng(chance.seed)
    found: list[list[list[float]]] = []
    for size in _blocks(chance.resamples, count):
        drawn = random.choice(count, size=(size, count), replace=True)
        times = np.stack([np.bincount(one, minlength=count) for one in drawn]).astype(np.float64)
        found += _split(times @ rows, measures)
    return _scores(found, measures)


def interval(scores: Numbers) -> tuple[float, float]:
    """The 95 % that lie in the middle of the scores of resampled corpora."""
    low, high = np.quantile(scores, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def paired(base: Sequence[Counts], other: Sequence[Counts], chance: Chance) -> list[Paired]:
    """A system against the baseline, by each of their measures, which go together one by one."""
    resampled = bootstrap([*base, *other], chance) if chance.resamples else None
    shuffled = _randomised(base, other, chance) if chance.trials else None
    found = []
    for place, (one, two) in enumerate(zip(base, other, strict=True)):
        difference = two.score() - one.score()
        low = high = p_bootstrap = wins = None
        if resampled is not None:
            differences = resampled[len(base) + place] - resampled[place]
            low, high = interval(differences)
            sizes = np.abs(differences)
            p_bootstrap = _p(sizes - sizes.mean(), abs(difference))
            better = -differences if two.lower else differences
            wins = float(np.mean(better > 0) + np.mean(better == 0) / 2)
        p_random = None if shuffled is None else _p(shuffled[place], abs(difference))
        found.append(Paired(one.name, difference, low, high, p_bootstrap, p_random, wins, one.digits))
    return found


def _randomised(base: Sequence[Counts], other: Sequence[Counts], chance: Chance) -> Numbers:
    """The sizes of the differences of two systems between which each sentence was swapped or not, by the toss of a
    coin, `(measures, trials)`."""
    count = len(base[0].rows)
    first, second = (np.hstack([measure.rows for measure in side]) for side in (base, other))
    apart, total = second - first, (first + second).sum(axis=0)
    random = np.random.default_rng(chance.seed)
    one: list[list[list[float]]] = []
    two: list[list[list[float]]] = []
    for size in _blocks(chance.trials, count):
        keep = random.integers(2, size=(size, count), dtype=bool).astype(np.float64)
        sums = second.sum(axis=0) - keep @ apart  # the first system where it is kept, the second elsewhere
        one += _split(sums, base)
        two += _split(total - sums, base)
    return np.abs(_scores(one, base) - _scores(two, base))


def _p(found: Numbers, difference: float) -> float:
    """How often chance found as much; the one that was found counts too, so that it is never 0."""
    return float((np.sum(found >= difference - 1e-9) + 1) / (len(found) + 1))


def _blocks(total: int, count: int) -> Iterator[int]:
    """Sizes of blocks of resamples, of even numbers, so that a generator gives the same numbers as all at once."""
    most = max(2, BLOCK // count // 8 * 8)
    for begin in range(0, total, most):
        yield min(most, total - begin)


def _split(sums: Numbers, measures: Sequence[Counts]) -> list[list[list[float]]]:
    """Sums of rows, each cut into those of the measures."""
    ends = np.cumsum([measure.rows.shape[1] for measure in measures])[:-1]
    parts = [part.tolist() for part in np.split(sums, ends, axis=1)]
    return [list(rows) for rows in zip(*parts, strict=True)]


def _scores(sums: list[list[list[float]]], measures: Sequence[Counts]) -> Numbers:
    return np.array([[measure.value(row[place]) for row in sums] for place, measure in enumerate(measures)])
