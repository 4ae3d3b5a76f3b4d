"""What every figure is drawn from: the weights of one view and how its tokens, name and texts are written.

Shapes by the house's legend: T target tokens, K attention views, S source tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ojak.errors import UseError
from ojak.look.labels import label, visible
from ojak.maps import Map
from ojak.result import Attention, Translation, view_indices
from ojak.words import word_starts


@dataclass(frozen=True)
class Drawing:
    """One view of one translation, ready to be drawn.

    `weights` is `(T, S)`; `source` (S) and `target` (T) are the labels, of columns and rows; the gaps say before which
    of them a word begins. `name` is the view in words and `heading` the figure's; `text_in` and `text_out` are the
    sentence and its translation. `most` is the weight at the end of the scale, and `signed` says whether weights may be
    below zero; `unit` is what they are, `axes` what columns and rows are. `notes` are lines below the figure, `beside`
    a short one for each row, or nothing.
    """

    weights: Attention
    source: tuple[str, ...]
    target: tuple[str, ...]
    source_gaps: tuple[bool, ...]
    target_gaps: tuple[bool, ...]
    name: str
    heading: str
    text_in: str
    text_out: str
    most: float = 1.0
    signed: bool = False
    unit: str = "weight"
    axes: tuple[str, str] = ("source", "target")
    notes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def number(self, weight: float) -> str:
        """A weight as a figure writes it."""
        if not self.signed:
            return f"{weight:.2f}"
        return f"{weight:+.{1 if abs(weight) >= 10 else self.digits}f}"

    @property
    def digits(self) -> int:
        """Digits after the point of weights: more where the largest is small."""
        return 3 if self.most < 0.2 else 2


AXES = {"encoder": ("source", "source"), "decoder": ("before", "target"), "share": ("from", "target")}
"""what the columns and rows of a Map are, where they are not source and target"""


def drawing(shown: Translation | Map, view: str = "mean") -> Drawing:
    """The drawing of a Map, or of one view of a Translation; UseError where there is no attention, no such view, or the
    numbers are no weights."""
    return _of_map(shown) if isinstance(shown, Map) else _of_translation(shown, view)


def _of_map(shown: Map) -> Drawing:
    if shown.values.shape != (len(shown.rows), len(shown.columns)) or not np.isfinite(shown.values).all():
        raise UseError(
            f"A map must have finite numbers for {len(shown.rows)} rows and {len(shown.columns)} columns; found "
            f"{shown.values.shape}, or numbers that are none. Give a Map as it was returned."
        )
    signed = shown.unit == "nats"
    return Drawing(
        weights=shown.values,
        source=tuple(map(label, shown.columns)),
        target=tuple(map(label, shown.rows)),
        source_gaps=tuple(word_starts(shown.columns)),
        target_gaps=tuple(word_starts(shown.rows)),
        name=visible(shown.name),
        heading=visible(shown.name[:1].upper() + shown.name[1:]),
        text_in=one_line(shown.translation.source),
        text_out=one_line(shown.translation.text),
        most=float(np.abs(shown.values).max(initial=1e-6)) if signed else 1.0,
        signed=signed,
        unit="nats" if signed else "share" if shown.view in ("norms", "rollout") else "weight",
        axes=AXES.get(shown.view, ("source", "target")),
        notes=shown.notes,
        beside=shown.beside,
    )


def _of_translation(translation: Translation, view: str) -> Drawing:
    check(translation)
    name = view_name(translation.views, view)
    return Drawing(
        weights=translation.view(view),
        source=tuple(map(label, translation.source_tokens)),
        target=tuple(map(label, translation.tokens)),
        source_gaps=tuple(word_starts(translation.source_tokens)),
        target_gaps=tuple(word_starts(translation.tokens)),
        name=name,
        heading=f"Attention: {name}",
        text_in=one_line(translation.source),
        text_out=one_line(translation.text),
    )


def check(translation: Translation) -> None:
    """Raise a UseError unless the attention is `(T, K, S)` of this translation's tokens and views, and all finite."""
    attention = translation.require_attention()
    expected = (len(translation.tokens), len(translation.views), len(translation.source_tokens))
    if attention.shape != expected:
        raise UseError(
            "The attention must be (target tokens, views, source tokens) of the translation it belongs to, "
            f"{expected}; found {attention.shape}. Give a Translation as the translator returned it."
        )
    # A map of broken numbers would look like a map of small ones, so it is not drawn at all.
    if not np.isfinite(attention).all():
        raise UseError(
            "Attention weights must be finite numbers; found NaN or infinity. The model's weights are broken: "
            "translate with an earlier checkpoint."
        )


def view_name(views: tuple[str, ...], view: str) -> str:
    """The view in words: its own name, or what it is the mean of."""
    chosen = view_indices(views, view)
    if len(chosen) == 1:
        return visible(views[chosen[0]])
    return f"mean of {len(chosen)} views" if view == "mean" else f"{visible(view)}, mean of {len(chosen)} views"


def one_line(text: str) -> str:
    """The text for a caption: line ends and tabs are spaces there, other control characters are shown."""
    return visible(re.sub(r"[\t\n\r]+", " ", text))
