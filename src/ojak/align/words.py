"""A text as words that are cut one by one, so that each has its own pieces."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate, pairwise

import numpy as np
import numpy.typing as npt

from ojak.text import Tokenizer

Matrix = npt.NDArray[np.float32]
"""How much each target word (rows) has to do with each source word (columns)."""


@dataclass(frozen=True)
class Cut:
    """A text as its words, what white space parts, and the ids that each is cut into.

    A word that normalisation leaves nothing of has no ids.
    """

    words: tuple[str, ...]
    ids: tuple[tuple[int, ...], ...]

    @classmethod
    def of(cls, tokenizer: Tokenizer, text: str) -> Cut:
        """As the tokenizer cuts it."""
        words = tuple(text.split())
        return cls(words, tuple(map(tuple, tokenizer.encode_words(words))))

    @property
    def pieces(self) -> list[int]:
        """The ids of the text, which the model sees."""
        return [number for ids in self.ids for number in ids]

    @property
    def groups(self) -> list[range]:
        """The places of each word's pieces among those of the text."""
        ends = list(accumulate(map(len, self.ids), initial=0))
        return [range(begin, end) for begin, end in pairwise(ends)]
