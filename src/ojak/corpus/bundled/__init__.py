"""The bundled corpus: English and Korean conversation in five domains, so that everything works without a download.

Two sets, both written for Ojak. `generate` draws from a grammar of templates and fillers, hundreds of thousands of
pairs, in a part to train on and a part that is held out. `handwritten` gives short conversations that no template
produces: what a model scores there tells how it fares away from the grammar.
"""

from __future__ import annotations

import unicodedata
from importlib.resources import files

from ojak.corpus.bundled.draw import generate, size
from ojak.corpus.bundled.grammar import DOMAINS
from ojak.corpus.pair import Pair

__all__ = ["DOMAINS", "generate", "handwritten", "size"]


def handwritten() -> list[Pair]:
    """Every turn of the hand-written conversations, in order; label is the domain, group the conversation."""
    pairs: list[Pair] = []
    for domain in DOMAINS:
        text = (files("ojak.corpus.bundled") / "handwritten" / f"{domain}.tsv").read_text(encoding="utf-8")
        for line in unicodedata.normalize("NFC", text).split("\n"):
            if line:
                conversation, _speaker, source, target = line.split("\t")
                pairs.append(Pair(source, target, label=domain, group=conversation))
    return pairs
