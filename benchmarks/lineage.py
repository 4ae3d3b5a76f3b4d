"""The lineage on Multi30k, German to English, Test 2016: equal tokens, width and passes; one mechanism after another.

    python benchmarks/lineage.py [MODEL …]      one thread a model; start two at a time on two cores

Writes benchmarks/results/lineage-MODEL.json. The tokenised BLEU is over lower-cased words, as in the tutorial that the
table compares with (bentrevett/pytorch-seq2seq); the others are sacreBLEU's own, over detokenised lower-case text.
"""

from __future__ import annotations

import sys

from common import ROOT, data, keep, machine, run_figures, train

import ojak
from ojak.config import merge, read_toml
from ojak.evaluate.metrics import tokenised_bleu
from ojak.evaluate.report import evaluate
from ojak.text.listed import GLUE, WordTokenizer
from ojak.text.normalise import normalise

MODELS = ("lstm-one-vector", "gru-every-step", "gru-additive", "lstm-general", "lstm-dot", "transformer")


def words(text: str) -> str:
    """Text cut into lower-case words."""
    return " ".join(word.strip(GLUE) for word in WordTokenizer.cut(normalise(text, lowercase=True)))


def main(models: list[str]) -> None:
    for name in models or MODELS:
        recipes = ROOT / "recipes" / "lineage"
        settings = read_toml(recipes / "base.toml")
        merge(settings, read_toml(recipes / f"{name}.toml"))
        files = {
            "pairs": [data("multi30k_ende.train.tsv.gz")],
            "dev": [data("multi30k_ende.val.tsv.gz")],
        }
        merge(settings, {"data": files, "train": {"threads": 1}})
        run = ROOT / "runs" / "lineage" / name
        train(settings, run)

        translator = ojak.load(run)
        pairs = [pair.turned() for pair in ojak.read_pairs([data("multi30k_ende.test_2016_flickr.tsv.gz")])]
        report = evaluate(translator, pairs, ojak.SearchConfig(beam=1))
        beam = evaluate(translator, pairs, ojak.SearchConfig(beam=5))
        tokenised = tokenised_bleu([words(text) for text in report.hypotheses], [words(pair.target) for pair in pairs])
        keep(
            f"lineage-{name}",
            {
                "command": f"python benchmarks/lineage.py {name}",
                "machine": machine(),
                "seed": settings["seed"],
                "threads": 1,
                "tokenised_bleu": tokenised.value,
                "tokenised_signature": tokenised.signature,
                "greedy": report.as_dict(),
                "beam": beam.as_dict(),
                **run_figures(run),
            },
        )
        print(name, f"{tokenised.value:.2f}", report.table(), sep="\n")


if __name__ == "__main__":
    main(sys.argv[1:])
