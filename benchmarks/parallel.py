"""Speed of training on two processes beside one, in one run: target tokens a second on the same work, round by round.

    python benchmarks/parallel.py [--rounds 2] [--seconds 10] [--more]

The work is that of benchmarks/training.py: the Transformer of width 256 with 3 + 3 layers and a vocabulary of 8,000, as
it comes (bf16 where the processor multiplies it). Strong: an update of 4,096 tokens, however many learn from it. Weak:
4,096 tokens for each process. `--more` adds rounds to those that benchmarks/results/parallel.json holds. Two processes
that know nothing of each other show what the machine allows. Processor time a token, which others on the machine hardly
change, shows what learning together costs beside waiting.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing
from typing import Any

from common import RESULTS, keep, machine
from peers import work

TOKENS = 4096
WARM = 5
# Name: processes, threads of each, tokens of a process in an update, whether they learn together.
CONTENDERS: dict[str, tuple[int, int, int, bool]] = {
    "one process, one thread": (1, 1, TOKENS, True),
    "one process, two threads": (1, 2, TOKENS, True),
    "two processes, strong": (2, 1, TOKENS // 2, True),
    "two processes, weak": (2, 1, TOKENS, True),
    "two processes, apart": (2, 1, TOKENS, False),
}


def once(name: str, seconds: float) -> dict[str, Any]:
    """One measurement of a contender, in processes of its own."""
    count, threads, tokens, together = CONTENDERS[name]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    words = [sys.executable, __file__, "--worker", str(threads), str(tokens), "--seconds", str(seconds)]
    processes = []
    for rank in range(count):
        environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
        if together and count > 1:
            environment |= {"WORLD_SIZE": str(count), "RANK": str(rank), "LOCAL_RANK": str(rank)}
            environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port, "GLOO_SOCKET_IFNAME": "lo"}
        processes.append(subprocess.Popen(words, env=environment, stdout=subprocess.PIPE, text=True))
    found = [json.loads(process.communicate(timeout=600)[0].strip().split("\n")[-1]) for process in processes]
    rates = [one["tokens_per_second"] for one in found]
    return {
        "tokens_per_second": rates[0] if together else sum(rates),
        "update_ms": found[0]["update_ms"],
        "sum_ms": statistics.mean(one["sum_ms"] for one in found),
        "wait_ms": statistics.mean(one["wait_ms"] for one in found),
        "cpu_us_per_token": statistics.mean(one["cpu_us_per_token"] for one in found),
        "peak_mb": max(one["peak_mb"] for one in found),
    }


def learn(threads: int, budget: int, seconds: float) -> None:
    """What a process does: learns from its share, and prints what it has seen as JSON."""
    import resource

    import torch

    from ojak.config import read_recipe
    from ojak.model.build import build
    from ojak.train.parallel import joined
    from ojak.train.precision import Working, settled
    from ojak.train.update import make_optimizer, update

    device = torch.device("cpu")
    torch.set_num_threads(threads)
    with joined() as processes:
        processes.link(device)
        recipe = settled(read_recipe({"model": {"dropout": 0.1}}), device)
        torch.manual_seed(1)
        model = build(recipe.model, work.VOCABULARY, work.VOCABULARY, shared=True).train()
        optimizer = make_optimizer(model, recipe.train)
        stream = itertools.islice(batches(budget), processes.rank, None, processes.size)
        spent_in = {"sum": 0.0, "wait": 0.0}

        def timed(name: str, work: Any) -> Any:
            def wrapped(given: Any) -> Any:
                begun = time.perf_counter()
                found = work(given)
                spent_in[name] += time.perf_counter() - begun
                return found

            return wrapped

        processes.sum_gradients = timed("sum", processes.sum_gradients)  # type: ignore[method-assign]
        processes.sum = timed("wait", processes.sum)  # type: ignore[method-assign]
        with closing(Working(model, recipe.train, processes)) as working:
            tokens = updates = mine = 0
            computing = 0.0
            for number in itertools.count(-WARM):
                if number == 0:
                    begun, computing, tokens, updates, mine = time.perf_counter(), time.process_time(), 0, 0, 0
                    spent_in |= {"sum": 0.0, "wait": 0.0}
                if not processes.told(number < 0 or time.perf_counter() - begun < seconds):
                    break
                batch = next(stream)
                tokens += update(working, [batch], optimizer, 1e-4, recipe.train).tokens
                mine += batch.tokens
                updates += 1
            spent, computing = time.perf_counter() - begun, time.process_time() - computing
    found = {
        "tokens_per_second": tokens / spent,
        "update_ms": 1000 * spent / updates,
        "sum_ms": 1000 * spent_in["sum"] / updates,
        "wait_ms": 1000 * spent_in["wait"] / updates,
        "cpu_us_per_token": 1e6 * computing / mine,
        "peak_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }
    print(json.dumps(found), flush=True)


def batches(budget: int) -> Iterator[Any]:
    """For ever: pairs of like lengths, at most `budget` tokens of the longer side with padding, in a shuffled order."""
    import numpy as np
    import torch

    from ojak.batch import collate, plan

    pairs = work.pairs()
    source, target = (np.array([len(pair[side]) for pair in pairs]) for side in (0, 1))
    for number in itertools.count():
        for places in plan(source, target, budget, (1, number)):
            sides = ([pairs[place][side] for place in places] for side in (0, 1))
            yield collate(*sides, torch.device("cpu"), seed=number)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=2)
    options.add_argument("--seconds", type=float, default=10)
    options.add_argument("--more", action="store_true")
    options.add_argument("--worker", nargs=2, type=int, help=argparse.SUPPRESS)
    asked = options.parse_args()
    if asked.worker:
        learn(*asked.worker, asked.seconds)
        return
    seen: dict[str, list[dict[str, Any]]] = {name: [] for name in CONTENDERS}
    if asked.more:
        for name, one in json.loads((RESULTS / "parallel.json").read_text(encoding="utf-8"))["contenders"].items():
            seen[name] = one["rounds"]
    for number in range(asked.rounds):
        for name, its in seen.items():
            its.append(once(name, asked.seconds))
            print(number, name, {key: round(value, 1) for key, value in its[-1].items()}, flush=True)
    import torch

    from ojak.config import read_recipe
    from ojak.model.build import build

    model = build(read_recipe({}).model, work.VOCABULARY, work.VOCABULARY, shared=True)
    keep(
        "parallel",
        {
            "command": f"python benchmarks/parallel.py --rounds {len(next(iter(seen.values())))} "
            f"--seconds {asked.seconds:g}",
            "machine": machine(),
            "seconds": asked.seconds,
            "tokens": TOKENS,
            "parameters": model.parameter_count(),
            "versions": {"torch": torch.__version__},
            "contenders": {
                name: {
                    **{key: statistics.median(one[key] for one in its) for key in its[0]},
                    "rounds": its,
                }
                for name, its in seen.items()
            },
        },
    )


if __name__ == "__main__":
    main()
