"""Parquet, by pyarrow (extra `parquet`)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.record import flat, is_utf8, must_be_named, text
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import WHOLE, whole
from ojak.errors import DataError

ROWS = 4096  # unpacked together


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """Columns are named as in the header of a table, or lie in a struct `translation` of languages."""
    faults.unit = "row"
    try:
        import pyarrow.parquet as parquet
    except ImportError:
        raise DataError(
            f"{path} is Parquet, which needs the extra `parquet`: pip install 'ojak[parquet]'. Or save it as .jsonl."
        ) from None
    try:
        file = parquet.ParquetFile(path if path.suffix.lower() == ".parquet" else io.BytesIO(whole(path)))
    except Exception as error:  # of pyarrow, which has many kinds
        whole(path)  # says better than pyarrow what is wrong with a path
        raise _broken(path, error) from None
    layout = replace(layout, header="yes")
    with file:
        yield from pairs_of(_rows(file, path, layout, faults), str(path), layout, notes, faults)


def _rows(file: Any, path: Path, layout: Layout, faults: Faults) -> Iterator[Row]:
    for place in range(file.metadata.num_row_groups):
        size = file.metadata.row_group(place).total_byte_size
        if size > WHOLE:
            raise DataError(
                f"{path} must have row groups of at most {WHOLE >> 20} MiB, but number {place + 1} has {size >> 20}. "
                "Write it with smaller ones."
            )
    keys: list[str] = []
    number = 0
    try:
        for batch in file.iter_batches(batch_size=ROWS):
            for record in batch.to_pylist():
                number += 1
                fields = flat(record)
                if not keys:
                    keys = list(fields)
                    must_be_named(path, keys, layout)
                    yield 0, keys  # the header
                cells = [text(fields.get(key)) or "" for key in keys]
                if all(map(is_utf8, cells)):
                    yield number, cells
                else:
                    faults.add(number, "holds half of a surrogate pair, or a character of value 0")
    except DataError:
        raise
    except Exception as error:
        raise _broken(path, error, number + 1) from None


def _broken(path: Path, error: Exception, row: int = 0) -> DataError:
    where = f"{path}, near row {row}," if row else str(path)
    return DataError(f"{where} must be a whole Parquet file, but: {error}. Copy or write it again.")
