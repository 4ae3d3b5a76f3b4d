"""Batches of ids: padded tensors, and the deterministic order in which training visits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ojak.text.vocabulary import BOS, EOS, PAD

Ids = Sequence[int]


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as padded ids. Letters as in `model.seam`."""

    source: Tensor
    """(B,S), ends in EOS"""
    target_in: Tensor
    """(B,T), the true previous tokens: BOS, then the target"""
    target_out: Tensor
    """(B,T), the tokens to foretell: the target, then EOS"""
    tokens: int
    """how many of target_out are real"""

    def parts(self, count: int) -> list[Batch]:
        """At most `count` batches of every so many-th pair, cut to their longest sentences."""
        found = []
        for first in range(min(count, len(self.source))):
            source, before, after = (side[first::count] for side in (self.source, self.target_in, self.target_out))
            long, tokens = int((source != PAD).sum(1).max()), (after != PAD).sum(1)
            most = int(tokens.max())
            found.append(Batch(source[:, :long], before[:, :most], after[:, :most], int(tokens.sum())))
        return found


def pad(rows: Sequence[Ids]) -> Tensor:
    """The rows as one tensor, padded at the end."""
    padded = np.full((len(rows), max(map(len, rows))), PAD, dtype=np.int64)
    for place, row in enumerate(rows):
        padded[place, : len(row)] = row
    return torch.from_numpy(padded)


def sources(rows: Sequence[Ids], device: torch.device) -> Tensor:
    """Source ids (B,S), each row ended by EOS."""
    return pad([[*row, EOS] for row in rows]).to(device)


def collate(source: Sequence[Ids], target: Sequence[Ids], device: torch.device) -> Batch:
    """A batch of pairs of ids, which come without BOS and EOS."""
    return Batch(
        sources(source, device),
        pad([[BOS, *row] for row in target]).to(device),
        pad([[*row, EOS] for row in target]).to(device),
        sum(map(len, target)) + len(target),
    )


def plan(
    source_lengths: npt.NDArray[np.int64],
    target_lengths: npt.NDArray[np.int64],
    budget: int,
    shuffle: tuple[int, int] | None = None,
) -> list[npt.NDArray[np.int64]]:
    """The batches of a pass over the pairs, as places of pairs of nearly equal lengths.

    A batch holds at most `budget` tokens of its longer side, end of sentence and padding included, or a single pair
    that is longer. `shuffle`, a seed and a pass, mixes pairs of equal lengths and the order of the batches; the same
    numbers give the same order, so a place in it (pass, batch) is enough to resume. Without it the order is by length.
    """
    generator = None if shuffle is None else np.random.Generator(np.random.PCG64(list(shuffle)))
    ties = np.arange(len(source_lengths)) if generator is None else generator.permutation(len(source_lengths))
    order = np.lexsort((ties, source_lengths, target_lengths))
    batches, begin, longest = [], 0, 0
    for place, pair in enumerate(order):
        longer = max(longest, int(source_lengths[pair]) + 1, int(target_lengths[pair]) + 1)
        if place > begin and longer * (place - begin + 1) > budget:
            batches.append(order[begin:place])
            begin, longer = place, max(int(source_lengths[pair]) + 1, int(target_lengths[pair]) + 1)
        longest = longer
    if len(order):
        batches.append(order[begin:])
    if generator is not None:
        batches = [batches[place] for place in generator.permutation(len(batches))]
    return batches
