"""Charts of figures, as SVG that needs nothing beside it.

Series are told apart by the shape of their marks and the dashes of their lines as well as by colour (after Okabe and
Ito, for any colour vision). A chart alone has colours for paper; a page that holds `STYLE` gives it its own, by the
custom properties `--ink`, `--soft`, `--line`, `--paper` and `--s0` to `--s5`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from ojak.look.labels import elide_ems, ems, visible

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#b5568f", "#8a6d00", "#3a8fc4")
DASHES = ("", "6 3", "2 3", "8 3 2 3", "4 2", "1 3")
OTHERS = "#bbbbbb"
WIDTH, LABELS, BAR, GAP = 760, 260, 20, 8
_INK = 'class="ink" fill="#1b2230"'
_SOFT = 'class="pale" fill="#5b6472"'
STYLE = (
    "svg .ink{fill:var(--ink)}svg .pale{fill:var(--soft)}svg .paper{fill:var(--paper)}svg .rule{stroke:var(--line)}"
    + "".join(f"svg .f{n}{{fill:var(--s{n})}}svg .l{n}{{stroke:var(--s{n})}}" for n in range(len(COLOURS)))
)
_FONT = "sans-serif"
_TALL = 190  # pixels of the plot of `lines`


@dataclass(frozen=True)
class Series:
    """A value for each category, or None; `low` and `high` are the ends of its interval, or all None."""

    name: str
    values: Sequence[float | None]
    low: Sequence[float | None] = ()
    high: Sequence[float | None] = ()

    def ends(self, place: int) -> tuple[float, float] | None:
        """The interval at a category."""
        low, high = (side[place] if side else None for side in (self.low, self.high))
        return None if low is None or high is None else (low, high)


@dataclass(frozen=True)
class Points:
    """Places of one kind in a plane, each with a name."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    said: Sequence[str]


def bars(title: str, values: Mapping[str, float], ours: Sequence[str]) -> str:
    """Horizontal bars with their values, longest first; those named in `ours` stand out."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    most, height = max(values.values()), 40 + len(values) * (BAR + GAP)
    parts = [_text(12, 24, title, 15, bold=True)]
    for place, (name, value) in enumerate(ordered):
        top, length, mine = 40 + place * (BAR + GAP), value / most * (WIDTH - LABELS - 80), name in ours
        fill = _filled(0) if mine else f'fill="{OTHERS}"'
        parts += [
            _text(LABELS - 8, top + 15, name, 13, "end", bold=mine),
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" {fill}/>',
            _text(LABELS + length + 6, top + 15, f"{value:,.0f}", 13, bold=mine),
        ]
    return _svg(title, WIDTH, height, parts)


def lines(
    title: str,
    names: Sequence[str],
    series: Sequence[Series],
    below: Sequence[str] = (),
    axis: str = "",
    digits: int = 1,
) -> str:
    """Values over categories that have an order, with their intervals; `below` is said under each name."""
    width, left = 460.0, 46.0
    legend, top = _legend(series, width, 34.0)
    top += 8
    bottom = top + _TALL
    ticks = _ticks(series)
    low, high = ticks[0], ticks[-1]
    step = (width - left - 10) / len(names)

    def y(value: float) -> float:
        return bottom - (value - low) / (high - low) * _TALL

    parts = [_text(8, 20, title, 14, bold=True), *legend]
    for tick in ticks:
        parts.append(_rule(left, y(tick), width - 6, y(tick)))
        parts.append(_text(left - 6, y(tick) + 4, f"{tick:g}", 11, "end", _SOFT))
    for place, name in enumerate(names):
        middle = left + step * (place + 0.5)
        parts.append(_text(middle, bottom + 16, elide_ems(name, step / 10), 11, "middle"))
        if below:
            parts.append(_text(middle, bottom + 30, below[place], 10, "middle", _SOFT))
    apart = min(8.0, step / (len(series) + 1))
    for number, one in enumerate(series):
        shift = (number - (len(series) - 1) / 2) * apart
        points = [
            (place, left + step * (place + 0.5) + shift, y(value), value)
            for place, value in enumerate(one.values)
            if value is not None
        ]
        path = " ".join(f"{_n(x)},{_n(at)}" for _, x, at, _ in points)
        parts.append(
            f'<polyline points="{path}" fill="none" {_stroked(number)} stroke-width="1.5" opacity=".75" '
            f'stroke-dasharray="{DASHES[number % len(DASHES)]}"/>'
        )
        for place, x, at, value in points:
            if (ends := one.ends(place)) is not None:
                parts.append(_whisker(x, y(ends[0]), x, y(ends[1]), number))
            parts.append(_mark(x, at, number, _said(one, names[place], place, value, digits)))
    height = bottom + (38 if below else 24)
    if axis:
        height += 14
        parts.append(_text(left, height - 8, axis, 11, "start", _SOFT))
    return _svg(title, width, height, parts)


def rows(title: str, names: Sequence[str], series: Sequence[Series], below: Sequence[str] = (), digits: int = 1) -> str:
    """Values of categories without an order: one row each, with intervals and the numbers; `below` is said beneath
    each name."""
    width, right = 560.0, 56.0
    shown = [elide_ems(name, 13) for name in names]
    left = 14 + max(13 * ems(name) for name in shown)
    legend, top = _legend(series, width, 34.0)
    top += 10
    ticks = _ticks(series)
    low, high = ticks[0], ticks[-1]
    each = max(16.0 * len(series), 32.0 if below else 18.0) + 8
    bottom = top + each * len(names)

    def x(value: float) -> float:
        return left + (value - low) / (high - low) * (width - left - right)

    parts = [_text(8, 20, title, 14, bold=True), *legend]
    for tick in ticks:
        parts.append(_rule(x(tick), top, x(tick), bottom))
        parts.append(_text(x(tick), bottom + 16, f"{tick:g}", 11, "middle", _SOFT))
    for place, name in enumerate(shown):
        middle = top + each * (place + 0.5)
        parts.append(_text(left - 8, middle + (-2 if below else 4), name, 13, "end"))
        if below:
            parts.append(_text(left - 8, middle + 12, below[place], 10, "end", _SOFT))
        for number, one in enumerate(series):
            value = one.values[place]
            if value is None:
                continue
            at = middle + (number - (len(series) - 1) / 2) * 16
            if (ends := one.ends(place)) is not None:
                parts.append(_whisker(x(ends[0]), at, x(ends[1]), at, number))
            parts.append(_mark(x(value), at, number, _said(one, names[place], place, value, digits)))
            parts.append(_text(width - 6, at + 4, f"{value:.{digits}f}", 11, "end"))
    return _svg(title, width, bottom + 26, parts)


def scatter(title: str, points: Sequence[Points], across: str, up: str, digits: int = 1) -> str:
    """Places in a plane whose x is on a logarithmic scale, where more is better both ways; a line joins those that no
    other beats in both (the Pareto front). `across` and `up` name the axes. All x must be above 0."""
    width, left = 620.0, 46.0
    series = [Series(one.name, one.y) for one in points]
    legend, top = _legend(series, width, 34.0)
    top += 22
    bottom = top + 1.4 * _TALL
    ticks, marks = _ticks(series), _powers([x for one in points for x in one.x])
    low, high = ticks[0], ticks[-1]
    first, last = math.log(marks[0]), math.log(marks[-1])

    def at(x: float, y: float) -> tuple[float, float]:
        share = (math.log(x) - first) / (last - first)
        return left + share * (width - left - 16), bottom - (y - low) / (high - low) * (bottom - top)

    parts = [_text(8, 20, title, 14, bold=True), *legend, _text(8, top - 8, up, 11, "start", _SOFT)]
    for tick in ticks:
        y = at(marks[0], tick)[1]
        parts += [_rule(left, y, width - 16, y), _text(left - 6, y + 4, f"{tick:g}", 11, "end", _SOFT)]
    for mark in marks:
        x = at(mark, low)[0]
        parts += [_rule(x, top, x, bottom), _text(x, bottom + 16, f"{mark:,g}", 11, "middle", _SOFT)]
    best = [at(x, y) for x, y in front([place for one in points for place in zip(one.x, one.y, strict=True)])]
    path = " ".join(f"{_n(x)},{_n(y)}" for x, y in best)
    parts.append(f'<polyline points="{path}" fill="none" class="rule" stroke="#d5dae2" stroke-width="3"/>')
    for number, one in enumerate(points):
        for x, y, said in zip(one.x, one.y, one.said, strict=True):
            parts.append(_mark(*at(x, y), number, f"{one.name}, {said}: {x:,.{digits}f}, {y:.{digits}f}"))
    parts.append(_text(left, bottom + 32, across, 11, "start", _SOFT))
    return _svg(title, width, bottom + 40, parts)


def front(places: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """The places (x, y) that no other reaches in both, from the least x to the most."""
    found: list[tuple[float, float]] = []
    for x, y in sorted(places, reverse=True):
        if not found or y > found[-1][1]:
            found.append((x, y))
    return found[::-1]


def swatch(number: int) -> str:
    """The mark of a series, to stand in a line of text."""
    return f'<svg width="14" height="14" viewBox="0 0 14 14" aria-hidden="true">{_mark(7, 7, number)}</svg>'


def _legend(series: Sequence[Series], width: float, y: float) -> tuple[list[str], float]:
    """The names of several series with their marks, and where they end; nothing for one."""
    if len(series) < 2:
        return [], y - 10
    parts, x = [], 12.0
    for number, one in enumerate(series):
        name = elide_ems(one.name, 24)
        wide = 28 + 12 * ems(name)
        if x > 12 and x + wide > width:
            x, y = 12.0, y + 18
        parts += [_mark(x + 6, y + 6, number), _text(x + 16, y + 10, name, 12)]
        x += wide
    return parts, y + 14


def _ticks(series: Sequence[Series]) -> list[float]:
    """Round numbers from below the least value or end of an interval to above the greatest."""
    every = [value for one in series for value in one.values if value is not None]
    every += [end for one in series for place in range(len(one.values)) for end in one.ends(place) or ()]
    least, most = min(every, default=0.0), max(every, default=1.0)
    if least >= 0 and least < most / 3:
        least = 0.0
    if most - least < 1e-8:  # ticks are rounded to 10 digits
        apart = abs(least) / 10 if abs(least) > 1e-6 else 1.0
        least, most = least - apart, most + apart
    rough = (most - least) / 5
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 2.5, 5, 10) if factor * power >= rough * 0.999)
    first, last = math.floor(least / step + 1e-9), math.ceil(most / step - 1e-9)
    return [round(number * step, 10) for number in range(first, last + 1)]


def _powers(values: Sequence[float]) -> list[float]:
    """1, 2 and 5 times powers of ten, from below the least value to above the greatest."""
    least, most = min(values), max(values)
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    every = [factor * 10.0**power for power in range(low - 1, high + 1) for factor in (1, 2, 5)]
    first = max(place for place, value in enumerate(every) if value <= least)
    last = next(place for place, value in enumerate(every) if value >= most and place > first)
    return every[first : last + 1]


def _said(one: Series, name: str, place: int, value: float, digits: int) -> str:
    ends = one.ends(place)
    within = f" ({ends[0]:.{digits}f} to {ends[1]:.{digits}f})" if ends else ""
    return f"{one.name}, {name}: {value:.{digits}f}{within}"


def _mark(x: float, y: float, number: int, said: str = "") -> str:
    """The mark of a series: circle, square, triangle, diamond, cross, triangle on its head."""
    a, b = 4.0, 5.0
    shapes = (
        f"M{_n(x - a)} {_n(y)}a{a} {a} 0 1 0 {2 * a} 0a{a} {a} 0 1 0 {-2 * a} 0",
        f"M{_n(x - a)} {_n(y - a)}h{2 * a}v{2 * a}h{-2 * a}z",
        f"M{_n(x)} {_n(y - b)}l{b} {2 * a}h{-2 * b}z",
        f"M{_n(x)} {_n(y - b)}l{b} {b}l{-b} {b}l{-b} {-b}z",
        f"M{_n(x - a)} {_n(y - a)}l{2 * a} {2 * a}m0 {-2 * a}l{-2 * a} {2 * a}",
        f"M{_n(x)} {_n(y + b)}l{b} {-2 * a}h{-2 * b}z",
    )
    thin = number % len(shapes) == 4  # a cross has no inside
    how = f'{_stroked(number)} stroke-width="2" fill="none"' if thin else _filled(number)
    title = f"<title>{_escaped(said)}</title>" if said else ""
    return f'<path d="{shapes[number % len(shapes)]}" {how}>{title}</path>'


def _whisker(x1: float, y1: float, x2: float, y2: float, number: int) -> str:
    return (
        f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" '
        f'{_stroked(number)} stroke-width="2" opacity=".55"/>'
    )


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{_n(x1)}" y1="{_n(y1)}" x2="{_n(x2)}" y2="{_n(y2)}" class="rule" stroke="#d5dae2"/>'


def _text(x: float, y: float, text: str, size: int, anchor: str = "start", fill: str = _INK, bold: bool = False) -> str:
    weight = ' font-weight="bold"' if bold else ""
    return (
        f'<text x="{_n(x)}" y="{_n(y)}" font-size="{size}" text-anchor="{anchor}" {fill}{weight}>'
        f"{_escaped(text)}</text>"
    )


def _svg(title: str, width: float, height: float, parts: Sequence[str]) -> str:
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_n(width)} {_n(height)}" role="img" '
            f'font-family="{_FONT}" style="max-width:{_n(width)}px">',
            f"<title>{_escaped(title)}</title>",
            f'<rect width="{_n(width)}" height="{_n(height)}" class="paper" fill="#ffffff"/>',
            *parts,
            "</svg>",
        ]
    )


def _filled(number: int) -> str:
    place = number % len(COLOURS)
    return f'class="f{place}" fill="{COLOURS[place]}"'


def _stroked(number: int) -> str:
    place = number % len(COLOURS)
    return f'class="l{place}" stroke="{COLOURS[place]}"'


def _escaped(text: str) -> str:
    return escape(visible(text), quote=True)


def _n(value: float) -> str:
    return f"{value:.1f}".removesuffix(".0")
