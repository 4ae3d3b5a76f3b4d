"""Bytes of files, plain or packed, within a stated limit of what packed ones may unpack to."""

from __future__ import annotations

import gzip
import io
import lzma
import sys
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from ojak.errors import DataError

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PACKED = {".gz": "gzip", ".xz": "xz", ".zst": "zstd"}
LEAST = 64 << 20  # bytes that any packed file may unpack to
RATIO = 200  # times its own size that a larger one may: text packs to a tenth, and a bomb to a thousandth
WHOLE = 1 << 30  # bytes of a file that must be held in memory whole

_BROKEN = (OSError, EOFError, zlib.error, lzma.LZMAError, zstd.ZstdError)


def unpacked_name(path: Path) -> Path:
    """The path without the ending that says how it is packed."""
    return path.with_suffix("") if path.suffix.lower() in PACKED else path


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The unpacked bytes of a file, as they are read.

    Raises DataError, also while they are read, for a file that is missing or broken, or that unpacks to more than
    64 MiB and 200 times its own size.
    """
    with _explained(path):
        file: Any = path.open("rb")
    try:
        size = path.stat().st_size
        kind = path.suffix.lower()
        if kind in PACKED:
            kinds: dict[str, Any] = {".gz": gzip.open, ".xz": lzma.open, ".zst": zstd.open}
            guarded = _Guarded(path, kinds[kind](file), max(LEAST, RATIO * size))
            yield io.BufferedReader(guarded, 1 << 20)
        else:
            yield file
    finally:
        file.close()


def whole(path: Path) -> bytes:
    """The unpacked bytes of a file, at most 1 GiB. Raises DataError."""
    with opened(path) as file, _explained(path):
        content = file.read(WHOLE + 1)
    if len(content) > WHOLE:
        raise DataError(f"{path} must be at most {WHOLE >> 20} MiB to be read whole, but is larger. Cut it in parts.")
    return content


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except IsADirectoryError as error:
        raise DataError(f"{path} must be a file, but it is a directory. Name the files in it.") from error
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or error
        raise DataError(f"{path} must be a file that can be read, but: {reason}. Check the path.") from error


class _Guarded(io.RawIOBase):
    """Counts what comes out, so that a small file cannot fill the disk or the hours."""

    def __init__(self, path: Path, inner: Any, limit: int) -> None:
        self._path, self._inner, self._limit, self._count = path, inner, limit, 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._inner.read(len(buffer))
        except _BROKEN as error:
            name = PACKED[self._path.suffix.lower()]
            raise DataError(f"{self._path} must be packed by {name}, but: {error}. Copy or pack it again.") from error
        self._count += len(data)
        if self._count > self._limit:
            raise DataError(
                f"{self._path} must unpack to at most {LEAST >> 20} MiB or {RATIO} times its own size, but gives more "
                f"than {self._limit:,} bytes. Unpack it yourself if you trust it."
            )
        buffer[: len(data)] = data
        return len(data)
