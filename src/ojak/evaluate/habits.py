"""What a system does besides being right or wrong: how long it talks, how it repeats itself and copies.

Each rate is told beside that of the references, which repeat and copy as well: a loop and a name are told apart so.
Words are runs of letters and digits, case aside. All are sums of rows, as scores are, and so have intervals too.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from ojak.corpus.split import fold
from ojak.evaluate.counts import Counts, ratio

RATES = {
    "repeated": "of the pairs of neighbouring words, those that stood earlier in the same sentence",
    "copied": "of the words, those that stand in the source too",
    "untranslated": "of the sentences, those that are the source again, case and punctuation aside",
    "empty": "of the sentences, those without text",
}
"""what each rate is; the first is seq-rep-2 of Welleck 2020"""
LENGTH = "length ratio"


def rates(texts: Sequence[str], sources: Sequence[str]) -> list[Counts]:
    """The RATES, from 0 to 1, of texts that stand for sources: translations, or references."""
    counts: dict[str, list[tuple[int, int]]] = {name: [] for name in RATES}
    for text, source in zip(texts, sources, strict=True):
        said, given = _words(text), set(_words(source))
        neighbours = list(pairwise(said))
        some = bool(text.strip())
        counts["repeated"].append((len(neighbours) - len(set(neighbours)), len(neighbours)))
        counts["copied"].append((sum(word in given for word in said), len(said)))
        counts["untranslated"].append((some and fold(text) == fold(source), 1))
        counts["empty"].append((not some, 1))
    found = []
    for name, about in RATES.items():
        above, below = zip(*counts[name], strict=True)
        found.append(ratio(name, above, below, about, percent=True))
    return found


def length_ratio(texts: Sequence[str], references: Sequence[str]) -> Counts:
    """The characters of the texts over those of the references, spaces aside."""
    mine, theirs = ([len("".join(text.split())) for text in side] for side in (texts, references))
    return ratio(LENGTH, mine, theirs, "characters over those of the references", lower=False, digits=3)


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())
