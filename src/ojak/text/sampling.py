"""Subword sampling from ids that are stored: other cuts of the same text, drawn by a generator of our own.

Word by word, for subwords never reach across a space. SentencePiece draws too, but mixes something of the process into
its seed; these draws depend on the generator alone, so that a resumed run cuts as an unbroken one does.
"""

from __future__ import annotations

import heapq
from bisect import bisect
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.text.normalise import SPACE
from ojak.text.subword import SubwordTokenizer
from ojak.text.tokenizer import Tokenizer

CUTS = 32  # the likeliest cuts of a word, from which one is drawn
WORDS = 20_000  # words whose cuts are kept in memory

Row = Sequence[int] | npt.NDArray[np.integer[Any]]


class Sampler:
    """Draws cuts of rows of ids.

    For `unigram` a cut of a word has the chance of its probability to the power of `sample` among the likeliest 32
    (Kudo 2018); for `bpe` each merge of a word is dropped with the chance `sample` (BPE-dropout, Provilkov 2020).
    Words and characters have one cut only.
    """

    def __init__(self, tokenizer: Tokenizer, sample: float) -> None:
        self._tokenizer, self._sample = tokenizer, sample
        self._cut: Callable[[str, np.random.Generator], Sequence[int]] | None = None
        if isinstance(tokenizer, SubwordTokenizer) and sample > 0:
            self._cut = self._unigram if tokenizer.kind == "unigram" else self._bpe
            self._cuts = lru_cache(maxsize=WORDS)(self._likeliest)
            self._pieces = lru_cache(maxsize=None)(tokenizer.rank)

    def cut(self, rows: Sequence[Row], generator: np.random.Generator, longest: int) -> list[Row]:
        """Another cut of each row, or the row itself where the cut would be longer than `longest`."""
        if self._cut is None:
            return list(rows)
        found: list[Row] = []
        for row in rows:
            text = self._tokenizer.decode([int(number) for number in row])
            ids = [number for word in text.split(" ") for number in self._cut(word, generator)]
            found.append(ids if 0 < len(ids) <= longest else row)
        return found

    def _unigram(self, word: str, generator: np.random.Generator) -> Sequence[int]:
        cuts, chances = self._cuts(word)
        return cuts[min(bisect(chances, generator.random()), len(cuts) - 1)] if len(cuts) > 1 else cuts[0]

    def _likeliest(self, word: str) -> tuple[list[tuple[int, ...]], list[float]]:
        """Cuts of a word and their cumulated chances."""
        assert isinstance(self._tokenizer, SubwordTokenizer)
        cuts, scores = self._tokenizer.best_cuts(word, CUTS)
        weights = np.exp(self._sample * (np.array(scores) - max(scores)))
        return cuts, np.cumsum(weights / weights.sum()).tolist()

    def _bpe(self, word: str, generator: np.random.Generator) -> Sequence[int]:
        """Merges neighbours, those first that were learnt first, as SentencePiece does; each merge that comes up is
        dropped at random."""
        assert isinstance(self._tokenizer, SubwordTokenizer)
        symbols = list(SPACE + word)
        after = [*range(1, len(symbols)), -1]
        before = list(range(-1, len(symbols) - 1))
        agenda: list[tuple[float, int, int, str]] = []

        def propose(left: int, right: int) -> None:
            if left >= 0 and right >= 0:
                merged = symbols[left] + symbols[right]
                rank = self._pieces(merged)
                if rank is not None:
                    heapq.heappush(agenda, (rank, left, right, merged))

        for place in range(len(symbols) - 1):
            propose(place, place + 1)
        while agenda:
            _, left, right, merged = heapq.heappop(agenda)
            if not symbols[left] or not symbols[right] or symbols[left] + symbols[right] != merged:
                continue  # one of them has gone into another piece
            if generator.random() < self._sample:
                continue
            symbols[left], symbols[right] = merged, ""
            after[left] = after[right]
            if after[right] >= 0:
                before[after[right]] = left
            propose(before[left], left)
            propose(left, after[left])
        return [number for symbol in symbols if symbol for number in self._tokenizer.piece_ids(symbol)]
