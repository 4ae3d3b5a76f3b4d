"""One sentence pair, the unit that every reader gives and every trainer takes."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_BREAKS = re.compile(r"[\t\n]+")
_LINK = re.compile(r"(\d+)-(\d+)")


@dataclass(frozen=True, slots=True)
class Pair:
    """A source sentence and its translation.

    `label` is the domain (`business`, `medicine`, ...) and `group` the conversation that the pair belongs to;
    both are empty where a file does not tell.
    """

    source: str
    target: str
    label: str = ""
    group: str = ""
    place: str = field(default="", compare=False)
    """where it was read, for messages"""
    links: str = field(default="", compare=False)
    """which words are each other's translation, `i-j` each, where alignments were given (see `links`)"""

    def turned(self) -> Pair:
        """The same pair in the other direction."""
        links = _LINK.sub(r"\2-\1", self.links)
        return Pair(self.target, self.source, self.label, self.group, self.place, links)


def one_line(text: str) -> str:
    """Text of a cell or a field without tabs and line feeds, each run of which becomes a space."""
    return _BREAKS.sub(" ", text) if "\n" in text or "\t" in text else text


def chunks(pairs: Iterable[Pair], size: int) -> Iterator[list[Pair]]:
    """The pairs in lists of `size`, the last one shorter."""
    iterator = iter(pairs)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
