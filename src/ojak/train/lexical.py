"""Which target words each source word is translated by, learnt from pairs: IBM model 1 (Brown et al. 1993).

t(f|e) by expectation maximisation; every source sentence also holds a word for nothing, which explains what no word
does. Counts are kept for pairs of words that stand together in some pair of sentences, so that memory grows with these
and not with the product of the vocabularies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ojak.errors import DataError
from ojak.search.lexicon import Lexicon
from ojak.text.vocabulary import EOS, PAD, SPECIALS

ROUNDS = 5
Ids = Sequence[int]
Array = npt.NDArray[np.int64]


def learn(
    source: Sequence[Ids], target: Sequence[Ids], sizes: tuple[int, int], words: int, frequent: int
) -> tuple[Lexicon, float]:
    """The shortlist of `words` target words for each source word, and of the `frequent` most frequent; and the share of
    the targets' tokens that the shortlist of their own sentence holds. Raises DataError when the pairs hold no text.
    """
    every = [
        (np.array([PAD, *one]), np.array(other)) for one, other in zip(source, target, strict=True) if one and other
    ]
    if not every:
        raise DataError("A shortlist is learnt from pairs, but none has text on both sides; give more.")
    # One entry for each pair of a source and a target token of the same pair of sentences. PAD is the word for nothing.
    ones = np.concatenate([np.repeat(one, len(other)) for one, other in every])
    others = np.concatenate([np.tile(other, len(one)) for one, other in every])
    lengths = np.array([len(one) for one, _ in every]), np.array([len(other) for _, other in every])
    first = np.concatenate([[0], np.cumsum(lengths[1])])[:-1]
    # Which target token of the corpus each entry is about: its chances over the source tokens sum to 1.
    about = np.concatenate([np.tile(np.arange(b, b + t), s) for b, s, t in zip(first, *lengths, strict=True)])
    keys, entry = np.unique(ones * sizes[1] + others, return_inverse=True)
    of_source = keys // sizes[1]
    chance = np.ones(len(keys))
    for _ in range(ROUNDS):
        weight = chance[entry]
        weight /= np.bincount(about, weight)[about]
        count = np.bincount(entry, weight, len(keys))
        chance = count / np.bincount(of_source, count, sizes[0])[of_source]

    counts = np.bincount(np.concatenate([other for _, other in every]), minlength=sizes[1])
    counts[: len(SPECIALS)] = 0
    often = np.argsort(-counts, kind="stable")[:frequent]
    table = _likeliest(keys, chance, sizes, words)
    lexicon = Lexicon(torch.from_numpy(table), torch.from_numpy(often[counts[often] > 0].copy()))
    return lexicon, _covered(lexicon, every, sizes[1])


def _likeliest(keys: Array, chance: npt.NDArray[np.float64], sizes: tuple[int, int], words: int) -> Array:
    """The `words` likeliest target ids of each source id, (V,words); where there are fewer, EOS fills up."""
    of_source, of_target = keys // sizes[1], keys % sizes[1]
    order = np.lexsort((of_target, -chance, of_source))
    begin = np.searchsorted(of_source[order], of_source[order])
    place = np.arange(len(order)) - begin
    kept = place < words
    table = np.full((sizes[0], words), EOS, dtype=np.int64)
    table[of_source[order][kept], place[kept]] = of_target[order][kept]
    return table


def _covered(lexicon: Lexicon, every: Sequence[tuple[Array, Array]], size: int) -> float:
    may = np.zeros(size, dtype=bool)
    inside = 0
    for one, other in every:
        may[:] = False
        may[lexicon.words(one[1:].tolist()).numpy()] = True
        inside += int(may[other].sum())
    return inside / sum(len(other) for _, other in every)
