"""ojak corpus inspect"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from ojak import files
from ojak.commands.corpus.common import pairs, rules
from ojak.corpus import show
from ojak.corpus.faults import Notes
from ojak.corpus.inspect import inspect


def run(args: argparse.Namespace) -> int:
    """Tells what a corpus is like."""
    notes = Notes()
    found = inspect(" ".join(args.files), pairs(args, args.files, notes), rules(args), args.seed)
    found.empty = notes.empty
    found.warnings[:0] = dict.fromkeys(notes.messages)
    if args.html:
        files.write(Path(args.html), show.page(found))
    print(json.dumps(found.as_dict(), ensure_ascii=False, indent=2) if args.json else show.terminal(found))
    return 0
