"""The attention of one or more translations as one HTML page that works offline."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from string import Template
from typing import Any

from ojak.errors import UseError
from ojak.look.drawing import Drawing, check, drawing, one_line
from ojak.look.labels import label, language, word_starts
from ojak.look.scale import NIGHT, PAPER
from ojak.look.svg import FONTS, draw
from ojak.result import Translation, view_indices

_DIGITS = 4  # of a weight in the page: finer than any eye or readout, and small to store


def html(translation: Translation | Sequence[Translation], view: str = "mean") -> str:
    """A self-contained page with the attention map of every view, of one translation or of several to choose from.

    Nothing is fetched: style, script and numbers are in the page, which a content policy of its own holds to. `view`
    is the one shown first. UseError where a translation has no attention, or there is no translation or no such view.
    """
    several = [translation] if isinstance(translation, Translation) else list(translation)
    if not several:
        raise UseError("A page of attention needs at least one translation; found none.")
    data = {
        "view": view,
        "paper": PAPER,
        "night": NIGHT,
        "sentences": [_sentence(each, view) for each in several],
    }
    title = f"Attention: {one_line(several[0].source)}" if len(several) == 1 else "Attention"
    return Template(_part("page.html")).substitute(
        title=escape(title),
        style=_part("page.css").replace("FONTS", FONTS),
        script=_part("page.js"),
        data=script_json(data),
    )


def _sentence(translation: Translation, view: str) -> dict[str, Any]:
    """One translation for the page; `weights` is K lists of T rows of S numbers."""
    check(translation)
    view_indices(translation.views, view)  # a page must not open on a view that it has not
    assert translation.attention is not None
    weights = translation.attention.transpose(1, 0, 2).astype(float).round(_DIGITS)
    return {
        "source": one_line(translation.source),
        "text": one_line(translation.text),
        "source_lang": language(translation.source),
        "text_lang": language(translation.text),
        "source_tokens": list(translation.source_tokens),
        "tokens": list(translation.tokens),
        "source_labels": [label(token) for token in translation.source_tokens],
        "labels": [label(token) for token in translation.tokens],
        "source_gaps": word_starts(translation.source_tokens),
        "gaps": word_starts(translation.tokens),
        "views": list(translation.views),
        "weights": weights.tolist(),
        "score": translation.score,
        "alternatives": [{"text": one_line(each.text), "score": each.score} for each in translation.alternatives],
        "warnings": [one_line(each) for each in translation.warnings],
    }


def script_json(data: dict[str, Any]) -> str:
    """JSON that may stand inside a script element: nothing in it can close the element or upset a reader."""
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"))
    # The characters escaped can stand in strings only, so every one may be written by its number.
    return re.sub(
        "[<>&\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufdd0-\ufdef\ufeff\ufffe\uffff]",
        lambda found: f"\\u{ord(found[0]):04x}",
        text,
    )


def _part(name: str) -> str:
    return (files("ojak.look") / name).read_text(encoding="utf-8")


def notebook(translation: Translation) -> str:
    """A translation as a short piece of HTML for a notebook: the texts, and the mean map where there is attention."""
    texts = "".join(
        f"<div{_lang(text)}><small>{name}</small> {escape(one_line(text))}</div>"
        for name, text in (("source", translation.source), ("target", translation.text))
    )
    notes = "".join(f"<div><small>warning</small> {escape(one_line(each))}</div>" for each in translation.warnings)
    figure = ""
    if translation.attention is not None and translation.views:
        try:
            drawn: Drawing = drawing(translation)
        except UseError as error:  # a notebook shows what it can: an error here would hide the text as well
            figure = f"<div><small>no map</small> {escape(str(error))}</div>"
        else:
            # The notebook's column may be narrower than the map.
            figure = draw(drawn).replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
    return f'<div class="ojak-translation">{texts}{notes}{figure}</div>'


def _lang(text: str) -> str:
    code = language(text)
    return f' lang="{code}"' if code else ""
