"""The attention of one or more translations as one HTML page that works offline."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from typing import Any

from ojak.errors import UseError
from ojak.look.document import document, part
from ojak.look.drawing import AXES, Drawing, check, drawing, one_line
from ojak.look.labels import label, language
from ojak.look.scale import NIGHT, NIGHT_BELOW, PAPER, PAPER_BELOW
from ojak.look.svg import draw
from ojak.maps import Map
from ojak.result import Translation, view_indices
from ojak.words import word_starts

_DIGITS = 4  # of a weight in the page: finer than any eye or readout, and small to store


def html(shown: Translation | Map | Sequence[Translation], view: str = "mean", others: Sequence[Map] = ()) -> str:
    """A self-contained page with the attention map of every view, of one translation or of several to choose from; or
    with a Map, and `others` of the same rows and columns.

    Nothing is fetched: style, script and numbers are in the page, which a content policy of its own holds to. `view`
    is the one of a Translation that is shown first. UseError where a translation has no attention, or there is no
    translation or no such view.
    """
    if isinstance(shown, Map):
        view, sentences = shown.view, [_maps([shown, *others])]
    else:
        several = [shown] if isinstance(shown, Translation) else list(shown)
        if not several:
            raise UseError("A page of attention needs at least one translation; found none.")
        sentences = [_sentence(each, view) for each in several]
    data = {
        "view": view,
        "paper": PAPER,
        "night": NIGHT,
        "paper_below": PAPER_BELOW,
        "night_below": NIGHT_BELOW,
        "sentences": sentences,
    }
    title = f"Attention: {sentences[0]['source']}" if len(sentences) == 1 else "Attention"
    return document(title, part("page.html"), data, script=part("page.js"))


def _sentence(translation: Translation, view: str) -> dict[str, Any]:
    """One translation for the page; `weights` is K lists of T rows of S numbers."""
    check(translation)
    view_indices(translation.views, view)  # a page must not open on a view that it has not
    assert translation.attention is not None
    count = len(translation.views)
    return {
        **_texts(translation),
        **_tokens(translation.source_tokens, translation.tokens),
        "axes": ["source", "target"],
        "heads": count,
        "views": list(translation.views),
        "names": list(translation.views),
        "weights": translation.attention.transpose(1, 0, 2).astype(float).round(_DIGITS).tolist(),
        "scales": [{"most": 1.0, "signed": False, "digits": 2, "unit": "weight", "notes": []}] * count,
    }


def _maps(maps: Sequence[Map]) -> dict[str, Any]:
    """Maps of one translation for the page: the attention of all its heads before them, where it was recorded and is of
    the same tokens."""
    first, translation = maps[0], maps[0].translation
    drawings = [drawing(each) for each in maps]
    fitting = first.rows == translation.tokens and first.columns == translation.source_tokens
    if fitting and first.view not in AXES and translation.attention is not None and translation.views:
        made = _sentence(translation, "mean")
    else:
        made = {**_texts(translation), **_tokens(first.columns, first.rows), "axes": list(drawings[0].axes), "heads": 0}
        made |= {"views": [], "names": [], "weights": [], "scales": []}
    for each, drawn in zip(maps, drawings, strict=True):
        assert each.rows == first.rows and each.columns == first.columns
        made["views"].append(each.view)
        made["names"].append(drawn.name)
        made["weights"].append(each.values.astype(float).round(_DIGITS).tolist())
        made["scales"].append(
            {
                "most": drawn.most,
                "signed": drawn.signed,
                "digits": drawn.digits,
                "unit": drawn.unit,
                "notes": list(drawn.notes),
            }
        )
    return made


def _texts(translation: Translation) -> dict[str, Any]:
    return {
        "source": one_line(translation.source),
        "text": one_line(translation.text),
        "source_lang": language(translation.source),
        "text_lang": language(translation.text),
        "score": translation.score,
        "alternatives": [{"text": one_line(each.text), "score": each.score} for each in translation.alternatives],
        "warnings": [one_line(each) for each in translation.warnings],
    }


def _tokens(source: Sequence[str], target: Sequence[str]) -> dict[str, Any]:
    return {
        "source_tokens": list(source),
        "tokens": list(target),
        "source_labels": [label(token) for token in source],
        "labels": [label(token) for token in target],
        "source_gaps": word_starts(source),
        "gaps": word_starts(target),
    }


def notebook(shown: Translation | Map) -> str:
    """A Map, or a translation, as a short piece of HTML for a notebook: the texts, and the map, of a translation the
    mean where there is attention."""
    translation = shown.translation if isinstance(shown, Map) else shown
    texts = "".join(
        f"<div{_lang(text)}><small>{name}</small> {escape(one_line(text))}</div>"
        for name, text in (("source", translation.source), ("target", translation.text))
    )
    notes = "".join(f"<div><small>warning</small> {escape(one_line(each))}</div>" for each in translation.warnings)
    figure = ""
    if isinstance(shown, Map) or (translation.attention is not None and translation.views):
        try:
            drawn: Drawing = drawing(shown)
        except UseError as error:  # a notebook shows what it can: an error here would hide the text as well
            figure = f"<div><small>no map</small> {escape(str(error))}</div>"
        else:
            # The notebook's column may be narrower than the map.
            figure = draw(drawn).replace("<svg ", '<svg style="max-width:100%;height:auto" ', 1)
    return f'<div class="ojak-translation">{texts}{notes}{figure}</div>'


def _lang(text: str) -> str:
    code = language(text)
    return f' lang="{code}"' if code else ""
