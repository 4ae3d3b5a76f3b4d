"""Processors: each changes, in place, what the rows may say next and how good it looks.

A processor gets `shaped` (N,V), which it may write into, the log-probabilities `words` (N,V) of the model itself, and
the live rows. `shaped` decides what is chosen; the score of a hypothesis is always that of the model.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ojak.config import SearchConfig
from ojak.model.seam import NEVER
from ojak.search.live import Live
from ojak.search.wishes import Ids, Wishes, padded
from ojak.text.vocabulary import EOS

Processor = Callable[[Tensor, Tensor, Live], None]


def processors(config: SearchConfig, wishes: Wishes, limit: Tensor, device: torch.device) -> list[Processor]:
    """The processors that the settings and wishes call for, in their order."""
    found: list[Processor] = [never(device)]
    if config.repetition_penalty != 1:
        found.append(penalise_repetition(config.repetition_penalty))
    if config.no_repeat_ngram_size:
        found.append(block_ngrams(config.no_repeat_ngram_size))
    if banned := [ids for ids in wishes.banned if ids]:
        found.append(ban(banned, device))
    if config.min_length > 1:
        found.append(not_before((limit - 1).clamp(max=config.min_length - 1)))
    if any(wish.prefix for wish in wishes.sentences):
        found.append(force([wish.prefix for wish in wishes.sentences], device))
    return found


def rewrites(config: SearchConfig, wishes: Wishes) -> bool:
    """Whether the model's own log-probabilities are still wanted after the processors have been at work: where they
    do more than forbid, or forbid what is allowed after all."""
    asked = any(wish.prefix or wish.phrases for wish in wishes.sentences)
    return asked or config.repetition_penalty != 1 or config.min_length > 1


def never(device: torch.device) -> Processor:
    """PAD, BOS and UNK cannot stand in a target. The others keep their probability: nothing is shared out anew."""
    specials = torch.tensor(NEVER, device=device)

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        shaped.index_fill_(1, specials, -torch.inf)

    return process


def penalise_repetition(penalty: float) -> Processor:
    """Log-probabilities of words that a row has said are multiplied by `penalty` (after Keskar 2019, 4.1)."""

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        said = live.tokens[:, 1:]
        shaped.scatter_(1, said, words.gather(1, said) * penalty)

    return process


def block_ngrams(size: int) -> Processor:
    """No row says the same `size` words in a row twice (Paulus 2017, 2.5)."""

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        said = live.tokens[:, 1:]
        if said.shape[1] < size:
            return
        windows = said.unfold(1, size, 1)  # (N,T-size+1,size)
        last = said[:, said.shape[1] - size + 1 :].unsqueeze(1)
        rows, places = (windows[:, :, :-1] == last).all(2).nonzero(as_tuple=True)
        shaped[rows, windows[rows, places, -1]] = -torch.inf

    return process


def ban(sequences: list[Ids], device: torch.device) -> Processor:
    """None of these sequences of words is said: its last word is forbidden after the words before it."""
    width = max(map(len, sequences)) - 1
    ends = torch.tensor([ids[-1] for ids in sequences], device=device)
    before = padded([ids[:-1][::-1] for ids in sequences], device)  # (C,L), the nearest word first
    anything = before == -1

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        last = live.tokens[:, 1:].flip(1)[:, : before.shape[1]]  # (N,L)
        if last.shape[1] < before.shape[1]:
            last = torch.nn.functional.pad(last, (0, before.shape[1] - last.shape[1]), value=-2)
        begun = ((last.unsqueeze(1) == before) | anything).all(2) if width else None  # (N,C)
        if begun is None:
            shaped.index_fill_(1, ends, -torch.inf)
        else:
            rows, which = begun.nonzero(as_tuple=True)
            shaped[rows, ends[which]] = -torch.inf

    return process


def not_before(least: Tensor) -> Processor:
    """A row of a sentence does not end before it has said `least` (B) words, if there is another word left to say."""
    longest = int(least.max())

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        if live.step < longest:
            end = shaped[:, EOS].clone()
            shaped[:, EOS] = -torch.inf
            free = (live.step >= least[live.sentence]) | shaped.amax(1).isneginf()
            shaped[:, EOS] = torch.where(free, end, -torch.inf)

    return process


def force(prefixes: list[Ids], device: torch.device) -> Processor:
    """The rows of each sentence begin with its prefix. It comes last: what is asked for outright is not forbidden."""
    wanted = padded(prefixes, device)

    def process(shaped: Tensor, words: Tensor, live: Live) -> None:
        if live.step < wanted.shape[1]:
            want = wanted[live.sentence, live.step]
            rows = (want >= 0).nonzero().squeeze(1)
            chosen = want[rows]
            shaped.index_fill_(0, rows, -torch.inf)
            shaped[rows, chosen] = words[rows, chosen]

    return process
