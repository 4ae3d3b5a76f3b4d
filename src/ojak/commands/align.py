"""ojak align"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from ojak import files
from ojak.align.aligner import WAY, Aligner, Alignment, opposite
from ojak.align.choose import by_agreement, by_gold, looked
from ojak.align.error_rate import error_rate
from ojak.align.links import Gold, read_gold
from ojak.align.reading import Reading, checked, default
from ojak.align.remember import recall, remember
from ojak.commands.common import located, turned_pairs
from ojak.corpus.pair import Pair
from ojak.errors import UseError
from ojak.translate import Translator

AGREE_ON = 1000
"""pairs that two models are compared on where there is no gold"""


def run(args: argparse.Namespace) -> int:
    """Prints the links of each pair, or measures them against gold."""
    if args.symmetrise and not args.reverse_model:
        raise UseError("--symmetrise makes one of two directions, but there is one; name the other (--reverse-model).")
    forward = Translator.load(args.run, args.device)
    backward = Translator.load(args.reverse_model, args.device) if args.reverse_model else None
    # With gold beside the pairs there is a third column, which tells nothing of what it is.
    beside = ("1", "2") if args.gold == "" else ("", "")
    pairs = turned_pairs(args, forward, (args.source_column or beside[0], args.target_column or beside[1]))
    golds = _golds(args, pairs) if args.gold is not None else None
    with located(pairs):
        if args.choose:
            if args.view or args.step or args.measure:
                raise UseError("--choose finds view, step and measure itself, but some were named; leave them out.")
            _choose(args, forward, backward, pairs, golds)
        reading = _reading(args, args.run, forward)
        back_reading = _reading(args, args.reverse_model, backward) if backward else None
        aligner = Aligner(forward, reading, backward, back_reading, args.symmetrise or WAY)
        found = aligner.align(pairs)
    shown = [one.turned() for one in found] if args.reverse else found
    if args.output or golds is None:
        _write(args, shown)
    if golds is not None:
        if args.choose:  # measured on the half that chose nothing
            found, golds = found[1::2], golds[1::2]
        rate = error_rate([one.links for one in found], golds)
        told = {"reading": reading.as_dict(), "pairs": len(found), **rate.as_dict()}
        if back_reading:
            told |= {"reverse_reading": back_reading.as_dict(), "symmetrise": aligner.way}
        readings = f"{reading}; reverse: {back_reading}; {aligner.way}" if back_reading else str(reading)
        table = (
            f"{readings}\n{len(found):,} pairs, {rate.links:,} links found, {rate.sure:,} sure in the gold\n"
            f"AER        {rate.aer:.3f}\nprecision  {rate.precision:.3f}\nrecall     {rate.recall:.3f}"
        )
        print(json.dumps(told, indent=2) if args.json else table)
    return 0


def _choose(
    args: argparse.Namespace,
    forward: Translator,
    backward: Translator | None,
    pairs: Sequence[Pair],
    golds: Sequence[Gold] | None,
) -> None:
    """Finds the best readings and keeps them with their models."""
    default(forward.views)  # tells where there is no attention
    if golds is None and backward is None:
        raise UseError("--choose needs gold links (--gold) or a model of the other direction (--reverse-model).")
    if backward:
        opposite(forward, backward)
        default(backward.views)
    if golds is not None and len(pairs) < 2:
        raise UseError("--choose needs at least two pairs, one to choose by and one to measure on, but there is one.")
    half = pairs[:AGREE_ON] if golds is None else pairs[::2]
    looks = looked(forward, half)
    back_half = [pair.turned() for pair in half]
    back_looks = looked(backward, back_half) if backward else None
    if golds is None:
        assert back_looks is not None
        one, other, agreement = by_agreement(looks, back_looks)
        share = f"{agreement:.1%} of the links of {len(half):,} pairs"
        why = f"Of all readings it agreed best with that of the other direction, in {share}."
        _keep(args.run, one, why)
        _keep(args.reverse_model, other, why)
        return
    (reading, rate), *_ = by_gold(looks, half, golds[::2]).items()
    why = f"Of all readings it was the nearest to the gold of {len(half):,} pairs, with an error rate of "
    _keep(args.run, reading, f"{why}{rate.aer:.3f} there.")
    if backward and back_looks:
        (reading, rate), *_ = by_gold(back_looks, back_half, [_turned(gold) for gold in golds[::2]]).items()
        _keep(args.reverse_model, reading, f"{why}{rate.aer:.3f} there.")


def _keep(run: str, reading: Reading, why: str) -> None:
    remember(Path(run), reading, why)
    print(f"{run}: {reading}. {why}", file=sys.stderr)


def _reading(args: argparse.Namespace, run: str, translator: Translator) -> Reading:
    """What the command line says, over what was chosen for the model, over the default."""
    kept = recall(Path(run)) or default(translator.views)
    asked = {name: value for name in ("view", "step", "measure") if (value := getattr(args, name)) is not None}
    return checked(replace(kept, **asked), translator.views)


def _golds(args: argparse.Namespace, pairs: Sequence[Pair]) -> list[Gold]:
    if not args.gold and len(args.pairs) > 1:
        raise UseError("--gold without a file means the last column of the pairs, of one file; name the file of gold.")
    as_written = [pair.turned() for pair in pairs] if args.reverse else pairs
    golds = read_gold(args.gold or args.pairs[0], as_written)
    return [_turned(gold) for gold in golds] if args.reverse else golds


def _turned(gold: Gold) -> Gold:
    sure, possible = (frozenset((j, i) for i, j in links) for links in (gold.sure, gold.possible))
    return Gold(sure, possible)


def _write(args: argparse.Namespace, found: Sequence[Alignment]) -> None:
    if args.json and args.gold is None:
        lines = [json.dumps(one.as_dict(), ensure_ascii=False) for one in found]
    else:
        lines = [one.line(args.probabilities) for one in found]
    text = "".join(line + "\n" for line in lines)
    if args.output:
        files.write(Path(args.output), text)
    else:
        sys.stdout.write(text)
