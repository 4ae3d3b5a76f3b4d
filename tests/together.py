"""What one of several processes does in tests: `python together.py WORK FOLDER …`, started by `test_parallel`."""

from __future__ import annotations

import json
import os
import random
import signal
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from zoo import VOCABULARY, make

from ojak.batch import Batch, blank, collate
from ojak.config import TrainConfig
from ojak.model.folder import weights_of
from ojak.model.seam import Seq2Seq
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
    """The pairs of an update as so many batches, each with a seed of its own."""
    all_, each = rows(update), 16 // count
    return [
        collate(all_[at : at + each], all_[::-1][at : at + each], CPU, seed=100 * update + at)
        for at in range(0, 16, each)
    ]


def learnt(
    name: str, count: int, processes: Processes, dropout: float = 0.0, pieces: bool = False, uneven: bool = False
) -> tuple[list[Updated], dict[str, torch.Tensor]]:
    """What the updates saw, and the weights after them, when an update was cut into `count` batches for all processes
    together; if `uneven`, one of them less."""
    whole = make(name).train()
    whole.config = whole.config.model_copy(update={"dropout": dropout})
    model: Seq2Seq = shard(whole, CPU, processes) if pieces else whole
    scatter(whole, model)
    optimizer, seen = make_optimizer(model, CONFIG), []
    with closing(Working(model, CONFIG, processes)) as working:
        for step in range(UPDATES):
            all_ = cut(step, count)[: count - uneven]
            mine = all_[processes.mine]
            mine += [blank(CPU)] * (-(-len(all_) // processes.size) - len(mine))
            seen.append(update(working, mine, optimizer, 0.01, CONFIG))
    gather(model, whole, processes)
    return seen, weights_of(whole)


KINDS: dict[str, dict[str, Any]] = {
    "plain": {},
    "dropout": {"dropout": 0.3},
    "uneven": {"uneven": True},
    "pieces": {"pieces": True},
    "pieces, uneven, dropout": {"pieces": True, "uneven": True, "dropout": 0.3},
}


def updates(folder: Path) -> None:
    """Four batches an update, two for each of two processes, for every kind and model."""
    with joined() as processes:
        processes.link(CPU, 300)
        for kind, how in KINDS.items():
            for name in NAMES:
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


def raising(folder: Path) -> None:
    """Process 1 breaks down while process 0 waits for it."""
    with joined() as processes:
        processes.link(CPU, 300)
        if processes.rank:
            raise ValueError("the disk is on fire")
        processes.any(True)


WORKS = {work.__name__: work for work in (updates, runs, command, raising)}

if __name__ == "__main__":
    WORKS[sys.argv[1]](Path(sys.argv[2]), *sys.argv[3:])
