"""Neural translation with the whole family of attention models.

import ojak
translate = ojak.load("runs/talk")
translate("안녕하세요").text
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ojak.attribution.inside import Inside
    from ojak.config import SearchConfig
    from ojak.corpus.pair import Pair
    from ojak.corpus.read import read_pairs
    from ojak.errors import OjakError
    from ojak.maps import Map
    from ojak.result import Alternative, Translation
    from ojak.train.run import train_run
    from ojak.translate.glossary import Glossary
    from ojak.translate.loading import load
    from ojak.translate.stream import Token
    from ojak.translate.translator import Translator

_PLACES = {
    "Alternative": "ojak.result",
    "Glossary": "ojak.translate.glossary",
    "Inside": "ojak.attribution.inside",
    "Map": "ojak.maps",
    "OjakError": "ojak.errors",
    "Pair": "ojak.corpus.pair",
    "SearchConfig": "ojak.config",
    "Token": "ojak.translate.stream",
    "Translation": "ojak.result",
    "Translator": "ojak.translate.translator",
    "load": "ojak.translate.loading",
    "read_pairs": "ojak.corpus.read",
    "train_run": "ojak.train.run",
}

__all__ = [
    "Alternative",
    "Glossary",
    "Inside",
    "Map",
    "OjakError",
    "Pair",
    "SearchConfig",
    "Token",
    "Translation",
    "Translator",
    "load",
    "read_pairs",
    "train_run",
]


def __getattr__(name: str) -> Any:
    """Imports a public name when it is asked for: torch takes seconds, and the command line's help needs none of it."""
    if name not in _PLACES:
        raise AttributeError(f"module 'ojak' has no attribute {name!r}; it has {', '.join(__all__)}")
    return getattr(importlib.import_module(_PLACES[name]), name)


def __dir__() -> list[str]:
    return __all__
