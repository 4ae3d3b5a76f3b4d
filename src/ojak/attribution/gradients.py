"""How the log-probability of a target token moves with the word vectors: gradient × input and integrated gradients.

Written out rather than taken from captum, which asks for matplotlib; held to captum's numbers by the tests.
"""

from __future__ import annotations

import copy
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ojak.batch import Batch
from ojak.model.embedding import Given
from ojak.model.seam import Seq2Seq
from ojak.search import forced
from ojak.text.vocabulary import BOS, EOS

TOKENS = 4096
"""source and target tokens that go through the model at once"""
STEPS = (32, 128, 512)
"""of integrated gradients: more where fewer miss the sum by over NEAR nats, and where the model then reads no more than
MOST tokens, which takes some ten seconds"""
NEAR = 0.1
MOST = 200_000

_switch = threading.Lock()


@dataclass(frozen=True)
class Vectors:
    """The word vectors of both sides: source (S,D) and target so far (T,D)."""

    source: Tensor
    target: Tensor


def word_vectors(model: Seq2Seq, pair: Batch) -> Vectors:
    """Those of a pair, as the encoder and the decoder get them."""
    with torch.no_grad():
        return Vectors(model.source(pair.source, model.dtype)[0], model.target(pair.target_in, model.dtype)[0])


def no_words(pair: Batch, vectors: Vectors, source: bool = True, target: bool = True) -> Vectors:
    """The vectors with zeros in the place of the words of the sides asked for.

    The end of the source and the beginning of the target are no words: they stay, and so do all places.
    """
    ends, begins = (pair.source[0] == EOS).unsqueeze(1), (pair.target_in[0] == BOS).unsqueeze(1)
    return Vectors(
        vectors.source * ends if source else vectors.source, vectors.target * begins if target else vectors.target
    )


def given(model: Seq2Seq, source: Tensor, target: Tensor) -> Seq2Seq:
    """The model, which reads these vectors (N,S,D) and (N,T,D) whatever the ids. It shares all weights with `model`,
    on which nothing is left."""
    # The shallow copy of a module shares the table of its parts, so that one is copied too.
    reading = copy.copy(model)
    reading._modules = {**model._modules, "source": Given(source), "target": Given(target)}
    return reading


def said(model: Seq2Seq, pair: Batch, source: Tensor, target: Tensor, at: Tensor) -> Tensor:
    """The log-probability (N) of target token `at` (N), for the word vectors (N,S,D) and (N,T,D) of each row."""
    count, length = target.shape[:2]
    reading = given(model, source, target)
    ids = pair.source.expand(count, -1), pair.target_in[:, :length].expand(count, -1)
    states = reading(*ids).states[torch.arange(count, device=at.device), at]
    return forced.log_probabilities(reading.output(states), pair.target_out[0, at])


@contextmanager
def way_back(device: torch.device) -> Iterator[None]:
    """Lets gradients go back through a recurrence on a GPU: cuDNN's goes back in training alone, which this is not. Its
    switch is the whole process's, so one thread at a time turns it."""
    if device.type != "cuda":
        yield
        return
    with _switch, torch.backends.cudnn.flags(enabled=False):
        yield


def along(model: Seq2Seq, pair: Batch, points: Sequence[Vectors], shares: Sequence[float], by: Vectors) -> Vectors:
    """Σ_p share_p ∂ log p(y_t) / ∂x_j · by_j, with the gradients taken at the `points`: of the source's tokens (T,S),
    and of the target's so far (T,T).

    A row for each point and token, and one way back for many of them: the sum of the rows' scores has each row's own
    gradient at its own vectors. Rows are in the order of t, since a token's prefix is all of the target it needs.
    """
    length, source_length = pair.target_out.shape[1], pair.source.shape[1]
    found = by.source.new_zeros(length, source_length), by.source.new_zeros(length, length)
    rows = [(place, t) for t in range(length) for place in range(len(points))]
    first = 0
    while first < len(rows):
        here = rows[first : first + max(1, TOKENS // (source_length + rows[first][1] + 1))]
        first += len(here)
        at, most = torch.tensor([t for _, t in here], device=pair.source.device), here[-1][1] + 1
        source = torch.stack([points[place].source for place, _ in here]).requires_grad_()
        target = torch.stack([points[place].target[:most] for place, _ in here]).requires_grad_()
        with torch.enable_grad(), way_back(at.device):
            ways = torch.autograd.grad(said(model, pair, source, target, at).sum(), (source, target))
        share = torch.tensor([shares[place] for place, _ in here], dtype=source.dtype, device=at.device)
        for into, way, word in zip(found, ways, (by.source, by.target[:most]), strict=True):
            into[:, : len(word)].index_add_(0, at, torch.einsum("n,njd,jd->nj", share, way, word))
    return Vectors(*found)


def gradient_input(model: Seq2Seq, pair: Batch) -> Vectors:
    """x_j · ∂ log p(y_t) / ∂x_j (Denil 2014) of each source token, (T,S), and of each token before, (T,T)."""
    words = word_vectors(model, pair)
    return along(model, pair, [words], [1.0], words)


def integrated(model: Seq2Seq, pair: Batch, steps: int = 32, target: bool = False, slow: int = 4) -> Vectors:
    """Integrated gradients (Sundararajan 2017, equation 1), from a sentence of no words, by Gauss-Legendre of `steps`.

    Source (T,S) and tokens before (T,T); these are 0 unless `target`, where the path begins with no words on either
    side. A row sums to log p(y_t) less what it is with no words: how nearly is told by `missed`.

    The straight path is walked as u^slow for u from 0 to 1, which changes nothing of the integral. A layer norm sees a
    word of a thousandth its length much as the whole one, so a Transformer turns about near the beginning, where even
    steps would pass it by.
    """
    words = word_vectors(model, pair)
    none = no_words(pair, words, target=target)
    places, shares = np.polynomial.legendre.leggauss(steps)
    places = (1 + places) / 2
    shares = shares / 2 * slow * places ** (slow - 1)
    points = [
        Vectors(torch.lerp(none.source, words.source, place), torch.lerp(none.target, words.target, place))
        for place in (places**slow).tolist()
    ]
    by = Vectors(words.source - none.source, words.target - none.target)
    return along(model, pair, points, shares.tolist(), by)


def refined(model: Seq2Seq, pair: Batch, target: bool = False) -> tuple[Vectors, float]:
    """`integrated` by the fewest of STEPS that suffice, and by how much rows still miss their sum (`missed`)."""
    tokens = pair.target_out.shape[1] * (pair.source.shape[1] + pair.target_out.shape[1])
    first, *others = STEPS
    found = integrated(model, pair, first, target)
    off = missed(model, pair, found, target)
    for steps in others:
        if off <= NEAR or steps * tokens > MOST:
            break
        found = integrated(model, pair, steps, target)
        off = missed(model, pair, found, target)
    return found, off


def value(model: Seq2Seq, pair: Batch, vectors: Vectors) -> Tensor:
    """log p(y_t) of each target token (T), for these word vectors, in double precision."""
    reading = given(model, vectors.source.unsqueeze(0), vectors.target.unsqueeze(0))
    with torch.no_grad():
        return forced.token_scores(reading, reading(pair.source, pair.target_in).states, pair.target_out)[0]


def missed(model: Seq2Seq, pair: Batch, found: Vectors, target: bool = False) -> float:
    """By how much a row of integrated gradients misses what it should sum to, at most; in nats."""
    words = word_vectors(model, pair)
    due = value(model, pair, words) - value(model, pair, no_words(pair, words, target=target))
    return float((found.source.sum(1) + found.target.sum(1) - due).abs().max())
