"""One update: the block to read first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import nn

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
    """Learns from the batches together: one step down the gradient of their mean loss a token. The loss is that of the
    translation, or what the `objective` says."""
    learnt = objective or Objective(config)
    tokens = sum(batch.tokens for batch in batches)
    optimizer.zero_grad()
    working.take_weights()

    def learn(model: Seq2Seq, batch: Batch) -> Loss:
        found = learnt.of(model, batch)
        # Sums, divided once by the tokens of the whole update: how it was cut into batches changes nothing.
        (found.smoothed / tokens).backward()
        return Loss(found.smoothed.detach(), found.plain)

    losses = working.each(batches, learn)
    loss = torch.stack([part.smoothed for part in losses]).sum()
    nll = torch.stack([part.plain for part in losses]).sum()
    working.give_gradients()
    norm = nn.utils.clip_grad_norm_(working.learnt.parameters(), config.clip or torch.inf)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    ema.take(optimizer, config.ema)
    return Updated(float(loss) / tokens, float(nll) / tokens, float(norm), tokens)
