"""One sentence and its translation, opened: every view of it, as Maps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from ojak.attribution import attention, gradients, occlusion, share
from ojak.attribution.agreement import told
from ojak.batch import Batch
from ojak.errors import UseError
from ojak.maps import Heads, Map, Values
from ojak.model.ensemble import Ensemble
from ojak.model.inside import SelfAttends, Transforms
from ojak.model.seam import Seq2Seq
from ojak.result import Translation, layers, view_indices
from ojak.text.vocabulary import BOS, SPECIALS
from ojak.words import groups, joined, merged

View = Literal["weights", "norms", "rollout", "occlusion", "gradient", "integrated", "share"]
VIEWS: dict[str, str] = {
    "weights": "attention weights",
    "norms": "attention norms",
    "rollout": "attention rollout",
    "occlusion": "occlusion",
    "gradient": "gradient × input",
    "integrated": "integrated gradients",
    "share": "source and what was said before",
}
"""what each view is called in words"""

COMPARED = ("weights", "norms", "rollout", "occlusion", "gradient", "integrated")
"""the views that set source words in an order, which can be compared"""
QUICK = tuple(view for view in COMPARED if view != "integrated")
"""those that are worked out for no more than to be compared with: integrated gradients take ten times as long as all
others together"""
_OF_ATTENTION = ("weights", "norms", "rollout")
_OF_GRADIENTS = ("gradient", "integrated")

NOTES = {
    "weights": "Weights show what was read, not why a word was chosen.",
    "norms": "The share of each source token in the length of what attention adds, the norm of α f(x): read, not why.",
    "rollout": "Weights carried down through the encoder, half of each layer its residual: what was read, not why.",
    "occlusion": "The log-probability of the target token less what it is when the source token is taken out.",
    "gradient": "Source word vector times the gradient of the target token's log-probability: a first-order estimate.",
    "share": "Shapley values of the two: together, the token's log-probability less what it is without any words.",
}
"""what the numbers of each view are, in a plain sentence"""


class Inside:
    """What a model does with one sentence and a translation of it, its own or a given one.

    `pair` is the batch of this one pair. Maps are of the translation's tokens, or of words where that is asked for.
    """

    def __init__(self, model: Seq2Seq, pair: Batch, translation: Translation) -> None:
        self.model, self.pair, self.translation = model, pair, translation

    def why_not(self, view: str) -> str | None:
        """Why the view has no meaning for this model; None where it has one."""
        if view in _OF_ATTENTION and not self.model.views:
            return (
                "The model must have attention to show where it looked, but this one has no attention views: it "
                "squeezes the source into one vector. Look by occlusion, gradient or integrated; or train with "
                "model.attention=additive (or dot, general, scaled_dot), or with model.architecture=transformer."
            )
        if isinstance(self.model, Ensemble) and view not in ("weights", "occlusion"):
            return f"An ensemble is several models, and {view} is asked of one; look at each of the runs by itself."
        if view == "norms" and not isinstance(self.model, Transforms):
            return "Norms need the vectors that attention adds, which this model does not tell."
        if view in ("rollout", "encoder", "decoder") and not isinstance(self.model, SelfAttends):
            return (
                f"{'Rollout goes' if view == 'rollout' else 'These maps go'} through layers of self-attention, but "
                "this model's encoder and decoder are recurrent and have none; train with "
                "model.architecture=transformer."
            )
        return None

    @property
    def views(self) -> list[str]:
        """The views that have a meaning for this model."""
        return [view for view in VIEWS if self.why_not(view) is None]

    def map(
        self,
        view: str = "weights",
        layer: int | None = None,
        head: int | None = None,
        words: bool = False,
        before: bool = False,
    ) -> Map:
        """The map (target, source) of one view.

        `view` is one of VIEWS, or the name of an attention view or of a layer, which means its weights. A `layer` and a
        `head` can be chosen of those that attention makes (weights, norms, rollout), counted from 0; all are meant
        where none is chosen. `words` merges pieces: a word is taken out as a whole by occlusion, else the columns of
        its pieces are added; of its rows there is the sum of log-probabilities, or the mean of shares. `before`
        (gradient, integrated) adds columns for the target tokens before. Raises UseError where the view is unknown, or
        has no meaning for the model.
        """
        named = "" if view in VIEWS else view
        view = view if view in VIEWS else "weights"
        if (reason := self.why_not(view)) is not None:
            raise UseError(reason)
        if view not in _OF_ATTENTION and (layer is not None or head is not None):
            raise UseError(f"Layers and heads are of attention, and {view} is of the whole model; leave them out.")
        if before and view not in _OF_GRADIENTS:
            raise UseError(f"Target words before can be shown by {' or '.join(_OF_GRADIENTS)}; found {view}.")
        name = named or (attention.chosen(self.model.views, layer, head) if view in _OF_ATTENTION else "")
        if named:
            self._check(named, layer, head)
        if view == "share":
            return self._share(words)
        names = self.translation.source_tokens
        parts = groups(names) if words else [[place] for place in range(len(names))]
        values, notes = self._values(view, name, parts, before)
        if words and view == "occlusion":  # which takes out whole words, so that its columns are words already
            names = tuple(joined([names[place] for place in part]) for part in parts)
            parts = [[place] for place in range(len(names))]
        if before:
            parts += [[len(names) + place for place in part] for part in groups(self._before)]
            names += self._before
        made = Map(
            view=view,
            name=VIEWS[view] + self._which(name),
            unit="share" if view in _OF_ATTENTION else "nats",
            values=values,
            rows=self.translation.tokens,
            columns=names,
            translation=self.translation,
            notes=notes,
        )
        return _of_words(made, parts) if words else made

    def compared(self, shown: Map, views: Sequence[str] = QUICK, words: bool = False) -> tuple[Map, list[Map]]:
        """The map and those of other views, each with a note of how far the rest agree with it.

        Views that have no meaning for the model are passed over; attention is that of all layers.
        """
        if shown.view not in COMPARED or SPECIALS[BOS] in shown.columns:
            return shown, []
        others = [self.map(view, words=words) for view in views if view != shown.view and self.why_not(view) is None]
        every = [shown, *others]
        noted = [
            replace(one, notes=(*one.notes, *told(one, [other for other in every if other is not one])))
            for one in every
        ]
        return noted[0], noted[1:]

    def self_map(self, side: str, layer: int | None = None, head: int | None = None) -> Map:
        """Where the tokens of the `encoder` or the `decoder` look among their own, (S,S) or (T,T): a layer's mean, a
        head, or the mean of all. Raises UseError where there is no such thing.

        The decoder's row of a token tells what was read to say it: the beginning of the sentence, and what was said.
        """
        if (reason := self.why_not(side)) is not None:
            raise UseError(reason)
        found = attention.self_weights(self.model, self.pair)[side == "decoder"]
        names = [f"layer{number}.head{place}" for number in range(len(found)) for place in range(found.shape[1])]
        name = attention.chosen(names, layer, head)
        flat = found.flatten(0, 1)
        chosen = [place for place, each in enumerate(names) if name == "mean" or f"{each}.".startswith(f"{name}.")]
        own = self.translation.source_tokens if side == "encoder" else self.translation.tokens
        return Map(
            view=side,
            name=f"self-attention of the {side}" + self._which(name, names),
            unit="share",
            values=_numpy(flat[chosen].mean(0)),
            rows=own,
            columns=own if side == "encoder" else self._before,
            translation=self.translation,
            notes=(NOTES["weights"],),
        )

    def heads(self) -> Heads:
        """All heads of all layers. Raises UseError where the model has no attention, or is several models."""
        if (reason := self.why_not("weights")) is not None:
            raise UseError(reason)
        if isinstance(self.model, Ensemble):
            raise UseError(str(self.why_not("encoder")))
        source, target = len(self.translation.source_tokens), len(self.translation.tokens)
        encoder: Values = np.zeros((0, 0, source, source), np.float32)
        decoder: Values = np.zeros((0, 0, target, target), np.float32)
        if self.why_not("encoder") is None:
            found = attention.self_weights(self.model, self.pair)
            encoder, decoder = _numpy(found[0]), _numpy(found[1])
        cross = _numpy(attention.cross_weights(self.model, self.pair).transpose(0, 1))
        cross = cross.reshape(len(layers(self.model.views)), -1, *cross.shape[1:])
        return Heads(self.translation, encoder, cross, decoder, self._before)

    @property
    def _before(self) -> tuple[str, ...]:
        """What the decoder read for each target token: the one before it."""
        return (SPECIALS[BOS], *self.translation.tokens[:-1])

    def _check(self, named: str, layer: int | None, head: int | None) -> None:
        """Raises UseError unless attention has the view or the layer named, and that is all that was said."""
        if layer is not None or head is not None:
            raise UseError(f"The view {named!r} says which attention is meant: leave --layer and --head out.")
        try:
            view_indices(self.model.views, named)
        except UseError:
            raise UseError(
                f"The view must be one of {', '.join(VIEWS)}; or of the weights 'mean', a layer, or one of "
                f"{', '.join(self.model.views)}; found {named!r}."
            ) from None

    def _values(
        self, view: str, name: str, parts: Sequence[Sequence[int]], before: bool
    ) -> tuple[Values, tuple[str, ...]]:
        """The numbers of a view, (T,S), those of the tokens before beside them if asked for; of occlusion (T,parts).
        And what is to be said of them."""
        model, pair, notes = self.model, self.pair, (NOTES.get(view, ""),)
        ways: dict[str, Callable[[Seq2Seq, Batch, str], Tensor]] = {
            "weights": attention.weights, "norms": attention.norms, "rollout": attention.rollout,
        }  # fmt: skip
        if view in ways:
            with torch.inference_mode():
                return _numpy(ways[view](model, pair, name)), notes
        if view == "occlusion":
            with torch.inference_mode():
                return _numpy(occlusion.occlusion(model, pair, parts)), notes
        if view == "gradient":
            found = gradients.gradient_input(model, pair)
        else:
            found, off = gradients.refined(model, pair, before)
            without = "any words" if before else "source words"
            notes = (f"A row sums to its token's log-probability less that without {without}, to within {off:.2f}.",)
        return _numpy(torch.cat([found.source, found.target], 1) if before else found.source), notes

    def _share(self, words: bool) -> Map:
        made = Map(
            view="share",
            name=VIEWS["share"],
            unit="nats",
            values=_numpy(share.share(self.model, self.pair)),
            rows=self.translation.tokens,
            columns=("source", "before"),
            translation=self.translation,
            notes=(NOTES["share"],),
        )
        made = _of_words(made, [[0], [1]]) if words else made
        return replace(made, beside=tuple(map(_of_source, made.values)))

    def _which(self, name: str, views: Sequence[str] | None = None) -> str:
        """Which views are meant, in words."""
        every = self.model.views if views is None else views
        if not name:
            return ""
        if name == "mean":
            return f", mean of {len(every)} views" if len(every) > 1 else f", {every[0]}"
        return f", {name}" if name in every else f", {name}, all its heads"


def _of_source(values: Values) -> str:
    """The source's share of what helped; negative contributions count as none."""
    helped = np.maximum(values, 0)
    return f"source {helped[0] / helped.sum():.0%}" if helped.sum() > 0 else "neither helped"


def _of_words(made: Map, columns: Sequence[Sequence[int]]) -> Map:
    """The map with the pieces of each target word made one row, and each of these groups of columns one column."""
    rows = groups(made.rows)
    return replace(
        made,
        values=merged(made.values, rows, columns, mean=made.unit == "share"),
        rows=tuple(joined([made.rows[place] for place in group]) for group in rows),
        columns=tuple(joined([made.columns[place] for place in group]) for group in columns),
    )


def _numpy(values: Tensor) -> Values:
    return values.detach().float().cpu().numpy()
