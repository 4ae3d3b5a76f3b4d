"""A tiny corpus and a tiny run, small enough that a test may train it whole."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from ojak.config import merge
from ojak.corpus.pair import Pair
from ojak.corpus.split import choose, must_be_left
from ojak.train import loop, selection
from ojak.train.validate import Validation

WORDS = "ab cd ef gh ij kl mn op".split()


def pairs(count: int = 200, seed: int = 5) -> list[tuple[str, str]]:
    """Different sentences of one to six words; the translation turns the order about and the case up."""
    generator = random.Random(seed)
    found: dict[str, str] = {}
    while len(found) < count:
        words = generator.choices(WORDS, k=generator.randint(1, 6))
        found[" ".join(words)] = " ".join(reversed(words)).upper()
    return list(found.items())


def corpus(folder: Path, count: int = 200, seed: int = 5) -> Path:
    """The same as a file."""
    path = folder / f"pairs-{count}-{seed}.tsv"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs(count, seed)), encoding="utf-8")
    return path


def settings(file: Path, changes: dict[str, Any] | None = None) -> dict[str, Any]:
    """A run of 40 updates; validations and checkpoints do not fall together, so that each happens without the other."""
    found: dict[str, Any] = {
        "data": {"pairs": [str(file)], "held_out": 20},
        "text": {"kind": "word", "size": 60},
        "model": {"architecture": "recurrent", "embedding": 8, "width": 12, "dropout": 0.2},
        "train": {
            "updates": 40,
            "batch_tokens": 64,
            "learning_rate": 0.01,
            "warmup": 5,
            "validate_every": 15,
            "save_every": 10,
            "log_every": 1,
            "dev_sentences": 8,
            "patience": 0,
            "average": 3,
            "device": "cpu",
        },
    }
    merge(found, changes or {})
    return found


def hold_out(pairs: Sequence[Pair], count: int, seed: int) -> tuple[list[Pair], list[Pair]]:
    """Training pairs and `count` held-out ones, at most a tenth of all, as `choose` and `HeldOut.training` say.

    Raises DataError when there are too few pairs to do this.
    """
    held = choose(pairs, {"dev": count}, seed)
    held.begin()
    train = list(held.training(pairs))
    must_be_left(train)
    return train, held.parts["dev"]


def scripted(monkeypatch: pytest.MonkeyPatch, *scores: float) -> None:
    """Lets the validations of a run find these values of chrF, one after another."""
    left = iter(scores)
    monkeypatch.setattr(selection, "validate", lambda *_: Validation(nll=2.0, bleu=0.0, chrf=next(left)))


class Cut(Exception):
    """Stands for the power cut."""


def cut(monkeypatch: pytest.MonkeyPatch, place: str, call: int) -> None:
    """Lets the process break down in a call of that function of the loop, before it does anything."""
    target, name = {"update": (loop, "update"), "judge": (selection, "validate")}.get(place, (loop.checkpoint, "save"))
    real, calls = getattr(target, name), [0]

    def breaking(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == call:
            raise Cut
        return real(*args)

    monkeypatch.setattr(target, name, breaking)


class Silent:
    """A display that shows nothing."""

    def event(self, event: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


TIMES = ("seconds", "tokens_per_second", "remaining", "validation_in", "took", "memory", "memory_peak")


def history(run: Path) -> list[dict[str, Any]]:
    """The events of a run without the times, and without those that tell of starting."""
    events = [json.loads(line) for line in (run / "history.jsonl").read_text(encoding="utf-8").split("\n") if line]
    return [
        {key: value for key, value in event.items() if key not in TIMES}
        for event in events
        if event["event"] not in ("start", "resume")
    ]


def state(run: Path) -> dict[str, Any]:
    """All that decides how a run goes on, and what it leaves: bytes of weights and of optimizer, and the progress."""
    found: dict[str, Any] = {
        path.relative_to(run).as_posix(): path.read_bytes() for path in sorted(run.rglob("*.safetensors"))
    }
    for path in run.glob("state/*/progress.json"):
        progress = json.loads(path.read_text(encoding="utf-8"))
        found[path.relative_to(run).as_posix()] = {**progress, "seconds": 0, "sha256": ""}
    return found


@contextmanager
def file_limit(size: int) -> Iterator[None]:
    """Lets no file grow beyond `size` bytes, as a full disk would not: the kernel itself refuses the write."""
    import resource

    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
