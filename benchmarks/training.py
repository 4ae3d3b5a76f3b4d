"""Speed of training beside the peers, in one run: target tokens a second on the same work, round by round.

    python benchmarks/training.py [--rounds 5] [--seconds 15] [CONTENDER …]    some of them: to look, nothing is written

Peers are looked for in the folder OJAK_PEERS, an environment each (benchmarks/peers/README.md tells how to make them);
those that are not there are left out. A round runs every contender once, on two threads, so that what the machine does
beside it falls on all alike; the table gives the medians. Writes benchmarks/results/training-PROCESSOR.json, where the
processor is named by what it multiplies bf16 with: avx512_bf16, amx_bf16, or plain.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import Any

from common import QUIET, ROOT, keep, machine, python
from peers import work

THREADS = "2"
MALLOC = "glibc.malloc.mmap_threshold=2147483647:glibc.malloc.trim_threshold=8589934592"

TRANSFORMER = ["model.positions=sinusoid", "model.norm=post", "model.dropout=0.1"]
LSTM = [
    "model.architecture=recurrent",
    "model.cell=lstm",
    "model.attention=general",
    "model.acts=after",
    "model.input_feeding=true",
    "model.tie_embeddings=false",
    "model.embedding=256",
    "model.width=512",
    "model.dropout=0.1",
]
GRU = [
    "model.architecture=recurrent",
    "model.cell=gru",
    "model.attention=additive",
    "model.embedding=256",
    "model.width=512",
    "model.dropout=0.1",
]
# Name: environment, script, arguments, tuned. Tuned: fp32 products at precision medium, and an allocator that keeps
# what it has, both set from outside.
CONTENDERS: dict[str, tuple[str, str, list[str], bool]] = {
    "transformer/ojak bf16": ("", "ojak_training.py", [*TRANSFORMER, "train.precision=bf16"], False),
    "transformer/ojak fp32": ("", "ojak_training.py", [*TRANSFORMER, "train.precision=fp32"], False),
    "transformer/ojak bf16, as it comes": (
        "",
        "ojak_training.py",
        ["model.dropout=0.1", "train.precision=bf16"],
        False,
    ),
    "transformer/torch.nn.Transformer": ("", "torch_transformer.py", [], False),
    "transformer/torch.nn.Transformer, tuned": ("", "torch_transformer.py", ["--medium"], True),
    "transformer/torch.nn.Transformer bf16, tuned": ("", "torch_transformer.py", ["--bf16", "--medium"], True),
    "transformer/Hugging Face Marian": ("hf", "hf_marian.py", [], False),
    "transformer/Hugging Face Marian, tuned": ("hf", "hf_marian.py", ["--medium"], True),
    "transformer/Eole": ("eole", "command_line.py", ["eole", "transformer"], False),
    "transformer/Eole, tuned": ("eole", "command_line.py", ["eole", "transformer", "--medium"], True),
    "transformer/JoeyNMT": ("joeynmt", "command_line.py", ["joeynmt", "transformer"], False),
    "transformer/OpenNMT-py": ("onmt", "command_line.py", ["opennmt", "transformer"], False),
    "recurrent/ojak LSTM bf16": ("", "ojak_training.py", [*LSTM, "train.precision=bf16"], False),
    "recurrent/ojak LSTM fp32": ("", "ojak_training.py", [*LSTM, "train.precision=fp32"], False),
    "recurrent/ojak GRU additive bf16": ("", "ojak_training.py", [*GRU, "train.precision=bf16"], False),
    "recurrent/JoeyNMT LSTM": ("joeynmt", "command_line.py", ["joeynmt", "lstm"], False),
    "recurrent/OpenNMT-py LSTM": ("onmt", "command_line.py", ["opennmt", "lstm"], False),
}
PROCESSORS = ("amx_bf16", "avx512_bf16", "plain")
"""from the fastest; a processor is the first of these that it has"""


def once(name: str, seconds: float) -> dict[str, Any] | None:
    """One measurement of a contender, in a process of its own; None with a message when it does not run."""
    environment, script, arguments, tuned = CONTENDERS[name]
    settings = {**os.environ, "OMP_NUM_THREADS": THREADS, **({"GLIBC_TUNABLES": MALLOC} if tuned else {})}
    words = [str(python(environment)), str(ROOT / "benchmarks" / "peers" / script), *arguments]
    done = subprocess.run([*words, "--seconds", str(seconds)], env=settings, capture_output=True, text=True)
    if done.returncode:
        print(f"{name}: does not run: {done.stderr.strip()[-300:]}", file=sys.stderr)
        return None
    found: dict[str, Any] = json.loads(done.stdout.strip().split("\n")[-1])
    return found


def undisturbed(name: str, seconds: float) -> dict[str, Any] | None:
    """A measurement during which nobody else took a core, of three tries."""
    for _ in range(3):
        found = once(name, seconds)
        if found is None or found["others"] <= QUIET:
            return found
        print(f"{name}: others took {found['others']:.0f} % of a core", file=sys.stderr)
    return None


def ceilings() -> dict[str, float]:
    """GFLOP/s of products of training's shapes on the same threads, the best of many blocks."""
    import torch

    torch.set_num_threads(int(THREADS))
    found = {}
    for name, dtype, precision in (
        ("fp32", torch.float32, "highest"),
        ("fp32 medium", torch.float32, "medium"),
        ("bf16", torch.bfloat16, "highest"),
    ):
        torch.set_float32_matmul_precision(precision)
        rates = []
        for rows, width, inner in ((4096, 256, 1024), (4096, 1024, 256), (4096, 512, 512), (4096, 1024, 1024)):
            one, other = torch.randn(rows, width).to(dtype), torch.randn(width, inner).to(dtype)
            out, best = torch.empty(rows, inner, dtype=dtype), float("inf")
            for _ in range(60):
                begun = time.perf_counter()
                torch.mm(one, other, out=out)
                best = min(best, time.perf_counter() - begun)
            rates.append(2 * rows * width * inner / best / 1e9)
        found[name] = statistics.median(rates)
    return found


def rounds(names: list[str], count: int, seconds: float) -> Iterator[tuple[str, dict[str, Any]]]:
    there = [name for name in names if python(CONTENDERS[name][0]).is_file()]
    for name in set(names) - set(there):
        print(f"{name}: left out; there is no {python(CONTENDERS[name][0])}", file=sys.stderr)
    for number in range(count):
        for name in there:
            if found := undisturbed(name, seconds):
                print(number, name, {key: round(value) for key, value in found.items()}, flush=True)
                yield name, found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=5)
    options.add_argument("--seconds", type=float, default=15)
    options.add_argument("contenders", nargs="*", metavar="CONTENDER", help="by default all")
    asked = options.parse_args()
    if unknown := set(asked.contenders) - set(CONTENDERS):
        options.error(f"no contender: {', '.join(sorted(unknown))}; there are {', '.join(CONTENDERS)}")
    before = ceilings()
    seen: dict[str, list[dict[str, Any]]] = {}
    for name, found in rounds(asked.contenders or list(CONTENDERS), asked.rounds, asked.seconds):
        seen.setdefault(name, []).append(found)
    if asked.contenders:
        return
    after = ceilings()
    import torch

    of = machine()
    processor = next((one for one in PROCESSORS if one in of), PROCESSORS[-1])
    keep(
        f"training-{processor}",
        {
            "command": f"python benchmarks/training.py --rounds {asked.rounds} --seconds {asked.seconds:g}",
            "machine": of,
            "threads": int(THREADS),
            "rounds": asked.rounds,
            "seconds": asked.seconds,
            "versions": {"torch": torch.__version__},
            "ceilings": {name: max(before[name], after[name]) for name in before},
            "megaflops": work.megaflops(),
            "contenders": {
                name: {
                    "tokens_per_second": statistics.median([one["tokens_per_second"] for one in each]),
                    "windows": sorted(one["tokens_per_second"] for one in each),
                    "peak_mb": max(one["peak_mb"] for one in each),
                    "others": max(one["others"] for one in each),
                }
                for name, each in seen.items()
            },
        },
    )


if __name__ == "__main__":
    main()
