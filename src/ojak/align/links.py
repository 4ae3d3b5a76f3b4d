"""Links between words, as Pharaoh writes them, and the gold that they are measured against.

A link (i, j) joins the source word i and the target word j, both counted from 0; words are what white space parts.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ojak.corpus.faults import Faults
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_lines
from ojak.errors import DataError

Link = tuple[int, int]
Links = frozenset[Link]

_LINK = re.compile(r"(\d{1,9})([-p])(\d{1,9})", re.ASCII)
_MUST = "link words of its pair, as in 0-0 1p2 (sure with -, possible with p),"
_REMEDY = "Words are what white space parts, and the first one is 0; a pair without links has an empty line."


@dataclass(frozen=True)
class Gold:
    """The links that people drew. Those all agree on are `sure`; `possible` has these and the doubtful ones."""

    sure: Links
    possible: Links


def pharaoh(links: Iterable[Link], probabilities: Mapping[Link, float] | None = None) -> str:
    """A line such as `0-0 1-2`, in order; with `probabilities` `0-0:0.981 1-2:0.400`."""
    if probabilities is None:
        return " ".join(f"{i}-{j}" for i, j in sorted(links))
    return " ".join(f"{i}-{j}:{probabilities[i, j]:.3f}" for i, j in sorted(links))


def read_gold(path: Path | str, pairs: Sequence[Pair]) -> list[Gold]:
    """The gold of each pair: the last column of each line of a file, `i-j` for sure and `ipj` for possible links.

    Raises DataError, which names the lines, where there are not as many lines as pairs, or a link is none, or joins
    words that its pair does not have.
    """
    lines = read_lines(path)
    if len(lines) != len(pairs):
        raise DataError(
            f"{path} must hold a line of gold links for each pair, but it has {len(lines)} lines for {len(pairs)} "
            "pairs. Name the file that goes with these pairs."
        )
    faults = Faults(str(path), must=_MUST, remedy=_REMEDY)
    found = []
    for number, (line, pair) in enumerate(zip(lines, pairs, strict=True), 1):
        sure: set[Link] = set()
        possible: set[Link] = set()
        words = len(pair.source.split()), len(pair.target.split())
        for text in line.rpartition("\t")[2].split():
            match = _LINK.fullmatch(text)
            if not match:
                faults.add(number, f"{text!r} is no link")
                break
            link = int(match[1]), int(match[3])
            if link[0] >= words[0] or link[1] >= words[1]:
                faults.add(number, f"{text} links words of a pair that has {words[0]} and {words[1]}")
                break
            (sure if match[2] == "-" else possible).add(link)
        found.append(Gold(frozenset(sure), frozenset(sure | possible)))
    faults.report()
    return found
