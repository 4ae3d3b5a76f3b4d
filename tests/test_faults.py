"""What may happen to a run: killed, stopped, without disk or memory, with a loss that is no number. Whatever it is, the
run ends as if nothing had happened, or says what did."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import breaking
import pytest
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


class Case:
    """A run that nothing disturbs, and others of the same recipe that something does."""

    def __init__(self, folder: Path, name: str, server: breaking.Server, changes: dict[str, Any] | None = None) -> None:
        self._folder, self._server, self._count = folder / name, server, 0
        self._folder.mkdir()
        self._recipe = self._folder / "recipe.toml"
        settings = tiny.settings(tiny.corpus(self._folder), changes or RUNS[name])
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
        return self._server.train(["--resume"] if begun else ["--recipe", str(self._recipe)], run, place)

    def break_at(self, *places: tuple[str, int]) -> list[str]:
        """Lets a run break at each of the places, one after the other, and come to its end. What is not as in the run
        that nothing disturbed."""
        run = self.new()
        for place in places:
            ended = self.train(run, place)
            if ended.code not in (0, -9):
                return [f"{place}: exit code {ended.code}, {ended.messages[-500:]}"]
        ended = self.train(run)
        if ended.code:
            return [f"{places}: not resumed: {ended.messages[-500:]}"]
        found = [f"{places}: {what} differs" for what in differences(run, self.uncut)]
        shutil.rmtree(run)
        return found

    def draw(self, generator: random.Random) -> tuple[str, int]:
        """A place to be killed at, of any kind."""
        kind = generator.choice(breaking.KILLS)
        return kind, generator.randint(1, self.places.get(kind, 1500))


def differences(run: Path, uncut: Path) -> list[str]:
    """What of a run is not as it is in another: files of weights and states, progress, history, card, leftovers."""
    here, there = tiny.state(run), tiny.state(uncut)
    found = [name for name in sorted(here.keys() | there.keys()) if here.get(name) != there.get(name)]
    if tiny.history(run) != tiny.history(uncut):
        found.append("history.jsonl")
    cards = [(one / "model" / "README.md").read_text(encoding="utf-8").partition("minutes")[2] for one in (run, uncut)]
    if cards[0] != cards[1]:
        found.append("README.md")
    names = [{path.relative_to(one).as_posix() for path in one.rglob("*")} for one in (run, uncut)]
    return found + sorted(name for name in names[0] ^ names[1] if not name.startswith("events/"))


@pytest.fixture(scope="module")
def server() -> Iterator[breaking.Server]:
    with breaking.Server() as server:
        yield server


@pytest.fixture(scope="module")
def case(server: breaking.Server, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Case]:
    made: dict[str, Case] = {}
    folder = tmp_path_factory.mktemp("faults")

    def get(name: str) -> Case:
        if name not in made:
            made[name] = Case(folder, name, server)
        return made[name]

    return get


# ---------------------------------------------------------------- killed


@pytest.mark.parametrize(("name", "seed"), [("gru-additive-fp32", 1), ("transformer-bf16-2-workers", 2)])
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_were_not(
    name: str, seed: int, case: Callable[[str], Case]
) -> None:
    one, generator = case(name), random.Random(seed)
    assert one.break_at(*(one.draw(generator) for _ in range(4))) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_survives_many_kills(name: str, case: Callable[[str], Case]) -> None:
    one, generator = case(name), random.Random(name)
    found = []
    for _ in range(20):
        found += one.break_at(*(one.draw(generator) for _ in range(generator.randint(1, 4))))
    assert found == []


@pytest.mark.parametrize(("kind", "step"), [("file", 9), ("half", 3)])
def test_a_run_may_be_killed_while_it_writes(kind: str, step: int, case: Callable[[str], Case]) -> None:
    """From its validation at update 30 to its end: before every so many-th touch of a file, and with one half written.
    `-m slow` draws among all of them."""
    one = case("gru-additive-fp32")

    def copy() -> Path:
        run = shutil.copytree(one.uncut, one.new())
        _forget_the_end(run)
        return run

    count = one.train(copy()).places[kind]
    for number in range(1 + count % step, count + 1, step):
        run = copy()
        assert one.train(run, (kind, number)).code == -9
        assert one.train(run).code == 0
        assert differences(run, one.uncut) == [], f"{kind} {number} of {count}"


def _forget_the_end(run: Path) -> None:
    """The run as it was after the checkpoint at update 30, had it been killed then."""
    shutil.rmtree(run / "state" / "00000040")
    for file in (run / "model" / "README.md", run / "state" / "average" / "00000040.safetensors"):
        file.unlink()


# ---------------------------------------------------------------- stopped


@pytest.mark.parametrize("kind", ["term", "int"])
@pytest.mark.parametrize("part", ["preparing", "learning", "validating"])
def test_a_run_that_is_asked_to_stop_says_how_to_go_on(kind: str, part: str, case: Callable[[str], Case]) -> None:
    one = case("gru-additive-fp32")
    run = one.new()
    # A run begins with the recipe; it is in the middle of learning when half of the files have been touched.
    where = {"preparing": ("", 9), "learning": ("", one.places["file"] // 2), "validating": ("-validate", 3)}[part]
    ended = one.train(run, (kind + where[0], where[1]))
    assert ended.code == 130, ended.messages
    assert f"ojak train --out {run} --resume" in ended.messages and "Traceback" not in ended.messages
    saved = sorted(path.name for path in (run / "state").glob("0*")) if (run / "state").exists() else []
    assert ("before the first update" in ended.messages) is (part == "preparing") is (not saved)
    if part == "validating":
        assert saved[-1] == "00000030" and "saved at update 30" in ended.messages
        assert json.loads((run / "state" / saved[-1] / "progress.json").read_text())["unjudged"]
    assert not list(run.rglob(".*"))
    assert one.train(run).code == 0
    weights = [path / "model" / "weights.safetensors" for path in (run, one.uncut)]
    assert weights[0].read_bytes() == weights[1].read_bytes()
    told = [[event for event in tiny.history(path) if event["event"] != "checkpoint"] for path in (run, one.uncut)]
    assert told[0] == told[1]
