"""What the objectives beside teacher forcing cost: target tokens a second of one thread, relative to plain training.

    python benchmarks/objectives.py [--rounds 5]

The work is that of benchmarks/training.py: the Transformer of width 256 with 3 + 3 layers and a vocabulary of 8,000.
All take turns on the same batches in one process. Writes benchmarks/results/objectives.json.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import time
from typing import Any

import numpy as np
import torch
from common import keep, machine
from peers import work

from ojak.batch import collate
from ojak.config import read_recipe
from ojak.model.build import build
from ojak.train.objective import Objective
from ojak.train.precision import Working
from ojak.train.run import versions
from ojak.train.update import make_optimizer, update

BATCHES = 6
# Name: settings, the view that learns from alignments, the share of words that the model has said itself.
KINDS: dict[str, tuple[dict[str, Any], str, float]] = {
    "plain": ({}, "", 0.0),
    "guided alignment": ({}, "layer1.head0", 0.0),
    "word dropout": ({"model": {"word_dropout": [0.1, 0.1]}}, "", 0.0),
    "EMA": ({"train": {"ema": 0.999}}, "", 0.0),
    "scheduled sampling": ({"train": {"sampled_words": 0.25}}, "", 0.25),
    "R-Drop": ({"train": {"r_drop": 5.0}}, "", 0.0),
}


class Contender:
    """A model of its own that learns by one objective."""

    def __init__(self, settings: dict[str, Any], view: str, sampled: float) -> None:
        torch.manual_seed(1)
        self._config = read_recipe(settings, {"train": {"device": "cpu"}})
        model = build(self._config.model, work.VOCABULARY, work.VOCABULARY, shared=True).train()
        self._working = Working(model, self._config.train)
        self._optimizer = make_optimizer(model, self._config.train)
        self._objective, self._links = Objective(self._config.train, view, sampled), bool(view)

    def learn(self, batch: work.Sentences, seed: int) -> int:
        """Real target tokens of an update."""
        links = [np.eye(len(target), len(source), dtype=np.bool_) for source, target in batch] if self._links else None
        sources, targets = [source for source, _ in batch], [target for _, target in batch]
        ready = collate(sources, targets, torch.device("cpu"), seed=seed, links=links)
        return update(self._working, [ready], self._optimizer, 1e-4, self._config.train, self._objective).tokens


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    asked = options.parse_args()
    torch.set_num_threads(1)
    stream = list(itertools.islice(work.batches(work.pairs()), BATCHES))
    contenders = {name: Contender(*kind) for name, kind in KINDS.items()}
    speeds: dict[str, list[float]] = {name: [] for name in KINDS}
    for number in range(asked.rounds + 1):
        for name, contender in contenders.items():
            begun = time.perf_counter()
            tokens = sum(contender.learn(batch, seed) for seed, batch in enumerate(stream))
            if number:  # the first time is for warming up
                speeds[name].append(tokens / (time.perf_counter() - begun))
    for name, found in speeds.items():
        print(f"{name:20} {statistics.median(found):8,.0f} tokens/s")
    keep(
        "objectives",
        {
            "command": f"python benchmarks/objectives.py --rounds {asked.rounds}",
            "machine": machine(),
            "versions": versions(),
            "rounds": asked.rounds,
            "tokens_per_second": speeds,
        },
    )


if __name__ == "__main__":
    main()
