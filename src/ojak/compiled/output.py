"""What compiled models of all architectures share: the output layer."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ojak.compiled.pack import Linear, aligned, up
from ojak.compiled.products import product
from ojak.compiled.vectors import LANES
from ojak.compiled.words import likeliest, logits
from ojak.model.seam import Likeliest, Output, Seq2Seq

LINE = 64
"""rows of states are padded to so many floats"""
NO_BARS, NO_SENTENCES = np.zeros((0, 0), np.float32), np.zeros(0, np.int64)


class Compiled(Seq2Seq):
    """A model whose weights are packed for machine code; it keeps nothing of the one that it was made from."""

    def __init__(self, model: Seq2Seq, kind: int) -> None:
        super().__init__(model.config)
        self.kind, self.views, self.width = kind, model.views, model.project.in_features
        packed = Linear.of(kind, model.project.weight, model.project.bias)
        self._output = CompiledOutput(packed, model.words, self.width, kind)
        self.eval()

    def output(self, states: Tensor) -> Tensor:
        return self._output(states)

    def outputs(self, words: Tensor | None = None) -> Output:
        return self._output if words is None else self._output.among(words)

    @property
    def words(self) -> int:
        return self._output.words

    @property
    def device(self) -> torch.device:
        return torch.device("cpu")

    @property
    def dtype(self) -> torch.dtype:
        return torch.float32


class CompiledOutput(Output):
    """The output layer, packed."""

    def __init__(self, layer: Linear, words: int, width: int, kind: int) -> None:
        self._packed, self.words, self._width, self._kind = layer, words, width, kind
        self._record, self._product = np.array(layer.record), product(kind)
        self._zeros = aligned((LINE,), np.float32)
        self._at_zeros = int(self._zeros.ctypes.data)
        self._bars: tuple[Tensor | None, npt.NDArray[np.float32]] = None, NO_BARS

    def among(self, words: Tensor) -> CompiledOutput:
        """The layer of some words."""
        return CompiledOutput(self._packed.rows(words.numpy()), len(words), self._width, self._kind)

    def __call__(self, states: Tensor) -> Tensor:
        given, step = padded_rows(states.reshape(-1, self._width))
        found = np.empty((len(given), len(self._packed.bias)), np.float32)
        width = up(self._width, LANES)
        logits(
            self._kind, self._product, self._record, given.data_ptr(), step, len(given), width, self._at_zeros, found,
        )  # fmt: skip
        by_row: Tensor = torch.from_numpy(found)[:, : self.words].unflatten(0, states.shape[:-1])
        return by_row

    def likeliest(
        self, states: Tensor, count: int, barred: Tensor | None = None, sentence: Tensor | None = None
    ) -> Likeliest:
        given, step = padded_rows(states)
        rows = len(given)
        bars, of = NO_BARS, NO_SENTENCES
        if barred is not None and sentence is not None:
            bars, of = self._added(barred), sentence.numpy()
        scores, end = np.empty((rows, count), np.float32), np.empty(rows, np.float32)
        words = np.empty((rows, count), np.int64)
        likeliest(
            self._kind, self._product, self._record, given.data_ptr(), step, rows, up(self._width, LANES),
            self._at_zeros, self.words, bars, of, scores, words, end,
        )  # fmt: skip
        return Likeliest(*map(torch.from_numpy, (scores, words, end)))

    def _added(self, barred: Tensor) -> npt.NDArray[np.float32]:
        """What is added to logits (B,V') where words are barred (B,V). A search asks for the same at each step, so the
        last is kept."""
        kept, bars = self._bars
        if kept is not barred:
            bars = np.zeros((len(barred), up(self.words, LINE)), np.float32)
            bars[:, : self.words][barred.numpy()] = -np.inf
            self._bars = barred, bars
        return bars


def padded_rows(states: Tensor) -> tuple[Tensor, int]:
    """Rows of states (R,D) as machine code wants them, floats with zeros to whole vectors, and the bytes of a step."""
    width = states.shape[1]
    if states.dtype == torch.float32 and states.stride(1) == 1 and width % LANES == 0:
        return states, 4 * states.stride(0)
    padded = torch.zeros(len(states), up(width, LINE))
    padded[:, :width] = states
    return padded, 4 * padded.stride(0)
