"""Speed and quality together: BLEU against sentences a second, of deep and shallow models, taught by people or by a
teacher, in several precisions, with a shortlist and without, greedy and with a beam.

    python benchmarks/pareto.py [CORPUS …] [--only MODEL …] [--measure] [--rounds 3] [--trial FOLDER]

Corpora are multi30k (English to German) and korean (English to Korean); one thread trains. Every training goes on where
it was cut off, and a finished one is not done again, so the command may be stopped and started at will; --only trains
those models alone. --measure trains nothing more and measures the models that have ended, all in one run, taking turns,
as many workers as there are cores; it writes benchmarks/results/pareto-CORPUS.json. --trial does all of it on few pairs
and updates in a folder of its own, and writes no results.

The teacher translates the training pairs (`ojak distill`, beam 5), and a student that is taught learns from these and
from the pairs themselves. Recipes are in recipes/pareto: base, the corpus, the model, one over the other. Weights were
chosen on validation pairs; the test set is looked at here alone.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import ROOT, data, keep, machine, run_figures
from peers import work

import ojak
from ojak.compiled import Precision
from ojak.config import merge, read_toml
from ojak.corpus.pack import cores
from ojak.corpus.pair import Pair
from ojak.corpus.write import write_pairs
from ojak.errors import UseError
from ojak.evaluate import metrics
from ojak.model import folder
from ojak.train.distill import distill
from ojak.train.history import read_history
from ojak.train.lexical import learn
from ojak.train.run import versions

RECIPES = ROOT / "recipes" / "pareto"
CORPORA = {
    "multi30k": (("multi30k_ende",), "val", ("multi30k_ende", "test_2016_flickr")),
    "korean": (("enko_talk", "enko_chat"), "dev", ("enko_talk", "test")),
}
"""files to train and to validate on, and the test set"""
TEACHER = "teacher"
MODELS: dict[str, tuple[str, bool]] = {
    TEACHER: ("teacher", False),
    "3 + 3": ("3-3", False),
    "6 + 2": ("6-2", False),
    "6 + 2, taught": ("6-2", True),
    "6 + 1": ("6-1", False),
    "6 + 1, taught": ("6-1", True),
}
"""recipe of each model, and whether the teacher's translations are among its pairs"""
BEAM = 5
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16", "int8")
WAYS = [
    (precision, shortlist, beam)
    for precision, shortlist, beam in itertools.product(PRECISIONS, (False, True), (1, 4))
    if precision == "int8" or not shortlist
]
"""precision, whether with a shortlist, and beam of what is measured"""
FEW, SHORT = 400, {"updates": 6, "validate_every": 3, "save_every": 3, "warmup": 2, "batch_tokens": 500}
"""pairs and settings of a trial"""


@dataclass(frozen=True)
class Study:
    """A corpus, where its runs are, and whether this is only a trial."""

    corpus: str
    place: Path
    trial: bool

    def pairs(self, names: Sequence[str], split: str) -> list[Pair]:
        found = ojak.read_pairs([data(f"{name}.{split}.tsv.gz") for name in names])
        return found[:FEW] if self.trial else found

    def run(self, model: str) -> Path:
        return self.place / model.replace(" + ", "-").replace(", ", "-")

    @property
    def text(self) -> Path:
        return self.place / "train.tsv"

    @property
    def taught(self) -> Path:
        return self.place / "taught.tsv"

    def ended(self, model: str) -> bool:
        """Whether a model has been trained to its end."""
        run = self.run(model)
        events = read_history(run) if (run / "recipe.toml").is_file() else []
        return bool(events) and events[-1]["event"] == "end"


def train(study: Study, model: str) -> None:
    """Trains a model, or goes on with it, and learns its shortlist."""
    if study.ended(model):
        return
    recipe, is_taught = MODELS[model]
    if is_taught:
        teach(study)
    run = study.run(model)
    if (run / "recipe.toml").is_file():
        ojak.train_run({}, run, resume=True)
    else:
        names, split, _ = CORPORA[study.corpus]
        settings: dict[str, Any] = {}
        for name in ("base", study.corpus, recipe):
            merge(settings, read_toml(RECIPES / f"{name}.toml"))
        pairs = str(study.taught if is_taught else study.text)
        dev = [data(f"{name}.{split}.tsv.gz") for name in names]
        merge(settings, {"data": {"pairs": [pairs], "dev": dev}, "train": {"threads": 1}})
        if study.trial:
            merge(settings, {"text": {"size": 500}, "train": {**SHORT, "dev_sentences": 20}})
        ojak.train_run(settings, run)


def teach(study: Study) -> None:
    """What the teacher makes of the training pairs, and these too."""
    if study.taught.is_file():
        return
    train(study, TEACHER)
    teacher = ojak.load(study.run(TEACHER), "cpu", workers=1)
    search = teacher.search.model_copy(update={"beam": BEAM})
    of = [study.run(TEACHER) / "model"]
    distill(teacher, ojak.read_pairs([study.text]), study.taught, search, originals=True, of=of, tell=print)


def shortlist(study: Study, model: str) -> None:
    """Learns the shortlist of a model from the pairs that it was trained on, where it has none."""
    place = folder.model_folder(study.run(model))
    translator = ojak.Translator.load(place, "cpu")
    if translator.shortlist is None:
        pairs = ojak.read_pairs([study.taught if MODELS[model][1] else study.text])
        sides = [translator.source.encode(p.source) for p in pairs], [translator.target.encode(p.target) for p in pairs]
        lexicon, _ = learn(*sides, (len(translator.source), len(translator.target)), words=50, frequent=200)
        lexicon.save(place)


def measure(study: Study, rounds: int) -> dict[str, Any]:
    """BLEU of every model that has ended, in every way, and how fast it is: text in, text out."""
    _, _, (name, split) = CORPORA[study.corpus]
    pairs = study.pairs([name], split)
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    points: list[dict[str, Any]] = []
    makers = {}
    models = [model for model in MODELS if study.ended(model)]
    for model in models:
        shortlist(study, model)
        for precision in PRECISIONS:
            try:
                makers[model, precision] = ojak.load(study.run(model), "cpu", precision=precision, workers=cores())
            except UseError as error:
                print(f"{model}, {precision}: left out: {error}", file=sys.stderr)
    for model, (precision, words, beam) in itertools.product(models, WAYS):
        if (model, precision) in makers:
            way = {"model": model, "precision": precision, "shortlist": words, "beam": beam}
            points.append({**way, "sentences_per_second": [], "others": 0.0})
    for number in range(rounds + 1):
        for point in points:
            maker = makers[point["model"], point["precision"]]
            search = maker.search.model_copy(update={"beam": point["beam"], "shortlist": point["shortlist"]})
            others, begun = work.Others(), time.perf_counter()
            found = maker.translate(sources, search)
            rate = len(sources) / (time.perf_counter() - begun)
            if not number:  # the first time is for warming up, and for what was said
                score = metrics.bleu([one.text for one in found], references, maker.languages[1])
                point |= {"bleu": score.value, "signature": score.signature}
                continue
            point["sentences_per_second"].append(rate)
            point["others"] = max(point["others"], others.share())
    for point in points:
        rate = statistics.median(point["sentences_per_second"])
        print(f"{told(point):50} {point['bleu']:6.2f} BLEU  {rate:8.1f} sentences/s", flush=True)
    return {
        "command": f"python benchmarks/pareto.py {study.corpus} --measure",
        "machine": machine(),
        "versions": versions(),
        "workers": cores(),
        "rounds": rounds,
        "test": f"{name}.{split}",
        "sentences": len(sources),
        "models": {model: run_figures(study.run(model)) for model in models},
        "points": points,
    }


def told(point: dict[str, Any]) -> str:
    """A point's name."""
    words = ", shortlist" if point["shortlist"] else ""
    return f"{point['model']}: {point['precision']}{words}, {'greedy' if point['beam'] == 1 else 'beam 4'}"


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("corpora", nargs="*", metavar="CORPUS", default=list(CORPORA))
    options.add_argument("--only", nargs="+", metavar="MODEL", default=list(MODELS))
    options.add_argument("--measure", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--trial", type=Path, metavar="FOLDER")
    asked = options.parse_args()
    for what, given, known in (("corpus", asked.corpora, CORPORA), ("model", asked.only, MODELS)):
        if unknown := [name for name in given if name not in known]:
            options.error(f"a {what} is one of {', '.join(known)}, but {', '.join(unknown)} was named")
    for corpus in asked.corpora:
        place = (asked.trial or ROOT / "runs" / "pareto") / corpus
        study = Study(corpus, place, asked.trial is not None)
        if not study.text.is_file():
            place.mkdir(parents=True, exist_ok=True)
            write_pairs(study.text, study.pairs(CORPORA[corpus][0], "train"))
        if not asked.measure:
            for model in asked.only:
                train(study, model)
        if asked.measure or study.trial:
            result = measure(study, asked.rounds)
            if not study.trial:
                keep(f"pareto-{corpus}", result)


if __name__ == "__main__":
    main()
