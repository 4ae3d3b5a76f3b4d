"""The one clean-up that text gets before it is cut into tokens."""

from __future__ import annotations

import re
import unicodedata

SPACE = "▁"  # how tokens show a space; U+2581

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"[^\S \n]|  |^ | $", re.MULTILINE)  # white space that splitting and joining would change
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def normalise(text: str, lowercase: bool = False) -> str:
    """Text in Unicode form NFC, on one line, with single spaces and none at the ends.

    Control characters and every kind of white space become spaces. Full-width forms, Korean spacing, emoji and the
    joiners inside them stay as they are. U+2581 stands for a space within tokens and therefore becomes `_`; half of
    a surrogate pair, which UTF-8 cannot hold, becomes U+FFFD. Doing it twice changes nothing.
    """
    text = _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", text))
    if lowercase:
        text = text.lower()  # before NFC, because lowering can leave a letter and its mark apart
    text = unicodedata.normalize("NFC", text).replace(SPACE, "_")
    return " ".join(text.split())


def normalise_lines(lines: str, lowercase: bool = False) -> list[str]:
    """`normalise` of each line, done on all of them at once where few have anything to mend."""
    text = _SURROGATE.sub("\ufffd", _CONTROL_IN_LINES.sub(" ", lines))
    if lowercase:
        text = text.lower()
    text = unicodedata.normalize("NFC", text).replace(SPACE, "_")
    found = text.split("\n")
    if _SPACES.search(text):
        found = [" ".join(line.split()) for line in found]
    return found
