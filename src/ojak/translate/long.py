"""Text longer than the model takes: cut into parts, and put together again."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

import numpy as np

from ojak.result import Alternative, Attention, Translation
from ojak.text.sentences import split_sentences

# Where a sentence that is too long itself is cut: behind marks between clauses, else between words.
CUTS = (re.compile(r"(?<=[,;:、，；：])"), re.compile(r"(?<=\s)(?=\S)"))
NO_SPACES = {"ja", "zh", "th", "lo", "km", "my", "yue"}
"""languages whose sentences are put together without a space"""
MOST_WEIGHTS = 50_000_000
"""of the attention of all parts together: 200 MB"""


def parts(text: str, fits: Callable[[str], bool], language: str) -> list[str]:
    """The text itself if it `fits`, else its sentences; a sentence that does not fit is cut at clauses, words or, at
    the last, anywhere. Nothing but white space is lost."""
    if fits(text):
        return [text]
    found = [part.strip() for sentence in split_sentences(text, language) for part in _cut(sentence, fits, 0)]
    return [part for part in found if part]


def _cut(text: str, fits: Callable[[str], bool], finer: int) -> list[str]:
    if fits(text):
        return [text]
    if finer == len(CUTS):
        half = len(text) // 2
        return [*_cut(text[:half], fits, finer), *_cut(text[half:], fits, finer)]
    packed: list[str] = []
    for piece in CUTS[finer].split(text):
        if packed and fits(packed[-1] + piece):
            packed[-1] += piece
        else:
            packed.append(piece)
    return [part for piece in packed for part in _cut(piece, fits, finer + 1)]


def spaced(language: str) -> bool:
    """Whether sentences of a language stand with a space between them."""
    return language.split("-")[0] not in NO_SPACES


def joined(text: str, found: Sequence[Translation], language: str) -> Translation:
    """The Translation of a text from those of its parts, each part with its own end of sentence.

    The attention of a part is over its own tokens, and 0 over those of the others; where that were more than
    MOST_WEIGHTS numbers, most of them 0, there is none. An alternative takes the place of
    its part's translation in all parts at once: the second best of each, and so on, as many as every part has.
    """
    space = " " if spaced(language) else ""

    def together(ones: Sequence[Translation | Alternative]) -> Alternative:
        attention = None
        maps = [one.attention for one in ones if one.attention is not None]
        if len(maps) == len(ones) and _weights(maps) <= MOST_WEIGHTS:
            attention = _blocks(maps)
        return Alternative(
            space.join(one.text for one in ones if one.text),
            tuple(token for one in ones for token in one.tokens),
            sum(one.score for one in ones),
            attention,
            tuple(score for one in ones for score in one.token_scores),
        )

    whole = together(found)
    warnings = [f"It was longer than the model takes and was translated in {len(found)} parts."]
    warnings += [f"Part {number}: {told}" for number, one in enumerate(found, 1) for told in one.warnings]
    return Translation(
        source=text,
        text=whole.text,
        source_tokens=tuple(token for one in found for token in one.source_tokens),
        tokens=whole.tokens,
        score=whole.score,
        attention=whole.attention,
        views=found[0].views,
        alternatives=tuple(together(ones) for ones in zip(*(one.alternatives for one in found), strict=False)),
        warnings=tuple(warnings),
        token_scores=whole.token_scores,
        missed=tuple(dict.fromkeys(term for one in found for term in one.missed)),
    )


def _weights(maps: Sequence[Attention]) -> int:
    return sum(len(one) for one in maps) * int(maps[0].shape[1]) * sum(int(one.shape[2]) for one in maps)


def _blocks(maps: Sequence[Attention]) -> Attention:
    """Attention (T,K,S) of parts, one after the other."""
    whole = np.zeros((sum(len(one) for one in maps), maps[0].shape[1], sum(one.shape[2] for one in maps)), np.float32)
    row = column = 0
    for one in maps:
        whole[row : row + len(one), :, column : column + one.shape[2]] = one
        row, column = row + len(one), column + one.shape[2]
    return whole
