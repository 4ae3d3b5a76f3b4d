"""One reader for each kind of file. `reader` chooses it by the ending of the name."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import PACKED, unpacked_name
from ojak.errors import DataError

Reader = Callable[[Path, Layout, Notes, Faults], Iterator[Pair]]
"""Pairs of one file, one after another. A side may be empty; a pair without any text is counted in the notes.

What is wrong with a line or row is added to the faults, and reading goes on. Raises DataError for a file of which
nothing more can be read.
"""

_MODULES = {
    ".tsv": "delimited",
    ".tab": "delimited",
    ".txt": "delimited",
    ".csv": "delimited",
    ".xlsx": "workbook",
    ".xlsm": "workbook",
    ".xls": "workbook",
    ".ods": "workbook",
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".parquet": "parquet",
    ".tmx": "tmx",
    ".po": "catalogue",
    ".mo": "catalogue",
}
ENDINGS = tuple(_MODULES)


def reader(path: Path) -> Reader:
    """The reader of a file by the ending of its name. Raises DataError for another ending."""
    module = _MODULES.get(unpacked_name(path).suffix.lower())
    if module is None and os.path.isdir(path):
        raise DataError(f"{path} must be a file, but it is a directory. Name the files in it.")
    if module is None:
        raise DataError(
            f"A file of pairs must end in {', '.join(ENDINGS[:-1])} or {ENDINGS[-1]} (also with "
            f"{', '.join(PACKED)}), but {path} was named. Give it the ending that tells what it holds; two files that "
            "go line by line are named with a comma between them."
        )
    found: Reader = importlib.import_module(f"ojak.corpus.formats.{module}").read
    return found
