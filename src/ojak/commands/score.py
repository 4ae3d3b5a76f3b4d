"""ojak score"""

from __future__ import annotations

import argparse
import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ojak.commands.common import located, turned_pairs
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_lines
from ojak.errors import UseError
from ojak.evaluate import counts, metrics
from ojak.result import Translation
from ojak.translate import Maker, load


def run(args: argparse.Namespace) -> int:
    """Prints a line for each pair: the log-probability (natural logarithm) of its target, end of sentence included."""
    hypotheses = read_lines(Path(args.hypotheses)) if args.hypotheses else None
    translator = load(args.run, args.device, precision="exact")
    pairs = turned_pairs(args, translator)
    if hypotheses is not None and len(hypotheses) != len(pairs):
        raise UseError(
            f"{args.hypotheses} must hold one translation for each of the {len(pairs)} pairs, but holds "
            f"{len(hypotheses)} lines. Translate the same file."
        )
    sources, targets = [pair.source for pair in pairs], [pair.target for pair in pairs]
    with located(pairs):
        scored = translator.force(sources, targets)
        others = translator.force(sources, hypotheses) if hypotheses is not None else None
    if args.corpus:
        _corpus(args.json, targets, scored)
        return 0
    beside = _beside(translator, pairs, hypotheses) if hypotheses is not None else []
    for place, forced in enumerate(scored):
        other = others[place] if others is not None else None
        if args.json:
            told = _told(forced)
            if other is not None:
                told["hypothesis"] = {**_told(other), **beside[place]}
            print(json.dumps(told, ensure_ascii=False))
        else:
            columns = [_number(forced, args.normalise)]
            if other is not None:
                columns += [_number(other, args.normalise), *(f"{value:.2f}" for value in beside[place].values())]
            print("\t".join(columns))
    return 0


def _number(forced: Translation, normalise: bool) -> str:
    return f"{forced.score / len(forced.tokens) if normalise else forced.score:.6f}"


def _told(forced: Translation) -> dict[str, Any]:
    return {
        "score": forced.score,
        "perplexity": math.exp(min(700.0, -forced.score / len(forced.tokens))),
        "tokens": list(forced.tokens),
        "token_scores": list(forced.token_scores),
    }


def _beside(translator: Maker, pairs: Sequence[Pair], hypotheses: Sequence[str]) -> list[dict[str, float]]:
    """The scores of each hypothesis as a sentence of its own."""
    references = [pair.target for pair in pairs]
    measures = metrics.measures(references, translator.languages[1], translator.target.lowercase)
    columns = {one.name: counts.counted(one, hypotheses, references).sentences() for one in measures}
    return [{name: values[place] for name, values in columns.items()} for place in range(len(pairs))]


def _corpus(as_json: bool, targets: Sequence[str], scored: Sequence[Translation]) -> None:
    scores, tokens = [one.score for one in scored], [len(one.tokens) for one in scored]
    told = {
        "pairs": len(scored),
        "tokens": sum(tokens),
        "score": sum(scores),
        "perplexity": counts.perplexity(scores, tokens).score(),
        "bits_per_character": counts.bits(scores, targets).score(),
    }
    print(json.dumps(told) if as_json else "\n".join(f"{name}\t{value:.10g}" for name, value in told.items()))
