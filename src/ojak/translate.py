"""The Translator: texts in, Translations out."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from ojak import batch
from ojak.config import SearchConfig
from ojak.errors import UseError
from ojak.model import folder
from ojak.model.folder import Loaded
from ojak.result import Alternative, Attention, Translation
from ojak.search import Hypothesis, forced, search
from ojak.text import Tokenizer
from ojak.text.vocabulary import EOS


def pick_device(name: str = "auto") -> torch.device:
    """The device of that name; `auto` is a GPU if there is one. Raises UseError when there is none to give."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    if name == "cuda" and not torch.cuda.is_available():
        raise UseError("device=cuda needs a GPU that torch can use, but there is none; use device=cpu or auto.")
    return torch.device(name)


class TooLong(UseError):
    """A sentence has more tokens than the model takes; `place` is its place among those given."""

    def __init__(self, message: str, place: int) -> None:
        super().__init__(message)
        self.place = place


class Translator:
    """A model with its tokenizers. Nothing of a request is kept on it, so threads may share one."""

    def __init__(self, loaded: Loaded) -> None:
        self.model = loaded.model
        self.source: Tokenizer = loaded.source
        self.target: Tokenizer = loaded.target
        self.search = loaded.search
        self.languages = loaded.languages

    @classmethod
    def load(cls, path: str | Path, device: str = "auto") -> Translator:
        """The translator of a run or model directory. Raises ModelError when it cannot be read."""
        return cls(folder.load(Path(path), pick_device(device)))

    def __call__(self, text: str) -> Translation:
        """One sentence, with its attention."""
        return self.translate([text], attention=True)[0]

    def translate(
        self, texts: Sequence[str], search: SearchConfig | None = None, attention: bool = False
    ) -> list[Translation]:
        """A Translation for each text, in their order. Empty text gives an empty Translation.

        `search` says how to look, the model's own defaults if None; `attention` records where the model looked.
        Raises UseError when a text has more tokens than the model takes.
        """
        config = search or self.search
        encoded = [self._encode(self.source, text, "this one", place) for place, text in enumerate(texts)]
        filled = [place for place, ids in enumerate(encoded) if ids]
        results = [Translation(text, "", (), (), 0.0, views=self.model.views) for text in texts]
        lengths = np.array([len(encoded[place]) for place in filled], dtype=np.int64)
        for chosen in batch.plan(lengths, lengths, max(1, config.batch_tokens // config.beam)):
            places = [filled[row] for row in chosen]
            source = batch.sources([encoded[place] for place in places], self.model.device)
            for place, found in zip(places, self._search(source, config, attention), strict=True):
                results[place] = self._translation(texts[place], encoded[place], found)
        return results

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
            pairs = batch.collate([source[i] for i in chosen], [target[i] for i in chosen], self.model.device)
            with torch.inference_mode():
                decoded = self.model(pairs.source, pairs.target_in, attention)
                scores = forced.score(self.model, decoded.states, pairs.target_out).tolist()
            for row, place in enumerate(chosen):
                tokens = [*target[place], EOS]
                weights = None
                if decoded.attention is not None:
                    weights = decoded.attention[row, : len(tokens), :, : len(source[place]) + 1]
                found = Hypothesis(tokens, scores[row], weights)
                results[int(place)] = self._translation(sources[place], source[place], [found])
        return [results[place] for place in range(len(sources))]

    def _encode(self, tokenizer: Tokenizer, text: str, what: str, place: int) -> list[int]:
        ids = tokenizer.encode(text)
        longest = self.model.config.max_length
        if len(ids) >= longest:
            raise TooLong(
                f"A sentence must have at most {longest - 1} tokens for this model, but {what} has "
                f"{len(ids)} ({text[:40]!r}…). Split it into sentences, or train with a larger model.max_length.",
                place,
            )
        return ids

    def _search(self, source: torch.Tensor, config: SearchConfig, attention: bool) -> list[list[Hypothesis]]:
        return search(self.model, source, config, attention)

    def _translation(self, text: str, source: list[int], found: Sequence[Hypothesis]) -> Translation:
        first, *others = (self._alternative(hypothesis) for hypothesis in found)
        return Translation(
            source=text,
            text=first.text,
            source_tokens=tuple(self.source.pieces([*source, EOS])),
            tokens=first.tokens,
            score=first.score,
            attention=first.attention,
            views=self.model.views,
            alternatives=tuple(others),
        )

    def _alternative(self, found: Hypothesis) -> Alternative:
        attention: Attention | None = None
        if found.attention is not None:
            attention = found.attention.float().cpu().numpy()
        pieces = tuple(self.target.pieces(found.tokens))
        return Alternative(self.target.decode(found.tokens), pieces, found.score, attention)


def load(path: str | Path, device: str = "auto") -> Translator:
    """The translator of a run or model directory. Raises ModelError when it cannot be read."""
    return Translator.load(path, device)
