"""The same decoding for every translator, and the same ruler. Needs nothing of Ojak, so that it runs in a peer's
environment.

A contender is a process that stays: it loads its model, says on a line of JSON what it holds, and answers each line of
JSON on its standard input, a `Task`, with a line that tells what was measured. So contenders may take turns without
starting anew. Sources are random words of a vocabulary, all of one length; every translation must have exactly as many
tokens as the task says, and what is not so is an error.
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

MOST = 512
"""sentences that are translated, at most"""
LEAST = 20
"""those that are translated one by one, at least"""
SAMPLE = 16
"""sentences of the first look at how fast a contender is"""

Rows = list[list[int]]


@dataclass(frozen=True)
class Task:
    """What is to be translated, and how."""

    beam: int
    batch: int
    """sentences side by side"""
    one: bool = False
    """one sentence at a time, the time of each taken"""
    length: int = 20
    """tokens of a source, its end not counted"""
    words: int = 24
    """tokens of a translation"""
    least: int = 128
    """sentences that are translated, at least: a batch for each worker"""
    seconds: float = 2.0
    """it takes so long, where that is more than the sentences need"""

    @property
    def name(self) -> str:
        batch = "one" if self.one else f"batch {self.batch}"
        return f"beam {self.beam}, {batch}, {self.length} to {self.words}"


Prepare = Callable[[Rows, Task], Any]
"""makes what a contender takes of rows of ids: not measured"""
Translate = Callable[[Any, Task], Sequence[int]]
"""translates what was prepared, and gives the count of tokens of each translation: measured"""


def sources(count: int, length: int, vocabulary: int) -> Rows:
    draw = random.Random(length)
    return [[draw.randrange(4, vocabulary) for _ in range(length)] for _ in range(count)]


def serve(vocabulary: int, prepare: Prepare, translate: Translate) -> None:
    """Answers tasks until there are no more."""
    import work  # beside it where contenders run

    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what libraries print is no answer
    print(json.dumps({"loaded_mb": resident("VmRSS")}), file=answers, flush=True)
    warm: dict[Task, int] = {}
    for line in sys.stdin:
        task = Task(**json.loads(line))
        rows = sources(MOST, task.length, vocabulary)

        def run(rows: Rows, task: Task = task) -> float:
            ready = prepare(rows, task)
            begun = time.perf_counter()
            counts = translate(ready, task)
            spent = time.perf_counter() - begun
            if len(counts) != len(rows) or set(counts) != {task.words}:
                raise SystemExit(f"{len(rows)} translations of {task.words} tokens are due, but there are {counts}")
            return spent

        if task not in warm:
            warm[task] = warmed(task, run, rows)
        forget_peak()
        others = work.Others(family())
        found = each(run, rows, task) if task.one else together(run, rows[: warm[task]], task)
        share = others.share()
        print(json.dumps({**found, "peak_mb": resident("VmHWM"), "others": share}), file=answers, flush=True)


def warmed(task: Task, run: Callable[[Rows], float], rows: Rows) -> int:
    """How many sentences to translate; they have been translated once, if that does not take too long."""
    if task.one:
        for row in rows[:3]:
            run([row])
        return 1
    run(rows[:SAMPLE])
    spent = run(rows[:SAMPLE])
    if spent * task.least / SAMPLE > 5 * task.seconds:
        return task.least
    spent = run(rows[: task.least])
    return min(MOST, task.least * max(1, int(task.seconds / spent)))


def together(run: Callable[[Rows], float], rows: Rows, task: Task) -> dict[str, float]:
    """Tokens a second, over as many passes as the seconds of the task need."""
    spent, passes = 0.0, 0
    while spent < task.seconds:
        spent += run(rows)
        passes += 1
    rate = passes * len(rows) * task.words / spent
    return {"tokens_per_second": rate, "sentences": len(rows), "spent": spent}


def each(run: Callable[[Rows], float], rows: Rows, task: Task) -> dict[str, float]:
    """Milliseconds of sentences one by one: the median, and what one in twenty takes or more."""
    times: list[float] = []
    while sum(times) < task.seconds or len(times) < LEAST:
        times.append(run([rows[len(times) % len(rows)]]))
    spent = sum(times)
    times.sort()
    at = {"p50_ms": 0.5, "p95_ms": 0.95}
    return {name: 1e3 * times[int(share * len(times))] for name, share in at.items()} | {
        "sentences": len(times),
        "spent": spent,
    }


def family() -> list[int]:
    """This process and those that it has started."""
    found, todo = [], [os.getpid()]
    while todo:
        found.append(todo.pop())
        try:
            for thread in os.listdir(f"/proc/{found[-1]}/task"):
                with open(f"/proc/{found[-1]}/task/{thread}/children") as file:
                    todo += map(int, file.read().split())
        except OSError:
            continue
    return found


def resident(field: str) -> float:
    """Memory of this process and those that it has started, in MB: VmRSS, now, or VmHWM, at most."""
    total = 0.0
    for process in family():
        try:
            with open(f"/proc/{process}/status") as file:
                total += next(int(row.split()[1]) / 1024 for row in file if row.startswith(field))
        except (OSError, StopIteration):
            continue
    return total


def forget_peak() -> None:
    """Lets VmHWM begin anew."""
    for process in family():
        with open(f"/proc/{process}/clear_refs", "w") as file:
            file.write("5")


def tensors(rows: Rows, task: Task, end: int, shift: int = 0) -> list[Any]:
    """The rows in batches, as torch tensors (B,S) with their end; `shift` is added to the words' ids."""
    import torch

    cut = [rows[first : first + task.batch] for first in range(0, len(rows), task.batch)]
    return [torch.tensor([[*(word + shift for word in row), end] for row in batch]) for batch in cut]
