"""Pairs as ids, and the batches of each pass over them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from ojak.batch import Batch, collate, plan
from ojak.config import Recipe
from ojak.corpus.pair import Pair
from ojak.errors import DataError
from ojak.text import Tokenizer


class Dataset:
    """Tokenised pairs. `skipped` says how many were left out because a side is empty or too long for the model."""

    def __init__(self, pairs: Sequence[Pair], source: Tokenizer, target: Tokenizer, recipe: Recipe) -> None:
        self._source, self._target, self._recipe = source, target, recipe
        longest = recipe.model.max_length - 1
        self.pairs: list[Pair] = []
        self._ids: tuple[list[list[int]], list[list[int]]] = ([], [])
        for pair in pairs:
            ids = source.encode(pair.source), target.encode(pair.target)
            if all(0 < len(side) <= longest for side in ids):
                self.pairs.append(pair)
                for side, encoded in zip(self._ids, ids, strict=True):
                    side.append(encoded)
        self._plain = tuple(list(side) for side in self._ids)
        self.skipped = len(pairs) - len(self.pairs)
        if not self.pairs:
            raise DataError(
                f"At least one pair must fit the model, but all {len(pairs)} are empty or longer than {longest} "
                "tokens; raise model.max_length, or split the sentences."
            )

    def __len__(self) -> int:
        return len(self.pairs)

    def epoch(self, number: int) -> list[npt.NDArray[np.int64]]:
        """The batches of a pass, as places of pairs, in the order that the seed and the pass decide."""
        if self._recipe.text.sample:
            self._sample(number)
        return self._plan((self._recipe.seed, number))

    def in_order(self) -> list[npt.NDArray[np.int64]]:
        """The batches by length, for validation."""
        return self._plan(None)

    def batch(self, places: npt.NDArray[np.int64], device: torch.device) -> Batch:
        """The pairs at these places."""
        source, target = self._ids
        return collate([source[place] for place in places], [target[place] for place in places], device)

    def _plan(self, shuffle: tuple[int, int] | None) -> list[npt.NDArray[np.int64]]:
        lengths = [np.array([len(ids) for ids in side], dtype=np.int64) for side in self._ids]
        return plan(lengths[0], lengths[1], self._recipe.train.batch_tokens, shuffle)

    def _sample(self, number: int) -> None:
        """Cuts the text anew (Kudo 2018, Provilkov 2020), or as without sampling where the cut is too long.

        It depends on the pass alone and not on those before it. But SentencePiece mixes something of the process into
        its seed: only within one process is the same pass cut alike, and a sampled run is not repeated to the bit.
        """
        first = hash((self._recipe.seed, number)) % 2**31  # of small whole numbers, so the same on every machine
        longest = self._recipe.model.max_length - 1
        texts = ((pair.source for pair in self.pairs), (pair.target for pair in self.pairs))
        tokenizers = self._source, self._target
        for side, plain, tokenizer, column in zip(self._ids, self._plain, tokenizers, texts, strict=True):
            for place, text in enumerate(column):
                ids = tokenizer.encode(text, sample=self._recipe.text.sample, seed=None if place else first)
                side[place] = ids if len(ids) <= longest else plain[place]
