"""From what the model saw of pieces to what that says of words."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ojak.text import Tokenizer

Matrix = npt.NDArray[np.float32]
"""How much each target word (rows) has to do with each source word (columns)."""

Words = npt.NDArray[np.int64]
"""The word that each piece is a part of."""


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
    def word_of(self) -> Words:
        """The word that each piece is a part of."""
        return np.repeat(np.arange(len(self.words)), [len(ids) for ids in self.ids])


def merged(matrix: Matrix, target: Words, source: Words, shape: tuple[int, int]) -> Matrix:
    """The words' matrix, of `shape` (target words, source words), of one over pieces (T,S), which are parts of the
    words `target` (T) and `source` (S).

    How much a word was looked at is the sum over its pieces; how a word looked is the mean over its pieces (Kobayashi
    2020, section 5.1). Rows and columns of words without pieces are 0.
    """
    columns = np.zeros((len(matrix), shape[1]), dtype=np.float32)
    np.add.at(columns.T, source, matrix.T)
    rows = np.zeros(shape, dtype=np.float32)
    np.add.at(rows, target, columns)
    rows /= np.maximum(np.bincount(target, minlength=shape[0]), 1)[:, None]
    return rows
