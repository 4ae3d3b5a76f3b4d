"""The best English–Korean models of two hours on one processor core, for each direction, beside Hugging Face's Marian
trained on the same pairs for the same time.

    python benchmarks/korean_best.py [SYSTEM-DIRECTION …]     such as ojak-en-ko, then hf-en-ko; one thread each

All training pairs of `enko_*` are learnt from. Writes benchmarks/results/best-SYSTEM-DIRECTION.json, with scores for
each test set and label, beam 4. The minutes of `hf` are those that the model of Ojak took, so that must be there.
Hugging Face is looked for in the folder OJAK_PEERS (benchmarks/peers/README.md). A training of Ojak goes on where it
was cut off; the recipe, recipes/korean/best.toml over base.toml, was chosen without a look at the test sets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from common import RESULTS, ROOT, data, keep, machine, python, run_figures

import ojak
from ojak.config import merge, read_toml
from ojak.corpus.pair import Pair
from ojak.corpus.write import write_pairs
from ojak.evaluate.measured import System, measure
from ojak.evaluate.report import evaluate

LEARNT = ("enko_talk", "enko_chat", "enko_lecture", "enko_docs")
TESTS = (*LEARNT, "enko_dialogue", "enko_flores", "enko_jhe", "enko_news")
SYSTEMS = ("ojak", "hf")
DIRECTIONS = {"en-ko": False, "ko-en": True}
RUNS = ROOT / "runs" / "korean-best"
Tests = dict[str, dict[str, Any]]


def pairs(name: str, split: str, turned: bool) -> list[Pair]:
    found = ojak.read_pairs([data(f"{name}.{split}.tsv.gz")])
    return [pair.turned() for pair in found] if turned else found


def of_ojak(direction: str) -> tuple[Tests, dict[str, Any]]:
    """Trains, or goes on, and measures."""
    settings = read_toml(ROOT / "recipes" / "korean" / "base.toml")
    merge(settings, read_toml(ROOT / "recipes" / "korean" / "best.toml"))
    files = {
        part: [data(f"{corpus}.{split}.tsv.gz") for corpus in LEARNT]
        for part, split in (("pairs", "train"), ("dev", "dev"))
    }
    merge(settings, {"data": {**files, "reverse": DIRECTIONS[direction]}, "train": {"threads": 1}})
    run = RUNS / f"ojak-{direction}"
    begun = (run / "recipe.toml").exists()
    ojak.train_run({} if begun else settings, run, resume=begun)
    translator = ojak.load(run)
    tests = {}
    for test in TESTS:
        asked = pairs(test, "test", DIRECTIONS[direction])
        tests[test] = evaluate(translator, asked, ojak.SearchConfig(beam=4)).as_dict()
        print(direction, test, *(f"{one['name']} {one['score']:.2f}" for one in tests[test]["scores"]), flush=True)
    return tests, run_figures(run)


def of_hf(direction: str) -> tuple[Tests, dict[str, Any]]:
    """Lets the peer learn from the same pairs for as long, and measures what it says."""
    other = RESULTS / f"best-ojak-{direction}.json"
    if not other.is_file():
        sys.exit(f"hf is given the minutes of ojak, but there is no {other}: first run ojak-{direction}")
    minutes = json.loads(other.read_text("utf-8"))["minutes"]
    turned, texts = DIRECTIONS[direction], RUNS / "text" / direction
    texts.mkdir(parents=True, exist_ok=True)
    write_pairs(texts / "train.tsv", (pair for name in LEARNT for pair in pairs(name, "train", turned)))
    write_pairs(texts / "dev.tsv", (pair for name in LEARNT for pair in pairs(name, "dev", turned)[::4]))
    for test in TESTS:
        write_pairs(texts / f"{test}.tsv", pairs(test, "test", turned))
    files = [texts / f"{test}.tsv" for test in TESTS]
    out = RUNS / f"hf-{direction}"
    script = ROOT / "benchmarks" / "peers" / "hf_translator.py"
    words = [python("hf"), script, texts / "train.tsv", texts / "dev.tsv", out, "--minutes", minutes, "--test", *files]
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    tests = {}
    for test in TESTS:
        said = Path(out / f"{test}.txt").read_text("utf-8").split("\n")[:-1]
        languages = ("ko", "en") if turned else ("en", "ko")
        tests[test] = measure(pairs(test, "test", turned), [System("hf", said)], languages).as_dict()
        print(direction, test, *(f"{one['name']} {one['score']:.2f}" for one in tests[test]["scores"]), flush=True)
    return tests, json.loads(done.stdout.strip().split("\n")[-1])


def main(names: list[str]) -> None:
    for name in names or [f"{system}-{direction}" for direction in DIRECTIONS for system in SYSTEMS]:
        system, direction = name[:-6], name[-5:]
        tests, figures = (of_ojak if system == "ojak" else of_hf)(direction)
        command = f"python benchmarks/korean_best.py {name}"
        made = {"command": command, "machine": machine(), "seed": 1, "threads": 1}
        keep(f"best-{name}", {**made, "tests": tests, **figures})


if __name__ == "__main__":
    main(sys.argv[1:])
