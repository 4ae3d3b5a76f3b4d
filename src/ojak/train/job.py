"""A run while it goes on: what the loop and its helpers share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ojak.config import Recipe
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.history import History
from ojak.train.meter import Meter
from ojak.train.stop import Stop
from ojak.translate import Translator


@dataclass(frozen=True)
class Job:
    """The parts of a run. The model that learns is the translator's; `progress` says where the run stands."""

    run: Path
    recipe: Recipe
    translator: Translator
    optimizer: torch.optim.Optimizer
    train: Training
    dev: Dev
    progress: Progress
    history: History
    meter: Meter
    stop: Stop
