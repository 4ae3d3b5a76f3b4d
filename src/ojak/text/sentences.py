"""Sentence splitting, for inputs that are longer than what a model was trained on."""

from __future__ import annotations

UNKNOWN = "en"  # whose rules serve a language without a code


def split_sentences(text: str, language: str) -> list[str]:
    """The sentences of `text`, in order, as they stand in it: joined they are `text` again, to the letter.

    White space after a sentence belongs to it; white space before the first one too. `language` is a code such as
    `ko` or `en-GB`; a language without rules of its own is cut by those of its nearest kin, as the library sentencex
    knows them, which were written for Wikipedia in 300 languages and need no model. Empty text gives no sentences.
    """
    if not text:
        return []
    import sentencex  # no time to import, but the tokenizers beside this file need none of it

    found: list[str] = sentencex.segment(language.replace("_", "-").split("-")[0].lower() or UNKNOWN, text)
    if "".join(found) != text:  # the library may trim; what a user gave is never lost
        return [text]
    sentences: list[str] = []
    for piece in found:
        if sentences and (not piece.strip() or not sentences[-1].strip()):
            sentences[-1] += piece
        else:
            sentences.append(piece)
    return sentences
