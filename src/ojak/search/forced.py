"""Forced decoding: what a model makes of words that it is given."""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import PAD

CHUNK = 256
"""words whose logits are held at a time"""


def token_log_probabilities(logits: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
    """The log-probabilities (M) of the words `target` (M) under `logits` (M,V), and the mean over all V words."""
    total = logits.logsumexp(-1)
    said = logits.gather(-1, target.unsqueeze(-1)).squeeze(-1)
    return said - total, logits.mean(-1) - total


@torch.no_grad()
def token_scores(model: Seq2Seq, states: Tensor, target: Tensor) -> Tensor:
    """The log-probabilities (N,T) of each row's words, in double precision, 0 at padding."""
    real = target != PAD
    said = torch.zeros(target.shape, dtype=torch.float64, device=target.device)
    # Piece by piece: logits of all tokens in double precision would take more memory than training does.
    pieces = zip(states[real].split(CHUNK), target[real].split(CHUNK), strict=True)
    found = [token_log_probabilities(model.output(piece).double(), words)[0] for piece, words in pieces]
    said[real] = torch.cat(found)
    return said


@torch.no_grad()
def score(model: Seq2Seq, states: Tensor, target: Tensor) -> Tensor:
    """The sum of the log-probabilities (N) of each row's real words, in double precision."""
    return token_scores(model, states, target).sum(1)
