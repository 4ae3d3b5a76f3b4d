"""Small data: what each step of the recipe for small corpora gains (Sennrich and Zhang 2019), three seeds a step.

    python benchmarks/small.py [CORPUS/STEP/SEED …]      such as tatoeba/3-vocabulary/1; one thread a run

The corpora are the first 5,000 pairs of `ende_tatoeba`, English to German, and all of `enko_talk`, English to Korean.
Steps lie one over another: the recipe of a step is recipes/small/base.toml with all steps up to it over it. Beside them
stands the preset, which is what Ojak takes where nothing is said. Writes
benchmarks/results/small-CORPUS-STEP-SEED.json with scores on the validation set and on the test set. A training that
was cut off, or had fewer passes, goes on where it was, and what is done is not done again; results of a preset that has
changed since must be asked for by name.
"""

from __future__ import annotations

import json
import sys
from itertools import product
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, data, keep, machine, run_figures, train

import ojak
from ojak.config import merge, read_toml
from ojak.corpus.write import write_pairs
from ojak.evaluate.report import evaluate

RECIPES = ROOT / "recipes" / "small"
CORPORA = {"tatoeba": ("ende_tatoeba", "de", 5000, 80), "talk": ("enko_talk", "ko", None, 25)}
"""set, target language, how many of its pairs are learnt from, and the most passes over them (over tatoeba half as
many were tried, in which regularisation did not pay yet)"""
STEPS = ["base", *sorted(path.stem for path in RECIPES.glob("[0-9]*.toml"))]
PRESET = "preset"
SEEDS = ("1", "2", "3")


def result(corpus: str, step: str, seed: str) -> str:
    """The name of a result file."""
    return f"small-{corpus}-{step}-{seed}"


def passes(corpus: str, step: str) -> int | None:
    """The most passes over a corpus; the preset counts updates instead."""
    return None if step == PRESET else CORPORA[corpus][3]


def measured(corpus: str, step: str, seed: str) -> dict[str, Any] | None:
    """What was measured after as many passes as a corpus has now."""
    path = RESULTS / f"{result(corpus, step, seed)}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8")) if path.is_file() else {}
    return found if found and found["passes"] == passes(corpus, step) else None


def settings(step: str) -> dict[str, Any]:
    """The recipe of a step, or the nothing that is said to get the preset."""
    found: dict[str, Any] = {}
    for name in [] if step == PRESET else STEPS[: STEPS.index(step) + 1]:
        merge(found, read_toml(RECIPES / f"{name}.toml"))
    return found


def learnt_from(corpus: str) -> Path:
    """The pairs that a corpus has for training, in a file."""
    name, _, count, _ = CORPORA[corpus]
    path = ROOT / "runs" / "small" / f"{corpus}.tsv"
    if not path.is_file():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_pairs(path, ojak.read_pairs([data(f"{name}.train.tsv.gz")])[:count])
    return path


def main(names: list[str]) -> None:
    wanted = [name.split("/") for name in names] or [list(one) for one in product(CORPORA, [*STEPS, PRESET], SEEDS)]
    for corpus, step, seed in wanted:
        if not names and measured(corpus, step, seed):
            continue
        name, target, *_ = CORPORA[corpus]
        limits = {} if (most := passes(corpus, step)) is None else {"epochs": most}
        recipe = settings(step)
        files = {"pairs": [str(learnt_from(corpus))], "dev": [data(f"{name}.dev.tsv.gz")]}
        merge(recipe, {"seed": int(seed), "data": {**files, "source": "en", "target": target}})
        merge(recipe, {"train": {"threads": 1, **limits}})
        run = ROOT / "runs" / "small" / f"{corpus}-{step}-{seed}"
        train(recipe, run)
        translator = ojak.load(run)
        sets = {part: ojak.read_pairs([data(f"{name}.{part}.tsv.gz")]) for part in ("dev", "test")}
        tests = {part: evaluate(translator, pairs).as_dict() for part, pairs in sets.items()}
        keep(
            result(corpus, step, seed),
            {
                "command": f"python benchmarks/small.py {corpus}/{step}/{seed}",
                "machine": machine(),
                "seed": int(seed),
                "threads": 1,
                "passes": most,
                "tests": tests,
                **run_figures(run),
            },
        )
        for part, report in tests.items():
            print(
                corpus, step, seed, part, *(f"{one['name']} {one['score']:.2f}" for one in report["scores"]), flush=True
            )


if __name__ == "__main__":
    main(sys.argv[1:])
