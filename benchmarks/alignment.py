"""Word alignments by attention beside eflomal, on gold that people drew: alignment error rates on three pairs of
languages, each with models that were trained on everyday sentences and on the text of the gold, never its links.

    python benchmarks/alignment.py [PAIR …] [--measure]     en-es de-en en-fr; one thread

Every training goes on where it was cut off, and a finished one is not done again, so the command may be stopped and
started at will; `--measure` trains nothing more and measures the models as far as they are. eflomal is looked for in
the folder OJAK_PEERS (benchmarks/peers/README.md). View and step are chosen on every other line of the gold, and the
error rates are those of the other lines. Writes benchmarks/results/alignment-PAIR.json.

A model learns in stages, each of which begins with the weights of the last: single sentences; several joined, until
they are about as long as those of the gold; and, guided, the same with the alignments that the models of both
directions found together (Garg 2019).
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alignment_text import gold_lines, joined, links_file, pairs_file, raw_lines
from common import PEERS, ROOT, data, keep, machine

import ojak
from ojak import files
from ojak.align.aligner import Aligner, one_way
from ojak.align.choose import by_agreement, by_gold, looked
from ojak.align.error_rate import ErrorRate, error_rate
from ojak.align.extract import cut, see
from ojak.align.links import Gold, Links, read_gold
from ojak.align.reading import Reading
from ojak.align.remember import remember
from ojak.align.symmetrise import WAYS
from ojak.config import merge
from ojak.corpus.pair import Pair
from ojak.train.history import read_history
from ojak.translate import Translator

SETS = {
    "en-es": ("align_enes_xlwa", "enes_tatoeba"),
    "de-en": ("align_deen_europarl", "ende_tatoeba"),
    "en-fr": ("align_enfr_hansards", "enfr_tatoeba"),
}
"""gold and corpus by the languages of the gold's columns"""
RUNS = ROOT / "runs" / "alignment"
DIRECTIONS = {"ahead": False, "back": True}
GOLD_WEIGHT = 5.0
"""how often a pass sees the text of the gold, which is a thousandth of all"""

MODEL = {
    "architecture": "transformer",
    "width": 192,
    "feed_forward": 768,
    "heads": 4,
    "encoder_layers": 3,
    "decoder_layers": 3,
    "dropout": 0.1,
    "positions": "sinusoid",
}
TRAIN = {
    "metric": "loss",
    "dev_sentences": 20,
    "patience": 0,
    "average": 3,
    "threads": 1,
    "schedule": "cosine",
    "validate_every": 300,
    "save_every": 300,
}
STAGES: dict[str, dict[str, Any]] = {
    "single": {"updates": 1750, "batch_tokens": 1500, "learning_rate": 2e-3, "warmup": 300},
    "joined": {"updates": 4000, "batch_tokens": 2000, "learning_rate": 1.5e-3, "warmup": 150},
    "guided": {"updates": 1500, "batch_tokens": 2000, "learning_rate": 1e-3, "warmup": 150},
}
GUIDE = {"alignment_weight": 0.3, "alignment_step": "input"}


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("pairs", nargs="*", default=list(SETS), metavar="PAIR")
    options.add_argument("--measure", action="store_true")
    asked = options.parse_args()
    for pair in asked.pairs:
        write_text(pair)
        if not asked.measure:
            train(pair)
        measure(pair)


def write_text(pair: str) -> None:
    """What is learnt from, as files of pairs: single sentences, joined ones, the gold's, and some to validate on."""
    gold, corpus = SETS[pair]
    single = raw_lines(Path(data(f"{corpus}.train.tsv.gz")), pair)
    texts = [line[:2] for line in gold_lines(Path(data(f"{gold}.dev.tsv.gz")))]
    dev = raw_lines(Path(data(f"{corpus}.dev.tsv.gz")), pair)[::10]
    for name, lines in (("single", single), ("joined", joined(single)), ("gold", texts), ("dev", dev)):
        if not text(pair, name).is_file():
            files.write(text(pair, name), pairs_file(lines))


def text(pair: str, name: str) -> Path:
    return RUNS / "data" / f"{pair}.{name}.tsv"


def folder(pair: str, direction: str, stage: str) -> Path:
    return RUNS / f"{pair}-{direction}-{stage}"


def train(pair: str) -> None:
    """All stages of both directions, as far as they are not there."""
    for stage in ("single", "joined"):
        for direction in DIRECTIONS:
            learn(pair, direction, stage)
    if not all(links(pair, part).is_file() for part in ("joined", "gold")):
        guide(pair)
    for direction in DIRECTIONS:
        learn(pair, direction, "guided")


def learn(pair: str, direction: str, stage: str) -> None:
    run, names = folder(pair, direction, stage), list(STAGES)
    after = names[names.index(stage) + 1 :]
    if any((folder(pair, direction, later) / "recipe.toml").is_file() for later in after):
        return  # it was good enough to begin the next stage with
    if (run / "recipe.toml").is_file():
        events = read_history(run)
        if not events or events[-1]["event"] != "end" or events[-1]["update"] < STAGES[stage]["updates"]:
            ojak.train_run({"train": {"updates": STAGES[stage]["updates"]}}, run, resume=True)
        return
    parts = ["single" if stage == "single" else "joined", "gold"]
    one, other = pair.split("-")
    settings: dict[str, Any] = {
        "data": {
            "pairs": [str(text(pair, part)) for part in parts],
            "weights": [1.0, GOLD_WEIGHT],
            "dev": [str(text(pair, "dev"))],
            "source": one,
            "target": other,
            "reverse": DIRECTIONS[direction],
        },
        "train": {**TRAIN, **STAGES[stage]},
    }
    if stage == "single":
        merge(settings, {"text": {"size": 6000, "lowercase": True}, "model": MODEL})
    else:
        before = folder(pair, direction, names[names.index(stage) - 1])
        merge(settings, {"train": {"start": str(before)}})
    if stage == "guided":
        merge(settings, {"data": {"alignments": [str(links(pair, part)) for part in parts]}, "train": GUIDE})
    ojak.train_run(settings, run)


def links(pair: str, part: str) -> Path:
    return RUNS / "data" / f"{pair}.{part}.links"


def guide(pair: str) -> None:
    """The links that both directions find together, by readings on which they agree best: no gold is asked.

    Single sentences are aligned, and their links put together as the sentences are.
    """
    forward, backward = (Translator.load(folder(pair, direction, "joined"), "cpu") for direction in DIRECTIONS)
    every = {part: ojak.read_pairs([text(pair, part)]) for part in ("single", "gold")}
    some = [*every["gold"], *every["single"][:1000]]
    one, other, agreement = by_agreement(looked(forward, some), looked(backward, [pair.turned() for pair in some]))
    print(f"{pair}: guided by {one} and {other}, which agree in {agreement:.1%}", flush=True)
    aligner = Aligner(forward, one, backward, other, "grow-diag")
    found = {part: [alignment.links for alignment in aligner.align(pairs)] for part, pairs in every.items()}
    texts = [(pair.source, pair.target) for pair in every["single"]]
    files.write(links(pair, "gold"), links_file(found["gold"]))
    files.write(links(pair, "joined"), links_file(joined(texts, found["single"])))


def measure(pair: str) -> None:
    """The rows of the table, of whatever models are there."""
    gold = data(f"{SETS[pair][0]}.dev.tsv.gz")
    pairs = [Pair(source, target) for source, target, _ in gold_lines(Path(gold))]
    golds = read_gold(gold, pairs)
    rows: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}
    for stage in ("joined", "guided"):
        runs = {d: run for d in DIRECTIONS if (run := folder(pair, d, stage)) and weights(run)}
        models |= {f"{direction} {stage}": figures(run) for direction, run in runs.items()}
        rows |= of_models(runs, pairs, golds, "guided, " if stage == "guided" else "")
    rows |= eflomal(pair, pairs, golds)
    for name, row in rows.items():
        print(f"{pair}  {name:45} AER {row['aer']:.3f}  {row['precision']:.3f} {row['recall']:.3f}  {row['by']}")
    keep(
        f"alignment-{pair}",
        {
            "command": f"python benchmarks/alignment.py {pair}",
            "machine": machine(),
            "seed": 1,
            "threads": 1,
            "gold": SETS[pair][0],
            "corpus": SETS[pair][1],
            "lines": {"chosen on": len(pairs[::2]), "measured on": len(pairs[1::2])},
            "settings": {"model": MODEL, "stages": STAGES, "guide": GUIDE},
            "models": models,
            "rows": rows,
        },
    )


def weights(run: Path) -> bool:
    return (run / "model" / "weights.safetensors").is_file()


def figures(run: Path) -> dict[str, Any]:
    """How far a training is."""
    events = read_history(run)
    start = next(event for event in events if event["event"] == "start")
    last = [event for event in events if event["event"] == "validation"][-1]
    return {
        "parameters": start["parameters"],
        "versions": start["versions"],
        "updates": last["update"],
        "ended": events[-1]["event"] == "end",
        "perplexity": last["perplexity"],
    }


def of_models(
    runs: dict[str, Path], pairs: Sequence[Pair], golds: Sequence[Gold], prefix: str
) -> dict[str, dict[str, Any]]:
    """Rows of one direction and of both, readings chosen on even lines, measured on odd ones."""
    rows, found, looks = {}, {}, {}
    for direction, run in runs.items():
        translator = Translator.load(run, "cpu")
        here = [pair.turned() for pair in pairs] if direction == "back" else list(pairs)
        drawn = [turned(gold) for gold in golds] if direction == "back" else list(golds)
        looks[direction] = looked(translator, here[::2])
        rates = by_gold(looks[direction], here[::2], drawn[::2])
        best = next(iter(rates))
        remember(run, best, f"It was the nearest to half of the gold, with an error rate of {rates[best].aer:.3f}.")
        chosen = {
            **{f"{measure}, {direction}": first(rates, measure) for measure in ("weights", "norms")},
            f"best, {direction}": best,
        }
        for name, reading in chosen.items():
            links = read(translator, here, reading)
            rows[prefix + name] = row(links[1::2], drawn[1::2], str(reading))
            found[name] = [frozenset((j, i) for i, j in one) for one in links] if direction == "back" else links
    if len(runs) == 2:
        both = {
            way: [WAYS[way](*two) for two in zip(found["best, ahead"], found["best, back"], strict=True)]
            for way in WAYS
        }
        way = min(WAYS, key=lambda way: error_rate(both[way][::2], golds[::2]).aer)
        rows[f"{prefix}both directions"] = row(both[way][1::2], golds[1::2], way)
        one, other, agreement = by_agreement(looks["ahead"], looks["back"])
        sides = [
            read(Translator.load(runs["ahead"], "cpu"), pairs[1::2], one),
            read(Translator.load(runs["back"], "cpu"), [pair.turned() for pair in pairs[1::2]], other),
        ]
        agreed = [
            WAYS["grow-diag"](ahead, frozenset((j, i) for i, j in back)) for ahead, back in zip(*sides, strict=True)
        ]
        by = f"{one}; {other}; they agree in {agreement:.1%}; grow-diag"
        rows[f"{prefix}both directions, chosen without gold"] = row(agreed, golds[1::2], by)
    return {name: row for name, row in rows.items() if "best" not in name}


def first(rates: dict[Reading, ErrorRate], measure: str) -> Reading:
    return next(reading for reading in rates if reading.measure == measure)


def read(translator: Translator, pairs: Sequence[Pair], reading: Reading) -> list[Links]:
    cuts = cut(translator, [pair.source for pair in pairs], [pair.target for pair in pairs])
    seen = dict(see(translator, cuts))
    return [one_way(seen[place].matrix(reading)) for place in range(len(pairs))]


def turned(gold: Gold) -> Gold:
    return Gold(frozenset((j, i) for i, j in gold.sure), frozenset((j, i) for i, j in gold.possible))


def row(links: Sequence[Links], golds: Sequence[Gold], by: str) -> dict[str, Any]:
    return {**error_rate(links, golds).as_dict(), "by": by}


def eflomal(pair: str, pairs: Sequence[Pair], golds: Sequence[Gold]) -> dict[str, dict[str, Any]]:
    """eflomal with its own defaults on the single sentences and those of the gold, all in lower case."""
    program = PEERS / "eflomal" / "bin" / "eflomal-align"
    if not program.is_file():
        print(f"eflomal: left out; there is no {program}", file=sys.stderr)
        return {}
    lines = [line for part in ("single", "gold") for line in text(pair, part).read_text("utf-8").strip().split("\n")]
    given = RUNS / "data" / f"{pair}.eflomal"
    out = [given.with_name(f"{given.name}.{direction}") for direction in DIRECTIONS]
    files.write(given, "".join(line.lower().replace("\t", " ||| ") + "\n" for line in lines))
    words = [str(program), "-i", str(given), "-f", str(out[0]), "-r", str(out[1]), "--model", "3", "--overwrite"]
    if not all(file.is_file() for file in out):
        subprocess.run(words, check=True, capture_output=True)
    sides = [[links_of(line) for line in file.read_text("utf-8").split("\n")[-len(pairs) - 1 : -1]] for file in out]
    both = {way: [WAYS[way](*two) for two in zip(*sides, strict=True)] for way in WAYS}
    way = min(WAYS, key=lambda way: error_rate(both[way][::2], golds[::2]).aer)
    return {
        "eflomal, ahead": row(sides[0][1::2], golds[1::2], "its defaults"),
        "eflomal, back": row(sides[1][1::2], golds[1::2], "its defaults"),
        "eflomal, both directions": row(both[way][1::2], golds[1::2], way),
    }


def links_of(line: str) -> Links:
    return frozenset((int(i), int(j)) for i, j in (link.split("-") for link in line.split()))


if __name__ == "__main__":
    main()
