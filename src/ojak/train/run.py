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
from ojak.model.folder import Loaded, read_tokenizers, write_config
from ojak.train import checkpoint, memory
from ojak.train.card import card
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.history import Display, History, Lines, read_history
from ojak.train.job import Job
from ojak.train.loop import loop
from ojak.train.meter import Meter
from ojak.train.precision import settled
from ojak.train.selection import begin_again
from ojak.train.start import Start
from ojak.train.stop import Interrupted, Stop, Stopped, stop_on_signals
from ojak.train.trial import fit
from ojak.train.update import make_optimizer
from ojak.train.validate import Validation
from ojak.translate import Translator, pick_device


def train_run(
    settings: Mapping[str, Any], run: str | Path, display: Display | None = None, resume: bool = False
) -> Validation:
    """Trains as the nested `settings` say, over the preset for the corpus's size, and fills the run directory.

    With `resume` an unfinished run goes on from its newest checkpoint, or begins if it has none; only `train` settings
    may then be given. Raises UseError (or its kin) for bad settings, pairs or directories, and Interrupted when SIGINT
    or SIGTERM asks to stop.
    """
    run, shown = Path(run), display or Lines()
    with stop_on_signals() as stop:
        try:
            return _train(settings, run, shown, resume, stop)
        except Stopped:
            raise Interrupted(_how_to_go_on(run)) from None
        finally:
            shown.close()


def _train(settings: Mapping[str, Any], run: Path, shown: Display, resume: bool, stop: Stop) -> Validation:
    saved = bool(checkpoint.checkpoints(run)) if resume else False
    tell = _teller(shown)
    if resume:
        recipe = _resumed(run, settings)
        # What was learnt together stays together, whatever is installed now.
        start = Start.of(Path(recipe.train.start), recipe) if recipe.train.start and not saved else None
        learnt = read_tokenizers(run / "model", recipe.text) if saved else start.tokenizers if start else None
        corpus = reopen(recipe, run / "data", tell, learnt)
    else:
        if run.exists() and (not run.is_dir() or any(run.iterdir())):
            raise UseError(f"The run directory must be new or empty, but {run} is not; choose another or add --resume.")
        asked = read_recipe(settings)
        start = Start.of(Path(asked.train.start), asked) if asked.train.start else None

        def settle(recipe: Recipe) -> None:
            if start:
                start.check(recipe)
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
    torch.manual_seed(recipe.seed)
    model = build(recipe.model, len(source), len(target), recipe.text.shared)
    if start:
        start.give(model)
    model.to(device)
    translator = Translator(Loaded(model, source, target, recipe.search, recipe.languages))
    optimizer = make_optimizer(model, recipe.train)

    progress, damaged = Progress(data=corpus.fingerprint), list[str]()
    if saved:
        progress, damaged = checkpoint.load_newest(run, model, optimizer, progress.data)
        checkpoint.tidy(run)
        if "learning_rate" in settings.get("train", {}):  # what it was lowered to is not what is wanted now
            progress.slower = 1.0
        if settings and progress.ended:  # perhaps the user wants more of a run that had come to its end
            progress.ended = ""
            begin_again(run)
        elif progress.ended and (end := _end(run)):
            shown.event(end)
            return Validation(end["nll"], end["bleu"], end["chrf"])

    def data(recipe: Recipe) -> tuple[Training, Dev]:
        return Training(corpus.store, source, target, recipe), Dev(corpus.dev, source, target, recipe)

    recipe, (training, dev), smaller = fit(recipe, data, model, optimizer)
    files.write(run / "recipe.toml", write_toml(recipe))
    if not saved:
        write_config(run / "model", recipe, source, target)
    left_out = corpus.left_out + training.skipped + dev.skipped
    history = History(run, progress.update, shown)
    try:
        message = (
            f"Training on {len(training):,} pairs, {model.parameter_count():,} parameters, vocabularies of "
            f"{len(source):,} and {len(target):,}, on {model.device}; {len(dev):,} pairs held out; {left_out:,} pairs "
            "left out as empty, too long or like those held out."
        )
        history.write(
            "resume" if saved else "start",
            progress.update,
            {
                "parameters": model.parameter_count(),
                "pairs": len(training),
                "dev": len(dev),
                "source_vocabulary": len(source),
                "target_vocabulary": len(target),
                "batch_tokens": recipe.train.batch_tokens,
                "versions": versions(),
                **memory.on_device(device),
                "message": " ".join(filter(None, [*damaged, message, smaller])),
            },
        )
        meter = Meter(progress, device)
        found = loop(Job(run, recipe, translator, optimizer, training, dev, progress, history, meter, stop))
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


def _how_to_go_on(run: Path) -> str:
    """What is kept of a run that was stopped at once."""
    go_on = f"go on with: ojak train --out {run} --resume"
    if saved := checkpoint.checkpoints(run):
        return f"stopped; saved at update {int(saved[-1].name)}; {go_on}"
    if (run / "recipe.toml").is_file():
        return f"stopped before the first update; {go_on}"
    return "stopped before anything was kept; begin again with the same command"


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
