"""ojak compare"""

from __future__ import annotations

import argparse

from ojak.commands.measuring import measured, opened, tell
from ojak.errors import UseError
from ojak.evaluate.resample import Chance


def run(args: argparse.Namespace) -> int:
    """Measures several systems on the same pairs, and each against the first."""
    if len(args.systems) < 2:
        raise UseError(
            f"At least two systems are compared, but only {args.systems[0]} was named. Name another, or measure one "
            "alone: ojak evaluate."
        )
    chance = Chance(args.resamples, args.trials, args.seed)
    tell(args, measured(args, opened(args.systems, args.device, args.precision), chance))
    return 0
