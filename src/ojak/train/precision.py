"""Training in bf16: a copy of the model that computes, and the fp32 weights that learn.

A bf16 number has 8 significant bits: enough to compute with, too few to add small steps to. So the weights that learn
stay in fp32 (Micikevicius 2018, section 3.1), and before each update the layers of a second model take them over,
rounded. That is cheaper than casting within the forward pass, as torch's autocast does. The embeddings and the output layer
are not copied: they are looked up and multiplied in `fused.py`, which round there, and their gradients, which are sums
over many tokens, stay in fp32.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from ojak.config import Recipe, TrainConfig
from ojak.model.seam import Seq2Seq


def native_bf16(device: torch.device) -> bool:
    """Whether the device multiplies bf16 itself, rather than in fp32 after many conversions."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    return torch.backends.mkldnn.is_available() and (
        torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    )


def settled(recipe: Recipe, device: torch.device) -> Recipe:
    """The recipe with `train.precision=auto` settled, so that it says what the run did."""
    if recipe.train.precision != "auto":
        return recipe
    precision = "bf16" if native_bf16(device) else "fp32"
    return recipe.model_copy(update={"train": recipe.train.model_copy(update={"precision": precision})})


@contextmanager
def products(precision: str) -> Iterator[None]:
    """How exactly fp32 products are computed within the block. torch keeps this for the whole process, so it is put
    back: what is measured is computed as exactly as what a user gets."""
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest" if precision == "exact" else "medium")
    try:
        yield
    finally:
        torch.set_float32_matmul_precision(before)


class Working:
    """The `model` that the passes of training go through; for fp32 the model itself."""

    def __init__(self, learnt: Seq2Seq, config: TrainConfig) -> None:
        self.learnt = self.model = learnt
        self._pairs: list[tuple[nn.Parameter, nn.Parameter]] = []
        if config.precision == "bf16":
            words = {id(p): p for m in (learnt.source, learnt.target, learnt.project) for p in m.parameters()}
            self.model = copy.deepcopy(learnt, dict(words))
            for module in self.model.modules():
                for name, parameter in module.named_parameters(recurse=False):
                    if id(parameter) not in words:
                        setattr(module, name, nn.Parameter(parameter.detach().to(torch.bfloat16)))
            learning, working = dict(learnt.named_parameters()), dict(self.model.named_parameters())
            self._pairs = [(learning[n], working[n]) for n in learning if learning[n] is not working[n]]

    @torch.no_grad()
    def take_weights(self) -> None:
        """Rounds the weights that learn into those that compute."""
        if self._pairs:
            torch._foreach_copy_([working for _, working in self._pairs], [learning for learning, _ in self._pairs])

    @torch.no_grad()
    def give_gradients(self) -> None:
        """Adds the gradients of the copy to those of the weights that learn, and forgets them."""
        for learning, working in self._pairs:
            if working.grad is not None:
                found = working.grad.float()
                learning.grad = found if learning.grad is None else learning.grad.add_(found)
                working.grad = None
