"""Tokenizers that know a plain list of entries: words and characters."""

from __future__ import annotations

import unicodedata
from abc import abstractmethod
from collections.abc import Iterable, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.text.normalise import SPACE, Form
from ojak.text.tokenizer import Kind, Tokenizer
from ojak.text.vocabulary import EOS, Vocabulary, broken, most_frequent, vocabulary_file, write_record

GLUE = "￭"  # U+FFED, on the side of an entry where no space goes


class ListedTokenizer(Tokenizer):
    """Looks each cut of the text up in a list; what is not there is UNK."""

    def __init__(self, learnt: Sequence[str], form: Form) -> None:
        """Takes the entries after the specials, in the order of their ids."""
        self.form = form
        self.vocabulary = Vocabulary(learnt)

    @classmethod
    def learn(cls, sentences: Iterable[str], size: int, form: Form, min_frequency: int) -> ListedTokenizer:
        """Keep the most frequent entries of `sentences`, at most `size` ids in all."""
        cuts = (entry for sentence in sentences for entry in cls.cut(form.of(sentence)))
        return cls(most_frequent(cuts, size, min_frequency), form)

    @classmethod
    def load(cls, folder: Path, name: str, record: dict[str, Any]) -> ListedTokenizer:
        """Build from what `save` wrote. Raises ModelError."""
        entries, form = record.get("entries"), Form.read(record)
        if (
            not isinstance(entries, list)
            or not all(isinstance(entry, str) for entry in entries)
            or len(set(entries)) != len(entries)
            or form is None
        ):
            raise broken(vocabulary_file(folder, name), "lacks `lowercase` or a list of different `entries`")
        return cls(entries, form)

    def save(self, folder: Path, name: str) -> None:
        record = {"kind": self.kind, **self.form.record(), "entries": self.vocabulary.learnt}
        write_record(folder, name, record)

    @property
    def entries(self) -> list[str]:
        return list(self.vocabulary.entries)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def nearest(self, entry: str) -> int:
        """The id by which an entry is written, known or not."""
        return self.vocabulary.id(entry)

    @staticmethod
    @abstractmethod
    def cut(text: str) -> list[str]:
        """The entries that normalised text is made of, known or not."""

    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        return [self.vocabulary.id(entry) for entry in self.cut(text)]

    def _texts(self, ids: Sequence[int]) -> list[str]:
        """The entries of the ids, specials left out."""
        if ids and min(ids) < 0:
            raise IndexError(f"an id must not be negative, but {min(ids)} was given")
        return [self.vocabulary.entries[number] for number in ids if number > EOS]


class CharacterTokenizer(ListedTokenizer):
    """One id a character; a space is `▁`."""

    kind: Kind = "character"

    @staticmethod
    def cut(text: str) -> list[str]:
        return list(text.replace(" ", SPACE))

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """As of every tokenizer; the space before a word is one of its ids."""
        found: list[list[int]] = []
        for word in words:
            ids = self.encode(word)
            found.append([self.vocabulary.id(SPACE), *ids] if ids and any(found) else ids)
        return found

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.vocabulary.entries[number] for number in ids]

    def _decode(self, ids: Sequence[int]) -> str:
        return "".join(self._texts(ids)).replace(SPACE, " ")


class WordTokenizer(ListedTokenizer):
    """One id a word or a punctuation mark; the marks remember where no space was.

    A word is a run of letters, digits, their combining marks and `_`; every other character stands alone. Two
    neighbours without a space between them always count a character that stands alone, and that one carries the
    sign: `(` before a word is stored as `(￭`, a comma after one as `￭,`, an apostrophe within one as `￭'￭`. So a word
    has one id wherever it stands, and the raw text can be put together again.
    """

    kind: Kind = "word"

    @staticmethod
    def cut(text: str) -> list[str]:
        # The sign itself is never learnt: as an entry it could not be told from glue.
        return [left + word + right for left, word, right in _marked(text) if word != GLUE]

    def begins(self, ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        left, right = self._glued
        found: npt.NDArray[np.bool_] = ~left[ids]
        found[1:] &= ~right[ids[:-1]]
        return found

    @cached_property
    def _glued(self) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """Which entries stand without a space on their left, and on their right."""
        left = np.array([entry.startswith(GLUE) for entry in self.entries], dtype=np.bool_)
        return left, np.array([entry.endswith(GLUE) for entry in self.entries], dtype=np.bool_)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.vocabulary.entries[number].strip(GLUE) for number in ids]

    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        return [self._nearest(left, word, right) for left, word, right in _marked(text)]

    def nearest(self, entry: str) -> int:
        word = entry.strip(GLUE)
        return self._nearest(GLUE * entry.startswith(GLUE), word, GLUE * entry.endswith(GLUE))

    def _nearest(self, left: str, word: str, right: str) -> int:
        """The id of a word with its glue; with less glue where that form was never learnt."""
        # A space too many in the text that comes back is a smaller loss than the mark itself.
        forms = (left + word + right, left + word, word + right, word)
        return self.vocabulary.id(next((form for form in forms if form in self.vocabulary), forms[0]))

    def _decode(self, ids: Sequence[int]) -> str:
        text, open_end = "", True
        for entry in self._texts(ids):
            text += ("" if open_end or entry.startswith(GLUE) else " ") + entry.strip(GLUE)
            open_end = entry.endswith(GLUE)
        return text


def _in_word(character: str) -> bool:
    return character == "_" or unicodedata.category(character)[0] in "LMN"


def _marked(text: str) -> list[tuple[str, str, str]]:
    """Every word and mark of the text as (glue on its left, itself, glue on its right)."""
    cuts: list[tuple[str, str, str]] = []
    for chunk in text.split(" "):
        parts: list[tuple[bool, str]] = []
        for is_word, run in groupby(chunk, _in_word):
            letters = "".join(run)
            parts += [(True, letters)] if is_word else [(False, character) for character in letters]
        for place, (is_word, part) in enumerate(parts):
            # The later of two marks carries the glue between them, so that no gap is signed twice.
            left = GLUE if place > 0 and not is_word else ""
            right = GLUE if not is_word and place + 1 < len(parts) and parts[place + 1][0] else ""
            cuts.append((left, part, right))
    return cuts


LISTED: dict[str, type[ListedTokenizer]] = {"word": WordTokenizer, "character": CharacterTokenizer}


def load_listed(folder: Path, name: str, kind: Kind, record: dict[str, Any]) -> ListedTokenizer:
    """Build a tokenizer of words or characters. Raises ModelError."""
    return LISTED[kind].load(folder, name, record)
