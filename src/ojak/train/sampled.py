"""Scheduled sampling (Bengio 2015): some of the true previous words give way to the model's own, as in search.

The words come from a pass of their own with the true ones before them, for all places at once (Mihaylova and Martins
2019, section 3): each is the likeliest after a true beginning. So it is as parallel as teacher forcing, for every
architecture, and costs a pass without gradient.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from ojak.batch import Batch
from ojak.config import TrainConfig
from ojak.model.dropout import Masks
from ojak.model.fused import linear
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import EOS, PAD
from ojak.train.fused import held


def share(update: int, config: TrainConfig) -> float:
    """The share of previous words that are the model's own in update 1, 2, …: it grows from nothing to
    `train.sampled_words` over `train.sampled_ramp` updates, in a straight line or as a sigmoid."""
    done = min(1.0, update / max(1, config.sampled_ramp))
    if config.sampled_schedule == "sigmoid":
        low, here = (1 / (1 + math.exp(-12 * (place - 0.5))) for place in (0.0, done))
        done = (here - low) / (1 - 2 * low)
    return config.sampled_words * done


@torch.no_grad()
def with_own_words(model: Seq2Seq, batch: Batch, share: float) -> Tensor:
    """`target_in` (B,T) of which a share of the words after the first is what the model would have said."""
    given = batch.target_in
    masks = Masks(share, given.numel())
    if not masks:
        return given
    real = batch.target_out != PAD
    said = torch.full_like(given, PAD)
    said[real] = _likeliest(model, model(batch.source, given).states[real])
    taken = masks.draw(given.to(torch.float32)) == 0
    return torch.cat([given[:, :1], torch.where(taken & (given != PAD), said.roll(1, 1), given)[:, 1:]], 1)


def _likeliest(model: Seq2Seq, states: Tensor) -> Tensor:
    """The likeliest words (M) after states (M,D), specials aside, some hundred states after others."""
    layer = model.project
    weight, bias = layer.weight[EOS + 1 :].to(states.dtype), layer.bias[EOS + 1 :].to(states.dtype)
    pieces = states.split(max(1, held(weight) // len(weight)))
    return torch.cat([linear(piece, weight, bias).argmax(1) for piece in pieces]) + EOS + 1
