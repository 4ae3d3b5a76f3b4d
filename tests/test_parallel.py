"""Several processes learn what one would: the same weights after an update, one who decides, and no one left behind."""

from __future__ import annotations

import json
import math
import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import tiny
import together
import torch
import torch.distributed as dist
from safetensors.torch import load_file

import ojak
from ojak.batch import blank
from ojak.config import read_recipe, write_toml
from ojak.errors import UseError
from ojak.train import loop, objective
from ojak.train.dataset import Epoch
from ojak.train.lifeline import Lifeline, Lost
from ojak.train.parallel import Processes, Room, joined

CPU = torch.device("cpu")
HERE = Path(__file__).parent
PATIENCE = 400
"""seconds: a process that starts takes three on a quiet core, and others may want the core too"""


def started(work: str, folder: Path, *words: str, **others: str) -> list[subprocess.Popen[str]]:
    """Two processes that do this work together, as torchrun would start them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    common = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
    return [
        subprocess.Popen(
            [sys.executable, str(HERE / "together.py"), work, str(folder), *words],
            env={**os.environ, **common, "GLOO_SOCKET_IFNAME": "lo", "RANK": rank, "LOCAL_RANK": rank, **others},
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in ("0", "1")
    ]


def ended(processes: list[subprocess.Popen[str]]) -> list[str]:
    """What each has said when all have ended; none is left."""
    try:
        return [process.communicate(timeout=PATIENCE)[1] for process in processes]
    finally:
        for process in processes:
            process.kill()


def done(work: str, folder: Path, *words: str) -> None:
    """Does the work with two processes, which must succeed."""
    processes = started(work, folder, *words)
    said = ended(processes)
    assert [process.returncode for process in processes] == [0, 0], "\n".join(said)


# ---------------------------------------------------------------- the update


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the two processes left what they had learnt from four batches an update."""
    made = tmp_path_factory.mktemp("updates")
    done("updates", made)
    return made


@pytest.mark.parametrize(("kind", "name", "how"), together.EVERY, ids=lambda it: it if isinstance(it, str) else "")
def test_two_processes_learn_what_one_does(kind: str, name: str, how: dict[str, Any], folder: Path) -> None:
    """Two processes with two batches each, one with four, and one with all pairs in one batch, have the same weights
    after some updates: in whatever pieces they lie, whatever dropout draws, and whatever is learnt."""
    how = {key: value for key, value in how.items() if key != "pieces"}
    weights = load_file(folder / f"{kind}-{name}.safetensors")
    seen = json.loads((folder / f"{kind}-{name}.json").read_text())
    drawn = "model" in how or kind in ("uneven", "own words")  # of a batch: four draw otherwise than one
    counts = (4,) if drawn else (4, 1)
    for count in counts:
        others, expected = together.learnt(name, count, Processes(), **how)
        for mine, theirs in zip(seen, others, strict=True):
            assert mine == pytest.approx(vars(theirs), rel=1e-9)
        for key, weight in expected.items():
            torch.testing.assert_close(weights[key], weight, rtol=1e-6, atol=1e-9)
    untaught = together.make(name)
    assert any(not weights[key].equal(weight) for key, weight in untaught.named_parameters())


def test_a_blank_batch_teaches_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = blank(CPU).parts(3)
    assert part.target_in.shape == part.target_out.shape == (1, 1) and part.tokens == 0
    plain = {name: together.learnt(name, 4, Processes())[1] for name in together.NAMES}
    cut = together.cut
    monkeypatch.setattr(together, "cut", lambda step, count: [*cut(step, count), blank(CPU)])
    for name, weights in plain.items():
        others = together.learnt(name, 4, Processes())[1]
        assert all(weight.equal(others[key]) for key, weight in weights.items())


# ---------------------------------------------------------------- the order of the data


class Numbered(Epoch):
    """A pass whose batches are their own numbers."""

    def __init__(self, count: int) -> None:
        self.count = count

    def _makers(self, begin: int, device: torch.device) -> Any:
        for number in range(begin, self.count):
            yield lambda number=number: number


@pytest.mark.parametrize("count", [1, 2, 7, 12, 13])
@pytest.mark.parametrize("each", [1, 2, 5])
@pytest.mark.parametrize("size", [1, 2, 3])
def test_every_batch_of_a_pass_is_learnt_from_once(count: int, each: int, size: int) -> None:
    """By one process or another, in the order of one alone; all of them make the same number of batches an update."""
    shares = [list(Numbered(count).groups(0, each, CPU, (rank, size))) for rank in range(size)]
    at = 0
    for groups in zip(*shares, strict=True):
        assert len({group.count for group in groups}) == len({len(group.batches) for group in groups}) == 1
        numbers = [batch for group in groups for batch in group.batches if isinstance(batch, int)]
        assert sorted(numbers) == list(range(at, at + groups[0].count))
        assert len(groups[0].batches) == math.ceil(groups[0].count / size) <= each
        at += groups[0].count
    assert at == count


# ---------------------------------------------------------------- whole runs


RUN: dict[str, Any] = {
    "train": {"updates": 16, "save_every": 5, "validate_every": 6, "precision": "exact", "answer": 300}
}
PIECES: dict[str, Any] = {
    "model": {
        "architecture": "transformer",
        "encoder_layers": 1,
        "decoder_layers": 1,
        "width": 8,
        "heads": 2,
        "feed_forward": 16,
        "dropout": 0.1,
    },
    "train": {
        "updates": 4,
        "save_every": 4,
        "validate_every": 4,
        "precision": "exact",
        "answer": 300,
        "sharding": "fsdp",
    },
}


def alike(one: Path, other: Path) -> None:
    """Two runs have come to the same: the same events in the same order, and weights that differ by rounding."""
    # One that was stopped has saved where the other has not.
    events = [[event for event in tiny.history(run) if event["event"] != "checkpoint"] for run in (one, other)]
    assert [(event["event"], event["update"]) for event in events[0]] == [(e["event"], e["update"]) for e in events[1]]
    for first, second in zip(*events, strict=True):
        if first["event"] == "update":
            for key in ("loss", "nll", "gradient", "rate"):
                assert first[key] == pytest.approx(second[key], rel=1e-3)
    newest = max(path.name for path in (one / "state").iterdir() if path.name.isdecimal())
    for file in ("weights", "optimizer"):
        here, there = (load_file(run / "state" / newest / f"{file}.safetensors") for run in (one, other))
        assert here.keys() == there.keys()
        for key in here:
            # The bias of keys adds the same to all scores: its gradient is rounding, which Adam makes steps of.
            if not key.startswith("random") and not key.endswith("key.bias"):
                torch.testing.assert_close(here[key], there[key], rtol=1e-2, atol=2e-4)
    progress = [json.loads((run / "state" / newest / "progress.json").read_text()) for run in (one, other)]
    for key in ("update", "epoch", "batch", "tokens", "group"):
        assert progress[0][key] == progress[1][key]


def test_a_signal_to_any_stops_all_and_one_goes_on_for_two(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), RUN)
    alone = {**settings, "train": {**settings["train"], "accumulate": 2}}
    ojak.train_run(alone, tmp_path / "alone", tiny.Silent())
    recipe, run = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(write_toml(read_recipe(settings)), encoding="utf-8")
    words = ("train", "--recipe", str(recipe), "--out", str(run), "--resume")  # nothing is there: it begins
    processes = started("command", tmp_path, *words, OJAK_RANK="1", OJAK_AFTER="8", OJAK_SIGNAL="SIGTERM")
    first, second = ended(processes)
    assert [process.returncode for process in processes] == [130, 130], first + second
    assert "An update takes 2 batches: 1 for each of 2 processes." in first
    assert f"saved at update 8; go on with: ojak train --out {run} --resume" in first
    assert second == "", "process 0 alone speaks"
    assert {path.name for path in (run / "state").glob("0*")} == {"00000005", "00000008"}
    ojak.train_run({"train": {"accumulate": 2}}, run, tiny.Silent(), resume=True)
    alike(run, tmp_path / "alone")


def test_more_batches_an_update_after_resuming_are_told(tmp_path: Path) -> None:
    """The place in the data stays; what an update is made of is said."""
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 3, "average": 0}})
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    ojak.train_run({"train": {"updates": 5, "accumulate": 3}}, tmp_path / "run", tiny.Silent(), resume=True)
    lines = (tmp_path / "run" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    (told,) = (event["message"] for event in map(json.loads, lines) if event["event"] == "resume")
    assert "An update takes 3 batches: 3 for each of 1 processes; until now it took 1." in told
    progress = json.loads((tmp_path / "run" / "state" / "00000005" / "progress.json").read_text())
    assert (progress["epoch"], progress["batch"]) == (0, 3 + 2 * 3)


def test_the_cosine_ends_with_the_passes_whoever_goes_on(tmp_path: Path) -> None:
    """A run of two passes that goes on with updates of three batches has nothing left to fall at its end, and does not
    leap where it goes on."""
    changes = {"train": {"epochs": 2, "updates": 1000, "schedule": "cosine", "warmup": 1, "average": 0}}
    settings = tiny.settings(tiny.corpus(tmp_path), changes)
    run = tmp_path / "run"
    ojak.train_run(settings, tmp_path / "whole", tiny.Silent())
    pass_ = len([event for event in tiny.history(tmp_path / "whole") if event.get("epoch") == 0])
    ojak.train_run({**settings, "train": {**settings["train"], "updates": pass_}}, run, tiny.Silent())
    ojak.train_run({"train": {"updates": 1000, "accumulate": 3}}, run, tiny.Silent(), resume=True)
    rates = {event["update"]: event["rate"] for event in tiny.history(run) if event["event"] == "update"}
    last = pass_ + math.ceil(pass_ / 3)
    assert max(rates) == last and rates[last] == 0.0
    later = [rates[number] for number in range(pass_ + 1, last + 1)]
    assert 0.004 < later[0] < 0.0052 and later == sorted(later, reverse=True)
    dones = [event["done"] for event in tiny.history(run) if event["event"] == "update"]
    assert dones[-1] == 1.0


def test_one_command_begins_a_run_and_goes_on_with_it(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 6, "save_every": 3}})
    ojak.train_run(settings, tmp_path / "run", tiny.Silent(), resume=True)
    before = tiny.state(tmp_path / "run")
    ojak.train_run(settings, tmp_path / "run", tiny.Silent(), resume=True)
    assert tiny.state(tmp_path / "run") == before


def test_a_run_in_pieces_is_one_like_others(tmp_path: Path) -> None:
    """Its checkpoints are whole: one process goes on with what two had in pieces, and the other way about."""
    settings = tiny.settings(tiny.corpus(tmp_path), PIECES)
    more = {"train": {"updates": 8}}
    done(
        "runs",
        tmp_path,
        json.dumps({"run": "two", "settings": settings}),
        json.dumps({"run": "two", "settings": more, "resume": True}),
    )
    alone = {**settings, "train": {**settings["train"], "accumulate": 2}}
    for changes, resume in ((alone, False), (more, True)):
        ojak.train_run(changes, tmp_path / "one", tiny.Silent(), resume)
    alike(tmp_path / "two", tmp_path / "one")
    ojak.train_run({"train": {"updates": 10, "accumulate": 2}}, tmp_path / "two", tiny.Silent(), resume=True)
    ojak.train_run({"train": {"updates": 10}}, tmp_path / "one", tiny.Silent(), resume=True)
    alike(tmp_path / "two", tmp_path / "one")


@pytest.mark.parametrize("changes", [RUN, PIECES], ids=["whole", "pieces"])
def test_two_processes_go_back_after_losses_that_are_no_numbers(
    changes: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As one does, and to the newest checkpoint before them, however many bad ones have followed it."""
    changes = {**changes, "train": {**changes["train"], "updates": 14, "save_every": 1}}
    settings = tiny.settings(tiny.corpus(tmp_path), changes)
    done("poisoned", tmp_path, json.dumps({"run": "two", "settings": settings}))
    alone = {**settings, "train": {**settings["train"], "accumulate": 2}}
    for module, name in ((loop, "update"), (objective, "cross_entropy")):
        monkeypatch.setattr(module, name, getattr(module, name))  # puts it back afterwards
    together.poison()
    ojak.train_run(alone, tmp_path / "one", tiny.Silent())
    alike(tmp_path / "two", tmp_path / "one")
    (setback,) = (event for event in tiny.history(tmp_path / "two") if event["event"] == "setback")
    assert setback["update"] == 8 and "weights of update 3" in setback["message"]


@pytest.mark.parametrize("rank", [0, 1])
def test_a_death_is_heard_where_one_works_alone(rank: int, tmp_path: Path) -> None:
    """By the one that works, and by those that wait for it."""
    processes = started("lonely", tmp_path, OJAK_RANK=str(rank))
    assert processes[rank].wait(PATIENCE) == -signal.SIGKILL
    begun = time.monotonic()
    said = ended(processes)[1 - rank]
    assert processes[1 - rank].returncode and time.monotonic() - begun < 60
    assert f"because process {rank} (pid {processes[rank].pid} on " in said and "of 2 is gone or silent" in said


def test_who_stands_still_in_an_update_is_named(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), RUN)
    settings["train"]["answer"] = 20
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(write_toml(read_recipe(settings)), encoding="utf-8")
    words = ("train", "--recipe", str(recipe), "--out", str(tmp_path / "run"))
    processes = started("command", tmp_path, *words, OJAK_RANK="0", OJAK_AFTER="7", OJAK_SIGNAL="SIGSTOP")
    try:
        assert processes[1].wait(PATIENCE) == 1
        assert processes[1].stderr and "because process 0 (pid" in processes[1].stderr.read()
    finally:
        for process in processes:
            process.kill()
            process.communicate()


def test_strangers_who_call_are_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    store = dist.HashStore()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(Lifeline, 0, 3, store)
        port = json.loads(store.get("lifeline"))[0]
        with socket.create_connection(("127.0.0.1", port)) as stranger:
            stranger.sendall(b"0123456789abcdef00000001")
            assert stranger.recv(1) == b""
        others = list(pool.map(lambda rank: Lifeline(rank, 3, store), (1, 2)))
        lines = [first.result(), *others]
        found = list(pool.map(lambda line: line.gathered((line.rank, "a")), lines))
        assert found == [[[0, "a"], [1, "a"], [2, "a"]]] * 3
        list(pool.map(lambda line: line.leave(), lines))


def test_where_an_earlier_process_0_was_is_asked_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """torchrun starts all again with the store that they had: what it tells is of those before, at first."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    store = dist.HashStore()
    with socket.create_server(("127.0.0.1", 0)) as gone:
        port = gone.getsockname()[1]
    store.set("lifeline", json.dumps([port, "0123456789abcdef"]))
    with ThreadPoolExecutor(2) as pool:
        late = pool.submit(Lifeline, 1, 2, store)
        time.sleep(0.5)
        lines = [Lifeline(0, 2, store), late.result()]
        assert lines[0].word == lines[1].word != "0123456789abcdef"
        list(pool.map(lambda line: line.leave(), lines))


def test_the_last_words_of_one_reach_all(monkeypatch: pytest.MonkeyPatch) -> None:
    """Who ends because of it is not named."""
    monkeypatch.setenv("MASTER_ADDR", "127.0.0.1")
    store = dist.HashStore()

    def wait(line: Lifeline) -> str:
        try:
            if line.rank == 1:
                raise OSError("the disk is on fire")
            line.gathered(None)
        except (OSError, Lost) as error:
            line.last_words(error)
            return str(error)
        return "nothing happened"

    with ThreadPoolExecutor(3) as pool:
        lines = list(pool.map(lambda rank: Lifeline(rank, 3, store), range(3)))
        first, _, third = pool.map(wait, lines)
    for said in (first, third):
        assert (
            "of 3 ended: the disk is on fire (" in said and said.count("process 1 (") == 1 and "process 0 (" not in said
        )


@pytest.mark.parametrize("base", [RUN, PIECES], ids=["whole", "pieces"])
def test_a_process_that_is_killed_ends_the_others_and_is_named(base: dict[str, Any], tmp_path: Path) -> None:
    changes = {**base, "train": {**base["train"], "updates": 16, "save_every": 5}}
    recipe, run = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(write_toml(read_recipe(tiny.settings(tiny.corpus(tmp_path), changes))), encoding="utf-8")
    words = ("train", "--recipe", str(recipe), "--out", str(run))
    processes = started("command", tmp_path, *words, OJAK_RANK="1", OJAK_AFTER="7", OJAK_SIGNAL="SIGKILL")
    assert processes[1].wait(PATIENCE) == -signal.SIGKILL
    begun = time.monotonic()
    first, _ = ended(processes)
    assert processes[0].returncode == 1 and time.monotonic() - begun < 60
    assert f"Process 0 cannot go on, because process 1 (pid {processes[1].pid} on " in first
    assert "of 2 is gone or silent" in first and "--resume" in first and "Traceback" not in first
    assert (run / "state" / "00000005" / "progress.json").is_file()


def test_why_another_process_ended_is_told(tmp_path: Path) -> None:
    processes = started("raising", tmp_path)
    first, _ = ended(processes)
    assert processes[0].returncode and "process 1 (pid" in first and "of 2 ended: the disk is on fire" in first


@pytest.mark.slow
@pytest.mark.parametrize("base", [RUN, PIECES], ids=["whole", "pieces"])
def test_torchrun_starts_a_run_again_where_it_stood(base: dict[str, Any], tmp_path: Path) -> None:
    """A process is killed, torchrun starts all again, and the same command goes on to the same end, to the bit."""
    changes = {**base, "train": {**base["train"], "updates": 16, "save_every": 5, "validate_every": 6}}
    recipe, run = tmp_path / "recipe.toml", tmp_path / "run"
    recipe.write_text(write_toml(read_recipe(tiny.settings(tiny.corpus(tmp_path), changes))), encoding="utf-8")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    words = ["train", "--recipe", str(recipe), "--resume", "--out"]
    environment = {**os.environ, "GLOO_SOCKET_IFNAME": "lo", "OJAK_AFTER": "8", "OJAK_SIGNAL": "SIGKILL"}
    again = [*start, "--max-restarts", "1", str(HERE / "together.py"), "command", str(tmp_path)]
    subprocess.run([*again, *words, str(run)], env={**environment, "OJAK_RANK": "1"}, check=True, timeout=2 * PATIENCE)
    subprocess.run(
        [*start, "-m", "ojak", *words, str(tmp_path / "whole")], env=environment, check=True, timeout=PATIENCE
    )
    assert tiny.state(run) == tiny.state(tmp_path / "whole")
    assert tiny.history(run) == tiny.history(tmp_path / "whole")


# ---------------------------------------------------------------- the parts


def test_a_process_alone_needs_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    with joined() as processes:
        assert (processes.rank, processes.size, processes.leads) == (0, 1, True)
        assert processes.told([1, "two"]) == [1, "two"] and processes.gathered(3) == [3]
        assert processes.any(True) and not processes.any(False)
        assert processes.first(lambda: 5) == 5
        assert processes.sum(torch.ones(2)).tolist() == [1, 1]
    assert not dist.is_initialized()


def test_an_environment_that_tells_half_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("RANK", "MASTER_ADDR", "MASTER_PORT"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(UseError, match="Start them all with torchrun"), joined():
        pass


def test_a_room_holds_every_gradient_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ojak.train.parallel.BUCKET", 10)
    weights = [
        torch.nn.Parameter(torch.ones(size, dtype=kind)) for size in (3, 20, 4) for kind in (torch.float, torch.double)
    ]
    room = Room(weights)
    found = [weight for _, parts in room.buckets for weight, _ in parts]
    assert sorted(map(id, found)) == sorted(map(id, weights))
    for long, parts in room.buckets:
        assert {weight.dtype for weight, _ in parts} == {long.dtype}
        assert sum(weight.numel() for weight, _ in parts) == long.numel()
        for number, (weight, part) in enumerate(parts):
            assert part.shape == weight.shape
            part.fill_(number)
        assert long.tolist() == [number for number, (weight, _) in enumerate(parts) for _ in range(weight.numel())]
