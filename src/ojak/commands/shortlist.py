"""ojak shortlist"""

from __future__ import annotations

import argparse
from pathlib import Path

from ojak.commands.common import turned_pairs
from ojak.errors import UseError
from ojak.model import folder
from ojak.train.lexical import learn
from ojak.translate import Translator


def run(args: argparse.Namespace) -> int:
    """Learns a shortlist from pairs and puts it beside the model."""
    if args.words < 1 or args.frequent < 0:
        raise UseError(f"--words must be at least 1 and --frequent at least 0; found {args.words} and {args.frequent}.")
    translator = Translator.load(args.run, "cpu")
    pairs = turned_pairs(args, translator)
    source = [translator.source.encode(pair.source) for pair in pairs]
    target = [translator.target.encode(pair.target) for pair in pairs]
    lexicon, covered = learn(
        source, target, (len(translator.source), len(translator.target)), args.words, args.frequent
    )
    path = lexicon.save(folder.model_folder(Path(args.run)))
    print(f"{path}: {args.words} words for each of {len(lexicon.table):,}, and {len(lexicon.frequent):,} for all.")
    print(f"{covered:.2%} of the target's tokens are in the shortlist of their sentence; use it with --shortlist.")
    return 0
