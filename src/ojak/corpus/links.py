"""Word alignments beside pairs, as Pharaoh files: `i-j` for each link of a source and a target word, a line a pair.

Words are runs of text without white space, counted from 0. Links go with their pair as text until it is packed, and
are kept between words, so that they hold for any cut of the text into tokens.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout
from ojak.corpus.lines import text_lines
from ojak.corpus.pair import Pair
from ojak.errors import DataError
from ojak.text import Tokenizer

_LINK = re.compile(r"(\d{1,9})-(\d{1,9})")
_REMEDY = "Align the pairs as they stand in the file: words are what white space parts, and the first one is 0."

Numbers = npt.NDArray[np.integer[Any]]


def linked(pairs: Iterable[Pair], of: str, path: str) -> Iterator[Pair]:
    """The pairs of the file `of`, each with its line of the file of links `path`.

    Raises DataError behind the last one where lines do not link words of their pair, or are not as many.
    """
    faults = Faults(path, must="link words of its pair, as in 0-0 1-2,", remedy=_REMEDY)
    lines = text_lines(Path(path), Layout(), Notes(), faults)
    count, missing = 0, 0
    for count, pair in enumerate(pairs, 1):
        line = next(lines, None)
        missing += line is None
        found = (line or "").split()
        if wrong := _wrong(found, pair):
            faults.add(count, wrong)
        yield pair if wrong else replace(pair, links=" ".join(found))
    faults.report()
    many = count - missing + sum(1 for _ in lines)
    if many != count:
        raise DataError(
            f"{path} must hold one line for each pair of {of}, but it has {many} lines for {count} pairs. Align that "
            "file as it is; a pair without links has an empty line."
        )


def parsed(lines: Sequence[str]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    """The links of many pairs, end to end (L,2), and how many each pair has."""
    counts = np.array([line.count("-") for line in lines], dtype=np.int64)
    numbers = [int(number) for line in lines for link in line.split() for number in link.split("-")]
    return np.array(numbers, dtype=np.uint32).reshape(-1, 2), counts


def words_of(tokenizer: Tokenizer, texts: Sequence[Sequence[int] | Numbers]) -> list[Numbers]:
    """The word of its text that each token belongs to, for some texts."""
    lengths = np.array([len(ids) for ids in texts], dtype=np.int64)
    ends = np.cumsum(lengths)
    begins = tokenizer.begins(np.concatenate([np.asarray(ids, dtype=np.int64) for ids in texts]))
    begins[(ends - lengths)[lengths > 0]] = True
    every = np.split(np.cumsum(begins), ends[:-1])
    return [words - words[:1] for words in every]


def between_tokens(links: Numbers, source: Numbers, target: Numbers) -> npt.NDArray[np.bool_]:
    """Which source tokens (S) each target token (T) is linked to, (T,S): those of linked words.

    `links` (L,2) are between words; `source` (S) and `target` (T) tell the word that each token belongs to.
    """
    words = np.zeros((int(target[-1]) + 1, int(source[-1]) + 1), dtype=np.bool_)
    words[links[:, 1], links[:, 0]] = True
    found: npt.NDArray[np.bool_] = words[target][:, source]
    return found


def _wrong(links: list[str], pair: Pair) -> str:
    """What is amiss with the links of a pair; empty if nothing is."""
    matches = [_LINK.fullmatch(link) for link in links]
    if None in matches:
        return f"{links[matches.index(None)]!r} is no link"
    words = len(pair.source.split()), len(pair.target.split())
    for match in matches:
        assert match is not None
        if int(match[1]) >= words[0] or int(match[2]) >= words[1]:
            return f"{match[0]} links words of a pair that has {words[0]} and {words[1]} ({pair.place})"
    return ""
