"""The Transformer (Vaswani 2017), as published (post-norm, sinusoid) or as it trains better now (pre-norm, rotary)."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ojak.config import TransformerConfig
from ojak.model import fused
from ojak.model.attention import MultiHead
from ojak.model.dropout import Masks
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


def rotate(heads: Tensor, angles: Tensor) -> Tensor:
    """Turns each pair of the vectors (N,H,T,d) by an angle that grows with their place (Su 2021, RoFormer, eq. 34).

    `angles` (T,d) are the rows of `sinusoid` for these places.
    """
    sine, cosine = angles.chunk(2, 1)  # (T,d/2) each
    if torch.is_grad_enabled():
        return fused.rotate(heads, sine, cosine)
    first, second = heads.chunk(2, -1)
    return torch.cat([first * cosine - second * sine, first * sine + second * cosine], -1)


class FeedForward(nn.Module):
    """Two layers at each place (Vaswani 2017, equation 2), or the gated unit SwiGLU (Shazeer 2020)."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        gated = config.activation == "swiglu"
        self.inner = nn.Linear(config.width, config.feed_forward * (2 if gated else 1))
        self.outer = nn.Linear(config.feed_forward, config.width)
        self.activation = config.activation

    def forward(self, states: Tensor, masks: Masks) -> Tensor:
        if self.activation == "relu" and fused.serves(states):
            return fused.feed_forward(states, self.inner, self.outer, masks)
        inner = self.inner(states)
        if self.activation == "swiglu":
            gate, value = inner.chunk(2, -1)
            inner = F.silu(gate) * value
        else:
            inner = ACTIVATIONS[self.activation](inner)
        outer: Tensor = self.outer(masks.drop(inner))
        return outer


class Layer(nn.Module):
    """A layer of the encoder or, with `cross`, of the decoder."""

    def __init__(self, config: TransformerConfig, cross: bool) -> None:
        super().__init__()
        self.pre = config.norm == "pre"
        self.own = MultiHead(config.width, config.heads)
        self.cross = MultiHead(config.width, config.heads) if cross else None
        self.feed_forward = FeedForward(config)
        self.norms = nn.ModuleList(nn.LayerNorm(config.width) for _ in range(3 if cross else 2))

    def forward(
        self,
        states: Tensor,
        shape: Sequence[int],
        masks: Masks,
        keep: Tensor,
        past: KeysValues | None,
        angles: Tensor | None,
        source: KeysValues | None,
        source_keep: Tensor | None,
        weigh: bool,
        weigh_own: bool,
        head: int | None = None,
    ) -> tuple[Tensor, KeysValues, Tensor | None, Tensor | None]:
        """New states, the keys and values so far, the weights over the source: (N,H,T,S) if `weigh`, (N,1,T,S) where
        one `head` is named; and those over the own side (N,H,T,T) if `weigh_own`.

        States are rows (M,D), as `fused.rows` makes them of those (N,T,D) whose `shape` is (N,T).

        `angles` (T,d) turn queries and keys, where positions are told so.
        """
        own = self.own
        normed = self._enter(0, states)
        query, keys, values = (own.split(part(normed), shape) for part in (own.query, own.key, own.value))
        if angles is not None:
            query, keys = rotate(query, angles), rotate(keys, angles)
        if past is not None and past[0].shape[2]:
            keys, values = torch.cat([past[0], keys], 2), torch.cat([past[1], values], 2)
        read, own_weights = own(query, keys, values, keep, weigh_own)
        states = self._leave(0, states, read, masks)

        weights = None
        if self.cross is not None and source is not None and source_keep is not None:
            query = self.cross.split(self.cross.query(self._enter(1, states)), shape)
            seen, every = self.cross(query, *source, source_keep, weigh)
            if weigh:
                weights = every
            elif head is not None:
                weights = self.cross.weights_of(head, query, source[0], source_keep)
            states = self._leave(1, states, seen, masks)
        last = len(self.norms) - 1
        states = self._leave(last, states, self.feed_forward(self._enter(last, states), masks), masks)
        return states, (keys, values), weights, own_weights

    def _enter(self, part: int, states: Tensor) -> Tensor:
        entered: Tensor = self.norms[part](states) if self.pre else states
        return entered

    def _leave(self, part: int, states: Tensor, found: Tensor, masks: Masks) -> Tensor:
        left = masks.add(states, found)
        return left if self.pre else cast(Tensor, self.norms[part](left))


class Transformer(Seq2Seq):
    """Encoder and decoder of equal width."""

    config: TransformerConfig
    encoder: Sequence[Layer]
    decoder: Sequence[Layer]

    def __init__(self, config: TransformerConfig, source_size: int, target_size: int, shared: bool) -> None:
        super().__init__(config)
        self.source, self.target = embeddings(source_size, target_size, config.width, shared)
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
        return self._read(source, False)[0]

    def _read(self, source: Tensor, weigh_own: bool) -> tuple[Memory, list[Tensor | None]]:
        """The memory, and the weights of each layer's self-attention (B,H,S,S) if `weigh_own`."""
        keep = source != PAD
        masks = self._masks(source)
        words, angles = self._place(self.look_up(source, 0), 0)
        rows, seen = fused.rows(masks.drop(words)), []
        for layer in self.encoder:
            rows, _, _, own = layer(
                rows, source.shape, masks, keep[:, None, None], None, angles, None, None, False, weigh_own
            )
            seen.append(own)
        states = fused.states(self.encoder_norm(rows), source.shape)
        real = keep.unsqueeze(2)
        summary = (states * real).sum(1) / real.sum(1)
        return Memory(states, keep, summary), seen

    def start(self, memory: Memory) -> TransformerState:
        source, target, shape = [], [], memory.states.shape[:2]
        rows = fused.rows(memory.states)
        for layer in self.decoder:
            cross = layer.cross
            assert cross is not None
            keys, values = cross.split(cross.key(rows), shape), cross.split(cross.value(rows), shape)
            source.append((keys, values))
            target.append((keys[:, :, :0], values[:, :, :0]))
        return TransformerState(memory.keep, tuple(source), tuple(target), 0)

    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, TransformerState]:
        return self._say(tokens, state, attend, False)[:2]

    def _say(
        self, tokens: Tensor, state: State, attend: bool | str, weigh_own: bool
    ) -> tuple[Decoded, TransformerState, list[Tensor | None]]:
        """What `advance` gives, and the weights of each layer's self-attention (N,H,T,so far) if `weigh_own`."""
        assert isinstance(state, TransformerState)
        length, position = tokens.shape[1], state.position
        masks = self._masks(tokens)
        words, angles = self._place(self.look_up(tokens, 1), position)
        rows = fused.rows(masks.drop(words))
        places = torch.arange(position + length, device=tokens.device)
        keep = places <= places[position:].unsqueeze(1)  # (T, so far): each token sees itself and those before it
        source_keep = state.keep[:, None, None]
        named = divmod(self.views.index(attend), self.config.heads) if isinstance(attend, str) else None
        target, seen, seen_own = [], [], []
        for number, (layer, past, source) in enumerate(zip(self.decoder, state.target, state.source, strict=True)):
            head = named[1] if named and named[0] == number else None
            rows, said, weights, own = layer(
                rows, tokens.shape, masks, keep, past, angles, source, source_keep, attend is True, weigh_own, head
            )
            target.append(said)
            seen_own.append(own)
            if weights is not None:
                seen.append(weights)
        attention = torch.cat(seen, 1).transpose(1, 2) if attend else None  # (N,K,T,S) → (N,T,K,S)
        after = TransformerState(state.keep, state.source, tuple(target), position + length)
        return Decoded(fused.states(self.decoder_norm(rows), tokens.shape), attention), after, seen_own

    def self_attention(self, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor]:
        """The weights by which tokens read those of their own side, with teacher forcing: in the encoder (B,L,H,S,S),
        in the decoder (B,L,H,T,T) over `target_in`, of which each token reads itself and those before it."""
        memory, read = self._read(source, True)
        said = self._say(target_in, self.start(memory), False, True)[2]
        encoder, decoder = (torch.stack([own for own in seen if own is not None], 1) for seen in (read, said))
        return encoder, decoder

    def transformed(self, state: State) -> Tensor:
        """f(x) of Kobayashi 2020, equation 3, as (N,K,S,D): each source token's value by each head, after the part of
        the output layer that belongs to the head; without its bias, which no token adds."""
        assert isinstance(state, TransformerState)
        found = []
        for layer, (_, values) in zip(self.decoder, state.source, strict=True):
            assert layer.cross is not None
            out = layer.cross.out.weight.unflatten(1, (self.config.heads, -1))  # (D,H,d)
            found.append(torch.einsum("nhsd,ehd->nhse", values, out))
        return torch.cat(found, 1)

    def units(self) -> Iterator[nn.Module]:
        for layer in self.decoder:
            assert layer.cross is not None
            yield from (layer.cross.key, layer.cross.value)  # which `start` calls by themselves
        yield from (*self.encoder, *self.decoder)

    @property
    def dtype(self) -> torch.dtype:
        return self.encoder[0].own.query.weight.dtype

    def _place(self, words: Tensor, position: int) -> tuple[Tensor, Tensor | None]:
        """The word vectors (N,T,D) and the angles (T,d), one of which tells the places from `position` on."""
        length, width = words.shape[1:]
        if self.config.positions == "sinusoid":
            return words + sinusoid(position, length, width, words), None
        return words, sinusoid(position, length, width // self.config.heads, words)

    def _masks(self, tokens: Tensor) -> Masks:
        widest = max(self.config.width, self.config.feed_forward)
        return Masks(self.config.dropout if self.training else 0.0, fused.round_up(tokens.numel(), self.dtype) * widest)
