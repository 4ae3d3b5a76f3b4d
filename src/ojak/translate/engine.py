"""The second maker of Translations: CTranslate2, for Transformers that `ojak export --to ctranslate2` wrote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError

from ojak.config import SearchConfig, read_recipe
from ojak.errors import ConfigError, ModelError, UseError
from ojak.model import folder
from ojak.search import Hypothesis, Wishes, loops
from ojak.search.hypothesis import Ending, length_penalty
from ojak.search.loop import limits
from ojak.search.wishes import Ids, Wish
from ojak.text import Tokenizer
from ojak.text.vocabulary import BOS, EOS, PAD, UNK
from ojak.translate.maker import Maker, Part

FOLDER = "ctranslate2"
"""where the engine's own files lie in an exported directory"""

CANNOT: tuple[tuple[str, object], ...] = (
    ("diversity_groups", 1),
    ("coverage_penalty", 0.0),
    ("min_p", 0.0),
    ("shortlist", False),
)
"""settings that the engine has not, and what they must be"""


class CTranslate2Translator(Maker):
    """Makes Translations with CTranslate2. Their tokens, scores and attention are those of `Translator`, as far as the
    engine goes the same way.

    What it does otherwise: a beam stops when it has as many finished hypotheses as its size (`stop=first`, whatever
    is asked for), and of more than these it drops some by another order than Wu's, as like to it as can be; loops are
    cut when it is done with them; samples are new each time; the repetition penalty acts on logits; while it
    searches, the probability of what must not be said, such as <unk>, is shared out among the other words; and of
    attention there is the mean over the heads of the last layer. Refused are constraints and glossaries, diverse beam
    search, coverage penalty, min-p and shortlists.
    """

    def __init__(
        self,
        engine: Any,
        source: Tokenizer,
        target: Tokenizer,
        search: SearchConfig,
        languages: tuple[str, str],
        views: tuple[str, ...],
        longest: int,
    ) -> None:
        self.engine = engine
        self.source, self.target, self.search, self.languages = source, target, search, languages
        self.views, self.longest = views, longest
        self._names = source.entries, target.entries
        self._ids = {entry: number for number, entry in enumerate(target.entries)}

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", compute_type: str = "default") -> CTranslate2Translator:
        """The translator of an exported directory, with as many threads as torch has. Raises ModelError when it cannot
        be read, UseError when CTranslate2 is not installed."""
        place = folder.model_folder(Path(path))
        config = folder.read_config(place)
        try:
            recipe = read_recipe({key: config[key] for key in ("model", "text", "search")})
            languages = str(config["languages"][0]), str(config["languages"][1])
            views = tuple(map(str, config["views"]))
        except (ConfigError, ValidationError, KeyError, IndexError, TypeError) as error:
            raise ModelError(f"{place / 'config.json'} is broken: {error}") from None
        source, target = folder.read_tokenizers(place, recipe.text)
        ctranslate2 = library()
        try:
            threads = torch.get_num_threads()
            engine = ctranslate2.Translator(
                os.fspath(place / FOLDER), device=device, compute_type=compute_type, intra_threads=threads
            )
        except (RuntimeError, ValueError) as error:
            raise ModelError(
                f"{place / FOLDER} must be a model of CTranslate2, but cannot be loaded: {error}."
            ) from None
        return cls(engine, source, target, recipe.search, languages, views, recipe.model.max_length)

    def _wish(self, part: Part, config: SearchConfig) -> Wish:
        if part.terms:
            raise UseError("CTranslate2 has no constraints, but a glossary or terms were given; use the run itself.")
        return super()._wish(part, config)

    def _find(
        self, sources: list[list[int]], wishes: Wishes, config: SearchConfig, attention: bool
    ) -> list[list[Hypothesis]]:
        asked = [name for name, nothing in CANNOT if getattr(config, name) != nothing]
        if asked:
            raise UseError(f"CTranslate2 has no {', '.join(asked)}; leave that out, or use the run itself.")
        # The engine has one longest length for a batch; a sentence's own is kept by searching alike ones together.
        alike: dict[int, list[int]] = {}
        lengths = torch.tensor([len(ids) + 1 for ids in sources])
        for place, limit in enumerate(limits(lengths, self.longest, config, wishes).tolist()):
            alike.setdefault(limit, []).append(place)
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for limit, places in alike.items():
            here = [sources[place] for place in places]
            prefixes = [wishes.sentences[place].prefix for place in places]
            results = self._results(here, prefixes, wishes.banned, limit, config)
            made = self._hypotheses(here, results, limit, config, attention)
            for place, hypotheses in zip(places, made, strict=True):
                found[place] = hypotheses
        return found

    def _results(
        self,
        sources: list[list[int]],
        prefixes: list[Ids],
        banned: Sequence[Ids],
        limit: int,
        config: SearchConfig,
    ) -> list[Any]:
        """What the engine finds; tokens that cannot stand in a target are suppressed, as in Ojak's own search."""
        names = self._names[1]
        found: list[Any] = self.engine.translate_batch(
            self._named(sources),
            target_prefix=[[names[number] for number in ids] for ids in prefixes] if any(prefixes) else None,
            beam_size=config.beam,
            num_hypotheses=config.width,
            length_penalty=_exponent(config, max(map(len, sources)) + 1),
            repetition_penalty=config.repetition_penalty,
            no_repeat_ngram_size=config.no_repeat_ngram_size,
            suppress_sequences=[[names[number] for number in ids] for ids in ([PAD], [BOS], [UNK], *banned)],
            max_decoding_length=max(1, limit - 1),  # the prefix counts; what is cut off gets its end here
            min_decoding_length=max(0, config.min_length - 1),
            max_input_length=0,
            sampling_topk=config.top_k if config.sampling else 1,
            sampling_topp=config.top_p,
            sampling_temperature=config.temperature,
            return_end_token=True,
        )
        return found

    def _hypotheses(
        self, sources: list[list[int]], results: list[Any], limit: int, config: SearchConfig, attention: bool
    ) -> list[list[Hypothesis]]:
        """The engine's results, cut where they go round in circles, with the scores and attention of forcing them.

        Its own scores leave out what was suppressed, and its attention is out of step with the hypotheses of a beam.
        """
        rows: list[tuple[int, list[int], Ending]] = []
        for place, result in enumerate(results):
            for words in result.hypotheses:
                ids = [self._ids[word] for word in words]
                ending: Ending = "model" if ids[-1:] == [EOS] else "limit"
                ids = ids[:-1] if ending == "model" else ids[: limit - 1]  # the engine says one word at least
                if config.cut_loops and (end := loops.cut(ids, [*sources[place], EOS])) is not None:
                    ids, ending = ids[:end], "loop"
                rows.append((place, ids, ending))
        scored = self._score([sources[place] for place, _, _ in rows], [ids for _, ids, _ in rows], attention)
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for (place, _, ending), one in zip(rows, scored, strict=True):
            rank = one.score / length_penalty(float(len(one.tokens)), config)
            found[place].append(replace(one, rank=rank, ending=ending))
        return [sorted(ones, key=lambda one: -one.rank)[: max(config.n_best, config.mbr)] for ones in found]

    def _named(self, sources: list[list[int]]) -> list[list[str]]:
        names = self._names[0]
        return [[names[number] for number in [*ids, EOS]] for ids in sources]

    def _score(self, sources: list[list[int]], targets: list[list[int]], attention: bool) -> list[Hypothesis]:
        source, target = self._named(sources), [[self._names[1][number] for number in ids] for ids in targets]
        results = self.engine.score_batch(source, target, max_input_length=0)
        found = []
        for ids, result in zip(targets, results, strict=True):
            said = [float(score) for score in result.log_probs]
            found.append(Hypothesis([*ids, EOS], sum(said), None, said, sum(said)))
        if not attention:
            return found
        # Scoring does not tell where it looked, but greedy search with the whole target as its beginning does. What it
        # says after that is thrown away.
        told = self.engine.translate_batch(
            source,
            target_prefix=target,
            beam_size=1,
            max_decoding_length=1 + max(map(len, targets)),
            max_input_length=0,
            return_attention=True,
            return_end_token=True,
        )
        return [
            replace(one, attention=torch.tensor(its.attention[0][: len(one.tokens)]).unsqueeze(1))
            for one, its in zip(found, told, strict=True)
        ]


def _exponent(config: SearchConfig, length: int) -> float:
    """The engine's length penalty, an exponent of the length alone. What it finds is ranked here; but when a beam ends
    with more finished hypotheses than its size, the engine drops those that are last by its own order. So that order
    is made as like to ours as it can be for targets of about `length` tokens: there (5 + length)^α grows as this power
    of the length does. With 0 a beam would stop at its first end."""
    share = length / (5 + length) if config.length_norm == "wu" else 1.0
    return max(config.length_penalty * share, 1e-6)


def library() -> Any:
    """The package ctranslate2. Raises UseError when it is not installed."""
    try:
        import ctranslate2
    except ImportError:
        raise UseError(
            "A model for CTranslate2 needs that package, but it is not installed: pip install 'ojak[ctranslate2]'."
        ) from None
    return ctranslate2
