"""The plain loop that a user of a library of models writes: Adam, label smoothing, autocast for bf16."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

import torch
import work
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def learner(
    model: Model,
    logits: Callable[[Model, Tensor, Tensor], Tensor],
    bf16: bool,
    device: str = "cpu",
) -> work.Learn:
    """The loop's update of a model whose `logits` are (B,T,V) of a source (B,S) and the true previous tokens (B,T).
    On a GPU Adam goes in one pass."""
    model = model.to(device).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98), fused=device == "cuda" or None)
    loss = nn.CrossEntropyLoss(ignore_index=work.PAD, label_smoothing=0.1)

    def learn(batch: work.Sentences) -> int:
        source, target, tokens = work.padded(batch)
        source, target = source.to(device), target.to(device)
        with torch.autocast(device, torch.bfloat16, enabled=bf16):
            said = logits(model, source, target[:, :-1])
        found = loss(said.float().reshape(-1, work.VOCABULARY), target[:, 1:].reshape(-1))
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        float(found.detach())  # as every loop does that tells its loss
        return tokens

    return learn


def run(make: Callable[[], Model], logits: Callable[[Model, Tensor, Tensor], Tensor]) -> None:
    """Measures on a CPU what `make` makes."""
    options = argparse.ArgumentParser()
    options.add_argument("--bf16", action="store_true")
    options.add_argument("--medium", action="store_true")
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args()
    if asked.medium:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1)
    work.measure(learner(make(), logits, asked.bf16), asked.seconds)
