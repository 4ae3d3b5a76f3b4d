"""The model directory: what serves, and nothing that can run code.

config.json           format, model, sizes of the vocabularies, tokenizers, languages, search defaults; and, where
                      one learnt from word alignments or was chosen for them, which attention view aligns
weights.safetensors   every weight once
source.*, target.*    the tokenizers (shared.* where they are one)
README.md             the model card
"""

from __future__ import annotations

import json
import os
import re
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from pydantic import ValidationError
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from ojak import files
from ojak.config import Recipe, SearchConfig, TextConfig, read_recipe
from ojak.errors import ConfigError, ModelError
from ojak.model.build import build
from ojak.model.seam import Seq2Seq
from ojak.text import Tokenizer, load_both, save_both

FORMAT = 1
NAMED = 3
"""weights that an error names of each kind of fault"""


@dataclass(frozen=True)
class Alignment:
    """The attention view that learnt from word alignments, or was chosen for them (`ojak align --choose`), and the step
    of a target word that aligns it: `output`, which writes the word, or `input`, the next one, which reads it.
    `measure` is the `weights` or the `norms`, as `ojak.align.reading` tells."""

    view: str
    step: str
    measure: str = "weights"


@dataclass(frozen=True)
class Loaded:
    """All that translating needs."""

    model: Seq2Seq
    source: Tokenizer
    target: Tokenizer
    search: SearchConfig
    languages: tuple[str, str]


def write_config(
    folder: Path, recipe: Recipe, source: Tokenizer, target: Tokenizer, alignment: Alignment | None = None
) -> None:
    """Writes all but the weights and the card."""
    config = {
        "format": FORMAT,
        "model": recipe.model.model_dump(),
        "text": recipe.text.model_dump(),
        "search": recipe.search.model_dump(),
        "languages": list(recipe.languages),
        "vocabulary": {"source": len(source), "target": len(target)},
        **({"alignment": asdict(alignment)} if alignment else {}),
    }
    folder.mkdir(parents=True, exist_ok=True)
    with files.explained(folder):
        save_both(folder, source, target)
    files.write(folder / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def read_tokenizers(folder: Path, text: TextConfig) -> tuple[Tokenizer, Tokenizer]:
    """The source and target tokenizer; one and the same where the vocabulary is shared. Raises ModelError."""
    return load_both(folder, text.kind, text.shared)


def weights_of(model: Seq2Seq) -> dict[str, torch.Tensor]:
    """The weights by name; tied ones under one name."""
    return {name: weight.detach() for name, weight in model.named_parameters()}


def write_weights(path: Path, weights: dict[str, torch.Tensor]) -> None:
    """Writes weights as safetensors, whole or not at all, and without a copy of them in memory. Raises StorageError."""
    with files.beside(path) as half:
        try:
            save_file({name: weight.contiguous().cpu() for name, weight in weights.items()}, half)
        except SafetensorError as error:  # it tells the number of the system's error in its message only
            number = re.search(r"os error (\d+)", str(error))
            raise OSError(int(number[1]), os.strerror(int(number[1]))) if number else OSError(str(error)) from None


def read_weights(path: Path) -> dict[str, torch.Tensor]:
    """The tensors of a safetensors file. Raises ModelError when it is missing or broken."""
    if not path.is_file():
        raise ModelError(f"The weights must be in {path}, but there is no such file.")
    try:
        with safe_open(path, framework="pt") as file:
            return {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 (not a dict)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} must be a whole safetensors file, but cannot be read: {error}.") from None


def put_weights(model: Seq2Seq, weights: dict[str, torch.Tensor], path: Path) -> None:
    """Copies weights into a model. Raises ModelError that counts those that are missing, unknown or misshapen."""
    own = dict(model.named_parameters())
    faults = {
        "missing": sorted(own.keys() - weights.keys()),
        "unknown": sorted(weights.keys() - own.keys()),
        "of another shape": [
            f"{name} is {tuple(weights[name].shape)} instead of {tuple(own[name].shape)}"
            for name in sorted(own.keys() & weights.keys())
            if own[name].shape != weights[name].shape
        ],
    }
    if any(faults.values()):
        told = "; ".join(
            f"{len(names)} {kind} ({', '.join(names[:NAMED])}{', …' if len(names) > NAMED else ''})"
            for kind, names in faults.items()
            if names
        )
        raise ModelError(
            f"{path} must hold the {len(own)} weights of its model, but of these are {told}. Perhaps another version "
            "of Ojak made it: use that version, or train anew."
        )
    with torch.no_grad():
        for name, weight in own.items():
            weight.copy_(weights[name])


def model_folder(path: Path) -> Path:
    """The model directory that `path` means: itself, or the `model` inside a run. Raises ModelError if neither."""
    for folder in (path, path / "model"):
        if (folder / "config.json").is_file():
            return folder
    found = "there is no such directory" if not path.exists() else "it holds no config.json, nor does its model/"
    raise ModelError(f"A run or model directory must hold config.json, but {path}: {found}. `ojak train` makes one.")


def read_config(folder: Path) -> dict[str, Any]:
    """The checked config.json of a model directory. Raises ModelError when it is broken or newer."""
    path = folder / "config.json"
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
        version = config["format"]
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
        raise ModelError(f"{path} must be a JSON object with a format number, but is not: {error!r}.") from None
    if not isinstance(version, int) or version < 1:
        raise ModelError(f"{path} must have a whole number from 1 as its format, but it is {version!r}; it is broken.")
    if version > FORMAT:
        raise ModelError(f"{path} is of format {version}, and this Ojak reads formats to {FORMAT}; update Ojak.")
    return dict(config)


def load(path: Path, device: torch.device) -> Loaded:
    """The model of a run or model directory, in evaluation mode. Raises ModelError when something is amiss."""
    folder = model_folder(path)
    config = read_config(folder)
    if engine := config.get("engine"):
        raise ModelError(
            f"This needs a run or model directory, but {path} is exported for {engine}; name what it was made from."
        )
    try:
        recipe = read_recipe({key: config[key] for key in ("model", "text", "search")})
        sizes = config["vocabulary"]["source"], config["vocabulary"]["target"]
        languages = str(config["languages"][0]), str(config["languages"][1])
    except (ConfigError, ValidationError, KeyError, IndexError, TypeError) as error:
        raise ModelError(f"{folder / 'config.json'} is broken: {error}") from None
    source, target = read_tokenizers(folder, recipe.text)
    if (len(source), len(target)) != sizes:
        raise ModelError(
            f"{folder}: config.json tells of vocabularies of {sizes} entries, but the tokenizers hold "
            f"{len(source)} and {len(target)}; they are from different runs."
        )
    model = build(recipe.model, *sizes, recipe.text.shared)
    weights = folder / "weights.safetensors"
    put_weights(model, read_weights(weights), weights)
    return Loaded(model.to(device).eval(), source, target, recipe.search, languages)
