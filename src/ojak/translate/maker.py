"""What all makers of Translations share: from texts to ids, to hypotheses, to Translations with what is doubtful."""

from __future__ import annotations

import itertools
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ojak import batch
from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.result import Alternative, Attention, Translation
from ojak.search import Hypothesis, Wish, Wishes
from ojak.text import Tokenizer
from ojak.text.vocabulary import EOS, UNK
from ojak.translate import guards, long, mbr
from ojak.translate.glossary import Glossary
from ojak.workers import workers

LEAST = 256
"""source tokens of a batch that is made small for the sake of several workers"""


class TooLong(UseError):
    """A sentence has more tokens than the model takes; `place` is its place among those given."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


@dataclass(frozen=True)
class Part:
    """A text, or a part of one that is too long: what is searched for at once."""

    text: str
    ids: list[int]
    prefix: str
    terms: list[str]


class Maker(ABC):
    """Makes Translations of texts, by whichever engine. Nothing of a request is kept on it: threads may share one.

    `source` and `target` are its tokenizers, `search` its settings where none are given, `languages` the codes of
    source and target, `views` the names of its attention views, `longest` how many tokens a sentence may have, the end
    included.
    """

    source: Tokenizer
    target: Tokenizer
    search: SearchConfig
    languages: tuple[str, str]
    views: tuple[str, ...]
    longest: int
    workers: int = 1
    """threads that translate side by side, each a batch at a time"""

    def __call__(self, text: str) -> Translation:
        """One text, with its attention."""
        return self.translate([text], attention=True)[0]

    def translate(
        self,
        texts: Sequence[str],
        search: SearchConfig | None = None,
        attention: bool = False,
        *,
        prefixes: Sequence[str] | None = None,
        constraints: Sequence[Sequence[str]] | None = None,
        glossary: Glossary | None = None,
        banned: Sequence[str] = (),
    ) -> list[Translation]:
        """A Translation for each text, in their order. Empty text gives an empty Translation.

        `search` says how to look, the maker's own defaults if None; `attention` records where the model looked. A
        translation begins with its text's prefix, holds its text's `constraints` and what the `glossary` has for it
        (`missed` tells of those that could not be had), and says none of the `banned` words or phrases, as the
        tokenizer cuts them. Text with more tokens than the model takes is translated sentence by sentence, with a
        warning; a prefix then goes with the first of them, and constraints are refused. Raises UseError for what cannot
        be done.
        """
        config = search or self.search
        for what, given in (("prefix", prefixes), ("list of constraints", constraints)):
            if given is not None and len(given) != len(texts):
                raise UseError(f"Every text needs a {what} if any has, but there are {len(texts)} and {len(given)}.")
        cut = [
            self._parts(text, prefixes[place] if prefixes else "", constraints[place] if constraints else (), glossary)
            for place, text in enumerate(texts)
        ]
        every = [part for parts in cut for part in parts]
        found = iter(self._search(every, config, attention, banned))
        return [self._whole(text, [next(found) for _ in parts]) for text, parts in zip(texts, cut, strict=True)]

    def force(self, sources: Sequence[str], targets: Sequence[str], attention: bool = False) -> list[Translation]:
        """The given targets as Translations: with the score, and the attention, of teacher-forcing their tokens.

        Raises UseError when the two are not equally many, or a sentence has more tokens than the model takes.
        """
        if len(sources) != len(targets):
            raise UseError(f"Every source needs a target, but there are {len(sources)} and {len(targets)}.")
        source = [self._encode(self.source, text, "the source", place) for place, text in enumerate(sources)]
        target = [self._encode(self.target, text, "the target", place) for place, text in enumerate(targets)]
        lengths = [np.array([len(ids) for ids in side], dtype=np.int64) for side in (source, target)]
        results: dict[int, Translation] = {}
        for chosen in batch.plan(lengths[0], lengths[1], self.search.batch_tokens):
            scored = self._score([source[i] for i in chosen], [target[i] for i in chosen], attention)
            for place, found in zip(chosen, scored, strict=True):
                results[int(place)] = self._translation(sources[place], source[place], [found])
        return [results[place] for place in range(len(sources))]

    @abstractmethod
    def _score(self, sources: list[list[int]], targets: list[list[int]], attention: bool) -> list[Hypothesis]:
        """The targets (ids without EOS) of a batch as hypotheses, with the scores of teacher-forcing them."""

    @abstractmethod
    def _find(
        self, sources: list[list[int]], wishes: Wishes, config: SearchConfig, attention: bool
    ) -> list[list[Hypothesis]]:
        """The hypotheses of a batch of source ids, best first."""

    def _parts(self, text: str, prefix: str, terms: Sequence[str], glossary: Glossary | None) -> list[Part]:
        """What a text is searched for as: nothing if it is empty, itself, or its parts if it is too long."""
        texts = long.parts(text, lambda part: len(self.source.encode(part)) < self.longest, self.languages[0])
        encoded = [(part, ids) for part in texts if (ids := self.source.encode(part))]
        if len(encoded) > 1 and terms:
            raise UseError(
                f"A text with constraints must have at most {self.longest - 1} tokens for this model, but one is "
                f"longer and must be split ({text[:40]!r}…); give it sentence by sentence, or use a glossary."
            )
        found = []
        for number, (part, ids) in enumerate(encoded):
            wanted = [self.target.form.of(term) for term in terms]
            wanted += [self.target.form.of(term) for term in (glossary.wanted(part) if glossary else ())]
            found.append(Part(part, ids, "" if number else prefix, list(dict.fromkeys(filter(None, wanted)))))
        return found

    def _search(
        self, parts: Sequence[Part], config: SearchConfig, attention: bool, banned: Sequence[str]
    ) -> list[Translation]:
        never = [ids for text in banned if (ids := self.target.encode(text))]
        lengths = np.array([len(part.ids) for part in parts], dtype=np.int64)
        budget = max(1, config.batch_tokens // config.width)
        if self.workers > 1:  # several batches for each, or some would wait for the last
            budget = min(budget, max(LEAST, int(lengths.sum() + len(lengths)) // (4 * self.workers)))

        def found(chosen: npt.NDArray[np.int64]) -> list[Translation]:
            here = [parts[place] for place in chosen]
            wishes = Wishes([self._wish(part, config) for part in here], never)
            kept = self._find([part.ids for part in here], wishes, config, attention)
            return [self._made(part, self._chosen(of, config)) for part, of in zip(here, kept, strict=True)]

        batches = batch.plan(lengths, lengths, budget)[::-1]  # the longest first
        if min(self.workers, len(batches)) > 1:
            with workers(min(self.workers, len(batches))) as threads:
                made = list(threads.map(found, batches))
        else:
            made = [found(chosen) for chosen in batches]
        places = (int(place) for chosen in batches for place in chosen)
        results = dict(zip(places, itertools.chain.from_iterable(made), strict=True))
        return [results[place] for place in range(len(parts))]

    def _wish(self, part: Part, config: SearchConfig) -> Wish:
        terms = [self.target.encode(term) for term in part.terms]
        # What the tokenizer cannot write cannot be said: it is missed, and does not keep the rest from ending.
        return Wish(self.target.encode(part.prefix), [ids for ids in terms if UNK not in ids])

    def _made(self, part: Part, kept: list[Hypothesis]) -> Translation:
        """The Translation of what was kept for a part, with what is doubtful about it."""
        made = self._translation(part.text, part.ids, kept)
        made = replace(made, missed=guards.missed(made.text, part.terms))
        return replace(made, warnings=guards.warnings(made, kept[0]))

    def _chosen(self, found: list[Hypothesis], config: SearchConfig) -> list[Hypothesis]:
        """The n best, those of minimum Bayes risk if that is asked for."""
        if config.mbr:
            found = [found[place] for place in mbr.order([self.target.decode(one.tokens) for one in found])]
        return found[: config.n_best]

    def _whole(self, text: str, found: Sequence[Translation]) -> Translation:
        if not found:
            return Translation(text, "", (), (), 0.0, views=self.views)
        return found[0] if len(found) == 1 else long.joined(text, found, self.languages[1])

    def _translation(self, text: str, source: list[int], found: Sequence[Hypothesis]) -> Translation:
        first, *others = (self._alternative(hypothesis) for hypothesis in found)
        return Translation(
            source=text,
            text=first.text,
            source_tokens=tuple(self.source.pieces([*source, EOS])),
            tokens=first.tokens,
            score=first.score,
            attention=first.attention,
            views=self.views,
            alternatives=tuple(others),
            token_scores=first.token_scores,
        )

    def _alternative(self, found: Hypothesis) -> Alternative:
        attention: Attention | None = None
        if found.attention is not None:
            attention = found.attention.float().cpu().numpy()
        pieces = tuple(self.target.pieces(found.tokens))
        return Alternative(self.target.decode(found.tokens), pieces, found.score, attention, tuple(found.token_scores))

    def _encode(self, tokenizer: Tokenizer, text: str, what: str, place: int) -> list[int]:
        ids = tokenizer.encode(text)
        if len(ids) >= self.longest:
            raise TooLong(
                f"A sentence must have at most {self.longest - 1} tokens for this model, but {what} has "
                f"{len(ids)} ({text[:40]!r}…). Split it into sentences, or train with a larger model.max_length.",
                place,
            )
        return ids
