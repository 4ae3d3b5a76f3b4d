"""Training that begins with a model there is (fine-tuning): its tokenizers, its shape and its weights."""

from __future__ import annotations

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

FREE = {"text": {"sample"}, "model": {"dropout", "max_length"}}
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
            "text": folder.read_config(place)["text"],
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

    def give(self, model: Seq2Seq) -> None:
        """Copies the weights."""
        folder.put_weights(model, folder.weights_of(self.model), self.path)
