"""The second maker of Translations: CTranslate2, for Transformers that `ojak export --to ctranslate2` wrote."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from pydantic import ValidationError

from ojak.config import SearchConfig, read_recipe
from ojak.errors import ConfigError, ModelError, UseError
from ojak.model import folder
from ojak.search import Hypothesis, Wishes
from ojak.search.hypothesis import length_penalty
from ojak.search.wishes import Wish
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
    """Makes Translations with CTranslate2. Its words are Ojak's: `translate` gives what `Translator` gives.

    What the engine does otherwise: a beam stops when it has as many finished hypotheses as its size (`stop=first`,
    whatever is asked for); a sentence that reaches its longest length is not ended by force, and the lengths of a batch
    have one limit; samples depend on the batch and are not reproducible; loops are not cut; only the mean of the heads
    that the export chose is there as attention. Refused are glossaries and constraints, banned words in more than
    greedy ways the engine has, diverse beam search, coverage penalty, min-p and shortlists.
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
        self._ids = {entry: number for number, entry in enumerate(target.entries)}

    @classmethod
    def load(cls, path: str | Path, device: str = "auto", compute_type: str = "default") -> CTranslate2Translator:
        """The translator of an exported directory, on one thread a core. Raises ModelError when it cannot be read,
        UseError when CTranslate2 is not installed."""
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
        self._check(config, attention)
        # The engine has one longest length for a batch; a sentence's own is observed by searching alike ones together.
        limits = [
            self._limit(len(ids) + 1, len(wish.prefix), config)
            for ids, wish in zip(sources, wishes.sentences, strict=True)
        ]
        found: list[list[Hypothesis]] = [[] for _ in sources]
        for limit in sorted(set(limits)):
            places = [place for place, one in enumerate(limits) if one == limit]
            results = self._results(
                [sources[p] for p in places],
                [wishes.sentences[p] for p in places],
                wishes.banned,
                limit,
                config,
                attention,
            )
            for place, result in zip(places, results, strict=True):
                found[place] = self._hypotheses(result, limit, config, attention)
        return found

    def _limit(self, source: int, prefix: int, config: SearchConfig) -> int:
        longest = int(source * config.max_length_factor) + 10
        if config.max_length:
            longest = min(longest, config.max_length)
        return min(max(longest, config.min_length) + prefix, self.longest)

    def _results(
        self,
        sources: list[list[int]],
        sentences: Sequence[Wish],
        banned: Sequence[Sequence[int]],
        limit: int,
        config: SearchConfig,
        attention: bool,
    ) -> list[Any]:
        names, words = self.source.entries, self.target.entries
        prefixes = [[words[number] for number in wish.prefix] for wish in sentences]
        sampled = config.sampling
        found: list[Any] = self.engine.translate_batch(
            [[names[number] for number in [*ids, EOS]] for ids in sources],
            target_prefix=prefixes if any(prefixes) else None,
            beam_size=config.beam,
            num_hypotheses=config.width,
            # With a length penalty of 0 the engine stops at the first end; hypotheses are ranked here.
            length_penalty=1.0,
            repetition_penalty=config.repetition_penalty,
            no_repeat_ngram_size=config.no_repeat_ngram_size,
            suppress_sequences=[[words[number] for number in ids] for ids in ([PAD], [BOS], [UNK], *banned)],
            max_decoding_length=limit - max(map(len, prefixes)),
            min_decoding_length=max(0, config.min_length - 1),
            max_input_length=0,
            sampling_topk=(config.top_k or 0) if sampled else 1,
            sampling_topp=config.top_p,
            sampling_temperature=config.temperature,
            return_scores=True,
            return_attention=attention,
            return_end_token=True,
        )
        return found

    def _hypotheses(self, result: Any, limit: int, config: SearchConfig, attention: bool) -> list[Hypothesis]:
        found = []
        for place, (words, score) in enumerate(zip(result.hypotheses, result.scores, strict=True)):
            tokens = [self._ids[word] for word in words]
            total = float(score) * max(1, len(tokens))
            looked = None
            if attention:
                weights = np.array(result.attention[place], dtype=np.float32)  # (T,S), its end of sentence included
                if len(weights) < len(tokens) + (tokens[-1:] != [EOS]):
                    weights = np.concatenate([weights, weights[-1:]])
                looked = torch.from_numpy(weights).unsqueeze(1)
            cut = tokens[-1:] != [EOS]
            tokens = [*tokens, EOS] if cut else tokens
            rank = total / length_penalty(float(len(tokens)), config)
            found.append(Hypothesis(tokens, total, looked, [], rank, "limit" if cut else "model"))
        return sorted(found, key=lambda one: -one.rank)[: max(config.n_best, config.mbr)]

    def _score(self, sources: list[list[int]], targets: list[list[int]], attention: bool) -> list[Hypothesis]:
        if attention:
            raise UseError("CTranslate2 does not tell where it looked at given targets; use the run itself.")
        names, words = self.source.entries, self.target.entries
        results = self.engine.score_batch(
            [[names[number] for number in [*ids, EOS]] for ids in sources],
            [[words[number] for number in ids] for ids in targets],
            max_input_length=0,
        )
        found = []
        for ids, result in zip(targets, results, strict=True):
            said = [float(score) for score in result.log_probs]
            found.append(Hypothesis([*ids, EOS], sum(said), None, said, sum(said)))
        return found

    def _check(self, config: SearchConfig, attention: bool) -> None:
        """Raises UseError that names all that the engine has not."""
        asked = [name for name, nothing in CANNOT if getattr(config, name) != nothing]
        if asked:
            raise UseError(f"CTranslate2 has no {', '.join(asked)}; leave that out, or use the run itself.")


def library() -> Any:
    """The package ctranslate2. Raises UseError when it is not installed."""
    try:
        import ctranslate2
    except ImportError:
        raise UseError(
            "A model for CTranslate2 needs that package, but it is not installed: pip install 'ojak[ctranslate2]'."
        ) from None
    return ctranslate2
