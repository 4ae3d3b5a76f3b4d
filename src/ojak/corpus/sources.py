"""The files that a recipe names, as streams of pairs in the direction of translation, read as often as is needed."""

from __future__ import annotations

import itertools
import os
import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from ojak.config import DataConfig
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, read_pairs, stream_pairs
from ojak.corpus.split import HeldOut, choose
from ojak.errors import DataError

EVERY = 5.0  # seconds between messages of progress

Tell = Callable[[str], None]
"""is given a message for the user"""


class Files:
    """The files of a recipe, as streams of pairs in the direction of translation."""

    def __init__(self, data: DataConfig, tell: Tell) -> None:
        self.data, self._tell = data, tell
        self.paths = [files_of([path]) for path in data.pairs]
        self.links = _beside(self.paths, data)
        """the alignments of each file; empty where it has none"""
        self.notes = Notes()
        """of the last reading"""
        self.layout = Layout.of(data)

    def corpora(self) -> list[Iterator[Pair]]:
        """A stream for each entry of `data.pairs`, to be read one after the other."""
        self.notes = Notes()
        return [self._stream(paths, links) for paths, links in zip(self.paths, self.links, strict=True)]

    def survey(self, seed: int) -> HeldOut:
        """Counts the pairs, and sets some aside where no file of them is named."""
        pairs = itertools.chain.from_iterable(self.corpora())
        counted = self._timed(pairs, "read {done:,} pairs, {speed:,.0f} a second")
        if self.data.dev:
            held = HeldOut({"dev": self.dev()}, set(), sum(1 for _ in counted))
            held.forget()  # what is in files of the user's own is the user's business; `ojak corpus leaks` tells
        else:
            held = choose(counted, {"dev": self.data.held_out}, seed)
        for message in dict.fromkeys(self.notes.messages):
            self._tell(message)
        return held

    def dev(self) -> list[Pair]:
        """The pairs of the files to validate on."""
        pairs = read_pairs(self.data.dev, self.layout, self.notes)
        return [pair.turned() for pair in pairs] if self.data.reverse else pairs

    def training(self, held: HeldOut) -> list[Iterator[Pair]]:
        """The streams without the pairs set aside and what would leak of them."""
        held.begin()
        return [held.training(pairs) for pairs in self.corpora()]

    def seals(self) -> dict[str, list[int]]:
        """Size and time of each file."""
        read = {part for paths in self.paths for path in paths for part in _parts(path)}
        return seals(sorted(read.union(filter(None, itertools.chain.from_iterable(self.links)))))

    def _stream(self, paths: list[str], links: list[str]) -> Iterator[Pair]:
        for path, beside in zip(paths, links, strict=True):
            pairs = stream_pairs(path, self.layout, self.notes, whole=True, links=beside)
            yield from (pair.turned() for pair in pairs) if self.data.reverse else pairs

    def _timed(self, pairs: Iterable[Pair], message: str) -> Iterator[Pair]:
        clock = Clock(self._tell)
        for number, pair in enumerate(pairs):
            if number % 65536 == 65535:
                clock.tell(message, number)
            yield pair


def _beside(paths: list[list[str]], data: DataConfig) -> list[list[str]]:
    """The files of alignments for the files of each entry of `data.pairs`. Raises DataError where they differ in
    number."""
    found = []
    for files, pairs, links in zip(paths, data.pairs, data.alignments or [""] * len(paths), strict=True):
        found.append(files_of([links]) if links else [""] * len(files))
        if len(found[-1]) != len(files):
            raise DataError(
                f"There must be a file of alignments for each file of pairs, but {links} names {len(found[-1])} for "
                f"{len(files)} of {pairs}. Mend one of them."
            )
    return found


def _parts(path: str) -> list[str]:
    return [path] if os.path.exists(path) else path.split(",")


def seals(paths: Iterable[str]) -> dict[str, list[int]]:
    found = {path: os.stat(path) for path in paths}
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in found.items()}


@dataclass
class Clock:
    """Tells how far something is, now and then."""

    to: Tell
    begun: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def tell(self, message: str, done: int, total: int = 0, left: float = 0.0) -> None:
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        minutes, seconds = divmod(round(left), 60)
        said = {"done": done, "total": total, "speed": done / (now - self.begun), "left": f"{minutes}:{seconds:02d}"}
        self.to(message.format_map(said))
