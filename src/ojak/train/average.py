"""One model whose weights are the mean of those of several: the last validations of a run, checkpoints, or models."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch

from ojak import files
from ojak.errors import ModelError, UseError
from ojak.model import folder
from ojak.model.folder import read_weights, write_weights

PARTS = ("model", "text", "vocabulary")
"""what of config.json must agree for weights to have one meaning"""


def average(paths: Sequence[Path], out: Path, last: int = 0) -> list[Path]:
    """Makes the model directory `out` from the mean of weights, and tells whose they are.

    A path is a run, of which the chosen weights count or with `last` those of so many last validations; or a model
    directory; or, within a run, a checkpoint (`state/NNNNNNNN`) or a file of weights. Raises UseError when `out` is
    there, there is nothing to average, or the models are not of one kind; ModelError when one cannot be read.
    """
    if out.exists():
        raise UseError(f"The directory to make must be new, but {out} is there; choose another.")
    found = [file for path in paths for file in _weights(path, last)]
    if len(set(found)) < 2:
        named = ", ".join(map(str, found))
        raise UseError(
            f"An average is of at least two different sets of weights, but only {named} was named; name more, or say "
            "--last N for those of a run's last validations."
        )
    places = [_place(path) for path in paths]
    _alike(places)
    weights = mean(found)
    with files.whole_folder(out) as beside:
        for file in sorted(places[0].iterdir()):
            if file.name == "config.json" or ".vocabulary." in file.name or file.suffix == ".spm":
                shutil.copyfile(file, beside / file.name)
        write_weights(beside / "weights.safetensors", weights)
        listed = "".join(f"- {file}\n" for file in found)
        files.write(beside / "README.md", f"# The mean of {len(found)} sets of weights\n\nOf these:\n\n{listed}")
    return found


def mean(found: Sequence[Path]) -> dict[str, torch.Tensor]:
    """The mean of the weights in these files, of which two at a time are in memory. Raises UseError when they are not
    of one model."""
    first, *others = found
    total = {name: weight.double() for name, weight in read_weights(first).items()}
    for file in others:
        weights = read_weights(file)
        if {name: weight.shape for name, weight in weights.items()} != {n: one.shape for n, one in total.items()}:
            raise UseError(f"Weights to average must be of one model, but {file} has others than {first}.")
        for name, weight in weights.items():
            total[name] += weight
    return {name: (weight / len(found)).to(torch.float32) for name, weight in total.items()}


def _weights(path: Path, last: int) -> list[Path]:
    if last and not (path / "model").is_dir():
        raise UseError(f"--last is for runs, of which some weights are kept, but {path} is none; name runs alone.")
    if path.is_file():
        return [path]
    if last:
        kept = sorted((path / "state" / "average").glob("*.safetensors"))
        if len(kept) < last:
            raise UseError(
                f"{path} must have kept the weights of {last} validations, but has those of {len(kept)}; ask for "
                "fewer, or train with a larger train.average."
            )
        return kept[-last:]
    file = path / "weights.safetensors"
    return [file if file.is_file() else folder.model_folder(path) / "weights.safetensors"]


def _place(path: Path) -> Path:
    """The model directory that says what the weights at `path` are: its own, or that of the run it lies in."""
    for place in (path, *path.absolute().parents[:3]):
        if (place / "config.json").is_file() or (place / "model" / "config.json").is_file():
            return folder.model_folder(place)
    return folder.model_folder(path)


def _alike(models: Sequence[Path]) -> None:
    """Raises UseError where the models are of other shapes or vocabularies than the first."""
    places = list(dict.fromkeys(models))
    configs = [folder.read_config(place) for place in places]
    for place, config in zip(places[1:], configs[1:], strict=True):
        other = [part for part in PARTS if _fixed(config, part) != _fixed(configs[0], part)]
        loaded = [folder.load(one, torch.device("cpu")) for one in (places[0], place)] if not other else []
        if loaded and (
            loaded[0].source.entries != loaded[1].source.entries or loaded[0].target.entries != loaded[1].target.entries
        ):
            other = ["vocabulary"]
        if other:
            raise UseError(
                f"Models to average must be alike, but {place} and {places[0]} differ in {' and '.join(other)}. Runs "
                "that start from one model (--from) or differ in seed only are alike where their vocabularies are."
            )


def _fixed(config: dict[str, object], part: str) -> object:
    """What of a part of config.json must agree: what matters in training alone may differ."""
    section = config.get(part)
    if not isinstance(section, dict):
        raise ModelError(f"config.json must have an object {part!r}, but has {json.dumps(section)}.")
    return {key: value for key, value in section.items() if key not in ("dropout", "word_dropout", "sample", "add")}
