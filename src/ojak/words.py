"""Which pieces make a word: one rule for figures and for looking inside. No numpy, no torch."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import groupby

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
