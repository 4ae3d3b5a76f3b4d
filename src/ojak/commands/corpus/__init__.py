"""ojak corpus"""

from __future__ import annotations

import argparse
import importlib


def run(args: argparse.Namespace) -> int:
    """Runs one of the verbs for corpora."""
    code: int = importlib.import_module(f"ojak.commands.corpus.{args.action}").run(args)
    return code
