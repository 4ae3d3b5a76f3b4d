"""How far views of the same translations agree, and how much hangs on the word that each calls the most important.

    python benchmarks/attribution.py

Writes benchmarks/results/attribution.json. With the models of `korean.py`, on the first short
sentences of enko_talk.test, and the models' own greedy translations of them.
"""

from __future__ import annotations

import random
import statistics
import sys
import time
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import numpy.typing as npt
import torch
from common import ROOT, data, keep, machine

import ojak
from ojak.attribution.agreement import FEWEST, agreement
from ojak.attribution.inside import COMPARED, Inside
from ojak.attribution.occlusion import log_probabilities
from ojak.errors import ModelError
from ojak.text.vocabulary import SPECIALS
from ojak.words import groups

MODELS = ("transformer-en-ko", "transformer-ko-en", "gru-additive-ko-en")
SENTENCES, SEED = 30, 1
MOST = 12
"""words of a sentence: integrated gradients of long ones would take most of the time"""


def drops(inside: Inside, words: Sequence[Sequence[int]], others: Sequence[int], seed: random.Random) -> npt.NDArray:
    """By how much the log-probability of each target token falls, (2,T,G), when each word is taken out, and when each
    of its pieces makes way for another, drawn from those of all the sentences."""
    ids = inside.pair.source[0].tolist()
    without = [[word for place, word in enumerate(ids) if place not in group] for group in words]
    changed = [[seed.choice(others) if place in group else word for place, word in enumerate(ids)] for group in words]
    with torch.inference_mode():
        scores = log_probabilities(inside.model, [ids, *without, *changed], inside.pair).numpy()
    fallen = scores[0] - scores[1:]
    return np.stack([fallen[: len(words)].T, fallen[len(words) :].T])


def measure(name: str) -> dict[str, object]:
    translator = ojak.load(ROOT / "runs" / "korean" / name, device="cpu")
    pairs = ojak.read_pairs([data("enko_talk.test.tsv.gz")])
    sources = [pair.target if name.endswith("ko-en") else pair.source for pair in pairs[: 10 * SENTENCES]]
    others = sorted({word for text in sources for word in translator.source.encode(text) if word >= len(SPECIALS)})
    draws, begin = random.Random(SEED), time.process_time()
    agreed: dict[str, list[float]] = {}
    fallen: dict[str, list[list[float]]] = {}
    sentences = tokens = 0
    for text in sources:
        if sentences == SENTENCES:
            break
        inside = translator.inside(text, search=ojak.SearchConfig(beam=1))
        words = groups(inside.translation.source_tokens)[:-1]  # all but the end of sentence
        if not FEWEST <= len(words) <= MOST or len(inside.translation.tokens) < 2:
            continue
        sentences, tokens = sentences + 1, tokens + len(inside.translation.tokens) - 1
        views = [view for view in COMPARED if inside.why_not(view) is None]
        maps = {view: inside.map(view) for view in views}
        for one, other in combinations(views, 2):
            if (how := agreement(maps[one], maps[other])) is not None:
                agreed.setdefault(f"{one} {other}", []).append(how.spearman)
        # Which word each view calls the most important for each piece of the target, its end left out.
        lost = drops(inside, words, others, draws)[:, :-1]
        every = np.arange(lost.shape[1])
        for view in views:
            of_words = np.stack([maps[view].values[:-1, group].sum(1) for group in words], 1)
            most = (lost[0] if view == "occlusion" else of_words).argmax(1)  # a word is taken out as a whole
            fallen.setdefault(view, []).append(lost[:, every, most].mean(1).tolist())
        fallen.setdefault("chance", []).append(lost.mean((1, 2)).tolist())
        fallen.setdefault("the most there is", []).append(lost.max(2).mean(1).tolist())
    spread = sentences**0.5
    return {
        "sentences": sentences,
        "target_tokens": tokens,
        "spearman": {names: statistics.mean(each) for names, each in agreed.items()},
        "drop": {
            view: {
                way: [statistics.mean(column), statistics.stdev(column) / spread]
                for way, column in zip(("taken out", "another word"), zip(*each, strict=True), strict=True)
            }
            for view, each in fallen.items()
        },
        "seconds": time.process_time() - begin,
    }


def main() -> None:
    torch.set_num_threads(1)
    found = {}
    for name in MODELS:
        try:
            found[name] = measure(name)
        except ModelError as error:
            print(f"skipped {name}: {error} Train it with: python benchmarks/korean.py {name}", file=sys.stderr)
            continue
        print(name, found[name], flush=True)
        made = {"command": "python benchmarks/attribution.py", "machine": machine(), "seed": SEED, "threads": 1}
        keep("attribution", {**made, "longest": MOST, "models": found})


if __name__ == "__main__":
    main()
