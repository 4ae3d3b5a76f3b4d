"""Validation while a run goes on, and which weights it leaves: the best ones, or the average of the last.

state/best.safetensors             the best weights so far; the model directory has them too, until the end
state/average/NNNNNNNN.safetensors the weights of the last validations
state/left/NNNNNNNN.safetensors    what the run left, or would have, when it was asked for more or measured otherwise
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import torch

from ojak import files
from ojak.model.folder import put_weights, weights_of, write_weights
from ojak.train import ema
from ojak.train.average import mean
from ojak.train.checkpoint import Progress
from ojak.train.job import Job
from ojak.train.stop import Stopped
from ojak.train.validate import Validation, validate

LEFT = Path("state", "left")


def judge(job: Job) -> None:
    """Validates; keeps the weights if they are the best so far, and for the average; stops when patience is over.

    A signal stops the validation at once, which is then still due.
    """
    config, progress = job.recipe.train, job.progress
    progress.unjudged = True
    if job.stop.patient and job.stopping():  # where one alone must not leave the others behind
        raise Stopped
    with job.meter.apart("validation"), ema.averaged(job.optimizer):
        model = job.whole()
        with job.stop.now():
            found = _validated(job)
        value = found.better(config.metric)
        best = progress.best is None or value > progress.best
        job.processes.first(lambda: _keep(job, weights_of(model), best))
        if best:
            progress.best, progress.best_update, progress.worse = value, progress.update, 0
        else:
            progress.worse += 1
            if config.patience and progress.worse >= config.patience and not progress.ended:
                progress.ended = f"no better {config.metric} in {progress.worse} validations"
    progress.unjudged, progress.judged = False, progress.update
    took = {"took": job.meter.took("validation")}
    job.history.write("validation", progress.update, {**found.as_dict(), "best": int(best), **took})
    _notice_collapse(job, found)


def finish(job: Job) -> Validation:
    """Leaves in the model directory the best weights, the average of the last ones, or what the run had left before
    more was asked for: whichever does best."""
    model, progress = job.translator.model, job.progress
    metric, average = job.recipe.train.metric, job.recipe.train.average
    candidates = job.processes.told(_candidates(job.run, progress, average) if job.processes.leads else {})
    found = {}
    with job.stop.now():
        for which, parts in candidates.items():
            _put(job, parts)
            found[which] = _validated(job)
    chosen = max(found, key=lambda which: found[which].better(metric))
    _put(job, candidates[chosen])
    job.processes.first(lambda: _leave(job.run, candidates[chosen], weights_of(model)))
    model.eval()
    spent = {"seconds": progress.seconds, "tokens": progress.tokens}
    best = found[chosen]
    job.history.write("end", progress.update, {"reason": progress.ended, "weights": chosen, **spent, **best.as_dict()})
    return best


def more(run: Path, update: int) -> None:
    """Keeps what a run has left at this update, for what more it learns to do better than. What was kept there before
    stays: what came after it was dropped, and comes again."""
    kept = run / LEFT / f"{update:08d}.safetensors"
    if not _model(run).is_file() or kept.exists():
        return
    if not any(file.samefile(_model(run)) for file in _left(run)):  # else it was given back what it had left before
        files.link(_model(run), kept)


def forget_later(run: Path, progress: Progress) -> None:
    """Removes the weights of validations that a resumed run has not come to yet: with other settings it comes to other
    ones, and these would be averaged with them."""
    for file in _kept(run):
        if int(file.stem) > progress.update:
            file.unlink()


def _candidates(run: Path, progress: Progress, average: int) -> dict[str, list[str]]:
    """What may become the model: by what it is, the files whose mean it is. The first of equals wins."""
    found = {f"the best weights, of update {progress.best_update}": [_best(run)]}
    if average > 1 and len(last := _kept(run)[-average:]) > 1:
        found[f"the average of the last {len(last)} validated weights"] = last
    for file in _left(run):
        found[f"what it had left at update {int(file.stem)}, before more was asked for"] = [file]
    return {which: [*map(str, parts)] for which, parts in found.items()}


def _leave(run: Path, parts: Sequence[str], weights: dict[str, torch.Tensor]) -> None:
    """Makes weights, which are the mean of these files, the model."""
    if len(parts) == 1:
        files.link(Path(parts[0]), _model(run))
    else:
        write_weights(_model(run), weights)
    for file in _left(run):
        if [*parts] != [str(file)]:
            file.unlink()
    with suppress(OSError):  # the one that was chosen may be in it
        (run / LEFT).rmdir()


def _validated(job: Job) -> Validation:
    model = job.translator.model
    home = model.device
    model.to(job.learnt.device)  # of a model in pieces the whole lies elsewhere
    found = validate(job.translator, job.dev, job.recipe, job.processes)
    model.to(home)
    return found


def _keep(job: Job, weights: dict[str, torch.Tensor], best: bool) -> None:
    """Writes the weights that may enter the average, removes those too old for it, and keeps them if they are best."""
    average, kept = job.recipe.train.average, _averaged(job.run) / f"{job.progress.update:08d}.safetensors"
    if average > 1:
        write_weights(kept, weights)
        for old in _kept(job.run)[:-average]:
            old.unlink()
    if best:
        if average > 1:
            files.link(kept, _best(job.run))
        else:
            write_weights(_best(job.run), weights)
        files.link(_best(job.run), _model(job.run))


def _put(job: Job, parts: Sequence[str]) -> None:
    """Puts the average of the weights in these files into the model of every process."""
    model = job.translator.model
    job.processes.first(lambda: put_weights(model, mean([*map(Path, parts)]), Path(parts[0])))
    job.processes.spread(model)


def _notice_collapse(job: Job, found: Validation) -> None:
    """Tells when all outputs have become alike: at once if they were not before; the second time in a row at the
    beginning, where it is usual."""
    progress = job.progress
    if not found.alike:
        progress.alike, progress.differed = 0, True
        return
    progress.alike += 1
    if progress.alike == (1 if progress.differed else 2):
        job.history.write(
            "collapse",
            progress.update,
            {
                "message": f"all {found.asked} sentences are translated alike, as “{found.example[:60]}”: the decoder "
                "no longer listens to the source, only to what it said before. If this lasts, try a lower "
                "train.learning_rate, a longer train.warmup, or model.norm=pre for a Transformer; and see with "
                "`ojak corpus inspect` whether the two sides of the pairs belong together."
            },
        )


def _model(run: Path) -> Path:
    return run / "model" / "weights.safetensors"


def _best(run: Path) -> Path:
    return run / "state" / "best.safetensors"


def _left(run: Path) -> list[Path]:
    return sorted((run / LEFT).glob("*.safetensors"))


def _averaged(run: Path) -> Path:
    return run / "state" / "average"


def _kept(run: Path) -> list[Path]:
    """The weights kept for the average, oldest first."""
    return sorted(_averaged(run).glob("*.safetensors"))
