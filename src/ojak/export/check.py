"""What every export asks before it begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch

from ojak.errors import UseError
from ojak.model import folder
from ojak.model.folder import Loaded


def exportable(run: Path, out: Path, reasons: Callable[[Loaded], Sequence[str]], must: str) -> Loaded:
    """The model of a run or model directory that is to be written to `out`.

    Raises UseError with all `reasons` why it cannot be what it `must`, or when `out` is there already; ModelError for a
    run that cannot be read.
    """
    loaded = folder.load(run, torch.device("cpu"))
    if faults := reasons(loaded):
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise UseError(f"{must}, but {run} is not:{listed}")
    if out.exists():
        raise UseError(f"The directory to write must be new, but {out} is there; choose another.")
    return loaded
