"""R-Drop (Liang 2021): every sentence goes through the model twice, with other dropout, and the two are to agree.

What is learnt is the mean of both cross entropies and α / 4 of the divergences in both directions, which is half of the
paper's equation 4: so the loss is still one of a target token, and α means what it means there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from ojak.batch import Batch
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import PAD
from ojak.train.fused import Chunked
from ojak.train.loss import Loss


def twice(batch: Batch) -> Batch:
    """Every pair two times, those of the second time behind all of the first."""
    tensors = {name: getattr(batch, name) for name in ("source", "target_in", "target_out", "links")}
    doubled: dict[str, Any] = {name: None if one is None else torch.cat([one, one]) for name, one in tensors.items()}
    return replace(batch, **doubled, tokens=2 * batch.tokens)


def agreeing_cross_entropy(model: Seq2Seq, states: Tensor, target: Tensor, smoothing: float, alpha: float) -> Loss:
    """The loss of the decoder states (2B,T,D) of a batch that was taken `twice`, against its words (2B,T)."""
    layer, real = model.project, target != PAD
    first, second = states[real].chunk(2)
    smoothed, plain = Chunked.apply(  # type: ignore[no-untyped-call]
        partial(_of_logits, smoothing=smoothing, alpha=alpha),
        target[real].chunk(2)[0],
        layer.weight,
        layer.bias,
        first,
        second,
    )
    return Loss(smoothed, plain.detach())


def _of_logits(both: list[Tensor], words: Tensor, smoothing: float, alpha: float) -> tuple[Tensor, Tensor]:
    """What is learnt, and the mean negative log-likelihood, of the logits (M,V) of both times."""
    logs = [F.log_softmax(one, 1) for one in both]
    true = torch.stack([log.gather(1, words.unsqueeze(1)).sum() for log in logs]).mean()
    level = torch.stack([log.mean(1).sum() for log in logs]).mean()
    # KL(p|q) + KL(q|p) = Σ (p - q) (log p - log q)
    apart = ((logs[0].exp() - logs[1].exp()) * (logs[0] - logs[1])).sum()
    return -(1 - smoothing) * true - smoothing * level + alpha / 4 * apart, -true
