"""JSON lines: an object a line."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.record import flat, is_utf8, must_be_named, text
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout, with_label_and_group
from ojak.corpus.lines import text_lines
from ojak.corpus.pair import Pair


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """Objects whose keys name the sides, as the header of a table would, or `{"translation": {"en": …, "ko": …}}`."""
    faults.must = "be a JSON object that gives a source and a target, both with text,"
    layout = replace(layout, header="yes")
    return pairs_of(_rows(path, layout, notes, faults), str(path), layout, notes, faults)


def _rows(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Row]:
    keys: list[str] = []
    for number, line in enumerate(text_lines(path, layout, notes, faults), 1):
        if not line.strip():
            notes.empty += 1
            continue
        record = _record(line, number, faults)
        if record is None:
            continue
        if not keys:
            must_be_named(path, list(record), layout)
            keys = with_label_and_group(list(record))
            yield 0, keys  # the header
        cells = [text(record.get(key)) for key in keys]
        strange = [key for key, cell in zip(keys, cells, strict=True) if cell is None]
        if not set(keys) & record.keys():
            faults.add(number, f"has none of the keys of the first object: {', '.join(keys)}")
        elif any(cell is not None and not is_utf8(cell) for cell in cells):
            faults.add(number, "holds half of a surrogate pair, or a character of value 0")
        else:
            yield number, ["" if key in strange else cell or "" for key, cell in zip(keys, cells, strict=True)]


def _record(line: str, number: int, faults: Faults) -> dict[str, Any] | None:
    try:
        found = json.loads(line)
    except RecursionError:
        faults.add(number, "is nested too deep")
        return None
    except ValueError as error:
        faults.add(number, f"is no JSON: {error}")
        return None
    if not isinstance(found, dict) or not found:
        faults.add(number, f"is no JSON object but {type(found).__name__}")
        return None
    return flat(found)
