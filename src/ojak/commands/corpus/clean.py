"""ojak corpus clean"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ojak.commands.corpus.common import pairs, rules, tell
from ojak.corpus.clean import Report, clean
from ojak.corpus.faults import Notes
from ojak.corpus.write import check_ending, write_pairs
from ojak.errors import UseError


def run(args: argparse.Namespace) -> int:
    """Writes the pairs that no filter takes, and tells what the filters took; with --dry-run it only tells."""
    if not args.dry_run and not args.out:
        raise UseError("Cleaning must know where to write; give --out FILE, or --dry-run to see the report only.")
    notes, report = Notes(), Report()
    if args.out:
        check_ending(Path(args.out))
    kept = clean(pairs(args, args.files, notes), rules(args), report, args.seed)
    if args.dry_run:
        for _ in kept:
            pass
    else:
        write_pairs(Path(args.out), kept)
    tell(notes)
    if args.json:
        print(json.dumps({**report.as_dict(), "empty_rows": notes.empty}, ensure_ascii=False, indent=2))
    else:
        print(report.table())
        print("nothing was written" if args.dry_run else f"written to {args.out}")
    return 0
