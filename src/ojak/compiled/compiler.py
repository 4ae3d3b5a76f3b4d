"""How functions become machine code, and where that is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import FunctionType
from typing import Any

import numba
from numba.core import config

SETTINGS: Any = config
LOOSE = {"contract", "nsz"}
"""sums may be fused with products, and zeros have no sign"""
SOURCES = sorted(Path(__file__).parent.glob("*.py"))


def _cache() -> str:
    """Where machine code is kept: a folder of its own for each state of the sources here. numba looks at the file of a
    function alone, and would not notice that another one which it calls has changed."""
    content = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(base / "ojak" / "compiled" / content)


def compiled(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """The function as machine code of these types (`i8` an integer or address, `f4` a float, `[::1]` an array).

    It is made when its module is imported, and kept on disk. It runs without Python's lock, so threads run side by
    side.
    """

    def make(function: Callable[..., Any]) -> Any:
        with _kept():
            return numba.njit(signature, cache=True, nogil=True, error_model="numpy", fastmath=LOOSE)(function)

    return make


def called_by_address(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """The same as something that has an `address`, by which other machine code calls it. It is made at once."""

    def make(function: Callable[..., Any]) -> Any:
        with _kept():
            return numba.cfunc(signature, cache=True, error_model="numpy", fastmath=LOOSE)(function)

    return make


def variant(function: Callable[..., Any], name: str, names: Mapping[str, Any]) -> Any:
    """The function under another name, where some global names mean something else.

    Names that a function encloses would do the same, but numba cannot tell that these are the same in another process,
    and would compile anew.
    """
    made = FunctionType(function.__code__, {**function.__globals__, **names}, name)
    made.__qualname__ = name
    return made


@contextmanager
def _kept() -> Iterator[None]:
    """numba takes the place to keep code in when a function is told to it."""
    before = SETTINGS.CACHE_DIR
    if not before:
        SETTINGS.CACHE_DIR = _CACHE
    try:
        yield
    finally:
        SETTINGS.CACHE_DIR = before


_CACHE = _cache()
