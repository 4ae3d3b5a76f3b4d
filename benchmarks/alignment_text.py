"""Raw sentence pairs written as the gold alignments write theirs, so that models and aligners learn from one text.

Gold text is tokenised: marks stand alone, `'s` too in two of the three sets, and Hansards writes French contractions
out (`le avis`, `de le`) and takes hyphens apart. Case is folded later, by the models' own tokenizer.
"""

from __future__ import annotations

import gzip
import re
from pathlib import Path

__all__ = ["SETS", "gold_lines", "raw_lines", "tokenise"]

SETS = {"en-es": "align_enes_xlwa", "de-en": "align_deen_europarl", "en-fr": "align_enfr_hansards"}
"""gold files by the languages of their columns"""

_CORPORA = {"en-es": ("enes_tatoeba", False), "de-en": ("ende_tatoeba", True), "en-fr": ("enfr_tatoeba", False)}
_WORD = re.compile(r"\w+(?:[-'.,/]\w+)*|'s\b|[^\w\s]")
_APART = re.compile(r"(?:Mr|Mrs|Dr|St)\.|aujourd'|\w+(?:['.,]\w+)*|'s\b|[^\w\s]", re.IGNORECASE)  # hyphens too
_GENITIVE = re.compile(r"(?<=\w)'s\b")
_ELIDED = re.compile(r"\b([ldjnscmt]|(?:lors|puis|quel)?qu)'(?=\w)", re.IGNORECASE)
_MERGED = {"du": "de le", "des": "de les", "au": "à le", "aux": "à les"}


def tokenise(text: str, language: str, gold: str) -> str:
    """The `text` of a language as the set `gold`, a key of SETS, writes it."""
    text = text.replace("’", "'")
    if language == "en" and gold != "en-es":
        text = _GENITIVE.sub(" 's", text)
    if language == "fr":
        text = _ELIDED.sub(r"\1e ", text)
    words = (_APART if gold == "en-fr" else _WORD).findall(text)
    if language == "fr":
        words = [_MERGED.get(word.lower(), word) for word in words]
    return " ".join(words)


def raw_lines(folder: Path, languages: str, split: str) -> list[tuple[str, str]]:
    """The training or dev pairs for a gold set, tokenised, in the gold's direction."""
    corpus, turned = _CORPORA[languages]
    pairs = []
    with gzip.open(folder / f"{corpus}.{split}.tsv.gz", "rt", encoding="utf-8", newline="\n") as lines:
        for line in lines:
            left, right = line.rstrip("\n").split("\t")
            pairs.append((right, left) if turned else (left, right))
    one, other = languages.split("-")
    return [(tokenise(left, one, languages), tokenise(right, other, languages)) for left, right in pairs]


def gold_lines(folder: Path, languages: str) -> list[tuple[str, str, str]]:
    """Source, target and links of each line of a gold file."""
    with gzip.open(folder / f"{SETS[languages]}.dev.tsv.gz", "rt", encoding="utf-8", newline="\n") as lines:
        found = [tuple(line.rstrip("\n").split("\t")) for line in lines]
    return [(source, target, links) for source, target, links in found]
