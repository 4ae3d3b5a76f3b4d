"""Weights as the compiled functions want them: packed once, told by their addresses.

A `Linear` is a layer's weights as panels (see `products`), a row of a table of addresses and sizes; the arrays behind
it are kept beside it. Widths are padded with zeros, which add nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ojak.compiled.products import BF16, INT8, PANEL, PER_WORD

Array = npt.NDArray[Any]

WEIGHTS, WORDS, OUTPUTS, STARTS, SCALES, BIAS = range(6)
"""columns of a Linear's record: addresses, but for how many words a row of activations has and how many outputs there
are, padding included"""
RECORD = 6


def up(count: int, step: int) -> int:
    """The next multiple."""
    return -(-count // step) * step


def aligned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> Array:
    """Zeros that begin on a line of the processor's cache."""
    kind = np.dtype(dtype)
    size = int(np.prod(shape)) * kind.itemsize
    raw = np.zeros(size + 64, np.uint8)
    begin = -raw.ctypes.data % 64
    return raw[begin : begin + size].view(kind).reshape(shape)


def padded_parts(values: Tensor, parts: int, width: int) -> Tensor:
    """The rows (parts × d, …) of a tensor with zeros after each part's, up to `width` rows."""
    by_part = values.detach().float().unflatten(0, (parts, -1))
    room = by_part.new_zeros(parts, width, *by_part.shape[2:])
    room[:, : by_part.shape[1]] = by_part
    flat: Tensor = room.flatten(0, 1)
    return flat


def bf16(values: npt.NDArray[np.float32]) -> npt.NDArray[np.uint16]:
    """Rounded to bf16, to the nearest, ties to even."""
    return torch.from_numpy(values).bfloat16().view(torch.uint16).numpy()


def quantised(weight: npt.NDArray[np.float32]) -> tuple[npt.NDArray[np.int8], npt.NDArray[np.float32]]:
    """Whole numbers (N,K) within ±127 and a scale (N) for each output."""
    largest = np.abs(weight).max(1)
    scale = np.where(largest > 0, largest / 127, 1).astype(np.float32)
    return np.rint(weight / scale[:, None]).astype(np.int8), scale


@dataclass
class Linear:
    """The weights of a layer, packed, with all that its record tells the address of."""

    kind: int
    weights: npt.NDArray[np.int32]
    """(outputs / PANEL, words, PANEL)"""
    starts: npt.NDArray[np.int32]
    scales: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32]

    @classmethod
    def of(cls, kind: int, weight: Tensor, bias: Tensor | None) -> Linear:
        """Packs a weight (N,K) and bias (N)."""
        plain = weight.detach().float().numpy()
        rows, width = plain.shape
        outputs, words = up(rows, PANEL), -(-width // PER_WORD[kind])
        starts, scales, shift = (aligned((outputs,), of) for of in (np.int32, np.float32, np.float32))
        packed = aligned((outputs // PANEL, words, PANEL), np.int32)
        if bias is not None:
            shift[:rows] = bias.detach().float().numpy()
        # Panel by panel: there is no second copy of a large layer.
        for panel in range(outputs // PANEL):
            some = plain[panel * PANEL : (panel + 1) * PANEL]
            padded = np.zeros((PANEL, words * PER_WORD[kind]), np.float32)
            padded[: len(some), :width] = some
            if kind == INT8:
                numbers, scale = quantised(padded)
                here = slice(panel * PANEL, (panel + 1) * PANEL)
                scales[here] = scale
                starts[here] = -128 * numbers.sum(1, dtype=np.int32)
                word = numbers.view(np.int32)
            else:
                word = (bf16(padded) if kind == BF16 else padded).view(np.int32)
            packed[panel] = word.T
        return cls(kind, packed, starts, scales, shift)

    def rows(self, places: npt.NDArray[np.int64]) -> Linear:
        """The layer of some of its outputs."""
        outputs, words = up(len(places), PANEL), self.weights.shape[1]
        flat = np.zeros((outputs, words), np.int32)
        flat[: len(places)] = self.weights[places // PANEL, :, places % PANEL]
        packed = aligned((outputs // PANEL, words, PANEL), np.int32)
        packed[:] = flat.reshape(-1, PANEL, words).transpose(0, 2, 1)
        parts = []
        for part in (self.starts, self.scales, self.bias):
            chosen = aligned((outputs,), part.dtype)
            chosen[: len(places)] = part[places]
            parts.append(chosen)
        return Linear(self.kind, packed, *parts)

    @property
    def record(self) -> list[int]:
        """Addresses and sizes, in the order of the columns."""
        starts, scales, bias = (part.ctypes.data for part in (self.starts, self.scales, self.bias))
        return [self.weights.ctypes.data, self.weights.shape[1], len(self.bias), starts, scales, bias]


@dataclass
class Table:
    """A table of addresses and sizes, a row a layer, and what they are the addresses of."""

    rows: list[list[int]] = field(default_factory=list)
    held: list[object] = field(default_factory=list)

    def linear(self, kind: int, weight: Tensor, bias: Tensor | None) -> list[int]:
        """Packs and keeps a layer; gives its record."""
        packed = Linear.of(kind, weight, bias)
        self.held.append(packed)
        return packed.record

    def floats(self, values: Tensor, width: int) -> int:
        """Keeps floats, with zeros up to `width`; gives their address."""
        padded = aligned((width,), np.float32)
        padded[: len(values)] = values.detach().float().numpy()
        self.held.append(padded)
        return int(padded.ctypes.data)

    def array(self) -> npt.NDArray[np.int64]:
        """The table."""
        return np.array(self.rows, np.int64)
