"""The recurrent models as machine code, behind the seam: the same read-outs, attention and logits as
`model.recurrent`."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from ojak.compiled import steps
from ojak.compiled.output import Compiled
from ojak.compiled.pack import RECORD, Table, aligned, padded_parts, up
from ojak.compiled.products import product
from ojak.compiled.steps import GATES
from ojak.compiled.vectors import LANES
from ojak.config import RecurrentConfig
from ojak.model.attention import Additive, General, ScaledDot
from ojak.model.cell import PARTS
from ojak.model.embedding import Embedding
from ojak.model.recurrent import Recurrent
from ojak.model.seam import Decoded, Memory, State
from ojak.text.vocabulary import PAD

Floats = npt.NDArray[np.float32]


@dataclass(frozen=True)
class RecurrentSource:
    """What every step reads of the sentences: of real tokens only, one after another."""

    begins: npt.NDArray[np.int64]
    """(B+1), where the tokens of each sentence begin"""
    longest: int
    states: Floats
    keys: Floats
    summary: Floats
    constant: Floats | None
    """what the one vector adds to the first cell's gates, where it enters every step"""


@dataclass(frozen=True)
class CompiledState(State):
    """Where the decoder stands."""

    of_source = frozenset({"source"})
    source: RecurrentSource
    sentence: npt.NDArray[np.int64]
    """(N), which sentence of the batch each row reads"""
    hidden: tuple[Floats, ...]
    """(N,D), one a layer"""
    memory: tuple[Floats, ...]
    """(N,D), what an LSTM has beside it"""
    feed: Floats
    """(N,R), the last read-outs"""

    def select(self, rows: Tensor) -> CompiledState:
        chosen = rows.numpy()
        return dataclasses.replace(
            self,
            sentence=self.sentence[chosen],
            hidden=tuple(part[chosen] for part in self.hidden),
            memory=tuple(part[chosen] for part in self.memory),
            feed=self.feed[chosen],
        )

    def reorder(self, rows: Tensor) -> CompiledState:
        return self.select(rows)


class CompiledRecurrent(Compiled):
    """A recurrent model's weights, packed, and its passes."""

    config: RecurrentConfig

    def __init__(self, model: Recurrent, kind: int) -> None:
        super().__init__(model, kind)
        config = model.config
        self._which = ("rnn", "gru", "lstm").index(config.cell)
        self._gates = GATES[self._which]
        self._directions = 2 if config.bidirectional else 1
        self._half = (config.encoder_width or config.width) // self._directions
        self._state = up(self._half * self._directions, LANES)
        self._cells, self._readout = up(config.width, LANES), up(model.readout.out_features, LANES)
        self._embedding = up(config.embedding, LANES)
        self._zeros = aligned((64,), np.float32)
        self._table = Table()
        self._encoder = [
            [self._direction(cast(nn.GRU, network), ending) for ending in ("", "_reverse")[: self._directions]]
            for network in model.encoder
        ]
        # What is computed once a sentence stays with PyTorch.
        self._first = _plain(model.first)
        self._key = _plain(model.scorer.key) if isinstance(model.scorer, Additive | General) else None
        self._scale = config.width**-0.5 if isinstance(model.scorer, ScaledDot) else 1.0
        additive = model.scorer if isinstance(model.scorer, Additive) else None
        self._vector = self._table.floats(additive.vector, self._cells) if additive else 0

        entry = model.cells[0].input
        of_word, of_extra = entry.weight[:, : config.embedding], entry.weight[:, config.embedding :]
        nothing = [0] * RECORD
        net = self._linear(additive.query.weight, None, 1, [config.width]) if additive else list(nothing)
        net += self._linear(of_word, entry.bias, self._gates, [config.embedding])
        self._every = model.scorer is None and of_extra.shape[1] > 0
        self._extra = of_extra.detach().float() if self._every else None
        known = not self._every and of_extra.shape[1]
        net += self._linear(of_extra, None, self._gates, [of_extra.shape[1]]) if known else nothing
        parts = [config.width]
        joint, context_at, word_at = self._cells, 0, 0
        if model.scorer or model.sees_word:
            parts.append(self._half * self._directions)
            context_at, joint = joint, joint + self._state
        if model.sees_word:
            parts.append(config.embedding)
            word_at, joint = joint, joint + self._embedding
        net += self._linear(model.readout.weight, model.readout.bias, 1, parts)
        for number, cell in enumerate(model.cells):
            net += self._linear(cell.input.weight, cell.input.bias, self._gates, [config.width]) if number else nothing
            net += self._linear(cell.recurrent.weight, cell.recurrent.bias, self._gates, [config.width])
        self._net = np.array(net, np.int64)
        scorer = steps.NONE if model.scorer is None else steps.ADDITIVE if additive else steps.DOT
        self._shape = self._told(self._cells, scorer, model.before, config.input_feeding, context_at, word_at, joint)
        self._reading = self._told(up(self._half, LANES), 0, 0, 0, 0, 0, 0)
        self._words = [self._vectors(model.source)]
        self._words.append(self._words[0] if model.target is model.source else self._vectors(model.target))

    def _vectors(self, words: Embedding) -> Floats:
        """Scaled word vectors, with zeros to whole vectors."""
        return _padded((words.weight.detach().float() * words.scale).numpy(), self._embedding)

    def _told(self, cells: int, *looking: int) -> npt.NDArray[np.int64]:
        """The shape of the decoder, or of the encoder, as the passes want it."""
        product_at, zeros = product(self.kind), int(self._zeros.ctypes.data)
        widths = cells, self._state, self._embedding, self._readout
        return np.array([self._which, self.kind, product_at, zeros, *widths, *looking], np.int64)

    def _linear(self, weight: Tensor, bias: Tensor | None, gates: int, parts: Sequence[int]) -> list[int]:
        """Packs a layer: outputs of each gate, and inputs of each part, with zeros up to whole vectors."""
        plain = weight.detach().float()
        columns = [padded_parts(part.T, 1, up(part.shape[1], LANES)).T for part in plain.split(list(parts), 1)]
        width = up(plain.shape[0] // gates, LANES)
        shift = None if bias is None else padded_parts(bias.detach().float(), gates, width)
        return self._table.linear(self.kind, padded_parts(torch.cat(columns, 1), gates, width), shift)

    def _direction(self, network: nn.RNNBase, ending: str) -> npt.NDArray[np.int64]:
        """The record of one direction of one layer of the encoder."""
        record = []
        for which in ("ih", "hh"):
            weight, bias = (getattr(network, f"{part}_{which}_l0{ending}") for part in ("weight", "bias"))
            record += self._linear(weight, bias, self._gates, [weight.shape[1]])
        return np.array(record, np.int64)

    def encode(self, source: Tensor) -> Memory:
        keep = source != PAD
        lengths = keep.sum(1).numpy()
        begins = np.concatenate([[0], lengths.cumsum()])
        order = np.argsort(-lengths, kind="stable")
        tokens, width = int(begins[-1]), self._embedding
        given = self._words[0][source.numpy()[keep.numpy()]]
        cells = up(self._half, LANES)
        wide = up(self._gates * cells, 64)
        gates = np.empty((tokens, wide), np.float32)
        found = np.empty((tokens, self._directions, cells), np.float32)
        plain = np.empty((tokens, 0), np.float32)
        for layer in self._encoder:
            work = 4 * max(tokens, len(lengths)) * (16 + max(width, cells)) + 128
            space = np.empty(4 * len(lengths) * (2 * cells + wide) + work, np.uint8)
            for direction, record in enumerate(layer):
                into = found.ctypes.data + 4 * direction * cells
                steps.read(
                    self._reading, record, order, begins, width, given.ctypes.data, gates.ctypes.data, 4 * wide,
                    direction == 1, into, 4 * self._directions * cells, space.ctypes.data,
                )  # fmt: skip
            plain = found[:, :, : self._half].reshape(tokens, -1)
            given, width = _padded(plain, self._state), self._state
        states = torch.zeros(*source.shape, plain.shape[1])
        states[keep] = torch.from_numpy(plain)
        last = plain[begins[1:] - 1].copy()
        if self._directions == 2:  # the backward half has read everything when it is at the first token
            last[:, self._half :] = plain[begins[:-1], self._half :]
        return Memory(states, keep, torch.from_numpy(last))

    def start(self, memory: Memory) -> CompiledState:
        sentences = len(memory.keep)
        lengths = memory.keep.sum(1).numpy()
        parts = PARTS[self.config.cell]
        first = torch.tanh(nn.functional.linear(memory.summary, *self._first)).chunk(self.config.layers * parts, 1)
        hidden, rest = (
            tuple(_padded(part.numpy(), self._cells) for part in some)
            for some in (first[::parts], first[1::parts] if parts == 2 else first)
        )
        real = memory.states[memory.keep]
        states = _padded(real.numpy(), self._state)
        keys = states
        if self._key is not None:
            keys = _padded(nn.functional.linear(real, *self._key).numpy(), self._cells)
        elif self._scale != 1:
            keys = states * np.float32(self._scale)
        constant = None
        if self._extra is not None:
            by_gate = padded_parts((memory.summary @ self._extra.T).T, self._gates, self._cells).T
            constant = _padded(by_gate.numpy(), up(self._gates * self._cells, 64))
        summary = _padded(memory.summary.numpy(), self._state)
        begins = np.concatenate([[0], lengths.cumsum()])
        source = RecurrentSource(begins, memory.keep.shape[1], states, keys, summary, constant)
        feed = np.zeros((sentences, self._readout), np.float32)
        return CompiledState(source, np.arange(sentences), hidden, rest, feed)

    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, CompiledState]:
        assert isinstance(state, CompiledState)
        rows, length = tokens.shape
        source, longest = state.source, state.source.longest
        ids = tokens.numpy().astype(np.int64, copy=False).ravel()
        told = np.zeros((rows, length, len(self.views), longest), np.float32) if attend else None
        read = np.empty((rows, length, self._readout), np.float32)
        space = np.empty(int(steps.room(self._shape, rows, longest)), np.uint8)
        hidden, memory = (
            np.array([part.ctypes.data for part in parts], np.int64) for parts in (state.hidden, state.memory)
        )
        steps.say(
            self._shape, self._net, self._words[1].ctypes.data, ids, length, hidden, memory, state.feed.ctypes.data,
            source.keys.ctypes.data, source.states.ctypes.data, source.summary.ctypes.data,
            0 if source.constant is None else source.constant.ctypes.data, source.begins, state.sentence, self._vector,
            told.ctypes.data if told is not None and told.size else 0, longest, read.ctypes.data, 4 * self._readout,
            space.ctypes.data,
        )  # fmt: skip
        seen = None if told is None else torch.from_numpy(told)
        return Decoded(torch.from_numpy(read)[:, :, : self.width], seen), state


def _plain(layer: nn.Linear) -> tuple[Tensor, Tensor | None]:
    """Weight and bias as fp32 without gradient."""
    return layer.weight.detach().float(), None if layer.bias is None else layer.bias.detach().float()


def _padded(rows: Floats, width: int) -> Floats:
    """The rows (R,D) with zeros up to `width`, in memory of their own."""
    found = aligned((len(rows), width), np.float32)
    found[:, : rows.shape[1]] = rows
    return cast(Floats, found)
