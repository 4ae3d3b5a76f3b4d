"""Forced decoding: what a model makes of words that it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import PAD

CHUNK = 256
"""words whose logits are held at a time"""


def log_probabilities(logits: Tensor, words: Tensor) -> Tensor:
    """The log-probabilities (M) of `words` (M) under `logits` (M,V)."""
    return logits.gather(-1, words.unsqueeze(-1)).squeeze(-1) - logits.logsumexp(-1)


@torch.no_grad()
def token_scores(model: Seq2Seq, states: Tensor, target: Tensor) -> Tensor:
    """The log-probabilities (N,T) of each row's words, to be summed in double precision, 0 at padding."""
    real = target != PAD
    said = torch.zeros(target.shape, dtype=torch.float64, device=target.device)
    # Piece by piece: logits of all tokens would take more memory than training does.
    pieces = zip(states[real].split(CHUNK), target[real].split(CHUNK), strict=True)
    said[real] = torch.cat([log_probabilities(model.output(piece), words) for piece, words in pieces]).double()
    return said


@torch.no_grad()
def score(model: Seq2Seq, states: Tensor, target: Tensor) -> Tensor:
    """The sum of the log-probabilities (N) of each row's real words, in double precision."""
    return token_scores(model, states, target).sum(1)
