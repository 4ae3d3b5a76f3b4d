"""A translation token by token, as it is decided."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import torch

from ojak.result import Attention
from ojak.search.live import Live
from ojak.search.loop import Search
from ojak.text import Tokenizer
from ojak.text.vocabulary import EOS


@dataclass(frozen=True)
class Token:
    """A decided token of a translation.

    `piece` is the token as the model wrote it, `text` what it adds to the text: all texts together are the translation.
    `score` is its log-probability, `attention` (K,S) where the model looked, over the source's tokens.
    """

    piece: str
    text: str
    score: float
    attention: Attention | None = field(default=None, repr=False, compare=False)


def decided(search: Search) -> Iterator[tuple[int, float, torch.Tensor | None]]:
    """The ids, scores and attention (K,S) of the tokens of the best hypothesis of the one sentence of a search, as soon
    as it can begin in no other way: all that lives and the best that has finished agree on them."""
    told = 0
    for live in search.steps():
        rows = live.scores.isfinite().nonzero().squeeze(1)
        best = _best_finished(search)
        candidates = [live.tokens[rows, 1:]] if len(rows) else []
        if best is not None:
            candidates.append(best.tokens[:, 1:])
        common = _agreed(candidates)
        shown: Live | None = best if len(rows) == 0 else _row(live, int(rows[0]))
        if shown is not None:
            yield from _tell(search, shown, told, common)
            told = max(told, common)
    # What came out first is what the search gives back: an end that was agreed on is the best there is.
    best = _best_finished(search)
    assert best is not None
    yield from _tell(search, best, told, best.tokens.shape[1] - 1)


def _tell(search: Search, row: Live, begin: int, end: int) -> Iterator[tuple[int, float, torch.Tensor | None]]:
    for place in range(begin, end):
        looked = None
        if search.seen:
            looked = search.seen[place][int(row.trail[0, place]) - search.offsets[place]]
        word = int(search.words.ids(row.tokens[0, place + 1]))
        yield word, float(row.said[0, place]), looked


def _row(live: Live, row: int) -> Live:
    at = torch.tensor([row], device=live.tokens.device)
    return Live(live.sentence[at], live.tokens[at], live.scores[at], live.said[at], live.trail[at], None)


def _best_finished(search: Search) -> Live | None:
    ranked = [
        (missing, -value, event, row)
        for event, ended in enumerate(search.ended)
        for row, (missing, value) in enumerate(zip(ended.missing.tolist(), ended.rank.tolist(), strict=True))
    ]
    if not ranked:
        return None
    _, _, event, row = min(ranked)
    return _row(search.ended[event].rows, row)


def _agreed(candidates: list[torch.Tensor]) -> int:
    """On how many first tokens all rows agree."""
    first = candidates[0][0]
    least = min(rows.shape[1] for rows in candidates)
    same = torch.ones(least, dtype=torch.bool, device=first.device)
    for rows in candidates:
        same &= (rows[:, :least] == first[:least]).all(0)
    return int(same.int().cumprod(0).sum())


def texts(target: Tokenizer, ids: Iterator[tuple[int, float, torch.Tensor | None]]) -> Iterator[Token]:
    """Tokens with the text that each adds. A character spelt in several tokens comes with its last one; one that is
    never whole comes with the end."""
    said: list[int] = []
    told = ""
    for word, score, looked in ids:
        said.append(word)
        text = target.decode(said)
        new = ""
        if text.startswith(told) and (word == EOS or not text.endswith("\ufffd")):
            new, told = text[len(told) :], text
        attention = None if looked is None else looked.float().cpu().numpy()
        yield Token(target.pieces([word])[0], new, score, attention)
