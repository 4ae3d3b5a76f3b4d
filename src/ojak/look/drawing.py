"""What every figure is drawn from: the weights of one view and how its tokens, name and texts are written.

Shapes by the house's legend: T target tokens, K attention views, S source tokens.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

import numpy as np

from ojak.errors import UseError
from ojak.look.labels import label, visible, word_starts
from ojak.result import Attention, Translation, view_indices


@dataclass(frozen=True)
class Drawing:
    """One view of one translation, ready to be drawn.

    `weights` is `(T, S)`; `source` (S) and `target` (T) are the labels; the gaps say before which of them a word
    begins. `name` is the view in words; `text_in` and `text_out` are the sentence and its translation.
    """

    weights: Attention
    source: tuple[str, ...]
    target: tuple[str, ...]
    source_gaps: tuple[bool, ...]
    target_gaps: tuple[bool, ...]
    name: str
    text_in: str
    text_out: str


def drawing(translation: Translation, view: str = "mean") -> Drawing:
    """The drawing of one view; UseError where there is no attention, no such view, or the numbers are no weights."""
    check(translation)
    return Drawing(
        weights=translation.view(view),
        source=tuple(map(label, translation.source_tokens)),
        target=tuple(map(label, translation.tokens)),
        source_gaps=tuple(word_starts(translation.source_tokens)),
        target_gaps=tuple(word_starts(translation.tokens)),
        name=view_name(translation.views, view),
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
