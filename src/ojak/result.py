"""What a translator gives back: a Translation, and the Alternatives beside it. numpy only, no torch.

Evaluation, looking, serving and export all speak Translation, whichever engine made it.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

from ojak.errors import UseError

Attention = npt.NDArray[np.float32]
"""Weights `(T, K, S)`: target token, attention view, source token. Each row over S sums to 1."""


@dataclass(frozen=True)
class Alternative:
    """One hypothesis of the search, as text.

    `score` is the sum of the log-probabilities (natural logarithm) of its tokens, end of sentence included, and
    `token_scores` has that of each.
    """

    text: str
    tokens: tuple[str, ...]
    score: float
    attention: Attention | None = field(default=None, repr=False, compare=False)
    token_scores: tuple[float, ...] = field(default=(), repr=False)


@dataclass(frozen=True)
class Translation:
    """A sentence, its translation, and where the model looked while it wrote each token.

    `source_tokens` (S) and `tokens` (T) are the pieces the model saw and wrote, end of sentence (`</s>`)
    included; `attention` is `(T, K, S)` over just these, or None when it was not asked for. `views` names the K
    views. `score` and `token_scores` are as in Alternative. `alternatives` holds the n best hypotheses after the first,
    best first. `warnings` says, for a reader, what is doubtful about this translation, and `missed` has the terms that
    were to appear and do not.
    """

    source: str
    text: str
    source_tokens: tuple[str, ...]
    tokens: tuple[str, ...]
    score: float
    attention: Attention | None = field(default=None, repr=False, compare=False)
    views: tuple[str, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    warnings: tuple[str, ...] = ()
    token_scores: tuple[float, ...] = field(default=(), repr=False)
    missed: tuple[str, ...] = ()

    @property
    def confidence(self) -> float:
        """The geometric mean of the probabilities of the tokens, from 0 to 1. It says how sure the model was, which is
        less than how right it is; 1 for an empty translation."""
        return math.exp(self.score / len(self.tokens)) if self.tokens else 1.0

    @property
    def copy_ratio(self) -> float:
        """The share of the translation's words that stand in the source too, case and punctuation aside."""
        words, there = _words(self.text), set(_words(self.source))
        return sum(word in there for word in words) / len(words) if words else 0.0

    def require_attention(self) -> Attention:
        """The attention, or a UseError that says why there is none and how to get it."""
        if self.attention is None:
            raise UseError(
                "Attention must be recorded while translating, but this translation was made without it; "
                "translate with attention=True."
            )
        if not self.views:
            raise UseError(
                "The model must have attention to show where it looked, but this one has no attention views: it "
                "squeezes the source into one vector. Train with model.attention=additive (or dot, general, "
                "scaled_dot), or with model.architecture=transformer."
            )
        return self.attention

    def view(self, name: str = "mean") -> Attention:
        """The weights `(T, S)` of one view by its name, or the mean over the views whose names start with `name`.

        `"mean"` is the mean over all views; `"layer2"` the mean over the heads of that layer.
        """
        attention = self.require_attention()
        chosen = view_indices(self.views, name)
        mean: Attention = attention[:, chosen].mean(axis=1)
        return mean

    def _repr_html_(self) -> str:
        """How a notebook draws it: the attention map, or the plain text where there is no attention."""
        from ojak.look.figures import notebook  # drawn only when a notebook asks

        return notebook(self)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain lists, numbers and strings, for JSON."""
        return {
            "source": self.source,
            "text": self.text,
            "source_tokens": list(self.source_tokens),
            "tokens": list(self.tokens),
            "score": self.score,
            "token_scores": list(self.token_scores),
            "confidence": self.confidence,
            "copy_ratio": self.copy_ratio,
            "views": list(self.views),
            "attention": None if self.attention is None else self.attention.tolist(),
            "alternatives": [_alternative(a) for a in self.alternatives],
            "warnings": list(self.warnings),
            "missed": list(self.missed),
        }


def _alternative(one: Alternative) -> dict[str, Any]:
    scores = list(one.token_scores)
    return {"text": one.text, "tokens": list(one.tokens), "score": one.score, "token_scores": scores}


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def view_indices(views: Sequence[str], name: str) -> list[int]:
    """The places in `views` that `name` stands for: one view, all views of a layer, or (`mean`) all of them."""
    if name == "mean":
        return list(range(len(views)))
    chosen = [i for i, view in enumerate(views) if view == name or view.startswith(name + ".")]
    if not chosen:
        raise UseError(f"The view must be 'mean', a layer, or one of {', '.join(views)}; found {name!r}.")
    return chosen


def layers(views: Sequence[str]) -> list[str]:
    """The layers that the views belong to, in their order; a view that is no head of one is a layer of its own."""
    return list(dict.fromkeys(view.partition(".")[0] for view in views))
