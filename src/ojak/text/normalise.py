"""The one clean-up that text gets before it is cut into tokens."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from typing import Any

SPACE = "▁"  # how tokens show a space; U+2581

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]")
_SPACES = re.compile(r"[^\S \n]|  |^ | $", re.MULTILINE)  # white space that splitting and joining would change
_SURROGATE = re.compile(r"[\ud800-\udfff]")


def _ordinary(letter: str) -> str | None:
    """What a full-width or half-width form stands for: one step of decomposition, so that half-width ㄱ stays a letter
    of the keyboard and does not become a part of a syllable."""
    kind, _, code = unicodedata.decomposition(letter).partition(" ")
    return chr(int(code, 16)) if kind in ("<wide>", "<narrow>") else None


_WIDTH = {
    ord(letter): plain
    for letter in map(chr, [0x3000, *range(0xFF01, 0xFFEF)])
    if (plain := _ordinary(letter)) is not None
}
_PUNCTUATION = str.maketrans(
    {
        **dict.fromkeys("“”„‟«»″〝〞＂", '"'),
        **dict.fromkeys("‘’‚‛′´＇", "'"),
        **dict.fromkeys("‐‑‒–—―−", "-"),
        **dict.fromkeys("…⋯", "..."),
        **dict.fromkeys("ㆍ‧・･", "·"),
        "〜": "~",
    }
)


def normalise(text: str, lowercase: bool = False, width: bool = False, punctuation: bool = False) -> str:
    """Text in Unicode form NFC, on one line, with single spaces and none at the ends.

    Control characters and every kind of white space become spaces. Jamo that make a syllable are composed. Full-width
    forms, Korean spacing, quotes and dashes, emoji and the joiners inside them stay as they are, but `width` folds
    full-width and half-width forms into ordinary ones, and `punctuation` makes one of all quotes, of all dashes and of
    all middle dots. U+2581 stands for a space within tokens and therefore becomes `_`; half of a surrogate pair, which
    UTF-8 cannot hold, becomes U+FFFD. Doing it twice changes nothing.
    """
    text = _composed(_CONTROL.sub(" ", text), lowercase, width, punctuation)
    return " ".join(text.split())


@dataclass(frozen=True, slots=True)
class Form:
    """How much of its writing a text gives up, by the names of `normalise`."""

    lowercase: bool = False
    width: bool = False
    punctuation: bool = False

    def of(self, text: str) -> str:
        """`normalise` of a text."""
        return normalise(text, self.lowercase, self.width, self.punctuation)

    def of_lines(self, lines: str) -> list[str]:
        """`normalise` of each line, done on all of them at once where few have anything to mend."""
        text = _composed(_CONTROL_IN_LINES.sub(" ", lines), self.lowercase, self.width, self.punctuation)
        found = text.split("\n")
        if _SPACES.search(text):
            found = [" ".join(line.split()) for line in found]
        return found

    def record(self) -> dict[str, bool]:
        """What a file of a tokenizer says of it: `lowercase` always, the others where they are on."""
        more = {"width": self.width, "punctuation": self.punctuation}
        return {"lowercase": self.lowercase, **{name: True for name, on in more.items() if on}}

    @classmethod
    def read(cls, record: dict[str, Any]) -> Form | None:
        """The opposite; None where the record is none."""
        values = [record.get("lowercase"), record.get("width", False), record.get("punctuation", False)]
        return cls(*values) if all(isinstance(value, bool) for value in values) else None


def _composed(text: str, lowercase: bool, width: bool, punctuation: bool) -> str:
    text = _SURROGATE.sub("\ufffd", text)
    if width:
        text = text.translate(_WIDTH)
    if punctuation:
        text = text.translate(_PUNCTUATION)
    if lowercase:
        text = text.lower()  # before NFC, because lowering can leave a letter and its mark apart
    return unicodedata.normalize("NFC", text).replace(SPACE, "_")
