"""What a checkpoint costs: seconds and memory to write it, and its share of the time of training.

    python benchmarks/checkpoints.py

For two Transformers, updates of 4,096 tokens are timed, then checkpoints are written to the disk as training writes
them, sums and all (fsync included). An update is what it took of the processor, for each thread, and writing what it
took by the clock: other work on the machine can make the share of a checkpoint look larger, not smaller. The share is
that of one in the `train.save_every` updates between two of them, by default. Writes
benchmarks/results/checkpoints.json.
"""

from __future__ import annotations

import shutil
import statistics
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import torch
from common import ROOT, keep, machine

from ojak.batch import Batch, collate
from ojak.config import TrainConfig, TransformerConfig
from ojak.model.build import build
from ojak.train import checkpoint, memory
from ojak.train.checkpoint import Progress
from ojak.train.parallel import Processes
from ojak.train.precision import Working, settled
from ojak.train.update import make_optimizer, update

SIZES: dict[str, tuple[dict[str, Any], int]] = {
    "width 256, 3 + 3 layers, vocabulary 8,000": ({}, 8000),
    "width 512, 6 + 6 layers, vocabulary 32,000": (
        {"width": 512, "heads": 8, "feed_forward": 2048, "encoder_layers": 6, "decoder_layers": 6},
        32000,
    ),
}
UPDATES, SAVES, LENGTH = 3, 5, 24


def batch(vocabulary: int) -> Batch:
    """4,096 tokens on each side, drawn at random."""
    rows = torch.randint(4, vocabulary, (2, 4096 // LENGTH, LENGTH - 1), generator=torch.Generator().manual_seed(1))
    return collate(rows[0].tolist(), rows[1].tolist(), torch.device("cpu"))


def measure(settings: dict[str, Any], vocabulary: int, folder: Path) -> dict[str, Any]:
    """The figures of one model."""
    from ojak.config import Recipe

    torch.manual_seed(1)
    recipe = settled(Recipe(model=TransformerConfig(**settings)), torch.device("cpu"))
    config: TrainConfig = recipe.train
    model = build(recipe.model, vocabulary, vocabulary, shared=True)
    optimizer, seconds = make_optimizer(model, config), []
    with closing(Working(model, config)) as working:
        for _ in range(UPDATES):
            drawn, begun = batch(vocabulary), time.process_time()
            update(working, [drawn], optimizer, 1e-4, config)
            seconds.append((time.process_time() - begun) / torch.get_num_threads())
    took, more = [], []
    for number in range(1, SAVES + 1):
        memory.forget_peak()
        before, begun = memory.resident(), time.perf_counter()
        saved = checkpoint.save(folder, model, optimizer, Progress("", update=number), Processes())
        took.append(time.perf_counter() - begun)
        more.append(memory.peak() - before)
    size = sum(path.stat().st_size for path in saved.iterdir())
    begun = time.perf_counter()
    checkpoint.load(saved, model, optimizer, "")
    loading = time.perf_counter() - begun
    shutil.rmtree(folder / "state")
    one, between = statistics.median(took), config.save_every * statistics.median(seconds[1:])
    return {
        "parameters": model.parameter_count(),
        "bytes": size,
        "update": statistics.median(seconds[1:]),
        "precision": config.precision,
        "took": one,
        "slowest": max(took),
        "memory": max(more),
        "loading": loading,
        "save_every": config.save_every,
        "share": one / (between + one),
    }


def main() -> None:
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "runs") as folder:
        found = {name: measure(*size, Path(folder)) for name, size in SIZES.items()}
    for name, figures in found.items():
        print(name, figures)
    result = {
        "command": "python benchmarks/checkpoints.py",
        "machine": machine(),
        "threads": torch.get_num_threads(),
        "versions": {"torch": torch.__version__},
        "models": found,
    }
    keep("checkpoints", result)


if __name__ == "__main__":
    main()
