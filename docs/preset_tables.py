"""What a preset was chosen by: validation while each variant learnt."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import presets as benchmark  # noqa: E402
from cells import MISSING, Result, made_by, read, table  # noqa: E402

MARKS = (2_500, 5_000, 7_500, 10_000, 12_500)
"""updates up to which the best validation is told"""


def presets() -> list[str]:
    """The variants of the preset for 10,000 to 100,000 pairs, by the best validation so far."""
    lines = ["## The preset for 10,000 to 100,000 pairs", ""]
    rows, every = [], dict[str, Result]()
    for variant, (what, _) in benchmark.VARIANTS.items():
        found = read(f"presets-{variant}-", benchmark.SEEDS)
        every |= {f"{variant}-{seed}": its for seed, its in found.items()}
        reached = [[best(its, mark) for its in found.values()] for mark in MARKS]
        ended = [f"{its['ended']['update']:,}" for its in found.values() if its["ended"]]
        cells = [f"{statistics.mean(kept):.2f}" if (kept := [one for one in each if one]) else "" for each in reached]
        rows.append([variant, what, str(len(found)) if found else MISSING, *cells, ", ".join(ended)])
    header = ["Variant", "What it is", "seeds", *(f"to {mark:,}" for mark in MARKS), "ended at"]
    lines += [
        f"The Transformer and all of `{benchmark.SET}`, English to Korean, each variant with those before it: the",
        "best BLEU of a greedy validation up to so many updates, the mean of the seeds. One that had ended by itself",
        "keeps what it had; those that do not say where they ended were cut off. No test set was looked at. What is",
        "gained costs time, and comes slowly: a training may be stopped at any moment, and keeps the best weights.",
        "",
        *table(header, rows),
    ]
    return [*lines, *made_by(every, {})]


def best(result: Result, mark: int) -> float | None:
    """The best BLEU of validations up to an update, or None where a run was cut off before it."""
    validations = result["validations"]
    if validations[-1]["update"] < mark and not result["ended"]:
        return None
    return max(float(one["bleu"]) for one in validations if one["update"] <= mark)
