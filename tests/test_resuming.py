"""Runs that go on with other settings than they began with, and what of them is refused before anything is written."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import ojak
from ojak import files
from ojak.config import merge, read_toml
from ojak.errors import ConfigError, OjakError, UseError
from ojak.train import lifeline, selection
from ojak.train import run as run_module
from ojak.train.dataset import Dev
from ojak.train.history import read_history
from ojak.train.parallel import Processes, joined, local
from ojak.train.stop import Interrupted
from ojak.train.trial import with_budget
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


def test_weights_of_a_way_not_taken_do_not_enter_the_average(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed after its validation at 45, a run goes on from its checkpoint at 40, with another rate."""
    with monkeypatch.context() as patch:
        tiny.cut(patch, "update", 48)
        with pytest.raises(tiny.Cut):
            train(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 60}}), tmp_path / "run")
    average = tmp_path / "run" / "state" / "average"
    assert [path.stem for path in sorted(average.iterdir())] == ["00000015", "00000030", "00000045"]
    train({"train": {"learning_rate": 0.02, "validate_every": 20}}, tmp_path / "run", resume=True)
    assert [path.stem for path in sorted(average.iterdir())] == ["00000015", "00000030", "00000060"]


def test_an_average_that_is_not_wanted_any_more_is_not_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    tiny.scripted(monkeypatch, 1.0, 1.0, 1.0, 99.0, 2.0)  # validations at 45 and 50; the best again; what else there is
    train({"train": {"updates": 50, "average": 0}}, tmp_path / "run", resume=True)
    assert "average" not in read_history(tmp_path / "run")[-1]["weights"]


def stopped_in_a_validation(settings: dict[str, Any], run: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(selection, "validate", lambda *_: os.kill(os.getpid(), signal.SIGINT))
        with pytest.raises(Interrupted):
            train(settings, run)


def test_a_validation_that_is_done_again_stands_in_the_history_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run is stopped while it validates at 15, goes on, validates, and is killed before its next checkpoint."""
    stopped_in_a_validation(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    with monkeypatch.context() as patch:
        tiny.cut(patch, "update", 3)
        with pytest.raises(tiny.Cut):
            train({}, tmp_path / "run", resume=True)
    train({}, tmp_path / "run", resume=True)
    seen = [event["update"] for event in read_history(tmp_path / "run") if event["event"] == "validation"]
    assert seen == [15, 30, 40]


def test_a_run_that_was_stopped_in_its_only_validation_can_be_given_more(tmp_path: Path) -> None:
    changes = {"train": {"validate_every": 0, "updates": 5}}
    stopped_in_a_validation(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    train({"train": {"updates": 8}}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run")[-1]["update"] == 8


def test_all_that_a_run_had_left_is_kept_until_it_is_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run, left = tmp_path / "run", tmp_path / "run" / "state" / "left"
    tiny.scripted(monkeypatch, 3.0, 8.0, 5.0, 8.0, 9.0)  # validations at 15, 30 and 40; the best again; the average
    train(tiny.settings(tiny.corpus(tmp_path)), run)
    average = (run / "model" / "weights.safetensors").read_bytes()
    for update, wish in ((52, {"updates": 80}), (57, {"dev_sentences": 4})):
        with monkeypatch.context() as patch:
            tiny.scripted(patch, 8.5)  # at 45: better than the best before, not than the average
            tiny.cut(patch, "update", update - 40 if update == 52 else 7)
            with pytest.raises(tiny.Cut):
                train({"train": wish}, run, resume=True)
    assert [path.stem for path in sorted(left.iterdir())] == ["00000040", "00000050"]
    assert (left / "00000040.safetensors").read_bytes() == average
    # At 60, 75 and 80; then the best, the average of the last, what was left at 40 and at 50.
    tiny.scripted(monkeypatch, 1.0, 1.0, 1.0, 1.0, 1.0, 9.0, 8.5)
    train({}, run, resume=True)
    assert read_history(run)[-1]["weights"] == "what it had left at update 40, before more was asked for"
    assert (run / "model" / "weights.safetensors").read_bytes() == average


def test_what_was_left_is_not_replaced_by_what_was_dropped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Killed before its first checkpoint after more was asked for, a run is asked for something else."""
    run = tmp_path / "run"
    tiny.scripted(monkeypatch, 3.0, 8.0, 5.0, 8.0, 9.0)  # validations at 15, 30 and 40; the best again; the average
    train(tiny.settings(tiny.corpus(tmp_path)), run)
    average = (run / "model" / "weights.safetensors").read_bytes()
    for wish, call in (({"updates": 80}, 8), ({"dev_sentences": 4}, 2)):
        with monkeypatch.context() as patch:
            tiny.scripted(patch, 8.5)
            tiny.cut(patch, "update", call)
            with pytest.raises(tiny.Cut):
                train({"train": wish}, run, resume=True)
    (left,) = (run / "state" / "left").iterdir()
    assert left.read_bytes() == average != (run / "model" / "weights.safetensors").read_bytes()


def test_patience_begins_anew_when_more_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.scripted(monkeypatch, 3.0, 8.0, 5.0, 8.0, 8.0)
    changes = {"train": {"validate_every": 5, "patience": 2, "average": 0}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    assert read_history(tmp_path / "run")[-1]["update"] == 20
    tiny.scripted(monkeypatch, 7.0, 7.0, 8.0, 8.0)
    train({"train": {"updates": 60}}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run")[-1]["update"] == 30


def test_checkpoints_that_do_not_tell_their_budget_keep_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Those of earlier versions, nor when they were last validated."""
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    before = read_history(tmp_path / "run")
    for path in (tmp_path / "run" / "state").glob("*/progress.json"):
        progress = json.loads(path.read_text(encoding="utf-8"))
        for name in ("asked", "budget", "judged", "sha256"):
            del progress[name]
        path.write_text(json.dumps(progress), encoding="utf-8")
    monkeypatch.setattr(run_module, "fit", lambda *_: pytest.fail("it was tried"))
    train({"train": {"log_every": 2}}, tmp_path / "run", resume=True)
    seen = read_history(tmp_path / "run")
    assert [event["event"] for event in seen if event not in before] == ["resume", "checkpoint", "end"]


def test_a_run_that_has_nothing_more_to_learn_ends_once(tmp_path: Path) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    train({"train": {"log_every": 10}}, tmp_path / "run", resume=True)
    seen = read_history(tmp_path / "run")
    assert [event["update"] for event in seen if event["event"] == "validation"] == [15, 30, 40]
    train({}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run") == seen


def test_what_was_learnt_since_the_last_validation_is_looked_at(tmp_path: Path) -> None:
    """With larger batches the pass in which a run is has come to its end, and so has the run."""
    changes = {"train": {"validate_every": 10, "updates": 25, "epochs": 1, "batch_tokens": 40, "save_every": 100}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    train({"train": {"updates": 100, "batch_tokens": 4000}}, tmp_path / "run", resume=True)
    seen = read_history(tmp_path / "run")
    assert [event["update"] for event in seen if event["event"] == "validation"] == [10, 20, 25]
    assert seen[-1]["reason"] == "1 passes over the pairs"
    train({}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run") == seen


def test_a_budget_is_tried_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where every call names it, as one command that begins a run and goes on with it does."""
    fits = iter([40, 48])
    monkeypatch.setattr(run_module, "fit", lambda recipe, *_: (with_budget(recipe, next(fits)), ""))
    settings = tiny.settings(tiny.corpus(tmp_path))
    with monkeypatch.context() as patch:
        tiny.cut(patch, "update", 13)
        with pytest.raises(tiny.Cut):
            train(settings, tmp_path / "run")
    for wish, budget in (({"batch_tokens": 64}, 40), ({}, 40), ({"batch_tokens": 63}, 48), ({"batch_tokens": 63}, 48)):
        with monkeypatch.context() as patch:
            tiny.cut(patch, "update", 11)
            with pytest.raises(tiny.Cut):
                train({"train": {**wish, "updates": 200}}, tmp_path / "run", resume=True)
        assert read_toml(tmp_path / "run" / "recipe.toml")["train"]["batch_tokens"] == budget


def test_a_card_is_never_of_an_end_that_is_one_no_more(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    card = tmp_path / "run" / "model" / "README.md"
    before = card.read_text(encoding="utf-8")
    with monkeypatch.context() as patch:
        patch.setattr(run_module, "card", lambda *_: pytest.fail("killed"))
        with pytest.raises(pytest.fail.Exception):
            train({"train": {"updates": 50}}, tmp_path / "run", resume=True)
    train({}, tmp_path / "run", resume=True)
    assert "50 updates" in card.read_text(encoding="utf-8") and "50 updates" not in before


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
    with pytest.raises(OjakError, match=r"Memory was refused .*can't allocate memory"):
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


@pytest.mark.parametrize(("here", "address"), [("2", "127.0.0.1"), ("1", "::")])
def test_other_machines_can_call_process_0(here: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where a machine knows its own name as a loopback, as Debian's do."""
    for name, value in (("MASTER_ADDR", "127.0.0.1"), ("WORLD_SIZE", "2"), ("LOCAL_WORLD_SIZE", here)):
        monkeypatch.setenv(name, value)
    with lifeline._server() as server:
        assert server.getsockname()[0] in (address, "0.0.0.0" if address == "::" else address)
        with socket.create_connection(("127.0.0.1", server.getsockname()[1]), timeout=5):
            pass


def test_who_is_refused_a_directory_leaves_it(tmp_path: Path) -> None:
    with files.held(tmp_path / "run"):
        with pytest.raises(UseError, match="another one is at work"), files.held(tmp_path / "run"):
            pass
        assert (tmp_path / "run").is_dir()
    assert not (tmp_path / "run").exists()


def test_what_is_settled_by_packing_is_not_asked_for_again(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 1}})
    train(settings, tmp_path / "run")
    merge(settings, {"data": {"pairs": [str(tmp_path / "run" / "data")], "held_out": 5}})
    with pytest.raises(ConfigError, match=r"data\.held_out is settled when a corpus is packed: .* has 20, but 5"):
        train(settings, tmp_path / "other")
    merge(settings, {"data": {"held_out": 20}})
    train(settings, tmp_path / "other")


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
