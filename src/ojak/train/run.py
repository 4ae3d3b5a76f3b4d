"""A training run from files of pairs to a run directory. `recipe.toml` in it repeats the run."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.config import Recipe, read_recipe, read_toml, write_toml
from ojak.corpus.prepare import prepare, reopen
from ojak.errors import ModelError, UseError
from ojak.model.build import build
from ojak.model.folder import Alignment, Loaded, read_tokenizers, write_config
from ojak.train import checkpoint
from ojak.train.card import card
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.frozen import freeze
from ojak.train.history import Display, History, Lines, read_history
from ojak.train.loop import loop
from ojak.train.objective import alignment_view, check
from ojak.train.precision import settled
from ojak.train.start import Start
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
    run, shown = Path(run), display or Lines()
    saved = checkpoint.checkpoints(run) if resume else []
    tell = _teller(shown)
    if resume:
        recipe = _resumed(run, settings)
        # What was learnt together stays together, whatever is installed now.
        start = Start.of(Path(recipe.train.start), recipe) if recipe.train.start and not saved else None
        learnt = read_tokenizers(run / "model", recipe.text) if saved else start.tokenizers if start else None
        corpus = reopen(recipe, run / "data", tell, learnt, grown=bool(saved))
    else:
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            raise UseError(f"The run directory must be new or empty, but {run} is not; choose another or add --resume.")
        asked = read_recipe(settings)
        start = Start.of(Path(asked.train.start), asked) if asked.train.start else None

        def settle(recipe: Recipe) -> None:
            if start:
                start.check(recipe)
            check(recipe)
            files.write(run / "recipe.toml", write_toml(recipe))

        with _nothing_left(run):
            base, tokenizers = (start.settings, start.tokenizers) if start else ({}, None)
            corpus = prepare(settings, run / "data", tell, settle, base, tokenizers)
            Dev(corpus.dev, corpus.source, corpus.target, corpus.recipe)  # a fault in these pairs is told now
    recipe = corpus.recipe
    if recipe.train.threads:
        torch.set_num_threads(recipe.train.threads)

    device = pick_device(recipe.train.device)
    recipe = settled(recipe, device)

    source, target = corpus.source, corpus.target
    training, dev = Training(corpus.store, source, target, recipe), Dev(corpus.dev, source, target, recipe)
    torch.manual_seed(recipe.seed)
    model = build(recipe.model, len(source), len(target), recipe.text.shared)
    if start:
        start.give(model, source, target)
    freeze(model, recipe.train.freeze)
    model.to(device)
    translator = Translator(Loaded(model, source, target, recipe.search, recipe.languages))
    optimizer = make_optimizer(model, recipe.train)

    progress = Progress(data=corpus.fingerprint)
    if saved:
        progress = checkpoint.load(saved[-1], model, optimizer, progress.data)
        if settings:  # perhaps the user wants more of a run that had come to its end
            progress.ended = ""
        elif progress.ended and (end := _end(run)):
            shown.event(end)
            shown.close()
            return Validation(end["nll"], end["bleu"], end["chrf"])
    files.write(run / "recipe.toml", write_toml(recipe))
    if not saved:
        head = Alignment(alignment_view(recipe), recipe.train.alignment_step) if training.aligned else None
        write_config(run / "model", recipe, source, target, head)
    left_out = corpus.left_out + training.skipped + dev.skipped
    history = History(run, progress.update, shown)
    try:
        history.write(
            "resume" if progress.update else "start",
            progress.update,
            {
                "parameters": model.parameter_count(),
                "pairs": len(training),
                "dev": len(dev),
                "source_vocabulary": len(source),
                "target_vocabulary": len(target),
                "versions": versions(),
                "message": f"Training on {len(training):,} pairs, {model.parameter_count():,} parameters, "
                f"vocabularies of {len(source):,} and {len(target):,}, on {model.device}; {len(dev):,} pairs "
                f"held out; {left_out:,} pairs left out as empty, too long or like those held out.",
            },
        )
        found = loop(run, recipe, translator, optimizer, training, dev, progress, history)
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
    before = read_toml(run / "recipe.toml")
    frozen = settings.get("train", {}).get("freeze")
    if frozen is not None and list(frozen) != before["train"].get("freeze", []):
        raise UseError(
            "What is frozen is settled when a run begins, but train.freeze was given another value; leave it out, or "
            "start another run from this one (--from)."
        )
    return read_recipe(before, settings)


@contextmanager
def _nothing_left(run: Path) -> Iterator[None]:
    """Removes what was begun of a new run when it is the user who must mend something first."""
    try:
        yield
    except UseError:
        shutil.rmtree(run, ignore_errors=True)
        raise


def _teller(shown: Display) -> Callable[[str], None]:
    """Shows messages that come before there is a history."""
    return lambda message: shown.event({"event": "note", "update": 0, "message": message})
