"""Raw sentence pairs written as the gold alignments write theirs, so that models and aligners learn from one text.

Gold text is tokenised: marks stand alone, `'s` too in two of the three sets, and Hansards writes French contractions
out (`le avis`, `de le`) and takes hyphens apart. Case is folded later, by the models' own tokenizer.
"""

from __future__ import annotations

import gzip
import random
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import overload

from ojak.align.links import Links, pharaoh

__all__ = ["gold_lines", "joined", "links_file", "near", "pairs_file", "raw_lines", "tokenise"]

Line = tuple[str, str]

_WORD = re.compile(r"\w+(?:[-'.,/]\w+)*|'s\b|[^\w\s]")
_APART = re.compile(r"(?:Mr|Mrs|Dr|St)\.|aujourd'|\w+(?:['.,]\w+)*|'s\b|[^\w\s]", re.IGNORECASE)  # hyphens too
_GENITIVE = re.compile(r"(?<=\w)'s\b")
_ELIDED = re.compile(r"\b([ldjnscmt]|(?:lors|puis|quel)?qu)'(?=\w)", re.IGNORECASE)
_MERGED = {"du": "de le", "des": "de les", "au": "à le", "aux": "à les"}


def tokenise(text: str, language: str, gold: str) -> str:
    """The `text` of a language as the gold of the pair of languages `gold`, such as en-es, writes it."""
    text = text.replace("’", "'")
    if language == "en" and gold != "en-es":
        text = _GENITIVE.sub(" 's", text)
    if language == "fr":
        text = _ELIDED.sub(r"\1e ", text)
    words = (_APART if gold == "en-fr" else _WORD).findall(text)
    if language == "fr":
        words = [_MERGED.get(word.lower(), word) for word in words]
    return " ".join(words)


def raw_lines(file: Path, pair: str) -> list[tuple[str, str]]:
    """The pairs of a corpus, tokenised and in the direction of the gold of the same languages."""
    one, other = pair.split("-")
    found = []
    for line in _lines(file):
        left, right = line.split("\t")
        left, right = (right, left) if pair == "de-en" else (left, right)  # the corpus begins with English
        found.append((tokenise(left, one, pair), tokenise(right, other, pair)))
    return found


def gold_lines(file: Path) -> list[tuple[str, str, str]]:
    """Source, target and links of each line of a gold file."""
    return [(source, target, links) for source, target, links in (line.split("\t") for line in _lines(file))]


def _lines(file: Path) -> list[str]:
    with gzip.open(file, "rt", encoding="utf-8", newline="\n") as lines:
        return [line.rstrip("\n") for line in lines]


@overload
def joined(lines: Sequence[Line]) -> list[Line]: ...
@overload
def joined(lines: Sequence[Line], links: Sequence[Links]) -> list[Links]: ...
def joined(lines: Sequence[Line], links: Sequence[Links] | None = None) -> list[Line] | list[Links]:
    """Pairs in a random order, as many put end to end as make 5 to 35 words on the longer side; or their `links`, put
    together alike. Everyday sentences are short and those of the gold long, and a model that never saw a long one
    does not know its way about there. The same seed gives the same order."""
    draw = random.Random(1)
    order = list(range(len(lines)))
    draw.shuffle(order)
    texts: list[Line] = []
    together: list[Links] = []
    words, wanted = ([], []), draw.randint(5, 35)
    found: set[tuple[int, int]] = set()
    for number, place in enumerate(order):
        begins = len(words[0]), len(words[1])
        found |= {(i + begins[0], j + begins[1]) for i, j in links[place]} if links else set()
        for side, text in zip(words, lines[place], strict=True):
            side += text.split()
        if max(map(len, words)) >= wanted or number + 1 == len(order):
            texts.append((" ".join(words[0]), " ".join(words[1])))
            together.append(frozenset(found))
            words, wanted, found = ([], []), draw.randint(5, 35), set()
    return texts if links is None else together


def near(lines: Sequence[Line], gold: Sequence[Line], most: int) -> list[Line]:
    """Pairs in a random order that hold a word of the gold's text of which fewer than `most` pairs were taken before;
    about a quarter of all, and the rest would tell little more of the words that are asked for."""
    asked = [{word for line in gold for word in line[side].lower().split()} for side in (0, 1)]
    order = list(range(len(lines)))
    random.Random(1).shuffle(order)
    taken: list[Line] = []
    seen: Counter[tuple[int, str]] = Counter()
    for place in order:
        words = {(side, word) for side in (0, 1) for word in set(lines[place][side].lower().split()) & asked[side]}
        if any(seen[word] < most for word in words):
            taken.append(lines[place])
            seen.update(words)
    return taken


def pairs_file(lines: Iterable[Line], turned: bool) -> str:
    """A file of pairs, with the target first if `turned`."""
    return "".join("\t".join(line[::-1] if turned else line) + "\n" for line in lines)


def links_file(links: Iterable[Links], turned: bool) -> str:
    """A file of links, from target to source if `turned`."""
    return "".join(pharaoh({(j, i) for i, j in one} if turned else one) + "\n" for one in links)
