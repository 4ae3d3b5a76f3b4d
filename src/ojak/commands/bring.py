"""ojak import"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak.export import marian


def run(args: argparse.Namespace) -> int:
    """Makes a model directory from a Hugging Face Marian one."""
    marian.bring(Path(args.model), Path(args.out), args.source, args.target)
    print(args.out)
    return 0
