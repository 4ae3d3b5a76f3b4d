"""Sentence pairs from files of every common kind, with every fault of every file named at once."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats import reader
from ojak.corpus.formats.moses import read_two
from ojak.corpus.layout import Layout
from ojak.corpus.lines import read_lines
from ojak.corpus.links import linked
from ojak.corpus.pair import Pair
from ojak.errors import DataError

__all__ = ["files_of", "read_lines", "read_pairs", "stream_pairs"]


def read_pairs(paths: Sequence[Path | str], layout: Layout | None = None, notes: Notes | None = None) -> list[Pair]:
    """The pairs of all files, in order, each with text on both sides.

    A path is a file (.tsv, .txt, .csv, .xlsx, .xls, .jsonl, .parquet, .tmx, .po or .mo, each also with .gz, .xz
    or .zst), a glob of such files, or two text files in one argument with a comma between them, `talk.en,talk.ko`,
    that go line by line. `layout` names columns, languages, sheet and encoding where they are not to be recognised;
    `notes` gathers what was seen beside the pairs. Raises DataError, which names the faults of all files.
    """
    pairs: list[Pair] = []
    messages: list[str] = []
    for path in files_of(paths):
        try:
            pairs += _one(path, layout or Layout(), notes or Notes(), strict=True)
        except DataError as error:
            messages.append(str(error))
    if messages:
        raise DataError("\n".join(messages))
    return pairs


def stream_pairs(
    path: Path | str, layout: Layout | None = None, notes: Notes | None = None, whole: bool = False, links: str = ""
) -> Iterator[Pair]:
    """The pairs of one path of `files_of`, one after another, in memory that does not grow with most kinds of file.

    A pair may lack text on one side, so that cleaning can count it; `whole` leaves such out, and the notes count them.
    `links` is a file of word alignments (see `ojak.corpus.links`) with a line for each pair, those left out too.
    Raises DataError at the first fault of a file of which nothing more can be read, and at the end of the file for
    faults of lines.
    """
    notes = notes or Notes()
    pairs = _one(path, layout or Layout(), notes, strict=False)
    if links:
        pairs = linked(pairs, str(path), links)
    return _whole(pairs, notes) if whole else pairs


def files_of(paths: Sequence[Path | str]) -> list[str]:
    """The files that paths name: globs become their files in order, two of them with a comma go file by file.

    Raises DataError where a glob matches nothing, or no path is given.
    """
    if not paths:
        raise DataError("Pairs must be read from at least one file, but none was named. Name one.")
    found: list[str] = []
    for path in map(str, paths):
        if _exists(path):
            found.append(path)
        elif "," in path:
            sides = [_matching(part) for part in path.split(",")]
            if len({len(side) for side in sides}) > 1:
                counts = " and ".join(str(len(side)) for side in sides)
                raise DataError(f"{path} must match as many files on both sides, but matches {counts}. Mend the globs.")
            found += [",".join(files) for files in zip(*sides, strict=True)]
        else:
            found += _matching(path)
    return found


def _matching(path: str) -> list[str]:
    if _exists(path) or not glob.has_magic(path):
        return [path]
    found = sorted(glob.glob(path, recursive=True))
    if not found:
        raise DataError(f"{path} must match at least one file, but matches none. Check it.")
    return found


def _exists(path: str) -> bool:
    try:
        return os.path.exists(path)
    except ValueError:  # a byte of value 0
        return False


def _whole(pairs: Iterator[Pair], notes: Notes) -> Iterator[Pair]:
    for pair in pairs:
        if pair.source.strip() and pair.target.strip():
            yield pair
        else:
            notes.lacking += 1


def _one(path: Path | str, layout: Layout, notes: Notes, strict: bool) -> Iterator[Pair]:
    name = str(path)
    faults = Faults(name)
    before = notes.empty
    if "," in name and not _exists(name):
        parts = name.split(",")
        if len(parts) != 2 or not all(parts):
            raise DataError(
                f"Files that go line by line are named as `source,target`, but {name} was given, and it is no file. "
                "Name two files with one comma between them."
            )
        pairs = read_two(Path(parts[0]), Path(parts[1]), layout, notes, faults)
    else:
        pairs = reader(Path(path))(Path(path), layout, notes, faults)
    some = False
    for pair in pairs:
        some = True
        if strict and not (pair.source.strip() and pair.target.strip()):
            number = int(pair.place.rpartition(" ")[2])
            faults.add(number, f"the {'target' if pair.source.strip() else 'source'} is empty")
        else:
            yield pair
    faults.report()
    if not some:
        raise DataError(
            f"{name} must hold at least one pair, but its {notes.empty - before} {faults.unit}s are all empty. "
            "Name another file."
        )
