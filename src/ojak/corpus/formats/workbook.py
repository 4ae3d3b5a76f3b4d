"""Spreadsheets: XLSX and the older XLS, by calamine."""

from __future__ import annotations

import io
import re
import unicodedata
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import WHOLE, whole
from ojak.errors import DataError

CELLS = 40_000_000  # of a sheet, empty ones between used ones included: they are all held in memory

SHARED = "xl/sharedStrings.xml"
TEXT = 1 << 30  # bytes of a sheet's text

_SHARED = re.compile(rb"<si[ >/]")
_VALUE = re.compile(rb"<v>([0-9]{1,9})</v>")
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
    yield from pairs_of(_rows(sheet, layout), where, layout, notes, faults)


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


def _rows(sheet: Any, layout: Layout) -> Iterator[Row]:
    """The rows from the first of the sheet on. Columns that are empty at the left are left out, unless columns are
    asked for by number: these are counted from column A."""
    asked = (layout.source_column, layout.target_column, layout.label_column, layout.group_column)
    left = [""] * sheet.start[1] if sheet.start and any(map(str.isdecimal, asked)) else []
    for number, cells in enumerate(sheet.iter_rows(), 1):
        yield number, [*left, *map(_text, cells)]


def _text(value: Any) -> str:
    """A cell as its user sees it: whole numbers, which spreadsheets keep as floats, without a point."""
    if isinstance(value, str):
        return unicodedata.normalize("NFC", value)
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return "" if value is None else str(value)


def _check(path: Path, content: bytes) -> None:
    """Unpacks all parts once, before the library holds them, and looks how far the cells of the sheets reach and how
    much text they share. Raises DataError."""
    total = 0
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            shared = _shared(archive)
            for part in archive.infolist():
                sheet = _Sheet(shared)
                with archive.open(part) as file:
                    while block := file.read(1 << 20):
                        total += len(block)
                        if total > WHOLE:
                            raise DataError(
                                f"{path} must unpack to at most {WHOLE >> 20} MiB, but gives more. Cut it in parts."
                            )
                        sheet.read(block)
                if sheet.columns * sheet.rows > CELLS:
                    raise DataError(
                        f"{path} must have at most {CELLS:,} cells in a sheet, but {part.filename} reaches row "
                        f"{sheet.rows:,} and column {sheet.columns:,}. Delete stray cells far from the others."
                    )
                if sheet.text > TEXT:
                    raise DataError(
                        f"{path} must hold at most {TEXT >> 20} MiB of text, but {part.filename} repeats shared text "
                        "to more. Cut it in parts."
                    )
    except (zipfile.BadZipFile, zlib.error, EOFError, OSError, ValueError, NotImplementedError, RuntimeError) as error:
        raise _broken(path, error) from None


def _shared(archive: zipfile.ZipFile) -> npt.NDArray[np.int64]:
    """The length of each text that cells share, mark-up included."""
    if SHARED not in archive.namelist():
        return np.zeros(0, dtype=np.int64)
    with archive.open(SHARED) as file:
        content = file.read(WHOLE)
    begins = [match.start() for match in _SHARED.finditer(content)]
    ends = [*begins[1:], len(content)] if begins else []
    return np.array(ends, dtype=np.int64) - np.array(begins, dtype=np.int64)


class _Sheet:
    """How far the cells of a part reach, and how long the shared texts are that they refer to."""

    def __init__(self, shared: npt.NDArray[np.int64]) -> None:
        self.columns = self.rows = self.text = 0
        self._shared, self._left = shared, b""

    def read(self, block: bytes) -> None:
        """The next bytes of the part. What is cut by the end of a block is seen with the next one."""
        data = self._left + block
        for letters, digits in _CELL.findall(data):
            column = 0
            for letter in letters:
                column = column * 26 + letter - 64
            self.columns, self.rows = max(self.columns, column), max(self.rows, int(digits))
        if len(self._shared):
            numbers = np.array(_VALUE.findall(data), dtype=np.int64)  # those that are numbers add little
            self.text += int(self._shared[numbers[numbers < len(self._shared)]].sum())
        self._left = data[-32:]


def _broken(path: Path, error: BaseException, sheet: str = "") -> DataError:
    """The library is written in Rust, and panics of it are no Exceptions; what is none of its own goes on."""
    if isinstance(error, DataError):
        return error
    if isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit | MemoryError):
        raise error
    where = f"{path}, sheet {sheet!r}," if sheet else str(path)
    said = str(error).strip() or type(error).__name__
    return DataError(f"{where} must be a whole spreadsheet, but: {said}. Open it and save it again, or copy it again.")
