"""ojak corpus leaks"""

from __future__ import annotations

import argparse
import json

from ojak.commands.corpus.common import pairs, tell
from ojak.corpus.faults import Notes
from ojak.corpus.leaks import find_leaks


def run(args: argparse.Namespace) -> int:
    """Tells what of held-out pairs stands in training; exit code 1 if anything does, near-duplicates aside."""
    notes = Notes()
    held = list(pairs(args, [args.held_out], notes))
    found = find_leaks(pairs(args, [args.train], notes), held, args.near)
    tell(notes)
    print(json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if args.json else found.table())
    return 1 if found.exact else 0
