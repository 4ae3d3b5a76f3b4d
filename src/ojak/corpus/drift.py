"""Where two files that should go line by line do not, told by the lengths of their lines.

A sentence and its translation are long together (Gale and Church 1993): the difference of the logarithms of their
lengths, less its median, is near 0 for pairs, and larger for lines that have nothing to do with each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

WINDOW = 200  # lines judged together
FARTHEST = 3  # lines that a slip may be
LEAST = 0.4  # by which the correlation of lengths must grow

Lengths = Sequence[int]


@dataclass(frozen=True, slots=True)
class Slip:
    """Lines, counted from 1, where source i goes with target i + `by`."""

    first: int
    last: int
    by: int


def first_slip(source: Lengths, target: Lengths) -> int:
    """The line, counted from 1, behind which lines of unequal files match best when the rest is moved by the
    difference of the counts. Takes the lengths of all lines."""
    one, other = _logs(source), _logs(target)
    more = len(other) - len(one)
    middle = float(np.median(one) - np.median(other)) if len(one) and len(other) else 0.0
    short = min(len(one), len(other))
    straight = np.abs(one[:short] - other[:short] - middle)
    moved = np.abs(one[max(0, -more) :] - other[max(0, more) :] - middle)  # aligned at their ends
    before = np.concatenate([[0.0], np.cumsum(straight)])
    after = np.concatenate([np.cumsum(moved[::-1])[::-1], [0.0]])
    return int(np.argmin(before + after)) + 1


class Watch:
    """Finds runs of lines that go together better when one side is moved by up to three lines, while the lengths of
    the lines go by: memory holds a window of them."""

    def __init__(self) -> None:
        self._sides: tuple[list[int], list[int]] = ([], [])
        self._before = 0
        self._found: list[Slip] = []

    def add(self, source: int, target: int) -> None:
        """The lengths of the next line."""
        one, other = self._sides
        one.append(source)
        other.append(target)
        if len(one) == WINDOW + FARTHEST:
            self._judge()

    def slips(self) -> list[Slip]:
        """The runs, behind the last line."""
        self._judge()
        return self._found

    def _judge(self) -> None:
        """Looks at the lines of a window, and lets them go."""
        one, other = map(_logs, self._sides)
        end = min(WINDOW, len(one))
        if end < WINDOW // 4:
            return
        best, by = _correlation(one[:end], other[:end]) + LEAST, 0
        for shift in (s for s in range(-FARTHEST, FARTHEST + 1) if s):
            low, high = max(0, -shift), min(end, len(one) - shift)
            score = _correlation(one[low:high], other[low + shift : high + shift])
            if score > best:
                best, by = score, shift
        before, self._before = self._before, self._before + end
        for side in self._sides:
            del side[:end]
        if by and self._found and self._found[-1].by == by and self._found[-1].last == before:
            self._found[-1] = Slip(self._found[-1].first, self._before, by)
        elif by:
            self._found.append(Slip(before + 1, self._before, by))


def _logs(lengths: Lengths) -> npt.NDArray[np.float64]:
    return np.log1p(np.asarray(lengths, dtype=np.float64))


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    if len(one) < WINDOW // 8 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
