"""Speed of decoding beside the peers, in one run: output tokens a second, and milliseconds for one sentence.

    python benchmarks/decoding.py [PART …] [--rounds 3] [--seconds 1] [--only TEXT …]

Parts are small, base, recurrent and curves; each writes benchmarks/results/decoding-PART.json. Sources are 20 random
words and their end, outputs exactly 24 tokens; weights are random, and the same in every engine that can hold them.
Every contender stays in a process of its own; they take turns at each task, round by round, so that what the machine
does beside it falls on all alike. A contender that needs more than half a minute for a task is measured once, and slow
ones translate fewer sentences: the results say how many. With --only, those contenders are measured whose name holds
the TEXT, and nothing is written: for a look. Peers are looked for in the folder OJAK_PEERS, an environment each
(benchmarks/peers/README.md tells how to make them); those that are not there are left out.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from typing import IO, Any

from common import PEERS, QUIET, ROOT, keep, machine, python
from decoding_models import SIZES, made
from peers.decoding import Task

from ojak.train.run import versions

VALUES = ("tokens_per_second", "p50_ms", "p95_ms")
"""what a task is measured by"""
LONG = 30.0
"""seconds above which a task is measured once and not again"""
USUAL = Task(1, 64)
BOTH = (USUAL, Task(4, 64), Task(1, 1, one=True), Task(4, 1, one=True))
TOGETHER, ALONE = BOTH[:2], BOTH[2:]


@dataclass(frozen=True)
class Contender:
    """What runs, and what it is asked."""

    environment: str
    words: tuple[str, ...]
    tasks: tuple[Task, ...]
    threads: int = 1
    least: int = 2 * USUAL.batch
    """sentences that it translates, at least: a batch for each worker"""


def layouts(
    name: str, environment: str, script: str, words: Sequence[str], asked: Sequence[tuple[int, int]]
) -> dict[str, Contender]:
    """A contender for each way to share the cores: workers × threads. What two workers do is not asked of one
    sentence, and two threads are tried on one sentence alone."""
    found = {}
    for workers, threads in asked:
        tasks = TOGETHER if workers > 1 else ALONE if threads > 1 else BOTH
        ways = ("--workers", str(workers), "--threads", str(threads))
        found[f"{name}, {workers} × {threads}"] = Contender(environment, (script, *words, *ways), tasks, threads)
    return found


ALL, OURS, TWO = ((2, 1), (1, 1), (1, 2)), ((2, 1), (1, 1)), ((2, 1),)


def transformers(model: str) -> dict[str, Contender]:
    place, vocabulary = made(model), str(SIZES[model][1])
    sizes = {name: value for name, value in SIZES[model][0].items() if isinstance(value, int)}
    joey = {"type": "transformer", "layers": sizes["encoder_layers"], "inner": sizes["feed_forward"]}
    joey |= {name: sizes[name] for name in ("width", "heads")}
    found: dict[str, Contender] = {}
    for precision in ("fp32", "bf16", "int8"):
        found |= ojak(model, f"ojak {precision}", OURS, "--precision", precision)
    found |= ojak(model, "ojak int8, shortlist", TWO, "--precision", "int8", "--shortlist")
    found |= ojak(model, "ojak int8, from text to text", TWO, "--precision", "int8", "--text")
    for kind in ("float32", "int8"):
        name, words = f"CTranslate2 {'fp32' if kind == 'float32' else kind}", [str(place / kind), vocabulary]
        found |= layouts(name, "ctranslate2", "ctranslate2_decoding.py", [*words, "--type", kind], ALL)
        if kind == "int8":
            words += ["--type", kind, "--shortlist"]
            found |= layouts(f"{name}, shortlist", "ctranslate2", "ctranslate2_decoding.py", words, TWO)
    marian = ("hf_decoding.py", str(place / "marian"), vocabulary)
    tasks = TOGETHER if model == "base" else BOTH  # seconds for a sentence tell nothing new
    return {
        **found,
        "Hugging Face fp32": slow("hf", *marian, tasks=tasks),
        "JoeyNMT fp32": slow("joeynmt", "joeynmt_decoding.py", vocabulary, json.dumps(joey), tasks=tasks),
    }


def slow(environment: str, *words: str, tasks: tuple[Task, ...] = BOTH) -> Contender:
    """A peer that knows no workers: both cores by two threads, one batch at least."""
    return Contender(environment, words, tasks, threads=2, least=USUAL.batch)


def recurrent(model: str) -> dict[str, Contender]:
    vocabulary = str(SIZES[model][1])
    joey = {"type": "recurrent", "cell": model, "attention": "luong" if model == "lstm" else "bahdanau"}
    found: dict[str, Contender] = {}
    for precision in ("fp32", "bf16", "int8"):
        found |= ojak(model, f"ojak {precision}", OURS, "--precision", precision)
    return {
        **found,
        "JoeyNMT fp32": slow("joeynmt", "joeynmt_decoding.py", vocabulary, json.dumps(joey)),
        "OpenNMT-py fp32": slow("onmt", "opennmt_decoding.py", vocabulary, model),
    }


def ojak(model: str, name: str, asked: Sequence[tuple[int, int]], *words: str) -> dict[str, Contender]:
    where = [str(made(model) / "ojak"), str(SIZES[model][1])]
    return layouts(name, "", "ojak_decoding.py", [*where, *words], asked)


def curve(tasks: Sequence[Task]) -> Callable[[str], dict[str, Contender]]:
    """Two workers of each of the fastest, at other tasks."""

    def of(model: str) -> dict[str, Contender]:
        words = [str(made(model) / "int8"), str(SIZES[model][1]), "--type", "int8"]
        found = {
            **ojak(model, "ojak bf16", TWO, "--precision", "bf16"),
            **ojak(model, "ojak int8", TWO, "--precision", "int8"),
            **layouts("CTranslate2 int8", "ctranslate2", "ctranslate2_decoding.py", words, TWO),
        }
        return {name: replace(contender, tasks=tuple(tasks)) for name, contender in found.items()}

    return of


BEAMS = [replace(USUAL, beam=beam) for beam in (2, 4, 8, 16)]
BATCHES = [replace(USUAL, batch=batch) for batch in (1, 4, 16, 256)]
LENGTHS = [replace(USUAL, length=length, words=length * 6 // 5) for length in (5, 10, 40, 80)]
# Part: its models, and who competes in each.
PARTS: dict[str, dict[str, Callable[[str], dict[str, Contender]]]] = {
    "small": {"small": transformers},
    "base": {"base": transformers},
    "recurrent": {"lstm": recurrent, "gru": recurrent},
    "curves": {
        "small": curve([USUAL, *BEAMS, *BATCHES, *LENGTHS]),
        **{name: curve([USUAL]) for name in SIZES if name.startswith("small-")},
    },
}


@dataclass
class Running:
    """A contender that waits for tasks."""

    name: str
    contender: Contender
    process: subprocess.Popen[str]
    complaints: IO[bytes]
    loaded_mb: float = 0.0
    done: dict[Task, list[dict[str, Any]]] = field(default_factory=dict)

    def answer(self) -> dict[str, Any] | None:
        """What it says; None with a message where it is gone."""
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if line:
            found: dict[str, Any] = json.loads(line)
            return found
        self.process.wait()
        self.complaints.seek(0)
        said = self.complaints.read().decode()[-500:]
        print(f"{self.name}: does not run (exit code {self.process.returncode}): {said}", file=sys.stderr)
        return None

    def ask(self, task: Task, seconds: float) -> dict[str, Any] | None:
        assert self.process.stdin is not None
        least = max(self.contender.least, 2 * task.batch) if task.batch > USUAL.batch else self.contender.least
        told = {**asdict(task), "seconds": seconds, "least": least}
        if self.process.poll() is not None:
            return None  # it has said why
        print(json.dumps(told), file=self.process.stdin, flush=True)
        return self.answer()


@contextmanager
def started(name: str, contender: Contender) -> Iterator[Running]:
    script, *words = contender.words
    command = [str(python(contender.environment)), str(ROOT / "benchmarks" / "peers" / script), *words]
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=complaints,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": str(contender.threads)},
        )
        try:
            yield Running(name, contender, process, complaints)
        finally:
            process.kill()
            process.wait()


def turns(contenders: dict[str, Contender], rounds: int, seconds: float) -> list[Running]:
    """All tasks of all contenders, round by round."""
    with ExitStack() as stack:
        every: list[Running] = []
        for name, contender in contenders.items():
            if not python(contender.environment).is_file():
                print(f"{name}: left out; there is no {python(contender.environment)}", file=sys.stderr)
                continue
            one = stack.enter_context(started(name, contender))
            if said := one.answer():
                one.loaded_mb = said["loaded_mb"]
                every.append(one)
        for number in range(rounds):
            for task in dict.fromkeys(task for contender in contenders.values() for task in contender.tasks):
                for one in every:
                    if task in one.contender.tasks and (found := measured(one, task, seconds)):
                        one.done.setdefault(task, []).append(found)
                        said = {key: round(value, 1) for key, value in found.items()}
                        print(number, f"{one.name:38} {task.name:32}", said, flush=True)
    return every


def measured(one: Running, task: Task, seconds: float) -> dict[str, Any] | None:
    """One measurement, taken again if somebody took a core meanwhile; None where it does not run, or one is enough."""
    before = one.done.get(task, [])
    if before and before[0]["spent"] > LONG:
        return None
    found = one.ask(task, seconds)
    if found and found["others"] > QUIET and found["spent"] < LONG:
        found = one.ask(task, seconds)
    return found


def summary(one: Running) -> list[dict[str, Any]]:
    """A row for each task: every round's value of what is compared, the share of others at worst, and the memory of the
    first round, before larger tasks have left theirs behind."""
    rows = []
    for task, rounds in one.done.items():
        row: dict[str, Any] = {"contender": one.name, **asdict(task), "loaded_mb": one.loaded_mb}
        row |= {key: [found[key] for found in rounds] for key in VALUES if key in rounds[0]}
        row |= {"sentences": rounds[0]["sentences"], "peak_mb": rounds[0]["peak_mb"]}
        row |= {"others": max(found["others"] for found in rounds)}
        del row["seconds"], row["least"]
        rows.append(row)
    return rows


def packages() -> dict[str, str]:
    """The version of each peer, and of what compiles Ojak's models."""
    names = {
        "": "numba",
        "ctranslate2": "ctranslate2",
        "hf": "transformers",
        "joeynmt": "joeynmt",
        "onmt": "opennmt-py",
    }
    found = {}
    for environment, package in names.items():
        if python(environment).is_file():
            ask = f"import importlib.metadata as m; print(m.version({package!r}))"
            done = subprocess.run([str(python(environment)), "-c", ask], capture_output=True, text=True)
            found[package] = done.stdout.strip()
    return found


def main() -> None:
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("parts", nargs="*", metavar="PART", default=list(PARTS))
    options.add_argument("--rounds", type=int, default=3)
    options.add_argument("--seconds", type=float, default=1.0)
    options.add_argument("--only", nargs="+", metavar="TEXT", default=[])
    asked = options.parse_args()
    if unknown := set(asked.parts) - set(PARTS):
        options.error(f"a part is one of {', '.join(PARTS)}, but {', '.join(sorted(unknown))} was named")
    print(f"peers in {PEERS}", flush=True)
    for part in asked.parts:
        models: dict[str, list[dict[str, Any]]] = {}
        for model, who in PARTS[part].items():
            chosen = {
                name: contender
                for name, contender in who(model).items()
                if not asked.only or any(text in name for text in asked.only)
            }
            print(f"{part}, {model}:", flush=True)
            models[model] = [row for one in turns(chosen, asked.rounds, asked.seconds) for row in summary(one)]
        if asked.only:
            continue
        keep(
            f"decoding-{part}",
            {
                "command": f"python benchmarks/decoding.py {part} --rounds {asked.rounds}",
                "machine": machine(),
                "versions": versions(),
                "peers": packages(),
                "rounds": asked.rounds,
                "seconds": asked.seconds,
                "vocabularies": {model: SIZES[model][1] for model in models},
                "models": models,
            },
        )


if __name__ == "__main__":
    main()
