"""Speed and quality together: BLEU against sentences a second, of deep and shallow models, taught by people or by a
teacher, in several precisions, with a shortlist and without, greedy and with a beam.

    python benchmarks/pareto.py [CORPUS …] [--only MODEL …] [--measure] [--rounds 3] [--trial FOLDER]

Corpora are multi30k (English to German) and korean (English to Korean). The teachers are the models of multi30k.py and
korean.py, which must have been trained; the students have another number of layers and are otherwise alike. One thread
trains. Every training goes on where it was cut off, and a finished one is not done again, so the command may be stopped
and started at will; --only trains those models alone. --measure trains nothing more and measures the models that have
ended, all in one run, taking turns, with as many workers as there are cores; it writes
benchmarks/results/pareto-CORPUS.json. --trial does all of it on few pairs and updates in a folder of its own, and
writes no results.

The teacher translates the training pairs (`ojak distill`, beam 5), and a student that is taught learns from what it
made of them. Weights were chosen on validation pairs; the test set is looked at here alone.
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
from typing import Any, NamedTuple

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


class Corpus(NamedTuple):
    """What is learnt and measured; the recipes that made the teacher, those that lie over them for students, and the
    teacher: its layers, and its run."""

    files: tuple[str, ...]
    dev: str
    test: tuple[str, str]
    recipes: tuple[str, ...]
    students: tuple[str, ...]
    teacher: str
    run: str


CORPORA = {
    "multi30k": Corpus(
        ("multi30k_ende",), "val", ("multi30k_ende", "test_2016_flickr"),
        ("multi30k/transformer",), ("pareto/multi30k",), "4 + 4", "multi30k/bf16-1",
    ),
    "korean": Corpus(
        ("enko_talk", "enko_chat"), "dev", ("enko_talk", "test"),
        ("korean/base", "korean/transformer"), (), "3 + 3", "korean/transformer-en-ko",
    ),
}  # fmt: skip
STUDENTS = {
    "6 + 2": ("6-2", False),
    "6 + 2, taught": ("6-2", True),
    "6 + 1": ("6-1", False),
    "6 + 1, taught": ("6-1", True),
}
"""recipe of each, in recipes/pareto, and whether it learns from the teacher's translations"""
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

    name: str
    place: Path
    trial: bool

    @property
    def corpus(self) -> Corpus:
        return CORPORA[self.name]

    @property
    def models(self) -> list[str]:
        return [self.corpus.teacher, *STUDENTS]

    def pairs(self, names: Sequence[str], split: str) -> list[Pair]:
        found = ojak.read_pairs([data(f"{name}.{split}.tsv.gz") for name in names])
        return found[:FEW] if self.trial else found

    def run(self, model: str) -> Path:
        if model == self.corpus.teacher and not self.trial:
            return ROOT / "runs" / self.corpus.run
        return self.place / model.replace(" + ", "-").replace(", ", "-")

    def text(self, model: str) -> Path:
        """The pairs that a model learns from."""
        return self.place / ("taught.tsv" if is_taught(model) else "train.tsv")

    def ended(self, model: str) -> bool:
        """Whether a model has been trained to its end."""
        run = self.run(model)
        events = read_history(run) if (run / "recipe.toml").is_file() else []
        return bool(events) and events[-1]["event"] == "end"


def is_taught(model: str) -> bool:
    return model in STUDENTS and STUDENTS[model][1]


def train(study: Study, model: str) -> None:
    """Trains a model, or goes on with it."""
    if study.ended(model):
        return
    if model == study.corpus.teacher and not study.trial:
        script, name = study.corpus.run.split("/")
        sys.exit(f"The teacher in {study.run(model)} must have ended: python benchmarks/{script}.py {name}")
    if is_taught(model):
        teach(study)
    run = study.run(model)
    if (run / "recipe.toml").is_file():
        ojak.train_run({}, run, resume=True)
        return
    settings: dict[str, Any] = {}
    recipes = study.corpus.recipes
    if model in STUDENTS:
        recipes += (*study.corpus.students, f"pareto/{STUDENTS[model][0]}")
    for recipe in recipes:
        merge(settings, read_toml(ROOT / "recipes" / f"{recipe}.toml"))
    dev = [data(f"{name}.{study.corpus.dev}.tsv.gz") for name in study.corpus.files]
    merge(settings, {"data": {"pairs": [str(study.text(model))], "dev": dev}, "train": {"threads": 1}})
    if study.trial:
        merge(settings, {"text": {"size": 1200}, "train": {**SHORT, "dev_sentences": 20}})
    ojak.train_run(settings, run)


def teach(study: Study) -> None:
    """What the teacher makes of the training pairs."""
    teacher = study.corpus.teacher
    taught = study.place / "taught.tsv"
    if taught.is_file():
        return
    train(study, teacher)
    translator = ojak.load(study.run(teacher), "cpu", workers=1)
    search = translator.search.model_copy(update={"beam": BEAM})
    of = [study.run(teacher) / "model"]
    pairs = ojak.read_pairs([study.text(teacher)])
    # The teacher of a trial has learnt next to nothing, and may say nothing.
    distill(translator, pairs, taught, search, originals=study.trial, of=of, tell=print)


def shortlist(study: Study, model: str) -> None:
    """Learns the shortlist of a model from the pairs that it was trained on, where it has none."""
    place = folder.model_folder(study.run(model))
    translator = ojak.Translator.load(place, "cpu")
    if translator.shortlist is None:
        pairs = ojak.read_pairs([study.text(model)])
        sides = [translator.source.encode(p.source) for p in pairs], [translator.target.encode(p.target) for p in pairs]
        lexicon, _ = learn(*sides, (len(translator.source), len(translator.target)), words=50, frequent=200)
        lexicon.save(place)


def measure(study: Study, rounds: int) -> dict[str, Any]:
    """BLEU of every model that has ended, in every way, and how fast it is: text in, text out."""
    name, split = study.corpus.test
    pairs = study.pairs([name], split)
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    points: list[dict[str, Any]] = []
    makers = {}
    models = [model for model in study.models if study.ended(model)]
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
        "command": f"python benchmarks/pareto.py {study.name} --measure",
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
    options.add_argument("--only", nargs="+", metavar="MODEL", default=list(STUDENTS))
    options.add_argument("--measure", action="store_true")
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--trial", type=Path, metavar="FOLDER")
    asked = options.parse_args()
    for what, given, known in (("corpus", asked.corpora, CORPORA), ("model", asked.only, STUDENTS)):
        if unknown := [name for name in given if name not in known]:
            options.error(f"a {what} is one of {', '.join(known)}, but {', '.join(unknown)} was named")
    for name in asked.corpora:
        study = Study(name, (asked.trial or ROOT / "runs" / "pareto") / name, asked.trial is not None)
        learnt = study.text(study.corpus.teacher)
        if not learnt.is_file():
            learnt.parent.mkdir(parents=True, exist_ok=True)
            write_pairs(learnt, study.pairs(study.corpus.files, "train"))
        if not asked.measure:
            for model in asked.only:
                train(study, model)
        if asked.measure or study.trial:
            result = measure(study, asked.rounds)
            if not study.trial:
                keep(f"pareto-{name}", result)


if __name__ == "__main__":
    main()
