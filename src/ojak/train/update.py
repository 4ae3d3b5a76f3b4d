"""One update: the block to read first."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from ojak.batch import Batch
from ojak.config import TrainConfig
from ojak.model.seam import Seq2Seq
from ojak.train import ema
from ojak.train.loss import Loss
from ojak.train.objective import Objective
from ojak.train.precision import Working


@dataclass(frozen=True)
class Updated:
    """What an update saw."""

    loss: float
    """the smoothed loss, nats a target token"""
    nll: float
    """the negative log-likelihood, nats a target token"""
    gradient: float
    """the norm of the gradient before clipping"""
    tokens: int
    """real target tokens"""

    @property
    def finite(self) -> bool:
        """Whether the step was taken: one with a loss or a gradient that is not a finite number is not."""
        return math.isfinite(self.loss) and math.isfinite(self.gradient)


def make_optimizer(model: Seq2Seq, config: TrainConfig) -> torch.optim.Optimizer:
    """Adam (Kingma and Ba 2015) or AdamW; norms, biases and vectors are not decayed."""
    learning = [p for p in model.parameters() if p.requires_grad]
    decayed = [p for p in learning if p.ndim > 1]
    others = [p for p in learning if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    # Fused: one pass over the weights, a third of the time of the others.
    return kind(groups, lr=config.learning_rate, betas=config.betas, eps=1e-9, fused=True)


def update(
    working: Working,
    batches: Sequence[Batch],
    optimizer: torch.optim.Optimizer,
    rate: float,
    config: TrainConfig,
    objective: Objective | None = None,
) -> Updated:
    """Learns from the batches, and those of the other processes, together: one step down the gradient of their mean
    loss a token, if both are finite. The loss is that of the translation, or what the `objective` says."""
    learnt = objective or Objective(config)
    optimizer.zero_grad()
    working.take_weights()

    def learn(model: Seq2Seq, batch: Batch) -> Loss:
        found = learnt.of(model, batch)
        found.smoothed.backward()
        return Loss(found.smoothed.detach(), found.plain)

    losses = working.each(batches, learn)
    # Sums, divided once by the tokens of the whole update: how it was cut into batches, and who learnt from them,
    # changes nothing.
    sums = torch.zeros(3, dtype=torch.float64, device=working.learnt.device)
    sums[2] = sum(batch.tokens for batch in batches)
    for part in losses:
        sums[:2] += torch.stack([part.smoothed, part.plain])
    loss, nll, tokens = working.sum(sums)
    gradients = working.give_gradients()
    norm = working.norm(gradients) / tokens
    factor = torch.clamp((config.clip or torch.inf) / (norm + 1e-6), max=1) / tokens
    torch._foreach_mul_(gradients, factor.to(gradients[0].dtype))
    seen = Updated(float(loss / tokens), float(nll / tokens), float(norm), int(tokens))
    if seen.finite:
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        ema.take(optimizer, config.ema)
    return seen
