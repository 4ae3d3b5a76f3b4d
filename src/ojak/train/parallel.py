"""Several processes that train one model together, each on its share of every update's batches.

torchrun starts them and tells each its number in the environment. They add up gradients with torch (gloo on a CPU, NCCL
on GPUs); what else they have to say goes along the `lifeline`.
"""

from __future__ import annotations

import gc
import itertools
import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from datetime import timedelta
from functools import cache
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ojak.errors import UseError
from ojak.train.lifeline import Lifeline

Found = TypeVar("Found")

ANSWER = 50
"""seconds: in the middle of an update, who does not answer for so long is taken for dead"""
BUCKET = 2**21
"""numbers that are summed over the processes at a time: 8 MiB of fp32"""
_RUNS = itertools.count()


class Processes:
    """This process among those that train together. Without others every question is answered at once."""

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        self.rank, self.size, self._store = rank, size, store
        self._line = Lifeline(rank, size, store) if store else None
        self._group: dist.ProcessGroup | None = None
        self.sums: dist.ProcessGroup | None = None
        """the group in which gradients are summed, once `link` has made it"""

    @property
    def leads(self) -> bool:
        """Whether this is process 0, which alone writes and shows."""
        return self.rank == 0

    @property
    def share(self) -> tuple[int, int]:
        """Which process this is, and of how many."""
        return self.rank, self.size

    @property
    def mine(self) -> slice:
        """This process's share of what all have in the same order."""
        return slice(self.rank, None, self.size)

    def link(self, device: torch.device, answer: int = ANSWER) -> None:
        """Makes ready to sum tensors on the device, with others that answer within so many seconds."""
        if self._line and self._store:
            limit, store = timedelta(seconds=answer), PrefixStore(self._line.word, self._store)
            with self._heard():
                dist.init_process_group("gloo", store=store, rank=self.rank, world_size=self.size, timeout=limit)
                self._group = self.sums = dist.group.WORLD
                if device.type != "cpu":
                    self.sums = dist.new_group(backend="nccl", timeout=limit)

    def told(self, value: Found) -> Found:
        """The value of process 0, which JSON must be able to hold, in every process; they wait for each other."""
        if self._line is None:
            return value
        found: Found = self._line.gathered(value if self.leads else None)[0]
        return found

    def gathered(self, value: Found) -> list[Found]:
        """The values of all processes, which JSON must be able to hold, in every process."""
        return self._line.gathered(value) if self._line else [value]

    def first(self, work: Callable[[], Found]) -> Found | None:
        """Process 0 works alone; the others wait until it is done, and get None."""
        found = work() if self.leads else None
        self.gathered(None)
        return found

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        found = torch.tensor([int(flag)])
        if self.size > 1:
            with self._heard():
                dist.all_reduce(found, dist.ReduceOp.MAX, group=self._group)
        return bool(found)

    def spread(self, model: nn.Module) -> None:
        """Gives the weights of process 0 to all."""
        self.gathered(None)
        if self.size > 1:
            with self._heard():
                for weight in model.parameters():
                    dist.broadcast(weight.data, 0, group=self._group if weight.device.type == "cpu" else self.sums)

    def sum(self, values: Tensor) -> Tensor:
        """The values, added up over all processes in place."""
        if self.size > 1:
            with self._heard():
                dist.all_reduce(values, group=self.sums)
        return values

    def sum_gradients(self, room: Room) -> None:
        """Adds up over all processes the gradients that a room was made for."""
        with self._heard():
            begun = []
            for long, parts in room.buckets:  # one is on its way while the next is filled
                for weight, part in parts:
                    if weight.grad is None:
                        part.zero_()
                    elif weight.grad is not part:
                        part.copy_(weight.grad)
                    weight.grad = part
                begun.append(dist.all_reduce(long, group=self.sums, async_op=True))
            for work in begun:
                work.wait()

    def side_by_side(self, piece: Tensor) -> Tensor:
        """The pieces of all processes, which are of one shape, one behind the other."""
        found = piece.new_empty(self.size, *piece.shape)
        with self._heard():
            dist.all_gather(list(found), piece, group=self.sums)
        return found.flatten(0, 1)

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Tells which process is gone when the others are not heard in the block."""
        try:
            yield
        except RuntimeError as error:
            assert self._line
            raise self._line.lost(str(error).split("\n")[0]) from error

    @contextmanager
    def together(self) -> Iterator[None]:
        """Ends the block together with all, or leaves word why not. Where it broke in a sum that torch made by itself,
        as it does for a model in pieces, it tells which process is gone."""
        if self._line is None:
            yield
            return
        try:
            with self._line.heard():
                try:
                    yield
                    self._unlink()
                    self._line.leave()
                except RuntimeError as error:
                    if not _of_the_others(error):
                        raise
                    with self._heard():
                        raise
        except BaseException as error:
            self._line.last_words(error)
            self._drop()
            raise

    def _unlink(self) -> None:
        """Ends the group of torch, in one process after another, and at once, not when the garbage of a model in pieces
        is collected some time later."""
        self._group = self.sums = None
        gc.collect()
        for turn in range(self.size):
            if turn == self.rank and dist.is_initialized():
                dist.destroy_process_group()
            self.gathered(None)

    def _drop(self) -> None:
        """Ends the group of torch without the others: left to the end of the program, its threads can abort that."""
        self._group = self.sums = None
        if dist.is_initialized():
            with suppress(RuntimeError):
                dist.destroy_process_group()


def _of_the_others(error: RuntimeError) -> bool:
    """Whether it is what torch's groups say when they do not hear from others: gloo has no error of its own."""
    return isinstance(error, dist.DistError) or "/gloo/" in str(error)


class Room:
    """Long tensors whose parts are the gradients of a model's weights, those last in the forward pass first."""

    def __init__(self, weights: Sequence[nn.Parameter]) -> None:
        self.buckets: list[tuple[Tensor, list[tuple[nn.Parameter, Tensor]]]] = []
        waiting: list[nn.Parameter] = []
        for weight in [*reversed(weights), None]:
            full = sum(one.numel() for one in waiting) >= BUCKET
            if waiting and (weight is None or full or weight.dtype != waiting[0].dtype):
                long = torch.zeros(
                    sum(one.numel() for one in waiting), dtype=waiting[0].dtype, device=waiting[0].device
                )
                parts = long.split([one.numel() for one in waiting])
                views = [part.view_as(one) for part, one in zip(parts, waiting, strict=True)]
                self.buckets.append((long, list(zip(waiting, views, strict=True))))
                waiting = []
            if weight is not None:
                waiting.append(weight)
        self.part = {weight: part for _, parts in self.buckets for weight, part in parts}


@contextmanager
def joined() -> Iterator[Processes]:
    """This process among those that torchrun started, for the block; alone if it started none.

    Raises UseError when the environment tells of others but not where they are.
    """
    if os.environ.get("WORLD_SIZE", "1") == "1":
        yield Processes()
        return
    try:
        base, rank, size = _rendezvous()
        processes = Processes(rank, size, PrefixStore(f"ojak{next(_RUNS)}", base))
    except (ValueError, KeyError, RuntimeError, OSError) as error:
        raise UseError(
            f"Several processes must find each other, but cannot: {error}. Start them all with torchrun."
        ) from None
    with processes.together():
        yield processes


@cache
def _rendezvous() -> tuple[Store, int, int]:
    store, rank, size = next(rendezvous("env://", timeout=timedelta(minutes=5)))
    return store, int(rank), int(size)


def local(device: torch.device) -> torch.device:
    """This process's own device of that kind."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        if neighbours() > (count := torch.cuda.device_count()):
            raise UseError(
                f"Each process of a machine must have a GPU of its own, but there are {neighbours()} processes and "
                f"{count} GPUs; start fewer (torchrun --nproc-per-node {count}), or add train.device=cpu."
            )
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    return device


def neighbours() -> int:
    """How many processes of the training share this machine, this one included."""
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def threads() -> int:
    """The processor threads of this process: the cores that it may use, shared by the processes of this machine."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, cores // neighbours())
