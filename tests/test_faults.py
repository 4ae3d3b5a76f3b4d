"""What may happen to a run: killed, stopped, without disk or memory, with a loss that is no number. Whatever it is, the
run ends as if nothing had happened, or says what did."""

from __future__ import annotations

import json
import math
import os
import random
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import breaking
import pytest
import tiny
import torch
from cases import RUNS, Case, differences
from zoo import make

import ojak
from ojak.batch import collate, plan
from ojak.config import Recipe, TrainConfig, read_recipe, read_toml
from ojak.corpus.pair import Pair
from ojak.train import loop, memory, meter, objective, selection, trial
from ojak.train import update as updating
from ojak.train import validate as validating
from ojak.train.checkpoint import Progress
from ojak.train.dataset import Dev, weights
from ojak.train.frozen import freeze
from ojak.train.history import Lines, describe, read_history
from ojak.train.loss import Loss
from ojak.train.precision import Working
from ojak.train.validate import Validation, validate


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


@pytest.mark.parametrize(("name", "seed"), [("gru-additive-fp32", 4), ("transformer-bf16-2-workers", 2)])
def test_a_run_that_is_killed_again_and_again_ends_as_if_it_were_not(
    name: str, seed: int, case: Callable[[str], Case]
) -> None:
    one, generator = case(name), random.Random(seed)
    found = one.break_at(*(one.draw(generator) for _ in range(6)))
    assert (found.lost, found.differences) == ("", []) and len(found.broken) > 1


@pytest.mark.slow
@pytest.mark.parametrize("name", RUNS)
def test_every_kind_of_run_survives_many_kills(name: str, case: Callable[[str], Case]) -> None:
    one, generator = case(name), random.Random(name)
    for _ in range(20):
        found = one.break_at(*(one.draw(generator) for _ in range(generator.randint(1, 4))))
        assert (found.lost, found.differences) == ("", [])


@pytest.mark.parametrize(("kind", "step"), [("file", 12), ("half", 6)])
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


@pytest.mark.parametrize(
    ("kind", "part"), [("term", "preparing"), ("int", "preparing"), ("int", "learning"), ("term", "validating")]
)
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


def test_a_run_that_is_asked_to_stop_before_it_began_leaves_nothing_to_go_on_from(case: Callable[[str], Case]) -> None:
    one = case("gru-additive-fp32")
    run = one.new()
    ended = one.train(run, ("term", 1))
    assert ended.code == 130 and "begin again with the same command" in ended.messages
    assert not (run / "recipe.toml").exists()


# ---------------------------------------------------------------- steps that are not finite


def test_a_run_with_losses_that_are_no_numbers_goes_back_and_on(
    server: breaking.Server, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The rate grows to 0.01 at update 5; above 0.006 every loss is NaN, until the run has lowered it."""
    one = Case(tmp_path, "gru-additive-fp32", server, poison=0.006)
    events = tiny.history(one.uncut)
    skipped = [event for event in events if event["event"] == "skipped"]
    assert [event["update"] for event in skipped] == [4, 5, 6, 7, 8]
    first = skipped[0]["message"]
    assert "loss is nan" in first and f"batch 4 of pass 1, {skipped[0]['pairs']} pairs such as “" in first
    (setback,) = (event for event in events if event["event"] == "setback")
    assert setback["update"] == 8 and setback["slower"] == 0.5 and "weights of update 0" in setback["message"]
    rates = {event["update"]: event["rate"] for event in events if event["event"] == "update"}
    assert sorted(rates) == [1, 2, 3, *range(9, 41)]
    assert rates[20] == pytest.approx(0.01 * (5 / 20) ** 0.5 / 2)
    progress = json.loads((one.uncut / "state" / "00000040" / "progress.json").read_text())
    assert (progress["skipped"], progress["setbacks"], progress["slower"], progress["in_a_row"]) == (5, 1, 0.5, 0)
    # Killed among the bad steps, just after the setback, and later: it goes the same way again.
    generator = random.Random(3)
    found = one.break_at(("update", 5), ("update", 9), ("file", generator.randint(30, one.places["file"])))
    assert (found.lost, found.differences) == ("", []) and len(found.broken) > 1


def test_there_is_always_a_good_checkpoint_to_go_back_to(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """However many bad steps have been saved since; one that has been damaged is told and passed over."""
    real, cross_entropy, run = loop.update, objective.cross_entropy, tmp_path / "run"

    def spoilt(*given: Any) -> Loss:
        loss = cross_entropy(*given)
        return Loss(loss.smoothed * float("nan"), loss.plain)

    def updated(working: Any, batches: Any, optimizer: Any, rate: float, *others: Any) -> Any:
        if (run / "state" / "00000006").exists() and not (run / "state" / "00000007").exists():
            newest = run / "state" / "00000003" / "weights.safetensors"
            content = bytearray(newest.read_bytes())
            content[-1] ^= 1
            newest.write_bytes(content)
        monkeypatch.setattr(objective, "cross_entropy", spoilt if rate > 0.006 else cross_entropy)
        return real(working, batches, optimizer, rate, *others)

    monkeypatch.setattr(loop, "update", updated)
    changes = {"train": {"save_every": 1, "updates": 12}}
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), run, tiny.Silent())
    (setback,) = (event for event in tiny.history(run) if event["event"] == "setback")
    assert setback["update"] == 8 and "the weights of update 2," in setback["message"]
    assert "00000003/weights.safetensors is damaged" in setback["message"]
    assert sorted(path.name for path in (run / "state").glob("0*")) == ["00000011", "00000012"]


def test_a_step_that_is_not_finite_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights and optimizer are those of before, and the tokens are not counted as learnt."""
    model, config = make("gru-additive-before"), TrainConfig(workers=1, precision="exact")
    optimizer, working = updating.make_optimizer(model, config), Working(model, config)
    batch, real = [collate([[5, 6]], [[7, 8]], torch.device("cpu"))], objective.cross_entropy
    updating.update(working, batch, optimizer, 0.1, config)

    def everything() -> list[torch.Tensor]:
        gathered = [value for values in optimizer.state.values() for value in values.values()]
        return [tensor.detach().clone() for tensor in (*model.parameters(), *gathered)]

    for bad in (float("nan"), float("inf")):
        before = everything()
        monkeypatch.setattr(
            objective, "cross_entropy", lambda *given, bad=bad: Loss(real(*given).smoothed * bad, real(*given).plain)
        )
        assert not updating.update(working, batch, optimizer, 0.1, config).finite
        monkeypatch.undo()
        assert all(one.equal(other) for one, other in zip(before, everything(), strict=True))
        assert updating.update(working, batch, optimizer, 0.1, config).finite
        assert not all(one.equal(other) for one, other in zip(before, everything(), strict=True))


def test_a_run_that_cannot_go_on_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = objective.cross_entropy
    monkeypatch.setattr(
        objective, "cross_entropy", lambda *given: Loss(real(*given).smoothed * float("nan"), real(*given).plain)
    )
    changes = {"train": {"updates": 200, "save_every": 200}}
    with pytest.raises(ojak.OjakError, match=r"lower rate 8 times.*history\.jsonl.*lower train\.learning_rate"):
        ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run", tiny.Silent())
    factors = [event["slower"] for event in tiny.history(tmp_path / "run") if event["event"] == "setback"]
    assert factors == [2.0**-number for number in range(1, 9)]


@pytest.mark.parametrize("compiled", [False, True])
@pytest.mark.parametrize("name", ["gru-additive-fp32", "transformer-fp32"])
def test_weights_that_have_run_away_are_the_worst(
    name: str, compiled: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No word is likelier than another, so nothing can be translated; a validation tells, and does not break down."""
    monkeypatch.setattr(validating, "MANY", 20 if compiled else 21)
    settings = tiny.settings(tiny.corpus(tmp_path), {**RUNS[name], "train": {"updates": 1, "average": 0}})
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    translator, recipe = ojak.load(tmp_path / "run", precision="exact"), read_recipe(settings)
    for weight in translator.model.parameters():
        weight.data.fill_(float("nan"))
    pairs = [Pair(*texts) for texts in tiny.pairs(20)]
    found = validate(translator, Dev(pairs, translator.source, translator.target, recipe), recipe)
    assert math.isnan(found.nll) and found.better("loss") == -math.inf and found.bleu == 0


# ---------------------------------------------------------------- a model that has collapsed


@pytest.mark.parametrize(
    ("outputs", "told"), [([1, 1, 1, 5], [10]), ([1, 5, 1, 1], [15]), ([5, 5, 1, 5, 1], [15, 25]), ([5, 5, 1, 5], [15])]
)
def test_a_collapse_is_explained(
    outputs: list[int], told: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once where outputs were different before; where they never were, the second time."""
    left = [*outputs, outputs[-1]]
    monkeypatch.setattr(
        selection, "validate", lambda *_: Validation(2.0, 0.0, 1.0, asked=8, outputs=left.pop(0), example="AB")
    )
    changes = {"train": {"validate_every": 5, "updates": 5 * len(outputs), "average": 0}}
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run", tiny.Silent())
    events = [event for event in tiny.history(tmp_path / "run") if event["event"] == "collapse"]
    assert [event["update"] for event in events] == told
    assert all("all 8 sentences are translated alike, as “AB”" in event["message"] for event in events)


# ---------------------------------------------------------------- memory


def test_a_budget_that_does_not_fit_is_made_smaller(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a machine that is said to refuse what is larger than 40 tokens a side: as if 40 had been asked for."""
    real = trial.update

    def refusing(working: Any, batches: Any, *others: Any) -> Any:
        if batches[0].source.numel() > 40 or batches[0].target_in.numel() > 40:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 123 bytes.")
        return real(working, batches, *others)

    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 10, "batch_tokens": 150}})
    with monkeypatch.context() as patch:
        patch.setattr(trial, "update", refusing)
        ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    budget = read_toml(tmp_path / "run" / "recipe.toml")["train"]["batch_tokens"]
    assert budget == 37  # 150, 75, 37
    (start,) = (event for event in read_history(tmp_path / "run") if event["event"] == "start")
    assert "train.batch_tokens is 37 instead of 150" in start["message"] and start["batch_tokens"] == 37
    settings["train"]["batch_tokens"] = budget
    ojak.train_run(settings, tmp_path / "other", tiny.Silent())
    states = [tiny.state(tmp_path / name) for name in ("run", "other")]
    asked = [{value.pop("asked") for value in state.values() if isinstance(value, dict)} for state in states]
    assert states[0] == states[1] and asked == [{150}, {37}]
    assert tiny.history(tmp_path / "run") == tiny.history(tmp_path / "other")


def test_a_model_that_does_not_fit_at_all_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refusing(*_: Any) -> Any:
        raise MemoryError

    monkeypatch.setattr(trial, "update", refusing)
    with pytest.raises(ojak.OjakError, match=r"A pair of 7 tokens must fit into memory.*model\.width"):
        ojak.train_run(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run", tiny.Silent())


def test_a_budget_that_was_learnt_with_is_not_tried_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever memory others take when a run is resumed, the order of its data stays."""
    run = tmp_path / "run"
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 5}}), run, tiny.Silent())
    recipe = (run / "recipe.toml").read_text()

    def refusing(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(trial, "update", refusing)
    ojak.train_run({"train": {"updates": 8}}, run, tiny.Silent(), resume=True)
    assert (run / "recipe.toml").read_text() == recipe.replace("updates = 5", "updates = 8")


def test_other_errors_of_the_trial_are_not_taken_for_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> Any:
        raise RuntimeError("shapes do not agree")

    monkeypatch.setattr(trial, "update", broken)
    with pytest.raises(RuntimeError, match="shapes do not agree"):
        ojak.train_run(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run", tiny.Silent())


def test_what_would_be_too_much_is_foretold_and_not_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that takes 1,000 bytes and 10 a pair, where it may have 1,500: of 80 pairs it tries 10, 20 and 40."""
    held, tried = [0], []

    def work(part: Any) -> None:
        tried.append(len(part.source))
        held[0] = 1000 + 10 * len(part.source)

    monkeypatch.setattr(memory, "peak", lambda: held[0])
    batch = collate([[5, 6]] * 80, [[7]] * 80, torch.device("cpu"))
    with pytest.raises(trial._TooLarge) as found:
        trial._watched(batch, [(memory.peak, 1500)], work)
    assert tried == [10, 20, 40] and found.value.share == pytest.approx(50 / 80)
    tried.clear()
    trial._watched(batch, [(memory.peak, 1900)], work)
    assert tried == [10, 20, 40, 80]


def test_what_training_holds_beside_the_trial_is_counted() -> None:
    """Two moments of what learns, and its average; the room for the gradients of several processes; and in a validation
    the weights that the average stands in for. What an optimizer has gathered before is there already."""
    model, recipe = make("gru-additive-before"), read_recipe({})
    freeze(model, ["source.*"])
    sizes = sum(weight.nbytes for weight in model.parameters() if weight.requires_grad)
    optimizer = updating.make_optimizer(model, recipe.train)
    averaged = recipe.model_copy(update={"train": recipe.train.model_copy(update={"ema": 0.9})})

    def held(recipe: Recipe, processes: int) -> tuple[int, int]:
        learning, looking = trial._pending(recipe, optimizer, processes)
        return sum(learning) // sizes, sum(looking) // sizes

    assert [held(recipe, 1), held(recipe, 2), held(averaged, 2)] == [(2, 0), (3, 0), (4, 1)]
    for weight in model.parameters():
        weight.grad = torch.ones_like(weight) if weight.requires_grad else None
    optimizer.step()
    assert [held(recipe, 1), held(averaged, 2)] == [(0, 0), (1, 1)]


def test_addresses_that_are_limited_are_foretold_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """What was refused once leaves less for the next try, so the smallest part that is refused says how little fits."""
    batch = collate([[5, 6]] * 80, [[7]] * 80, torch.device("cpu"))

    def work(part: Any) -> None:
        raise RuntimeError("could not create a primitive")

    with pytest.raises(trial._TooLarge) as found:
        trial._watched(batch, [(lambda: 1, 2)], work)
    assert found.value.share == 0.5 / 8
    monkeypatch.setattr(memory, "most_addresses", lambda: 123)
    assert [most for _, most in trial._limits(torch.device("cpu"), 0)][-1] == 123
    assert trial._limits(torch.device("meta"), 0) == []


@pytest.mark.skipif(sys.platform != "linux", reason="the memory of a process is read as Linux tells it")
def test_few_products_are_kept_prepared() -> None:
    """Every new shape of a product is prepared by oneDNN, which keeps it, and so does torch."""

    def grown(kept: str) -> int:
        unsaid = {name: value for name, value in os.environ.items() if "CACHE_CAPACITY" not in name}
        words = [sys.executable, "-c", MANY_SHAPES, kept]
        return int(subprocess.run(words, capture_output=True, text=True, check=True, env=unsaid).stdout)

    every, few = grown("all"), grown("few")
    if every < 100 << 20:
        pytest.skip("products are not prepared here")
    assert few < 0.5 * every, (few, every)


def test_training_sees_to_it_unless_the_user_has(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "99")
    monkeypatch.setenv("LRU_CACHE_CAPACITY", "")
    monkeypatch.delenv("LRU_CACHE_CAPACITY")
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run", tiny.Silent())
    assert os.environ["ONEDNN_PRIMITIVE_CACHE_CAPACITY"] == "99"
    assert os.environ["LRU_CACHE_CAPACITY"] == memory.PREPARED


MANY_SHAPES = """
import sys, torch
from ojak.train import memory
if sys.argv[1] == "few":
    memory.keep_few_products()
torch.set_num_threads(1)
torch.set_float32_matmul_precision("medium")
states, weight = torch.ones(400, 64), torch.ones(64, 64)
torch.mm(states, weight)
before = memory.resident()
for rows in range(1, 400):
    torch.mm(states[:rows], weight)
print(memory.resident() - before)
"""


def test_memory_that_is_refused_later_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the command that goes on with less, and without a traceback."""
    real, run = loop.update, tmp_path / "run"

    def refusing(*given: Any) -> Any:
        if (run / "state" / "00000010").exists():
            raise RuntimeError("[enforce fail at alloc_cpu.cpp:127] DefaultCPUAllocator: can't allocate memory")
        return real(*given)

    monkeypatch.setattr(loop, "update", refusing)
    with pytest.raises(ojak.OjakError, match=r"after update 1\d.*can't allocate.*--resume train\.batch_tokens=32$"):
        ojak.train_run(tiny.settings(tiny.corpus(tmp_path)), run, tiny.Silent())


def test_the_heaviest_batches_are_those_of_all() -> None:
    lengths = [torch.randint(1, 30, (500,), generator=torch.Generator().manual_seed(side)).numpy() for side in (1, 2)]
    planned = plan(*lengths, 200, (1, 2))
    (tokens, one), (area, other) = weights(planned, lengths)
    sides = [[len(places) * (lengths[side][places].max() + 1) for side in (0, 1)] for places in planned]
    assert max(map(sum, sides)) == tokens == sum(sides[one])
    areas = [sum(side) ** 2 / len(places) for side, places in zip(sides, planned, strict=True)]
    assert max(areas) == pytest.approx(area) and areas[other] == pytest.approx(area)


def test_limits_of_control_groups_are_heard(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both versions, with what can be given back, and the limit of a group above."""
    proc, groups = tmp_path / "proc", tmp_path / "groups"
    (proc / "self").mkdir(parents=True)
    (proc / "meminfo").write_text("MemTotal: 9000 kB\nMemAvailable:    8000 kB\n")
    monkeypatch.setattr(memory, "PROC", proc)
    monkeypatch.setattr(memory, "CGROUPS", groups)
    (proc / "self" / "cgroup").write_text("0::/a/b\n")
    assert memory.available() == 8000 * 1024
    for folder, limit in ((groups / "a", "5000000"), (groups / "a" / "b", "max")):
        folder.mkdir(parents=True)
        (folder / "memory.max").write_text(limit + "\n")
        (folder / "memory.current").write_text("3000000\n")
        (folder / "memory.stat").write_text("anon 7\ninactive_file 500000\n")
    assert memory.available() == 2_500_000
    (proc / "self" / "cgroup").write_text("5:cpu:/\n4:memory:/c\n")
    (groups / "memory" / "c").mkdir(parents=True)
    for name, content in (
        ("limit_in_bytes", "1000000"),
        ("usage_in_bytes", "900000"),
        ("stat", "cache 1\ntotal_inactive_file 300000"),
    ):
        (groups / "memory" / "c" / f"memory.{name}").write_text(content + "\n")
    assert memory.available() == 400_000


# ---------------------------------------------------------------- what is shown


def test_lines_are_for_what_is_written_only(capsys: pytest.CaptureFixture[str]) -> None:
    event = {
        "event": "update",
        "update": 7,
        "epoch": 0,
        "loss": 2.0,
        "tokens_per_second": 1234.0,
        "memory": 1.5e9,
        "validation_in": 75.0,
        "remaining": 3700.0,
    }
    line = "update 7, pass 1: loss 2.000, 1,234 tokens/s, 1.5 GB, validation in 1:15, 1:01:40 left at most"
    assert describe(event) == line
    assert "34 MB" in describe({**event, "gpu_memory": 34e6})
    lines = Lines(every=0.0)
    lines.event({**event, "live": True})
    assert capsys.readouterr().err == ""
    lines.event(event)
    assert capsys.readouterr().err == line + "\n"


def test_the_time_that_is_left_counts_validations_and_checkpoints(monkeypatch: pytest.MonkeyPatch) -> None:
    now, progress = [100.0], Progress("")
    monkeypatch.setattr(meter.time, "monotonic", lambda: now[0])
    measured = meter.Meter(progress, torch.device("cpu"))
    for _ in range(10):
        progress.update += 1
        progress.tokens += 500
        now[0] += 2.0
    with measured.apart("validation"):
        now[0] += 30.0
    measured.tick()
    found = measured.look(90, {"validation": 3, "checkpoint": 5}, 30, end_window=True)
    assert found["tokens_per_second"] == 250.0 and found["seconds"] == 50.0 and found["done"] == 0.1
    assert found["remaining"] == 90 * 2.0 + 3 * 30.0
    assert (found["next_validation"], found["validation_in"]) == (40, 60.0)
