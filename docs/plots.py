"""Plots of the results, as SVG that is generated like the tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape

WIDTH, LABELS, BAR, GAP = 760, 260, 20, 8
OURS, THEIRS, INK = "#0072b2", "#bbbbbb", "#333333"  # told apart without seeing colours: ours is the darker


def bars(title: str, values: Mapping[str, float], ours: Sequence[str]) -> str:
    """Horizontal bars with their values, longest first; those named in `ours` stand out."""
    ordered = sorted(values.items(), key=lambda item: -item[1])
    most, height = max(values.values()), 40 + len(values) * (BAR + GAP)
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img" font-family="sans-serif">',
        f"<title>{escape(title)}</title>",
        f'<rect width="{WIDTH}" height="{height}" fill="#ffffff"/>',
        f'<text x="12" y="24" font-size="15" font-weight="bold" fill="{INK}">{escape(title)}</text>',
    ]
    for place, (name, value) in enumerate(ordered):
        top, length = 40 + place * (BAR + GAP), value / most * (WIDTH - LABELS - 80)
        weight = ' font-weight="bold"' if name in ours else ""
        lines += [
            f'<text x="{LABELS - 8}" y="{top + 15}" text-anchor="end" font-size="13" fill="{INK}"{weight}>'
            f"{escape(name)}</text>",
            f'<rect x="{LABELS}" y="{top}" width="{length:.1f}" height="{BAR}" '
            f'fill="{OURS if name in ours else THEIRS}"/>',
            f'<text x="{LABELS + length + 6:.1f}" y="{top + 15}" font-size="13" fill="{INK}"{weight}>'
            f"{value:,.0f}</text>",
        ]
    return "\n".join([*lines, "</svg>"])
