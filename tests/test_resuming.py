"""Runs that go on with other settings than they began with, and what of them is refused before anything is written."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import ojak
from ojak.errors import ConfigError, OjakError, UseError
from ojak.train import run as run_module
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev
from ojak.train.history import History, read_history
from ojak.train.parallel import Processes, joined, local
from ojak.train.selection import forget_later
from ojak.train.validate import validate


def train(settings: dict[str, Any], run: Path, resume: bool = False) -> None:
    ojak.train_run(settings, run, tiny.Silent(), resume)


@pytest.mark.parametrize("wish", [{"metric": "loss"}, {"dev_sentences": 3}])
def test_what_was_measured_otherwise_is_no_mark_to_beat(
    wish: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A chrF of 90 is better than any loss, turned round; other sentences may be harder."""
    tiny.scripted(
        monkeypatch, 90.0, 80.0, 80.0, *[90.0] * 3
    )  # validations at 15, 30 and 40; then whatever may be chosen
    train(tiny.settings(tiny.corpus(tmp_path), {"train": {"patience": 3}}), tmp_path / "run")
    tiny.scripted(monkeypatch, 50.0, 60.0, 70.0, *[70.0] * 4)
    train({"train": {"updates": 75, **wish}}, tmp_path / "run", resume=True)
    later = [event for event in read_history(tmp_path / "run") if event["update"] > 40]
    assert next(event for event in later if event["event"] == "validation")["best"] == 1
    assert later[-1]["update"] == 75


def test_a_refused_wish_is_not_kept(tmp_path: Path) -> None:
    file = tiny.corpus(tmp_path)
    links = tmp_path / "links"
    links.write_text("".join("0-0\n" for _ in tiny.pairs()))
    settings = tiny.settings(file, {"data": {"alignments": [str(links)]}, "model": {"attention": "dot"}})
    train(settings, tmp_path / "run")
    before = (tmp_path / "run" / "recipe.toml").read_text()
    with pytest.raises(ConfigError, match="alignment_view must be one of"):
        train({"train": {"updates": 50, "alignment_view": "nonsense"}}, tmp_path / "run", resume=True)
    assert (tmp_path / "run" / "recipe.toml").read_text() == before
    train({"train": {"updates": 50}}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run")[-1]["update"] == 50


def test_settings_that_are_none_are_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="data"):
        train({"data": 5}, tmp_path / "run", resume=True)


def test_a_finished_run_without_its_history_is_none(tmp_path: Path) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    (tmp_path / "run" / "history.jsonl").unlink()
    train({}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run")[-1]["event"] == "end"


def test_weights_of_a_way_not_taken_do_not_enter_the_average(tmp_path: Path) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    average = tmp_path / "run" / "state" / "average"
    assert [path.stem for path in sorted(average.iterdir())] == ["00000015", "00000030", "00000040"]
    forget_later(tmp_path / "run", Progress(data="", update=30))
    assert [path.stem for path in sorted(average.iterdir())] == ["00000015", "00000030"]


def test_an_average_that_is_not_wanted_any_more_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    tiny.scripted(monkeypatch, 1.0, 1.0, 1.0, 99.0, 2.0)  # validations at 45 and 50; the best again; what else there is
    train({"train": {"updates": 50, "average": 0}}, tmp_path / "run", resume=True)
    assert "average" not in read_history(tmp_path / "run")[-1]["weights"]


def test_a_validation_that_is_done_again_stands_in_the_history_once(tmp_path: Path) -> None:
    """A run was stopped while it validated at 15, went on, validated, and was killed before its next checkpoint."""
    events = [("update", 15), ("checkpoint", 15), ("resume", 15), ("validation", 15), ("collapse", 15), ("update", 17)]
    lines = [{"event": event, "update": update, "message": "00000015"} for event, update in events]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    History(tmp_path, 15, tiny.Silent(), unjudged=True).close()
    assert [event["event"] for event in read_history(tmp_path)] == ["update", "checkpoint", "resume"]
    (tmp_path / "history.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    History(tmp_path, 15, tiny.Silent()).close()
    assert [event["event"] for event in read_history(tmp_path)][-2:] == ["validation", "collapse"]


def test_a_run_says_how_many_workers_it_has(tmp_path: Path) -> None:
    train(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 1, "workers": 2}}), tmp_path / "run")
    train({"train": {"updates": 2, "workers": 0, "threads": 1}}, tmp_path / "run", resume=True)
    events = [event for event in read_history(tmp_path / "run") if event["event"] in ("start", "resume")]
    assert [event["workers"] for event in events] == [2, 1]


def test_weights_that_let_no_pair_be_seen_are_refused(tmp_path: Path) -> None:
    file = tiny.corpus(tmp_path)
    with pytest.raises(UseError, match=r"weights of the corpora .* let it see 0\.018 of 180"):
        train(tiny.settings(file, {"data": {"weights": [1e-4]}}), tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("seed", range(4))
def test_passes_in_which_no_pair_is_drawn_are_passed_over(seed: int, tmp_path: Path) -> None:
    """One pair in a pass on average: more than a third of all passes are empty, sometimes the first."""
    changes = {"seed": seed, "data": {"weights": [1 / 180]}, "train": {"updates": 5}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    assert read_history(tmp_path / "run")[-1]["update"] == 5


@pytest.mark.parametrize("where", ["build", "make_optimizer"])
def test_memory_that_is_refused_before_the_first_batch_is_told(
    where: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*_: Any) -> None:
        raise RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes")

    monkeypatch.setattr(run_module, where, refused)
    with pytest.raises(OjakError, match=r"must fit into memory.*can't allocate memory"):
        train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")


def test_processes_without_others_and_without_gpus_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "")
    with pytest.raises(UseError, match="must find each other"), joined():
        pass
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    with pytest.raises(UseError, match="there are 2 processes and 1 GPUs"):
        local(torch.device("cuda"))


def test_no_process_translates_with_weights_that_have_run_away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also one whose own share of the pairs was scored without a fault."""

    class TwoThatFail(Processes):
        def gathered(self, value: Any) -> list[Any]:
            return [value, (math.nan, 1)] if isinstance(value, tuple) else [value, value]

    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 1}})
    train(settings, tmp_path / "run")
    translator = ojak.load(tmp_path / "run")
    recipe = ojak.config.read_recipe(settings)
    pairs = ojak.read_pairs([settings["data"]["pairs"][0]])[:8]
    dev = Dev(pairs, translator.source, translator.target, recipe)
    monkeypatch.setattr(type(translator), "translate", lambda *_: pytest.fail("it was asked to translate"))
    found = validate(translator, dev, recipe, TwoThatFail(0, 2))
    assert math.isnan(found.nll) and found.bleu == 0
