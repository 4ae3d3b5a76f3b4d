"""A translator measured on pairs."""

from __future__ import annotations

import time
from collections.abc import Sequence

from ojak.config import SearchConfig
from ojak.corpus.pair import Pair
from ojak.errors import UseError
from ojak.evaluate.measured import Forced, Report, System, Timed, measure
from ojak.evaluate.resample import Chance
from ojak.translate import Maker


def translated(name: str, translator: Maker, pairs: Sequence[Pair], search: SearchConfig | None = None) -> System:
    """What a translator says of the sources, how long it took, and how likely it holds the targets."""
    config = search or translator.search
    sources = [pair.source for pair in pairs]
    begun = time.monotonic()
    found = translator.translate(sources, config)
    seconds = time.monotonic() - begun
    forced = translator.force(sources, [pair.target for pair in pairs])
    return System(
        name=name,
        hypotheses=[each.text for each in found],
        forced=Forced([each.score for each in forced], [len(each.tokens) for each in forced]),
        timed=Timed(config.beam, seconds, sum(len(each.tokens) for each in found)),
    )


def evaluate(
    translator: Maker, pairs: Sequence[Pair], search: SearchConfig | None = None, chance: Chance | None = None
) -> Report:
    """Translates the sources and compares with the targets. Raises UseError when there are no pairs."""
    if not pairs:
        raise UseError("There must be pairs to evaluate on, but there are none.")
    system = translated("model", translator, pairs, search)
    return measure(pairs, [system], translator.languages, translator.target.lowercase, chance)
