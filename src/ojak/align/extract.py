"""What a model's attention says of words while it is forced to say the given targets."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ojak import batch
from ojak.align.reading import MEASURES, Measure, Reading
from ojak.align.words import Cut, Matrix
from ojak.attribution.attention import lengths, norms_of
from ojak.maps import Values
from ojak.model.inside import Transforms
from ojak.model.seam import Seq2Seq
from ojak.result import view_indices
from ojak.translate import TooLong, Translator
from ojak.words import merged


@dataclass(frozen=True)
class Seen:
    """A pair, and the attention of teacher-forcing it, over T steps and L layers. The last step reads the last token of
    the target and writes the end of the sentence; the last of the S columns is the end of the source."""

    source: Cut
    target: Cut
    views: tuple[str, ...]
    weights: Values
    """(T,K,S)"""
    norms: tuple[Values, Values] | None
    """of each view (T,K,S), and of what all heads of a layer let through together (T,L,S); None where they were not
    asked for"""

    def matrix(self, reading: Reading) -> Matrix:
        """Between words (target words, source words): the share of each source word in what was read for a target word,
        so that rows sum to 1. What was read of the end of the source is left out.

        How much a word was looked at is the sum over its pieces; how it looked is the mean over its pieces (Kobayashi
        2020, section 5.1).
        """
        pieces = self._pieces(reading)
        rows = pieces[:-1] if reading.step == "output" else pieces[1:]
        found = merged(rows, self.target.groups, self.source.groups, mean=True)
        total = found.sum(1, keepdims=True)
        found /= np.where(total > 0, total, 1)
        return found

    def _pieces(self, reading: Reading) -> Values:
        """(T,S)"""
        if reading.measure == "weights":
            chosen: Values = self.weights[:, view_indices(self.views, reading.view)].mean(1)
            return chosen
        assert self.norms is not None, "norms must be asked for"
        return norms_of(reading.view, self.views, *self.norms)


def cut(translator: Translator, sources: Sequence[str], targets: Sequence[str]) -> list[tuple[Cut, Cut]]:
    """The words of each pair, as a model's tokenizers cut them. Raises TooLong, before any work is done, where a
    sentence has more tokens than the model takes."""
    left = [_cut(translator, "source", text, place) for place, text in enumerate(sources)]
    right = [_cut(translator, "target", text, place) for place, text in enumerate(targets)]
    return list(zip(left, right, strict=True))


def see(
    translator: Translator, pairs: Sequence[tuple[Cut, Cut]], measures: Sequence[Measure] = MEASURES
) -> Iterator[tuple[int, Seen]]:
    """Each pair's place and what was seen of it, batch after batch, pairs of like length together. Norms cost more than
    the weights do, and are worked out only where they are among the `measures`."""
    sizes = np.array([[len(side.pieces) for side in pair] for pair in pairs], dtype=np.int64).reshape(-1, 2)
    for chosen in batch.plan(sizes[:, 0], sizes[:, 1], translator.search.batch_tokens):
        here = _forced(translator.model, [pairs[place] for place in chosen], "norms" in measures)
        for place, seen in zip(chosen, here, strict=True):
            yield int(place), seen


@torch.inference_mode()
def _forced(model: Seq2Seq, pairs: Sequence[tuple[Cut, Cut]], norms: bool) -> list[Seen]:
    ids = batch.collate([source.pieces for source, _ in pairs], [target.pieces for _, target in pairs], model.device)
    state = model.start(model.encode(ids.source))
    assert isinstance(model, Transforms)
    vectors = model.transformed(state) if norms else None
    weights = model.advance(ids.target_in, state, attend=True)[0].attention
    assert weights is not None
    every = [weights, *(lengths(weights, vectors, model.views) if vectors is not None else ())]
    arrays: list[Values] = [tensor.float().cpu().numpy() for tensor in every]
    found = []
    for row, (source, target) in enumerate(pairs):
        steps, width = len(target.pieces) + 1, len(source.pieces) + 1
        mine, *both = (array[row, :steps, :, :width] for array in arrays)
        found.append(Seen(source, target, model.views, mine, (both[0], both[1]) if both else None))
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
