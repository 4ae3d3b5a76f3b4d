"""ojak train"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak.commands.settings import settings
from ojak.train.history import display
from ojak.train.run import train_run


def run(args: argparse.Namespace) -> int:
    """Trains a run."""
    train_run(settings(args), Path(args.out), display(), args.resume)
    return 0
