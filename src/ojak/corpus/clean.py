"""Leaving out pairs that teach nothing or something wrong, with a report of what each filter took."""

from __future__ import annotations

import itertools
import random
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from ojak.corpus.pair import Pair, chunks
from ojak.corpus.scripts import LOOKED_AT, expected, share
from ojak.corpus.seen import Seen, hashes
from ojak.corpus.split import fold
from ojak.errors import UseError
from ojak.text.normalise import normalise

CHUNK = 4096  # pairs looked at together
SHOWN = 3  # pairs that a report shows of each filter

FILTERS = {
    "empty": "a side has no text",
    "long": "a side is longer than --longest characters",
    "control": "a side has control characters, U+FFFD or private ones",
    "markup": "a side has tags or character entities",
    "same": "both sides say the same",
    "ratio": "one side is more than --ratio times as long as the other (10 characters added to both)",
    "script": "less than --script of a side's letters are in the script of its language",
    "duplicate": "the pair came before",
    "duplicate-source": "the source came before",
    "duplicate-target": "the target came before",
}
"""every filter, in the order in which they are asked; a pair counts for the first that takes it"""
OFF = frozenset({"duplicate-source", "duplicate-target"})
"""filters that must be asked for: sentences with several translations are no fault"""

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x84\x86-\x9f\ufffd\ufffe\uffff\ue000-\uf8ff]")
_MARKUP = re.compile(r"</?[A-Za-z][^<>]{0,200}>|&(?:[A-Za-z]{2,8}|#[0-9]{1,6}|#x[0-9A-Fa-f]{1,6});")


@dataclass(frozen=True, slots=True)
class Rules:
    """Which filters are on, and their numbers. Raises UseError for an unknown name."""

    source: str = ""
    """language code, which tells the script; without it the script of most letters is expected"""
    target: str = ""
    longest: int = 1000
    ratio: float = 4.0
    script: float = 0.3
    on: frozenset[str] = frozenset(FILTERS) - OFF

    def __post_init__(self) -> None:
        unknown = sorted(self.on - FILTERS.keys())
        if unknown:
            raise UseError(
                f"A filter is one of {', '.join(FILTERS)}, but found {', '.join(unknown)}. Name one of them."
            )


@dataclass(slots=True)
class Report:
    """What cleaning took, and what it left."""

    pairs: int = 0
    kept: int = 0
    scripts: tuple[str, str] = ("", "")
    """the scripts that were expected, empty where none was"""
    taken: dict[str, int] = field(default_factory=dict)
    """by the name of the filter, those that are on, in their order"""
    examples: dict[str, list[Pair]] = field(default_factory=dict)
    """for each filter, some of the pairs that it took, drawn at random"""

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        shown = {
            name: [{"place": pair.place, "source": pair.source, "target": pair.target} for pair in pairs]
            for name, pairs in self.examples.items()
        }
        counts = {"pairs": self.pairs, "kept": self.kept, "scripts": list(self.scripts)}
        return {**counts, "taken": self.taken, "examples": shown}

    def table(self) -> str:
        """For a reader."""
        gone = self.pairs - self.kept
        lines = [f"{self.pairs:,} pairs: {self.kept:,} kept, {gone:,} left out ({gone / max(1, self.pairs):.1%})"]
        for name, count in self.taken.items():
            lines.append(f"{name:17}{count:>10,}  {FILTERS[name]}")
            lines += [
                f"{'':29}{pair.place}: {_short(pair.source)} | {_short(pair.target)}" for pair in self.examples[name]
            ]
        return "\n".join(lines)


def clean(pairs: Iterable[Pair], rules: Rules, report: Report, seed: int = 1) -> Iterator[Pair]:
    """The pairs that no filter takes, in order, in memory of 8 bytes a pair for each filter of duplicates; `report`
    is filled as they go by."""
    report.taken = {name: 0 for name in FILTERS if name in rules.on}
    report.examples = {name: [] for name in report.taken}
    draw = random.Random(seed)
    pairs = iter(pairs)
    head = list(itertools.islice(pairs, LOOKED_AT))
    sides = (
        expected(rules.source, (pair.source for pair in head)),
        expected(rules.target, (pair.target for pair in head)),
    )
    report.scripts = (" ".join(sorted(sides[0])), " ".join(sorted(sides[1])))
    single = _single(rules, sides)
    seen = {name: Seen() for name in _KEYS if name in rules.on}
    for chunk in chunks(itertools.chain(head, pairs), CHUNK):
        report.pairs += len(chunk)
        left: list[Pair] = []
        for pair in chunk:
            name = next((name for name, takes in single if takes(pair)), "")
            if name:
                _take(report, name, pair, draw)
            else:
                left.append(pair)
        for name, before in seen.items():
            first = before.first(hashes(map(_KEYS[name], left)))
            for pair, new in zip(left, first, strict=True):
                if not new:
                    _take(report, name, pair, draw)
            left = list(itertools.compress(left, first))
        report.kept += len(left)
        yield from left


_KEYS: dict[str, Callable[[Pair], str]] = {
    "duplicate": lambda pair: f"{normalise(pair.source)}\t{normalise(pair.target)}",
    "duplicate-source": lambda pair: normalise(pair.source),
    "duplicate-target": lambda pair: normalise(pair.target),
}


def _single(rules: Rules, sides: tuple[frozenset[str], frozenset[str]]) -> list[tuple[str, Callable[[Pair], bool]]]:
    """The filters that look at one pair at a time, those that are on."""

    def ratio(pair: Pair) -> bool:
        short, long = sorted((len(pair.source.strip()) + 10, len(pair.target.strip()) + 10))
        return long > rules.ratio * short

    def wrong_script(pair: Pair) -> bool:
        texts = pair.source, pair.target
        return any(side and share(text, side) < rules.script for side, text in zip(sides, texts, strict=True))

    found: dict[str, Callable[[Pair], bool]] = {
        "empty": lambda pair: not (_said(pair.source) and _said(pair.target)),
        "long": lambda pair: max(len(pair.source), len(pair.target)) > rules.longest,
        "control": lambda pair: bool(_CONTROL.search(pair.source) or _CONTROL.search(pair.target)),
        "markup": lambda pair: bool(_MARKUP.search(pair.source) or _MARKUP.search(pair.target)),
        "same": lambda pair: fold(pair.source) == fold(pair.target),
        "ratio": ratio,
        "script": wrong_script,
    }
    return [(name, takes) for name, takes in found.items() if name in rules.on]


def _said(text: str) -> bool:
    """Whether anything is left of a text but space and what does not show."""
    return any(not (letter.isspace() or unicodedata.category(letter) in ("Cf", "Cc")) for letter in text)


def _take(report: Report, name: str, pair: Pair, draw: random.Random) -> None:
    report.taken[name] += 1
    shown = report.examples[name]
    if len(shown) < SHOWN:
        shown.append(pair)
    elif (place := draw.randrange(report.taken[name])) < SHOWN:
        shown[place] = pair


def _short(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "�" for letter in text)
    return shown if len(shown) <= 40 else shown[:39] + "…"
