"""ojak alternatives"""

from __future__ import annotations

import argparse
import math

from ojak.commands.common import searching
from ojak.errors import UseError
from ojak.translate import Translator


def run(args: argparse.Namespace) -> int:
    """Prints the likeliest tokens at a place of a translation, each with its probability and what follows from it."""
    if not args.sentence.strip():
        raise UseError("There must be a sentence to translate, but it is empty; give one.")
    translator = Translator.load(args.run, args.device, args.ensemble)
    search = searching(args, translator)
    if args.at is None:
        if args.target is None:
            (found,) = translator.translate([args.sentence], search)
        else:
            (found,) = translator.force([args.sentence], [args.target])
        for place, (token, score) in enumerate(zip(found.tokens, found.token_scores, strict=True)):
            print(f"{place}\t{math.exp(score):.4f}\t{token}")
        return 0
    for other in translator.continuations(args.sentence, args.at, args.count, args.target, search):
        print(f"{math.exp(other.token_scores[args.at]):.4f}\t{other.tokens[args.at]}\t{other.text}")
    return 0
