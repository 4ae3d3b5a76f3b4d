"""Weights in pieces, one in each process, for models that are too big for one device.

torch's FSDP2 (`fully_shard`) does it: a process holds its piece of every weight, of its gradient and of its moments. A
part of the model is put together from all processes just before it is called, and its gradients are added up and taken
apart as soon as they are there. What is written to disk is whole, so that a run may go on with any number of processes.
"""

from __future__ import annotations

import copy
import sys
import warnings
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from ojak.model.seam import Seq2Seq
from ojak.train.parallel import Processes

if TYPE_CHECKING:
    from torch.distributed.tensor import DTensor


def shard(model: Seq2Seq, device: torch.device, processes: Processes) -> Seq2Seq:
    """A copy of the model in pieces, on the device."""
    from torch.distributed.device_mesh import DeviceMesh  # most of a second to import
    from torch.distributed.fsdp import FSDPModule, fully_shard

    assert processes.sums is not None
    # That a layer's output may be a view, and must not be written to; nothing of ours does.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")
    copied = copy.deepcopy(model)
    mesh = DeviceMesh.from_group(processes.sums, device.type)
    for unit in (*copied.units(), copied):
        fully_shard(unit, mesh=mesh)
    copied.to(device)
    for part in copied.modules():
        if isinstance(part, FSDPModule):  # the loss is a sum: its gradients are added, and divided by `update`
            part.set_gradient_divide_factor(1.0)
            part.set_force_sum_reduction_for_comms(True)
    return copied


def in_pieces(model: nn.Module) -> bool:
    """Whether the model is what `shard` gives."""
    return any(_pieces(weight) is not None for weight in model.parameters())


@torch.no_grad()
def gather(pieces: nn.Module, model: nn.Module, processes: Processes) -> None:
    """Puts the weights in pieces together in `model`, in every process, where they are not the same."""
    if pieces is not model:
        for there, here in zip(model.parameters(), pieces.parameters(), strict=True):
            there.copy_(whole(here, processes))


@torch.no_grad()
def scatter(model: nn.Module, pieces: nn.Module) -> None:
    """Takes the weights of `model` apart into the pieces, where they are not the same."""
    if pieces is not model:
        for there, here in zip(pieces.parameters(), model.parameters(), strict=True):
            own(there).copy_(own(piece(here, there)))


@torch.no_grad()
def whole(tensor: Tensor, processes: Processes) -> Tensor:
    """All of a tensor. All processes ask together.

    Each has as many rows of it as the others, but for the last ones. (torch's `full_tensor` keeps books of what is on
    its way, as long as the process lives. A second run in the same processes ended in it, very seldom, with memory
    that was freed twice.)
    """
    pieces = _pieces(tensor)
    if pieces is None:
        return tensor
    mine, rows = pieces.to_local(), -(-len(pieces) // processes.size)
    padded = mine.new_zeros(rows, *mine.shape[1:])
    padded[: len(mine)] = mine
    return processes.side_by_side(padded)[: len(pieces)]


def own(tensor: Tensor) -> Tensor:
    """This process's piece of a tensor; all of one that is not in pieces."""
    pieces = _pieces(tensor)
    return tensor if pieces is None else pieces.to_local()


def piece(tensor: Tensor, like: Tensor) -> Tensor:
    """A whole tensor in pieces as `like` is, where it is and they are of one shape."""
    pieces = _pieces(like)
    if pieces is None or tensor.shape != like.shape:
        return tensor
    from torch.distributed.tensor import distribute_tensor

    return distribute_tensor(tensor.to(like.device), pieces.device_mesh, pieces.placements, src_data_rank=None)


def _pieces(tensor: Tensor) -> DTensor | None:
    """The tensor, if it is one in pieces: which no tensor is before their module has been imported."""
    module = sys.modules.get("torch.distributed.tensor")
    return tensor if module is not None and isinstance(tensor, module.DTensor) else None
