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


def slips(source: Lengths, target: Lengths) -> list[Slip]:
    """Runs of lines of equally long files that go together better when one side is moved by up to three lines."""
    one, other = _logs(source), _logs(target)
    found: list[Slip] = []
    for begin in range(0, len(one), WINDOW):
        end = min(begin + WINDOW, len(one))
        if end - begin < WINDOW // 4:
            break
        best, by = _correlation(one[begin:end], other[begin:end]) + LEAST, 0
        for shift in (s for s in range(-FARTHEST, FARTHEST + 1) if s):
            low, high = max(begin, begin - shift, 0), min(end, len(one) - shift)
            low = max(low, -shift)
            score = _correlation(one[low:high], other[low + shift : high + shift])
            if score > best:
                best, by = score, shift
        if not by:
            continue
        if found and found[-1].by == by and found[-1].last == begin:
            found[-1] = Slip(found[-1].first, end, by)
        else:
            found.append(Slip(begin + 1, end, by))
    return found


def _logs(lengths: Lengths) -> npt.NDArray[np.float64]:
    return np.log1p(np.asarray(lengths, dtype=np.float64))


def _correlation(one: npt.NDArray[np.float64], other: npt.NDArray[np.float64]) -> float:
    if len(one) < WINDOW // 8 or not one.std() or not other.std():
        return 0.0
    return float(np.corrcoef(one, other)[0, 1])
