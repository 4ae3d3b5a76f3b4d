"""What one of several processes does in tests: `python together.py WORK FOLDER …`, started by `test_parallel`."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import save_file
from zoo import VOCABULARY, make

from ojak.batch import Batch, blank, collate
from ojak.config import TrainConfig
from ojak.model.folder import weights_of
from ojak.model.seam import Seq2Seq
from ojak.train import ema
from ojak.train.loss import Loss
from ojak.train.objective import Objective
from ojak.train.parallel import Processes, joined
from ojak.train.precision import Working
from ojak.train.sharding import gather, scatter, shard
from ojak.train.update import Updated, make_optimizer, update

CPU = torch.device("cpu")
NAMES = (
    "rnn-none-start",
    "gru-additive-before",
    "lstm-additive-before-2-layers",
    "transformer-pre-rotary-swiglu",
    "transformer-post-sinusoid-relu",
)
CONFIG = TrainConfig(label_smoothing=0.2, clip=0.7, learning_rate=0.01, workers=1)
UPDATES = 3


def rows(update: int) -> list[list[int]]:
    """Sixteen sequences of one to seven symbols, others in every update."""
    generator = random.Random(update)
    return [[generator.randrange(4, VOCABULARY) for _ in range(1 + place % 7)] for place in range(16)]


def cut(update: int, count: int) -> list[Batch]:
    """The pairs of an update as so many batches, each with a seed of its own; words are linked with those at the same
    place."""
    all_, each = rows(update), 16 // count
    found = []
    for at in range(0, 16, each):
        sides = all_[at : at + each], all_[::-1][at : at + each]
        links = [np.eye(len(target), len(source), dtype=np.bool_) for source, target in zip(*sides, strict=True)]
        found.append(collate(*sides, CPU, seed=100 * update + at, links=links))
    return found


def learnt(
    name: str,
    count: int,
    processes: Processes,
    pieces: bool = False,
    uneven: bool = False,
    guided: bool = False,
    model: dict[str, Any] | None = None,
    train: dict[str, Any] | None = None,
) -> tuple[list[Updated], dict[str, torch.Tensor]]:
    """What the updates saw, and the weights after them (or their averages), when an update was cut into `count` batches
    for all processes together; if `uneven`, one of them less. `model` and `train` are other settings of these."""
    config = CONFIG.model_copy(update=train or {})
    whole = make(name).train()
    whole.config = whole.config.model_copy(update=model or {})
    learning: Seq2Seq = shard(whole, CPU, processes) if pieces else whole
    scatter(whole, learning)
    optimizer, seen = make_optimizer(learning, config), []
    objective = Objective(config, whole.views[0] if guided else "", config.sampled_words)
    with closing(Working(learning, config, processes)) as working:
        for step in range(UPDATES):
            all_ = cut(step, count)[: count - uneven]
            mine = all_[processes.mine]
            mine += [blank(CPU)] * (-(-len(all_) // processes.size) - len(mine))
            seen.append(update(working, mine, optimizer, 0.01, config, objective))
    with ema.averaged(optimizer):
        gather(learning, whole, processes)
        return seen, {name: weight.clone() for name, weight in weights_of(whole).items()}


DROPOUT = {"dropout": 0.3, "word_dropout": (0.2, 0.2)}
KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"model": DROPOUT},
    "uneven": {"uneven": True},
    "pieces": {"pieces": True},
    "pieces, uneven, dropout": {"pieces": True, "uneven": True, "model": DROPOUT},
}
ATTENTIVE = ("gru-additive-before", "transformer-pre-rotary-swiglu")
OBJECTIVES: dict[str, dict[str, Any]] = {
    "r-drop": {"model": DROPOUT, "train": {"r_drop": 5.0}},
    "own words": {"model": DROPOUT, "train": {"sampled_words": 0.5}},
    "guided": {"guided": True, "train": {"alignment_weight": 0.5}},
    "averages": {"train": {"ema": 0.9}},
}
ALL_ = {"guided": True, "model": DROPOUT, "train": {"alignment_weight": 0.5, "ema": 0.9, "r_drop": 5.0}}
EVERY = [
    *((kind, name, how) for kind, how in KINDS.items() for name in NAMES),
    *((kind, name, how) for kind, how in OBJECTIVES.items() for name in ATTENTIVE),
    *(("pieces, all objectives", name, {"pieces": True, **ALL_}) for name in ATTENTIVE),
]
"""what is learnt, by which model, and how"""


def updates(folder: Path) -> None:
    """Four batches an update, two for each of two processes, for every kind and model."""
    with joined() as processes:
        processes.link(CPU, 300)
        for kind, name, how in EVERY:
            seen, weights = learnt(name, 4, processes, **how)
            if processes.leads:
                save_file(weights, folder / f"{kind}-{name}.safetensors")
                (folder / f"{kind}-{name}.json").write_text(json.dumps([vars(one) for one in seen]))


def runs(folder: Path, *settings: str) -> None:
    """Trains run after run: each word is a JSON object of its name, its settings, and whether it is resumed."""
    import ojak

    for one in map(json.loads, settings):
        ojak.train_run(one["settings"], folder / one["run"], resume=one.get("resume", False))


def command(folder: Path, *words: str) -> None:
    """The command line, with the process that the environment names (OJAK_RANK) signalled after some updates."""
    import ojak.train.loop as loop
    from ojak.cli import main

    real, left = loop.update, [int(os.environ.get("OJAK_AFTER", "-1"))]
    mine = (
        os.environ.get("OJAK_RANK") == os.environ.get("RANK")
        and os.environ.get("TORCHELASTIC_RESTART_COUNT", "0") == "0"
    )

    def counting(*args: Any) -> Any:
        left[0] -= 1
        if mine and left[0] == 0:
            os.kill(os.getpid(), getattr(signal, os.environ["OJAK_SIGNAL"]))
        return real(*args)

    loop.update = counting
    sys.exit(main(words))


def poisoned(folder: Path, *settings: str) -> None:
    """Trains run after run, of which steps at more than a rate of 0.006 have a loss that is no number."""
    poison()
    runs(folder, *settings)


def poison() -> None:
    """Spoils the loss where the rate is high, in this process."""
    import ojak.train.loop as loop
    from ojak.train import objective

    real, cross_entropy = loop.update, objective.cross_entropy

    def spoilt(*given: Any) -> Loss:
        loss = cross_entropy(*given)
        return Loss(loss.smoothed * float("nan"), loss.plain)

    def updated(working: Any, batches: Any, optimizer: Any, rate: float, *others: Any) -> Updated:
        objective.cross_entropy = spoilt if rate > 0.006 else cross_entropy
        return real(working, batches, optimizer, rate, *others)

    loop.update = updated


def lonely(folder: Path) -> None:
    """One process (OJAK_RANK) dies while process 0 works alone for long and the others wait."""
    with joined() as processes:
        processes.link(CPU, 300)
        (folder / str(processes.rank)).touch()
        if processes.rank == int(os.environ["OJAK_RANK"]):
            while not all((folder / str(rank)).exists() for rank in range(processes.size)):
                time.sleep(0.1)
            os.kill(os.getpid(), signal.SIGKILL)

        def work() -> None:
            for _ in range(3000):
                time.sleep(0.1)

        processes.first(work)


def raising(folder: Path) -> None:
    """Process 1 breaks down while process 0 waits for it."""
    with joined() as processes:
        processes.link(CPU, 300)
        if processes.rank:
            raise ValueError("the disk is on fire")
        processes.any(True)


WORKS = {work.__name__: work for work in (updates, runs, poisoned, command, lonely, raising)}

if __name__ == "__main__":
    WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
