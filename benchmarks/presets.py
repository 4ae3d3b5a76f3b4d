"""What the preset for 10,000 to 100,000 pairs was chosen by: validation while the Transformer learns from all of
`enko_talk`, English to Korean. No test set is looked at.

    python benchmarks/presets.py [VARIANT/SEED …]      such as dropout/1; hours each without a GPU

Variants lie one over another; the last is what the preset says now. Writes
benchmarks/results/presets-VARIANT-SEED.json with BLEU and perplexity of every validation. A training that was cut off
goes on where it was; `--so-far` writes what there is of one without going on.
"""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

from common import ROOT, data, keep, machine, train

from ojak.config import merge
from ojak.train.history import read_history

SET, SEEDS = "enko_talk", ("1", "2", "3")
VARIANTS: dict[str, tuple[str, dict[str, Any]]] = {
    "passes": (
        "validated after every pass, dropout 0.2",
        {"train": {"validate_every": 0, "patience": 8}, "model": {"architecture": "transformer", "dropout": 0.2}},
    ),
    "updates": ("validated every 500 updates", {"train": {"validate_every": 500}}),
    "dropout": ("and dropout 0.3", {"model": {"dropout": 0.3}}),
}
"""by name: what is different, in words and as settings over those of the variants before it"""
RUNS = ROOT / "runs" / "presets"


def settings(variant: str, seed: str) -> dict[str, Any]:
    """The preset of the corpus, with a variant and those before it over it."""
    files = {"pairs": [data(f"{SET}.train.tsv.gz")], "dev": [data(f"{SET}.dev.tsv.gz")]}
    found: dict[str, Any] = {"seed": int(seed), "data": {**files, "source": "en", "target": "ko"}}
    for name, (_, own) in VARIANTS.items():
        merge(found, own)
        if name == variant:
            break
    return found


def record(variant: str, seed: str) -> None:
    """Keeps what a run's history says of its validations."""
    events = read_history(RUNS / f"{variant}-{seed}")
    end = events[-1] if events[-1]["event"] == "end" else None
    keep(
        f"presets-{variant}-{seed}",
        {
            "command": f"python benchmarks/presets.py {variant}/{seed}",
            "machine": machine(),
            "seed": int(seed),
            "pairs": events[0]["pairs"],
            "versions": events[0]["versions"],
            "validations": [
                {key: event[key] for key in ("update", "bleu", "perplexity")}
                for event in events
                if event["event"] == "validation"
            ],
            "ended": end and {"update": end["update"], "reason": end["reason"], "bleu": end["bleu"]},
        },
    )


def main(words: list[str]) -> None:
    names = [word for word in words if word != "--so-far"]
    for variant, seed in [name.split("/") for name in names] or product(VARIANTS, SEEDS):
        if "--so-far" not in words:
            train(settings(variant, seed), RUNS / f"{variant}-{seed}")
        record(variant, seed)


if __name__ == "__main__":
    main(sys.argv[1:])
