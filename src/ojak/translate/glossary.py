"""A glossary: which terms of the source must appear how in the target."""

from __future__ import annotations

import re
from collections.abc import Iterable
from pathlib import Path

from ojak.corpus.read import read_pairs
from ojak.errors import DataError
from ojak.text.normalise import normalise


class Glossary:
    """Terms and what they must become. Larger terms win over those inside them; case does not matter.

    A term is found where a word begins. If it ends in a letter of a script that puts nothing directly after a word
    (Latin, Greek, Cyrillic) it must end with the word as well; a Korean noun may go on with its particle.
    """

    def __init__(self, terms: Iterable[tuple[str, str]]) -> None:
        """Takes pairs of a source term and a target term. Raises DataError where a term is empty or has two targets."""
        self.terms: dict[str, str] = {}
        for source, target in terms:
            key, value = normalise(source).casefold(), normalise(target)
            if not key or not value:
                raise DataError(f"A term must have a source and a target, but one is empty: {source!r}, {target!r}.")
            if self.terms.setdefault(key, value) != value:
                raise DataError(
                    f"A term must have one target, but {source!r} has {self.terms[key]!r} and {value!r}; keep one."
                )
        longest_first = sorted(self.terms, key=lambda term: (-len(term), term))
        self._pattern = re.compile("|".join(_found_as(term) for term in longest_first)) if longest_first else None

    @classmethod
    def read(cls, path: str | Path) -> Glossary:
        """The glossary of a file of `source-term TAB target-term` lines, UTF-8. Raises DataError."""
        return cls((pair.source, pair.target) for pair in read_pairs([str(path)]))

    def __len__(self) -> int:
        return len(self.terms)

    def wanted(self, text: str) -> list[str]:
        """The target terms that a translation of `text` must hold, in the order of the source, each once."""
        if self._pattern is None:
            return []
        found = self._pattern.finditer(normalise(text).casefold())
        return list(dict.fromkeys(self.terms[match[0]] for match in found))


def _found_as(term: str) -> str:
    begins = r"(?<!\w)" if re.match(r"\w", term) else ""
    ends = r"(?!\w)" if re.search(r"[a-z0-9À-ɏͰ-ӿ]$", term) else ""
    return begins + re.escape(term) + ends
