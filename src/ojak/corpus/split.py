"""Setting pairs aside for validation, without leaks."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np

from ojak.corpus.pair import Pair
from ojak.errors import DataError


def fold(text: str) -> str:
    """What two sentences that differ in case, width, spacing or punctuation only have in common."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LNM") or folded


def hold_out(pairs: Sequence[Pair], count: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and `count` held-out ones, at most a tenth of all.

    No source and no target of the held-out pairs is left in training, after `fold`: pairs that would leak are left
    out of both. Raises DataError when there are too few pairs to do this.
    """
    count = min(count, len(pairs) // 10)
    if count < 1:
        raise DataError(
            f"At least 10 pairs are needed to hold some out for validation, but there are {len(pairs)}; "
            "give more, or name a file with --dev."
        )
    order = np.random.Generator(np.random.PCG64(seed)).permutation(len(pairs))
    dev = [pairs[place] for place in order[:count]]
    sources, targets = {fold(pair.source) for pair in dev}, {fold(pair.target) for pair in dev}
    train = [
        pairs[place]
        for place in sorted(order[count:])
        if fold(pairs[place].source) not in sources and fold(pairs[place].target) not in targets
    ]
    if not train:
        raise DataError("Some pairs must differ from the held-out ones, but all are alike; name a file with --dev.")
    return train, dev
