"""Labels and groups in files of their own, `talk.labels` and `talk.groups` beside `talk.tsv`, one a line."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout
from ojak.corpus.lines import text_lines
from ojak.corpus.unpack import PACKED, unpacked_name
from ojak.errors import DataError

Row = tuple[int, Sequence[str]]


class Beside:
    """Goes through the files beside a file of pairs while its rows are read."""

    def __init__(self, path: Path, labels: Path | None, groups: Path | None) -> None:
        self._path = path
        self._labels, self._groups = (_Follower(file) for file in (labels, groups))

    @classmethod
    def of(cls, path: Path) -> Beside | None:
        """The files beside `path`; None where there are none."""
        stem = unpacked_name(path).with_suffix("")
        found: list[Path | None] = []
        for kind in (".labels", ".groups"):
            names = [stem.with_name(stem.name + kind + end) for end in ("", *PACKED)]
            found.append(next((name for name in names if os.path.exists(name)), None))
        return cls(path, *found) if any(found) else None

    def followed(self, rows: Iterable[Row]) -> Iterator[Row]:
        """The rows. Raises DataError behind the last one where the files are not as long."""
        number = 0
        for number, cells in rows:
            for file in (self._labels, self._groups):
                file.go(number)
            yield number, cells
        for file in (self._labels, self._groups):
            count = file.rest(number)
            if count != number:
                raise DataError(
                    f"{file.path} must hold one line for each line of {self._path}, but it has {count} lines and the "
                    f"other {number}. Make the counts equal, or move it away."
                )

    def label(self, number: int) -> str:
        """The label of a line that was read last, or some lines before it."""
        return self._labels.at(number)

    def group(self, number: int) -> str:
        """The same for the group."""
        return self._groups.at(number)


class _Follower:
    """A window on the lines of a file."""

    def __init__(self, path: Path | None) -> None:
        self.path = path
        self._lines: Iterator[str] = iter(())
        self._faults = Faults(str(path), must="hold text", remedy="Save the file as UTF-8.")
        if path is not None:
            self._lines = text_lines(path, Layout(), Notes(), self._faults)
        self._window: deque[str] = deque(maxlen=256)  # more than a table looks ahead
        self._count = 0

    def go(self, number: int) -> None:
        if self.path is None:
            return
        while self._count < number and (line := next(self._lines, None)) is not None:
            self._count += 1
            self._window.append(line)

    def at(self, number: int) -> str:
        place = number - self._count - 1
        return self._window[place].strip() if self.path is not None and -len(self._window) <= place < 0 else ""

    def rest(self, number: int) -> int:
        """How many lines there are; as many as `number` where there is no file."""
        if self.path is None:
            return number
        self._count += sum(1 for _ in self._lines)
        self._faults.report()
        return self._count
