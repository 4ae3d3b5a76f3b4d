"""The attention map as one self-contained SVG: source tokens on top, target tokens at the left."""

from __future__ import annotations

import math
from dataclasses import dataclass
from html import escape
from itertools import accumulate

from ojak.look import labels
from ojak.look.drawing import Drawing, drawing
from ojak.look.scale import is_dark, web
from ojak.maps import Map
from ojak.result import Translation

# Fonts with Hangul first, by the names that each system gives them: any browser then finds one.
FONTS = (
    "'Noto Sans KR','Noto Sans CJK KR','Apple SD Gothic Neo','Malgun Gothic','Nanum Gothic',NanumGothic,"
    "'Nanum Barun Gothic',NanumBarunGothic,Pretendard,sans-serif"
)
_INK, _SOFT = "#1b2230", "#5b6472"
_MARGIN = 16.0
_NARROWEST = 380.0  # so that the caption has room over a map of three words
_LONGEST_LABEL = 14.0  # in ems; longer ones are cut here and whole in the cell's title
_GAP = 0.15  # before a word, as a share of a row
# Beyond this many cells, those that would read 0.00 are left out: a map of 500 by 500 still opens in a browser.
_ALL_CELLS = 10_000


def svg(shown: Translation | Map, view: str = "mean") -> str:
    """A Map, or the attention map of a Translation, as an SVG document, with the sentence, its translation and a scale.

    Each cell has a title, shown while the pointer is over it: `source → target: 0.83`. Korean is text, so the
    reader's own font draws it. UseError where there is no attention or no such view.
    """
    return draw(drawing(shown, view))


@dataclass(frozen=True)
class _Layout:
    """Where everything stands. `x` (S) and `y` (T) are the near edges of the columns and rows."""

    font: float
    row: float
    column: float
    angle: float  # of the source labels in degrees, 0 where they stand straight
    x: list[float]
    y: list[float]
    right: float
    bottom: float
    overhang: float  # of the last slanted labels, or of what stands beside the rows, beyond the map
    source: list[str]
    target: list[str]


def _edges(start: float, size: float, gap: float, gaps: tuple[bool, ...]) -> tuple[list[float], float]:
    edges = list(accumulate((size + gap * gapped for gapped in gaps[1:]), initial=start)) if gaps else []
    return edges, (edges[-1] + size if edges else start)


def _layout(drawn: Drawing, top: float) -> _Layout:
    longest = max(len(drawn.source), len(drawn.target), 1)
    row = min(40.0, max(16.0, round(620 / longest)))
    font = min(14.0, round(row * 0.72, 1))
    source = [labels.elide_ems(text, _LONGEST_LABEL) for text in drawn.source]
    target = [labels.elide_ems(text, _LONGEST_LABEL) for text in drawn.target]
    widest = font * max(map(labels.ems, source), default=0)

    # Straight labels read best, so columns are widened for them as long as the map stays a map.
    straight = widest + 8
    if straight <= max(row * 1.7, min(130.0, 560 / max(1, len(source)))):
        column, angle = max(row, straight), 0.0
        above = font * 1.7
    else:
        column = row
        # Steeper where rows of letters would otherwise lie upon each other.
        angle = next((a for a in (45.0, 60.0) if row * math.sin(math.radians(a)) >= font * 1.2), 90.0)
        above = widest * math.sin(math.radians(angle)) + font * 1.2
    left = _MARGIN + font * max(map(labels.ems, target), default=0) + 10
    left = max(left, _MARGIN + 62)  # the words "source" and "target" stand in the corner
    x, right = _edges(left, column, _GAP * row, drawn.source_gaps)
    ends = [
        x0 + column / 2 + font * labels.ems(text) * math.cos(math.radians(angle))
        for x0, text in zip(x, source, strict=True)
        if angle
    ]
    beside = 10 + 11 * max(map(labels.ems, drawn.beside), default=0) if drawn.beside else 0.0
    overhang = max(0.0, beside, max(ends, default=right) - right)
    y, bottom = _edges(top + max(above, 26.0), row, _GAP * row, drawn.target_gaps)
    return _Layout(font, row, column, angle, x, y, right, bottom, overhang, source, target)


def draw(drawn: Drawing) -> str:
    """The SVG document of a drawing."""
    # The caption's height depends on the map's width and the map's place on the caption's height: width first.
    sketch = _layout(drawn, 0.0)
    width = max(_NARROWEST, sketch.right + sketch.overhang + _MARGIN)
    caption, top = _caption(drawn, width)
    laid = _layout(drawn, top)
    foot, height = _scale(drawn, laid.x[0] if laid.x else _MARGIN, laid.bottom + 18)
    notes, height = _notes(drawn, height, width)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" width="{_n(width)}" '
        f'height="{_n(height)}" role="img" font-family="{FONTS}" fill="{_INK}">',
        f"<title>{_text(drawn.heading.replace(': ', ', '))}</title>",
        f"<desc>{_text(f'{drawn.text_in} → {drawn.text_out}')}</desc>",
        f'<rect width="{_n(width)}" height="{_n(height)}" fill="#ffffff"/>',
        *caption,
        *_labels(drawn, laid, top),
        *_cells(drawn, laid),
        *foot,
        *notes,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _caption(drawn: Drawing, width: float) -> tuple[list[str], float]:
    """The view's name, the sentence and its translation; and where the map may begin below them."""
    room = width - 2 * _MARGIN
    y = _MARGIN + 14
    title = labels.elide_ems(drawn.heading, room / 15)
    parts = [f'<text x="{_n(_MARGIN)}" y="{_n(y)}" font-size="15" font-weight="bold">{_text(title)}</text>']
    y += 6
    for name, text in (("source", drawn.text_in), ("target", drawn.text_out)):
        for place, line in enumerate(labels.wrap(text, (room - 52) / 13, 6, ems_wide=True)):
            y += 18
            if place == 0:
                parts.append(f'<text x="{_n(_MARGIN)}" y="{_n(y)}" font-size="11" fill="{_SOFT}">{name}</text>')
            parts.append(f'<text x="{_n(_MARGIN + 52)}" y="{_n(y)}" font-size="13"{_lang(text)}>{_text(line)}</text>')
    return parts, y + 14


def _labels(drawn: Drawing, laid: _Layout, top: float) -> list[str]:
    if not laid.x or not laid.y:
        return []
    first_row = laid.y[0]
    base = first_row - 6
    parts = [
        f'<g font-size="10" fill="{_SOFT}" text-anchor="end">'
        f'<text x="{_n(laid.x[0] - 8)}" y="{_n(first_row - 17)}">{drawn.axes[0]} →</text>'
        f'<text x="{_n(laid.x[0] - 8)}" y="{_n(first_row - 5)}">{drawn.axes[1]} ↓</text></g>'
    ]
    anchor = "middle" if laid.angle == 0 else "start"
    parts.append(f'<g font-size="{_n(laid.font)}" text-anchor="{anchor}"{_lang(" ".join(drawn.source))}>')
    for x, text in zip(laid.x, laid.source, strict=True):
        middle = x + laid.column / 2
        if laid.angle == 0:
            parts.append(f'<text x="{_n(middle)}" y="{_n(base)}">{_text(text)}</text>')
        else:
            # The letters' middle line, not their feet, should run through the middle of the column.
            shift = laid.font * 0.35 * math.sin(math.radians(laid.angle))
            place = f"translate({_n(middle + shift)} {_n(base)}) rotate({_n(-laid.angle)})"
            parts.append(f'<text transform="{place}">{_text(text)}</text>')
    parts.append(f'</g><g font-size="{_n(laid.font)}" text-anchor="end"{_lang(" ".join(drawn.target))}>')
    for y, text in zip(laid.y, laid.target, strict=True):
        middle = y + laid.row / 2 + laid.font * 0.35
        parts.append(f'<text x="{_n(laid.x[0] - 8)}" y="{_n(middle)}">{_text(text)}</text>')
    parts.append("</g>")
    for y, text in zip(laid.y, drawn.beside, strict=False):
        place = f'x="{_n(laid.right + 8)}" y="{_n(y + laid.row / 2 + 4)}"'
        parts.append(f'<text {place} font-size="11" fill="{_SOFT}">{_text(text)}</text>')
    return parts


def _cells(drawn: Drawing, laid: _Layout) -> list[str]:
    every = drawn.weights.size <= _ALL_CELLS
    line = 1.0 if laid.row >= 20 else 0.5  # the white grid
    numbers: list[str] = []
    parts = ["<g>"]
    if not every:  # one pale ground stands for the cells left out
        x, y = laid.x[0], laid.y[0]
        parts.append(
            f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(laid.right - x)}" height="{_n(laid.bottom - y)}" '
            f'fill="{web(0)}"/>'
        )
    for t, y in enumerate(laid.y):
        for s, x in enumerate(laid.x):
            weight = float(drawn.weights[t, s])
            share = weight / drawn.most
            if not every and abs(share) < 0.005:
                continue
            title = _text(f"{drawn.source[s]} → {drawn.target[t]}: {drawn.number(weight)}")
            parts.append(
                f'<rect x="{_n(x)}" y="{_n(y)}" width="{_n(laid.column - line)}" height="{_n(laid.row - line)}" '
                f'fill="{web(share)}"><title>{title}</title></rect>'
            )
            if laid.row >= 30 and abs(share) >= 0.05:
                ink = "#ffffff" if is_dark(share) else _INK
                numbers.append(
                    f'<text x="{_n(x + (laid.column - line) / 2)}" y="{_n(y + laid.row / 2 + 3.5)}" '
                    f'fill="{ink}">{drawn.number(weight)}</text>'
                )
    parts.append("</g>")
    # Above all cells, and not in the pointer's way, so that the titles of the cells still show.
    return [*parts, '<g font-size="10.5" text-anchor="middle" pointer-events="none">', *numbers, "</g>"]


def _notes(drawn: Drawing, top: float, width: float) -> tuple[list[str], float]:
    """The lines below the scale; and the height of the whole figure."""
    parts, y = [], top + 4
    for note in drawn.notes:
        for line in labels.wrap(note, (width - 2 * _MARGIN) / 11, 6, ems_wide=True):
            parts.append(f'<text x="{_n(_MARGIN)}" y="{_n(y)}" font-size="11" fill="{_SOFT}">{_text(line)}</text>')
            y += 15
    return parts, y + (4 if parts else 0)


def _scale(drawn: Drawing, x: float, y: float) -> tuple[list[str], float]:
    """The scale bar, from 0 or from below it, with its name; and the height of the figure so far."""
    steps, step = 50, 4
    x, y = round(x), round(y)  # on whole pixels no seams show between the steps
    parts = [f'<g font-size="11" fill="{_SOFT}">', '<g shape-rendering="crispEdges">']
    parts.append(f'<rect x="{x - 1}" y="{y - 1}" width="{steps * step + 2}" height="14" fill="#c3c9d2"/>')
    # Small steps rather than a gradient: a gradient needs an id, and one page may hold many figures.
    for i in range(steps):
        fill = web((2 * i + 1) / steps - 1 if drawn.signed else (i + 0.5) / steps)
        parts.append(f'<rect x="{x + i * step}" y="{y}" width="{step}" height="12" fill="{fill}"/>')
    parts.append("</g>")
    for tick in (0.0, 0.25, 0.5, 0.75, 1.0):
        place = x + steps * step * tick
        value = (2 * tick - 1) * drawn.most if drawn.signed else tick
        told = f"{value:+.2g}" if drawn.signed and value else f"{value:g}"
        parts.append(f'<text x="{_n(place)}" y="{_n(y + 25)}" text-anchor="middle">{told}</text>')
    parts.append(f'<text x="{_n(x + steps * step + 12)}" y="{_n(y + 10)}">{drawn.unit}</text></g>')
    return parts, y + 25 + _MARGIN


def _lang(text: str) -> str:
    code = labels.language(text)
    return f' xml:lang="{code}"' if code else ""


def _text(text: str) -> str:
    return escape(text, quote=True)


def _n(value: float) -> str:
    """A coordinate: a tenth of a pixel is enough, and keeps large maps small."""
    return f"{value:.1f}".removesuffix(".0")
