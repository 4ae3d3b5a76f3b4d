"""Setting pairs aside for validation and testing, without leaks."""

from __future__ import annotations

import hashlib
import heapq
import random
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from ojak.corpus.pair import Pair
from ojak.errors import DataError

MOST = 10  # at most one pair of so many is held out


def fold(text: str) -> str:
    """What two sentences that differ in case, width, spacing or punctuation only have in common."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(filter(_kept, folded)) or folded


@dataclass(slots=True)
class HeldOut:
    """Pairs set aside, by the name of their part."""

    parts: dict[str, list[Pair]]
    places: set[int]
    """where in the corpus they stand"""
    total: int
    """pairs of the corpus"""
    left_out: int = 0
    """pairs that `training` dropped, because a side of them is held out"""
    _sources: set[str] = field(default_factory=set)
    _targets: set[str] = field(default_factory=set)
    _place: int = 0

    def __post_init__(self) -> None:
        for pair in (pair for part in self.parts.values() for pair in part):
            self._sources.add(fold(pair.source))
            self._targets.add(fold(pair.target))

    def forget(self) -> None:
        """Lets sentences of the parts stay in training, where they were not set aside but given."""
        self._sources.clear()
        self._targets.clear()

    def begin(self) -> None:
        """Before the corpus is read again from its beginning, in one stream or in several of which it is made."""
        self.left_out = self._place = 0

    def training(self, pairs: Iterable[Pair]) -> Iterator[Pair]:
        """The pairs to train on, of the corpus or its next stream: those not set aside, without those of which a
        source or target is, after `fold`."""
        some = bool(self._sources)
        for pair in pairs:
            place, self._place = self._place, self._place + 1
            if place in self.places:
                continue
            if some and (fold(pair.source) in self._sources or fold(pair.target) in self._targets):
                self.left_out += 1
            else:
                yield pair


def choose(pairs: Iterable[Pair], sizes: Mapping[str, int], seed: int) -> HeldOut:
    """Sets pairs aside in parts of the given sizes, in one pass and in memory for these pairs alone.

    They are drawn at random, from each label as many as its share of the corpus, and where pairs have a group, whole
    groups (so that a part may come out larger by some of a group). Together they are at most a tenth of the corpus;
    less is shared out by the sizes. No sentence of a later part stands in an earlier one: such pairs go. Raises
    DataError where there are too few pairs.
    """
    wanted = sum(sizes.values())
    draw = random.Random(seed)
    strata: dict[str, _Lowest] = {}
    counts: Counter[str] = Counter()
    label_of: dict[str, str] = {}
    total = 0
    for place, pair in enumerate(pairs):
        total = place + 1
        label = label_of.setdefault(pair.group, pair.label) if pair.group else pair.label
        counts[label] += 1
        rank = _rank(pair.group, seed) if pair.group else draw.random()
        strata.setdefault(label, _Lowest(wanted)).add(rank, place, pair)
    if total < MOST:
        raise DataError(
            f"At least {MOST} pairs are needed to hold some out for validation, but there are {total}; "
            "give more, or name a file with --dev."
        )
    allowed = min(wanted, total // MOST)
    shares = _shared_out(allowed, counts)
    units = [unit for label, lowest in strata.items() for unit in lowest.best(shares[label])]
    parts = _parted(sorted(units, key=lambda unit: unit.rank), _shared_out(allowed, Counter(sizes)))
    places = {place for unit in units for place in unit.places}
    return HeldOut(_without_repeats(parts), places, total)


def hold_out(pairs: Sequence[Pair], count: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and `count` held-out ones, at most a tenth of all, as `choose` and `HeldOut.training` say.

    Raises DataError when there are too few pairs to do this.
    """
    held = choose(pairs, {"dev": count}, seed)
    held.begin()
    train = list(held.training(pairs))
    must_be_left(train)
    return train, held.parts["dev"]


def must_be_left(train: Sequence[Pair] | int) -> None:
    """Raises DataError where there is nothing to train on."""
    if not train:
        raise DataError("Some pairs must differ from the held-out ones, but all are alike; name a file with --dev.")


@dataclass(slots=True)
class _Unit:
    """Pairs that stay together: a group, or one pair."""

    rank: float
    places: list[int] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)


class _Lowest:
    """The units of lowest rank that together have at least so many pairs."""

    def __init__(self, wanted: int) -> None:
        self._wanted, self._count, self._bound = wanted, 0, 2.0
        self._units: dict[float, _Unit] = {}
        self._heap: list[float] = []  # ranks turned negative, so that the highest comes first

    def add(self, rank: float, place: int, pair: Pair) -> None:
        if rank >= self._bound:
            return
        if rank not in self._units:
            self._units[rank] = _Unit(rank)
            heapq.heappush(self._heap, -rank)
        unit = self._units[rank]
        unit.places.append(place)
        unit.pairs.append(pair)
        self._count += 1
        while len(self._heap) > 1 and self._count - len(self._units[-self._heap[0]].places) >= self._wanted:
            self._bound = -heapq.heappop(self._heap)  # a group that went never comes back
            self._count -= len(self._units.pop(self._bound).places)

    def best(self, count: int) -> list[_Unit]:
        """The first units that have `count` pairs together, or some more where the last is a group."""
        found: list[_Unit] = []
        for rank in sorted(self._units):
            if count <= 0:
                break
            found.append(self._units[rank])
            count -= len(found[-1].places)
        return found


def _parted(units: Iterable[_Unit], sizes: Mapping[str, int]) -> dict[str, list[Pair]]:
    """Each unit to the part that is the least full."""
    parts: dict[str, list[Pair]] = {name: [] for name in sizes}
    for unit in units:
        name = max((name for name in sizes if sizes[name]), key=lambda name: 1 - len(parts[name]) / sizes[name])
        parts[name] += unit.pairs
    return parts


def _without_repeats(parts: dict[str, list[Pair]]) -> dict[str, list[Pair]]:
    """The parts, less the pairs of which a side stands in an earlier part."""
    found: dict[str, list[Pair]] = {}
    sources: set[str] = set()
    targets: set[str] = set()
    for name, pairs in parts.items():
        folded = [(fold(pair.source), fold(pair.target), pair) for pair in pairs]
        found[name] = [pair for source, target, pair in folded if source not in sources and target not in targets]
        sources |= {source for source, _, _ in folded}
        targets |= {target for _, target, _ in folded}
    return found


def _shared_out(count: int, weights: Mapping[str, int]) -> dict[str, int]:
    """`count` as whole numbers in the ratio of the weights (by the largest remainders, ties by name)."""
    total = sum(weights.values())
    exact = {name: count * weight / max(1, total) for name, weight in weights.items()}
    found = {name: int(value) for name, value in exact.items()}
    short = count - sum(found.values())
    for name in sorted(exact, key=lambda name: (found[name] - exact[name], name))[:short]:
        found[name] += 1
    return found


def _rank(group: str, seed: int) -> float:
    digest = hashlib.blake2b(f"{seed}\t{group}".encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "little") / 2**64


@cache
def _kept(letter: str) -> bool:
    return unicodedata.category(letter)[0] in "LNM"
