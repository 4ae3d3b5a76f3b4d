"""Steps whose loss or gradient is not a finite number: skipped, named, and after several in a row back to earlier
weights with a lower rate."""

from __future__ import annotations

from collections.abc import Sequence

from ojak.batch import Batch
from ojak.errors import OjakError
from ojak.text.vocabulary import BOS, EOS, PAD
from ojak.train import checkpoint
from ojak.train.dataset import Group
from ojak.train.job import Job
from ojak.train.sharding import scatter
from ojak.train.update import Updated

IN_A_ROW = 5
"""skipped steps before the run goes back"""
SLOWER = 0.5
"""what the rate is multiplied with each time"""
STUCK = 8
"""times that a run goes back, with fewer finite steps in between than from checkpoint to checkpoint, before it gives
up"""
NAMED = 3
"""sentences of a skipped batch that are told"""


def check(job: Job, group: Group, seen: Updated) -> None:
    """Counts and names a step that was not taken as it was not finite; goes back where it is one of several.

    Nothing here depends on more than the weights, the progress and the checkpoints, so that a run that is resumed does
    the same again. Raises OjakError when going back has not helped.
    """
    progress = job.progress
    if seen.finite:
        progress.in_a_row = 0
        progress.steady += 1
        if progress.steady >= job.recipe.train.save_every:
            progress.stuck = 0
        return
    progress.skipped += 1
    progress.in_a_row += 1
    mine = [batch for batch in group.batches if batch.tokens]
    parts = job.processes.gathered((sum(len(batch.source) for batch in mine), _texts(job, mine)))
    pairs, texts = sum(part[0] for part in parts), ", ".join([text for part in parts for text in part[1]][:NAMED])
    first, last = progress.batch + 1, progress.batch + group.count
    numbers = f"batch {first}" if first == last else f"batches {first} to {last}"
    job.history.write(
        "skipped",
        progress.update,
        {
            "epoch": progress.epoch,
            "batch": progress.batch,
            "pairs": pairs,
            "message": f"the loss is {seen.loss:g} and the gradient {seen.gradient:g}, so nothing was learnt from "
            f"{numbers} of pass {progress.epoch + 1}, {pairs} pairs such as {texts}; "
            f"{progress.skipped} skipped so far",
        },
    )
    if progress.in_a_row >= IN_A_ROW:
        _go_back(job)


def _go_back(job: Job) -> None:
    progress = job.progress
    if progress.stuck >= STUCK:
        raise OjakError(
            f"The loss must be finite, but at update {progress.update} it is not, though the run went back to earlier "
            f"weights with a lower rate {STUCK} times. Look at the pairs that {job.run / 'history.jsonl'} names; then "
            "try a lower train.learning_rate, train.clip=1 or train.precision=fp32."
        )
    good, damaged = checkpoint.last_good(job.run, progress.stuck) if job.processes.leads else (None, [])
    name = job.processes.told(good.name if good else "")
    if name:
        checkpoint.put_back(job.run / "state" / name, job.translator.model, job.optimizer)
        scatter(job.translator.model, job.learnt)  # without one the whole model is only what was validated last
    progress.in_a_row = 0
    progress.setbacks += 1
    progress.steady = 0
    progress.stuck += 1
    progress.slower *= SLOWER
    weights = f"the weights of update {int(name)}" if name else "the weights as they are"
    job.history.write(
        "setback",
        progress.update,
        {
            "slower": progress.slower,
            "message": f"{IN_A_ROW} steps in a row were not finite; going on with {weights}, and from now on with "
            f"{progress.slower:g} times the rate of the schedule{''.join(f'. {told}' for told in damaged)}",
        },
    )


def _texts(job: Job, batches: Sequence[Batch]) -> list[str]:
    rows = [row for batch in batches[:NAMED] for row in batch.source[:NAMED].tolist()][:NAMED]
    told = [job.translator.source.decode([token for token in row if token not in (PAD, BOS, EOS)]) for row in rows]
    return [f"“{text[:60]}”" for text in told]
