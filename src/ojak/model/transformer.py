"""The Transformer (Vaswani 2017), as published (post-norm, sinusoid) or as it trains better now (pre-norm, rotary)."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ojak.config import TransformerConfig
from ojak.model.attention import MultiHead
from ojak.model.dropout import Dropout
from ojak.model.embedding import embeddings, output_layer
from ojak.model.seam import Decoded, Memory, Seq2Seq, State
from ojak.text.vocabulary import PAD

KeysValues = tuple[Tensor, Tensor]
"""(N,H,S,d) each"""


@dataclass(frozen=True)
class TransformerState(State):
    """Keys and values of each layer: of the source, and of the target so far."""

    of_source = frozenset({"keep", "source"})
    keep: Tensor
    """(N,S)"""
    source: tuple[KeysValues, ...]
    target: tuple[KeysValues, ...]
    position: int
    """how many target tokens have been read"""


ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"relu": F.relu, "gelu": F.gelu, "swish": F.silu}


def sinusoid(position: int, length: int, width: int, like: Tensor) -> Tensor:
    """Rows `position`… of the table (length, width) of Vaswani 2017, 3.5, sines first, then cosines."""
    place = torch.arange(position, position + length, device=like.device, dtype=torch.float64).unsqueeze(1)
    rate = torch.exp(torch.arange(0, width, 2, device=like.device, dtype=torch.float64) * (-math.log(10000.0) / width))
    return torch.cat([(place * rate).sin(), (place * rate).cos()], 1).to(like.dtype)


def rotate(heads: Tensor, position: int) -> Tensor:
    """Turns each pair of the vectors (N,H,T,d) by an angle that grows with their place (Su 2021, RoFormer, eq. 34)."""
    sine, cosine = sinusoid(position, heads.shape[2], heads.shape[3], heads).chunk(2, 1)  # (T,d/2) each
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


class FeedForward(nn.Module):
    """Two layers at each place (Vaswani 2017, equation 2), or the gated unit SwiGLU (Shazeer 2020)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        gated = config.activation == "swiglu"
        self.inner = nn.Linear(config.width, config.feed_forward * (2 if gated else 1))
        self.outer = nn.Linear(config.feed_forward, config.width)
        self.dropout = Dropout(config.dropout)
        self.activation = config.activation

    def forward(self, states: Tensor) -> Tensor:
        inner = self.inner(states)
        if self.activation == "swiglu":
            gate, value = inner.chunk(2, -1)
            inner = F.silu(gate) * value
        else:
            inner = ACTIVATIONS[self.activation](inner)
        outer: Tensor = self.outer(self.dropout(inner))
        return outer


class Layer(nn.Module):
    """A layer of the encoder or, with `cross`, of the decoder."""

    def __init__(self, config: TransformerConfig, cross: bool) -> None:
        super().__init__()
        self.pre = config.norm == "pre"
        self.rotary = config.positions == "rotary"
        self.own = MultiHead(config.width, config.heads)
        self.cross = MultiHead(config.width, config.heads) if cross else None
        self.feed_forward = FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3 if cross else 2))
        self.dropout = Dropout(config.dropout)

    def forward(
        self,
        states: Tensor,
        keep: Tensor,
        past: KeysValues | None,
        position: int,
        source: KeysValues | None,
        source_keep: Tensor | None,
        weigh: bool,
    ) -> tuple[Tensor, KeysValues, Tensor | None]:
        """New states (N,T,D), the keys and values so far, and the weights over the source (N,H,T,S) if `weigh`."""
        own = self.own
        normed = self._enter(0, states)
        query, keys, values = own.split(own.query(normed)), own.split(own.key(normed)), own.split(own.value(normed))
        if self.rotary:
            query, keys = rotate(query, position), rotate(keys, position)
        if past is not None:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        states = self._leave(0, states, own(query, keys, values, keep, False)[0])

        weights = None
        if self.cross is not None and source is not None and source_keep is not None:
            query = self.cross.split(self.cross.query(self._enter(1, states)))
            seen, weights = self.cross(query, *source, source_keep, weigh)
            states = self._leave(1, states, seen)
        last = len(self.norms) - 1
        states = self._leave(last, states, self.feed_forward(self._enter(last, states)))
        return states, (keys, values), weights

    def _enter(self, part: int, states: Tensor) -> Tensor:
        entered: Tensor = self.norms[part](states) if self.pre else states
        return entered

    def _leave(self, part: int, states: Tensor, found: Tensor) -> Tensor:
        left: Tensor = states + self.dropout(found)
        return left if self.pre else cast(Tensor, self.norms[part](left))


class Transformer(Seq2Seq):
    """Encoder and decoder of equal width."""

    config: TransformerConfig
    encoder: Sequence[Layer]
    decoder: Sequence[Layer]

    def __init__(self, config: TransformerConfig, source_size: int, target_size: int, shared: bool) -> None:
        super().__init__(config)
        self.source, self.target = embeddings(source_size, target_size, config.width, shared)
        self.dropout = Dropout(config.dropout)
        encoder = nn.ModuleList(Layer(config, cross=False) for _ in range(config.encoder_layers))
        decoder = nn.ModuleList(Layer(config, cross=True) for _ in range(config.decoder_layers))
        self.encoder, self.decoder = cast(Sequence[Layer], encoder), cast(Sequence[Layer], decoder)
        pre = config.norm == "pre"  # post-norm layers end in a norm of their own
        self.encoder_norm = nn.LayerNorm(config.width) if pre else nn.Identity()
        self.decoder_norm = nn.LayerNorm(config.width) if pre else nn.Identity()
        for module in (*encoder.modules(), *decoder.modules()):
            if isinstance(module, nn.Linear):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)
        self.project = output_layer(config.width, self.target, config.tie_embeddings)
        self.views = tuple(
            f"layer{layer}.head{head}" for layer in range(config.decoder_layers) for head in range(config.heads)
        )

    def encode(self, source: Tensor) -> Memory:
        keep = source != PAD
        states = self._embed(self.source(source), 0)
        for layer in self.encoder:
            states = layer(states, keep[:, None, None], None, 0, None, None, False)[0]
        states = self.encoder_norm(states)
        real = keep.unsqueeze(2)
        summary = (states * real).sum(1) / real.sum(1)
        return Memory(states, keep, summary)

    def start(self, memory: Memory) -> TransformerState:
        source, target = [], []
        for layer in self.decoder:
            cross = layer.cross
            assert cross is not None
            keys, values = cross.split(cross.key(memory.states)), cross.split(cross.value(memory.states))
            source.append((keys, values))
            target.append((keys[:, :, :0], values[:, :, :0]))
        return TransformerState(memory.keep, tuple(source), tuple(target), 0)

    def advance(self, tokens: Tensor, state: State, attend: bool = False) -> tuple[Decoded, TransformerState]:
        assert isinstance(state, TransformerState)
        length, position = tokens.shape[1], state.position
        states = self._embed(self.target(tokens), position)
        places = torch.arange(position + length, device=tokens.device)
        keep = places <= places[position:].unsqueeze(1)  # (T, so far): each token sees itself and those before it
        source_keep = state.keep[:, None, None]
        target, seen = [], []
        for layer, past, source in zip(self.decoder, state.target, state.source, strict=True):
            states, own, weights = layer(states, keep, past, position, source, source_keep, attend)
            target.append(own)
            seen.append(weights)
        attention = torch.cat(seen, 1).transpose(1, 2) if attend else None  # (N,K,T,S) → (N,T,K,S)
        after = TransformerState(state.keep, state.source, tuple(target), position + length)
        return Decoded(self.decoder_norm(states), attention), after

    def _embed(self, words: Tensor, position: int) -> Tensor:
        if self.config.positions == "sinusoid":
            words = words + sinusoid(position, words.shape[1], words.shape[2], words)
        embedded: Tensor = self.dropout(words)
        return embedded
