"""Lexical constraints: phrases that a translation must hold.

Vectorised dynamic beam allocation (Post and Vilar 2018; Hu et al. 2019): candidates are put in banks by how many words
of the required phrases they have said, and the beam is shared out among the banks, so that a beginning that says a
required word is compared with its like and not with those that have yet to pay for it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from ojak.search.choosers import Choice, Chooser
from ojak.search.live import Live
from ojak.search.wishes import Ids, padded
from ojak.text.vocabulary import EOS


class Phrases:
    """The required phrases of each sentence, as padded ids (B,C,L)."""

    def __init__(self, phrases: list[list[Ids]], device: torch.device) -> None:
        most = max([1, *map(len, phrases)])
        flat = [ids for row in phrases for ids in [*row, *[()] * (most - len(row))]]
        self.ids = padded(flat, device).view(len(phrases), most, -1)
        self.lengths = (self.ids >= 0).sum(2)
        """(B,C), 0 where a sentence has fewer phrases than others"""

    def met(self, tokens: Tensor, sentence: Tensor) -> tuple[Tensor, Tensor]:
        """Of rows (M) that have said `tokens` (M,T): which phrases are whole (M,C), and how many words of each have
        just been said (M,C), the whole length where it is whole."""
        ids, lengths = self.ids[sentence], self.lengths[sentence]
        longest = ids.shape[2]
        windows = torch.nn.functional.pad(tokens, (0, longest - 1), value=-2).unfold(1, longest, 1)  # (M,T,L)
        same = (windows.unsqueeze(1) == ids.unsqueeze(2)) | (ids.unsqueeze(2) == -1)
        whole = same.all(3).any(2)
        begun = torch.zeros_like(lengths)
        for count in range(1, min(longest, tokens.shape[1] + 1)):
            ending = (tokens[:, None, -count:] == ids[:, :, :count]).all(2) & (lengths > count)
            begun = torch.where(ending, count, begun)
        return whole, torch.where(whole, lengths, begun)

    def missing(self, live: Live) -> Tensor:
        """How many words of its phrases each row (N) has not said."""
        return self.lengths[live.sentence].sum(1) - self.met(live.tokens, live.sentence)[1].sum(1)

    def hold(self, shaped: Tensor, words: Tensor, live: Live) -> None:
        """A processor: no row ends before all its phrases are whole."""
        whole, _ = self.met(live.tokens, live.sentence)
        shaped[:, EOS] = shaped[:, EOS].masked_fill(~whole.all(1), -torch.inf)

    def shared_out(self, width: int) -> Chooser:
        """A chooser of beam search whose beam is shared out among the banks."""

        def choose(shaped: Tensor, live: Live) -> Choice:
            sentences, vocabulary = len(shaped) // width, shaped.shape[1]
            rows, words = self._candidates(shaped, live, width)
            scores = live.scores[rows] + shaped[rows, words]
            # A way to go on that was found twice counts once.
            keys, order = (rows * vocabulary + words).sort(dim=1, stable=True)
            twice = torch.zeros_like(keys, dtype=torch.bool)
            twice[:, 1:] = keys[:, 1:] == keys[:, :-1]
            scores = scores.masked_fill(torch.zeros_like(twice).scatter_(1, order, twice), -torch.inf)

            tokens = torch.cat([live.tokens[rows.flatten()], words.view(-1, 1)], 1)
            said = self.met(tokens, live.sentence[rows.flatten()])[1].sum(1).view(sentences, -1)
            bank = torch.where(scores.isneginf(), -1, said)
            # Best first within each bank, and then the best of each bank, the second of each bank, and so on.
            by_score = scores.argsort(dim=1, descending=True, stable=True)
            order = by_score.gather(1, bank.gather(1, by_score).argsort(dim=1, descending=True, stable=True))
            sorted_bank = bank.gather(1, order)
            first = (sorted_bank.unsqueeze(2) < sorted_bank.unsqueeze(1)).sum(2)  # how many are in higher banks
            place = torch.arange(order.shape[1], device=order.device) - first
            place = place.masked_fill(sorted_bank < 0, order.shape[1])
            order = order.gather(1, place.argsort(dim=1, stable=True))[:, : max(2 * width if width > 1 else 1, 1)]
            return Choice(*(part.gather(1, order).unsqueeze(1) for part in (rows, words, scores)))

        return choose

    def _candidates(self, shaped: Tensor, live: Live, width: int) -> tuple[Tensor, Tensor]:
        """Rows and words, (A,M) each: the best of all, the best of each row, and each word that a phrase needs next."""
        sentences = len(shaped) // width
        each = min(2 * width, shaped.shape[1])
        base = torch.arange(len(shaped), device=shaped.device)
        values, likely = shaped.topk(each, 1)
        best = (live.scores.unsqueeze(1) + values).view(sentences, -1).topk(min(2 * width, width * each), 1)[1]
        rows = best // each + base.view(sentences, width)[:, :1]
        words = likely.view(sentences, -1).gather(1, best)

        begun = self.met(live.tokens, live.sentence)[1]
        ids, lengths = self.ids[live.sentence], self.lengths[live.sentence]
        needed = ids.gather(2, begun.clamp(max=ids.shape[2] - 1).unsqueeze(2)).squeeze(2)  # (N,C)
        # A phrase that is whole, or that is not there, needs nothing: its place repeats the row's best word.
        needed = torch.where(begun < lengths, needed, likely[:, :1])
        mine = torch.cat([likely[:, :1], needed], 1)  # (N,1+C)
        every = base.unsqueeze(1).expand_as(mine)
        parts = rows, every.reshape(sentences, -1), words, mine.reshape(sentences, -1)
        return torch.cat(parts[:2], 1), torch.cat(parts[2:], 1)
