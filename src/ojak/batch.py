"""Batches of ids: padded tensors, and the deterministic order in which training visits them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ojak.text.vocabulary import BOS, EOS, PAD

Ids = Sequence[int] | npt.NDArray[np.integer[Any]]


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
    seed: int | None = None
    """what dropout is drawn from in training: of the batch's place in the data, whoever learns from it"""
    links: Tensor | None = None
    """(B,T,S), True where a word alignment links a token of target_out and one of the source, where one is given"""

    def parts(self, count: int) -> list[Batch]:
        """At most `count` batches of every so many-th pair, cut to their longest sentences."""
        found = []
        for first in range(min(count, len(self.source))):
            source, before, after = (side[first::count] for side in (self.source, self.target_in, self.target_out))
            long, tokens = int((source != PAD).sum(1).max()), (after != PAD).sum(1)
            most = max(1, int(tokens.max()))  # of a blank batch too
            seed = None if self.seed is None else self.seed + first
            links = None if self.links is None else self.links[first::count, :most, :long]
            found.append(Batch(source[:, :long], before[:, :most], after[:, :most], int(tokens.sum()), seed, links))
        return found


def pad(rows: Sequence[Ids], first: int | None = None, last: int | None = None) -> Tensor:
    """The rows as one tensor, each begun by `first` and ended by `last` where these are said, padded at the end."""
    begin, end = int(first is not None), int(last is not None)
    padded = np.full((len(rows), max(map(len, rows)) + begin + end), PAD, dtype=np.int64)
    if first is not None:
        padded[:, 0] = first
    for place, row in enumerate(rows):
        padded[place, begin : begin + len(row)] = row
    if last is not None:
        padded[np.arange(len(rows)), [begin + len(row) for row in rows]] = last
    return torch.from_numpy(padded)


def sources(rows: Sequence[Ids], device: torch.device) -> Tensor:
    """Source ids (B,S), each row ended by EOS."""
    return pad(rows, last=EOS).to(device)


def collate(
    source: Sequence[Ids],
    target: Sequence[Ids],
    device: torch.device,
    seed: int | None = None,
    links: Sequence[npt.NDArray[np.bool_]] | None = None,
) -> Batch:
    """A batch of pairs of ids, which come without BOS and EOS, and of the `links` (T,S) between those of each pair."""
    return Batch(
        sources(source, device),
        pad(target, first=BOS).to(device),
        pad(target, last=EOS).to(device),
        sum(map(len, target)) + len(target),
        seed,
        None if links is None else _padded(links).to(device),
    )


def _few(count: int) -> int:
    """The next count below of which there are few: batches of few different shapes. A library of matrix products
    prepares itself for every shape that it meets, which takes time and memory."""
    step = 1
    while count >= 8 * step and step < 32:
        step *= 2
    return count - count % step


def _padded(links: Sequence[npt.NDArray[np.bool_]]) -> Tensor:
    """(B,T,S), with room for the end of sentence, which nothing is linked to."""
    long = [max(len(found) for found in links) + 1, max(found.shape[1] for found in links) + 1]
    padded = np.zeros((len(links), *long), dtype=np.bool_)
    for place, found in enumerate(links):
        padded[place, : found.shape[0], : found.shape[1]] = found
    return torch.from_numpy(padded)


def blank(device: torch.device) -> Batch:
    """A batch with no token to learn from: the part of a process for which there is no other."""
    source, before, after = (torch.tensor([[word]], device=device) for word in (EOS, BOS, PAD))
    return Batch(source, before, after, tokens=0, seed=0)


def plan(
    source_lengths: npt.NDArray[np.int64],
    target_lengths: npt.NDArray[np.int64],
    budget: int,
    shuffle: Sequence[int] | None = None,
) -> list[npt.NDArray[np.int64]]:
    """The batches of a pass over the pairs, as places of pairs of nearly equal lengths.

    A batch holds at most `budget` tokens of its longer side, end of sentence and padding included, or a single pair
    that is longer. `shuffle`, numbers such as a seed and a pass, mixes pairs of equal lengths and the order of the
    batches; the same numbers give the same order, so a place in it (pass, batch) is enough to resume. In it batches of
    nearly equal work follow each other in twos: two processes that share an update seldom wait for each other. Without
    it the order is by length.
    """
    generator = None if shuffle is None else np.random.Generator(np.random.PCG64(list(shuffle)))
    ties = np.arange(len(source_lengths)) if generator is None else generator.permutation(len(source_lengths))
    order = np.lexsort((ties, source_lengths, target_lengths))
    longer = np.maximum(source_lengths, target_lengths)[order] + 1
    batches, begin = [], 0
    while begin < len(order):
        # No batch has more pairs than of the first one's length would fit; of these, those before the first that
        # makes it too large.
        size = max(1, budget // int(longer[begin]))
        tokens = np.maximum.accumulate(longer[begin : begin + size]) * np.arange(
            1, len(order[begin : begin + size]) + 1
        )
        fits = _few(max(1, int(np.searchsorted(tokens, budget, side="right"))))
        batches.append(order[begin : begin + fits])
        begin += fits
    if generator is None:
        return batches
    # Work is padded tokens, and the words to foretell once more, for the output layer.
    work = [
        len(places) * (source_lengths[places].max() + target_lengths[places].max()) + target_lengths[places].sum()
        for places in batches
    ]
    alone, twos = np.split(np.argsort(work, kind="stable"), [len(batches) % 2])  # where they are odd, the smallest
    mixed = generator.permutation(twos.reshape(-1, 2)).reshape(-1)
    return [batches[place] for place in (*mixed, *alone)]
