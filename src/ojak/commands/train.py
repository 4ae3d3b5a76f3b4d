"""ojak train"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ojak.config import merge, read_overrides, read_toml
from ojak.train.history import display
from ojak.train.run import train_run


def run(args: argparse.Namespace) -> int:
    """Trains a run; later settings win over earlier ones: recipe, then options, then key=value words."""
    settings: dict[str, Any] = {}
    for file in args.recipe:
        merge(settings, read_toml(Path(file)))
    files = {"pairs": args.pairs, "dev": args.dev}
    named = {key: value for key, value in files.items() if value}
    if named:
        merge(settings, {"data": named})
    merge(settings, read_overrides(args.settings))
    train_run(settings, Path(args.out), display(), args.resume)
    return 0
