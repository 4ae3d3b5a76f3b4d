"""English–Korean models of all pairs there are, for each direction: of less than an hour on one processor core, and of
at most two, both beside Hugging Face's Marian trained on the same pairs for the same time; and of minutes on a GPU.

    python benchmarks/korean_best.py [SYSTEM-DIRECTION …]     such as ojak-en-ko, then hf-en-ko; one thread each

All training pairs of `enko_*` are learnt from. `longer` and `large` are Ojak's too; `large` wants a GPU. Writes
benchmarks/results/best-SYSTEM-DIRECTION.json, with scores for each test set and label, beam 4. `hf` has the size of
`ojak` and the minutes that it took, and `hf-longer` those of `longer`, so these must be there. Hugging Face is looked
for in the folder OJAK_PEERS (benchmarks/peers/README.md). A training of Ojak goes on where it was cut off; its recipes,
best.toml, longer.toml or large.toml over recipes/korean/base.toml, were chosen without a look at the test sets.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

from common import RESULTS, ROOT, keep, machine, python, run_figures
from korean import DIRECTIONS, measured, pairs, trained

from ojak.config import read_toml
from ojak.corpus.write import write_pairs
from ojak.evaluate.measured import System, measure

LEARNT = ("enko_talk", "enko_chat", "enko_lecture", "enko_docs")
TESTS = (*LEARNT, "enko_dialogue", "enko_flores", "enko_jhe", "enko_news")
RECIPES = {"ojak": "best", "longer": "longer", "large": "large"}
"""those of Ojak's own systems, in recipes/korean"""
PEERS = {"hf": "ojak", "hf-longer": "longer"}
"""beside which system each of the peer's is: of its size, for its minutes"""
SYSTEMS = ("ojak", "hf", "longer", "hf-longer", "large")
RUNS = ROOT / "runs" / "korean-best"


def of_hf(system: str, direction: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Lets the peer learn from the same pairs for as long, and measures what it says."""
    beside = PEERS[system]
    other = RESULTS / f"best-{beside}-{direction}.json"
    if not other.is_file():
        sys.exit(f"{system} is given the minutes of {beside}, but there is no {other}: first run {beside}-{direction}")
    minutes = json.loads(other.read_text("utf-8"))["minutes"]
    size = read_toml(ROOT / "recipes" / "korean" / f"{RECIPES[beside]}.toml")["model"]
    texts = RUNS / "text" / direction
    texts.mkdir(parents=True, exist_ok=True)
    write_pairs(texts / "train.tsv", (pair for name in LEARNT for pair in pairs(name, "train", direction)))
    write_pairs(texts / "dev.tsv", (pair for name in LEARNT for pair in pairs(name, "dev", direction)[::4]))
    for test in TESTS:
        write_pairs(texts / f"{test}.tsv", pairs(test, "test", direction))
    files = [texts / f"{test}.tsv" for test in TESTS]
    out = RUNS / f"{system}-{direction}"
    script = ROOT / "benchmarks" / "peers" / "hf_translator.py"
    words = [
        *(python("hf"), script, texts / "train.tsv", texts / "dev.tsv", out, "--minutes", minutes),
        *("--width", size["width"], "--heads", size["heads"], "--inner", size["feed_forward"]),
        *("--layers", size["encoder_layers"], size["decoder_layers"], "--dropout", size["dropout"]),
        *("--test", *files),
    ]
    done = subprocess.run(
        [str(word) for word in words],
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    tests = {}
    for test in TESTS:
        said = (out / f"{test}.txt").read_text("utf-8").split("\n")[:-1]
        source, target = direction.split("-")
        tests[test] = measure(pairs(test, "test", direction), [System("hf", said)], (source, target)).as_dict()
        print(direction, test, *(f"{one['name']} {one['score']:.2f}" for one in tests[test]["scores"]), flush=True)
    return tests, json.loads(done.stdout.strip().split("\n")[-1])


def main(names: list[str]) -> None:
    every = [f"{system}-{direction}" for direction in DIRECTIONS for system in SYSTEMS]
    if unknown := set(names) - set(every):
        sys.exit(f"no such system: {', '.join(sorted(unknown))}; there are {', '.join(every)}")
    for name in names or every:
        system, direction = name[:-6], name[-5:]
        if recipe := RECIPES.get(system):
            tests = measured(trained(recipe, LEARNT, direction, RUNS / name), TESTS, direction)
            figures = run_figures(RUNS / name)
        else:
            tests, figures = of_hf(system, direction)
        command = f"python benchmarks/korean_best.py {name}"
        made = {"command": command, "machine": machine(), "seed": 1, "threads": 1}
        keep(f"best-{name}", {**made, "tests": tests, **figures})


if __name__ == "__main__":
    main(sys.argv[1:])
