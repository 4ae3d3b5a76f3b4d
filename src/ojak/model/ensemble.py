"""Several models as one: the mean of their probabilities."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from ojak.errors import UseError
from ojak.model.folder import Loaded
from ojak.model.seam import Decoded, Memory, Output, Seq2Seq, State


@dataclass(frozen=True)
class EnsembleMemory(Memory):
    """What each of the encoders has read; as a Memory it is the first's."""

    members: tuple[Memory, ...]


@dataclass(frozen=True)
class EnsembleState(State):
    """Where each of the decoders stands."""

    members: tuple[State, ...]

    def reorder(self, rows: Tensor) -> EnsembleState:
        return EnsembleState(tuple(state.reorder(rows) for state in self.members))


class Ensemble(Seq2Seq):
    """log mean_m P_m(word), behind the seam, so that the search need not know.

    Its decoder states are the members' side by side; its views are all of theirs, as `model0.additive`.
    """

    members: Sequence[Seq2Seq]

    def __init__(self, members: Sequence[Seq2Seq]) -> None:
        shortest = min(members, key=lambda member: member.config.max_length)
        super().__init__(shortest.config)
        self.members = cast(Sequence[Seq2Seq], nn.ModuleList(members))
        self.project = members[0].project
        self.widths = [member.project.in_features for member in members]
        self.views = tuple(f"model{number}.{view}" for number, one in enumerate(members) for view in one.views)

    def encode(self, source: Tensor) -> EnsembleMemory:
        memories = tuple(member.encode(source) for member in self.members)
        return EnsembleMemory(memories[0].states, memories[0].keep, memories[0].summary, memories)

    def start(self, memory: Memory) -> EnsembleState:
        assert isinstance(memory, EnsembleMemory)
        return EnsembleState(tuple(m.start(read) for m, read in zip(self.members, memory.members, strict=True)))

    def advance(self, tokens: Tensor, state: State, attend: bool | str = False) -> tuple[Decoded, EnsembleState]:
        assert isinstance(state, EnsembleState) and not isinstance(attend, str), "a view is named in training alone"
        told = [member.advance(tokens, own, attend) for member, own in zip(self.members, state.members, strict=True)]
        states = torch.cat([decoded.states for decoded, _ in told], -1)
        looked = [decoded.attention for decoded, _ in told if decoded.attention is not None]
        after = EnsembleState(tuple(state for _, state in told))
        return Decoded(states, torch.cat(looked, 2) if attend else None), after

    @property
    def dtype(self) -> torch.dtype:
        return self.members[0].dtype

    def output(self, states: Tensor) -> Tensor:
        """Log-probabilities, which are logits too."""
        return self._mean([member.output for member in self.members], states)

    def outputs(self, words: Tensor | None = None) -> Output:
        layers = [member.outputs(words) for member in self.members]
        return Output(lambda states: self._mean(layers, states))

    def _mean(self, layers: Sequence[Callable[[Tensor], Tensor]], states: Tensor) -> Tensor:
        parts = zip(layers, states.split(self.widths, -1), strict=True)
        scores = torch.stack([layer(part).log_softmax(-1) for layer, part in parts])
        return scores.logsumexp(0) - math.log(len(layers))


def together(runs: Sequence[Loaded], paths: Sequence[str | Path]) -> Loaded:
    """Several runs as one, with the tokenizers and settings of the first. Raises UseError that names each run whose
    vocabulary is another."""
    first = runs[0]
    others = [
        str(path)
        for run, path in zip(runs, paths, strict=True)
        if run.source.entries != first.source.entries or run.target.entries != first.target.entries
    ]
    if others:
        raise UseError(
            f"The runs of an ensemble must share their vocabularies, but those of {', '.join(others)} differ from "
            f"those of {paths[0]}; train them on the same pairs with the same text settings."
        )
    return replace(first, model=Ensemble([run.model for run in runs]).eval())
