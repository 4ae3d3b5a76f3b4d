"""What formats with named fields share: one record to a row of a table."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ojak.corpus.layout import Layout, columns
from ojak.errors import DataError


def flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The fields of a record, those of a nested `translation` (as data sets on hubs have it) among them."""
    inner = record.get("translation")
    if not isinstance(inner, Mapping):
        return dict(record)
    return {**{key: value for key, value in record.items() if key != "translation"}, **inner}


def text(value: Any) -> str | None:
    """The value of a field as text; None where it is neither text, a number, nor nothing."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if value is None:
        return ""
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def is_utf8(value: str) -> bool:
    """False for text with half of a surrogate pair or a byte of value 0, which no text file can hold."""
    if "\0" in value:
        return False
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def must_be_named(path: Path, keys: Sequence[str], layout: Layout) -> None:
    """Raises DataError where neither the keys nor the layout tell the sides: fields have no order to rely on."""
    if layout.source_column and layout.target_column:
        return
    if not columns([keys], replace(layout, header="auto"), str(path)).header:
        raise DataError(
            f"{path} must name source and target by its fields, but the first row has {', '.join(map(repr, keys))}. "
            "Say which: data.source_column=NAME data.target_column=NAME (--source-column, --target-column)."
        )
