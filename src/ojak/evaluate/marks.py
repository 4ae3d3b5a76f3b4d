"""Which words of two texts differ: what is marked where a translation stands beside its reference or a rival."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence

REFERENCE, RIVAL = 1, 2
"""of a word of a translation: not in the reference, not in the other translation; of one of the reference: not in the
first translation, not in the second"""

Segment = tuple[str, int]
"""a run of text and its marks"""


def spans(text: str, cut: Callable[[str], str]) -> list[tuple[int, int]]:
    """Where the words of a text begin and end, as `cut` parts them by spaces; as runs of letters and single signs
    where it changes what it cuts."""
    found = []
    place = 0
    for word in cut(text).split():
        begin = text.find(word, place)
        if begin < 0 or text[place:begin].strip():
            return [match.span() for match in re.finditer(r"\w+|[^\w\s]", text)]
        place = begin + len(word)
        found.append((begin, place))
    return found


def missing(words: Sequence[str], others: Sequence[str]) -> list[bool]:
    """Of each word, whether it is not among those that both texts have in the same order, as many as can be."""
    from rapidfuzz.distance import LCSseq

    gone = [True] * len(words)
    for block in LCSseq.opcodes(words, others):
        if block.tag == "equal":
            gone[block.src_start : block.src_end] = [False] * (block.src_end - block.src_start)
    return gone


def compared(
    reference: str, first: str, second: str | None, cut: Callable[[str], str], lowercase: bool = False
) -> list[list[Segment]]:
    """The reference and one or two translations in marked segments; the marks are sums of REFERENCE and RIVAL.
    `lowercase`: words that differ in case alone are the same."""
    texts = [reference, first, *([second] if second is not None else [])]
    places = [spans(text, cut) for text in texts]
    words = [[text[a:b] for a, b in at] for text, at in zip(texts, places, strict=True)]
    words = [[word.lower() for word in each] for each in words] if lowercase else words
    found = []
    for place, mine in enumerate(words):
        if place == 0:
            rivals = [words[1], words[2] if second is not None else words[1]]
        else:
            rivals = [words[0], words[3 - place] if second is not None else mine]
        bits = [missing(mine, other) for other in rivals]
        marks = [REFERENCE * a + RIVAL * b for a, b in zip(*bits, strict=True)]
        found.append(_segments(texts[place], places[place], marks))
    return found


def _segments(text: str, places: Sequence[tuple[int, int]], marks: Sequence[int]) -> list[Segment]:
    """The text in runs of the same marks; a space is marked where the words on both sides are alike."""
    runs: list[Segment] = []
    end, before = 0, 0
    for (begin, last), mark in zip(places, marks, strict=True):
        runs += [(text[end:begin], mark if mark == before else 0), (text[begin:last], mark)]
        end, before = last, mark
    found: list[Segment] = []
    for part, mark in [*runs, (text[end:], 0)]:
        if part and found and found[-1][1] == mark:
            found[-1] = (found[-1][0] + part, mark)
        elif part:
            found.append((part, mark))
    return found
