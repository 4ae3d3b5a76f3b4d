"""Memory and speed of training when the products of a few batches are kept prepared, as Ojak has it, and when as many
are kept as oneDNN and torch keep by themselves.

    python benchmarks/prepared.py [--rounds 3] [--updates 150]

oneDNN prepares a product for every new shape. The sentences of enko_talk have many lengths, those of Multi30k few. Each
training is a process of its own, with two threads, and both ways take turns. Writes benchmarks/results/prepared.json.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from common import ROOT, data, keep, machine

from ojak.train.history import read_history
from ojak.train.memory import PREPARED
from ojak.train.run import versions

CORPORA = {"enko_talk": ("ko", "dev"), "multi30k_ende": ("de", "val")}
"""target language, and the name of the validation set"""
KEPT = {"few": PREPARED, "all": "1024"}
RECIPES = [ROOT / "recipes" / "small" / f"{name}.toml" for name in ("base", "1-narrow")]


def once(corpus: str, kept: str, updates: int) -> dict[str, Any]:
    """One training from its beginning: tokens a second of its second half, and the most memory that it had held after
    each third."""
    target, dev = CORPORA[corpus]
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        words: list[Any] = [sys.executable, "-m", "ojak", "train", "--out", run, "--recipe", *RECIPES]
        words += ["--pairs", data(f"{corpus}.train.tsv.gz"), "--dev", data(f"{corpus}.{dev}.tsv.gz")]
        words += ["data.source=en", f"data.target={target}", f"train.updates={updates}", "train.threads=2"]
        words += [f"train.validate_every={updates}", "train.dev_sentences=1", "train.log_every=10"]
        capacity = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": KEPT[kept], "LRU_CACHE_CAPACITY": KEPT[kept]}
        subprocess.run(words, env={**os.environ, **capacity}, check=True, capture_output=True)
        seen = [event for event in read_history(run) if event["event"] == "update"]
    rates = [event["tokens_per_second"] for event in seen if event["update"] > updates / 2 + 10]
    held = [max(event["memory_peak"] for event in seen if event["update"] <= updates * n / 3) for n in (1, 2, 3)]
    return {"tokens_per_second": statistics.median(rates), "memory": held}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--updates", type=int, default=150)
    asked = options.parse_args()
    found: dict[str, dict[str, list[dict[str, Any]]]] = {}
    for number in range(asked.rounds):
        for corpus in CORPORA:
            for kept in KEPT:
                one = once(corpus, kept, asked.updates)
                found.setdefault(corpus, {}).setdefault(kept, []).append(one)
                print(number, corpus, kept, one, flush=True)
    keep(
        "prepared",
        {
            "command": f"python benchmarks/prepared.py --rounds {asked.rounds} --updates {asked.updates}",
            "machine": machine(),
            "versions": versions(),
            "threads": 2,
            "updates": asked.updates,
            "kept": KEPT,
            "corpora": found,
        },
    )


if __name__ == "__main__":
    main()
