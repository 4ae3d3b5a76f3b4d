"""Multi30k, English to German: the quality bar, three seeds, in bf16 and in fp32.

    python benchmarks/multi30k.py [RUN …]      such as bf16-1 for seed 1; one thread a run, or a GPU

Trains by recipes/multi30k/transformer.toml, and the runs called rdrop or lower with the recipe of that name over it.
Recipes are chosen on the validation set alone, but for the length penalty, which is Ojak's default. Writes
benchmarks/results/multi30k-RUN.json: scores on validation and on the three test sets, and how validation rose with the
minutes.
Tokenised BLEU is over words as Moses cuts them (`pip install sacremoses`), in lower case, as published
figures count it; the others are sacreBLEU's own, over raw text. Beside the recipe's own search other length penalties
are measured, for the sets do not agree on how long a translation should be.
"""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from common import ROOT, data, keep, machine, run_figures, train

import ojak
from ojak.config import merge, read_toml
from ojak.evaluate.metrics import tokenised_bleu
from ojak.evaluate.report import evaluate
from ojak.train.history import read_history

KINDS = {
    "bf16": ("bf16", ["transformer"]),
    "fp32": ("fp32", ["transformer"]),
    "rdrop": ("bf16", ["transformer", "rdrop"]),
    "lower": ("bf16", ["transformer", "lower"]),
}
"""precision and recipes, one over another, of the runs of each name"""
RUNS = tuple(f"{kind}-{seed}" for kind in KINDS for seed in (1, 2, 3))
TESTS = ("test_2016_flickr", "test_2017_flickr", "test_2017_mscoco")
PENALTIES = (0.5, 1.0, 1.5, 2.0)
RECIPES = ROOT / "recipes" / "multi30k"


def moses(texts: list[str]) -> list[str]:
    """Lower-case German words, cut as Multi30k's own tokenised files are."""
    from sacremoses import MosesPunctNormalizer, MosesTokenizer

    normaliser, tokenizer = MosesPunctNormalizer(lang="de"), MosesTokenizer(lang="de")
    return [tokenizer.tokenize(normaliser.normalize(text.lower()), return_str=True) for text in texts]


def measure(translator: ojak.Translator, name: str) -> dict[str, Any]:
    """Scores on one of Multi30k's sets, by the search of the recipe."""
    pairs = ojak.read_pairs([data(f"multi30k_ende.{name}.tsv.gz")])
    report = evaluate(translator, pairs)
    tokenised = tokenised_bleu(moses(report.hypotheses), moses([pair.target for pair in pairs]))
    return {
        "tokenised_bleu": tokenised.value,
        "tokenised_signature": tokenised.signature,
        **report.as_dict(),
    }


def by_penalty(translator: ojak.Translator, name: str) -> dict[str, dict[str, float]]:
    """Of each length penalty, on one of the sets: tokenised BLEU, and the words of the translations beside those of the
    references."""
    pairs = ojak.read_pairs([data(f"multi30k_ende.{name}.tsv.gz")])
    wanted, found = moses([pair.target for pair in pairs]), {}
    for penalty in PENALTIES:
        search = translator.search.model_copy(update={"length_penalty": penalty})
        said = moses([one.text for one in translator.translate([pair.source for pair in pairs], search)])
        long, right = (sum(len(text.split()) for text in texts) for texts in (said, wanted))
        found[str(penalty)] = {"bleu": tokenised_bleu(said, wanted).value, "length": long / right}
    return found


def rise(run: Path) -> list[tuple[float, float]]:
    """(minutes of training, BLEU of the validation) of every validation."""
    events = read_history(run)
    times = {0: 0.0, **{event["update"]: event["seconds"] for event in events if event["event"] == "update"}}
    places = sorted(times)

    def minutes(update: int) -> float:
        before = max(place for place in places if place <= update)
        after = min((place for place in places if place >= update), default=before)
        share = (update - before) / (after - before) if after > before else 0.0
        return (times[before] + share * (times[after] - times[before])) / 60

    return [(minutes(event["update"]), event["bleu"]) for event in events if event["event"] == "validation"]


def main(names: list[str]) -> None:
    if find_spec("sacremoses") is None:  # told now, not after an hour of training
        sys.exit("Tokenised BLEU needs sacremoses, which is not installed: pip install sacremoses")
    for name in names or RUNS:
        kind, seed = name.split("-")
        precision, recipes = KINDS[kind]
        settings: dict[str, Any] = {}
        for recipe in recipes:
            merge(settings, read_toml(RECIPES / f"{recipe}.toml"))
        files = {"pairs": [data("multi30k_ende.train.tsv.gz")], "dev": [data("multi30k_ende.val.tsv.gz")]}
        merge(settings, {"seed": int(seed), "data": files, "train": {"threads": 1, "precision": precision}})
        run = ROOT / "runs" / "multi30k" / name
        train(settings, run)
        translator = ojak.load(run)
        tests = {test: measure(translator, test) for test in ("val", *TESTS)}
        keep(
            f"multi30k-{name}",
            {
                "command": f"python benchmarks/multi30k.py {name}",
                "machine": machine(),
                "seed": int(seed),
                "threads": 1,
                "tests": tests,
                "penalties": {test: by_penalty(translator, test) for test in ("val", *TESTS)},
                "rise": rise(run),
                **run_figures(run),
            },
        )
        print(name, {test: round(found["tokenised_bleu"], 2) for test, found in tests.items()}, flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
