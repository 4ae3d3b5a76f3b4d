"""ojak score"""

from __future__ import annotations

import argparse

from ojak.commands.common import located, turned_pairs
from ojak.translate import load


def run(args: argparse.Namespace) -> int:
    """Prints a line for each pair: the log-probability (natural logarithm) of its target, end of sentence included."""
    translator = load(args.run, args.device)
    pairs = turned_pairs(args, translator)
    with located(pairs):
        scored = translator.force([pair.source for pair in pairs], [pair.target for pair in pairs])
    for forced in scored:
        print(f"{forced.score / len(forced.tokens) if args.normalise else forced.score:.6f}")
    return 0
