"""What happens to runs that are killed, stopped, and kept from writing, computing or remembering.

    python benchmarks/faults.py [--rounds 10] [--seed 1] [--minutes 20] [--pairs 3]

Tiny runs of every kind of model, in every precision, with workers and without, are broken in every way at places drawn
at random, most of them several times one after another, and resumed to their end. Then weights, state of the optimizer,
progress, history and model card are compared, to the bit, with those of a run that nothing disturbed. A run is lost if
it cannot be resumed, or does not say what happened. Of two processes (`--pairs` times, in weights that are whole or in
pieces) one is killed, and the run goes on with two, with torchrun by itself, or with one that makes up for the other,
whose sums may differ by rounding. Writes benchmarks/results/faults.json.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from common import ROOT, keep, machine

sys.path.insert(0, str(ROOT / "tests"))

import breaking
import test_parallel
import tiny
from cases import RUNS, Case, Outcome, differences

from ojak.config import read_recipe, read_toml, write_toml

KILLS = {
    "file": "killed (SIGKILL) before a file is opened, linked, moved or removed",
    "half": "killed with a file half written",
    "update": "killed in an update, before its step",
    "validate": "killed in a validation",
    "time": "killed after a time drawn at random, also while it prepares",
    "one of two": "one of two processes killed in an update; the other names it, and two go on",
    "one of two, then one": "the same, and one process goes on",
    "torchrun": "one of two processes killed, and torchrun starts both again",
}
OTHERS = {
    "term": "asked to stop (SIGTERM), also while it prepares",
    "int": "asked to stop (SIGINT, Ctrl-C)",
    "term-validate": "asked to stop in a validation",
    "full": "disk full from some file on",
    "tmpfs": "a file system of a few hundred kB that fills up, and is made larger",
    "damaged": "newest checkpoint truncated, a bit of it turned over, or a file of it gone",
    "nan": "losses that are no numbers, until the rate is lowered, and killed among them",
    "memory": "memory refused (RLIMIT_AS) to the first batches",
}


class Tally:
    """Counts what happened, by kind."""

    def __init__(self) -> None:
        self.kinds = {kind: {"injected": 0, "lost": 0, "differences": 0} for kind in (*KILLS, *OTHERS)}
        self.faults: list[str] = []

    def add(self, kind: str, found: Outcome) -> None:
        """Counts a run that was broken in ways of which `kind` is the one that is tried."""
        for broken in found.broken:
            self.kinds[broken]["injected"] += 1
        self.kinds[kind]["lost"] += bool(found.lost)
        self.kinds[kind]["differences"] += bool(found.differences)
        self.faults += [f"{kind}: {told}" for told in (found.lost, *found.differences) if told]
        print(kind, found.broken, found.lost or found.differences or "as if nothing had happened", flush=True)


def kills(case: Case, generator: random.Random, tally: Tally) -> None:
    """Up to four kills of one run."""
    places = [case.draw(generator) for _ in range(generator.randint(1, 4))]
    tally.add(places[0][0], case.break_at(*places))


def others(case: Case, generator: random.Random, tally: Tally) -> None:
    """One fault of each other kind that needs no settings of its own."""
    for kind, place in (("term", "file"), ("int", "file"), ("term-validate", "validate"), ("full", "half")):
        tally.add(kind, case.break_at((kind, generator.randint(1, case.places[place]))))
    tally.add("damaged", damaged(case, generator))


def damaged(case: Case, generator: random.Random) -> Outcome:
    """A run of which the newest checkpoint is spoilt."""
    run = shutil.copytree(case.uncut, case.new())
    newest = max((run / "state").glob("0*"))
    file = generator.choice(sorted(newest.iterdir()))
    content = bytearray(file.read_bytes())
    how = generator.choice(("truncated", "a bit turned over", "gone"))
    if how == "truncated":
        file.write_bytes(content[: generator.randrange(len(content))])
    elif how == "gone":
        file.unlink()
    else:
        content[generator.randrange(len(content))] ^= 1 << generator.randrange(8)
        file.write_bytes(content)
    ended = case.train(run)
    told = next((json.loads(line) for line in _lines(run) if '"resume"' in line), {}).get("message", "")
    if ended.code or file.name not in told or newest.name not in told:
        return Outcome(["damaged"], f"{file.name} {how}: exit code {ended.code}, {ended.messages[-500:]}")
    return Outcome(["damaged"], "", differences(run, case.uncut))


def together(folder: Path, number: int, generator: random.Random, tally: Tally) -> None:
    """Kills one of two processes in every way of going on."""
    for name, base in (("whole", test_parallel.RUN), ("pieces", test_parallel.PIECES)):
        case = folder / f"two-{number}-{name}"
        case.mkdir()
        settings = tiny.settings(tiny.corpus(case), base)
        settings["train"] |= {"updates": 10, "save_every": generator.randint(1, 4), "validate_every": 4}
        (case / "recipe.toml").write_text(write_toml(read_recipe(settings)), encoding="utf-8")
        words = ["train", "--recipe", str(case / "recipe.toml"), "--resume", "--out"]
        test_parallel.done("command", case, *words, str(case / "uncut"))
        for kind in ("one of two", "one of two, then one", "torchrun"):
            run, rank = case / kind.replace(" ", "-"), generator.randint(0, 1)
            after = {"OJAK_RANK": str(rank), "OJAK_AFTER": str(generator.randint(1, 9)), "OJAK_SIGNAL": "SIGKILL"}
            try:
                _strike(kind, case, [*words, str(run)], rank, after)
                apart = _apart(run, case / "uncut", rounding="then one" in kind)
                tally.add(kind, Outcome([kind], "", apart))
            except (AssertionError, subprocess.CalledProcessError) as error:
                tally.add(kind, Outcome([kind], f"{name}, {after}: {error} {getattr(error, 'stderr', '')}"[:1000]))


def _strike(kind: str, folder: Path, words: list[str], rank: int, after: dict[str, str]) -> None:
    """Begins a run with two processes, one of which is killed, and goes on with it to its end."""
    if kind == "torchrun":
        start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
        start += ["--max-restarts", "1", str(ROOT / "tests" / "together.py"), "command", str(folder), *words]
        environment = {**os.environ, **after, "GLOO_SOCKET_IFNAME": "lo"}
        subprocess.run(start, env=environment, check=True, capture_output=True, text=True)
        return
    processes = test_parallel.started("command", folder, *words, **after)
    said = test_parallel.ended(processes)[1 - rank]
    assert f"because process {rank} (pid {processes[rank].pid} on " in said and "Traceback" not in said, said
    if kind == "one of two":
        test_parallel.done("command", folder, *words)
    else:
        alone = [sys.executable, "-m", "ojak", *words, "train.accumulate=2"]
        subprocess.run(alone, check=True, capture_output=True, text=True)


def _apart(run: Path, uncut: Path, rounding: bool) -> list[str]:
    if not rounding:
        return differences(run, uncut)
    try:
        test_parallel.alike(run, uncut)
    except AssertionError as error:
        return [str(error)[:300]]
    return []


def _lines(run: Path) -> list[str]:
    return (run / "history.jsonl").read_text(encoding="utf-8").splitlines()


def full(case: Case, generator: random.Random, folder: Path) -> Outcome | None:
    """A run on a file system that is too small for it, until it is larger; None where mounting is not permitted."""
    place = folder / f"disk-{generator.randrange(10**9)}"
    place.mkdir()
    size = generator.randint(60, 200)
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}k", "tmpfs", place], capture_output=True).returncode:
        return None
    try:
        run = place / "run"
        ended = case.train(run)
        if not ended.code:
            return Outcome([], "", differences(run, case.uncut))
        subprocess.run(["mount", "-o", "remount,size=50m", place], check=True, capture_output=True)
        if ended.code != 1 or "cannot be written: No space left" not in ended.messages or "Traceback" in ended.messages:
            return Outcome(["tmpfs"], f"{size} kB: exit code {ended.code}, {ended.messages[-500:]}")
        again = case.train(run)
        lost = f"{size} kB: not resumed: {again.messages[-500:]}" if again.code else ""
        return Outcome(["tmpfs"], lost, [] if lost else differences(run, case.uncut))
    finally:
        subprocess.run(["umount", place], check=True)


def refused(server: breaking.Server, folder: Path, left: int) -> Outcome:
    """A run that may take `left` MiB more when its first batches are tried, against one that asks for the budget that
    it found. (Where the address space ends is not the same each time, so neither is the budget.)"""
    big = {"width": 256, "feed_forward": 1024, "heads": 4, "encoder_layers": 2, "decoder_layers": 2}
    settings = tiny.settings(
        tiny.corpus(folder, 3000),
        {
            "model": {"architecture": "transformer", **big},
            "train": {"updates": 2, "batch_tokens": 8192, "validate_every": 2, "workers": 1},
        },
    )
    recipe, runs = folder / f"memory-{left}.toml", [folder / f"memory-{left}-{name}" for name in ("short", "plenty")]
    recipe.write_text(write_toml(read_recipe(settings)), encoding="utf-8")
    ended = server.train(["--recipe", str(recipe)], runs[0], ("memory", left))
    if ended.code:
        return Outcome(["memory"], f"{left} MiB: exit code {ended.code}, {ended.messages[-500:]}")
    budget = read_toml(runs[0] / "recipe.toml")["train"]["batch_tokens"]
    print(f"memory: {left} MiB more: a budget of {budget} tokens", flush=True)
    if budget == 8192:
        return Outcome([], "")
    again = server.train(["--recipe", str(recipe), f"train.batch_tokens={budget}"], runs[1])
    if again.code:
        return Outcome(["memory"], f"the other run: {again.messages[-500:]}")
    return Outcome(["memory"], "", differences(*runs))


@contextmanager
def scratch() -> Iterator[Path]:
    """A folder on the disk, not in memory, that is gone afterwards."""
    (ROOT / "runs").mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory(dir=ROOT / "runs") as folder:
        yield Path(folder)


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("--rounds", type=int, default=10, help="for each kind of run")
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--pairs", type=int, default=3, help="rounds in which one of two processes is killed")
    options.add_argument("--minutes", type=float, default=20.0, help="no round begins later")
    asked = options.parse_args()
    begun, tally, done = time.monotonic(), Tally(), dict.fromkeys(RUNS, 0)
    command = (
        f"python benchmarks/faults.py --rounds {asked.rounds} --seed {asked.seed} --minutes {asked.minutes:g} "
        f"--pairs {asked.pairs}"
    )

    def write() -> None:
        import torch

        result: dict[str, Any] = {
            "command": command,
            "machine": machine(),
            "seed": asked.seed,
            "versions": {"torch": torch.__version__},
            "runs": done,
            "kinds": [
                {"kind": kind, "what": {**KILLS, **OTHERS}[kind], "kill": kind in KILLS, **counts}
                for kind, counts in tally.kinds.items()
            ],
            "faults": tally.faults,
        }
        keep("faults", result)

    with breaking.Server() as server, scratch() as folder:
        cases: dict[str, Case] = {}
        poisoned: Case | None = None
        for number in range(asked.rounds):
            for name in RUNS:
                if time.monotonic() - begun > 60 * asked.minutes:
                    break
                generator = random.Random(f"{asked.seed} {number} {name}")
                if name not in cases:
                    cases[name] = Case(folder, name, server)
                kills(cases[name], generator, tally)
                others(cases[name], generator, tally)
                done[name] += 1
                write()
            generator = random.Random(f"{asked.seed} {number}")
            if (found := full(cases["gru-additive-fp32"], generator, folder)) is not None:
                tally.add("tmpfs", found)
            if poisoned is None:
                (folder / "nan").mkdir()
                poisoned = Case(folder / "nan", "gru-additive-fp32", server, poison=0.006)
            tally.add("nan", nan(poisoned, generator))
            if number < 3:
                tally.add("memory", refused(server, folder, (600, 700, 800)[number]))
            if number < asked.pairs:
                together(folder, number, generator, tally)
            write()
    if tally.faults:
        print(*tally.faults, sep="\n", file=sys.stderr)


def nan(case: Case, generator: random.Random) -> Outcome:
    """A run that goes back after losses that are no numbers, killed on the way."""
    found = case.break_at(("update", generator.randint(1, 5)), ("file", generator.randint(20, case.places["file"])))
    return Outcome(["nan", *found.broken], found.lost, found.differences)


if __name__ == "__main__":
    main()
