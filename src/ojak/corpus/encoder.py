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


@dataclass(frozen=True, slots=True)
class Block:
    """The pairs of a block that fit the model."""

    lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    ids: tuple[npt.NDArray[np.uint32], npt.NDArray[np.uint32]]
    skipped: int
    """pairs with a side that is empty or too long"""


def encode_block(texts: tuple[str, str], source: Tokenizer, target: Tokenizer, longest: int) -> Block:
    """The ids of sources and targets, each given as one text a line, without the pairs that do not fit."""
    (ids, lengths), (other_ids, other_lengths) = source.encode_lines(texts[0]), target.encode_lines(texts[1])
    fits = (lengths > 0) & (lengths <= longest) & (other_lengths > 0) & (other_lengths <= longest)
    if not fits.all():
        ids, other_ids = ids[np.repeat(fits, lengths)], other_ids[np.repeat(fits, other_lengths)]
        lengths, other_lengths = lengths[fits], other_lengths[fits]
    return Block((lengths, other_lengths), (ids, other_ids), int((~fits).sum()))


def encode_blocks(blocks: Iterable[tuple[str, str]], sides: Sides, processes: int) -> Iterator[Block]:
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

        def ask(block: tuple[str, str]) -> Block:
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


def _ask(child: subprocess.Popen[bytes], block: tuple[str, str]) -> Block:
    assert child.stdin is not None and child.stdout is not None
    source, target = (text.encode("utf-8", "replace") for text in block)
    try:
        child.stdin.write(struct.pack("<QQ", len(source), len(target)) + source)
        child.stdin.write(target)
        child.stdin.flush()
        pairs, skipped, *tokens = struct.unpack("<4Q", _read(child.stdout, 32))
        parts: list[Any] = [
            np.frombuffer(_read(child.stdout, count * width), dtype=kind)
            for count, width, kind in (
                (pairs, 8, np.int64),
                (pairs, 8, np.int64),
                (tokens[0], 4, np.uint32),
                (tokens[1], 4, np.uint32),
            )
        ]
    except (OSError, EOFError, ValueError) as error:
        raise OjakError(f"A process that turns text into ids has ended early ({error}); is memory short?") from None
    return Block((parts[0], parts[1]), (parts[2], parts[3]), skipped)


def _read(pipe: Any, size: int) -> bytes:
    data: bytes = pipe.read(size)
    if len(data) != size:
        raise EOFError("it said no more")
    return data


def _serve(asked: BinaryIO, told: BinaryIO, sides: Sides) -> None:
    """Answers blocks until there are no more."""
    source, target = sides.load()
    while len(head := asked.read(16)) == 16:
        sizes = struct.unpack("<QQ", head)
        texts = [asked.read(size).decode("utf-8") for size in sizes]
        block = encode_block((texts[0], texts[1]), source, target, sides.longest)
        told.write(struct.pack("<4Q", len(block.lengths[0]), block.skipped, *(len(ids) for ids in block.ids)))
        for array in (*block.lengths, *block.ids):
            told.write(array.tobytes())
        told.flush()


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent hears it too, and ends this process
    _folder, _kind, _shared, _longest = sys.argv[1:]
    _chosen = next(kind for kind in KINDS if kind == _kind)
    _serve(sys.stdin.buffer, sys.stdout.buffer, Sides(Path(_folder), _chosen, _shared == "1", int(_longest)))
