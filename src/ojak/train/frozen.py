"""Weights that do not learn, chosen by name (`train.freeze`)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from fnmatch import fnmatchcase

from ojak.errors import ConfigError
from ojak.model.seam import Seq2Seq


def freeze(model: Seq2Seq, patterns: Sequence[str]) -> None:
    """Makes the weights whose names match any of the patterns (`encoder.*`) stay as they are.

    Tied weights have several names, and each of them holds all. Raises ConfigError for a pattern that matches nothing,
    with the nearest names, and where nothing would be left to learn.
    """
    named = dict(model.named_parameters(remove_duplicate=False))
    faults = []
    for pattern in patterns:
        matching = [name for name in named if fnmatchcase(name, pattern)]
        for name in matching:
            named[name].requires_grad_(False)
        if not matching:
            parts = sorted({name.split(".")[0] + ".*" for name in named})
            near = difflib.get_close_matches(pattern, [*parts, *named], n=3, cutoff=0.5) or parts
            faults.append(f"train.freeze: no weight is named {pattern!r}; did you mean {', '.join(near)}?")
    if not faults and not any(weight.requires_grad for weight in named.values()):
        faults.append(f"train.freeze: some weights must learn, but {', '.join(patterns)} freezes all of them.")
    if faults:
        raise ConfigError("\n".join(faults))
