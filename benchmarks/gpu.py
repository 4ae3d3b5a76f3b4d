"""Speed of training on a GPU: target tokens a second, and the share of what the GPU multiplies at most.

    python benchmarks/gpu.py [--rounds 3] [--seconds 3]

The work is that of training.py, with its batches of 4,096 tokens and with larger ones, and a model of the base size
(Vaswani 2017). Beside Ojak's own update, in bf16 and in fp32, stand torch.nn.Transformer and Hugging Face's Marian in
the plain loop of peers/plain.py with autocast, all in this process, round by round; Marian is left out where
transformers is not installed. What is multiplied is counted for real tokens alone. Writes benchmarks/results/gpu.json.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from common import ROOT, keep, machine

from ojak.train.run import versions

sys.path.insert(0, str(ROOT / "benchmarks" / "peers"))

import ojak_training
import work
from plain import learner
from work import Learn


class Work(NamedTuple):
    """The size of a model, and how many tokens of the longer side, with padding, a batch has at most."""

    width: int
    heads: int
    inner: int
    layers: int
    batch: int


WORKS = {
    "d256, 3 + 3": Work(256, 4, 1024, 3, 4096),
    "d256, 3 + 3, large batches": Work(256, 4, 1024, 3, 65536),
    "base, 6 + 6, large batches": Work(512, 8, 2048, 6, 65536),
}


def ojak(size: Work, precision: str) -> Learn:
    """Ojak's update, with the model as it comes."""
    layers = {"encoder_layers": size.layers, "decoder_layers": size.layers}
    sizes = {"width": size.width, "heads": size.heads, "feed_forward": size.inner, **layers}
    model = {"architecture": "transformer", "dropout": 0.1, **sizes}
    return ojak_training.learner({"train": {"precision": precision}, "model": model}, "cuda")[0]


def torch_transformer(size: Work) -> Learn:
    import torch_transformer as peer

    peer.WIDTH, peer.HEADS, peer.LAYERS, peer.INNER = size.width, size.heads, size.layers, size.inner
    return learner(peer.Model(), peer.logits, True, "cuda")


def marian(size: Work) -> Learn:
    import hf_marian as peer

    model = peer.make(layers=(size.layers,) * 2, width=size.width, heads=size.heads, inner=size.inner)
    return learner(model, peer.logits, True, "cuda")


CONTENDERS: dict[str, Callable[[Work], Learn]] = {
    "ojak bf16": lambda size: ojak(size, "bf16"),
    "ojak fp32": lambda size: ojak(size, "fp32"),
    "torch.nn.Transformer bf16": torch_transformer,
    "Hugging Face Marian bf16": marian,
}


def ceiling() -> float:
    """TFLOP/s of a large product in bf16 of random numbers, the best of several."""
    one, other = (torch.randn(8192, 8192, device="cuda", dtype=torch.bfloat16) for _ in range(2))
    best = float("inf")
    for _ in range(20):
        begin, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        begin.record()
        one @ other
        end.record()
        torch.cuda.synchronize()
        best = min(best, begin.elapsed_time(end))
    return float(2 * 8192**3 / best / 1e9)


def rate(learn: Learn, batches: list[work.Sentences], seconds: float) -> float:
    """Target tokens a second over as many batches as fit in the time."""
    torch.cuda.synchronize()
    begun, tokens, place = time.perf_counter(), 0, 0
    while time.perf_counter() - begun < seconds:
        tokens += learn(batches[place % len(batches)])
        place += 1
    torch.cuda.synchronize()
    return tokens / (time.perf_counter() - begun)


def compete(size: Work, rounds: int, seconds: float) -> dict[str, dict[str, Any]]:
    """All contenders at one work, round by round."""
    stream = work.batches(work.pairs(), 1, size.batch)
    batches = [next(stream) for _ in range(12)]
    rates: dict[str, list[float]] = {}
    memory: dict[str, float] = {}
    learners: dict[str, Learn] = {}
    for name, make in CONTENDERS.items():
        try:
            learners[name] = make(size)
        except ImportError as error:
            print(f"{name}: left out: {error}", file=sys.stderr)
    for name, learn in learners.items():
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        for batch in batches:  # for warming up
            learn(batch)
        memory[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
    for _ in range(rounds):
        for name, learn in learners.items():
            rates.setdefault(name, []).append(rate(learn, batches, seconds))
    return {
        name: {"tokens_per_second": statistics.median(found), "windows": sorted(found), "peak_mb": memory[name]}
        for name, found in rates.items()
    }


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=3)
    asked = options.parse_args()
    if not torch.cuda.is_available():
        sys.exit("skipped: this measures a GPU, but there is none that torch can use")
    # As Ojak does: cuDNN's attention prepares itself for every new shape, which would be most of a short measurement.
    torch.backends.cuda.enable_cudnn_sdp(False)
    most = ceiling()
    works = {}
    for name, size in WORKS.items():
        each = work.megaflops(size.layers, size.width, size.inner)
        works[name] = {**size._asdict(), "megaflops": each, "contenders": compete(size, asked.rounds, asked.seconds)}
        for contender, found in works[name]["contenders"].items():
            speed = found["tokens_per_second"]
            share = speed * each / most / 1e6
            print(f"{name:28} {contender:26} {speed:12,.0f} tokens/s, {share:6.1%} of {most:.0f} TFLOP/s", flush=True)
    keep(
        "gpu",
        {
            "command": f"python benchmarks/gpu.py --rounds {asked.rounds} --seconds {asked.seconds:g}",
            "machine": machine(),
            "versions": versions(),
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "ceiling_tflops": max(most, ceiling()),
            "works": works,
        },
    )


if __name__ == "__main__":
    main()
