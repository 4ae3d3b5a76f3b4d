"""Texts in, Translations out.

`maker` is what all makers of Translations share, `translator` searches with a model of Ojak's own.
"""

from __future__ import annotations

from ojak.translate.glossary import Glossary
from ojak.translate.loading import load
from ojak.translate.maker import Maker, TooLong
from ojak.translate.stream import Token
from ojak.translate.translator import Translator, pick_device

__all__ = ["Glossary", "Maker", "Token", "TooLong", "Translator", "load", "pick_device"]
