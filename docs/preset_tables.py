"""What a preset was chosen by: validation while each variant learnt."""

from __future__ import annotations

import statistics
import sys
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import presets as benchmark  # noqa: E402
from cells import MISSING, Result, made_by, read, table  # noqa: E402

from ojak.look import charts  # noqa: E402
from ojak.look.charts import Series  # noqa: E402

PICTURES = {"bleu": "pictures/preset-bleu.svg", "perplexity": "pictures/preset-perplexity.svg"}
NAMED = {"bleu": "BLEU", "perplexity": "Perplexity"}
CURVE = range(1_000, 12_001, 1_000)
"""updates at which the latest validation is drawn"""
MARKS = (2_500, 5_000, 7_500, 10_000, 12_500)
"""updates up to which the best validation is told"""


def presets() -> list[str]:
    """The variants of the preset for 10,000 to 100,000 pairs, by the best validation so far."""
    found = {variant: read(f"presets-{variant}-", benchmark.SEEDS) for variant in benchmark.VARIANTS}
    rows = []
    for variant, (what, _) in benchmark.VARIANTS.items():
        for seed, its in found[variant].items():
            ended = its["ended"]
            end = [f"{ended['update']:,}", f"{ended['bleu']:.2f}"] if ended else ["cut off", ""]
            reached = [best(its, mark) for mark in MARKS]
            rows.append([variant, what, seed, *("" if one is None else f"{one:.2f}" for one in reached), *end])
        if not found[variant]:
            rows.append([variant, what, MISSING] + [""] * (len(MARKS) + 2))
    header = ["Variant", "What it is", "seed", *(f"to {mark:,}" for mark in MARKS), "ended at", "kept"]
    every = {f"{variant}-{seed}": its for variant, seeds in found.items() for seed, its in seeds.items()}
    return [
        "## The preset for 10,000 to 100,000 pairs",
        "",
        f"The Transformer of the preset (width 256, 3 + 3 layers, 9.6 M parameters) and all of `{benchmark.SET}`,",
        "English to Korean, each variant with those before it: the best BLEU of a validation up to so many updates,",
        "greedy, over 500 sentences of the validation set. One that had ended by itself counts on with what it had.",
        "What a run keeps is chosen by chrF, or is an average, so its BLEU is not the best in the row. The choice was",
        "made without a test set. What is gained costs time, and comes slowly: a training may be stopped when one",
        "likes, and keeps the best weights.",
        "",
        *table(header, rows),
        "",
        *gains(found),
        "",
        "The validations themselves, the mean of the seeds and their range. Perplexity rises while BLEU still does.",
        "",
        *(f"![{NAMED[what]} of the validations of each variant]({path})" for what, path in PICTURES.items()),
        *made_by(every, {}),
    ]


def gains(found: dict[str, dict[str, Result]]) -> list[str]:
    """What each variant gains over the one before it, by seeds that both have, at the last mark that all reached."""
    lines, names = [], [name for name in found if found[name]]
    for before, after in pairwise(names):
        both = [(found[before][seed], its) for seed, its in found[after].items() if seed in found[before]]
        for mark in reversed(MARKS):
            reached = [(best(old, mark), best(new, mark)) for old, new in both]
            differences = [new - old for old, new in reached if old is not None and new is not None]
            if both and len(differences) == len(both):
                told = ", ".join(f"{one:+.2f}" for one in differences)
                mean = f"; mean {statistics.mean(differences):+.2f}" if len(differences) > 1 else ""
                lines.append(f"- {after} less {before}, seed by seed, to {mark:,} updates: {told}{mean}")
                break
    return lines


def preset_pictures() -> dict[str, str]:
    """How validation goes while each variant learns, by file."""
    drawn = {}
    for what, path in PICTURES.items():
        series = []
        for variant in benchmark.VARIANTS:
            found = read(f"presets-{variant}-", benchmark.SEEDS).values()
            at = [[value for its in found if (value := latest(its, mark, what)) is not None] for mark in CURVE]
            ends = [[end(values) if len(values) > 1 else None for values in at] for end in (min, max)]
            series.append(Series(variant, [statistics.mean(values) if values else None for values in at], *ends))
        title = f"{NAMED[what]} of validations, {benchmark.SET}, en-ko"
        names = [f"{mark // 1000}" for mark in CURVE]
        drawn[path] = charts.lines(title, names, series, axis="thousand updates")
    return drawn


def latest(result: Result, mark: int, what: str) -> float | None:
    """What the latest validation up to an update found, or None where the run was over before it."""
    validations = result["validations"]
    if validations[-1]["update"] < mark:
        return None
    return next((float(one[what]) for one in reversed(validations) if one["update"] <= mark), None)


def best(result: Result, mark: int) -> float | None:
    """The best BLEU of validations up to an update, or None where a run was cut off before it."""
    validations = result["validations"]
    if validations[-1]["update"] < mark and not result["ended"]:
        return None
    return max(float(one["bleu"]) for one in validations if one["update"] <= mark)
