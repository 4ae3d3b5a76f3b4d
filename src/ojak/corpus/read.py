"""Sentence pairs from files, line by line, with every fault of every file named at once."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ojak.corpus.pair import Pair
from ojak.errors import DataError

SUFFIXES = (".tsv", ".txt")  # with or without .gz
SHOWN = 5  # faults of a file that a message names

_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Reading:
    """What one file, or two files side by side, gave: its pairs, and how many lines were skipped as wholly empty."""

    name: str
    pairs: list[Pair]
    empty: int


def read_pairs(paths: Sequence[Path | str]) -> list[Pair]:
    """The pairs of all files, in order.

    A path is a file of `source TAB target` lines (.tsv or .txt, also with .gz), whose labels are read from a file
    of the same name ending in .labels.gz or .labels if there is one; or two files in one argument with a comma
    between them, `talk.en,talk.ko`, that go line by line. Raises DataError, which names the faults of all files.
    """
    if not paths:
        raise DataError("Pairs must be read from at least one file, but none was named. Name one.")
    pairs: list[Pair] = []
    messages: list[str] = []
    for path in paths:
        try:
            pairs += read(path).pairs
        except DataError as error:
            messages.append(str(error))
    if messages:
        raise DataError("\n".join(messages))
    return pairs


def read(path: Path | str) -> Reading:
    """The pairs of one path as `read_pairs` takes it. Raises DataError."""
    name = str(path)
    if "," in name and not os.path.exists(name):
        return _read_two(name)
    return _read_tabbed(Path(path))


def read_lines(path: Path | str) -> list[str]:
    """The lines of a text file in UTF-8 (with or without .gz), the empty ones too.

    A line ends at `\\n` and nothing else; one `\\r` before it and a byte-order mark at the head of the file are
    dropped.
    Raises DataError for a file that is missing, empty, broken, binary or not in UTF-8.
    """
    path = Path(path)
    content = _content(path)
    if not content:
        raise DataError(f"{path} must hold lines of text, but it is empty. Name another file.")
    if b"\0" in content:
        found = "is in UTF-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "holds bytes of value 0"
        raise DataError(f"{path} must be text in UTF-8, but it {found}. Save it as UTF-8 text, or name another file.")
    lines: list[str] = []
    faults = _Faults(path, "hold text in UTF-8", "Save the file as UTF-8.")
    for number, line in enumerate(content.removesuffix(b"\n").split(b"\n"), 1):
        try:
            lines.append(line.removesuffix(b"\r").decode("utf-8"))
        except UnicodeDecodeError as error:
            faults.add(number, f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}: {error.reason}")
    faults.report()
    return lines


@dataclass(slots=True)
class _Faults:
    """The faults of one file's lines, counted all, kept as far as a message shows them."""

    path: Path | str
    must: str
    remedy: str
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, line: int, found: str) -> None:
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(f"  line {line}: {found}")

    def report(self) -> None:
        """Raises DataError if there were any."""
        if not self.count:
            return
        more = [f"  and {self.count - SHOWN} more"] if self.count > SHOWN else []
        count = "1 line does not" if self.count == 1 else f"{self.count} lines do not"
        head = f"{self.path} must {self.must} on every line, but {count}:"
        raise DataError("\n".join([head, *self.first, *more, self.remedy]))


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked, without a byte-order mark."""
    try:
        content = path.read_bytes()
    except IsADirectoryError as error:
        raise DataError(f"{path} must be a file, but it is a directory. Name the files in it.") from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{path} must be a file that can be read, but: {reason}. Check the path.") from error
    if path.suffix == ".gz":
        try:
            content = gzip.decompress(content)
        except (OSError, EOFError, zlib.error) as error:
            raise DataError(f"{path} must be packed by gzip, but: {error}. Copy or pack it again.") from error
    return content.removeprefix(_BOM)


def _read_tabbed(path: Path) -> Reading:
    stem = path.with_suffix("") if path.suffix == ".gz" else path
    if stem.suffix not in SUFFIXES and not path.is_dir():
        raise DataError(
            f"A file of pairs must end in {' or '.join(SUFFIXES)} (also with .gz), but {path} was named. Give it the "
            "ending that tells what it holds; two files that go line by line are named with a comma between them."
        )
    lines = read_lines(path)
    labels = _labels(stem.with_suffix(""), path, len(lines))
    faults = _Faults(
        path,
        "hold `source TAB target`, both with text,",
        "Put one tab between the sentences, none within them, and drop lines that lack a side.",
    )
    pairs: list[Pair] = []
    empty = 0
    for number, (line, label) in enumerate(zip(lines, labels, strict=True), 1):
        source, *rest = line.split("\t")
        if not line.strip():
            empty += 1
        elif len(rest) != 1:
            faults.add(number, "no tab" if not rest else f"{len(rest)} tabs")
        elif not source.strip() or not rest[0].strip():
            faults.add(number, f"the {'target' if source.strip() else 'source'} is empty")
        else:
            pairs.append(Pair(source, rest[0], label, place=f"{path}, line {number}"))
    faults.report()
    return _reading(str(path), pairs, empty)


def _labels(stem: Path, path: Path, lines: int) -> list[str]:
    """One label a line of the file of pairs, empty where no file of labels lies beside it."""
    for suffix in (".labels.gz", ".labels"):
        beside = stem.with_name(stem.name + suffix)
        if beside.exists():
            labels = read_lines(beside)
            if len(labels) != lines:
                raise DataError(
                    f"{beside} must hold one label for each line of {path}, but it has {len(labels)} lines and the "
                    f"other {lines}. Make the counts equal, or move the labels away."
                )
            return labels
    return [""] * lines


def _read_two(name: str) -> Reading:
    parts = name.split(",")
    if len(parts) != 2 or not all(parts):
        raise DataError(
            f"Files that go line by line are named as `source,target`, but {name} was given, and it is no file. "
            "Name two files with one comma between them."
        )
    sources, targets = (read_lines(part) for part in parts)
    if len(sources) != len(targets):
        raise DataError(
            f"Two files that go line by line must have the same count of lines, but {parts[0]} has {len(sources)} and "
            f"{parts[1]} has {len(targets)}. Find where a line was lost or broken in two."
        )
    faults = _Faults(name, "hold text on both sides", "Drop such lines from both files.")
    pairs: list[Pair] = []
    empty = 0
    for number, (source, target) in enumerate(zip(sources, targets, strict=True), 1):
        if not source.strip() and not target.strip():
            empty += 1
        elif not source.strip() or not target.strip():
            faults.add(number, f"{parts[1] if source.strip() else parts[0]} is empty")
        else:
            pairs.append(Pair(source, target, place=f"{name}, line {number}"))
    faults.report()
    return _reading(name, pairs, empty)


def _reading(name: str, pairs: list[Pair], empty: int) -> Reading:
    if not pairs:
        raise DataError(f"{name} must hold at least one pair, but its {empty} lines are all empty. Name another file.")
    return Reading(name, pairs, empty)
