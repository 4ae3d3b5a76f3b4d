"""What a tokenizer is, whatever its kind."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ojak.text.normalise import SPACE, Form, normalise

Kind = Literal["unigram", "bpe", "word", "character", "pieces"]
KINDS: tuple[Kind, ...] = ("unigram", "bpe", "word", "character")
"""the kinds that can be learnt; `pieces` comes with an imported model"""


class Tokenizer(ABC):
    """Raw text to ids and back.

    `kind` says how text is cut, `form` what of its writing is given up. Ids below 4 are the specials of
    `ojak.text.vocabulary`; `encode` gives none of them but UNK, whatever the text says.
    """

    kind: Kind
    form: Form

    @property
    def lowercase(self) -> bool:
        """Whether case is given up."""
        return self.form.lowercase

    def encode(self, text: str, sample: float = 0.0, seed: int | None = None) -> list[int]:
        """The ids of `text`, without BOS and EOS; an empty list for empty text.

        `sample` above 0 draws one of the many ways to cut the text (subword regularisation): for `unigram` it is the
        exponent put on the probability of a cutting, so smaller is wilder (0.1 to 0.5 is usual); for `bpe` it is the
        chance that a merge is dropped (0.1 is usual). Words and characters have one cutting only. The same `seed`
        gives the same draw; without one the draws go on from the last.
        """
        return self._encode(self.form.of(text), sample, seed)

    def encode_words(self, words: Sequence[str]) -> list[list[int]]:
        """The ids of each of the `words` of a text, which white space parts: end to end what `encode` gives of the
        text, since no token reaches over white space."""
        return [self.encode(word) for word in words]

    def encode_lines(self, lines: str) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        """The ids of many texts, one a line, end to end, and the count of each text's ids: what `encode` gives, but
        for a corpus at once."""
        return joined([self._encode(text, 0.0, None) for text in self.form.of_lines(lines)])

    def decode(self, ids: Sequence[int]) -> str:
        """Raw text on one line, normalised. Specials are left out. Raises IndexError for an id outside the size."""
        # A model may put any bytes in a row, a line break too: what goes out is held to what may come in.
        return normalise(self._decode(ids))

    def begins(self, ids: npt.NDArray[np.integer[Any]]) -> npt.NDArray[np.bool_]:
        """Which of the ids of texts, end to end, begin a word: a run without white space. The first id of a text does,
        whatever is said of it here. An UNK stands for a word of its own, which it may not be."""
        found: npt.NDArray[np.bool_] = self._initial[ids]
        return found

    @cached_property
    def _initial(self) -> npt.NDArray[np.bool_]:
        return np.array([entry.startswith(SPACE) for entry in self.entries], dtype=np.bool_)

    @abstractmethod
    def pieces(self, ids: Sequence[int]) -> list[str]:
        """One text for each id, as a reader should see it, specials included. Raises IndexError as `decode`."""

    @property
    @abstractmethod
    def entries(self) -> list[str]:
        """The text stored for every id, each different from all others."""

    @abstractmethod
    def __len__(self) -> int:
        """The number of ids, specials included."""

    @abstractmethod
    def save(self, folder: Path, name: str) -> None:
        """Write the files of this tokenizer, which all begin with `name`. Raises StorageError."""

    @abstractmethod
    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        """Ids of text that is normalised."""

    @abstractmethod
    def _decode(self, ids: Sequence[int]) -> str:
        """Text of ids, specials left out, not yet normalised."""


def joined(rows: list[list[int]]) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
    lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
    return np.fromiter(chain.from_iterable(rows), dtype=np.uint32, count=int(lengths.sum())), lengths
