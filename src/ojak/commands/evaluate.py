"""ojak evaluate"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ojak import files
from ojak.commands.common import located, searching, turned_pairs
from ojak.evaluate.report import evaluate
from ojak.translate import load


def run(args: argparse.Namespace) -> int:
    """Translates the sources of pairs and measures the result against their targets."""
    translator = load(args.run, args.device, args.ensemble)
    pairs = turned_pairs(args, translator)
    search = searching(args, translator)
    with located(pairs):
        report = evaluate(translator, pairs, search)
    if args.output:
        files.write(Path(args.output), "".join(text + "\n" for text in report.hypotheses))
    print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if args.json else report.table())
    return 0
