"""All heads of all layers on one page: a grid of small maps, one of which is shown large."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Any

import numpy as np

from ojak.errors import UseError
from ojak.look.document import document, part
from ojak.look.drawing import one_line
from ojak.look.labels import label, language
from ojak.look.scale import NIGHT, PAPER
from ojak.maps import Heads, Values
from ojak.words import word_starts


def heads(shown: Heads) -> str:
    """A self-contained page over the attention of all heads, of encoder, decoder and that over the source, as far as
    the model has them. Nothing is fetched. UseError where there is nothing to show."""
    translation = shown.translation
    source, target = translation.source_tokens, translation.tokens
    parts = [
        _part("Encoder", "To make of “{row}” what it made, the encoder read", shown.encoder, source, source),
        _part("Over the source", "To write “{row}” it read of the source", shown.cross, target, source),
        _part("Decoder", "To write “{row}” it read of what it had said", shown.decoder, target, shown.before),
    ]
    there = [each for each in parts if each["heads"]]
    if not there:
        raise UseError("A page of heads needs a model with attention; this one squeezes the source into one vector.")
    data = {
        "paper": PAPER,
        "night": NIGHT,
        "source": one_line(translation.source),
        "text": one_line(translation.text),
        "source_lang": language(translation.source),
        "text_lang": language(translation.text),
        "parts": there,
    }
    title = f"All heads: {one_line(translation.source)}"
    return document(title, part("heads.html"), data, part("heads.css"), part("heads.js"))


def _part(name: str, about: str, weights: Values, rows: Sequence[str], columns: Sequence[str]) -> dict[str, Any]:
    """One kind of attention for the page. Weights are written as bytes, 255 for 1, which is as fine as colours are and
    a fifth of the size of numbers: a long sentence has a hundred maps of thousands of cells."""
    levels = np.rint(np.clip(weights, 0, 1) * 255).astype(np.uint8)
    return {
        "name": name,
        "about": about,
        "layers": levels.shape[0],
        "heads": levels.shape[1] if levels.shape[0] else 0,
        "weights": base64.b64encode(levels.tobytes()).decode("ascii"),
        "rows": [label(token) for token in rows],
        "columns": [label(token) for token in columns],
        "row_gaps": word_starts(rows),
        "column_gaps": word_starts(columns),
    }
