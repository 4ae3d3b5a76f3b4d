"""What tests share."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of real sentence pairs; tests that ask for it are skipped where there is none."""
    folder = Path(os.environ.get("OJAK_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real sentence pairs at {folder}; set OJAK_DATA to a folder that holds them")
    return folder
