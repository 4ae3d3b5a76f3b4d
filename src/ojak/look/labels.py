"""How tokens are written in a figure: readable, the same in every output, and of a known width.

The rule for subwords is one for all figures: the mark `▁` that opens a word is taken off, and the figure leaves a
gap before each word instead; pieces of one word stand together. A `▁` that is the whole token is shown as `␣`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator

from ojak.words import WORD_START

SPACE = "␣"

# Zero-width joiners belong inside words (Persian, emoji); every other format character would act unseen.
_JOINERS = frozenset("\u200c\u200d")
_HANGUL = re.compile("[\u1100-\u11ff\u3130-\u318f\ua960-\ua97f\uac00-\ud7ff]")
_KANA = re.compile("[\u3040-\u30ff]")


def visible(text: str) -> str:
    """The text with characters that cannot be seen, or that XML forbids, written by their numbers: `‹U+202E›`.

    So nothing in a figure can turn text around, break a line, steer a terminal, or be a character that a file
    cannot hold. Numbers and not control pictures such as `␊`, which most fonts draw as a box.
    """
    return "".join(map(_visible_character, text))


def _visible_character(character: str) -> str:
    code = ord(character)
    if character in _JOINERS:
        return character
    category = unicodedata.category(character)
    if category in ("Cc", "Cf", "Cs", "Zl", "Zp") or code & 0xFFFE == 0xFFFE or 0xFDD0 <= code <= 0xFDEF:
        return f"‹U+{code:04X}›"
    return character


def label(token: str) -> str:
    """How one token is written: without its `▁`, spaces as `␣`, nothing invisible, never empty."""
    text = unicodedata.normalize("NFC", token.removeprefix(WORD_START))
    text = visible(text).replace(WORD_START, SPACE)
    text = "".join(SPACE if unicodedata.category(c) == "Zs" else c for c in text)
    if not text:
        return SPACE if token else "∅"
    if _character_columns(text[0]) == 0 or unicodedata.category(text[0]) == "Mc":
        return "◌" + text  # a mark, or the final of a syllable, needs something to sit on
    return text


def has_hangul(text: str) -> bool:
    """Whether a font must have Hangul to draw the text."""
    return _HANGUL.search(text) is not None


def language(text: str) -> str | None:
    """The language that the script gives away ("ko", "ja"), so that a browser picks its font; else None."""
    if has_hangul(text):
        return "ko"
    return "ja" if _KANA.search(text) else None


# --- columns of a terminal -------------------------------------------------------------------------------------------


def columns(text: str) -> int:
    """How many columns of a terminal the text takes: two for wide East-Asian characters, none for marks."""
    return sum(map(_character_columns, text))


def _character_columns(character: str) -> int:
    code = ord(character)
    # Vowels and finals of decomposed Hangul join the syllable before them.
    if 0x1160 <= code <= 0x11FF or 0xD7B0 <= code <= 0xD7FF:
        return 0
    if unicodedata.category(character) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(character) in ("W", "F") else 1


def clusters(text: str) -> Iterator[str]:
    """The characters of the text, each with the marks that sit on it: what one cell of a terminal holds."""
    held = ""
    for character in text:
        if held and _character_columns(character) > 0:
            yield held
            held = ""
        held += character
    if held:
        yield held


def elide(text: str, width: int) -> str:
    """The text cut to `width` columns, ending in `…` where something was cut off."""
    if columns(text) <= width:
        return text
    kept, used = "", 0
    for cluster in clusters(text):
        used += columns(cluster)
        if used > width - 1:
            break
        kept += cluster
    return kept + "…"


def pad(text: str, width: int, centre: bool = False) -> str:
    """The text filled with spaces to `width` columns, at the left or in the middle."""
    room = max(0, width - columns(text))
    before = room // 2 if centre else 0
    return " " * before + text + " " * (room - before)


def for_terminal(text: str) -> str:
    """The text without joiners and variation selectors, on whose width no two terminals agree."""
    return re.sub("[\u200c\u200d\ufe00-\ufe0f]", "", text)


# --- widths in a drawing ---------------------------------------------------------------------------------------------

_NARROW = frozenset("iljtfrI|.,:;'`!()[]{}·/\\ \"-°")
_BROAD = frozenset("mwMW@%—")


def ems(text: str) -> float:
    """About how wide the text is in a sans-serif font, in units of the font size; rather too wide than too narrow.

    There are no font metrics to ask here: the reader's font is not known where the figure is made.
    """
    total = 0.0
    for character in text:
        width = _character_columns(character)
        if width == 2:
            total += 1.0
        elif width == 1:
            if character in _BROAD:
                total += 0.95
            elif character in _NARROW:
                total += 0.4
            else:
                total += 0.72 if character.isupper() or ord(character) > 0x2000 else 0.6
    return total


def elide_ems(text: str, width: float) -> str:
    """The text cut to `width` ems, ending in `…` where something was cut off."""
    if ems(text) <= width:
        return text
    kept = ""
    for cluster in clusters(text):
        if ems(kept + cluster) > width - 1:
            break
        kept += cluster
    return kept + "…"


def wrap(text: str, width: float, lines: int, ems_wide: bool) -> list[str]:
    """The text in at most `lines` lines of `width` ems, or of `width` columns where `ems_wide` is False.

    Broken between words where it can be, inside a word where one word is longer than a line.
    """
    measure = ems if ems_wide else (lambda piece: float(columns(piece)))
    done: list[str] = []
    line = ""
    for word in text.split():
        candidate = f"{line} {word}" if line else word
        if measure(candidate) <= width:
            line = candidate
            continue
        if line:
            done.append(line)
        line = ""
        for cluster in clusters(word):
            if line and measure(line + cluster) > width:
                done.append(line)
                line = ""
            line += cluster
    if line or not done:
        done.append(line)
    if len(done) > lines:
        last = done[lines - 1] + " …"
        while measure(last) > width and len(last) > 1:
            last = last[:-2].rstrip(" …") + "…"
        done = [*done[: lines - 1], last]
    return done
