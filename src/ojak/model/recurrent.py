"""The recurrent encoder-decoder: one context vector (Sutskever 2014, Cho 2014), or attention acting before the cell
(Bahdanau 2015) or after it (Luong 2015)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from ojak.config import RecurrentConfig
from ojak.model.attention import scorer, weigh
from ojak.model.cell import PARTS, Cell, Hidden
from ojak.model.deferred import Shared
from ojak.model.dropout import Masks
from ojak.model.embedding import embeddings, output_layer
from ojak.model.seam import Decoded, Memory, Seq2Seq, State
from ojak.text.vocabulary import PAD

_ENCODERS: dict[str, type[nn.RNN] | type[nn.GRU] | type[nn.LSTM]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@dataclass(frozen=True)
class RecurrentState(State):
    """The cells' states, and what every step reads of the source."""

    of_source = frozenset({"memory", "keys"})
    memory: Memory
    keys: Tensor | None
    """(N,S,A), or None without attention"""
    hidden: tuple[Hidden, ...]
    """one a layer"""
    feed: Tensor | None
    """(N,R), the last read-out, with input feeding"""


class Recurrent(Seq2Seq):
    """See the table of the lineage in docs/design.md; the configuration names the row."""

    config: RecurrentConfig
    cells: Sequence[Cell]

    def __init__(self, config: RecurrentConfig, source_size: int, target_size: int, shared: bool) -> None:
        super().__init__(config)
        keys = config.encoder_width or config.width
        directions = 2 if config.bidirectional else 1
        self.source, self.target = embeddings(source_size, target_size, config.embedding, shared)
        make = _ENCODERS[config.cell]
        self.encoder = nn.ModuleList(
            make(keys if layer else config.embedding, keys // directions, bidirectional=config.bidirectional)
            for layer in range(config.layers)
        )
        for name, weight in self.encoder.named_parameters():
            if ".weight_hh" in name:
                for gate in torch.split(weight.data, weight.shape[1]):
                    nn.init.orthogonal_(gate)

        attends = config.attention != "none"
        self.before = attends and config.acts == "before"
        self.scorer = scorer(config.attention, config.width, keys) if attends else None
        self.views = (config.attention,) if attends else ()

        readout = config.embedding if config.tie_embeddings else config.width
        # What enters the first cell beside the previous word: a context, the last read-out, or nothing.
        extra = keys if self.before or (not attends and config.context == "every_step") else 0
        extra = readout if config.input_feeding else extra
        widths = [config.embedding + extra] + [config.width] * (config.layers - 1)
        cells = nn.ModuleList(Cell(config.cell, width, config.width) for width in widths)
        self.cells = cast(Sequence[Cell], cells)
        self.first = nn.Linear(keys, config.layers * PARTS[config.cell] * config.width)
        # Bahdanau's and Cho's read-outs see the previous word, Luong's and Sutskever's do not.
        sees_word = extra > 0 and not config.input_feeding
        sees_context = attends or sees_word
        self.sees_word = sees_word
        width = config.width + (keys if sees_context else 0) + (config.embedding if sees_word else 0)
        self.readout = nn.Linear(width, readout)
        self.project = output_layer(readout, self.target, config.tie_embeddings)

    def encode(self, source: Tensor) -> Memory:
        keep = source != PAD
        lengths = keep.sum(1)
        masks = self._masks(source)
        words = masks.drop(self.look_up(source, 0))
        packed = pack_padded_sequence(words, lengths.cpu(), batch_first=True, enforce_sorted=False)
        for layer, network in enumerate(self.encoder):
            if layer:
                packed = packed._replace(data=masks.drop(packed.data))
            packed = network(packed)[0]
        states = pad_packed_sequence(packed, batch_first=True, total_length=source.shape[1])[0]
        last = states[torch.arange(len(source), device=source.device), lengths - 1]
        if self.config.bidirectional:  # the backward half has read everything when it is at the first token
            half = states.shape[2] // 2
            last = torch.cat([last[:, :half], states[:, 0, half:]], 1)
        return Memory(masks.drop(states), keep, masks.drop(last))

    def start(self, memory: Memory) -> RecurrentState:
        layers, parts = self.config.layers, PARTS[self.config.cell]
        first = torch.tanh(self.first(memory.summary)).chunk(layers * parts, 1)
        hidden = tuple(first[layer * parts : (layer + 1) * parts] for layer in range(layers))
        keys = self.scorer.keys(memory.states) if self.scorer else None
        feed = memory.summary.new_zeros(len(first[0]), self.readout.out_features) if self.config.input_feeding else None
        return RecurrentState(memory, keys, hidden, feed)

    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, RecurrentState]:
        assert isinstance(state, RecurrentState)
        masks = self._masks(tokens)
        words = masks.drop(self.look_up(tokens, 1))  # (N,T,M)
        given, of_extra = self._given(words, state)
        extra, look = Shared(of_extra), self._looker(state)  # `look` is None without attention
        read_out = Shared(self.readout.weight.T, self.readout.bias)
        above = [Shared(cell.input.weight.T, cell.input.bias) for cell in self.cells[1:]]
        recurrent = [cell.begin() for cell in self.cells]
        hidden, feed = state.hidden, state.feed
        tops: list[Tensor] = []  # (N,D) each
        seen: list[tuple[Tensor, Tensor]] = []  # context (N,1,E) and weights (N,1,S) each
        fed: list[Tensor] = []  # (N,1,R) each
        # Unbound once, since each slice of a tensor has a gradient as large as the whole.
        for gates, word in zip(given.unbind(1), words.split(1, 1), strict=True):
            if look and self.before:
                seen.append(look(hidden[-1][0].unsqueeze(1)))
                gates = gates + extra.times(seen[-1][0].squeeze(1))
            elif feed is not None:
                gates = gates + extra.times(feed)
            new = [self.cells[0](gates, hidden[0], recurrent[0])]
            for layer, entry in enumerate(above, 1):
                entered = entry.times(masks.drop(new[-1][0]))
                new.append(self.cells[layer](entered, hidden[layer], recurrent[layer]))
            hidden = tuple(new)
            tops.append(hidden[-1][0])
            if look and feed is not None:
                top = tops[-1].unsqueeze(1)
                seen.append(look(top))
                fed.append(self._read_out(top, seen[-1][0], word, read_out, masks))
                feed = fed[-1].squeeze(1)

        after = replace(state, hidden=hidden, feed=feed)
        top = torch.stack(tops, 1)
        if look is None:
            context = state.memory.summary.unsqueeze(1).expand(-1, top.shape[1], -1)
            nothing = top.new_zeros(len(top), top.shape[1], 0, state.memory.keep.shape[1])
            return Decoded(self._read_out(top, context, words, read_out, masks), nothing if attend else None), after
        if seen:
            context, weights = (torch.cat(parts, 1) for parts in zip(*seen, strict=True))
        else:  # acting after the cell without feeding: nothing of the attention enters the cell, so all steps at once
            context, weights = look(top)
        states = torch.cat(fed, 1) if fed else self._read_out(top, context, words, read_out, masks)
        return Decoded(states, weights.unsqueeze(2) if attend else None), after

    def transformed(self, state: State) -> Tensor:
        """What a weight of 1 adds to the context, as (N,K,S,E): the encoder's states themselves."""
        assert isinstance(state, RecurrentState)
        return state.memory.states.unsqueeze(1)[:, : len(self.views)]

    @property
    def dtype(self) -> torch.dtype:
        return self.first.weight.dtype

    def _given(self, words: Tensor, state: RecurrentState) -> tuple[Tensor, Tensor]:
        """The first cell's input product (N,T,G·D) as far as it is known beforehand, and the weights (X,G·D) for the
        X inputs that only the step itself knows."""
        first = self.cells[0].input
        of_words, of_extra = first.weight[:, : words.shape[2]], first.weight[:, words.shape[2] :]
        given = nn.functional.linear(words, of_words, first.bias)
        if not self.scorer and of_extra.shape[1]:  # the one vector, the same at every step
            given = given + (state.memory.summary @ of_extra.T).unsqueeze(1)
        return given, of_extra.T

    def _looker(self, state: RecurrentState) -> Callable[[Tensor], tuple[Tensor, Tensor]] | None:
        """What gives the context (N,T,E) and the weights (N,T,S) of queries (N,T,D)."""
        if self.scorer is None or state.keys is None:
            return None
        keep, score = state.memory.keep.unsqueeze(1), self.scorer.against(state.keys)
        values = Shared(state.memory.states)

        def look(query: Tensor) -> tuple[Tensor, Tensor]:
            weights = weigh(score(query), keep)
            return values.times(weights), weights

        return look

    def _read_out(self, top: Tensor, context: Tensor, words: Tensor, matrix: Shared, masks: Masks) -> Tensor:
        """What the output layer sees, (N,T,R): tanh of a layer over the state, the context and the previous word."""
        parts = [top]
        if self.scorer or self.sees_word:
            parts.append(context)
        if self.sees_word:
            parts.append(words)
        read = matrix.times(torch.cat(parts, 2).flatten(0, 1)).view(*top.shape[:2], -1)
        return masks.drop(torch.tanh(read))

    def _masks(self, tokens: Tensor) -> Masks:
        widest = max(self.config.embedding, self.config.width, self.config.encoder_width)
        return Masks(self.config.dropout if self.training else 0.0, tokens.numel() * widest)
