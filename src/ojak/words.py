"""Which pieces make a word, and what numbers of pieces say of words: one rule for figures, for looking inside and for
alignments. numpy only, no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float32]
Groups = Sequence[Sequence[int]]
"""for each word the places of its pieces"""

WORD_START = "▁"
_SPECIAL = re.compile(r"<(?!0x[0-9A-Fa-f]{2}>)[^<>\s]+>")
_BYTES = re.compile(r"<0x([0-9A-Fa-f]{2})>")


def is_special(token: str) -> bool:
    """Whether the token is `</s>` or its like; byte pieces such as `<0xEC>` are not."""
    return _SPECIAL.fullmatch(token) is not None


def word_starts(tokens: Sequence[str]) -> list[bool]:
    """For each token, whether a figure leaves a gap before it. All False where nothing is marked as a word.

    `</s>` and its like stand apart; byte pieces such as `<0xEC>` belong to the word they are in.
    """
    if not any(token.startswith(WORD_START) for token in tokens):
        return [False] * len(tokens)
    return [place > 0 and (token.startswith(WORD_START) or is_special(token)) for place, token in enumerate(tokens)]


def groups(tokens: Sequence[str]) -> list[list[int]]:
    """The places of each word's pieces. Where nothing is marked as a word, each token is one."""
    marked = any(token.startswith(WORD_START) for token in tokens)
    starts = word_starts(tokens) if marked else [True] * len(tokens)
    found: list[list[int]] = []
    for place, start in enumerate(starts):
        # What follows a special begins anew, marked or not.
        if start or not found or is_special(tokens[place - 1]):
            found.append([])
        found[-1].append(place)
    return found


def joined(pieces: Sequence[str]) -> str:
    """A word's pieces as one text, bytes as the characters that they spell."""
    text = ""
    for spelt, run in groupby(pieces, lambda piece: _BYTES.fullmatch(piece) is not None):
        alike = list(run)
        text += bytes(int(piece[3:5], 16) for piece in alike).decode("utf-8", "replace") if spelt else "".join(alike)
    return text


def merged(values: Values, rows: Groups, columns: Groups, mean: bool) -> Values:
    """The numbers of words, (row words, column words), from those of their pieces (R,C).

    The columns of a word's pieces are added; its row is their mean, or where not `mean` their sum. What is in no word
    is left out, and words without pieces have 0.
    """
    of_rows, of_columns = _belongs(rows, values.shape[0]), _belongs(columns, values.shape[1])
    if mean:
        of_rows /= np.maximum(of_rows.sum(1, keepdims=True), 1)
    found: Values = np.linalg.multi_dot([of_rows, values, of_columns.T])
    return found


def _belongs(groups: Groups, pieces: int) -> Values:
    """1 where a piece is one of a word's, (words, pieces)."""
    found = np.zeros((len(groups), pieces), dtype=np.float32)
    for word, group in enumerate(groups):
        found[word, list(group)] = 1
    return found
