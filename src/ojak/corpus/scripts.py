"""In which script a text is written, and in which its language should be."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable
from functools import cache

LOOKED_AT = 1000  # texts by which the script of a side is told where its language is not named
MOST = 0.7  # share of the letters that a script must have then

_NAMES = {
    "CJK": "Han",
    "HIRAGANA": "Kana",
    "KATAKANA": "Kana",
    "KATAKANA-HIRAGANA": "Kana",
    "HALFWIDTH": "Kana",
    "FULLWIDTH": "Latin",
    "FEMININE": "Latin",
    "MASCULINE": "Latin",
}
_OF_LANGUAGE = {
    "Hangul": "ko",
    "Kana Han": "ja",
    "Han": "zh",
    "Cyrillic": "ru uk be bg mk kk ky mn tg",
    "Greek": "el",
    "Arabic": "ar fa ur ps",
    "Hebrew": "he yi",
    "Thai": "th",
    "Lao": "lo",
    "Khmer": "km",
    "Myanmar": "my",
    "Georgian": "ka",
    "Armenian": "hy",
    "Devanagari": "hi mr ne sa",
    "Bengali": "bn as",
    "Tamil": "ta",
    "Telugu": "te",
    "Kannada": "kn",
    "Malayalam": "ml",
    "Gujarati": "gu",
    "Gurmukhi": "pa",
    "Sinhala": "si",
    "Ethiopic": "am ti",
    "Latin": "en de fr es it pt nl sv da no nb nn fi et lv lt pl cs sk sl hr hu ro tr az vi id ms tl sw ca eu gl ga cy "
    "is mt sq af eo la so ha yo ig zu xh",
}


@cache
def script(letter: str) -> str:
    """The script of a character, such as `Hangul` or `Latin`; empty for one that is no letter."""
    if unicodedata.category(letter)[0] != "L":
        return ""
    name = unicodedata.name(letter, "").split(" ")[0]
    return _NAMES.get(name, name.capitalize()) or "unknown"


def scripts(text: str) -> Counter[str]:
    """How many letters of each script a text has."""
    found = Counter(map(script, text))
    del found[""]
    return found


def expected(language: str, texts: Iterable[str] = ()) -> frozenset[str]:
    """The scripts in which a language is written: of the language where it is named and known, else the commonest of
    `texts` where it has most of their letters; empty where neither tells."""
    base = language.replace("_", "-").split("-")[0].lower()
    for names, languages in _OF_LANGUAGE.items():
        if base and base in languages.split():
            return frozenset(names.split())
    counts: Counter[str] = Counter()
    for text in texts:
        counts += scripts(text)
    if counts and {"Kana", "Han"} >= {name for name, count in counts.items() if count > 0.1 * counts.total()}:
        return frozenset({"Kana", "Han"}) if counts["Kana"] else frozenset({"Han"})
    ((name, count),) = counts.most_common(1) or [("", 0)]
    return frozenset({name}) if count and count >= MOST * counts.total() else frozenset()


def share(text: str, wanted: frozenset[str]) -> float:
    """The share of the letters that are in one of the wanted scripts; 1 for text without letters."""
    found = scripts(text)
    total = found.total()
    return sum(found[name] for name in wanted) / total if total else 1.0
