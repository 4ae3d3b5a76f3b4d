"""The plain loop that a user of a library of models writes: Adam, label smoothing, autocast for bf16."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import TypeVar

import torch
import work
from torch import Tensor, nn

Model = TypeVar("Model", bound=nn.Module)


def run(make: Callable[[], Model], logits: Callable[[Model, Tensor, Tensor], Tensor]) -> None:
    """Measures what `make` makes; `logits` are (B,T,V) of a source (B,S) and the true previous tokens (B,T)."""
    options = argparse.ArgumentParser()
    options.add_argument("--bf16", action="store_true")
    options.add_argument("--medium", action="store_true")
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args()
    if asked.medium:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1)
    model = make().train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98))
    loss = nn.CrossEntropyLoss(ignore_index=work.PAD, label_smoothing=0.1)

    def update(batch: work.Sentences) -> int:
        source, target, tokens = work.padded(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.bf16):
            said = logits(model, source, target[:, :-1])
        found = loss(said.float().reshape(-1, work.VOCABULARY), target[:, 1:].reshape(-1))
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        return tokens

    work.measure(update, asked.seconds)
