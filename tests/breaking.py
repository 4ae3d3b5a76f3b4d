"""Real processes that train, and are killed or kept from writing at a place that is chosen beforehand.

`python breaking.py` imports all that training needs, once, and then forks a process for each line of its standard
input, so that one costs no more than the training itself. It is used by `test_faults.py` and `benchmarks/faults.py`.

A place is a kind and a number, the first being 1:

    file N      SIGKILL just before the Nth time that the run directory is touched (opened, linked, moved, removed)
    half N      SIGKILL when the Nth file is all but written: half of it is on the disk
    validate N  SIGKILL within the Nth pass over the validation pairs
    update N    SIGKILL in the Nth update, before its step
    time N      SIGKILL after N milliseconds
    term N      SIGTERM where `file N` would kill; int N: SIGINT; term-validate N and int-validate N likewise
    full N      the disk is full from the Nth file on
    memory N    N MiB of address space are left when the first batches are tried

Updates at a higher rate than `poison` have a loss that is not a number.
"""

from __future__ import annotations

import errno
import json
import os
import resource
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

KILLS = ("file", "half", "validate", "update", "time")
SIGNALS = {"term": signal.SIGTERM, "int": signal.SIGINT}
TOUCHES = {"open", "os.rename", "os.link", "os.remove", "os.mkdir", "os.rmdir"}


@dataclass(frozen=True)
class Ended:
    """How a process ended: its exit code (−9 if it was killed), its messages, and how often each kind of place came."""

    code: int
    messages: str
    places: dict[str, int]


class Server:
    """The process that forks the others."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def train(
        self, words: list[str], run: Path, place: tuple[str, int] | None = None, poison: float | None = None
    ) -> Ended:
        """What becomes of `ojak train WORDS… --out RUN`."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(json.dumps([words, str(run), place or ("", 0), poison]) + "\n")
        self._process.stdin.flush()
        return Ended(**json.loads(self._process.stdout.readline()))


def serve() -> None:
    """Forks a process for each line, and tells how it ended."""
    import sacrebleu  # noqa: F401
    import tensorboardX.record_writer  # noqa: F401

    import ojak.commands.train  # noqa: F401

    for line in sys.stdin:
        words, run, place, poison = json.loads(line)
        reading, writing = os.pipe()
        if not (child := os.fork()):
            os.close(reading)
            os.dup2(writing, 2)
            os.dup2(os.open(os.devnull, os.O_RDWR), 0)
            os.dup2(0, 1)
            sys.stdout, sys.stderr = (os.fdopen(file, "w", encoding="utf-8", closefd=False) for file in (1, 2))
            code = 70
            try:
                code, places = _one(words, run, *place, poison)
                sys.stderr.write("\0" + json.dumps(places))
            except BaseException:
                traceback.print_exc()
            sys.stderr.flush()
            os._exit(code)
        os.close(writing)
        if place[0] == "time":
            threading.Timer(place[1] / 1000, _kill, (child,)).start()
        with os.fdopen(reading, encoding="utf-8", errors="replace") as said:
            messages, _, places = said.read().partition("\0")
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        print(json.dumps({"code": code, "messages": messages, "places": json.loads(places or "{}")}), flush=True)


def _kill(child: int) -> None:
    with suppress(ProcessLookupError):  # it had ended before
        os.kill(child, signal.SIGKILL)


def _one(words: list[str], run: str, kind: str, number: int, poison: float | None) -> tuple[int, dict[str, int]]:
    """Trains, and breaks at the place. Gives the exit code, and how often each kind of place came."""
    from ojak.cli import main

    come = dict.fromkeys(("file", "half", "validate", "update"), 0)

    def reach(place: str, act: Callable[[], Any] = lambda: os.kill(os.getpid(), signal.SIGKILL)) -> None:
        come[place] += 1
        if (kind, number) == (place, come[place]):
            act()
        asked, _, where = kind.partition("-")
        if asked in SIGNALS and (where or "file", number) == (place, come[place]):
            os.kill(os.getpid(), SIGNALS[asked])

    def touched(event: str, given: tuple[Any, ...]) -> None:
        if event in TOUCHES and str(given[0]).startswith(run + "/"):
            reach("file")

    sys.addaudithook(touched)
    _break_writing(reach, come, kind, number)
    _break_training(reach, kind, number, poison)
    return main(["train", *words, "--out", run]), come


def _break_writing(reach: Callable[..., None], come: dict[str, int], kind: str, number: int) -> None:
    fsync = os.fsync

    def synced(file: int) -> None:
        path = os.readlink(f"/proc/self/fd/{file}")

        def halve() -> None:
            if os.path.basename(path).startswith("."):  # not the history, which is added to
                os.ftruncate(file, os.fstat(file).st_size // 2)
            os.kill(os.getpid(), signal.SIGKILL)

        if os.path.isdir(path):
            return
        reach("half", halve)
        if kind == "full" and come["half"] >= number:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        fsync(file)

    os.fsync = synced


def _break_training(reach: Callable[..., None], kind: str, number: int, poison: float | None) -> None:
    from ojak.train import loop, objective, run, trial, validate
    from ojak.train.loss import Loss
    from ojak.train.update import update

    score = validate.score

    def scored(*given: Any) -> Any:
        reach("validate")
        return score(*given)

    def updated(working: Any, batches: Any, optimizer: Any, *others: Any) -> Any:
        step = optimizer.step

        def stepped(*given: Any) -> Any:
            reach("update")
            return step(*given)

        def spoilt(*given: Any) -> Any:
            loss = cross_entropy(*given)
            return Loss(loss.smoothed * float("nan"), loss.plain)

        optimizer.step = stepped
        objective.cross_entropy = spoilt if poison and others[0] > poison else cross_entropy
        try:
            return update(working, batches, optimizer, *others)
        finally:
            optimizer.step = step

    def fitted(*given: Any) -> Any:
        if kind == "memory":
            pages = int(Path("/proc/self/statm").read_text().split()[0])
            most = pages * resource.getpagesize() + number * 2**20
            resource.setrlimit(resource.RLIMIT_AS, (most, most))
        return trial.fit(*given)

    cross_entropy = objective.cross_entropy
    validate.score, loop.update, run.fit = scored, updated, fitted


if __name__ == "__main__":
    serve()
