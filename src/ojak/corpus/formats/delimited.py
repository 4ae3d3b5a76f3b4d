"""Tab-separated text, and CSV with its quotes."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

from ojak.corpus.beside import Beside
from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout
from ojak.corpus.lines import text_lines
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import unpacked_name
from ojak.errors import DataError

DELIMITERS = ",;\t|"  # of CSV; the one that stands most often in the first line outside of quotes


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """Lines of a .tsv or .txt are cut at tabs and nothing is quoted; a .csv is read by the rules of RFC 4180, its
    delimiter told by the first line.

    Files of the same name that end in .labels and .groups (plain or packed) go with a .tsv or .txt line by line.
    """
    lines = text_lines(path, layout, notes, faults)
    if unpacked_name(path).suffix.lower() == ".csv":
        return pairs_of(_quoted(lines, path), str(path), layout, notes, faults)
    return pairs_of(_tabbed(lines), str(path), layout, notes, faults, Beside.of(path))


def _tabbed(lines: Iterator[str]) -> Iterator[Row]:
    return ((number, line.split("\t")) for number, line in enumerate(lines, 1))


def _quoted(lines: Iterator[str], path: Path) -> Iterator[Row]:
    first = next(lines, "")
    delimiter = _delimiter(first)

    def again() -> Iterator[str]:
        yield first + "\n"
        for line in lines:
            yield line + "\n"

    reader = csv.reader(again(), delimiter=delimiter, strict=True)
    begun = 1
    try:
        for cells in reader:
            yield begun, cells
            begun = reader.line_num + 1
    except csv.Error as error:
        raise DataError(
            f"{path} must be CSV, but the row that begins in line {begun} is not: {error}. Close its quotes, and write "
            "a quote within quotes twice; or save the file as tab-separated text (.tsv)."
        ) from None


def _delimiter(line: str) -> str:
    bare = "".join(line.split('"')[::2])
    return max(DELIMITERS, key=bare.count)
