"""What a corpus is like, before anything is trained on it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from ojak.corpus.clean import FILTERS, Report, Rules, clean
from ojak.corpus.pair import Pair, chunks
from ojak.corpus.scripts import scripts
from ojak.corpus.seen import Seen, hashes
from ojak.text.normalise import normalise

EDGES = (1, 5, 10, 20, 40, 80, 160)
"""the longest of each bar of the histogram, in tokens; one more bar holds what is longer"""
SHOWN = 10  # pairs that are shown
CHUNK = 4096
MANY = 30  # labels that are told one by one
SIDES = ("source", "target")


@dataclass(slots=True)
class Side:
    """One side of a corpus. Tokens are what white space parts, as they are before anything is learnt."""

    tokens: int = 0
    characters: int = 0
    longest: int = 0
    """characters of the longest text"""
    different: int = 0
    """different texts, after normalisation"""
    bars: list[int] = field(default_factory=lambda: [0] * (len(EDGES) + 1))
    """texts by length in tokens, up to each of EDGES and beyond"""
    scripts: Counter[str] = field(default_factory=Counter)
    """letters of each script"""


@dataclass(slots=True)
class Inspection:
    """What was found."""

    name: str
    pairs: int = 0
    empty: int = 0
    """rows without any text"""
    groups: int = 0
    repeated: int = 0
    """pairs that came before"""
    labels: Counter[str] = field(default_factory=Counter)
    sides: tuple[Side, Side] = field(default_factory=lambda: (Side(), Side()))
    drawn: list[Pair] = field(default_factory=list)
    """ten pairs at random, in their order"""
    warnings: list[str] = field(default_factory=list)

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        found: dict[str, Any] = {
            name: getattr(self, name) for name in ("name", "pairs", "empty", "groups", "repeated", "warnings")
        }
        for name, side in zip(SIDES, self.sides, strict=True):
            counts = {key: getattr(side, key) for key in ("tokens", "characters", "longest", "different")}
            bars = dict(zip(bar_names(), side.bars, strict=True))
            found[name] = {**counts, "lengths": bars, "scripts": dict(side.scripts.most_common())}
        found["labels"] = dict(self.labels.most_common())
        found["drawn"] = [[pair.source, pair.target, pair.label, pair.group, pair.place] for pair in self.drawn]
        return found


def inspect(name: str, pairs: Iterable[Pair], rules: Rules, seed: int = 1) -> Inspection:
    """Reads all pairs once, in memory of a few times 8 bytes a pair, and warns of what the filters of `rules` would
    take."""
    found, report = Inspection(name), Report()
    for _ in clean(_counted(pairs, found, random.Random(seed)), rules, report):
        pass
    for taken, count in report.taken.items():
        if count:
            place, some = report.examples[taken][0].place, "1 pair" if count == 1 else f"{count:,} pairs"
            found.warnings.append(f"{some} would go by the filter `{taken}` ({FILTERS[taken]}): {place}")
    if not all(report.scripts):
        found.warnings.append("a side is in several scripts: name the languages to have each text checked")
    return found


def bar_names() -> list[str]:
    """What the bars of the histogram hold."""
    starts = [0, *EDGES[:-1]]
    names = [str(end) if start + 1 == end else f"{start + 1}–{end}" for start, end in zip(starts, EDGES, strict=True)]
    return [*names, f"over {EDGES[-1]}"]


def _counted(pairs: Iterable[Pair], found: Inspection, draw: random.Random) -> Iterator[Pair]:
    """Lets the pairs go by and counts them."""
    seen, groups, texts = Seen(), Seen(), (Seen(), Seen())
    shown: list[tuple[int, Pair]] = []
    for chunk in chunks(pairs, CHUNK):
        for number, pair in enumerate(chunk, found.pairs):
            if len(shown) < SHOWN:
                shown.append((number, pair))
            elif (place := draw.randrange(number + 1)) < SHOWN:
                shown[place] = (number, pair)
        found.pairs += len(chunk)
        found.labels.update(pair.label for pair in chunk if pair.label)
        found.groups += int(groups.first(hashes(pair.group for pair in chunk if pair.group)).sum())
        columns = [[normalise(getattr(pair, name)) for pair in chunk] for name in SIDES]
        for side, column, before in zip(found.sides, columns, texts, strict=True):
            side.different += int(before.first(hashes(column)).sum())
            lengths = [len(text.split()) for text in column]
            side.tokens += sum(lengths)
            side.characters += sum(map(len, column))
            side.longest = max(side.longest, *map(len, column))
            bars = np.bincount(np.searchsorted(EDGES, lengths), minlength=len(EDGES) + 1)
            side.bars = [old + int(new) for old, new in zip(side.bars, bars, strict=True)]
            side.scripts.update(scripts("".join(column)))
        both = ["\t".join(sides) for sides in zip(*columns, strict=True)]
        found.repeated += len(chunk) - int(seen.first(hashes(both)).sum())
        yield from chunk
    found.drawn = [pair for _, pair in sorted(shown, key=lambda one: one[0])]
