"""Training that begins with a model there is (fine-tuning): its tokenizers, its shape and its weights."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ojak.config import Recipe, read_recipe
from ojak.errors import ConfigError
from ojak.model import folder
from ojak.model.seam import Seq2Seq
from ojak.presets import FINE_TUNING
from ojak.text import Tokenizer
from ojak.text.grow import made_of

FREE = {"text": {"sample", "add"}, "model": {"dropout", "word_dropout", "max_length"}}
"""settings that a model's weights and tokenizers leave open"""


@dataclass(frozen=True)
class Start:
    """What a run takes over from a model."""

    path: Path
    model: Seq2Seq
    tokenizers: tuple[Tokenizer, Tokenizer]
    settings: Mapping[str, Any]
    """nested settings that lie between the preset and the user's own"""

    @classmethod
    def of(cls, path: Path, asked: Recipe) -> Start:
        """The start from a run or model directory. Raises ModelError when it cannot be read."""
        place = folder.model_folder(path)
        loaded = folder.load(place, torch.device("cpu"))
        first, second = loaded.languages[::-1] if asked.data.reverse else loaded.languages
        settings = {
            "data": {"source": first, "target": second},
            "text": {**folder.read_config(place)["text"], "add": 0},
            "model": loaded.model.config.model_dump(),
            "train": FINE_TUNING,
        }
        return cls(path, loaded.model, (loaded.source, loaded.target), settings)

    def check(self, recipe: Recipe) -> None:
        """Raises ConfigError when the recipe asks for another model or other tokenizers than these."""
        own = read_recipe({key: self.settings[key] for key in FREE})
        faults = []
        for section, free in FREE.items():
            here, there = (getattr(one, section).model_dump(exclude=free) for one in (recipe, own))
            faults += [
                f"{section}.{key} is {there.get(key)!r}, but {here.get(key)!r} was asked for"
                for key in here.keys() | there.keys()
                if here.get(key) != there.get(key)
            ]
        if faults:
            raise ConfigError(
                f"A run that starts from {self.path} has its model and tokenizers: {'; '.join(sorted(faults))}. Leave "
                "these settings out, or start anew."
            )

    def give(self, model: Seq2Seq, source: Tokenizer, target: Tokenizer) -> None:
        """Copies the weights. Entries that its tokenizers have beside those of this model begin as the mean of the old
        ones they are written by; those that are written alike, as unknown words are, share the probability of that.
        """
        weights = folder.weights_of(self.model)
        names = ("source.weight",), ("target.weight", "project.weight", "project.bias")
        for named, old, new in zip(names, self.tokenizers, (source, target), strict=True):
            added = [made_of(old, entry) for entry in new.entries[len(old) :]]
            alike = Counter(map(tuple, added))
            for name in weights.keys() & set(named) if added else ():
                rows = [weights[name][ids].mean(0) for ids in added]
                if name == "project.bias":
                    rows = [row - math.log(alike[tuple(ids)]) for row, ids in zip(rows, added, strict=True)]
                weights[name] = torch.cat([weights[name], torch.stack(rows)])
        folder.put_weights(model, weights, self.path)
