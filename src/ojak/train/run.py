"""A training run from files of pairs to a run directory. `recipe.toml` in it repeats the run."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.config import Recipe, read_recipe, read_toml, write_toml
from ojak.corpus.prepare import Prepared, prepare, rejoin, reopen
from ojak.errors import ModelError, UseError
from ojak.model.build import build
from ojak.model.folder import Loaded, read_tokenizers, write_config
from ojak.train import checkpoint
from ojak.train.card import card
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.history import Display, History, Lines, Nothing, Unwritten, read_history
from ojak.train.job import Job
from ojak.train.loop import loop
from ojak.train.parallel import Processes, joined, local, threads
from ojak.train.precision import settled
from ojak.train.sharding import scatter, shard
from ojak.train.start import Start
from ojak.train.update import make_optimizer
from ojak.train.validate import Validation
from ojak.translate import Translator, pick_device


def train_run(
    settings: Mapping[str, Any], run: str | Path, display: Display | None = None, resume: bool = False
) -> Validation:
    """Trains as the nested `settings` say, over the preset for the corpus's size, and fills the run directory.

    With `resume` an unfinished run goes on from its newest checkpoint, or begins if it has none; only `train` settings
    may then differ from its recipe. Where torchrun started several processes, each calls this. Raises UseError (or its
    kin) for bad settings, pairs or directories.
    """
    with joined() as processes:
        shown = (display or Lines()) if processes.leads else Nothing()
        return _train(settings, Path(run), shown, resume, processes)


def _train(settings: Mapping[str, Any], run: Path, shown: Display, resume: bool, processes: Processes) -> Validation:
    corpus, start, saved, fresh = _begun(settings, run, _teller(shown), resume, processes)
    recipe = corpus.recipe
    if recipe.train.threads or processes.size > 1:
        torch.set_num_threads(recipe.train.threads or threads())

    device = local(pick_device(recipe.train.device))
    processes.link(device)
    recipe = settled(recipe, device)

    source, target = corpus.source, corpus.target
    training, dev = Training(corpus.store, source, target, recipe), Dev(corpus.dev, source, target, recipe)
    torch.manual_seed(recipe.seed)
    model = build(recipe.model, len(source), len(target), recipe.text.shared)
    if start:
        start.give(model)
    sharded = recipe.train.sharding == "fsdp" and processes.size > 1
    model.to("cpu" if sharded else device)
    learnt = shard(model, device, processes) if sharded else model
    translator = Translator(Loaded(model, source, target, recipe.search, recipe.languages))
    optimizer = make_optimizer(learnt, recipe.train)

    progress = Progress(data=corpus.fingerprint)
    before = group = recipe.train.accumulate * processes.size
    if saved:
        progress = checkpoint.load(saved, model, optimizer, progress.data)
        before = progress.group
        if fresh:  # perhaps the user wants more of a run that had come to its end
            progress.ended = ""
        elif end := processes.told(_end(run) if processes.leads and progress.ended else None):
            shown.event(end)
            shown.close()
            return Validation(end["nll"], end["bleu"], end["chrf"])
    progress.group = group
    processes.spread(model)
    scatter(model, learnt)
    history: History = Unwritten()
    if processes.leads:
        files.write(run / "recipe.toml", write_toml(recipe))
        if not saved:
            write_config(run / "model", recipe, source, target)
        history = History(run, progress.update, shown)
    left_out = corpus.left_out + training.skipped + dev.skipped
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
                "processes": processes.size,
                "message": f"Training on {len(training):,} pairs, {model.parameter_count():,} parameters, "
                f"vocabularies of {len(source):,} and {len(target):,}, on {model.device}; {len(dev):,} pairs "
                f"held out; {left_out:,} pairs left out as empty, too long or like those held out."
                + _together(processes.size, recipe.train.accumulate, before),
            },
        )
        found = loop(Job(run, recipe, translator, learnt, optimizer, training, dev, progress, history, processes))
    finally:
        history.close()
    about = card(recipe, progress, found, model.parameter_count(), len(training))
    processes.first(lambda: files.write(run / "model" / "README.md", about))
    return found


def _begun(
    settings: Mapping[str, Any], run: Path, tell: Callable[[str], None], resume: bool, processes: Processes
) -> tuple[Prepared, Start | None, Path | None, bool]:
    """The corpus, which process 0 makes ready; what the weights start from; the checkpoint to go on from, if there is
    one; and whether the settings change the run that it is of."""
    if not processes.leads:
        said, name, fresh = processes.told(("", "", False))
        corpus = rejoin(read_recipe(tomllib.loads(said)), run / "data")
        return corpus, None, run / "state" / name if name else None, fresh
    saved = checkpoint.checkpoints(run)[-1:] if resume else []
    fresh = False
    if resume and (asked := _resumed(run, settings)):
        recipe, fresh = asked
        # What was learnt together stays together, whatever is installed now.
        start = Start.of(Path(recipe.train.start), recipe) if recipe.train.start and not saved else None
        learnt = read_tokenizers(run / "model", recipe.text) if saved else start.tokenizers if start else None
        corpus = reopen(recipe, run / "data", tell, learnt)
    else:
        corpus, start = _new(settings, run, tell)
    processes.told((write_toml(corpus.recipe), saved[0].name if saved else "", fresh))
    return corpus, start, saved[0] if saved else None, fresh


def _new(settings: Mapping[str, Any], run: Path, tell: Callable[[str], None]) -> tuple[Prepared, Start | None]:
    """The corpus of a new run, and what its weights start from."""
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
    return corpus, start


def _together(size: int, accumulate: int, before: int) -> str:
    """How many batches an update takes, where it is not one, or was another number before."""
    if size * accumulate == before == 1:
        return ""
    told = f" An update takes {size * accumulate} batches: {accumulate} for each of {size} processes"
    return f"{told}; until now it took {before}." if size * accumulate != before else f"{told}."


def versions() -> str:
    """What the numbers of a run depend on beside its recipe."""
    names = ("ojak", "torch", "sentencepiece", "sacrebleu", "numpy")
    found = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return " ".join([f"python {sys.version.split()[0]}", *found])


def _end(run: Path) -> dict[str, Any] | None:
    """The last event of a finished run; None if it was cut off before it was written."""
    last = (read_history(run) or [{}])[-1]
    return last if last.get("event") == "end" else None


def _resumed(run: Path, settings: Mapping[str, Any]) -> tuple[Recipe, bool] | None:
    """The recipe of a begun run with the settings over it, and whether they change it; None where nothing is begun
    and the settings tell what to begin, so that one command both begins a run and goes on with it."""
    if not (run / "recipe.toml").is_file():
        if settings.get("data", {}).get("pairs"):
            return None
        raise ModelError(f"A run to resume must hold recipe.toml, but {run} does not; start it without --resume.")
    before = read_recipe(read_toml(run / "recipe.toml"))
    recipe = read_recipe(read_toml(run / "recipe.toml"), settings)
    sections = ("data", "model", "search", "seed", "text")
    others = [name for name in sections if getattr(recipe, name) != getattr(before, name)]
    if others:
        raise UseError(
            "A run is resumed with its own recipe, of which only train.* may be changed, but "
            f"{', '.join(others)} would be another; leave it out, or start another run."
        )
    return recipe, recipe != before


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
