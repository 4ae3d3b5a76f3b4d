"""The same work for every trainer, and the same ruler. Needs nothing of Ojak, so that it runs in a peer's environment.

Random words over a shared vocabulary of 8,000, with Multi30k's count and lengths of sentences. A target token is a
predicted token that is not padding, the end of sentence included.
"""

from __future__ import annotations

import json
import os
import random
import resource
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

VOCABULARY, PAD, UNK, BOS, EOS = 8000, 0, 1, 2, 3
BATCH = 4096
WARM = 6
"""updates before the measuring begins"""

Sentences = list[tuple[list[int], list[int]]]
Learn = Callable[[Sentences], int]
"""what learns from a batch, and gives its target tokens"""


def pairs(count: int = 29000, seed: int = 1) -> Sentences:
    """Pairs of ids; lengths of about 13 ± 4, the target's within about 2 of the source's."""
    generator = random.Random(seed)
    found = []
    for _ in range(count):
        source = min(40, max(4, round(generator.gauss(13, 4))))
        target = min(40, max(4, source + round(generator.gauss(0, 2))))
        found.append(tuple([generator.randrange(4, VOCABULARY) for _ in range(size)] for size in (source, target)))
    return found


def batches(rows: Sentences, seed: int = 1, most: int = BATCH) -> Iterator[list[tuple[list[int], list[int]]]]:
    """For ever: pairs of like lengths, at most so many tokens of the longer side with padding, in a shuffled order."""
    generator = random.Random(seed)
    order = sorted(range(len(rows)), key=lambda i: (len(rows[i][1]), len(rows[i][0])))
    cut: list[list[int]] = [[]]
    for place in order:
        longest = max(len(side) + 1 for i in [*cut[-1][-1:], place] for side in rows[i])
        if cut[-1] and longest * (len(cut[-1]) + 1) > most:
            cut.append([])
        cut[-1].append(place)
    while True:
        generator.shuffle(cut)
        for batch in cut:
            yield [rows[place] for place in batch]


def padded(batch: Sentences) -> tuple[Any, Any, int]:
    """Source (B,S) with its end, target (B,T+1) with beginning and end, as torch tensors; and the target tokens."""
    import torch

    def fill(rows: Sequence[Sequence[int]]) -> Any:
        longest = max(map(len, rows))
        return torch.tensor([[*row, *[PAD] * (longest - len(row))] for row in rows])

    source = fill([[*row, EOS] for row, _ in batch])
    target = fill([[BOS, *row, EOS] for _, row in batch])
    return source, target, sum(len(row) + 1 for _, row in batch)


def megaflops(
    layers: int = 3, width: int = 256, inner: int = 1024, length: float = 14.0, vocabulary: int = VOCABULARY
) -> float:
    """Millions of operations in the matrix products of training, for one target token of the Transformer."""
    encoder = layers * (2 * (4 * width**2 + 2 * width * inner) + 4 * length * width)
    decoder = layers * (2 * (6 * width**2 + 2 * width * inner) + 4 * length / 2 * width + 4 * length * width)
    source_keys = layers * 4 * width**2
    return 3 * (encoder + decoder + source_keys + 2 * width * vocabulary) / 1e6


class Others:
    """How much of one core other processes took, in percent, since this was made."""

    def __init__(self, own: Sequence[int] = ()) -> None:
        self._own = own or (os.getpid(),)
        self._busy, self._mine, self._time = self._read()

    def share(self) -> float:
        busy, mine, now = self._read()
        ticks = (busy - self._busy) - (mine - self._mine)
        return max(0.0, 100 * ticks / os.sysconf("SC_CLK_TCK") / max(now - self._time, 1e-9))

    def _read(self) -> tuple[int, int, float]:
        with open("/proc/stat") as file:
            every = [int(word) for word in file.readline().split()[1:9]]
        mine = 0
        for process in self._own:
            try:
                with open(f"/proc/{process}/stat") as file:
                    mine += sum(int(word) for word in file.read().rsplit(")", 1)[1].split()[11:15])
            except OSError:
                continue
        return sum(every) - every[3] - every[4], mine, time.time()


def measure(update: Learn, seconds: float) -> None:
    """Runs `update`, which learns from a batch and gives its target tokens, and prints what was seen as JSON."""
    stream = batches(pairs())
    for _ in range(WARM):
        update(next(stream))
    others, begun, tokens = Others(), time.perf_counter(), 0
    while time.perf_counter() - begun < seconds:
        tokens += update(next(stream))
    rate = tokens / (time.perf_counter() - begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    report(rate, memory, others.share())


def report(rate: float, memory: float, others: float) -> None:
    print(json.dumps({"tokens_per_second": rate, "peak_mb": memory, "others": others}), flush=True)
