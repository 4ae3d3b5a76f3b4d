"""Word alignments by attention beside eflomal, on gold that people drew: alignment error rates on three pairs of
languages, each with a model that was trained on everyday sentences and on the text of the gold, never its links.

    python benchmarks/alignment.py [PAIR …] [--measure]     en-es de-en en-fr; one thread

Every training goes on where it was cut off, and a finished one is not done again, so the command may be stopped and
started at will; `--measure` trains nothing more and measures the models as far as they are. eflomal is looked for in
the folder OJAK_PEERS (benchmarks/peers/README.md). View, step and way of symmetrising are chosen on every other line of
the gold, and the error rates are those of the other lines. Writes benchmarks/results/alignment-PAIR.json.

One small model learns both directions of a pair, which has one vocabulary: what it finds out about where to look in
one direction serves the other. It learns in stages, each of which begins with the weights of the last: unguided, and
then some rounds guided by the alignments that the last stage found in both directions together (Garg 2019). Each round
is guided on other sentences than the last, since a model that is asked for links that it learnt gives them back, right
or wrong; only the last ones also on the text of the gold.
"""

from __future__ import annotations

import argparse
import itertools
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from alignment_text import gold_lines, joined, links_file, near, pairs_file, raw_lines
from common import PEERS, ROOT, data, keep, machine

import ojak
from ojak import files
from ojak.align.aligner import WAY, Aligner
from ojak.align.choose import by_agreement, by_gold, looked
from ojak.align.error_rate import error_rate
from ojak.align.extract import cut, see
from ojak.align.links import Gold, Links, read_gold
from ojak.align.reading import MEASURES, Reading
from ojak.align.remember import remember
from ojak.align.symmetrise import SOFT_WAYS, WAYS, one_way
from ojak.align.words import Matrix
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
DIRECTIONS = ("ahead", "back")
MOST = 50
"""everyday sentences that the models see of each word of the gold, at least, if there are so many"""

TEXT = {"size": 4000, "lowercase": True, "shared": True}
MODEL = {
    "architecture": "transformer",
    "width": 128,
    "feed_forward": 512,
    "heads": 2,
    "encoder_layers": 1,
    "decoder_layers": 2,
    "positions": "sinusoid",
}
TRAIN = {
    "metric": "loss",
    "dev_sentences": 50,
    "patience": 0,
    "average": 0,
    "threads": 1,
    "schedule": "cosine",
    "batch_tokens": 1000,
    "validate_every": 3000,
    "save_every": 500,
}
UNGUIDED: dict[str, Any] = {
    "model": {"dropout": 0.0},
    "train": {"updates": 3000, "learning_rate": 4e-3, "warmup": 300},
    "gold": 5.0,
}
GUIDED: dict[str, Any] = {
    "model": {"dropout": 0.1},
    "train": {"learning_rate": 3e-3, "warmup": 100, "alignment_weight": 1.0, "alignment_step": "input"},
    "gold": 10.0,
}
"""what each kind of stage adds; `gold` is how often a pass sees the text of the gold"""


class Round(NamedTuple):
    """How both directions were made one for the links that a guided round learns from, its updates, and the sentences
    that it is guided on: a quarter of the everyday ones, another than the rounds before; or, where it is `near`, those
    near to the gold, and the text of the gold."""

    way: str
    updates: int
    near: bool


ROUNDS = (Round("mutual", 1500, False), *[Round("soft-union", 1500, False)] * 2, *[Round("soft-union", 1000, True)] * 2)
STAGES = ("unguided", *(f"guided {number}" for number in range(1, len(ROUNDS) + 1)))
TAUGHT = "guided by eflomal"
"""one round more beside the others, which begins with the unguided model and learns eflomal's links"""
EVERY_WAY = (*WAYS, *SOFT_WAYS)
EFLOMAL = PEERS / "eflomal" / "bin" / "eflomal-align"


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
    """What is learnt from, as files of pairs in both orders: for the unguided stage everyday sentences near to the
    gold, joined; for each guided round a share of all, also joined; the text of the gold; and all everyday sentences,
    for eflomal, and some to validate on."""
    gold, corpus = SETS[pair]
    every = raw_lines(Path(data(f"{corpus}.train.tsv.gz")), pair)
    texts = [line[:2] for line in gold_lines(Path(data(f"{gold}.dev.tsv.gz")))]
    dev = raw_lines(Path(data(f"{corpus}.dev.tsv.gz")), pair)[::10]
    chosen = near(every, texts, MOST)
    parts = {"every": every, "unguided.joined": joined(chosen), "gold": texts, "dev": dev}
    parts |= {TAUGHT: chosen, f"{TAUGHT}.joined": joined(chosen)}
    for number, (stage, round) in enumerate(zip(STAGES[1:], ROUNDS, strict=True)):
        share = chosen if round.near else every[number::4]
        parts |= {stage: share, f"{stage}.joined": joined(share)}
    for part, lines in parts.items():
        for direction in DIRECTIONS:
            if not text(pair, part, direction).is_file():
                files.write(text(pair, part, direction), pairs_file(lines, direction == "back"))


def text(pair: str, part: str, direction: str = "ahead") -> Path:
    return RUNS / "data" / f"{pair}.{part}.{direction}.tsv".replace(" ", "-")


def links(pair: str, stage: str, part: str, direction: str) -> Path:
    """What a guided stage learns of a text's alignments."""
    return text(pair, part if part.startswith(stage) else f"{stage}.{part}", direction).with_suffix(".links")


def folder(pair: str, stage: str) -> Path:
    return RUNS / f"{pair}-{stage.replace(' ', '-')}"


def train(pair: str) -> None:
    """All stages, as far as they are not there."""
    for stage in (*STAGES, TAUGHT):
        if stage == TAUGHT and not EFLOMAL.is_file():
            continue
        if stage != "unguided" and not links(pair, stage, "joined", DIRECTIONS[-1]).is_file():
            (teach if stage == TAUGHT else guide)(pair, stage)
        learn(pair, stage)


def learn(pair: str, stage: str) -> None:
    run, own = folder(pair, stage), stage_settings(stage)
    if (run / "recipe.toml").is_file():
        events = read_history(run)
        if not events or events[-1]["event"] != "end" or events[-1]["update"] < own["train"]["updates"]:
            ojak.train_run({"train": {"updates": own["train"]["updates"]}}, run, resume=True)
        return
    parts = list(itertools.product(DIRECTIONS, (f"{stage}.joined", "gold")))
    settings: dict[str, Any] = {
        "data": {
            "pairs": [str(text(pair, part, direction)) for direction, part in parts],
            "weights": [own["gold"] if part == "gold" else 1.0 for _, part in parts],
            "dev": [str(text(pair, "dev"))],
        },
        "model": own["model"],
        "train": {**TRAIN, **own["train"]},
    }
    if stage == "unguided":
        merge(settings, {"text": TEXT, "model": MODEL})
    else:
        taught = [str(links(pair, stage, part, direction)) for direction, part in parts]
        merge(settings, {"data": {"alignments": taught}, "train": {"start": str(folder(pair, before(stage)))}})
    ojak.train_run(settings, run)


def stage_settings(stage: str) -> dict[str, Any]:
    if stage == "unguided":
        return UNGUIDED
    round = ROUNDS[0] if stage == TAUGHT else ROUNDS[STAGES.index(stage) - 1]
    return {**GUIDED, "train": {**GUIDED["train"], "updates": round.updates}}


def before(stage: str) -> str:
    return STAGES[0] if stage == TAUGHT else STAGES[STAGES.index(stage) - 1]


def guide(pair: str, stage: str) -> None:
    """The links that both directions of the stage before find together, by readings on which they agree best: no gold
    is asked. Single sentences are aligned, and their links put together as the sentences are."""
    round = ROUNDS[STAGES.index(stage) - 1]
    translator = Translator.load(folder(pair, before(stage)), "cpu")
    pairs, golds = (ojak.read_pairs([text(pair, part)]) for part in (stage, "gold"))
    some = [*golds, *pairs[:500]]
    one, other, agreement = by_agreement(looked(translator, some), looked(translator, [pair.turned() for pair in some]))
    print(f"{pair}: {stage} by {round.way} of {one} and {other}, which agree in {agreement:.1%}", flush=True)
    found = both(translator, pairs, one, other, round.way)
    of_gold = both(translator, golds, one, other, round.way) if round.near else [frozenset()] * len(golds)
    write_links(pair, stage, pairs, found, of_gold)


def teach(pair: str, stage: str) -> None:
    """The links that eflomal finds, in the place of a model's."""
    ahead, back = eflomal_links(pair)
    found = [WAYS["grow-diag"](*two) for two in zip(ahead, back, strict=True)]
    every, pairs = (ojak.read_pairs([text(pair, part)]) for part in ("every", stage))
    of = {(pair.source, pair.target): place for place, pair in enumerate(every)}
    write_links(pair, stage, pairs, [found[of[pair.source, pair.target]] for pair in pairs], found[len(every) :])


def write_links(pair: str, stage: str, pairs: Sequence[Pair], found: Sequence[Links], of_gold: Sequence[Links]) -> None:
    together = joined([(pair.source, pair.target) for pair in pairs], found)
    for direction in DIRECTIONS:
        back = direction == "back"
        files.write(links(pair, stage, "gold", direction), links_file(of_gold, back))
        files.write(links(pair, stage, "joined", direction), links_file(together, back))


def measure(pair: str) -> None:
    """The rows of the table, of whatever models are there."""
    gold = data(f"{SETS[pair][0]}.dev.tsv.gz")
    pairs = [Pair(source, target) for source, target, _ in gold_lines(Path(gold))]
    golds = read_gold(gold, pairs)
    rows: dict[str, dict[str, Any]] = {}
    models: dict[str, dict[str, Any]] = {}
    there = [stage for stage in STAGES if weights(folder(pair, stage))]
    for stage in there:
        models[stage] = figures(folder(pair, stage))
        found, attended = of_model(folder(pair, stage), pairs, golds)
        if stage in (STAGES[0], there[-1]):
            rows |= {f"guided, {name}" if stage != STAGES[0] else name: row for name, row in found.items()}
        else:
            rows[f"{stage}, both directions"] = found["both directions"]
    if weights(run := folder(pair, TAUGHT)):
        models[TAUGHT] = figures(run)
        rows |= {
            f"{TAUGHT}, {name}": row for name, row in of_model(run, pairs, golds)[0].items() if "norms" not in name
        }
    doubt = None
    if EFLOMAL.is_file():
        found, counted = eflomal(pair, golds)
        rows |= found
        doubt = not_better(attended, counted, golds[1::2])
        print(f"{pair}  the last stage is not better than eflomal in {doubt:.1%} of resamples")
    else:
        print(f"eflomal: left out; there is no {EFLOMAL}", file=sys.stderr)
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
            "settings": {
                "text": TEXT,
                "model": MODEL,
                "train": TRAIN,
                "unguided": UNGUIDED,
                "guided": GUIDED,
                "rounds": [round._asdict() for round in ROUNDS],
                "sentences a word": MOST,
            },
            "models": models,
            "resamples in which it is not better than eflomal": doubt,
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
        "pairs": start["pairs"],
        "versions": start["versions"],
        "updates": last["update"],
        "minutes": round([event["seconds"] for event in events if "seconds" in event][-1] / 60, 1),
        "ended": events[-1]["event"] == "end",
        "perplexity": last["perplexity"],
    }


def of_model(run: Path, pairs: Sequence[Pair], golds: Sequence[Gold]) -> tuple[dict[str, dict[str, Any]], list[Links]]:
    """Rows of one direction and of both, readings and way chosen on even lines, measured on odd ones; and the links of
    both directions there."""
    translator = Translator.load(run, "cpu")
    rows, looks, best = {}, {}, {}
    for direction in DIRECTIONS:
        back = direction == "back"
        here = [pair.turned() for pair in pairs] if back else list(pairs)
        drawn = [turned(gold) for gold in golds] if back else list(golds)
        looks[direction] = looked(translator, here[::2])
        rates = by_gold(looks[direction], here[::2], drawn[::2])
        best[direction] = next(iter(rates))
        if not back:
            why = f"It was the nearest to half of the gold, with an error rate of {rates[best[direction]].aer:.3f}."
            remember(run, best[direction], why)
        for measure in MEASURES:
            reading = next(reading for reading in rates if reading.measure == measure)
            found = [one_way(matrix) for matrix in read(translator, here[1::2], reading)]
            rows[f"{measure}, {direction}"] = row(found, drawn[1::2], str(reading))

    rates = {way: error_rate(both(translator, pairs[::2], *best.values(), way), golds[::2]) for way in EVERY_WAY}
    way = min(rates, key=lambda way: rates[way].aer)
    of_both = both(translator, pairs[1::2], *best.values(), way)
    rows["both directions"] = row(of_both, golds[1::2], way)
    one, other, agreement = by_agreement(looks["ahead"], looks["back"])
    found = both(translator, pairs[1::2], one, other, WAY)
    by = f"{one}; {other}; they agree in {agreement:.1%}; {WAY}"
    rows["both directions, chosen without gold"] = row(found, golds[1::2], by)
    return rows, of_both


def both(translator: Translator, pairs: Sequence[Pair], one: Reading, other: Reading, way: str) -> list[Links]:
    return [found.links for found in Aligner(translator, one, translator, other, way).align(pairs)]


def read(translator: Translator, pairs: Sequence[Pair], reading: Reading) -> list[Matrix]:
    cuts = cut(translator, [pair.source for pair in pairs], [pair.target for pair in pairs])
    seen = dict(see(translator, cuts))
    return [seen[place].matrix(reading) for place in range(len(pairs))]


def turned(gold: Gold) -> Gold:
    return Gold(frozenset((j, i) for i, j in gold.sure), frozenset((j, i) for i, j in gold.possible))


def row(links: Sequence[Links], golds: Sequence[Gold], by: str) -> dict[str, Any]:
    return {**error_rate(links, golds).as_dict(), "by": by}


def not_better(found: Sequence[Links], other: Sequence[Links], golds: Sequence[Gold]) -> float:
    """In which part of 2,000 resamples of the sentences the error rate of `found` is not below that of `other`."""
    counts = [[error_rate([one], [gold]) for one, gold in zip(side, golds, strict=True)] for side in (found, other)]
    told = np.array([[[one.met + one.right, one.links + one.sure] for one in side] for side in counts])
    draws = np.random.default_rng(1).integers(0, len(golds), (2000, len(golds)))
    right, every = told[:, draws].sum(2).transpose(2, 0, 1)
    return float((right[0] / every[0] <= right[1] / every[1]).mean())


def eflomal(pair: str, golds: Sequence[Gold]) -> tuple[dict[str, dict[str, Any]], list[Links]]:
    """Rows of eflomal with its own defaults on all single sentences and those of the gold, in lower case; and the links
    of both directions."""
    sides = [side[-len(golds) :] for side in eflomal_links(pair)]
    made = {way: [WAYS[way](*two) for two in zip(*sides, strict=True)] for way in WAYS}
    way = min(WAYS, key=lambda way: error_rate(made[way][::2], golds[::2]).aer)
    rows = {
        "eflomal, ahead": row(sides[0][1::2], golds[1::2], "its defaults"),
        "eflomal, back": row(sides[1][1::2], golds[1::2], "its defaults"),
        "eflomal, both directions": row(made[way][1::2], golds[1::2], way),
    }
    return rows, made[way][1::2]


def eflomal_links(pair: str) -> list[list[Links]]:
    """Of each direction: the links of all single sentences, and those of the gold."""
    given = RUNS / "data" / f"{pair}.eflomal"
    out = [given.with_name(f"{given.name}.{direction}") for direction in DIRECTIONS]
    if not all(file.is_file() for file in out):
        texts = [text(pair, part).read_text("utf-8") for part in ("every", "gold")]
        files.write(given, "".join(texts).lower().replace("\t", " ||| "))
        words = [str(EFLOMAL), "-i", str(given), "-f", str(out[0]), "-r", str(out[1]), "--model", "3", "--overwrite"]
        subprocess.run(words, check=True, capture_output=True)
    return [[links_of(line) for line in file.read_text("utf-8").split("\n")[:-1]] for file in out]


def links_of(line: str) -> Links:
    return frozenset((int(i), int(j)) for i, j in (link.split("-") for link in line.split()))


if __name__ == "__main__":
    main()
