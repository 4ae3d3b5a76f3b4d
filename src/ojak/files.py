"""Writing so that a fault leaves the old file or the new one, never half of it."""

from __future__ import annotations

import os
import re
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from ojak.errors import StorageError, UseError

HALF = re.compile(r"\..+\.\d+(\.\d+)?|\.tmp\w+")
"""names of what is being written: ours, and those of safetensors"""


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turns an OSError of the block into a StorageError that names the path and the cause."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"{path} cannot be written: {error.strerror or error}. Earlier files are whole.") from error


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A name to write a file at, which takes its place at `path` when the block ends well and is gone when it does
    not."""
    half = path.with_name(f".{path.name[:100]}.{os.getpid()}.{threading.get_ident()}")
    with explained(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield half
            with half.open("rb+") as file:
                os.fsync(file.fileno())
            half.replace(path)
            _keep_names(path.parent)
        except BaseException:
            with suppress(OSError):
                half.unlink()
            raise


@contextmanager
def whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which takes its place at `path` when the block ends well and is gone when it does not."""
    with beside(path) as half, half.open("wb") as file:
        yield file


def write(path: Path, content: bytes | str) -> None:
    """Writes a file whole, or not at all."""
    with whole(path) as file:
        file.write(content.encode("utf-8") if isinstance(content, str) else content)


def link(old: Path, new: Path) -> None:
    """Lets `new` be the same file as `old`, or a copy where the disk knows no links, whole or not at all."""
    if new.exists() and new.samefile(old):  # a move onto itself would do nothing
        return
    with beside(new) as half:
        try:
            os.link(old, half)
        except OSError:
            shutil.copyfile(old, half)


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """A folder to fill, which takes its place at `path` when the block ends well and is gone when it does not."""
    half = path.with_name(f".{path.name}.{os.getpid()}")
    with explained(path):
        shutil.rmtree(half, ignore_errors=True)
        half.mkdir(parents=True)
        try:
            yield half
            _keep_names(half)
            if path.exists():
                shutil.rmtree(path)
            half.replace(path)
            _keep_names(path.parent)
        except BaseException:
            shutil.rmtree(half, ignore_errors=True)
            raise


@contextmanager
def held(folder: Path) -> Iterator[None]:
    """Makes a folder and holds it, so that no other process does; it is gone when the block leaves it empty.

    The system lets go of it when the process dies, however that comes about. Where it knows no such locks (Windows,
    some network disks) nobody is kept away. Raises UseError when another process holds the folder.
    """
    if os.name != "posix" or (folder.exists() and not folder.is_dir()):
        yield
        return
    place = _locked(folder)
    try:
        yield
    finally:
        with suppress(OSError):  # while it is locked: another process may be about to fill it
            folder.rmdir()
        os.close(place)


def _locked(folder: Path) -> int:
    """The folder, which is made if need be, open and locked."""
    import fcntl

    while True:
        with explained(folder):
            folder.mkdir(parents=True, exist_ok=True)
            place = os.open(folder, os.O_RDONLY)
        try:
            fcntl.flock(place, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(place)
            raise UseError(
                f"A directory is for one process at a time, but another one is at work in {folder}; wait until it has "
                "ended, stop it, or choose another directory."
            ) from None
        except OSError:  # this disk knows no locks
            return place
        with suppress(FileNotFoundError):
            if os.path.samestat(os.fstat(place), folder.stat()):
                return place
        os.close(place)  # who held it before has removed it just now


def tidy(folder: Path) -> None:
    """Removes what a killed process left half written in a folder, in which nobody else may be writing."""
    for path in folder.glob(".*"):
        if HALF.fullmatch(path.name):
            if path.is_dir():
                shutil.rmtree(path, ignore_errors=True)
            else:
                path.unlink(missing_ok=True)


def _keep_names(folder: Path) -> None:
    """Lets the names in a folder outlast a power cut, where the system can promise it."""
    if os.name == "posix":
        with suppress(OSError):  # some network disks refuse; the content of the files is safe already
            place = os.open(folder, os.O_RDONLY)
            try:
                os.fsync(place)
            finally:
                os.close(place)
