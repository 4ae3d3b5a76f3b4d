"""Several processes that train one model together, each on its share of every update's batches.

torchrun starts them and tells each its number in the environment. They pass each other sums of gradients (gloo on a
CPU, NCCL on GPUs), and small values as JSON, which process 0 decides. torch's own way for such values pickles them.
"""

from __future__ import annotations

import itertools
import json
import os
import platform
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import cache
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous

from ojak.errors import OjakError, UseError

Found = TypeVar("Found")

ANSWER = 50
"""seconds: in the middle of an update, who does not answer for so long is taken for dead"""
WORK = timedelta(days=2)
"""how long the others wait where process 0 works alone, as when it packs a corpus; its death is noticed at once"""
_RUNS = itertools.count()
LAST_WORDS = 5.0
"""seconds in which the others may tell why they ended, before one that is silent is named"""
BUCKET = 2**21
"""numbers that are summed over the processes at a time: 8 MiB of fp32"""


class Lost(OjakError):
    """Another process has ended, so this one cannot go on."""


class Processes:
    """This process among those that train together. Without others every question is answered at once."""

    def __init__(self, rank: int = 0, size: int = 1, store: Store | None = None) -> None:
        self.rank, self.size, self._store = rank, size, store
        self._patient: dist.ProcessGroup | None = None
        self._quick: dist.ProcessGroup | None = None
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
        if self.size > 1:
            limit = timedelta(seconds=answer)
            with self._heard():
                self._quick = dist.new_group(backend="gloo", timeout=limit)
                self.sums = self._quick if device.type == "cpu" else dist.new_group(backend="nccl", timeout=limit)

    def told(self, value: Found) -> Found:
        """The value of process 0, which JSON must be able to hold, in every process; the others wait for it."""
        if self.size == 1:
            return value
        with self._heard():
            content = _bytes(value)
            length = torch.tensor([len(content)])
            dist.broadcast(length, 0, group=self._patient)
            content = content if self.leads else torch.empty(int(length), dtype=torch.uint8)
            dist.broadcast(content, 0, group=self._patient)
        found: Found = json.loads(content.numpy().tobytes())
        return found

    def gathered(self, value: Found) -> list[Found]:
        """The values of all processes, which JSON must be able to hold, in every process."""
        if self.size == 1:
            return [value]
        with self._heard():
            content = _bytes(value)
            lengths = [torch.zeros(1, dtype=torch.int64) for _ in range(self.size)]
            dist.all_gather(lengths, torch.tensor([len(content)]), group=self._patient)
            most = int(max(lengths))
            room = [torch.zeros(most, dtype=torch.uint8) for _ in range(self.size)]
            dist.all_gather(room, nn.functional.pad(content, (0, most - len(content))), group=self._patient)
        return [json.loads(one[: int(length)].numpy().tobytes()) for one, length in zip(room, lengths, strict=True)]

    def first(self, work: Callable[[], Found]) -> Found | None:
        """Process 0 works alone; the others wait until it is done, and get None."""
        found = work() if self.leads else None
        self.told(0)
        return found

    def any(self, flag: bool) -> bool:
        """Whether it is so in any process."""
        if self.size == 1:
            return flag
        found = torch.tensor([int(flag)])
        with self._heard():
            dist.all_reduce(found, dist.ReduceOp.MAX, group=self._quick)
        return bool(found)

    def spread(self, model: nn.Module) -> None:
        """Gives the weights of process 0 to all."""
        if self.size > 1:
            with self._heard():
                for weight in model.parameters():
                    dist.broadcast(weight.data, 0, group=self._patient if weight.device.type == "cpu" else self.sums)

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

    @contextmanager
    def _heard(self) -> Iterator[None]:
        """Tells which process is gone when the others are not heard in the block."""
        try:
            yield
        except RuntimeError as error:
            raise Lost(self._who(str(error).split("\n")[0])) from error

    def _who(self, error: str) -> str:
        assert self._store is not None
        others = [rank for rank in range(self.size) if rank != self.rank]
        told: dict[int, str] = {}
        try:
            self._store.set(f"end/{self.rank}", "")
            until = time.monotonic() + LAST_WORDS
            while len(told) < len(others) and time.monotonic() < until:
                told |= {n: self._store.get(f"end/{n}").decode() for n in others if self._store.check([f"end/{n}"])}
                time.sleep(0.05)
            names = {rank: f"process {rank} ({self._store.get(f'name/{rank}').decode()})" for rank in others}
        except RuntimeError:  # the store itself is gone, which is process 0's where torchrun keeps none
            return f"Process 0 of {self.size}, which kept them together, is gone ({error})."
        if silent := [names[rank] for rank in others if rank not in told]:
            cause = f"{' and '.join(silent)} of {self.size} {'is' if len(silent) == 1 else 'are'} gone or silent"
        elif ended := [f"{names[rank]} of {self.size} ended: {why}" for rank, why in told.items() if why]:
            cause = "; ".join(ended)
        else:
            cause = f"the connection of the {self.size} processes broke"
        return (
            f"Process {self.rank} cannot go on, because {cause} ({error}). What was saved is whole: start the same "
            "command again with --resume."
        )

    def last_words(self, error: BaseException) -> None:
        """Leaves word of why this process ends for those who will miss it."""
        if self._store is not None and not isinstance(error, Lost):
            try:
                self._store.set(f"end/{self.rank}", str(error) or type(error).__name__)
            except RuntimeError:
                return  # they are gone too


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
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        yield Processes()
        return
    try:
        base, rank, size = _rendezvous()
    except (ValueError, RuntimeError) as error:
        raise UseError(
            f"Several processes must find each other, but cannot: {error}. Start them all with torchrun."
        ) from None
    store = PrefixStore(f"ojak{next(_RUNS)}", base)
    processes = Processes(rank, size, store)
    store.set(f"name/{rank}", f"pid {os.getpid()} on {platform.node()}")
    try:
        with processes._heard():
            dist.init_process_group("gloo", store=PrefixStore("gloo", store), rank=rank, world_size=size)
            processes._patient = dist.new_group(backend="gloo", timeout=WORK)
        yield processes
        processes.told(0)
        dist.destroy_process_group()
    except BaseException as error:
        processes.last_words(error)
        raise


@cache
def _rendezvous() -> tuple[Store, int, int]:
    store, rank, size = next(rendezvous("env://", timeout=timedelta(minutes=5)))
    return store, int(rank), int(size)


def local(device: torch.device) -> torch.device:
    """This process's own device of that kind."""
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
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


def _bytes(value: Any) -> Tensor:
    return torch.frombuffer(bytearray(json.dumps(value).encode()), dtype=torch.uint8)
