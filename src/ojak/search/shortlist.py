"""The words that a search chooses among: all of the vocabulary, or the shortlist of each sentence."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ojak.model.seam import Likeliest, Output, Seq2Seq
from ojak.search.wishes import Ids, Wishes
from ojak.text.vocabulary import SPECIALS


@dataclass(frozen=True)
class Words:
    """Columns of scores, and the words that they stand for.

    With shortlists the columns are the words that any sentence of the batch may say, the specials first, so that the
    output layer computes no others. Each sentence's probabilities are shared out among its own words alone: they do not
    depend on the sentences beside it.
    """

    output: Output
    """the layer of these words"""
    count: int
    """C"""
    list: Tensor | None
    """(C), the ids of the columns in rising order, or None where each is its own"""
    barred: Tensor | None
    """(B,C), True where a sentence may not say a column, or None where each may say all"""

    @classmethod
    def of(cls, model: Seq2Seq, wishes: Wishes) -> Words:
        """The words for a batch of sentences; what they ask for outright is always among them."""
        if all(wish.words is None for wish in wishes.sentences):
            return cls(model.outputs(), model.words, None, None)
        size = model.words
        may = torch.zeros(len(wishes.sentences), size, dtype=torch.bool)
        may[:, : len(SPECIALS)] = True
        for row, wish in zip(may, wishes.sentences, strict=True):
            if wish.words is None:
                row[:] = True
            else:
                row[wish.words] = True
                row[[number for ids in (wish.prefix, *wish.phrases) for number in ids]] = True
        union = may.any(0).nonzero().squeeze(1).to(model.device)
        return cls(model.outputs(union), len(union), union, ~may.to(model.device)[:, union])

    def log_probabilities(self, states: Tensor, sentence: Tensor) -> Tensor:
        """(N,C) of states (N,D) of rows that belong to `sentence` (N)."""
        return self.output.log_probabilities(states, None if self.barred is None else self.barred[sentence])

    def likeliest(self, states: Tensor, sentence: Tensor, count: int) -> Likeliest:
        """The `count` best of them for each of the rows."""
        return self.output.likeliest(states, count, self.barred, sentence)

    def ids(self, columns: Tensor) -> Tensor:
        """The words that columns stand for."""
        return columns if self.list is None else self.list[columns]

    def narrowed(self, wishes: Wishes) -> Wishes:
        """The same wishes in columns; a sequence that cannot be said at all needs no banning."""
        if self.list is None:
            return wishes
        columns = {number: column for column, number in enumerate(self.list.tolist())}

        def of(ids: Ids) -> Ids:
            return [columns[number] for number in ids]

        sentences = [
            replace(wish, prefix=of(wish.prefix), phrases=[of(ids) for ids in wish.phrases])
            for wish in wishes.sentences
        ]
        return Wishes(sentences, [of(ids) for ids in wishes.banned if columns.keys() >= set(ids)])
