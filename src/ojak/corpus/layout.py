"""Where in a file the two sides stand: columns by name or number, or recognised by their headers."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Literal

from ojak.errors import DataError

Header = Literal["auto", "yes", "no"]

_HANGUL = re.compile(r"[\uac00-\ud7a3]")
_SOURCES = {"source", "src", "source text", "source sentence"}
_TARGETS = {"target", "tgt", "trg", "translation", "target text", "target sentence"}
_LABELS = ("label", "domain", "대분류", "자동분류1")  # the first of them that is there
_GROUPS = ("group", "conversation", "dialogue", "set nr.")
_AIHUB = ("원문", "번역문")  # Korean and English in the corpora of 2019, whatever the direction of a later one
_LANGUAGES = {
    "ar": {"arabic", "아랍어"},
    "de": {"german", "deutsch", "독일어"},
    "en": {"eng", "english", "영어", "영문"},
    "es": {"spanish", "español", "스페인어"},
    "fr": {"french", "français", "프랑스어"},
    "it": {"italian", "이탈리아어"},
    "ja": {"jpn", "japanese", "日本語", "일본어"},
    "ko": {"kor", "korean", "한국어", "한글", "국문"},
    "pt": {"portuguese", "포르투갈어"},
    "ru": {"russian", "러시아어"},
    "th": {"thai", "태국어"},
    "tr": {"turkish", "터키어"},
    "vi": {"vietnamese", "베트남어"},
    "zh": {"chinese", "中文", "중국어"},
}


@dataclass(frozen=True, slots=True)
class Layout:
    """How files are laid out. What is not said is recognised.

    `source` and `target` are the language codes of the two sides; they choose among the languages of a translation
    memory, and turn a file whose columns are named by language. A column is a name in the header, or a number from 1.
    """

    source: str = ""
    target: str = ""
    source_column: str = ""
    target_column: str = ""
    label_column: str = ""
    group_column: str = ""
    header: Header = "auto"
    """whether tables begin with a row of names; auto: where the names are known"""
    sheet: str = ""
    """of a workbook, by name or number; empty: the first"""
    encoding: str = ""
    """of text files; empty: detected"""

    @classmethod
    def of(cls, named: object) -> Layout:
        """From what has the same names: a recipe's section on data, or a command line."""
        return cls(*(getattr(named, field.name) for field in fields(cls)))


@dataclass(frozen=True, slots=True)
class Columns:
    """Places of the columns from 0, of label and group None where there is none; and whether a header was seen."""

    source: int
    target: int
    label: int | None
    group: int | None
    header: bool


def columns(rows: Sequence[Sequence[str]], layout: Layout, name: str) -> Columns:
    """The columns of a table of which `rows` are the first; `name` is the file, for messages.

    Raises DataError where a column that is named is not there.
    """
    first = list(rows[0])
    known = {"": -1} | {_plain(cell): place for place, cell in reversed(list(enumerate(first)))}
    sides = None if layout.header == "no" else _sides(known, rows[1:], layout)
    asked = (layout.source_column, layout.target_column, layout.label_column, layout.group_column)
    header = layout.header == "yes" or (layout.header == "auto" and (sides is not None or any(map(_named, asked))))
    source, target, label, group = (_place(column, known, first, header, name) for column in asked)
    if header:
        label = label if label is not None else _first(known, _LABELS)
        group = group if group is not None else _first(known, _GROUPS)
    found = sides or (0, 1)
    source = found[0] if source is None else source
    target = found[1] if target is None else target
    if source == target:
        raise DataError(
            f"{name} must hold source and target in two columns, but both would be column {source + 1}. Name both, "
            "for instance data.source_column=1 data.target_column=2 (--source-column, --target-column)."
        )
    return Columns(source, target, label, group, header)


def title_rows(rows: Sequence[Sequence[str]], layout: Layout) -> int:
    """How many of the first rows stand above the names of the columns, as the title of a sheet does: rows that cannot
    be pairs, because text is in one cell at most, before a row that is known for a header."""
    above = next((place for place, cells in enumerate(rows) if sum(bool(cell.strip()) for cell in cells) > 1), 0)
    if not above or layout.header == "no":
        return 0
    known = {"": -1} | {_plain(cell): place for place, cell in enumerate(rows[above])}
    asked = [column for column in (layout.source_column, layout.target_column) if _named(column)]
    named = all(_plain(column) in known for column in asked) if asked else _sides(known, rows[above + 1 :], layout)
    return above if layout.header == "yes" or named else 0


def with_label_and_group(names: Sequence[str]) -> list[str]:
    """The names of fields, and `label` and `group` where no name says as much: later records may have what the first
    one lacks."""
    known = set(map(_plain, names))
    more = [of[0] for of in (_LABELS, _GROUPS) if not known & set(of)]
    return [*names, *more]


def same_language(code: str, other: str) -> bool:
    """Whether two codes name one language, with or without region: `en`, `EN`, `en_US`, `eng`, `English`."""
    return bool(code) and bool(other) and _language(code) == _language(other)


def _sides(known: dict[str, int], rows: Sequence[Sequence[str]], layout: Layout) -> tuple[int, int] | None:
    """Places of source and target by the names of a header; None where the row holds no such names."""
    if all(name in known for name in _AIHUB):
        original, translation = (known[name] for name in _AIHUB)
        counts = [
            sum(len(_HANGUL.findall(row[place])) for row in rows if place < len(row))
            for place in (original, translation)
        ]
        korean, other = (original, translation) if counts[0] >= counts[1] else (translation, original)
        if same_language(layout.target, "ko") or (layout.source and not same_language(layout.source, "ko")):
            return other, korean
        return (korean, other) if same_language(layout.source, "ko") else (original, translation)
    source, target = _first(known, tuple(_SOURCES)), _first(known, tuple(_TARGETS))
    if source is not None and target is not None:
        return source, target
    languages: dict[str, int] = {}
    for name, place in known.items():
        code = _language(name)
        if code in _LANGUAGES or any(same_language(name, side) for side in (layout.source, layout.target)):
            languages.setdefault(code, place)
    wanted = [languages.get(_language(code)) for code in (layout.source, layout.target) if code]
    if len(wanted) == 2 and wanted[0] is not None and wanted[1] is not None:
        return wanted[0], wanted[1]
    if len(languages) != 2 or len(known) < 3:
        return None
    one, other = sorted(languages.values())
    turned = wanted == [other] if layout.source else wanted == [one]
    return (other, one) if turned else (one, other)


def _place(column: str, known: dict[str, int], first: Sequence[str], header: bool, name: str) -> int | None:
    if not column:
        return None
    if header and _plain(column) in known:
        return known[_plain(column)]
    if _named(column):
        raise DataError(
            f"{name} must have a column {column!r}, but its first row holds {', '.join(map(repr, first))}. Name one of "
            "these, or a number from 1."
        )
    if not 1 <= int(column) <= len(first):
        raise DataError(f"{name} must have a column {column}, but its first row has {len(first)}. Name another.")
    return int(column) - 1


def _named(column: str) -> bool:
    return bool(column) and not column.isdecimal()


def _plain(text: str) -> str:
    return unicodedata.normalize("NFC", text).strip().casefold()


def _first(known: dict[str, int], names: Sequence[str]) -> int | None:
    return next((known[name] for name in names if name in known), None)


def _language(name: str) -> str:
    base = re.split(r"[-_]", _plain(name))[0]
    return next((code for code, names in _LANGUAGES.items() if base in names), base)
