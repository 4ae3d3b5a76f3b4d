"""Tokenising a corpus once, into a store of packed ids. What is finished of it survives, and is not done again."""

from __future__ import annotations

import hashlib
import itertools
import json
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from ojak import files
from ojak.corpus.encoder import Block, Sides, Texts, encode_blocks
from ojak.corpus.pair import Pair, chunks
from ojak.corpus.split import must_be_left
from ojak.corpus.store import CHUNK, FORMAT, SIDES, Store, part_file
from ojak.errors import DataError, UseError

BLOCK = 8192  # pairs that a process encodes at once
PART = 32  # blocks of a part: 262,144 pairs
MANY = 50_000  # pairs from which more processes pay

Progress = Callable[[int, float], None]
"""told the pairs that have been read, and the seconds since the beginning"""


def cores() -> int:
    """The processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def pack(
    corpora: Sequence[Iterable[Pair]],
    folder: Path,
    sides: Sides,
    about: dict[str, Any],
    processes: int | None = None,
    progress: Progress | None = None,
) -> Store:
    """Packs corpora, one after the other, into `folder`, where `sides` has saved its tokenizers.

    The folder is one that `begin` has made; parts in it that are whole are not done again. `processes` is how many
    encode beside this one, which reads: None for one a core, once there are many pairs. Memory holds some parts of the
    ids, whatever the corpora's size. Raises DataError where no pair fits the model, StorageError when the disk is full.
    """
    writer = _Writer(folder, sides, processes, progress)
    for number, pairs in enumerate(corpora):
        writer.add(number, pairs)
    parts = writer.parts
    total = sum(part["pairs"] for part in parts)
    if not total:
        must_be_left(writer.read)
        raise DataError(
            f"At least one pair must fit the model, but all {writer.read} are empty or longer than {sides.longest} "
            "tokens; raise model.max_length, or split the sentences."
        )
    record = {
        "format": FORMAT,
        "pairs": total,
        "skipped": sum(part["skipped"] for part in parts),
        "tokens": {name: sum(part[name] for part in parts) for name in SIDES},
        "links": sum(part["links"] for part in parts),
        "fingerprint": writer.digest.hexdigest(),
        "parts": [{key: part[key] for key in ("corpus", "pairs")} for part in parts],
        "about": about,
    }
    files.write(folder / "store.json", json.dumps(record, ensure_ascii=False, indent=1) + "\n")
    return Store.open(folder)


def begin(folder: Path, about: dict[str, Any], anew: bool = False) -> None:
    """Makes the folder, or leaves what was begun in it with the same `about`. A corpus begun with another goes where
    it may be made `anew`. Raises UseError where it may not, and where the folder holds something else."""
    path = folder / "about.json"
    text = json.dumps(about, ensure_ascii=False, indent=1, sort_keys=True) + "\n"
    if path.is_file() and path.read_text(encoding="utf-8", errors="replace") == text:
        return
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        if not (anew and path.is_file()):
            found = "a corpus of other files or settings" if path.is_file() else "something else"
            raise UseError(
                f"A corpus must be packed into a directory that is new or empty, or goes on with the same files and "
                f"settings, but {folder} holds {found}. Choose another, or remove it."
            )
        with files.explained(folder):
            shutil.rmtree(folder)
    files.write(path, text)


class _Writer:
    """Parts of a store, written one after the other."""

    def __init__(self, folder: Path, sides: Sides, processes: int | None, progress: Progress | None) -> None:
        self._folder, self._sides, self._processes, self._progress = folder, sides, processes, progress
        self._begun = time.monotonic()
        self.digest = hashlib.blake2b(digest_size=32)
        self.read = 0
        self.parts: list[dict[str, Any]] = []

    def add(self, corpus: int, pairs: Iterable[Pair]) -> None:
        """Packs a corpus."""
        blocks = self._digested(pairs)
        self.digest.update(b"corpus\0")
        while head := list(itertools.islice(blocks, 1)):
            if (known := self._known()) is not None:
                for _ in itertools.islice(blocks, PART - 1):
                    pass
                if known["digest"] == self.digest.hexdigest():
                    self._done(known)
                    continue
                raise DataError(
                    f"{self._folder} was begun with other pairs than the files hold now. Restore them, or remove it to "
                    "pack them anew."
                )
            self._write(corpus, itertools.chain(head, blocks))

    def _write(self, corpus: int, blocks: Iterator[Texts]) -> None:
        """Encodes all that is left of a corpus; a part is written as soon as it is full."""
        many = self._processes
        if many is None:
            first = list(itertools.islice(blocks, -(-MANY // BLOCK)))
            many = cores() if len(first) * BLOCK > MANY else 0
            blocks = itertools.chain(first, blocks)
        marks: list[tuple[str, int]] = []

        def marked() -> Iterator[Texts]:
            for block in blocks:
                marks.append((self.digest.hexdigest(), self.read))
                yield block

        made: list[Block] = []
        for number, block in enumerate(encode_blocks(marked(), self._sides, many)):
            made.append(block)
            if len(made) == PART:
                self._part(corpus, made, *marks[number])
                made = []
            if self._progress:
                self._progress(marks[number][1], time.monotonic() - self._begun)
            marks[number] = ("", 0)
        if made:
            self._part(corpus, made, self.digest.hexdigest(), self.read)

    def _part(self, corpus: int, blocks: Sequence[Block], digest: str, read: int) -> None:
        tensors: dict[str, np.ndarray[Any, Any]] = {}
        pairs = sum(len(block.lengths[0]) for block in blocks)
        begins = np.zeros((-(-pairs // CHUNK) + 1, 3), dtype=np.int64)
        for side, name in enumerate(SIDES):
            lengths = np.concatenate([block.lengths[side] for block in blocks])
            ids = np.concatenate([block.ids[side] for block in blocks])
            begins[1:, side] = np.cumsum(np.add.reduceat(lengths, np.arange(0, pairs, CHUNK))) if pairs else 0
            tensors[f"{name}_lengths"], tensors[f"{name}_ids"] = _narrow(lengths), _narrow(ids)
        linked = np.concatenate([block.linked for block in blocks])
        if linked.any():
            begins[1:, 2] = np.cumsum(np.add.reduceat(linked, np.arange(0, pairs, CHUNK)))
            tensors["linked"], tensors["links"] = _narrow(linked), _narrow(np.concatenate([b.links for b in blocks]))
        part = {
            "corpus": corpus,
            "pairs": pairs,
            "skipped": sum(block.skipped for block in blocks),
            "source": int(begins[-1, 0]),
            "target": int(begins[-1, 1]),
            "links": int(begins[-1, 2]),
            "digest": digest,
        }
        tensors["chunks"] = begins
        files.write(part_file(self._folder, len(self.parts)), save(tensors, {"part": json.dumps(part)}))
        self.parts.append(part)

    def _known(self) -> dict[str, Any] | None:
        """What an earlier process left of the next part."""
        try:
            with safe_open(part_file(self._folder, len(self.parts)), framework="numpy") as file:
                found: dict[str, Any] = json.loads(file.metadata()["part"])
                return found
        except (OSError, SafetensorError, KeyError, TypeError, ValueError):
            return None

    def _done(self, part: dict[str, Any]) -> None:
        self.parts.append(part)
        if self._progress:
            self._progress(self.read, time.monotonic() - self._begun)

    def _digested(self, pairs: Iterable[Pair]) -> Iterator[Texts]:
        """The texts of blocks; each goes into the digest when it is fetched."""
        for block in chunks(pairs, BLOCK):
            texts = [_lines([getattr(pair, name) for pair in block]) for name in SIDES]
            links = "\n".join(pair.links for pair in block) if any(pair.links for pair in block) else ""
            for text in (*texts, links) if links else texts:
                self.digest.update(text.encode("utf-8", "replace"))
                self.digest.update(b"\0")
            self.read += len(block)
            yield texts[0], texts[1], links


def _lines(texts: Sequence[str]) -> str:
    joined = "\n".join(texts)
    if joined.count("\n") >= len(texts):  # pairs that were not read from a file may hold line feeds
        joined = "\n".join(text.replace("\n", " ") for text in texts)
    return joined


def _narrow(numbers: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """In two bytes each, where they fit."""
    return numbers.astype(np.uint16 if not len(numbers) or numbers.max() < 65536 else np.uint32)
