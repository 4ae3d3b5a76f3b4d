"""Spreadsheets: XLSX, and the older XLS and ODS, by calamine."""

from __future__ import annotations

import io
import re
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import WHOLE, whole
from ojak.errors import DataError

CELLS = 40_000_000  # of a sheet, empty ones between used ones included: they are all held in memory

_CELL = re.compile(rb'[ \t\n]r="([A-Z]{1,3})([0-9]{1,7})"')


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """The rows of one sheet: the one that `layout.sheet` names, or else the first."""
    faults.unit = "row"
    content = whole(path)
    if zipfile.is_zipfile(io.BytesIO(content)):
        _check(path, content)
    elif not content.startswith(b"\xd0\xcf\x11\xe0"):
        raise DataError(f"{path} must be a spreadsheet, but it is not one. Save it as .xlsx, .csv or .tsv.")
    name, sheet = _sheet(path, content, layout.sheet)
    faults.name = where = f"{path}, sheet {name!r}"
    yield from pairs_of(_rows(sheet), where, layout, notes, faults)


def _sheet(path: Path, content: bytes, asked: str) -> tuple[str, Any]:
    from python_calamine import CalamineWorkbook

    try:
        workbook = CalamineWorkbook.from_filelike(io.BytesIO(content))
        names = workbook.sheet_names
    except BaseException as error:
        raise _broken(path, error) from None
    if not names:
        raise DataError(f"{path} must hold a sheet, but holds none. Name another file.")
    if asked and asked not in names and not (asked.isdecimal() and 1 <= int(asked) <= len(names)):
        raise DataError(
            f"{path} must have a sheet {asked!r}, but has {', '.join(map(repr, names))}. Name one of them, or a number."
        )
    name = names[0] if not asked else asked if asked in names else names[int(asked) - 1]
    try:
        return name, workbook.get_sheet_by_name(name)
    except BaseException as error:
        raise _broken(path, error, name) from None


def _rows(sheet: Any) -> Iterator[Row]:
    if sheet.start is None:
        return
    top = sheet.start[0]
    # The library leaves out what is empty above and at the left, and gives what is between.
    for number, cells in enumerate(sheet.to_python(skip_empty_area=True), top + 1):
        yield number, [_text(cell) for cell in cells]


def _text(value: Any) -> str:
    """A cell as its user sees it: whole numbers, which spreadsheets keep as floats, without a point."""
    import unicodedata

    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _check(path: Path, content: bytes) -> None:
    """Unpacks all parts once, and looks how far the cells of the sheets reach, before the library holds them."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            for part in archive.infolist():
                reach = [0, 0]
                left = b""
                with archive.open(part) as file:
                    while block := file.read(1 << 20):
                        total += len(block)
                        if total > WHOLE:
                            raise DataError(
                                f"{path} must unpack to at most {WHOLE >> 20} MiB, but gives more. Cut it in parts."
                            )
                        if "sheet" in part.filename.lower():
                            _reach(left + block, reach)
                            left = block[-32:]
                if reach[0] * reach[1] > CELLS:
                    raise DataError(
                        f"{path} must have at most {CELLS:,} cells in a sheet, but {part.filename} reaches row "
                        f"{reach[1]:,} and column {reach[0]:,}. Delete stray cells far from the others."
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _broken(path, error) from None


def _reach(block: bytes, reach: list[int]) -> None:
    for letters, digits in set(_CELL.findall(block)) if len(block) < 4096 else _CELL.findall(block):
        column = 0
        for letter in letters:
            column = column * 26 + letter - 64
        reach[0] = max(reach[0], column)
        reach[1] = max(reach[1], int(digits))


def _broken(path: Path, error: BaseException, sheet: str = "") -> DataError:
    """The library is written in Rust, and panics of it are no Exceptions; what is none of its own goes on."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    where = f"{path}, sheet {sheet!r}," if sheet else str(path)
    said = str(error).strip() or type(error).__name__
    return DataError(f"{where} must be a whole spreadsheet, but: {said}. Open it and save it again, or copy it again.")
