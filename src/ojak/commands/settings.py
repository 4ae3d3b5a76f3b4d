"""The settings of a command line: recipes, then options, then key=value words; later ones win."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from ojak.config import merge, read_overrides, read_toml


def settings(args: argparse.Namespace) -> dict[str, Any]:
    """Nested settings. Raises ConfigError for a recipe that cannot be read."""
    found: dict[str, Any] = {}
    for file in args.recipe:
        merge(found, read_toml(Path(file)))
    files = {"pairs": args.pairs, "dev": args.dev, "alignments": getattr(args, "alignments", None)}
    named = {key: value for key, value in files.items() if value}
    if named:
        merge(found, {"data": named})
    if getattr(args, "start", None):
        merge(found, {"train": {"start": args.start}})
    merge(found, read_overrides(args.settings))
    return found
