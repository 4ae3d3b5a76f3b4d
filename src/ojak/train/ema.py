"""A moving average of the weights that learn (`train.ema`; Polyak and Juditsky 1992): w̄ ← d w̄ + (1 - d) w.

It is kept with what else the optimizer gathers of each weight, and so is saved and put back with a checkpoint. Early on
d is (1 + t) / (10 + t) at the weight's step t, while that is smaller, so that the first weights are soon forgotten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

KEY = "average"


@torch.no_grad()
def take(optimizer: torch.optim.Optimizer, decay: float) -> None:
    """Lets the averages follow the weights after a step of the optimizer; without `decay` there are none."""
    for weight, state in optimizer.state.items():
        if not decay:
            state.pop(KEY, None)
        elif KEY not in state:
            state[KEY] = weight.detach().clone()
    if not decay or not optimizer.state:
        return
    weights = list(optimizer.state)
    step = float(optimizer.state[weights[0]]["step"])
    averages = [optimizer.state[weight][KEY] for weight in weights]
    torch._foreach_lerp_(averages, weights, 1 - min(decay, (1 + step) / (10 + step)))


@contextmanager
@torch.no_grad()
def averaged(optimizer: torch.optim.Optimizer) -> Iterator[None]:
    """Within the block the weights are their averages, where there are any; then they are again what they were."""
    weights = [weight for weight, state in optimizer.state.items() if KEY in state]
    before = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.copy_(optimizer.state[weight][KEY])
    try:
        yield
    finally:
        for weight, was in zip(weights, before, strict=True):
            weight.copy_(was)
