"""Choosers: which words, of which rows, are the ways to go on.

The rows of a sentence stand in groups that do not compete: one group is beam search, several are diverse beam search,
groups of a single row are greedy search and sampling. A chooser gives 2 × width candidates for each group, best first:
since one word only ends a sentence, at least width of them go on. A group of a single row has one candidate, and ends
with it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Likeliest
from ojak.search.live import Live
from ojak.text.vocabulary import EOS


@dataclass(frozen=True)
class Choice:
    """Candidates of each group, in their order: A sentences at work, G groups, M candidates."""

    rows: Tensor
    """(A,G,M), the rows that they go on from"""
    words: Tensor
    """(A,G,M)"""
    scores: Tensor
    """(A,G,M), −∞ where a candidate stands for nothing"""


Chooser = Callable[[Tensor, Live], Choice]


def each(size: int, words: int) -> int:
    """How many of its words each row of a group of `size` may have to give."""
    return min(2 * size if size > 1 else 1, words)


def beam(best: Likeliest, live: Live, width: int) -> tuple[Choice, Tensor]:
    """Beam search, greedy if `width` is 1, from the best words of each row; and the log-probabilities (A,1,M) of the
    words."""
    count = best.words.shape[1]
    shape = (-1, 1, width * count)
    scores, words = (live.scores.unsqueeze(1) + best.scores).view(shape), best.words.view(shape)
    said, base = best.scores.view(shape), torch.arange(0, len(live.scores), width, device=words.device).view(-1, 1, 1)
    if width == 1:
        return Choice(base, words, scores), said
    scores, places = scores.topk(min(2 * width, width * count), 2)
    return Choice(base + places // count, words.gather(2, places), scores), said.gather(2, places)


def likeliest(width: int, groups: int = 1, strength: float = 0.0) -> Chooser:
    """Beam search, greedy if `width` is 1; with several `groups` diverse beam search.

    There, each word costs a group `strength` for every candidate by which earlier groups went on with it at this step
    (Vijayakumar 2018, equation 5, Hamming diversity). The cost decides what is chosen and is not kept in the scores.
    """
    size = width // groups

    def choose(shaped: Tensor, live: Live) -> Choice:
        sentences, vocabulary = len(shaped) // width, shaped.shape[1]
        if groups == 1:
            return beam(Likeliest(*shaped.topk(each(size, vocabulary), 1), shaped[:, EOS]), live, width)[0]
        few = each(size, vocabulary)  # of a row
        count = min(2 * size, size * few)  # of a group
        base = torch.arange(sentences, device=shaped.device).unsqueeze(1) * width
        cost = shaped.new_zeros(sentences, 1, vocabulary)
        by_group = shaped.view(sentences, groups, size, vocabulary)
        sums = live.scores.view(sentences, groups, size, 1)
        chosen = []
        for group in range(groups):
            values, words = (by_group[:, group] - cost).topk(few, 2)  # (A,size,each)
            places = (sums[:, group] + values).flatten(1).topk(count, 1)[1]
            rows, words = base + group * size + places // few, words.flatten(1).gather(1, places)
            totals = live.scores[rows] + shaped[rows, words]
            chosen.append(Choice(rows, words, totals))
            cost.squeeze(1).scatter_add_(1, words[:, :size], cost.new_full((1, 1), strength).expand(sentences, size))
        return Choice(*(torch.stack([getattr(one, part) for one in chosen], 1) for part in ("rows", "words", "scores")))

    return choose


def sample(config: SearchConfig, keys: Tensor) -> Chooser:
    """One word for each row, drawn from its distribution at a temperature, cut by top-k (Fan 2018), top-p (Holtzman
    2020) and min-p (Nguyen 2024), in this order.

    `keys` (B,W) tells the draws apart: the same key, seed and step give the same draw, in every batch.
    """
    seed = torch.tensor(config.sampling_seed, dtype=torch.long, device=keys.device)

    def choose(shaped: Tensor, live: Live) -> Choice:
        chances = (shaped.double() / config.temperature).softmax(1).nan_to_num(0.0)  # a row that ended has none
        if config.top_k:
            least = chances.topk(min(config.top_k, chances.shape[1]), 1)[0][:, -1:]
            chances = chances.masked_fill(chances < least, 0.0)
        if config.top_p < 1:
            ordered, order = chances.sort(1, descending=True)
            before = ordered.cumsum(1) - ordered
            ordered = ordered.masked_fill(before >= config.top_p * ordered.sum(1, keepdim=True), 0.0)
            chances = torch.zeros_like(chances).scatter_(1, order, ordered)
        if config.min_p:
            chances = chances.masked_fill(chances < config.min_p * chances.amax(1, keepdim=True), 0.0)
        reached = chances.cumsum(1)
        uniform = _uniform(
            keys[live.sentence, _places(live, keys)] ^ _mix(seed + _mix(torch.full_like(seed, live.step)))
        )
        # The first word whose cumulated chance is above the draw; a word without a chance is never that.
        words = (reached <= (uniform * reached[:, -1]).unsqueeze(1)).sum(1).clamp(max=shaped.shape[1] - 1)
        said = shaped.gather(1, words.unsqueeze(1)).squeeze(1)
        shape = (-1, keys.shape[1], 1)
        rows = torch.arange(len(shaped), device=shaped.device)
        return Choice(rows.view(shape), words.view(shape), (live.scores + said).view(shape))

    return choose


def sample_keys(source: Tensor, width: int) -> Tensor:
    """A key (B,width) for each sample of each sentence, made from the source's real ids alone."""
    key = torch.zeros(len(source), dtype=torch.long, device=source.device)
    for ids in source.unbind(1):  # PAD is 0 and leaves the key as it is
        key = torch.where(ids == 0, key, _mix(key + ids))
    return _mix(key.unsqueeze(1) + torch.arange(1, width + 1, device=source.device))


def _places(live: Live, keys: Tensor) -> Tensor:
    """Which sample of its sentence each row is: rows of sampling never change their places."""
    return torch.arange(len(live.sentence), device=keys.device) % keys.shape[1]


def _mix(value: Tensor) -> Tensor:
    """A well-stirred 64-bit number for each (Steele 2014, SplitMix64); sums and products wrap around."""
    value = value - 0x61C8864680B583EB
    value = (value ^ _shift(value, 30)) * -0x40A7B892E31B1A47
    value = (value ^ _shift(value, 27)) * -0x6B2FB644ECCEEE15
    return value ^ _shift(value, 31)


def _shift(value: Tensor, bits: int) -> Tensor:
    """To the right, with zeros coming in."""
    return (value >> bits) & ((1 << (64 - bits)) - 1)


def _uniform(value: Tensor) -> Tensor:
    """A number in [0, 1) from the upper 53 bits of each."""
    return _shift(_mix(value), 11).double() / (1 << 53)
