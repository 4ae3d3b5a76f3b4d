"""Pairs to files that `read_pairs` takes."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from ojak import files
from ojak.corpus.pair import Pair, one_line
from ojak.corpus.unpack import PACKED, unpacked_name
from ojak.errors import UseError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

ENDINGS = (".tsv", ".csv", ".jsonl")
_PACKERS: dict[str, Callable[[Any], Any]] = {
    "": lambda file: file,
    ".gz": lambda file: gzip.GzipFile(fileobj=file, mode="wb", mtime=0),
    ".xz": lambda file: lzma.LZMAFile(file, "wb"),  # noqa: SIM115
    ".zst": lambda file: zstd.ZstdFile(file, "wb"),
}


def write_pairs(path: Path, pairs: Iterable[Pair]) -> int:
    """Writes pairs to `path` and returns their count; memory does not grow with it.

    The ending tells the format: .tsv (`source TAB target`, with the labels and groups beside it in .labels and
    .groups, where there are any), .csv or .jsonl, each also with .gz, .xz or .zst. The files are written whole or not
    at all. Raises UseError for another ending, StorageError when the disk is full.
    """
    kind = check_ending(path)
    write = {".tsv": _write_tabbed, ".csv": _write_csv, ".jsonl": _write_json}[kind]
    count = 0

    def counted() -> Iterator[Pair]:
        nonlocal count
        for pair in pairs:
            count += 1
            yield pair

    write(path, counted())
    return count


def check_ending(path: Path) -> str:
    """The ending that tells the format. Raises UseError for one that cannot be written."""
    kind = unpacked_name(path).suffix.lower()
    if kind not in ENDINGS:
        raise UseError(
            f"Pairs are written to {', '.join(ENDINGS)} (also with {', '.join(PACKED)}), but {path} was named. Give it "
            "one of these endings."
        )
    return kind


def _write_tabbed(path: Path, pairs: Iterator[Pair]) -> None:
    pack = path.suffix if path.suffix.lower() in PACKED else ""
    stem = unpacked_name(path).with_suffix("")
    beside = [stem.with_name(f"{stem.name}{kind}{pack}") for kind in (".labels", ".groups")]
    some = [False, False]
    with ExitStack() as stack:
        sides, *others = (stack.enter_context(_whole(file)) for file in (path, *beside))
        for pair in pairs:
            sides.write(f"{one_line(pair.source)}\t{one_line(pair.target)}\n")
            for place, value in enumerate((pair.label, pair.group)):
                some[place] = some[place] or bool(value)
                others[place].write(one_line(value) + "\n")
    for file, needed in zip(beside, some, strict=True):
        if not needed:
            file.unlink()


def _write_csv(path: Path, pairs: Iterator[Pair]) -> None:
    with _whole(path) as file:
        writer = csv.writer(file)
        writer.writerow(["source", "target", "label", "group"])
        writer.writerows([pair.source, pair.target, pair.label, pair.group] for pair in pairs)


def _write_json(path: Path, pairs: Iterator[Pair]) -> None:
    with _whole(path) as file:
        for pair in pairs:
            fields = {"source": pair.source, "target": pair.target, "label": pair.label, "group": pair.group}
            said = {key: value for key, value in fields.items() if value or key in ("source", "target")}
            file.write(json.dumps(said, ensure_ascii=False) + "\n")


@contextmanager
def _whole(path: Path) -> Iterator[io.TextIOWrapper]:
    """A text file to write to, which takes its place when the block ends well and is gone when it does not."""
    with files.whole(path) as raw:
        packer = _PACKERS[path.suffix.lower() if path.suffix.lower() in PACKED else ""](raw)
        text = io.TextIOWrapper(packer, encoding="utf-8", errors="replace", newline="")
        yield text
        text.flush()
        if packer is not raw:
            text.close()
        else:
            text.detach()  # the file is closed where it was opened
