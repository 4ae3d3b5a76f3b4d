"""The loop around the update: batches, validations, checkpoints, and when to stop."""

from __future__ import annotations

import math
from contextlib import closing

from ojak.errors import OjakError
from ojak.train import checkpoint
from ojak.train.job import Job
from ojak.train.meter import Meter
from ojak.train.precision import Working
from ojak.train.schedule import learning_rate
from ojak.train.selection import finish, judge
from ojak.train.stop import Interrupted, stop_on_signals
from ojak.train.update import update
from ojak.train.validate import Validation


def loop(job: Job) -> Validation:
    """Trains from `job.progress` to the end and leaves the best weights in the run's model directory.

    Raises Interrupted after saving when a signal asks for it, and OjakError when the loss is not finite.
    """
    config, progress, size = job.recipe.train, job.progress, job.progress.group
    job.learnt.train()
    meter = Meter(progress)
    progress.ended = progress.ended or _limit(job)
    with (
        stop_on_signals(job.processes.size > 1) as asked,
        closing(Working(job.learnt, config, job.processes)) as working,
    ):
        while not progress.ended:
            epoch = job.train.epoch(progress.epoch)
            if progress.batch >= len(epoch):  # resumed with larger batches, of which the pass has fewer
                progress.epoch, progress.batch = progress.epoch + 1, 0
                progress.ended = _limit(job)
                continue
            updates = math.ceil(len(epoch) / size)
            last = min(config.updates, config.epochs * updates if config.epochs else config.updates)
            for group in epoch.groups(progress.batch, config.accumulate, job.learnt.device, job.processes.share):
                # 1. Learn from a group of batches.
                progress.update += 1
                rate = learning_rate(progress.update, last, config)
                seen = update(working, group.batches, job.optimizer, rate, config)
                if not math.isfinite(seen.loss) or not math.isfinite(seen.gradient):
                    raise OjakError(
                        f"The loss must be finite, but at update {progress.update} it is {seen.loss} with a gradient "
                        f"of {seen.gradient}; resume from the last checkpoint with a lower train.learning_rate."
                    )
                this_pass = progress.epoch
                progress.learnt(seen.tokens, group.count, len(epoch))
                progress.ended = _limit(job)
                meter.tick()
                if progress.update % config.log_every == 0 or progress.update == 1 or progress.ended:
                    told = {"epoch": this_pass, "loss": seen.loss, "nll": seen.nll, "gradient": seen.gradient}
                    job.history.write("update", progress.update, {**told, "rate": rate, **meter.look(last)})

                # 2. See how well it does on pairs it does not learn from.
                every = config.validate_every
                if (progress.update % every == 0 if every else progress.batch == 0) or progress.ended:
                    judge(job)
                    meter.restart()

                # 3. Save, and stop if it is time to.
                stop = job.processes.any(bool(asked))
                if progress.update % config.save_every == 0 or progress.ended or stop:
                    meter.tick()
                    folder = checkpoint.save(job.run, job.whole(), job.optimizer, progress, job.processes)
                    job.history.write("checkpoint", progress.update, {"message": folder.name})
                if stop and not progress.ended:
                    raise Interrupted(
                        f"saved at update {progress.update}; go on with: ojak train --out {job.run} --resume"
                        if job.processes.leads
                        else ""
                    )
                if progress.ended:
                    break
    return finish(job)


def _limit(job: Job) -> str:
    """Why the run has learnt all it was to learn; empty while it has not."""
    config, progress = job.recipe.train, job.progress
    if config.epochs and progress.epoch >= config.epochs:
        return f"{config.epochs} passes over the pairs"
    return f"{config.updates} updates" if progress.update >= config.updates else ""
