"""torch.nn.Transformer, trained as in PyTorch's tutorial on translation.

python torch_transformer.py [--bf16] [--medium] [--seconds 20]
"""

from __future__ import annotations

import argparse
import math

import torch
import work
from torch import Tensor, nn

WIDTH, HEADS, LAYERS, INNER = 256, 4, 3, 1024


class Model(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.transformer = nn.Transformer(WIDTH, HEADS, LAYERS, LAYERS, INNER, 0.1)
        self.words = nn.Embedding(work.VOCABULARY, WIDTH)
        self.project = nn.Linear(WIDTH, work.VOCABULARY)
        self.project.weight = self.words.weight
        rate = torch.exp(-torch.arange(0, WIDTH, 2) * math.log(10000) / WIDTH)
        places = torch.arange(100).unsqueeze(1) * rate
        self.register_buffer("places", torch.stack([places.sin(), places.cos()], 2).flatten(1).unsqueeze(1))
        self.dropout = nn.Dropout(0.1)
        for weight in self.parameters():
            if weight.ndim > 1:
                nn.init.xavier_uniform_(weight)

    def place(self, ids: Tensor) -> Tensor:
        return self.dropout(self.words(ids) * math.sqrt(WIDTH) + self.places[: len(ids)])

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        future = torch.ones(len(target), len(target), dtype=torch.bool).triu(1)
        empty, unborn = (source == work.PAD).T, (target == work.PAD).T
        states = self.transformer(
            self.place(source), self.place(target), None, future, None, empty, unborn, empty
        )
        return self.project(states)


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--bf16", action="store_true")
    options.add_argument("--medium", action="store_true")
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args()
    if asked.medium:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1)
    model = Model()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98))
    loss = nn.CrossEntropyLoss(ignore_index=work.PAD, label_smoothing=0.1)

    def update(batch: work.Sentences) -> int:
        source, target, tokens = work.padded(batch)
        source, target = source.T, target.T
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.bf16):
            logits = model(source, target[:-1])
        found = loss(logits.reshape(-1, work.VOCABULARY).float(), target[1:].reshape(-1))
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        return tokens

    work.measure(update, asked.seconds)


if __name__ == "__main__":
    main()
