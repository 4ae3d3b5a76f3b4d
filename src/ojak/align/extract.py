"""What a model's attention says of words while it is forced to say the given targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ojak import batch
from ojak.align.reading import Reading, layers_of
from ojak.align.words import Cut, Matrix, merged
from ojak.model.inside import Transforms
from ojak.model.seam import Seq2Seq
from ojak.result import view_indices
from ojak.translate import TooLong, Translator

Values = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Seen:
    """A pair, and the attention of teacher-forcing it, over T steps and L layers. The last step reads the last token of
    the target and writes the end of the sentence; the last of the S columns is the end of the source."""

    source: Cut
    target: Cut
    views: tuple[str, ...]
    weights: Values
    """(T,K,S)"""
    norms: Values
    """(T,K,S), of each view"""
    layer_norms: Values
    """(T,L,S), of what all heads of a layer let through together"""

    def matrix(self, reading: Reading) -> Matrix:
        """Between words (target words, source words): the share of each source word in what was read for a target word,
        so that rows sum to 1. What was read of the end of the source is left out."""
        pieces = self._pieces(reading)
        rows = pieces[:-1] if reading.step == "output" else pieces[1:]
        shape = len(self.target.words), len(self.source.words)
        found = merged(rows[:, :-1], self.target.word_of, self.source.word_of, shape)
        total = found.sum(1, keepdims=True)
        found /= np.where(total > 0, total, 1)
        return found

    def _pieces(self, reading: Reading) -> Values:
        """(T,S)"""
        if reading.measure == "weights":
            chosen: Values = self.weights[:, view_indices(self.views, reading.view)].mean(1)
            return chosen
        if reading.view in self.views:
            return self.norms[:, self.views.index(reading.view)]
        # Heads of a layer are added up, so that what they let through can cancel out; layers are not.
        layers = layers_of(self.views)
        one = [layers.index(reading.view)] if reading.view in layers else range(len(layers))
        several: Values = self.layer_norms[:, list(one)].mean(1)
        return several


def cut(translator: Translator, sources: Sequence[str], targets: Sequence[str]) -> list[tuple[Cut, Cut]]:
    """The words of each pair, as a model's tokenizers cut them. Raises TooLong, before any work is done, where a
    sentence has more tokens than the model takes."""
    left = [_cut(translator, "source", text, place) for place, text in enumerate(sources)]
    right = [_cut(translator, "target", text, place) for place, text in enumerate(targets)]
    return list(zip(left, right, strict=True))


def see(translator: Translator, pairs: Sequence[tuple[Cut, Cut]]) -> Iterator[tuple[int, Seen]]:
    """Each pair's place and what was seen of it, batch after batch, pairs of like length together."""
    lengths = np.array([[len(side.pieces) for side in pair] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    for chosen in batch.plan(lengths[:, 0], lengths[:, 1], translator.search.batch_tokens):
        for place, seen in zip(chosen, _forced(translator.model, [pairs[place] for place in chosen]), strict=True):
            yield int(place), seen


@torch.inference_mode()
def _forced(model: Seq2Seq, pairs: Sequence[tuple[Cut, Cut]]) -> list[Seen]:
    ids = batch.collate([source.pieces for source, _ in pairs], [target.pieces for _, target in pairs], model.device)
    state = model.start(model.encode(ids.source))
    assert isinstance(model, Transforms)
    transformed = model.transformed(state)
    weights = model.advance(ids.target_in, state, attend=True)[0].attention
    assert weights is not None
    norms, layer_norms = weigh_norms(weights, transformed, len(layers_of(model.views)))
    every = [_array(tensor) for tensor in (weights, norms, layer_norms)]
    found = []
    for row, (source, target) in enumerate(pairs):
        steps, width = len(target.pieces) + 1, len(source.pieces) + 1
        found.append(Seen(source, target, model.views, *(array[row, :steps, :, :width] for array in every)))
    return found


def weigh_norms(weights: Tensor, transformed: Tensor, layers: int) -> tuple[Tensor, Tensor]:
    """‖α f(x)‖ of each view (N,T,K,S) and ‖Σ_h α f(x)‖ over the heads of each layer (N,T,L,S), from the weights
    (N,T,K,S) and f(x) (N,K,S,E). Kobayashi 2020, equations 4 and 8."""
    norms = weights * transformed.norm(dim=3).unsqueeze(1)
    heads = weights.unflatten(2, (layers, -1))  # (N,T,L,H,S)
    vectors = transformed.unflatten(1, (layers, -1))  # (N,L,H,S,E)
    # ‖Σ α_h f_h‖² = Σ α_h α_g f_h·f_g, so that no tensor has T, S and E at once.
    products = torch.einsum("nlhse,nlgse->nlshg", vectors, vectors)
    squares = torch.einsum("ntlhs,nlshg,ntlgs->ntls", heads, products, heads)
    return norms, squares.clamp(min=0).sqrt()


def _array(tensor: Tensor) -> Values:
    found: Values = tensor.float().cpu().numpy()
    return found


def _cut(translator: Translator, side: str, text: str, place: int) -> Cut:
    cut = Cut.of(translator.source if side == "source" else translator.target, text)
    if len(cut.pieces) >= translator.longest:
        raise TooLong(
            f"A sentence must have at most {translator.longest - 1} tokens for this model, but the {side} has "
            f"{len(cut.pieces)} ({text[:40]!r}…). Leave it out, or train with a larger model.max_length.",
            place,
        )
    return cut
