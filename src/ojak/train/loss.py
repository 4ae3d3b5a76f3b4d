"""The loss: cross entropy with label smoothing, as sums that are divided once an update."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import PAD
from ojak.train.fused import FusedCrossEntropy


@dataclass(frozen=True)
class Loss:
    """Sums over the real target tokens of a batch, in nats."""

    smoothed: Tensor
    """what training makes small"""
    plain: Tensor
    """the negative log-likelihood, which perplexity is made of; no gradient"""


def cross_entropy(model: Seq2Seq, states: Tensor, target: Tensor, smoothing: float) -> Loss:
    """`plain_cross_entropy`, computed in the fast way of `fused`."""
    real = target != PAD
    layer = model.project
    smoothed, plain = FusedCrossEntropy.apply(  # type: ignore[no-untyped-call]
        states[real], layer.weight, layer.bias, target[real], smoothing
    )
    return Loss(smoothed, plain.detach())


def plain_cross_entropy(model: Seq2Seq, states: Tensor, target: Tensor, smoothing: float) -> Loss:
    """The loss of decoder states (N,T,D) against the words (N,T) that they foretell.

    With smoothing ε the target distribution is 1 − ε on the true word and ε spread evenly over all V words
    (Szegedy 2016, section 7). Padding is left out before the output layer, not after it.
    """
    real = target != PAD
    log_chances = model.output(states[real]).log_softmax(-1)
    true = log_chances.gather(-1, target[real].unsqueeze(-1)).squeeze(-1)
    smoothed = true if smoothing == 0 else (1 - smoothing) * true + smoothing * log_chances.mean(-1)
    return Loss(-smoothed.sum(), -true.detach().sum())
