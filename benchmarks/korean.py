"""English and Korean, both directions, on real sentences: short general ones and customer-support chat.

    python benchmarks/korean.py [MODEL-DIRECTION …]     one thread a model; start two at a time on two cores

Writes benchmarks/results/korean-MODEL-DIRECTION.json, with scores for each test set and label, beam 4.
"""

from __future__ import annotations

import sys

from common import ROOT, data, keep, machine, run_figures

import ojak
from ojak.config import merge, read_toml
from ojak.evaluate.report import evaluate

SETS = ("enko_talk", "enko_chat")
MODELS = ("gru-additive", "transformer")
DIRECTIONS = {"en-ko": False, "ko-en": True}


def main(names: list[str]) -> None:
    for name in names or [f"{model}-{direction}" for direction in DIRECTIONS for model in MODELS]:
        model, direction = name[:-6], name[-5:]
        settings = read_toml(ROOT / "recipes" / "korean" / "base.toml")
        merge(settings, read_toml(ROOT / "recipes" / "korean" / f"{model}.toml"))
        files = {
            part: [data(f"{corpus}.{split}.tsv.gz") for corpus in SETS]
            for part, split in (("pairs", "train"), ("dev", "dev"))
        }
        merge(settings, {"data": {**files, "reverse": DIRECTIONS[direction]}, "train": {"threads": 1}})
        run = ROOT / "runs" / "korean" / name
        begun = (run / "recipe.toml").exists()
        ojak.train_run({} if begun else settings, run, resume=begun)

        translator = ojak.load(run)
        tests = {}
        for corpus in SETS:
            pairs = ojak.read_pairs([data(f"{corpus}.test.tsv.gz")])
            pairs = [pair.turned() for pair in pairs] if DIRECTIONS[direction] else pairs
            report = evaluate(translator, pairs, ojak.SearchConfig(beam=4))
            tests[corpus] = report.as_dict()
            print(name, corpus, report.table(), sep="\n")
        keep(
            f"korean-{name}",
            {
                "command": f"python benchmarks/korean.py {name}",
                "machine": machine(),
                "seed": settings["seed"],
                "threads": 1,
                "tests": tests,
                **run_figures(run),
            },
        )


if __name__ == "__main__":
    main(sys.argv[1:])
