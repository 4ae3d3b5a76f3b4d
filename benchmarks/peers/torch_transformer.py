"""torch.nn.Transformer, trained as in PyTorch's tutorial on translation.

python torch_transformer.py [--bf16] [--medium] [--seconds 20]
"""

from __future__ import annotations

import math

import plain
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
        future = torch.ones(len(target), len(target), dtype=torch.bool, device=target.device).triu(1)
        empty, unborn = (source == work.PAD).T, (target == work.PAD).T
        states = self.transformer(self.place(source), self.place(target), None, future, None, empty, unborn, empty)
        return self.project(states)


def logits(model: Model, source: Tensor, target: Tensor) -> Tensor:
    return model(source.T, target.T).transpose(0, 1)


if __name__ == "__main__":
    plain.run(Model, logits)
