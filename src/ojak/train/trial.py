"""Before the first step: whether the heaviest batches fit into memory, and a smaller budget of tokens where they do
not.

A GPU, and a limit on the address space, refuse memory with an error. Linux does not: it ends the process later. So on
a CPU an eighth, a quarter and a half of a batch are tried before it, and the peak of each is foretold from those of
the two before and compared with what is left. (For a Transformer of width 256 the peak of the whole was foretold to
2 %; but when it was learnt from again it took up to 14 % more, as memory falls to pieces.) Addresses are foretold in
the same way rather than tried: what was once refused them has lost many, which the heap keeps, and is refused smaller
batches too.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import torch

from ojak.batch import Batch
from ojak.config import Recipe
from ojak.errors import OjakError
from ojak.model.seam import Seq2Seq
from ojak.search.forced import score
from ojak.train import memory
from ojak.train.dataset import Dev, Training
from ojak.train.objective import Objective
from ojak.train.parallel import neighbours
from ojak.train.precision import Working
from ojak.train.update import update

SPARE = 0.85
"""share of what is left that the trial may take"""
REFUSED = (
    *("can't allocate memory", "cannot allocate memory", "out of memory", "bad_alloc"),
    *("could not create a memory", "could not create a primitive", "could not execute a primitive"),
)
"""what torch and oneDNN say when the system refuses memory; the last of them may have other reasons too"""

MORE = "the system would end the process for it"

Data = tuple[Training, Dev]


class _TooLarge(Exception):
    """The batches do not fit, as `why` says. `share` of them might."""

    def __init__(self, share: float, why: str) -> None:
        super().__init__(why)
        self.share = share


class _Idle(torch.optim.SGD):
    """An optimizer that takes no step."""

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """Nothing."""


def fit(
    recipe: Recipe, data: Callable[[Recipe], Data], model: Seq2Seq, optimizer: torch.optim.Optimizer, processes: int = 1
) -> tuple[Recipe, str]:
    """The recipe with a `train.batch_tokens` that fits into the memory of one of so many `processes`, and what to tell
    if it was made smaller. Weights, optimizer, gradients and random numbers are as before.

    Raises OjakError when not even the longest pair fits alone.
    """
    asked = recipe.train.batch_tokens
    while True:
        training, dev = data(recipe)
        passes = (training.epoch(number).heaviest(model.device) for number in itertools.count())
        learn, look = next(filter(None, passes)), dev.heaviest(model.device)
        try:
            with _nothing_changed(model):
                _try(recipe, Objective.of_run(recipe, training.aligned), model, optimizer, processes, learn, look)
        except _TooLarge as found:
            budget = recipe.train.batch_tokens
            longest = max(max(batch.source.shape[1], batch.target_in.shape[1]) for batch in (*learn, *look))
            if budget <= longest:
                raise OjakError(
                    f"A pair of {longest} tokens must fit into memory with the model and its optimizer, but does not: "
                    f"{found}. Make model.width or the layers smaller, lower model.max_length, or free memory."
                ) from None
            recipe = with_budget(recipe, max(longest, min(budget - 1, int(budget * found.share))))
        else:
            budget = recipe.train.batch_tokens
            told = (
                f"The heaviest batches did not fit into memory, so train.batch_tokens is {budget} instead of {asked}."
                if budget != asked
                else ""
            )
            return recipe, told


def with_budget(recipe: Recipe, budget: int) -> Recipe:
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"batch_tokens": budget})})


def _try(
    recipe: Recipe,
    objective: Objective,
    model: Seq2Seq,
    optimizer: torch.optim.Optimizer,
    processes: int,
    learn: Sequence[Batch],
    look: Sequence[Batch],
) -> None:
    """Learns from the batches and looks at others as training does, without a step. Raises _TooLarge."""
    pending, looking = _pending(recipe, optimizer, processes)
    with _refusals(0.5):
        held = [torch.empty(size, dtype=torch.uint8, device=model.device) for size in pending]
        # Addresses that the trial leaves free are taken while it lasts; untouched, they cost nothing.
        held.append(torch.empty(int((1 - SPARE) * memory.address_space()), dtype=torch.uint8))
        with closing(Working(model, recipe.train)) as working:
            idle = _Idle(model.parameters(), lr=0.0)
            model.train()
            limits = _limits(model.device, sum(pending))
            for batch in learn:
                _watched(batch, limits, lambda part: update(working, [part], idle, 0.0, recipe.train, objective))
        idle.zero_grad()
        model.eval()
        held += [torch.empty(size, dtype=torch.uint8, device=model.device) for size in looking]
        limits = _limits(model.device, sum(pending) + sum(looking))
        for batch in look:
            _watched(batch, limits, lambda part: _score(model, part))
        del held


def _pending(recipe: Recipe, optimizer: torch.optim.Optimizer, processes: int) -> tuple[list[int], list[int]]:
    """Bytes that will be taken beside what the trial itself takes: while a run learns, and in a validation beside them.

    Of every weight that learns the optimizer gathers two numbers, when it takes its first step, and its moving average;
    a validation puts the average in the place of the weights, and keeps these. Of several processes each has a room for
    the sums of the gradients, all the time.
    """
    sizes = [weight.nbytes for group in optimizer.param_groups for weight in group["params"]]
    gathered = [] if optimizer.state else sizes * (3 if recipe.train.ema else 2)
    return gathered + (sizes if processes > 1 else []), sizes if recipe.train.ema else []


@torch.inference_mode()
def _score(model: Seq2Seq, batch: Batch) -> None:
    score(model, model(batch.source, batch.target_in).states, batch.target_out)


@contextmanager
def _refusals(share: float) -> Iterator[None]:
    """Raises _TooLarge, of which this share might fit, when memory is refused in the block."""
    try:
        yield
    except (MemoryError, RuntimeError) as error:
        if why := refusal(error):
            raise _TooLarge(share, why) from None
        raise


def refusal(error: BaseException) -> str:
    """What an error says of memory that was refused; empty if it is about something else."""
    said = str(error).split("\n")[0]
    if isinstance(error, MemoryError):
        return said or "memory was refused"
    return said if isinstance(error, RuntimeError) and any(words in str(error).lower() for words in REFUSED) else ""


Limit = tuple[Callable[[], int], int]
"""what tells how much was taken at most, and how much may be taken"""


def _watched(batch: Batch, limits: Sequence[Limit], work: Callable[[Batch], object]) -> None:
    """Works on the batch, after parts of it have shown that it will fit. Raises _TooLarge."""
    seen: list[list[int]] = []  # pairs, and the most bytes by each of the limits
    for count in (8, 4, 2, 1) if limits else (1,):
        part = batch.parts(count)[0]
        pairs = len(part.source)
        for kind, (_, most) in enumerate(limits, 1):
            if len(seen) > 1:
                (few, small), (more, large) = ((one[0], one[kind]) for one in seen[-2:])
                each = (large - small) / max(1, more - few)
                if large + each * (pairs - more) > most:
                    fits = (more + (most - large) / each) / len(batch.source)
                    raise _TooLarge(min(0.9, max(0.1, fits)), MORE)
        memory.forget_peak()
        with _refusals(0.5 / count):
            work(part)
        seen.append([pairs, *(taken() for taken, _ in limits)])
        if any(taken > most for taken, (_, most) in zip(seen[-1][1:], limits, strict=True)):
            raise _TooLarge(0.5 / count, MORE)


def _limits(device: torch.device, pending: int) -> list[Limit]:
    """Of a CPU: how much memory nobody refuses and the system has, and how many addresses, which are refused."""
    found: list[Limit] = []
    if device.type == "cpu":
        if (left := memory.available()) is not None:
            found.append((memory.peak, memory.resident() + int(SPARE * (left // neighbours())) - pending))
        if (most := memory.most_addresses()) is not None:
            found.append((memory.peak_addresses, most))
    return found


@contextmanager
def _nothing_changed(model: Seq2Seq) -> Iterator[None]:
    """Puts random numbers, gradients and the model's mode back after the block."""
    training, random = model.training, torch.get_rng_state()
    cuda = torch.cuda.get_rng_state(model.device) if model.device.type == "cuda" else None
    try:
        yield
    finally:
        model.train(training)
        model.zero_grad()
        torch.set_rng_state(random)
        if cuda is not None:
            torch.cuda.set_rng_state(cuda, model.device)
            torch.cuda.empty_cache()
            torch.cuda.reset_peak_memory_stats(model.device)
