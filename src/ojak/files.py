"""Writing so that a fault leaves the old file or the new one, never half of it."""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ojak.errors import StorageError


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a StorageError that names the path and the cause."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}. Earlier files are whole.") from error


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place at `path` when the block ends well and is gone when it does not."""
    beside = path.with_name(f".{path.name[:100]}.{os.getpid()}.{threading.get_ident()}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            with beside.open("wb") as file:
                yield file
                file.flush()
                os.fsync(file.fileno())
            beside.replace(path)
        except BaseException:
            with suppress(OSError):
                beside.unlink()
            raise


def write(path: Path, content: bytes | str) -> None:
    """Writes a file whole, or not at all."""
    with whole(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes its place at `path` when the block ends well and is gone when it does not."""
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        shutil.rmtree(beside, ignore_errors=True)
        beside.mkdir(parents=True)
        try:
            yield beside
            if path.exists():
                shutil.rmtree(path)
            beside.replace(path)
        except BaseException:
            shutil.rmtree(beside, ignore_errors=True)
            raise
