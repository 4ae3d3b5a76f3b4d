"""Text to ids, block by block: in this process, or in others beside it that are spoken to through pipes.

A process of its own is a plain child, `python -m ojak.corpus.encoder FOLDER KIND SHARED LONGEST`: unlike the pools of
the standard library it needs no guard in the user's script, and nothing is pickled.
"""

from __future__ import annotations

import os
import signal
import struct
import subprocess
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import numpy.typing as npt

from ojak.corpus.links import parsed, words_of
from ojak.errors import OjakError
from ojak.text import KINDS, Kind, Tokenizer, load_both, save_both

AHEAD = 3  # blocks for each process that wait or are done and not yet fetched


@dataclass(frozen=True, slots=True)
class Sides:
    """The two tokenizers of a corpus as they are saved in a folder, and the most tokens of a side."""

    folder: Path
    kind: Kind
    shared: bool
    longest: int

    def load(self) -> tuple[Tokenizer, Tokenizer]:
        """The source and the target tokenizer. Raises ModelError."""
        return load_both(self.folder, self.kind, self.shared)

    def save(self, source: Tokenizer, target: Tokenizer) -> None:
        """Writes the tokenizers. Raises StorageError."""
        save_both(self.folder, source, target)


Texts = tuple[str, str, str]
"""Sources, targets and links of a block, a line a pair; the links are empty where no pair of it has any."""


@dataclass(frozen=True, slots=True)
class Block:
    """The pairs of a block that fit the model."""

    lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    ids: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]
    links: npt.NDArray[np.uint32]
    """(L,2), between words of the source and of the target, end to end"""
    linked: npt.NDArray[np.int64]
    """how many links each pair has"""
    skipped: int
    """pairs with a side that is empty or too long"""


def encode_block(texts: Texts, source: Tokenizer, target: Tokenizer, longest: int) -> Block:
    """The ids of sources and targets, without the pairs that do not fit."""
    (ids, lengths), (other_ids, other_lengths) = source.encode_lines(texts[0]), target.encode_lines(texts[1])
    fits = (lengths > 0) & (lengths <= longest) & (other_lengths > 0) & (other_lengths <= longest)
    links, linked = np.zeros((0, 2), dtype=np.uint32), np.zeros(len(fits), dtype=np.int64)
    if texts[2]:
        links, linked = parsed(texts[2].split("\n"))
        # Links are between words, and batches know tokens only: both must count the same.
        told = fits & _counted(source, ids, lengths, texts[0]) & _counted(target, other_ids, other_lengths, texts[1])
        links, linked = links[np.repeat(told, linked)], np.where(told, linked, 0)
    if not fits.all():
        ids, other_ids = ids[np.repeat(fits, lengths)], other_ids[np.repeat(fits, other_lengths)]
        lengths, other_lengths, linked = lengths[fits], other_lengths[fits], linked[fits]
    return Block((lengths, other_lengths), (ids, other_ids), links, linked, int((~fits).sum()))


def _counted(
    tokenizer: Tokenizer, ids: npt.NDArray[np.uint32], lengths: npt.NDArray[np.int64], lines: str
) -> npt.NDArray[np.bool_]:
    """In which lines the ids begin as many words as there are. They may not where an UNK stands for part of a word."""
    texts = words_of(tokenizer, np.split(ids, np.cumsum(lengths)[:-1]))
    found = [int(words[-1]) + 1 if len(words) else 0 for words in texts]
    same: npt.NDArray[np.bool_] = np.array(found) == np.array([len(line.split()) for line in lines.split("\n")])
    return same


def encode_blocks(blocks: Iterable[Texts], sides: Sides, processes: int) -> Iterator[Block]:
    """The ids of blocks, in order, made by so many processes; by this one where that is 0."""
    if processes < 1:
        source, target = sides.load()
        for block in blocks:
            yield encode_block(block, source, target, sides.longest)
        return
    children: deque[subprocess.Popen[bytes]] = deque(_child(sides) for _ in range(processes))
    waiting: deque[Future[Block]] = deque()
    with ThreadPoolExecutor(processes) as pool:
        free = deque(children)

        def ask(block: Texts) -> Block:
            child = free.popleft()  # a thread for each child, so that one is free
            try:
                return _ask(child, block)
            finally:
                free.append(child)

        try:
            for block in blocks:
                waiting.append(pool.submit(ask, block))
                if len(waiting) > AHEAD * processes:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
            for child in children:
                child.kill()
                child.wait()
                for pipe in (child.stdin, child.stdout):
                    if pipe is not None:
                        pipe.close()


def _child(sides: Sides) -> subprocess.Popen[bytes]:
    words = [str(sides.folder), sides.kind, str(int(sides.shared)), str(sides.longest)]
    path = os.pathsep.join(filter(None, sys.path))
    return subprocess.Popen(
        [sys.executable, "-m", __name__, *words],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": path},
    )


# What a child tells of a block beside the count of pairs left out: lengths and ids of both sides, links, their counts.
_TOLD: tuple[Any, ...] = (np.int64, np.int64, np.uint32, np.uint32, np.uint32, np.int64)


def _ask(child: subprocess.Popen[bytes], block: Texts) -> Block:
    assert child.stdin is not None and child.stdout is not None
    texts = [text.encode("utf-8", "replace") for text in block]
    try:
        child.stdin.write(struct.pack("<3Q", *map(len, texts)))
        for text in texts:
            child.stdin.write(text)
        child.stdin.flush()
        skipped, *counts = struct.unpack("<7Q", _read(child.stdout, 56))
        parts: list[Any] = [
            np.frombuffer(_read(child.stdout, count * np.dtype(kind).itemsize), dtype=kind)
            for count, kind in zip(counts, _TOLD, strict=True)
        ]
    except (OSError, EOFError, ValueError) as error:
        raise OjakError(f"A process that turns text into ids has ended early ({error}); is memory short?") from None
    return Block((parts[0], parts[1]), (parts[2], parts[3]), parts[4].reshape(-1, 2), parts[5], skipped)


def _read(pipe: Any, size: int) -> bytes:
    data: bytes = pipe.read(size)
    if len(data) != size:
        raise EOFError("it said no more")
    return data


def _serve(asked: BinaryIO, told: BinaryIO, sides: Sides) -> None:
    """Answers blocks until there are no more."""
    source, target = sides.load()
    while len(head := asked.read(24)) == 24:
        texts = [asked.read(size).decode("utf-8") for size in struct.unpack("<3Q", head)]
        block = encode_block((texts[0], texts[1], texts[2]), source, target, sides.longest)
        arrays = (*block.lengths, *block.ids, block.links, block.linked)
        told.write(struct.pack("<7Q", block.skipped, *(array.size for array in arrays)))
        for array in arrays:
            told.write(array.tobytes())
        told.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends this process
    _folder, _kind, _shared, _longest = sys.argv[1:]
    _chosen = next(kind for kind in KINDS if kind == _kind)
    _serve(sys.stdin.buffer, sys.stdout.buffer, Sides(Path(_folder), _chosen, _shared == "1", int(_longest)))
