"""The attention map as text for a terminal: source tokens across, target tokens down."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from ojak.errors import UseError
from ojak.look import labels
from ojak.look.drawing import Drawing, drawing
from ojak.look.scale import NIGHT, colour, nearest_256
from ojak.maps import Map
from ojak.result import Translation

NARROWEST = 16
_TALLEST_HEADER = 14
# (from this weight, the character that fills the cell)
_SHADES = ((0.75, "█"), (0.5, "▓"), (0.25, "▒"), (0.05, "░"), (0.0, "·"))

_BELOW = ((0.75, "≣"), (0.5, "≡"), (0.25, "="), (0.05, "-"), (0.0, "·"))


def terminal(shown: Translation | Map, view: str = "mean", width: int | None = None, color: bool | None = None) -> str:
    """A Map, or the attention map of a Translation, as text, no line wider than `width` columns, without a line end
    after the last line.

    `width` None is the terminal's own, or 80. `color` None is colour where standard output is a terminal and
    NO_COLOR is not set; 24-bit colour where COLORTERM says that there is, else 256 colours. Without colour, cells
    are filled with `· ░ ▒ ▓ █`, those below zero with `- = ≡ ≣`. A map that is too wide is folded into blocks. UseError
    where there is no attention.
    """
    if width is None:
        width = max(NARROWEST, shutil.get_terminal_size().columns)
    if width < NARROWEST:
        raise UseError(f"The width must be at least {NARROWEST} columns to hold a map; found {width}.")
    drawn = drawing(shown, view)
    cells = _Cells(_wants_colour() if color is None else color)
    notes = [line for note in drawn.notes for line in labels.wrap(note, width, 6, ems_wide=False)]
    lines = [*_caption(drawn, width), "", *_blocks(drawn, width, cells), "", *_legend(drawn, width, cells)]
    return "\n".join([*lines, *([""] if notes else []), *notes])


def _wants_colour() -> bool:
    return not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb" and sys.stdout.isatty()


class _Cells:
    """Paints one cell, by colour or by a filled character."""

    def __init__(self, coloured: bool) -> None:
        self.coloured = coloured
        self._many = os.environ.get("COLORTERM", "").lower() in ("truecolor", "24bit")

    def __call__(self, weight: float, width: int) -> str:
        if not self.coloured:
            shades = _SHADES if weight >= 0 else _BELOW
            return next((c for least, c in shades if abs(weight) >= least), "·") * width
        rgb = colour(weight, NIGHT)
        code = "2;{};{};{}".format(*rgb) if self._many else f"5;{nearest_256(weight)}"
        return f"\x1b[48;{code}m{' ' * width}\x1b[0m"

    def faint(self, text: str) -> str:
        return f"\x1b[2m{text}\x1b[0m" if self.coloured and text.strip() else text


def _caption(drawn: Drawing, width: int) -> list[str]:
    lines = [labels.elide(drawn.heading, width)]
    for name, text in (("source", drawn.text_in), ("target", drawn.text_out)):
        wrapped = labels.wrap(labels.for_terminal(text), width - 8, 4, ems_wide=False)
        lines += [f"{name if i == 0 else '':8}{line}".rstrip() for i, line in enumerate(wrapped)]
    return lines


def _legend(drawn: Drawing, width: int, cells: _Cells) -> list[str]:
    if cells.coloured:
        first, last = (f"-{drawn.most:.2f}", f"+{drawn.most:.2f}") if drawn.signed else ("0", "1")
        low = -1 if drawn.signed else 0
        steps = min(41, width - len(f"{drawn.unit} {first}  {last}"))
        if steps < 5:
            return [drawn.unit, f"{first} to {last}"]
        bar = "".join(cells(low + (1 - low) * i / (steps - 1), 1) for i in range(steps))
        return [f"{drawn.unit} {first} {bar} {last}"]
    steps_up = [(c, least * drawn.most) for least, c in reversed(_SHADES)]
    number = "{:.2f}" if drawn.signed else "{:g}"
    parts = [drawn.unit, f"· under {number.format(steps_up[1][1])}"]
    parts += [f"{character} from {number.format(least)}" for character, least in steps_up[1:]]
    if drawn.signed:
        parts += ["below zero", *(c for _, c in reversed(_BELOW[:-1]))]
    lines = [""]
    for part in parts:  # a part is never torn in two
        joined = f"{lines[-1]}  {part}".strip()
        lines = [*lines[:-1], joined] if labels.columns(joined) <= width else [*lines, part]
    return lines


@dataclass(frozen=True)
class _Columns:
    """How the source tokens stand: each column's width, and the space before it."""

    widths: Sequence[int]
    spaces: Sequence[int]
    upright: bool  # labels written across rather than down

    def total(self, first: int, last: int) -> int:
        return sum(self.widths[first:last]) + sum(self.spaces[first:last])


def _blocks(drawn: Drawing, width: int, cells: _Cells) -> list[str]:
    source = [labels.for_terminal(text) for text in drawn.source]
    # Pieces inside a word are set in by one column: the same as the gap before a word, turned on its side.
    marked = any(drawn.target_gaps) and not all(drawn.target_gaps[1:])
    rows = [
        (" " if marked and i > 0 and not drawn.target_gaps[i] else "") + labels.for_terminal(text)
        for i, text in enumerate(drawn.target)
    ]
    row_width = min(max(map(labels.columns, rows), default=0), max(6, width // 3))
    rows = [labels.pad(labels.elide(row, row_width), row_width) for row in rows]
    room = width - row_width

    laid = _lay(source, drawn.source_gaps, room)
    lines: list[str] = []
    for part in _fold(laid, len(source), room):
        if lines:
            lines.append("")
        lines += _block(drawn, source, rows, laid, part, cells, width)
    return lines


def _fold(laid: _Columns, count: int, room: int) -> list[tuple[int, int]]:
    """The columns in as few blocks as fit into `room`, of about the same width: no block of one last token."""

    def parts(limit: int) -> list[tuple[int, int]]:
        found: list[tuple[int, int]] = []
        first = 0
        while first < count:
            last = first + 1
            while last < count and laid.total(first, last + 1) <= limit:
                last += 1
            found.append((first, last))
            first = last
        return found

    best = parts(room)
    for limit in range(room - 1, 3, -1):
        narrower = parts(limit)
        if len(narrower) > len(best):
            break
        best = narrower
    return best


def _lay(source: list[str], gaps: Sequence[bool], room: int) -> _Columns:
    spaces = [2 if gap else 1 for gap in gaps]
    widths = [max(2, labels.columns(text)) for text in source]
    across = _Columns(widths, spaces, upright=True)
    if across.total(0, len(source)) <= room:
        return across
    return _Columns([2] * len(source), spaces, upright=False)


def _block(
    drawn: Drawing,
    source: list[str],
    rows: list[str],
    laid: _Columns,
    part: tuple[int, int],
    cells: _Cells,
    width: int,
) -> list[str]:
    """The lines of the columns `part[0]` to `part[1]`: header, then one line a target token."""
    first, last = part
    indent = " " * labels.columns(rows[0]) if rows else ""
    # The strongest source of each row in words, where the whole map stands in one block and there is room.
    used = len(indent) + laid.total(first, last)
    note_room = width - used - 2 if (first, last) == (0, len(source)) else 0
    noted = note_room >= 10
    lines = [(indent + line).rstrip() for line in _header(source[first:last], laid, first)]
    for place, (row, weights) in enumerate(zip(rows, drawn.weights, strict=True)):
        line = row + "".join(
            " " * laid.spaces[i] + cells(float(weights[i]) / drawn.most, laid.widths[i]) for i in range(first, last)
        )
        if noted and drawn.beside:
            line += "  " + cells.faint(labels.elide(drawn.beside[place], note_room))
        elif noted:
            strongest = int(abs(weights).argmax())
            number = drawn.number(float(weights[strongest]))
            line += "  " + cells.faint(f"{number} {labels.elide(source[strongest], note_room - len(number) - 1)}")
        lines.append(line)
    return lines


def _header(source: list[str], laid: _Columns, first: int) -> list[str]:
    """The source tokens above their columns: across, or one character below the other, standing on the map."""
    if laid.upright:
        return [
            "".join(" " * laid.spaces[i] + labels.pad(text, laid.widths[i]) for i, text in enumerate(source, first))
        ]
    stacks = []
    for text in source:
        stack = list(labels.clusters(text))
        stacks.append(stack if len(stack) <= _TALLEST_HEADER else [*stack[: _TALLEST_HEADER - 1], "⋮"])
    height = max(map(len, stacks), default=0)
    padded = [[""] * (height - len(stack)) + stack for stack in stacks]
    return [
        "".join(" " * laid.spaces[first + i] + labels.pad(stack[line], 2) for i, stack in enumerate(padded))
        for line in range(height)
    ]
