"""ojak average"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak.errors import UseError
from ojak.train.average import average


def run(args: argparse.Namespace) -> int:
    """Makes a model directory from the mean of several sets of weights."""
    if args.last is not None and args.last < 2:
        raise UseError(f"--last must be at least 2, but is {args.last}.")
    found = average([Path(path) for path in args.runs], Path(args.out), args.last or 0)
    print(f"{args.out}: the mean of {len(found)} sets of weights.")
    return 0
