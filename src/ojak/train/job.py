"""A run while it goes on: what the loop and its helpers share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import torch

from ojak.config import Recipe
from ojak.model.seam import Seq2Seq
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.history import History
from ojak.train.meter import Meter
from ojak.train.parallel import Processes
from ojak.train.sharding import gather
from ojak.train.stop import Stop
from ojak.translate import Translator


@dataclass(frozen=True)
class Job:
    """The parts of a run; `progress` says where it stands.

    The model `learnt` is the translator's, or a copy of it that lies in pieces in all processes.
    """

    run: Path
    recipe: Recipe
    translator: Translator
    learnt: Seq2Seq
    optimizer: torch.optim.Optimizer
    train: Training
    dev: Dev
    progress: Progress
    history: History
    meter: Meter
    stop: Stop
    processes: Processes

    def whole(self) -> Seq2Seq:
        """The translator's model, with the weights that were learnt so far. All processes call this together."""
        gather(self.learnt, self.translator.model, self.processes)
        return self.translator.model

    def stopping(self) -> bool:
        """Whether any process was asked to stop. All processes call this together."""
        return self.processes.any(self.stop.asked)
