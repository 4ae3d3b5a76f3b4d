"""A training run from files of pairs to a run directory. `recipe.toml` in it repeats the run."""

from __future__ import annotations

import importlib.metadata
import shutil
import sys
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.config import Recipe, TrainConfig, read_recipe, read_toml, write_toml
from ojak.corpus.prepare import Prepared, prepare, rejoin, reopen
from ojak.errors import ModelError, OjakError, UseError
from ojak.model.build import build
from ojak.model.folder import Alignment, Loaded, read_tokenizers, write_config
from ojak.model.seam import Seq2Seq
from ojak.train import checkpoint, memory
from ojak.train.card import card
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.frozen import freeze
from ojak.train.history import Display, History, Lines, Nothing, Unwritten, read_history
from ojak.train.job import Job
from ojak.train.loop import loop
from ojak.train.meter import Meter
from ojak.train.objective import alignment_view, check
from ojak.train.parallel import Processes, joined, local, threads
from ojak.train.precision import settled, side_by_side
from ojak.train.selection import forget_later, more
from ojak.train.sharding import scatter, shard
from ojak.train.start import Start
from ojak.train.stop import Interrupted, Stop, Stopped, stop_on_signals
from ojak.train.trial import fit, refusal, with_budget
from ojak.train.update import make_optimizer
from ojak.train.validate import Validation
from ojak.translate import Translator, pick_device


def train_run(
    settings: Mapping[str, Any], run: str | Path, display: Display | None = None, resume: bool = False
) -> Validation:
    """Trains as the nested `settings` say, over the preset for the corpus's size, and fills the run directory.

    With `resume` an unfinished run goes on from its newest checkpoint, or begins if it has none; only `train` settings
    may then differ from its recipe. Where torchrun started several processes, each calls this. Raises UseError (or its
    kin) for bad settings, pairs or directories, or when another process trains in this one, and Interrupted when SIGINT
    or SIGTERM asks to stop.
    """
    run, shown, before = Path(run), display or Lines(), torch.get_num_threads()
    memory.keep_few_products()
    with stop_on_signals() as stop:
        try:
            with joined() as processes:
                stop.patient = processes.size > 1
                with files.held(run) if processes.leads else nullcontext():
                    return _train(settings, run, shown if processes.leads else Nothing(), resume, stop, processes)
        except Stopped:
            raise Interrupted(_how_to_go_on(run)) from None
        except (MemoryError, RuntimeError) as error:
            if why := refusal(error):
                raise OjakError(
                    f"Memory was refused while the training was made ready ({why}). Free memory; if it is the model "
                    "that is too large, a new run needs a smaller model.width, text.size, or fewer layers."
                ) from error
            raise
        finally:
            torch.set_num_threads(before)
            shown.close()


def _train(
    settings: Mapping[str, Any], run: Path, shown: Display, resume: bool, stop: Stop, processes: Processes
) -> Validation:
    begun = _begun(settings, run, _teller(shown), resume, processes)
    corpus, recipe = begun.corpus, begun.corpus.recipe
    if recipe.train.threads or processes.size > 1:
        torch.set_num_threads(recipe.train.threads or threads())

    device = local(pick_device(recipe.train.device))
    processes.link(device, recipe.train.answer)
    recipe = settled(recipe, device)

    source, target = corpus.source, corpus.target
    torch.manual_seed(recipe.seed)
    model = build(recipe.model, len(source), len(target), recipe.text.shared)
    if begun.start:
        begun.start.give(model, source, target)
    freeze(model, recipe.train.freeze)
    sharded = recipe.train.sharding == "fsdp" and processes.size > 1
    model.to("cpu" if sharded else device)
    learnt = shard(model, device, processes) if sharded else model
    translator = Translator(Loaded(model, source, target, recipe.search, recipe.languages))
    optimizer = make_optimizer(learnt, recipe.train)

    def write_card(found: Validation) -> None:
        text = card(recipe, progress, found, model.parameter_count(), len(corpus.store))
        files.write(run / "model" / "README.md", text)

    progress, damaged, keep = Progress(data=corpus.fingerprint), list[str](), False
    progress.group = recipe.train.accumulate * processes.size
    told = _together(recipe.train.accumulate, processes.size, progress.group)
    if begun.saved:
        progress, damaged = _loaded(run, model, optimizer, progress.data, processes)
        if not progress.budget:  # an earlier version did not tell it
            progress.asked = progress.budget = read_recipe(read_toml(run / "recipe.toml")).train.batch_tokens
        told = _together(recipe.train.accumulate, processes.size, progress.group)
        progress.group = recipe.train.accumulate * processes.size
        if begun.changed:
            keep = _change(progress, begun.changed, recipe.train)
        elif end := processes.told(_end(run) if processes.leads and progress.ended else None):
            shown.event(end)
            found = Validation(end["nll"], end["bleu"], end["chrf"])
            if processes.leads and not (run / "model" / "README.md").exists():  # it was killed just then
                write_card(found)
            return found
    processes.spread(model)
    scatter(model, learnt)

    def data(recipe: Recipe) -> tuple[Training, Dev]:
        return Training(corpus.store, source, target, recipe), Dev(corpus.dev, source, target, recipe)

    asked, smaller = recipe.train.batch_tokens, ""
    # A budget that has been learnt with is not tried again: another one would be another order of the data. Of a model
    # in pieces no process could try alone.
    if progress.update and asked in (progress.asked, progress.budget):
        recipe = with_budget(recipe, progress.budget)
        if asked != progress.budget:
            smaller = f"train.batch_tokens stays {progress.budget}: more did not fit into memory."
    else:
        if learnt is model:
            recipe, smaller = fit(recipe, data, model, optimizer, processes.size)
            recipe = with_budget(recipe, min(processes.gathered(recipe.train.batch_tokens)))
        progress.asked, progress.budget = asked, recipe.train.batch_tokens
    training, dev = data(recipe)
    history: History = Unwritten()
    if processes.leads:
        _write_down(run, recipe, begun, progress, training, keep)
        history = History(run, progress.update if begun.saved else -1, shown, progress.unjudged)
    left_out = corpus.left_out + training.skipped + dev.skipped
    try:
        message = (
            f"Training on {len(training):,} pairs, {model.parameter_count():,} parameters, vocabularies of "
            f"{len(source):,} and {len(target):,}, on {model.device}; {len(dev):,} pairs held out; {left_out:,} pairs "
            "left out as empty, too long or like those held out."
        )
        history.write(
            "resume" if begun.saved else "start",
            progress.update,
            {
                "parameters": model.parameter_count(),
                "pairs": len(training),
                "dev": len(dev),
                "source_vocabulary": len(source),
                "target_vocabulary": len(target),
                "batch_tokens": recipe.train.batch_tokens,
                "versions": versions(),
                "processes": processes.size,
                "workers": side_by_side(recipe.train, learnt),
                **memory.on_device(device),
                "message": " ".join(filter(None, [*damaged, message, told, smaller])),
            },
        )
        meter = Meter(progress, device)
        job = Job(run, recipe, translator, learnt, optimizer, training, dev, progress, history, meter, stop, processes)
        found = loop(job)
    finally:
        history.close()
    processes.first(lambda: write_card(found))
    return found


def _write_down(run: Path, recipe: Recipe, begun: _Begun, progress: Progress, training: Training, keep: bool) -> None:
    """Writes into the run's directory what it goes on with, now that nothing of it is refused any more; `keep` says
    that what it has left so far is to be kept."""
    if keep:
        more(run, progress.update)
    if begun.saved:
        forget_later(run, progress)
        (run / "model" / "README.md").unlink(missing_ok=True)  # it tells of an end that is one no more
        checkpoint.save_progress(run, progress)
    # A view that was chosen for a run since (`ojak align --choose`) stays, unless another is to learn.
    if not begun.saved or any(name.startswith("alignment_") for name in begun.changed):
        head = Alignment(alignment_view(recipe), recipe.train.alignment_step) if training.aligned else None
        write_config(run / "model", recipe, *training.tokenizers, head)
    # Last: once it is written, the run does not know any more that something was changed.
    files.write(run / "recipe.toml", write_toml(recipe))


@dataclass(frozen=True)
class _Begun:
    """What a run begins with, or goes on from."""

    corpus: Prepared
    start: Start | None
    """what the weights begin with"""
    saved: bool
    """whether there is a checkpoint"""
    changed: Sequence[str] = ()
    """the `train` settings that are others than before"""


def _begun(
    settings: Mapping[str, Any], run: Path, tell: Callable[[str], None], resume: bool, processes: Processes
) -> _Begun:
    """Process 0 makes the corpus ready; the others wait, and open it."""
    if not processes.leads:
        said, saved, changed = processes.told(("", False, [""]))
        return _Begun(rejoin(read_recipe(tomllib.loads(said)), run / "data"), None, saved, changed)
    saved = bool(checkpoint.checkpoints(run)) if resume else False
    if resume and (asked := _resumed(run, settings)):
        recipe, changed = asked
        # What was learnt together stays together, whatever is installed now.
        start = Start.of(Path(recipe.train.start), recipe) if recipe.train.start and not saved else None
        learnt = read_tokenizers(run / "model", recipe.text) if saved else start.tokenizers if start else None
        begun = _Begun(reopen(recipe, run / "data", tell, learnt, grown=saved), start, saved, changed)
        check(recipe, begun.corpus.store.linked)
    else:
        begun = _Begun(*_new(settings, run, tell), saved)
    processes.told((write_toml(begun.corpus.recipe), saved, begun.changed))
    return begun


def _loaded(
    run: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, data: str, processes: Processes
) -> tuple[Progress, list[str]]:
    """Puts back the newest checkpoint that is whole; the others follow process 0, which sets damaged ones aside."""
    if not processes.leads:
        folder = run / "state" / f"{processes.told(0):08d}"
        return checkpoint.load(folder, model, optimizer, data), []
    progress, damaged = checkpoint.load_newest(run, model, optimizer, data)
    checkpoint.tidy(run)
    processes.told(progress.update)
    return progress, damaged


def _change(progress: Progress, changed: Sequence[str], config: TrainConfig) -> bool:
    """Makes a run ready to go on with other settings of training, of these names. Tells whether what it has left so far
    is to be kept, and compared at its end with what does best from now on."""
    if "learning_rate" in changed:  # what it was lowered to is not what is wanted now
        progress.slower = 1.0
    otherwise = "metric" in changed or ("dev_sentences" in changed and config.metric != "loss")
    if otherwise:  # the best so far was measured in another way
        progress.best, progress.worse = None, 0
    ended, progress.ended = bool(progress.ended), ""  # of a run that had come to its end the user perhaps wants more
    if progress.worse >= config.patience:
        progress.worse = 0
    return otherwise or ended


def _new(settings: Mapping[str, Any], run: Path, tell: Callable[[str], None]) -> tuple[Prepared, Start | None]:
    """The corpus of a new run, and what its weights start from."""
    # What a killed process left half written is nobody's.
    if run.exists() and (not run.is_dir() or not all(files.HALF.fullmatch(path.name) for path in run.iterdir())):
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
        check(corpus.recipe, corpus.store.linked)
        texts = corpus.source, corpus.target, corpus.recipe
        Training(corpus.store, *texts), Dev(corpus.dev, *texts)  # a fault in these pairs is told now
    return corpus, start


def _together(accumulate: int, size: int, before: int) -> str:
    """How many batches an update takes, where it is more than one, or was another number before."""
    now = size * accumulate
    if now == before == 1:
        return ""
    each = f"An update takes {now} batches: {accumulate} for each of {size} processes"
    return f"{each}." if now == before else f"{each}; until now it took {before}."


def versions() -> str:
    """What the numbers of a run depend on beside its recipe."""
    names = ("ojak", "torch", "sentencepiece", "sacrebleu", "numpy")
    found = [f"{name} {importlib.metadata.version(name)}" for name in names]
    return " ".join([f"python {sys.version.split()[0]}", *found])


def _end(run: Path) -> dict[str, Any] | None:
    """The last event of a finished run; None if it was cut off before it was written, or its history is gone."""
    last = (read_history(run) if (run / "history.jsonl").is_file() else [{}])[-1]
    return last if last.get("event") == "end" else None


def _resumed(run: Path, settings: Mapping[str, Any]) -> tuple[Recipe, list[str]] | None:
    """The recipe of a begun run with the settings over it, and which of `train` they change; None where nothing is
    begun and the settings tell what to begin, so that one command both begins a run and goes on with it."""
    if not (run / "recipe.toml").is_file():
        if read_recipe(settings).data.pairs:
            return None
        raise ModelError(f"A run to resume must hold recipe.toml, but {run} does not; start it without --resume.")
    before = read_recipe(read_toml(run / "recipe.toml"))
    recipe = read_recipe(read_toml(run / "recipe.toml"), settings)
    differs = {name for name in Recipe.model_fields if getattr(recipe, name) != getattr(before, name)}
    others = differs - {"train"}
    if others:
        raise UseError(
            "A run is resumed with its own recipe, of which only train.* may be changed, but "
            f"{', '.join(sorted(others))} would be another; leave it out, or start another run."
        )
    for name, what in (("freeze", "What is frozen"), ("start", "What a run starts from")):
        if getattr(recipe.train, name) != getattr(before.train, name):
            raise UseError(
                f"{what} is settled when a run begins, but train.{name} was given another value; leave it out, or "
                "start another run from this one (--from)."
            )
    # What the machine has settled otherwise than it was asked for is no other wish.
    named = [name for name in settings.get("train", {}) if name not in ("precision", "batch_tokens")]
    return recipe, [name for name in named if getattr(recipe.train, name) != getattr(before.train, name)]


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
