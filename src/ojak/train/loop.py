"""The loop around the update: batches, validations, checkpoints, and when to stop."""

from __future__ import annotations

import math
from contextlib import closing

from ojak.errors import OjakError
from ojak.train import checkpoint
from ojak.train.checkpoint import Progress
from ojak.train.job import Job
from ojak.train.objective import Objective
from ojak.train.precision import Working
from ojak.train.schedule import learning_rate
from ojak.train.selection import finish, judge
from ojak.train.setback import check
from ojak.train.stop import Interrupted, Stopped
from ojak.train.trial import refusal
from ojak.train.update import Updated, update
from ojak.train.validate import Validation


def loop(job: Job) -> Validation:
    """Trains from `job.progress` to the end and leaves the best weights in the run's model directory.

    Raises Interrupted after saving when a signal asks for it, and OjakError when the loss stays not finite or memory is
    refused.
    """
    with job.stop.later():
        try:
            _learn(job)
            return finish(job)
        except (MemoryError, RuntimeError) as error:
            if why := refusal(error):
                raise OjakError(
                    f"Memory was refused after update {job.progress.update} ({why}). What was saved is whole: free "
                    f"memory, or go on with smaller batches: ojak train --out {job.run} --resume "
                    f"train.batch_tokens={max(1, job.recipe.train.batch_tokens // 2)}"
                ) from error
            raise
        except Stopped:
            if job.stop.twice or not job.progress.unjudged:  # what was saved before must do
                raise
            _save(job)
            raise _interrupted(job) from None


def _learn(job: Job) -> None:
    config, progress = job.recipe.train, job.progress
    job.learnt.train()
    if job.processes.told(not checkpoint.checkpoints(job.run)):  # something to go back to from the first step on
        _save(job)
    if progress.unjudged:  # it was stopped while it validated
        judge(job)
        if progress.ended:
            _save(job)
    if not progress.ended:
        _end_if_due(job)
    objective = Objective.of_run(job.recipe, job.train.aligned)
    with closing(Working(job.learnt, config, job.processes)) as working:
        while not progress.ended:
            epoch = job.train.epoch(progress.epoch)
            if progress.batch >= len(epoch):  # resumed with larger batches, of which the pass has fewer
                progress.epoch, progress.batch = progress.epoch + 1, 0
                _end_if_due(job)
                continue
            for group in epoch.groups(progress.batch, config.accumulate, job.learnt.device, job.processes.share):
                # 1. Learn from a group of batches.
                ahead, last = _ahead(job, len(epoch))
                progress.update += 1
                rate = learning_rate(progress.update, ahead - 1, last, config) * progress.slower
                seen = update(working, group.batches, job.optimizer, rate, config, objective.at(progress.update))
                check(job, group, seen)
                this_pass = progress.epoch
                progress.count(seen.tokens if seen.finite else 0, group.count, len(epoch))
                progress.ended = _limit(job)
                _tell(job, seen, rate, this_pass, len(epoch))

                # 2. See how well it does on pairs it does not learn from.
                every = config.validate_every
                if (progress.update % every == 0 if every else progress.batch == 0) or progress.ended:
                    judge(job)

                # 3. Save, and stop if it is time to.
                stop = job.stopping()
                if progress.update % config.save_every == 0 or progress.ended or stop:
                    _save(job)
                if stop and not progress.ended:
                    raise _interrupted(job)
                if progress.ended:
                    break


def _end_if_due(job: Job) -> None:
    """Ends a run that is at its limit before any update, and looks at what it has learnt since the last validation."""
    progress = job.progress
    progress.ended = _limit(job)
    if progress.ended:
        progress.unjudged = progress.best is None or progress.judged < progress.update
        _save(job)
        if progress.unjudged:
            judge(job)
            _save(job)


def _limit(job: Job) -> str:
    """Why the run has learnt all it was to learn; empty while it has not."""
    config, progress = job.recipe.train, job.progress
    if config.epochs and progress.epoch >= config.epochs:
        return f"{config.epochs} passes over the pairs"
    return f"{config.updates} updates" if progress.update >= config.updates else ""


def _ahead(job: Job, batches: int) -> tuple[int, int]:
    """The updates that are still to come, and how many the run would have in all if each had always taken as many
    batches as now. A pass has so many `batches`."""
    config, progress = job.recipe.train, job.progress
    found = config.updates - progress.update, config.updates
    if config.epochs:
        each = math.ceil(batches / progress.group)
        passes = (config.epochs - progress.epoch - 1) * each + _of_pass(progress, batches)
        found = min(found, (passes, config.epochs * each))
    return found


def _of_pass(progress: Progress, batches: int) -> int:
    """The updates that are still to come in a pass."""
    return math.ceil((batches - progress.batch) / progress.group)


def _tell(job: Job, seen: Updated, rate: float, this_pass: int, batches: int) -> None:
    """Writes the update into the history if it is its turn, or shows it where someone looks on. A pass has so many
    `batches`."""
    config, progress, meter = job.recipe.train, job.progress, job.meter
    meter.tick()
    written = progress.update % config.log_every == 0 or progress.update == 1 or bool(progress.ended)
    if not seen.finite or not (written or meter.lively()):
        return
    ahead, every = _ahead(job, batches)[0], config.validate_every
    validation = min(ahead, every - progress.update % every if every else _of_pass(progress, batches))
    between = every or math.ceil(batches / progress.group)
    left = {"validation": -(-ahead // between), "checkpoint": -(-ahead // config.save_every)}
    values = {"epoch": this_pass, "loss": seen.loss, "nll": seen.nll, "gradient": seen.gradient, "rate": rate}
    put = job.history.write if written else job.history.show
    put("update", progress.update, {**values, **meter.look(ahead, left, validation, end_window=written)})


def _save(job: Job) -> None:
    job.meter.tick()
    job.history.settle()
    with job.meter.apart("checkpoint"):
        folder = checkpoint.save(job.run, job.whole(), job.optimizer, job.progress, job.processes)
    took = job.meter.took("checkpoint")
    job.history.write("checkpoint", job.progress.update, {"message": folder.name, "took": took})


def _interrupted(job: Job) -> Interrupted:
    said = f"saved at update {job.progress.update}; go on with: ojak train --out {job.run} --resume"
    return Interrupted(said if job.processes.leads else "")
