"""English and Korean, both directions, on real sentences: short general ones and customer-support chat.

    python benchmarks/korean.py [MODEL-DIRECTION …]     one thread a model; start two at a time on two cores

Writes benchmarks/results/korean-MODEL-DIRECTION.json, with scores for each test set and label, beam 4.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from common import ROOT, data, keep, machine, run_figures, train

import ojak
from ojak.config import merge, read_toml
from ojak.corpus.pair import Pair
from ojak.evaluate.report import evaluate

SETS = ("enko_talk", "enko_chat")
MODELS = ("gru-additive", "transformer")
DIRECTIONS = {"en-ko": False, "ko-en": True}


def trained(recipe: str, sets: Sequence[str], direction: str, run: Path) -> ojak.Translator:
    """The model of recipes/korean/RECIPE.toml, trained on these sets, or trained on to its end; one thread."""
    settings = read_toml(ROOT / "recipes" / "korean" / "base.toml")
    merge(settings, read_toml(ROOT / "recipes" / "korean" / f"{recipe}.toml"))
    files = {
        part: [data(f"{name}.{split}.tsv.gz") for name in sets] for part, split in (("pairs", "train"), ("dev", "dev"))
    }
    merge(settings, {"data": {**files, "reverse": DIRECTIONS[direction]}, "train": {"threads": 1}})
    train(settings, run)
    return ojak.load(run)


def pairs(name: str, split: str, direction: str) -> list[Pair]:
    """The pairs of a set, in a direction."""
    found = ojak.read_pairs([data(f"{name}.{split}.tsv.gz")])
    return [pair.turned() for pair in found] if DIRECTIONS[direction] else found


def measured(translator: ojak.Translator, sets: Sequence[str], direction: str) -> dict[str, Any]:
    """Scores on the test sets."""
    tests = {}
    for name in sets:
        report = evaluate(translator, pairs(name, "test", direction), ojak.SearchConfig(beam=4))
        tests[name] = report.as_dict()
        print(direction, name, report.table(), sep="\n", flush=True)
    return tests


def main(names: list[str]) -> None:
    for name in names or [f"{model}-{direction}" for direction in DIRECTIONS for model in MODELS]:
        model, direction = name[:-6], name[-5:]
        run = ROOT / "runs" / "korean" / name
        tests = measured(trained(model, SETS, direction, run), SETS, direction)
        made = {"command": f"python benchmarks/korean.py {name}", "machine": machine(), "seed": 1, "threads": 1}
        keep(f"korean-{name}", {**made, "tests": tests, **run_figures(run)})


if __name__ == "__main__":
    main(sys.argv[1:])
