"""One update: the block to read first."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import nn

from ojak.batch import Batch
from ojak.config import TrainConfig
from ojak.model.seam import Seq2Seq
from ojak.train.loss import cross_entropy


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
    decayed = [p for p in model.parameters() if p.ndim > 1]
    others = [p for p in model.parameters() if p.ndim <= 1]
    groups = [{"params": decayed, "weight_decay": config.weight_decay}, {"params": others, "weight_decay": 0.0}]
    kind = torch.optim.Adam if config.optimizer == "adam" else torch.optim.AdamW
    return kind(groups, lr=config.learning_rate, betas=config.betas, eps=1e-9)


@contextmanager
def products(precision: str) -> Iterator[None]:
    """How exactly fp32 products are computed within the block. torch keeps this for the whole process, so it is put
    back: what is measured is computed as exactly as what a user gets."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


def update(
    model: Seq2Seq, batches: Sequence[Batch], optimizer: torch.optim.Optimizer, rate: float, config: TrainConfig
) -> Updated:
    """Learns from the batches together: one step down the gradient of their mean loss a token."""
    tokens = sum(batch.tokens for batch in batches)
    optimizer.zero_grad()
    loss = nll = torch.zeros((), device=model.device)
    with products(config.products):
        for batch in batches:
            decoded = model(batch.source, batch.target_in)
            found = cross_entropy(model, decoded.states, batch.target_out, config.label_smoothing)
            # Sums, divided once by the tokens of the whole update: how it was cut into batches changes nothing.
            (found.smoothed / tokens).backward()
            loss, nll = loss + found.smoothed.detach(), nll + found.plain
    norm = nn.utils.clip_grad_norm_(model.parameters(), config.clip or torch.inf)
    for group in optimizer.param_groups:
        group["lr"] = rate
    optimizer.step()
    return Updated(float(loss) / tokens, float(nll) / tokens, float(norm), tokens)
