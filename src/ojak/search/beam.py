"""Beam search: the best few beginnings of each sentence, side by side."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import Seq2Seq
from ojak.search.hypothesis import Hypothesis, length_penalty, limits, log_probabilities
from ojak.text.vocabulary import BOS, EOS, PAD


@dataclass(frozen=True)
class _Beginnings:
    """The live rows: what each has said so far. Rows are selected here and in the model's state alike."""

    tokens: Tensor
    """(N,T), BOS first"""
    scores: Tensor
    """(N), −∞ where a row stands for nothing"""
    attention: Tensor | None
    """(N,T,K,S)"""

    def extend(self, rows: Tensor, words: Tensor, scores: Tensor, seen: Tensor | None) -> _Beginnings:
        """The chosen `rows` (N'), each with one more word; `seen` (N,1,K,S) is where all rows looked for it."""
        attention = None
        if seen is not None:
            past = seen[:, :0] if self.attention is None else self.attention
            attention = torch.cat([past, seen], 1)[rows]
        return _Beginnings(torch.cat([self.tokens[rows], words.unsqueeze(1)], 1), scores, attention)


@torch.inference_mode()
def beam(model: Seq2Seq, source: Tensor, config: SearchConfig, attend: bool = False) -> list[list[Hypothesis]]:
    """The `config.n_best` best hypotheses of each sentence of `source` (B,S), best first.

    A sentence is done when it has `config.beam` finished hypotheses and none that lives has a better normalised
    score than the worst of these.
    """
    width, alpha = config.beam, config.length_penalty
    sentences, device = len(source), source.device
    limit = limits(source, model, config)
    lengths = (source != PAD).sum(1).tolist()
    finished: list[list[Hypothesis]] = [[] for _ in range(sentences)]

    # 1. One row a beam, side by side; at first all but the first row of a sentence stand for nothing.
    active = list(range(sentences))  # the sentences that are not done, in the order of their rows
    rows = torch.arange(sentences, device=device).repeat_interleave(width)
    state = model.start(model.encode(source)).select(rows)
    scores = torch.full((sentences, width), -torch.inf, dtype=torch.float64, device=device)
    scores[:, 0] = 0.0
    live = _Beginnings(torch.full((len(rows), 1), BOS, device=device), scores.flatten(), None)

    for step in range(int(limit.max())):
        # 2. What may follow each beginning, and the best 2 × width ways to go on in each sentence: since only one
        #    word ends a sentence, at least width of them go on.
        decoded, state = model.advance(live.tokens[:, -1:], state, attend)
        row_limit = limit[active].repeat_interleave(width)
        words = log_probabilities(model, decoded.states[:, -1], step, row_limit)
        totals = (live.scores.unsqueeze(1) + words).view(len(active), width * words.shape[1])
        best, places = totals.topk(min(2 * width, totals.shape[1]), dim=1)
        base = torch.arange(len(active), device=device).unsqueeze(1) * width
        parents, chosen = base + places // words.shape[1], places % words.shape[1]

        # 3. Those that end among the best `width` are finished; an end further down is not good enough.
        ends = (chosen == EOS) & best.isfinite()
        ends[:, width:] = False
        at = ends.nonzero()
        if len(at):
            ended = live.extend(parents[ends], chosen[ends], best[ends], decoded.attention)
            for row, place in enumerate(at[:, 0].tolist()):
                sentence = active[place]
                attention = None if ended.attention is None else ended.attention[row, :, :, : lengths[sentence]]
                finished[sentence].append(
                    Hypothesis(ended.tokens[row, 1:].tolist(), float(ended.scores[row]), attention)
                )

        # 4. The best `width` that go on are the new beginnings.
        goes_on = best.masked_fill(chosen == EOS, -torch.inf)
        scores, order = goes_on.topk(width, dim=1)
        parents, chosen = parents.gather(1, order), chosen.gather(1, order)

        # 5. Sentences that are done leave the batch.
        ahead = (scores[:, 0] / length_penalty(step + 1, alpha)).tolist()
        keep = [
            place for place, sentence in enumerate(active) if not _done(finished[sentence], ahead[place], width, alpha)
        ]
        if not keep:
            break
        kept = torch.tensor(keep, device=device)
        rows = parents[kept].flatten()
        live = live.extend(rows, chosen[kept].flatten(), scores[kept].flatten(), decoded.attention)
        state = state.select(rows)
        active = [active[place] for place in keep]

    return [sorted(found, key=lambda h: -h.normalised(alpha))[: config.n_best] for found in finished]


def _done(finished: list[Hypothesis], ahead: float, width: int, alpha: float) -> bool:
    """Whether the best living beginning, at the normalised score `ahead` so far, is no better than the worst kept.

    With a length penalty it might still have overtaken, since a longer one is divided by more; that is rare, and
    waiting for it takes as long as the search again.
    """
    if ahead == -torch.inf:
        return True
    if len(finished) < width:
        return False
    return ahead <= sorted((h.normalised(alpha) for h in finished), reverse=True)[width - 1]
