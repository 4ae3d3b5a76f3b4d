"""Word vectors and the output layer, the same for every architecture."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from ojak.text.vocabulary import PAD


class Embedding(nn.Embedding):
    """Ids (…) to vectors (…,D), scaled by √D (Vaswani 2017, 3.4), so that a tied output layer starts small.

    They have the type `dtype`, or that of the weights.
    """

    def __init__(self, size: int, width: int) -> None:
        super().__init__(size, width, padding_idx=PAD)
        nn.init.normal_(self.weight, std=width**-0.5)
        self.scale = math.sqrt(width)

    def forward(self, ids: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return (super().forward(ids) * self.scale).to(dtype or self.weight.dtype)


def embeddings(source_size: int, target_size: int, width: int, shared: bool) -> tuple[Embedding, Embedding]:
    """Source and target embedding; one and the same where the vocabulary is shared."""
    source = Embedding(source_size, width)
    return source, source if shared else Embedding(target_size, width)


def output_layer(width: int, target: Embedding, tied: bool) -> nn.Linear:
    """States (…,D) to logits (…,V), with the target embedding's weights if tied (Press and Wolf 2017)."""
    layer = nn.Linear(width, target.num_embeddings)
    nn.init.normal_(layer.weight, std=width**-0.5)
    nn.init.zeros_(layer.bias)
    if tied:
        layer.weight = target.weight
    return layer


class Given(nn.Module):
    """Stands in for an Embedding and gives the same vectors (N,T,D) whatever the ids."""

    def __init__(self, vectors: Tensor) -> None:
        super().__init__()
        self.vectors = vectors

    def forward(self, ids: Tensor, dtype: torch.dtype | None = None) -> Tensor:
        return self.vectors.to(dtype or self.vectors.dtype)
