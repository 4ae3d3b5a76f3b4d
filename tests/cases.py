"""Tiny runs of every kind of model, broken in every way and compared with ones that nothing disturbed."""

from __future__ import annotations

import random
import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import breaking
import tiny

from ojak.config import read_recipe, write_toml

RECURRENT = {"architecture": "recurrent", "embedding": 8, "width": 12, "dropout": 0.2}
TRANSFORMER = {
    "architecture": "transformer",
    "encoder_layers": 1,
    "decoder_layers": 1,
    "width": 16,
    "heads": 2,
    "feed_forward": 16,
    "dropout": 0.1,
}
RUNS: dict[str, dict[str, Any]] = {
    "gru-additive-fp32": {"model": {**RECURRENT, "attention": "additive"}, "train": {"precision": "fp32"}},
    "lstm-none-bf16": {"model": {**RECURRENT, "cell": "lstm", "attention": "none"}, "train": {"precision": "bf16"}},
    "rnn-dot-exact-2-workers": {
        "model": {**RECURRENT, "cell": "rnn", "attention": "dot", "acts": "after"},
        "train": {"precision": "exact", "workers": 2},
    },
    "transformer-bf16-2-workers": {
        "text": {"kind": "unigram", "size": 320, "shared": True, "sample": 0.2},
        "model": TRANSFORMER,
        "train": {"precision": "bf16", "workers": 2, "schedule": "cosine", "patience": 2, "metric": "loss"},
    },
    "transformer-fp32": {"model": TRANSFORMER, "train": {"precision": "fp32", "average": 0}},
}
"""runs of every kind of model, in every precision, with workers and without"""


CODES = {"term": 130, "int": 130, "term-validate": 130, "int-validate": 130, "full": 1}
"""exit codes of runs that are not killed"""


@dataclass(frozen=True)
class Outcome:
    """What became of a run."""

    broken: list[str]
    """the kinds of places that it came to and broke at"""
    lost: str
    """why it could not go on; empty if it could"""
    differences: list[str] = field(default_factory=list)
    """what is not as in the run that nothing disturbed"""


class Case:
    """A run that nothing disturbs, and others of the same recipe that something does."""

    def __init__(self, folder: Path, name: str, server: breaking.Server, poison: float | None = None) -> None:
        self._folder, self._server, self._count, self._poison = folder / name, server, 0, poison
        self._folder.mkdir()
        self._recipe = self._folder / "recipe.toml"
        settings = tiny.settings(tiny.corpus(self._folder), RUNS[name])
        self._recipe.write_text(write_toml(read_recipe(settings)), encoding="utf-8")
        self.uncut = self._folder / "uncut"
        ended = self.train(self.uncut)
        assert ended.code == 0, ended.messages
        self.places = ended.places

    def new(self) -> Path:
        self._count += 1
        return self._folder / f"run-{self._count}"

    def train(self, run: Path, place: tuple[str, int] | None = None) -> breaking.Ended:
        """Begins the run, or goes on with it if it has begun."""
        begun = (run / "recipe.toml").exists()
        if not begun:  # killed before it had said what it was: the user removes it, and begins again
            shutil.rmtree(run, ignore_errors=True)
        words = ["--resume"] if begun else ["--recipe", str(self._recipe)]
        return self._server.train(words, run, place, self._poison)

    def break_at(self, *places: tuple[str, int]) -> Outcome:
        """Lets a run break at each of the places, one after the other, and come to its end."""
        run, broken = self.new(), []
        for place in places:
            ended = self.train(run, place)
            if ended.code not in (0, CODES.get(place[0], -9)):
                return Outcome(broken, f"{place}: exit code {ended.code}, {ended.messages[-500:]}")
            if ended.code > 0 and (found := fault_of(ended, run, place[0])):
                return Outcome(broken, f"{place}: {found}")
            broken += [place[0]] if ended.code else []
        ended = self.train(run)
        if ended.code:
            return Outcome(broken, f"{places}: not resumed: {ended.messages[-500:]}")
        # Who asks for a checkpoint gets one: only then may there be others than in the run that nothing disturbed.
        asked = any(place in broken for place in ("term", "int", "term-validate", "int-validate"))
        found = differences(run, self.uncut, only_results=asked)
        shutil.rmtree(run)
        return Outcome(broken, "", [f"{places}: {what}" for what in found])

    def draw(self, generator: random.Random) -> tuple[str, int]:
        """A place to be killed at, of any kind."""
        kind = generator.choice(breaking.KILLS)
        return kind, generator.randint(1, self.places.get(kind, 1500))


def fault_of(ended: breaking.Ended, run: Path, kind: str) -> str:
    """What is wrong with how a run told that it could not go on; empty if nothing is."""
    said = ended.messages
    told = (
        "cannot be written: No space left" in said if kind == "full" else " --resume" in said or "begin again" in said
    )
    if not told or "Traceback" in said:
        return f"it does not tell what happened: {said[-500:]}"
    return "something half written is left" if list(run.rglob(".*")) else ""


def differences(run: Path, uncut: Path, only_results: bool = False) -> list[str]:
    """What of a run is not as it is in another: files of weights and states, progress, history, card, leftovers.
    With `only_results` there may be other checkpoints on the way to the last."""
    here, there = tiny.state(run), tiny.state(uncut)
    events = [tiny.history(one) for one in (run, uncut)]
    if only_results:
        last = max(path.name for path in (uncut / "state").glob("0*"))
        here, there = (
            {name: it for name, it in all_.items() if "state/0" not in name or last in name} for all_ in (here, there)
        )
        events = [[event for event in one if event["event"] != "checkpoint"] for one in events]
    found = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    if events[0] != events[1]:
        found.append("history.jsonl")
    cards = [(one / "model" / "README.md").read_text(encoding="utf-8").partition("minutes")[2] for one in (run, uncut)]
    if cards[0] != cards[1]:
        found.append("README.md")
    names = [{path.relative_to(one).as_posix() for path in one.rglob("*")} for one in (run, uncut)]
    others = (name for name in names[0] ^ names[1] if not name.startswith("events/"))
    return found + sorted(name for name in others if not (only_results and name.startswith("state/0")))
