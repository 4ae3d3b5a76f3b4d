"""A training run from files of pairs to a run directory. `recipe.toml` in it repeats the run."""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.config import Recipe, read_recipe, read_toml, write_toml
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.corpus.split import hold_out
from ojak.errors import ConfigError, ModelError, UseError
from ojak.model.build import build
from ojak.model.folder import Loaded, read_tokenizers, write_config
from ojak.presets import preset
from ojak.text import Tokenizer, learn
from ojak.train import checkpoint
from ojak.train.card import card
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dataset
from ojak.train.history import Display, History, Lines, read_history
from ojak.train.loop import loop
from ojak.train.precision import settled
from ojak.train.update import make_optimizer
from ojak.train.validate import Validation
from ojak.translate import Translator, pick_device


def train_run(
    settings: Mapping[str, Any], run: str | Path, display: Display | None = None, resume: bool = False
) -> Validation:
    """Trains as the nested `settings` say, over the preset for the corpus's size, and fills the run directory.

    With `resume` an unfinished run goes on from its newest checkpoint, or begins if it has none; only `train` settings
    may then be given. Raises UseError (or its kin) for bad settings, pairs or directories.
    """
    run = Path(run)
    saved = checkpoint.checkpoints(run) if resume else []
    if resume:
        recipe = _resumed(run, settings)
        pairs = read_pairs(recipe.data.pairs)
    else:
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            raise UseError(f"The run directory must be new or empty, but {run} is not; choose another or add --resume.")
        asked = read_recipe(settings)  # faults in the settings are told before any file is read
        if not asked.data.pairs:
            raise ConfigError("A run needs pairs to train on, but none were named; give --pairs FILE.")
        pairs = read_pairs(asked.data.pairs)
        recipe = read_recipe(preset(len(pairs), asked.model.architecture), settings)
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)

    device = pick_device(recipe.train.device)
    recipe = settled(recipe, device)

    training, dev = _parts(pairs, recipe)
    # What was learnt together stays together, whatever is installed now.
    source, target = read_tokenizers(run / "model", recipe.text) if saved else _tokenizers(training, recipe)
    datasets = Dataset(training, source, target, recipe), Dataset(dev, source, target, recipe)
    torch.manual_seed(recipe.seed)
    model = build(recipe.model, len(source), len(target), recipe.text.shared)
    model.to(device)
    translator = Translator(Loaded(model, source, target, recipe.search, recipe.languages))
    optimizer = make_optimizer(model, recipe.train)

    progress = Progress(data=_fingerprint(training, dev))
    if saved:
        progress = checkpoint.load(saved[-1], model, optimizer, progress.data)
        if settings:  # perhaps the user wants more of a run that had come to its end
            progress.ended = ""
        elif progress.ended and (end := _end(run)):
            shown = display or Lines()
            shown.event(end)
            shown.close()
            return Validation(end["nll"], end["bleu"], end["chrf"])
    files.write(run / "recipe.toml", write_toml(recipe))
    if not saved:
        write_config(run / "model", recipe, source, target)
    history = History(run, progress.update, display or Lines())
    try:
        history.write(
            "resume" if progress.update else "start",
            progress.update,
            {
                "parameters": model.parameter_count(),
                "pairs": len(datasets[0]),
                "dev": len(datasets[1]),
                "source_vocabulary": len(source),
                "target_vocabulary": len(target),
                "versions": versions(),
                "message": f"Training on {len(datasets[0]):,} pairs, {model.parameter_count():,} parameters, "
                f"vocabularies of {len(source):,} and {len(target):,}, on {model.device}; {len(datasets[1]):,} pairs "
                f"held out; {sum(part.skipped for part in datasets)} pairs left out as empty or too long.",
            },
        )
        found = loop(run, recipe, translator, optimizer, *datasets, progress, history)
    finally:
        history.close()
    files.write(run / "model" / "README.md", card(recipe, progress, found, model.parameter_count(), len(training)))
    return found


def versions() -> str:
    """What the numbers of a run depend on beside its recipe."""
    names = ("ojak", "torch", "sentencepiece", "sacrebleu", "numpy")
    found = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return " ".join([f"python {sys.version.split()[0]}", *found])


def _end(run: Path) -> dict[str, Any] | None:
    """The last event of a finished run; None if it was cut off before it was written."""
    last = (read_history(run) or [{}])[-1]
    return last if last.get("event") == "end" else None


def _resumed(run: Path, settings: Mapping[str, Any]) -> Recipe:
    if not (run / "recipe.toml").is_file():
        raise ModelError(f"A run to resume must hold recipe.toml, but {run} does not; start it without --resume.")
    others = sorted(set(settings) - {"train"})
    if others:
        raise UseError(
            f"A run is resumed with its own recipe, of which only train.* may be changed, but {', '.join(others)} was "
            "given as well; leave it out, or start another run."
        )
    return read_recipe(read_toml(run / "recipe.toml"), settings)


def _parts(pairs: list[Pair], recipe: Recipe) -> tuple[list[Pair], list[Pair]]:
    """Training and dev pairs in the direction of translation."""
    if recipe.data.dev:
        parts = pairs, read_pairs(recipe.data.dev)
    else:
        parts = hold_out(pairs, recipe.data.held_out, recipe.seed)
    if recipe.data.reverse:
        return [pair.turned() for pair in parts[0]], [pair.turned() for pair in parts[1]]
    return parts


def _tokenizers(pairs: Sequence[Pair], recipe: Recipe) -> tuple[Tokenizer, Tokenizer]:
    text = recipe.text

    def learnt(sentences: list[str]) -> Tokenizer:
        rare = text.min_frequency
        return learn(sentences, text.kind, text.size, lowercase=text.lowercase, min_frequency=rare, seed=recipe.seed)

    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    if text.shared:
        both = learnt(sources + targets)
        return both, both
    return learnt(sources), learnt(targets)


def _fingerprint(*parts: Sequence[Pair]) -> str:
    digest = hashlib.sha256()
    for part in parts:
        for pair in part:
            digest.update(f"{pair.source}\t{pair.target}\n".encode())
        digest.update(b"\0")
    return digest.hexdigest()
