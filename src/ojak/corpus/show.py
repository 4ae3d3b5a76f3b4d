"""An inspection for a reader: in the terminal, and as a page that works offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template

from ojak.corpus.inspect import MANY, SIDES, Inspection, bar_names
from ojak.corpus.pair import Pair

WIDTH = 40  # characters of the longest bar
SAID = 60  # characters shown of a text in the terminal

Row = tuple[str, ...]


def terminal(found: Inspection) -> str:
    """Plain text."""
    lines = [found.name, *(f"  {name:34}{'':2}{value}" for name, value in _counts(found))]
    for name, side in zip(SIDES, found.sides, strict=True):
        lines += ["", f"{name}: texts by length in tokens"]
        most = max(side.bars) or 1
        lines += [
            f"  {bar:>9}{count:>12,}  {'█' * round(WIDTH * count / most)}".rstrip()
            for bar, count in zip(bar_names(), side.bars, strict=True)
        ]
    if found.labels:
        lines += ["", "labels", *(f"  {count:>12,}  {label}" for label, count in _labels(found))]
    lines += ["", f"{len(found.drawn)} pairs at random"]
    for pair in found.drawn:
        lines += [f"  {_short(pair.source)}", f"    {_short(pair.target)}{_of(pair)}"]
    lines += ["", *(f"WARNING {warning}" for warning in found.warnings)]
    return "\n".join(lines).rstrip()


def page(found: Inspection) -> str:
    """HTML."""
    parts = [_table([(name, value) for name, value in _counts(found)])]
    if found.warnings:
        items = "".join(f"<li>{escape(warning)}</li>" for warning in found.warnings)
        parts += ["<h2>Warnings</h2>", f'<ul class="warn">{items}</ul>']
    for name, side in zip(SIDES, found.sides, strict=True):
        parts.append(f"<h2>{name.capitalize()}: texts by length in tokens</h2>")
        parts.append(_bars(list(zip(bar_names(), side.bars, strict=True))))
    if found.labels:
        parts += ["<h2>Labels</h2>", _bars(_labels(found))]
    parts.append(f"<h2>{len(found.drawn)} pairs at random</h2>")
    parts.append(_table([(pair.source, pair.target, _of(pair).strip()) for pair in found.drawn]))
    template = Template((files("ojak.corpus") / "page.html").read_text(encoding="utf-8"))
    return template.substitute(title=escape(found.name), body="\n".join(parts))


def _counts(found: Inspection) -> list[tuple[str, str]]:
    rows = [
        ("pairs", f"{found.pairs:,}"),
        ("pairs that came before", f"{found.repeated:,}"),
        ("rows without text", f"{found.empty:,}"),
        ("groups (conversations)", f"{found.groups:,}"),
    ]
    for name, side in zip(SIDES, found.sides, strict=True):
        texts = max(1, found.pairs)
        letters = max(1, side.scripts.total())
        of_scripts = [f"{script} {count / letters:.0%}" for script, count in side.scripts.most_common(4)]
        rows += [
            (f"{name}: tokens, a text", f"{side.tokens:,}, {side.tokens / texts:.1f}"),
            (
                f"{name}: characters, a text, longest",
                f"{side.characters:,}, {side.characters / texts:.1f}, {side.longest:,}",
            ),
            (f"{name}: different texts", f"{side.different:,}"),
            (f"{name}: letters", ", ".join(of_scripts) or "none"),
        ]
    return rows


def _labels(found: Inspection) -> list[tuple[str, int]]:
    common = found.labels.most_common(MANY)
    rest = found.labels.total() - sum(count for _, count in common)
    none = found.pairs - found.labels.total()
    more = [(f"{len(found.labels) - MANY} others", rest)] if rest else []
    return [*common, *more, *([("no label", none)] if none else [])]


def _bars(rows: Sequence[tuple[str, int]]) -> str:
    most = max((count for _, count in rows), default=1) or 1
    cells = (
        f'<tr><td>{escape(name)}<td class="n">{count:,}<td style="width:60%">'
        f'<div class="bar" style="width:{100 * count / most:.1f}%"></div>'
        for name, count in rows
    )
    return f"<table>{''.join(cells)}</table>"


def _table(rows: Sequence[Row]) -> str:
    return f"<table>{''.join('<tr>' + ''.join(f'<td>{escape(cell)}' for cell in row) for row in rows)}</table>"


def _of(pair: Pair) -> str:
    said = ", ".join(part for part in (pair.label, pair.group and f"group {pair.group}") if part)
    return f"  [{said}]" if said else ""


def _short(text: str) -> str:
    shown = "".join(letter if letter.isprintable() else "�" for letter in text)
    return shown if len(shown) <= SAID else shown[: SAID - 1] + "…"
