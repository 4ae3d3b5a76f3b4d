"""The loop around the update: batches, validations, checkpoints, and when to stop."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import FrameType

import torch

from ojak.config import Recipe
from ojak.errors import OjakError
from ojak.model.folder import put_weights, read_weights, weights_of, write_weights
from ojak.train import checkpoint, ema
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, Training
from ojak.train.history import History
from ojak.train.objective import Objective, alignment_view
from ojak.train.precision import Working
from ojak.train.schedule import learning_rate
from ojak.train.update import update
from ojak.train.validate import Validation, validate
from ojak.translate import Translator


class Interrupted(OjakError):
    """The user asked the run to stop; it was saved first."""

    exit_code = 130


def loop(
    run: Path,
    recipe: Recipe,
    translator: Translator,
    optimizer: torch.optim.Optimizer,
    train: Training,
    dev: Dev,
    progress: Progress,
    history: History,
) -> Validation:
    """Trains from `progress` to the end and leaves the best weights in the run's model directory.

    Raises Interrupted after saving when a signal asks for it, and OjakError when the loss is not finite.
    """
    config, model = recipe.train, translator.model
    model.train()
    objective = Objective(config, alignment_view(recipe) if train.aligned else "")
    begun, spent = time.monotonic(), progress.seconds
    window = _Window(progress)
    progress.ended = progress.ended or _limit(progress, recipe)
    with _stop_on_signals() as asked, closing(Working(model, config)) as working:
        while not progress.ended:
            epoch = train.epoch(progress.epoch)
            if progress.batch >= len(epoch):  # resumed with larger batches, of which the pass has fewer
                progress.epoch, progress.batch = progress.epoch + 1, 0
                progress.ended = _limit(progress, recipe)
                continue
            last = min(config.updates, config.epochs * len(epoch) if config.epochs else config.updates)
            for batch in epoch.batches(progress.batch, model.device):
                # 1. Learn from a batch.
                progress.update += 1
                rate = learning_rate(progress.update, last, config)
                seen = update(working, [batch], optimizer, rate, config, objective.at(progress.update))
                if not math.isfinite(seen.loss) or not math.isfinite(seen.gradient):
                    raise OjakError(
                        f"The loss must be finite, but at update {progress.update} it is {seen.loss} with a gradient "
                        f"of {seen.gradient}; resume from the last checkpoint with a lower train.learning_rate."
                    )
                progress.tokens += seen.tokens
                this_pass = progress.epoch
                progress.batch += 1
                if progress.batch == len(epoch):
                    progress.epoch, progress.batch = progress.epoch + 1, 0
                progress.ended = _limit(progress, recipe)
                progress.seconds = spent + time.monotonic() - begun
                if progress.update % config.log_every == 0 or progress.update == 1 or progress.ended:
                    speed, pace = window.measure(progress)
                    window = _Window(progress)
                    history.write(
                        "update",
                        progress.update,
                        {
                            "epoch": this_pass,
                            "loss": seen.loss,
                            "nll": seen.nll,
                            "gradient": seen.gradient,
                            "rate": rate,
                            "tokens_per_second": speed,
                            "seconds": progress.seconds,
                            "done": progress.update / last,
                            "remaining": pace * (last - progress.update),
                        },
                    )

                # 2. See how well it does on pairs it does not learn from.
                every = config.validate_every
                if (progress.update % every == 0 if every else progress.batch == 0) or progress.ended:
                    with ema.averaged(optimizer):
                        _judge(run, recipe, translator, dev, progress, history)
                    window = _Window(progress)

                # 3. Save, and stop if it is time to.
                if progress.update % config.save_every == 0 or progress.ended or asked:
                    progress.seconds = spent + time.monotonic() - begun
                    folder = checkpoint.save(run, model, optimizer, progress)
                    history.write("checkpoint", progress.update, {"message": folder.name})
                if asked and not progress.ended:
                    raise Interrupted(f"saved at update {progress.update}; go on with: ojak train --out {run} --resume")
                if progress.ended:
                    break
    return _finish(run, recipe, translator, dev, progress, history)


def _limit(progress: Progress, recipe: Recipe) -> str:
    """Why the run has learnt all it was to learn; empty while it has not."""
    config = recipe.train
    if config.epochs and progress.epoch >= config.epochs:
        return f"{config.epochs} passes over the pairs"
    return f"{config.updates} updates" if progress.update >= config.updates else ""


def _judge(run: Path, recipe: Recipe, translator: Translator, dev: Dev, progress: Progress, history: History) -> None:
    """Validates; keeps the weights if they are the best so far, and for the average; stops when patience is over."""
    config = recipe.train
    found = validate(translator, dev, recipe)
    value = found.better(config.metric)
    best = progress.best is None or value > progress.best
    weights = weights_of(translator.model)
    if best:
        progress.best, progress.best_update, progress.worse = value, progress.update, 0
        write_weights(run / "model" / "weights.safetensors", weights)
    else:
        progress.worse += 1
        if config.patience and progress.worse >= config.patience and not progress.ended:
            progress.ended = f"no better {config.metric} in {progress.worse} validations"
    if config.average > 1:
        write_weights(_averaged(run) / f"{progress.update:08d}.safetensors", weights)
        for old in _averageable(run, progress)[: -config.average]:
            old.unlink()
    history.write("validation", progress.update, {**found.as_dict(), "best": int(best)})


def _finish(
    run: Path, recipe: Recipe, translator: Translator, dev: Dev, progress: Progress, history: History
) -> Validation:
    """Leaves in the model directory the best weights or the average of the last ones, whichever does better."""
    model, path = translator.model, run / "model" / "weights.safetensors"
    put_weights(model, read_weights(path), path)
    best, which = validate(translator, dev, recipe), f"the best weights, of update {progress.best_update}"
    last = _averageable(run, progress)
    if len(last) > 1:
        parts = [read_weights(file) for file in last]
        mean = {name: torch.stack([part[name] for part in parts]).mean(0) for name in parts[0]}
        put_weights(model, mean, path)
        averaged = validate(translator, dev, recipe)
        if averaged.better(recipe.train.metric) > best.better(recipe.train.metric):
            best, which = averaged, f"the average of the last {len(last)} validated weights"
            write_weights(path, mean)
        else:
            put_weights(model, read_weights(path), path)
    # For whoever asks for more of this run, or resumes it from an earlier checkpoint.
    progress.best = best.better(recipe.train.metric)
    checkpoint.save_progress(run, progress)
    model.eval()
    spent = {"seconds": progress.seconds, "tokens": progress.tokens}
    history.write("end", progress.update, {"reason": progress.ended, "weights": which, **spent, **best.as_dict()})
    return best


def _averaged(run: Path) -> Path:
    return run / "state" / "average"


def _averageable(run: Path, progress: Progress) -> list[Path]:
    """The weights kept for the average, oldest first; of validations that a resumed run has not come to yet, none."""
    kept = sorted(_averaged(run).glob("*.safetensors"))
    return [file for file in kept if int(file.stem) <= progress.update]


class _Window:
    """Speed since the last look, so that time spent on validation does not count."""

    def __init__(self, progress: Progress) -> None:
        self._time, self._tokens, self._update = time.monotonic(), progress.tokens, progress.update

    def measure(self, progress: Progress) -> tuple[float, float]:
        """Real target tokens a second, and seconds an update."""
        seconds = max(time.monotonic() - self._time, 1e-9)
        speed = (progress.tokens - self._tokens) / seconds
        pace = seconds / max(1, progress.update - self._update)
        return speed, pace


@contextmanager
def _stop_on_signals() -> Iterator[list[int]]:
    """A list that is no longer empty once SIGINT or SIGTERM has come; the second one stops at once."""
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals do not come
        yield asked
        return
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
