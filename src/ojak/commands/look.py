"""ojak look"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from ojak.commands.common import searching
from ojak.errors import UseError
from ojak.look import figures
from ojak.translate import load


def run(args: argparse.Namespace) -> int:
    """Shows an attention map in the terminal and writes it as figures."""
    if not args.sentence.strip():
        raise UseError("There must be a sentence to look at, but it is empty; give one.")
    translator = load(args.run, args.device, args.ensemble)
    if args.target is None:
        (found,) = translator.translate([args.sentence], searching(args, translator), attention=True)
    else:
        (found,) = translator.force([args.sentence], [args.target], attention=True)
    found.view(args.view)  # tells what is wrong with the model or the view before anything is drawn
    print(found.text)
    print(figures.terminal(found, args.view))
    for path in args.out:
        figures.save(found, Path(path), args.view)
        print(path, file=sys.stderr)
    return 0
