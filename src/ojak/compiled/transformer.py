"""The Transformer as machine code, behind the seam: the same states, attention and logits as `model.transformer`."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ojak.compiled import passes
from ojak.compiled.layers import GELU, SWIGLU, SWISH
from ojak.compiled.output import LINE, Compiled, padded_rows
from ojak.compiled.pack import RECORD, Array, Table, aligned, padded_parts, up
from ojak.compiled.products import FP32, product
from ojak.compiled.vectors import LANES
from ojak.config import TransformerConfig
from ojak.model.attention import MultiHead
from ojak.model.embedding import Embedding
from ojak.model.seam import Decoded, Memory, State
from ojak.model.transformer import Layer, Transformer, sinusoid
from ojak.text.vocabulary import PAD

TOGETHER = 384
"""so many source tokens go through the encoder together: what is worked on then stays near the processor"""
FIRST = 32
"""target tokens that there is room for at first"""


class Store:
    """Keys and values of rows of target tokens, written in place and shared by all states that came of one.

    A row's token t lies in the slot that its trail names, so choosing rows moves trails, not keys and values. No place
    is written twice: a state that finds tokens beyond its own (another went on from here) begins a store of its own.
    """

    def __init__(self, layers: int, side: int, halves: bool) -> None:
        self.layers, self.side, self.type = layers, side, np.float16 if halves else np.float32
        self.slots = self.capacity = self.written = 0
        self.arrays: list[Array] = []
        self.addresses = np.zeros(layers, np.int64)

    def hold(self, rows: int, length: int, trail: npt.NDArray[np.int32], position: int) -> Store:
        """A store with room for so many rows and tokens, with what the `trail` (N,position) of a state needs: this one,
        if it can be, and else another."""
        if self.written == position and rows <= self.slots and length <= self.capacity:
            self.written = length
            return self
        if self.written == position and rows <= self.slots:  # it has become too short
            other = self._new(self.slots, max(length, 2 * self.capacity))
            for array, old in zip(other.arrays, self.arrays, strict=True):
                array[:, :, :position] = old[:, :, :position]
        else:
            other = self._new(rows, max(length, self.capacity, FIRST))
            if position:
                places = np.arange(position)
                for array, old in zip(other.arrays, self.arrays, strict=True):
                    array[:, :, :position] = old[:, trail[:, :position], places]
            trail[:, :position] = np.arange(rows, dtype=np.int32)[:, None]
        other.written = length
        return other

    def _new(self, slots: int, capacity: int) -> Store:
        other = Store(self.layers, self.side, self.type is np.float16)
        other.slots, other.capacity = slots, capacity
        other.arrays = [np.empty((2, slots, capacity, self.side), self.type) for _ in range(self.layers)]
        other.addresses = np.array([array.ctypes.data for array in other.arrays], np.int64)
        return other


@dataclass(frozen=True)
class Source:
    """What the decoder reads of the sentences: keys and values of each layer, of real tokens only, side by side."""

    begins: npt.NDArray[np.int64]
    """(B+1), where the tokens of each sentence begin"""
    longest: int
    addresses: npt.NDArray[np.int64]
    held: tuple[Array, ...]


@dataclass(frozen=True)
class CompiledState(State):
    """Where the decoder stands: rows are told by the sentence that they read and the slots that their tokens lie in."""

    of_source = frozenset({"sentence", "source"})
    sentence: npt.NDArray[np.int64]
    """(N), which sentence of the batch each row reads"""
    trail: npt.NDArray[np.int32]
    """(N,T), the slot of each token so far"""
    source: Source
    store: Store
    position: int

    def select(self, rows: Tensor) -> CompiledState:
        chosen = rows.numpy()
        return dataclasses.replace(self, sentence=self.sentence[chosen], trail=self.trail[chosen])

    def reorder(self, rows: Tensor) -> CompiledState:
        return dataclasses.replace(self, trail=self.trail[rows.numpy()])


class CompiledTransformer(Compiled):
    """A Transformer's weights, packed, and its passes."""

    config: TransformerConfig

    def __init__(self, model: Transformer, kind: int) -> None:
        super().__init__(model, kind)
        config = model.config
        self.halves = kind != FP32
        self.padded = up(config.width // config.heads, LANES)
        self.row = up(config.width, LINE)
        self.side = config.heads * self.padded
        self._product = product(kind)
        self._zeros = aligned((64,), np.float32)
        gated = config.activation == "swiglu"
        inner = up(config.feed_forward, LANES)
        self._inner = inner
        kinds = {"relu": 0, "gelu": GELU, "swish": SWISH, "swiglu": SWIGLU}
        self._shape = np.array(
            [
                *(config.width, self.row, config.heads, config.width // config.heads, self.padded),
                *(inner, up(inner * (2 if gated else 1), LINE), config.norm == "pre", config.positions == "rotary"),
                *(kinds[config.activation], kind, self._product, self._zeros.ctypes.data),
            ],
            np.int64,
        )
        self._encoder, self._decoder = Table(), Table()
        for layer in model.encoder:
            self._encoder.rows.append(self._layer(self._encoder, layer))
        for layer in model.decoder:
            self._decoder.rows.append(self._layer(self._decoder, layer))
        self._tables = self._encoder.array(), self._decoder.array()
        self._last = [
            np.array(
                [table.floats(norm.weight, self.row), table.floats(norm.bias, self.row)]
                if isinstance(norm, nn.LayerNorm)
                else [0, 0],
                np.int64,
            )
            for table, norm in ((self._encoder, model.encoder_norm), (self._decoder, model.decoder_norm))
        ]
        self._words = [self._table(model.source)]
        self._words.append(self._words[0] if model.target is model.source else self._table(model.target))
        self._vectors = [table.ctypes.data for table in self._words]
        # Tables of places as the plain model makes them.
        like = torch.zeros(1)
        places = aligned((config.max_length + 1, self.row), np.float32)
        places[:, : config.width] = sinusoid(0, config.max_length + 1, config.width, like).numpy()
        head = config.width // config.heads
        angles = sinusoid(0, config.max_length + 1, head, like).numpy() if head % 2 == 0 else places
        self._places = places, np.ascontiguousarray(angles)
        self._place_tables = np.array([table.ctypes.data for table in self._places], np.int64)

    def _layer(self, table: Table, layer: Layer) -> list[int]:
        """The row of the table that tells of a layer."""

        def joined(of: MultiHead, *names: str) -> list[int]:
            parts = [getattr(of, name) for name in names]
            weight = torch.cat([padded_parts(part.weight, of.heads, self.padded) for part in parts])
            bias = torch.cat([padded_parts(part.bias, of.heads, self.padded) for part in parts])
            return table.linear(self.kind, weight, bias)

        def back(of: MultiHead) -> list[int]:
            return table.linear(self.kind, padded_parts(of.out.weight.T, of.heads, self.padded).T, of.out.bias)

        own, cross, between = layer.own, layer.cross, layer.feed_forward
        row = [*joined(own, "query", "key", "value"), *back(own)]
        row += [*joined(cross, "query"), *back(cross), *joined(cross, "key", "value")] if cross else [0] * (3 * RECORD)
        parts = 2 if self.config.activation == "swiglu" else 1
        into = [padded_parts(part, parts, self._inner) for part in (between.inner.weight, between.inner.bias)]
        row += table.linear(self.kind, *into)
        row += table.linear(self.kind, padded_parts(between.outer.weight.T, 1, self._inner).T, between.outer.bias)
        norms = [address for norm in layer.norms for address in self._norm(table, norm)]
        return row + norms + [0] * (6 - len(norms))

    def _norm(self, table: Table, norm: nn.Module) -> list[int]:
        assert isinstance(norm, nn.LayerNorm)
        return [table.floats(norm.weight, self.row), table.floats(norm.bias, self.row)]

    def _table(self, words: Embedding) -> Array:
        """Scaled word vectors, in rows of `row`."""
        table = aligned((words.num_embeddings, self.row), np.float16 if self.halves else np.float32)
        table[:, : self.config.width] = (words.weight.detach().float() * words.scale).numpy()
        return table

    def encode(self, source: Tensor) -> Memory:
        keep = source != PAD
        lengths = keep.sum(1).numpy()
        real = keep.numpy()
        ids = source.numpy()[real].astype(np.int64)
        begins = np.concatenate([[0], lengths.cumsum()])
        states = torch.zeros(*source.shape, self.config.width)
        first = 0
        while first < len(lengths):
            last = max(first + 1, int(np.searchsorted(begins, begins[first] + TOGETHER, side="right")) - 1)
            here = begins[first : last + 1] - begins[first]
            places = np.concatenate([np.arange(length) for length in lengths[first:last]])
            found = np.empty((len(places), self.row), np.float32)
            passes.encode(
                self._shape, self._tables[0], self._last[0], self._vectors[0], self.halves, self._place_tables,
                ids[begins[first] : begins[last]], places, here, found,
            )  # fmt: skip
            states[first:last][keep[first:last]] = torch.from_numpy(found)[:, : self.config.width]
            first = last
        summary = states.sum(1) / keep.sum(1, keepdim=True)
        return Memory(states, keep, summary)

    def start(self, memory: Memory) -> CompiledState:
        real = memory.keep.numpy()
        given, step = padded_rows(memory.states[memory.keep])
        begins = np.concatenate([[0], real.sum(1).cumsum()])
        layers, rows = len(self._tables[1]), len(given)
        held = tuple(np.empty((2, rows, self.side), np.float16 if self.halves else np.float32) for _ in range(layers))
        addresses = np.array([array.ctypes.data for array in held], np.int64)
        passes.sources(self._shape, self._tables[1], given.data_ptr(), step, rows, self.halves, addresses)
        source = Source(begins, real.shape[1], addresses, held)
        sentences = np.arange(len(real))
        store = Store(layers, self.side, self.halves)
        return CompiledState(sentences, np.zeros((len(real), 0), np.int32), source, store, 0)

    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, CompiledState]:
        assert isinstance(state, CompiledState)
        rows, length = tokens.shape
        position, end = state.position, state.position + length
        trail = np.empty((rows, end), np.int32)
        trail[:, :position] = state.trail
        store = state.store.hold(rows, end, trail, position)
        trail[:, position:] = np.arange(rows, dtype=np.int32)[:, None]
        ids = tokens.numpy().astype(np.int64, copy=False).ravel()
        longest = state.source.longest
        weights = np.zeros(rows * length * len(self.views) * longest if attend else 0, np.float32)
        states = np.empty((rows, length, self.row), np.float32)
        passes.decode(
            self._shape, self._tables[1], self._last[1], self._vectors[1], self.halves, self._place_tables, ids, length,
            position, trail, store.addresses, store.slots, store.capacity, state.source.addresses, state.source.begins,
            state.sentence, weights, longest, states,
        )  # fmt: skip
        after = CompiledState(state.sentence, trail, state.source, store, end)
        told = torch.from_numpy(weights).view(rows, length, -1, longest) if attend else None
        if told is not None and isinstance(attend, str):
            view = self.views.index(attend)
            told = told[:, :, view : view + 1]
        return Decoded(torch.from_numpy(states)[:, :, : self.config.width], told), after
