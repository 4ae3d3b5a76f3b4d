"""ojak evaluate"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak import files
from ojak.commands.measuring import measured, opened, tell
from ojak.evaluate.resample import Chance


def run(args: argparse.Namespace) -> int:
    """Translates the sources of pairs and measures the result against their targets."""
    chance = Chance(args.resamples, 0, args.seed)
    report = measured(args, opened([args.run], args.device, args.precision, args.ensemble), chance)
    if args.output:
        files.write(Path(args.output), "".join(text + "\n" for text in report.hypotheses))
    tell(args, report)
    return 0
