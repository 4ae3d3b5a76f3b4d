"""What tests share."""

from __future__ import annotations

import os

# Before anything imports torch. Two threads on products as small as these wait for each other most of the time, and
# the order of their sums would depend on their number. Subprocesses inherit it.
os.environ.setdefault("OMP_NUM_THREADS", "1")

from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real sentence pairs; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("OJAK_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real sentence pairs at {folder}; set OJAK_DATA to a folder that holds them")
    return folder
