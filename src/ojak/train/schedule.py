"""The learning rate as a function of the place in the run alone, so that resuming needs no state."""

from __future__ import annotations

import math

from ojak.config import TrainConfig


def learning_rate(update: int, ahead: int, last: int, config: TrainConfig) -> float:
    """The rate of update 1, 2, … with so many `ahead` of it, of `last` in all: it grows in a straight line, then falls
    as the schedule says.

    `inverse_sqrt` falls with √(warmup / update) (Vaswani 2017, equation 3, with the peak named); `cosine` falls to
    nothing at the last update (Loshchilov and Hutter 2017), by what share of the run is ahead: when other processes go
    on with a run, its updates take more or fewer batches, and so their number says nothing of that.
    """
    warmup = max(1, min(config.warmup, last))
    if update <= warmup:
        return config.learning_rate * update / warmup
    if config.schedule == "inverse_sqrt":
        return config.learning_rate * math.sqrt(warmup / update)
    if config.schedule == "cosine":
        left = ahead / max(1, last - warmup)
        return config.learning_rate * (1 - math.cos(math.pi * min(1.0, left))) / 2
    return config.learning_rate
