"""How functions become machine code, and where that is kept."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numba

LOOSE = {"contract", "nsz"}
"""sums may be fused with products, and zeros have no sign"""
SOURCES = sorted(Path(__file__).parent.glob("*.py"))


def _cache() -> str:
    """Where machine code is kept: a folder of its own for each state of the sources here. numba looks at the file of a
    function alone, and would not notice that another one which it calls has changed."""
    content = hashlib.sha256(b"".join(path.read_bytes() for path in SOURCES)).hexdigest()[:16]
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return str(base / "ojak" / "compiled" / content)


def compiled(function: Callable[..., Any]) -> Any:
    """The function as machine code, made when it is first called and kept on disk. It runs without Python's lock, so
    threads run side by side."""
    with _kept():
        return numba.njit(cache=True, nogil=True, error_model="numpy", fastmath=LOOSE)(function)


def called_by_address(signature: Any) -> Callable[[Callable[..., Any]], Any]:
    """The same as something that has an `address`, by which other machine code calls it. It is made at once."""

    def make(function: Callable[..., Any]) -> Any:
        with _kept():
            return numba.cfunc(signature, cache=True, error_model="numpy", fastmath=LOOSE)(function)

    return make


@contextmanager
def _kept() -> Iterator[None]:
    """numba takes the place to keep code in when a function is told to it."""
    before = numba.config.CACHE_DIR
    if not before:
        numba.config.CACHE_DIR = _CACHE
    try:
        yield
    finally:
        numba.config.CACHE_DIR = before


_CACHE = _cache()
