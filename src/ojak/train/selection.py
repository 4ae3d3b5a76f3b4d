"""Validation while a run goes on, and which weights it leaves: the best ones, or the average of the last."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch

from ojak.model.folder import put_weights, read_weights, weights_of, write_weights
from ojak.train import checkpoint
from ojak.train.checkpoint import Progress
from ojak.train.job import Job
from ojak.train.validate import Validation, validate


def judge(job: Job) -> None:
    """Validates; keeps the weights if they are the best so far, and for the average; stops when patience is over."""
    config, progress = job.recipe.train, job.progress
    model = job.whole()
    found = _validated(job)
    value = found.better(config.metric)
    best = progress.best is None or value > progress.best
    weights = weights_of(model)
    if best:
        progress.best, progress.best_update, progress.worse = value, progress.update, 0
        job.processes.first(lambda: write_weights(job.run / "model" / "weights.safetensors", weights))
    else:
        progress.worse += 1
        if config.patience and progress.worse >= config.patience and not progress.ended:
            progress.ended = f"no better {config.metric} in {progress.worse} validations"
    if config.average > 1:
        job.processes.first(lambda: _keep(job, weights))
    job.history.write("validation", progress.update, {**found.as_dict(), "best": int(best)})


def _keep(job: Job, weights: dict[str, torch.Tensor]) -> None:
    """Writes the weights that may enter the average, and removes those too old for it."""
    write_weights(_averaged(job.run) / f"{job.progress.update:08d}.safetensors", weights)
    for old in _averageable(job.run, job.progress)[: -job.recipe.train.average]:
        old.unlink()


def finish(job: Job) -> Validation:
    """Leaves in the model directory the best weights or the average of the last ones, whichever does better."""
    model, progress, path = job.translator.model, job.progress, job.run / "model" / "weights.safetensors"
    _put(job, path)
    best, which = _validated(job), f"the best weights, of update {progress.best_update}"
    last = _averageable(job.run, progress)
    if job.processes.told(len(last) > 1):
        mean = job.processes.first(lambda: _mean(last)) or {}
        _put(job, path, mean)
        averaged = _validated(job)
        if averaged.better(job.recipe.train.metric) > best.better(job.recipe.train.metric):
            best, which = averaged, f"the average of the last {len(last)} validated weights"
            job.processes.first(lambda: write_weights(path, mean))
        else:
            _put(job, path)
    # For whoever asks for more of this run, or resumes it from an earlier checkpoint.
    progress.best = best.better(job.recipe.train.metric)
    job.processes.first(lambda: checkpoint.save_progress(job.run, progress))
    model.eval()
    spent = {"seconds": progress.seconds, "tokens": progress.tokens}
    job.history.write("end", progress.update, {"reason": progress.ended, "weights": which, **spent, **best.as_dict()})
    return best


def _validated(job: Job) -> Validation:
    model = job.translator.model
    home = model.device
    model.to(job.learnt.device)  # of a model in pieces the whole lies elsewhere
    found = validate(job.translator, job.dev, job.recipe, job.processes)
    model.to(home)
    return found


def _put(job: Job, path: Path, weights: dict[str, torch.Tensor] | None = None) -> None:
    """Puts weights, or those of the file, into the model of every process."""
    model = job.translator.model
    job.processes.first(lambda: put_weights(model, weights or read_weights(path), path))
    job.processes.spread(model)


def _mean(kept: Sequence[Path]) -> dict[str, torch.Tensor]:
    parts = [read_weights(file) for file in kept]
    return {name: torch.stack([part[name] for part in parts]).mean(0) for name in parts[0]}


def _averaged(run: Path) -> Path:
    return run / "state" / "average"


def _averageable(run: Path, progress: Progress) -> list[Path]:
    """The weights kept for the average, oldest first; of validations that a resumed run has not come to yet, none."""
    kept = sorted(_averaged(run).glob("*.safetensors"))
    return [file for file in kept if int(file.stem) <= progress.update]
