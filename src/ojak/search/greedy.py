"""Greedy search: the likeliest word at each step."""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Seq2Seq
from ojak.search.hypothesis import Hypothesis, limits, log_probabilities
from ojak.text.vocabulary import BOS, EOS, PAD


@torch.inference_mode()
def greedy(model: Seq2Seq, source: Tensor, config: SearchConfig, attend: bool = False) -> list[Hypothesis]:
    """One hypothesis for each sentence of `source` (B,S)."""
    state = model.start(model.encode(source))
    limit = limits(source, model, config)
    lengths = (source != PAD).sum(1).tolist()
    sentence = torch.arange(len(source), device=source.device)  # which sentence each live row belongs to
    last = torch.full_like(sentence, BOS)
    tokens: list[list[int]] = [[] for _ in lengths]
    scores = torch.zeros(len(source), dtype=torch.float64, device=source.device)
    seen: list[list[Tensor]] = [[] for _ in lengths]

    for step in range(int(limit.max())):
        decoded, state = model.advance(last.unsqueeze(1), state, attend)
        best, last = log_probabilities(model, decoded.states[:, -1], step, limit[sentence]).max(1)
        scores[sentence] += best
        for row, (place, token) in enumerate(zip(sentence.tolist(), last.tolist(), strict=True)):
            tokens[place].append(token)
            if decoded.attention is not None:
                seen[place].append(decoded.attention[row, 0, :, : lengths[place]])
        going = (last != EOS).nonzero().squeeze(1)
        if len(going) == 0:
            break
        if len(going) < len(last):
            sentence, last, state = sentence[going], last[going], state.select(going)
    return [
        Hypothesis(found, score, torch.stack(weights) if attend else None)
        for found, score, weights in zip(tokens, scores.tolist(), seen, strict=True)
    ]
