"""What the passes of training go through: copies of the model, in bf16 or fp32, one for each worker.

A bf16 number has 8 significant bits: enough to compute with, too few to add small steps to. So the weights that learn
stay in fp32 (Micikevicius 2018, section 3.1), and before each update the layers of a copy take them over, rounded.
That is cheaper than casting within the forward pass, as torch's autocast does. The embeddings and the output layer are
not rounded here but where they are used, and their gradients, sums over many tokens, are added up in fp32.

Workers are threads with a part of the batch and a processor core each. Threads within an operation wait for each other
at the end of every one of the some thousand small operations of an update; workers wait once.
"""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import TypeVar

import torch
from torch import nn

from ojak.batch import Batch
from ojak.config import Recipe, TrainConfig
from ojak.model.dropout import drawn_from
from ojak.model.seam import Seq2Seq
from ojak.train.parallel import Processes, Room
from ojak.train.sharding import in_pieces, own
from ojak.workers import workers

Found = TypeVar("Found")


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 itself, rather than in fp32 after many conversions."""
    if device.type == "cuda":
        return bool(torch.cuda.is_bf16_supported(including_emulation=False))
    units = torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return bool(units and torch.backends.mkldnn.is_available())


def settled(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with `train.precision=auto` settled, so that it says what the run did."""
    if recipe.train.precision != "auto":
        return recipe
    precision = "bf16" if native_bf16(device) and recipe.train.sharding == "none" else "fp32"
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"precision": precision})})


def side_by_side(config: TrainConfig, learnt: Seq2Seq) -> int:
    """How many workers learn side by side: on a GPU, or from a model in pieces, one."""
    if learnt.device.type != "cpu" or in_pieces(learnt):
        return 1
    return config.workers or torch.get_num_threads()


@contextmanager
def products(precision: str) -> Iterator[None]:
    """How exactly fp32 products are computed within the block. torch keeps this for the whole process, so it is put
    back: what is measured is computed as exactly as what a user gets."""
    before, recurrent = torch.get_float32_matmul_precision(), torch.backends.cudnn.allow_tf32
    torch.set_float32_matmul_precision("highest" if precision == "exact" else "medium")
    torch.backends.cudnn.allow_tf32 = precision != "exact"
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)
        torch.backends.cudnn.allow_tf32 = recurrent


class Working:
    """The models that compute while `learnt` learns. The first of them is `learnt` itself where nothing is rounded."""

    def __init__(self, learnt: Seq2Seq, config: TrainConfig, processes: Processes | None = None) -> None:
        self.learnt, self._precision, self._processes = learnt, config.precision, processes or Processes()
        weights = [weight for weight in learnt.parameters() if weight.requires_grad]
        self._room = Room(weights) if self._processes.size > 1 and not in_pieces(learnt) else None
        self._pieces = in_pieces(learnt)
        count = side_by_side(config, learnt)
        first = learnt
        if config.precision == "bf16":
            if learnt.device.type == "cuda":
                # For cuDNN torch puts recurrent weights in one piece at every call, and says so; what would do it once
                # and for all, flatten_parameters, does not take bf16.
                warnings.filterwarnings("ignore", "RNN module weights are not part of single contiguous chunk")
            words = {id(p) for m in (learnt.source, learnt.target, learnt.project) for p in m.parameters()}
            first = _copied(learnt, lambda p: p.detach() if id(p) in words else p.detach().to(torch.bfloat16))
        self.models = [first, *(_copied(first, lambda p: p.detach()) for _ in range(count - 1))]
        self._pool = workers(count) if count > 1 else None
        # Found once: to look through all modules for them takes as long as some hundred small operations.
        self._weights = list(learnt.parameters())
        self._working = [list(model.parameters()) for model in self.models if model is not learnt]
        pairs = list(zip(self.models[0].parameters(), self._weights, strict=True))
        self._rounded = [(near, exact) for near, exact in pairs if near.dtype != exact.dtype]

    def close(self) -> None:
        """Ends the workers."""
        if self._pool:
            self._pool.shutdown()

    def each(self, batches: Sequence[Batch], learn: Callable[[Seq2Seq, Batch], Found]) -> list[Found]:
        """What `learn` finds for every part of every batch; the parts of one batch are learnt from side by side.

        Every part draws its dropout from a seed of its own, so that the workers' order changes nothing. Gradients of
        several batches are added up in the type of the weights that learn.
        """
        found: list[Found] = []
        with products(self._precision):
            for place, batch in enumerate(batches):
                if place:
                    self._give()
                if batch.seed is None:
                    batch = replace(batch, seed=int(torch.randint(2**62, ())))
                parts = batch.parts(len(self.models)) if self._pool else [batch]
                side_by_side = self._pool.map if self._pool else map
                found += side_by_side(lambda *given: _seeded(learn, *given), self.models, parts)
        return found

    @torch.no_grad()
    def take_weights(self) -> None:
        """Rounds the weights that learn into those that compute, which the workers share."""
        if self._rounded:
            torch._foreach_copy_([near for near, _ in self._rounded], [exact for _, exact in self._rounded])

    @torch.no_grad()
    def give_gradients(self) -> list[torch.Tensor]:
        """Adds up the gradients of the models, always in the same order, and of all processes; hands them to the
        weights that learn, and gives them, or this process's pieces."""
        self._give()
        if self._room:
            self._processes.sum_gradients(self._room)
        return [own(weight.grad) for weight in self._weights if weight.grad is not None]

    def norm(self, gradients: list[torch.Tensor]) -> torch.Tensor:
        """The length of the whole gradient."""
        norm = nn.utils.get_total_norm(gradients)
        return self._processes.sum(norm.square()).sqrt() if self._pieces else norm

    @torch.no_grad()
    def _give(self) -> None:
        for weights in self._working:
            kept: list[torch.Tensor] = []
            new: list[torch.Tensor] = []
            for learning, working in zip(self._weights, weights, strict=True):
                found, working.grad = working.grad, None
                if found is None:
                    continue
                if learning.grad is not None:
                    learning.grad.add_(found)
                elif self._room is None and found.dtype == learning.dtype:
                    learning.grad = found
                else:
                    room = self._room.part[learning] if self._room else torch.empty_like(found, dtype=learning.dtype)
                    learning.grad = room
                    kept.append(room)
                    new.append(found)
            if new:
                torch._foreach_copy_(kept, new)

    def sum(self, values: torch.Tensor) -> torch.Tensor:
        """The values, added up over all processes in place."""
        return self._processes.sum(values)


def _copied(model: Seq2Seq, make: Callable[[nn.Parameter], torch.Tensor]) -> Seq2Seq:
    """A model of the same modules with parameters of its own over what `make` gives, so with gradients of its own."""
    own = {id(p): nn.Parameter(make(p), requires_grad=p.requires_grad) for p in model.parameters()}
    return copy.deepcopy(model, own)


def _seeded(learn: Callable[[Seq2Seq, Batch], Found], model: Seq2Seq, part: Batch) -> Found:
    assert part.seed is not None
    with drawn_from(part.seed, model.device):
        return learn(model, part)
