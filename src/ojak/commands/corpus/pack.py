"""ojak corpus pack"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ojak.commands.settings import settings
from ojak.corpus.prepare import prepare


def run(args: argparse.Namespace) -> int:
    """Packs a corpus that several runs may train on."""
    out = Path(args.out)
    found = prepare(settings(args), out, lambda message: print(message, file=sys.stderr, flush=True), lambda _: None)
    record, left = found.store.record, found.left_out + int(found.store.record["skipped"])
    print(
        f"{record['pairs']:,} pairs packed, {record['tokens']['source']:,} and {record['tokens']['target']:,} tokens; "
        f"{len(found.dev):,} pairs held out; {left:,} left out as empty, too long or like those held out.\n"
        f"Train on it with: ojak train --pairs {out} --out RUN"
    )
    return 0
