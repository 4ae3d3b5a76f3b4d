"""The seam: all that training, search, scoring and looking know of a model.

The legend of dimension letters, for every shape in Ojak:

    B  sentences          N  rows (hypotheses; B × beam in search, B in training)
    S  source length      T  target length
    K  attention views    H  heads
    D  width              V  vocabulary            E  width of the encoder's states

The row is dimension 0 of every tensor. A mask is called `keep` and is True at real tokens.
"""

from __future__ import annotations

import dataclasses
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ojak.config import ModelConfig
from ojak.model.dropout import Masks
from ojak.model.embedding import Embedding
from ojak.text.vocabulary import BOS, EOS, PAD, UNK


@dataclass(frozen=True)
class Memory:
    """What the encoder has read."""

    states: Tensor
    """(B,S,E)"""
    keep: Tensor
    """(B,S), True at real tokens"""
    summary: Tensor
    """(B,E), the one context vector"""


@dataclass(frozen=True)
class State:
    """Where a decoder stands. Opaque to all but its architecture; every tensor has the row as dimension 0.

    A state is used up by `advance`, which may write into it: who wants to branch calls `select` first.
    """

    of_source: ClassVar[frozenset[str]] = frozenset()
    """the fields that are alike in all rows of a sentence"""

    def select(self, rows: Tensor) -> Self:
        """The state of the chosen rows, in their order; `rows` (N') may repeat and drop rows."""
        selected: Self = _select(self, rows)
        return selected

    def reorder(self, rows: Tensor) -> Self:
        """The same where each of the `rows` (N) takes the place of a row of its own sentence: what belongs to the
        source stays where it is and is not copied."""
        moved = [field.name for field in dataclasses.fields(self) if field.name not in self.of_source]
        return dataclasses.replace(self, **{name: _select(getattr(self, name), rows) for name in moved})


def _select(value: Any, rows: Tensor) -> Any:
    if isinstance(value, Tensor):
        return value.index_select(0, rows)
    if isinstance(value, tuple):
        return tuple(_select(item, rows) for item in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _select(getattr(value, field.name), rows) for field in dataclasses.fields(value)}
        return type(value)(**fields)
    return value


@dataclass(frozen=True)
class Decoded:
    """What the decoder says of each target position."""

    states: Tensor
    """(N,T,D), before the output layer"""
    attention: Tensor | None
    """(N,T,K,S), or None when it was not asked for; K is 1 where one view was named"""


NEVER = (PAD, UNK, BOS)
"""what cannot stand in a target; their share of the probability is not given to others"""


@dataclass(frozen=True)
class Likeliest:
    """The C words that are likeliest to come next in each row, of those that can stand in a target, best first."""

    scores: Tensor
    """(N,C), log-probabilities"""
    words: Tensor
    """(N,C)"""
    end: Tensor
    """(N), the log-probability of EOS, whether it is among them or not"""


class Output:
    """An output layer, of all words or of a shortlist: from states (…,D) to logits (…,V)."""

    def __init__(self, layer: Callable[[Tensor], Tensor]) -> None:
        self._layer = layer

    def __call__(self, states: Tensor) -> Tensor:
        return self._layer(states)

    def log_probabilities(self, states: Tensor, barred: Tensor | None = None) -> Tensor:
        """(N,V) of states (N,D), in single precision at least. Words where `barred` (N,V) is True have none."""
        logits = self(states)
        if logits.dtype != torch.float64:
            logits = logits.float()
        if barred is not None:
            logits = logits.masked_fill(barred, -torch.inf)
        return torch.log_softmax(logits, -1)

    def likeliest(
        self, states: Tensor, count: int, barred: Tensor | None = None, sentence: Tensor | None = None
    ) -> Likeliest:
        """The `count` likeliest words after states (N,D). Row n may say no word where `barred[sentence[n]]` is True, of
        `barred` (B,V)."""
        words = self.log_probabilities(states, None if barred is None else barred[sentence])
        end = words[:, EOS].clone()
        words[:, NEVER] = -torch.inf
        return Likeliest(*words.topk(count, 1), end)


class Seq2Seq(nn.Module, ABC):
    """An encoder and a decoder, whichever they are.

    `views` names the K attention views, none for a model without attention. `source` and `target` look up the words,
    `project` is the output layer.
    """

    views: tuple[str, ...]
    source: Embedding
    target: Embedding
    project: nn.Linear

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config

    @abstractmethod
    def encode(self, source: Tensor) -> Memory:
        """Reads `source` (B,S), ids that end in EOS, then PAD."""

    @abstractmethod
    def start(self, memory: Memory) -> State:
        """The state before the first target token, one row a sentence. What attention needs is computed here, once."""

    @abstractmethod
    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, State]:
        """Reads `tokens` (N,T) and tells of the token after each of them.

        T is the whole target in training and scoring, 1 in search, a prefix in forced decoding. `attend` asks for
        the attention weights of all views, or of the one that it names (K = 1), and changes nothing else.
        """

    def output(self, states: Tensor) -> Tensor:
        """The logits (…,V) of states (…,D)."""
        logits: Tensor = self.project(states.to(self.project.weight.dtype))
        return logits

    def outputs(self, words: Tensor | None = None) -> Output:
        """The output layer as a whole, or that of a shortlist, to the logits (…,C) of the `words` (C) alone; of these
        the first are the specials."""
        if words is None:
            return Output(self.output)
        weight = self.project.weight[words]
        bias = None if self.project.bias is None else self.project.bias[words]
        return Output(lambda states: F.linear(states.to(weight.dtype), weight, bias))

    @property
    def words(self) -> int:
        """V, how many words the output layer has."""
        return self.project.out_features

    def forward(self, source: Tensor, target_in: Tensor, attend: bool | str = False) -> Decoded:
        """Teacher forcing: `source` (B,S) and the true previous tokens `target_in` (B,T)."""
        return self.advance(target_in, self.start(self.encode(source)), attend)[0]

    def look_up(self, tokens: Tensor, side: int) -> Tensor:
        """The vectors (N,T,D) of the `tokens` (N,T) of the source (side 0) or target (1); in training without those
        that word dropout takes."""
        words = (self.source, self.target)[side](tokens, self.dtype)
        rate = self.config.word_dropout[side] if self.training else 0.0
        return Masks(rate, tokens.numel()).drop_words(words)

    def units(self) -> Iterator[nn.Module]:
        """The parts that are called whole, those within others first: what may be fetched just before it is called,
        where a model is too big for one device."""
        yield from ()

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.project.weight.device

    @property
    @abstractmethod
    def dtype(self) -> torch.dtype:
        """What states are computed in: the type of all weights but those of the words and of the output layer."""

    def parameter_count(self) -> int:
        """How many numbers are learnt; tied ones count once."""
        return sum(parameter.numel() for parameter in self.parameters())
