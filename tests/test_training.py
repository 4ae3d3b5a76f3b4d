"""Training: its parts by their definitions, whole tiny runs, and that a run cut off anywhere ends as if it were not."""

from __future__ import annotations

import errno
import json
import math
import os
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from zoo import VOCABULARY, make, ragged

import ojak
from ojak.batch import Batch, collate, plan, sources
from ojak.config import RecurrentConfig, SearchConfig, TrainConfig, TransformerConfig, read_toml
from ojak.corpus.pair import Pair
from ojak.corpus.split import fold
from ojak.errors import DataError, ModelError, StorageError, UseError
from ojak.model.build import build
from ojak.model.folder import read_weights, weights_of
from ojak.search import search
from ojak.text.vocabulary import BOS, EOS, PAD
from ojak.train import loop as loop_module
from ojak.train import selection
from ojak.train.history import read_history
from ojak.train.precision import Working
from ojak.train.schedule import learning_rate
from ojak.train.stop import Interrupted
from ojak.train.update import make_optimizer, update
from ojak.train.validate import Validation

CPU = torch.device("cpu")


def train(settings: dict[str, Any], run: Path, resume: bool = False) -> Validation:
    return ojak.train_run(settings, run, tiny.Silent(), resume)


# ---------------------------------------------------------------- schedule


@pytest.mark.parametrize("schedule", ["inverse_sqrt", "cosine", "constant"])
@pytest.mark.parametrize("warmup", [0, 1, 10, 500])
def test_the_rate_follows_its_formula(schedule: str, warmup: int) -> None:
    config = TrainConfig.model_validate({"learning_rate": 0.02, "warmup": warmup, "schedule": schedule})
    last, top = 100, min(max(warmup, 1), 100)
    for step in range(1, last + 1):
        if step <= top:
            expected = 0.02 * step / top
        elif schedule == "inverse_sqrt":
            expected = 0.02 * (top / step) ** 0.5
        elif schedule == "cosine":
            expected = 0.01 * (1 + math.cos(math.pi * (step - top) / (last - top)))
        else:
            expected = 0.02
        assert learning_rate(step, last - step, last, config) == pytest.approx(expected, rel=1e-12, abs=1e-15)


# ---------------------------------------------------------------- batches


def test_collate_is_what_it_says() -> None:
    batch = collate([[5, 6], [7]], [[8], [9, 10, 4]], CPU)
    assert batch.source.tolist() == [[5, 6, EOS], [7, EOS, PAD]]
    assert batch.target_in.tolist() == [[BOS, 8, PAD, PAD], [BOS, 9, 10, 4]]
    assert batch.target_out.tolist() == [[8, EOS, PAD, PAD], [9, 10, 4, EOS]]
    assert batch.tokens == int((batch.target_out != PAD).sum()) == 6


lengths = st.lists(st.tuples(st.integers(1, 30), st.integers(1, 30)), min_size=1, max_size=120)


def test_batches_of_nearly_equal_work_follow_each_other_in_twos() -> None:
    """So that two processes which share an update seldom wait for each other: the larger of two is 2 % more than the
    mean, where in an order that knows nothing of work it is 8 %."""
    lengths = np.random.default_rng(1).integers(1, 30, (2, 5000))

    def work(places: np.ndarray) -> int:
        source, target = (side[places] for side in lengths)
        return int(len(places) * (source.max() + target.max()) + target.sum())

    planned = plan(lengths[0], lengths[1], 300, (1, 2))
    found = np.array([work(places) for places in planned])
    twos = found[: len(found) // 2 * 2].reshape(-1, 2)
    others = np.random.default_rng(2).permutation(found)[: twos.size].reshape(-1, 2)
    assert twos.max(1).sum() / twos.mean(1).sum() < 1.02 < 1.06 < others.max(1).sum() / others.mean(1).sum()
    assert np.corrcoef(found[:-2], found[2:])[0, 1] < 0.3, "and the twos are mixed"


@given(lengths, st.integers(1, 100), st.none() | st.tuples(st.integers(0, 9), st.integers(0, 9)))
@examples(deadline=None, max_examples=150)
def test_a_plan_holds_every_pair_once_within_its_budget(
    pairs: list[tuple[int, int]], budget: int, shuffle: tuple[int, int] | None
) -> None:
    source, target = (np.array(side, dtype=np.int64) for side in zip(*pairs, strict=True))
    batches = plan(source, target, budget, shuffle)
    assert sorted(place for batch in batches for place in batch) == list(range(len(pairs)))
    for batch in batches:
        longest = max(max(source[batch]), max(target[batch])) + 1
        assert len(batch) == 1 or longest * len(batch) <= budget
    again = plan(source, target, budget, shuffle)
    assert [batch.tolist() for batch in batches] == [batch.tolist() for batch in again]


@given(st.integers(0, 2**31), st.integers(0, 1000))
@examples(deadline=None, max_examples=20)
def test_each_pass_and_each_seed_has_an_order_of_its_own(seed: int, number: int) -> None:
    sizes = np.array([place % 7 + 1 for place in range(300)], dtype=np.int64)

    def order(*shuffle: int) -> list[list[int]]:
        return [batch.tolist() for batch in plan(sizes, sizes, 40, (shuffle[0], shuffle[1]))]

    first = order(seed, number)
    assert first != order(seed, number + 1)
    assert first != order(seed + 1, number)
    assert sorted(map(sorted, first)) != sorted(
        map(sorted, order(seed, number + 1))
    )  # the company too, not the row only


texts = st.text(alphabet="aAｂB é.!가", min_size=1, max_size=4)


@given(st.lists(st.tuples(texts, texts), min_size=10, max_size=60), st.integers(1, 20), st.integers(0, 5))
@examples(deadline=None, max_examples=150)
def test_no_held_out_sentence_is_left_in_training(texts: list[tuple[str, str]], count: int, seed: int) -> None:
    pairs = [Pair(*text) for text in texts]
    try:
        training, dev = tiny.hold_out(pairs, count, seed)
    except DataError:
        return  # so much alike that nothing would be left, which another test asks for
    assert len(dev) == min(count, len(pairs) // 10)
    assert not {fold(pair.source) for pair in training} & {fold(pair.source) for pair in dev}
    assert not {fold(pair.target) for pair in training} & {fold(pair.target) for pair in dev}
    left = list(pairs)
    for pair in training + dev:  # each is one of the pairs, and none is there twice
        left.remove(pair)
    for pair in left:  # what is missing would have leaked
        assert fold(pair.source) in {fold(p.source) for p in dev} or fold(pair.target) in {fold(p.target) for p in dev}
    assert tiny.hold_out(pairs, count, seed) == (training, dev)


def test_fold_joins_what_differs_in_writing_only() -> None:
    assert len({fold(text) for text in ("Hello, world!", "hello world", "ＨＥＬＬＯ　ｗｏｒｌｄ．", "helloworld")}) == 1
    assert len({fold(text) for text in ("hello", "hallo", "!", "?", "")}) == 5


def test_pairs_that_are_all_alike_cannot_be_held_out() -> None:
    with pytest.raises(DataError, match="--dev"):
        tiny.hold_out([Pair("Yes.", "네.")] * 20, 2, 1)
    with pytest.raises(DataError, match="At least 10 pairs"):
        tiny.hold_out([Pair("a", "b")] * 9, 2, 1)


# ---------------------------------------------------------------- the update


@pytest.mark.parametrize(
    "how",
    [lambda once, whole, cut: once(cut), lambda once, whole, cut: once(whole, workers=3)],
    ids=["batches", "workers"],
)
@pytest.mark.parametrize("name", ["gru-additive-before", "lstm-none-every_step", "transformer-pre-rotary-swiglu"])
def test_cutting_an_update_into_parts_changes_nothing(name: str, how: Callable[..., Any]) -> None:
    generator = random.Random(3)
    rows = [[generator.randrange(4, VOCABULARY) for _ in range(length)] for length in (1, 5, 2, 4, 3, 3, 6, 1)]
    whole = [collate(rows, rows[::-1], CPU)]
    cut = [collate(rows[i : i + 2], rows[::-1][i : i + 2], CPU) for i in range(0, 8, 2)]

    def once(batches: list[Batch], workers: int = 1) -> tuple[Any, dict[str, torch.Tensor], dict[str, torch.Tensor]]:
        model, config = make(name), TrainConfig(label_smoothing=0.2, clip=0.7, workers=workers)
        with closing(Working(model, config)) as working:
            seen = update(working, batches, make_optimizer(model, config), 0.01, config)
        return seen, {key: weight.grad.clone() for key, weight in model.named_parameters()}, weights_of(model)  # type: ignore[union-attr]

    (one, gradients, weights), (other, cut_gradients, cut_weights) = once(whole), how(once, whole, cut)
    assert one.tokens == other.tokens
    assert (one.loss, one.nll, one.gradient) == pytest.approx((other.loss, other.nll, other.gradient), rel=1e-10)
    assert math.sqrt(sum(float(g.square().sum()) for g in gradients.values())) == pytest.approx(
        min(0.7, one.gradient), rel=1e-5
    )
    before = weights_of(make(name))
    for key in gradients:
        torch.testing.assert_close(gradients[key], cut_gradients[key], rtol=1e-8, atol=1e-12)
        torch.testing.assert_close(weights[key], cut_weights[key], rtol=1e-6, atol=1e-8)
    assert any(not weights[key].equal(before[key]) for key in weights)


def test_workers_have_a_core_each() -> None:
    """An operation of a worker is not shared with other threads, whatever number this thread has."""
    torch.manual_seed(1)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with closing(Working(make("gru-additive-before"), TrainConfig(workers=2))) as working:
            batch = collate([[4, 5]] * 4, [[4]] * 4, torch.device("cpu"))
            assert working.each([batch], lambda model, part: torch.get_num_threads()) == [1, 1]
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("name", ["gru-additive-before", "transformer-pre-rotary-swiglu"])
def test_workers_drop_alike_each_time(name: str) -> None:
    """Which thread is first changes nothing: the parts have seeds of their own."""
    generator = random.Random(4)
    rows = [[generator.randrange(4, VOCABULARY) for _ in range(length)] for length in (6, 5, 5, 4, 3, 3, 6, 1)]
    config = TrainConfig(workers=2)

    def once() -> dict[str, torch.Tensor]:
        model = make(name)
        model.config = model.config.model_copy(update={"dropout": 0.4})
        torch.manual_seed(9)
        with closing(Working(model.train(), config)) as working:
            for _ in range(3):
                update(working, [collate(rows, rows[::-1], CPU)], make_optimizer(model, config), 0.01, config)
        return weights_of(model)

    first, second = once(), once()
    assert all(weight.equal(second[key]) for key, weight in first.items())


def test_weight_decay_spares_vectors() -> None:
    """One update with no gradient at all to speak of: only matrices shrink, by rate × decay."""
    model = make("gru-dot-after")
    config = TrainConfig(optimizer="adamw", weight_decay=0.5, learning_rate=1e-1)
    before = {key: weight.clone() for key, weight in weights_of(model).items()}
    optimizer = make_optimizer(model, config)
    for weight in model.parameters():
        weight.grad = torch.zeros_like(weight)
    optimizer.step()
    for key, weight in model.named_parameters():
        torch.testing.assert_close(weight.detach(), before[key] * (0.95 if weight.ndim > 1 else 1.0))


# ---------------------------------------------------------------- tasks that each model must learn


def recurrent(attention: str, acts: str = "before", feeding: bool = False) -> RecurrentConfig:
    sizes = {"embedding": 32, "width": 48, "dropout": 0.0}
    return RecurrentConfig.model_validate({**sizes, "attention": attention, "acts": acts, "input_feeding": feeding})


TRANSFORMER = TransformerConfig(encoder_layers=1, decoder_layers=1, width=32, heads=2, feed_forward=64, dropout=0.0)
REVERSED = {
    "additive": (recurrent("additive"), 0.01),
    "dot": (recurrent("dot", "after"), 0.01),
    "general": (recurrent("general", "after", feeding=True), 0.01),
    "scaled_dot": (recurrent("scaled_dot", "after"), 0.01),
    "transformer": (TRANSFORMER, 0.01),
}
SYMBOLS = 8


def drawn(generator: random.Random, count: int, longest: int) -> list[list[int]]:
    return [[generator.randrange(4, 4 + SYMBOLS) for _ in range(generator.randint(2, longest))] for _ in range(count)]


def taught(
    model_config: RecurrentConfig | TransformerConfig, turn: int, longest: int, rate: float, updates: int
) -> tuple[float, float]:
    """How many of 200 unseen strings the model turns (−1) or copies (1) without a fault, and how often the attention
    of a symbol is greatest at the symbol that it comes from."""
    torch.manual_seed(1)
    generator = random.Random(1)
    model = build(model_config, 4 + SYMBOLS, 4 + SYMBOLS)
    config = TrainConfig(updates=updates, learning_rate=rate, warmup=20, schedule="cosine", label_smoothing=0.0)
    optimizer = make_optimizer(model, config)
    for step in range(1, updates + 1):
        rows = drawn(generator, 64, longest)
        batch = collate(rows, [row[::turn] for row in rows], CPU)
        update(Working(model, config), [batch], optimizer, learning_rate(step, updates - step, updates, config), config)
    model.eval()
    rows = drawn(generator, 200, longest)
    found = [best for (best,) in search(model, sources(rows, CPU), SearchConfig(beam=1), attend=bool(model.views))]
    right = [hypothesis.tokens == [*row[::turn], EOS] for row, hypothesis in zip(rows, found, strict=True)]
    looks = [
        int(hypothesis.attention[place].mean(0).argmax()) == (len(row) - 1 - place if turn < 0 else place)
        for row, hypothesis in zip(rows, found, strict=True)
        if hypothesis.attention is not None
        for place in range(min(len(row), len(hypothesis.tokens)))
    ]
    return sum(right) / len(right), sum(looks) / max(1, len(looks))


@pytest.mark.parametrize("name", REVERSED)
def test_reversing_is_learnt_and_attention_is_the_antidiagonal(name: str) -> None:
    config, rate = REVERSED[name]
    right, looks = taught(config, -1, 5, rate, 300 if name == "transformer" else 180)
    assert right >= 0.9
    assert looks >= 0.7


@pytest.mark.parametrize("context", ["start", "every_step"])
def test_one_vector_learns_to_copy_short_strings(context: str) -> None:
    config = RecurrentConfig.model_validate(
        {"embedding": 32, "width": 64, "dropout": 0.0, "attention": "none", "cell": "lstm", "context": context}
    )
    assert taught(config, 1, 3, 0.01, 200)[0] >= 0.9


# ---------------------------------------------------------------- whole runs


CHANGES: dict[str, dict[str, Any]] = {
    "words": {},
    # Both share what a run may forget: draws of the tokenizer, and momentum of a schedule that knows its end.
    "sampled": {
        "text": {"kind": "unigram", "size": 320, "shared": True, "sample": 0.2},
        "model": {
            "architecture": "transformer",
            "encoder_layers": 1,
            "decoder_layers": 1,
            "width": 16,
            "heads": 2,
            "feed_forward": 16,
            "dropout": 0.1,
            "max_length": 12,
        },
        "train": {"optimizer": "adamw", "weight_decay": 0.01, "schedule": "cosine"},
    },
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def whole(folder: Path) -> Callable[[str], Path]:
    """A run that nothing stopped, made once for each kind of settings."""
    made: dict[str, Path] = {}

    def get(kind: str) -> Path:
        if kind not in made:
            made[kind] = folder / f"whole-{kind}"
            train(tiny.settings(tiny.corpus(folder), CHANGES[kind]), made[kind])
        return made[kind]

    return get


def test_a_run_directory_explains_itself(whole: Callable[[str], Path]) -> None:
    run = whole("words")
    assert {path.name for path in run.iterdir()} == {"recipe.toml", "data", "model", "state", "history.jsonl", "events"}
    assert {path.name for path in (run / "data").iterdir()} >= {"store.json", "part-00000.safetensors", "dev.jsonl"}
    names = {path.name for path in (run / "model").iterdir()}
    assert names >= {"config.json", "weights.safetensors", "README.md"}
    assert {path.name for path in (run / "state").iterdir()} == {"00000030", "00000040", "average", "best.safetensors"}
    assert {path.stem for path in (run / "state" / "average").iterdir()} == {"00000015", "00000030", "00000040"}
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert (run / "recipe.toml").read_text(encoding="utf-8") in card and "40 updates" in card
    (events,) = (run / "events").iterdir()
    assert events.name.startswith("events.out.tfevents.") and events.stat().st_size > 1000
    assert not [path for path in run.rglob("*") if path.suffix in (".pt", ".pth", ".pkl", ".bin")]
    assert not list(run.rglob(".*"))


def test_the_history_tells_what_happened(whole: Callable[[str], Path]) -> None:
    lines = (whole("words") / "history.jsonl").read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    events = [json.loads(line) for line in lines]
    places: dict[str, list[int]] = {}
    for event in events:
        places.setdefault(event["event"], []).append(event["update"])
        numbers = [value for value in event.values() if isinstance(value, float)]
        assert all(map(math.isfinite, numbers))
    assert places == {
        "start": [0],
        "update": list(range(1, 41)),
        "validation": [15, 30, 40],
        "collapse": [30],
        "checkpoint": [0, 10, 20, 30, 40],
        "end": [40],
    }
    assert [event["update"] for event in events] == sorted(event["update"] for event in events)
    updates = [event for event in events if event["event"] == "update"]
    config = TrainConfig.model_validate(tiny.settings(Path("p"))["train"])
    for event in updates:
        assert event["rate"] == pytest.approx(learning_rate(event["update"], 40 - event["update"], 40, config))
        assert event["done"] == event["update"] / 40 and event["loss"] > 0 and event["gradient"] > 0
        assert event["next_validation"] == next((place for place in (15, 30) if place > event["update"]), 40)
        assert event["remaining"] >= event["validation_in"] >= 0 and event["memory_peak"] >= event["memory"] > 1e8
    assert updates[-1]["loss"] < updates[0]["loss"]
    assert updates[-1]["epoch"] > 0


def test_tensorboard_is_told_the_numbers_of_the_history(whole: Callable[[str], Path]) -> None:
    from tensorboardX.proto.event_pb2 import Event

    run = whole("words")
    (file,) = (run / "events").iterdir()
    content, told = file.read_bytes(), {}
    while content:  # length, its check sum, the event, its check sum
        length = int.from_bytes(content[:8], "little")
        event = Event.FromString(content[12 : 12 + length])
        content = content[16 + length :]
        for value in event.summary.value:
            told[value.tag, event.step] = value.simple_value
    said = {
        (f"{event['event']}/{name}", event["update"]): value
        for event in map(json.loads, (run / "history.jsonl").read_text(encoding="utf-8").splitlines())
        for name, value in event.items()
        if isinstance(value, int | float) and name != "update"
    }
    assert told == pytest.approx(said, rel=1e-6)
    assert ("validation/chrf", 30) in told


@pytest.mark.parametrize("kind", CHANGES)
def test_the_recipe_repeats_the_run(kind: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    run = whole(kind)
    train(read_toml(run / "recipe.toml"), tmp_path / "again")
    assert tiny.state(tmp_path / "again") == tiny.state(run)
    assert tiny.history(tmp_path / "again") == tiny.history(run)
    other = read_toml(run / "recipe.toml") | {"seed": 2}
    train(other, tmp_path / "other")
    assert tiny.state(tmp_path / "other") != tiny.state(run)


def test_a_loss_that_is_no_number_is_never_the_best() -> None:
    lost, found = (Validation(nll=nll, bleu=1.0, chrf=1.0) for nll in (float("nan"), 9.0))
    assert found.better("loss") > lost.better("loss")
    assert lost.better("chrf") == 1.0


@pytest.mark.parametrize(("average", "better"), [(9.0, True), (8.0, False), (1.0, False)])
def test_the_average_is_chosen_only_if_it_is_better(
    average: float, better: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tiny.scripted(monkeypatch, 3.0, 8.0, 5.0, 8.0, average)  # validations at 15, 30 and 40; the best again; the average
    found = train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    parts = {path.stem: load_file(path) for path in (tmp_path / "run" / "state" / "average").iterdir()}
    kept = load_file(tmp_path / "run" / "model" / "weights.safetensors")
    for name, weight in kept.items():
        if better:
            mean = sum(part[name].double() for part in parts.values()) / 3
            torch.testing.assert_close(weight.double(), mean, rtol=1e-5, atol=1e-7)
        else:
            assert weight.equal(parts["00000030"][name])
    assert found.chrf == (9.0 if better else 8.0)
    (end,) = (event for event in tiny.history(tmp_path / "run") if event["event"] == "end")
    assert ("average" in end["weights"]) is better
    assert (
        ojak.load(tmp_path / "run", precision="exact").model.state_dict()["target.weight"].equal(kept["target.weight"])
    )


def test_patience_ends_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tiny.scripted(monkeypatch, 3.0, 8.0, 5.0, 8.0, 8.0)  # equal is not better
    changes = {"train": {"validate_every": 5, "patience": 2, "average": 0}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    end = tiny.history(tmp_path / "run")[-1]
    assert end["update"] == 20 and "2 validations" in end["reason"] and "update 10" in end["weights"]


def test_passes_end_a_run(tmp_path: Path) -> None:
    """Two passes learn from every target token, and the end of every sentence, twice."""
    changes = {"train": {"epochs": 2, "updates": 1000, "validate_every": 0, "save_every": 1000, "log_every": 1000}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    events = tiny.history(tmp_path / "run")
    assert events[-1]["reason"] == "2 passes over the pairs"
    assert [2 * event["update"] for event in events if event["event"] == "validation"] == [
        events[-1]["update"],
        2 * events[-1]["update"],
    ]
    training = tiny.hold_out([Pair(*pair) for pair in tiny.pairs()], 20, 1)[0]
    assert events[-1]["tokens"] == 2 * sum(len(pair.target.split()) + 1 for pair in training)


# ---------------------------------------------------------------- going on


@pytest.mark.parametrize("kind", CHANGES)
@pytest.mark.parametrize(
    ("place", "call"),
    [
        ("update", 5),
        ("update", 11),
        ("update", 27),
        ("update", 40),
        ("judge", 1),
        ("judge", 4),
        ("save", 1),
        ("save", 3),
    ],
)
def test_a_run_cut_off_anywhere_ends_as_if_it_were_not(
    kind: str, place: str, call: int, whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, uncut = tmp_path / "run", whole(kind)
    with monkeypatch.context() as patch:
        tiny.cut(patch, place, call)
        with pytest.raises(tiny.Cut):
            train(tiny.settings(tiny.corpus(uncut.parent), CHANGES[kind]), run)
    train({}, run, resume=True)
    assert tiny.state(run) == tiny.state(uncut)
    assert tiny.history(run) == tiny.history(uncut)
    ends = [path.read_text(encoding="utf-8").partition("minutes")[2] for path in run.glob("model/README.md")]
    assert ends == [(whole(kind) / "model" / "README.md").read_text(encoding="utf-8").partition("minutes")[2]]


def test_a_run_may_be_cut_off_again_and_again(whole: Callable[[str], Path], tmp_path: Path) -> None:
    run, settings = tmp_path / "run", tiny.settings(tiny.corpus(whole("words").parent))
    for begun, call in enumerate((13, 9, 14, 12)):
        with pytest.MonkeyPatch.context() as patch:
            tiny.cut(patch, "update", call)
            with pytest.raises(tiny.Cut):
                train({} if begun else settings, run, resume=bool(begun))
    train({}, run, resume=True)
    assert tiny.state(run) == tiny.state(whole("words"))
    assert tiny.history(run) == tiny.history(whole("words"))


def test_more_of_a_run_that_has_ended(tmp_path: Path) -> None:
    """20 updates and 20 more are 40, where the schedule does not know its end and the average was not kept."""
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"average": 0, "validate_every": 20}})
    train(settings, tmp_path / "whole")
    train({**settings, "train": {**settings["train"], "updates": 20}}, tmp_path / "run")
    train({"train": {"updates": 40}}, tmp_path / "run", resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(tmp_path / "whole")
    assert read_toml(tmp_path / "run" / "recipe.toml") == read_toml(tmp_path / "whole" / "recipe.toml")


def test_what_a_run_had_left_stays_where_more_of_it_does_no_better(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"metric": "loss"}})
    train({**settings, "train": {**settings["train"], "updates": 150}}, tmp_path / "better")
    train(settings, tmp_path / "run")
    run, better = tmp_path / "run", read_weights(tmp_path / "better" / "model" / "weights.safetensors")
    save_file(better, run / "model" / "weights.safetensors")  # as if its average had been much better than any
    train({"train": {"updates": 60}}, run, resume=True)
    events = read_history(run)
    assert events[-1]["weights"] == "what it had left at update 40, before more was asked for"
    left = read_weights(run / "model" / "weights.safetensors")
    assert all(torch.equal(left[name], weight) for name, weight in better.items())
    # What is learnt goes on to compete with single weights, so patience counts as it did before.
    nll, update = min((event["nll"], event["update"]) for event in events if event["event"] == "validation")
    progress = json.loads((run / "state" / "00000060" / "progress.json").read_text(encoding="utf-8"))
    assert (progress["best"], progress["best_update"]) == (-nll, update)
    train({"train": {"updates": 300}}, run, resume=True)
    assert read_history(run)[-1]["weights"] != events[-1]["weights"]
    assert not (run / "state" / "left").exists()


def test_more_that_was_asked_for_is_not_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run that was killed before its first checkpoint after the wish goes on to its new end, not back to the old."""
    train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    with monkeypatch.context() as patch:
        tiny.cut(patch, "update", 3)
        with pytest.raises(tiny.Cut):
            train({"train": {"updates": 50}}, tmp_path / "run", resume=True)
    train({"train": {"updates": 50}}, tmp_path / "run", resume=True)
    assert read_history(tmp_path / "run")[-1]["update"] == 50


def test_a_run_that_ends_before_its_first_validation_has_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        tiny.cut(patch, "update", 12)
        with pytest.raises(tiny.Cut):
            train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "run")
    train({"train": {"updates": 10}}, tmp_path / "run", resume=True)
    assert [event["update"] for event in read_history(tmp_path / "run") if event["event"] == "validation"] == [10]
    assert (tmp_path / "run" / "model" / "weights.safetensors").exists()


def test_a_validation_writes_no_weights_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was saved before a validation that ends a run is that validation's too: nothing whole is removed for it."""
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"validate_every": 10, "patience": 1, "metric": "bleu"}})
    run, real = tmp_path / "run", selection.validate
    calls = []

    def stopped(*args: Any) -> Validation:
        calls.append(args)
        if len(calls) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        return real(*args)

    monkeypatch.setattr(selection, "validate", stopped)
    with pytest.raises(Interrupted):
        train(settings, run)
    weights = run / "state" / "00000020" / "weights.safetensors"
    before = weights.stat()
    monkeypatch.setattr(selection, "validate", lambda *args: Validation(nll=9.0, bleu=-1.0, chrf=0.0))
    train({}, run, resume=True)
    assert read_history(run)[-1]["update"] == 20 and weights.stat().st_ino == before.st_ino
    assert json.loads((weights.parent / "progress.json").read_text(encoding="utf-8"))["ended"]


@pytest.mark.parametrize(
    ("search", "attention"),
    [
        ({"shortlist": True}, "dot"),
        ({"diversity_groups": 2, "diversity_strength": 0.5}, "dot"),
        ({"coverage_penalty": 0.2}, "none"),
        ({"mbr": 4}, "dot"),
        ({"beam": 1, "sampling": True, "temperature": 5.0}, "dot"),
    ],
)
def test_a_validation_is_greedy_whatever_the_search_will_be(
    search: dict[str, Any], attention: str, tmp_path: Path
) -> None:
    changes = {"train": {"updates": 10}, "model": {"attention": attention}}
    settings = tiny.settings(tiny.corpus(tmp_path), changes)
    found = [train({**settings, "search": its}, tmp_path / f"run-{len(its)}") for its in ({}, search)]
    assert found[0] == found[1]


def test_two_processes_do_not_train_in_one_directory(tmp_path: Path) -> None:
    run, settings = tmp_path / "run", tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 10}})
    held = "import sys, pathlib, ojak.files as f\nwith f.held(pathlib.Path(sys.argv[1])): print(1, flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", held, str(run)], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as other:
        assert other.stdout and other.stdout.readline()
        with pytest.raises(UseError, match="another one is at work"):
            train(settings, run)
        other.kill()
    train(settings, run)
    train({"train": {"updates": 12}}, run, resume=True)


def test_a_history_that_ends_in_half_a_line_is_read(whole: Callable[[str], Path], tmp_path: Path) -> None:
    run = shutil.copytree(whole("words"), tmp_path / "run")
    lines = (run / "history.jsonl").read_bytes().split(b"\n")
    (run / "history.jsonl").write_bytes(b"\n".join(lines[:-2]) + b"\n" + lines[-2][:20])
    train({}, run, resume=True)
    assert tiny.history(run) == tiny.history(whole("words"))


def test_what_a_run_started_from_is_settled(whole: Callable[[str], Path], tmp_path: Path) -> None:
    run = shutil.copytree(whole("words"), tmp_path / "run")
    with pytest.raises(UseError, match=r"train\.start was given another value"):
        train({"train": {"start": str(whole("words"))}}, run, resume=True)


def test_resuming_a_finished_run_changes_nothing(whole: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(whole("words"), tmp_path / "run")
    train({}, tmp_path / "run", resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(whole("words"))


def test_a_run_that_was_killed_before_its_card_was_written_gets_it(
    whole: Callable[[str], Path], tmp_path: Path
) -> None:
    run = shutil.copytree(whole("words"), tmp_path / "run")
    (run / "model" / "README.md").unlink()
    train({}, run, resume=True)
    assert (run / "model" / "README.md").read_bytes() == (whole("words") / "model" / "README.md").read_bytes()
    assert (run / "history.jsonl").read_bytes() == (whole("words") / "history.jsonl").read_bytes()


SLOWLY = """
import sys, time
import ojak.train.loop as loop
real = loop.update
def slow(*args):
    time.sleep(0.02)
    return real(*args)
loop.update = slow
from ojak.cli import main
sys.exit(main(sys.argv[1:]))
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_process_that_is_stopped_goes_on(number: int, whole: Callable[[str], Path], tmp_path: Path) -> None:
    from ojak.config import read_recipe, write_toml

    run, recipe = tmp_path / "run", tmp_path / "recipe.toml"
    recipe.write_text(write_toml(read_recipe(tiny.settings(tiny.corpus(whole("words").parent)))), encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", SLOWLY, "train", "--recipe", str(recipe), "--out", str(run)],
        stderr=subprocess.PIPE,
        text=True,
    )
    patience = time.monotonic() + 300
    while time.monotonic() < patience and process.poll() is None:  # until it is well past its first checkpoint
        if (run / "history.jsonl").exists() and (run / "history.jsonl").read_bytes().count(b"\n") > 18:
            break
        time.sleep(0.005)
    process.send_signal(number)
    messages = process.communicate(timeout=300)[1]
    if number == signal.SIGINT:
        assert process.returncode == 130
        assert f"ojak train --out {run} --resume" in messages and "Traceback" not in messages
    else:
        assert process.returncode == -signal.SIGKILL
    assert not (run / "state" / "00000040").exists()
    train({}, run, resume=True)
    assert (run / "model" / "weights.safetensors").read_bytes() == (
        whole("words") / "model" / "weights.safetensors"
    ).read_bytes()
    assert {k: v for k, v in tiny.state(run).items() if "00000040" in k} == {
        k: v for k, v in tiny.state(whole("words")).items() if "00000040" in k
    }


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_one_signal_saves_and_stops_and_the_next_stops_at_once(
    number: int, whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.settings(tiny.corpus(whole("words").parent))
    before = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    real = loop_module.update

    def signalled(times: int) -> Callable[..., Any]:
        steps = iter(range(1, 100))

        def one(*args: Any) -> Any:
            if next(steps) == 17:
                for _ in range(times):
                    os.kill(os.getpid(), number)
            return real(*args)

        return one

    monkeypatch.setattr(loop_module, "update", signalled(1))
    with pytest.raises(Interrupted, match=r"saved at update 17; go on with: .*run --resume") as stopped:
        train(settings, tmp_path / "run")
    assert stopped.value.exit_code == 130
    assert (tmp_path / "run" / "state" / "00000017").is_dir()
    handlers = [signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)]
    assert handlers == before
    monkeypatch.setattr(loop_module, "update", signalled(2))
    with pytest.raises(Interrupted, match=r"saved at update 10; go on with: .*other --resume"):
        train(settings, tmp_path / "other")
    monkeypatch.undo()
    for run in (tmp_path / "run", tmp_path / "other"):
        train({}, run, resume=True)
        assert (run / "model" / "weights.safetensors").read_bytes() == (
            whole("words") / "model" / "weights.safetensors"
        ).read_bytes()


def copy_at_30(whole: Path, place: Path) -> Path:
    """The run as it stood after its checkpoint at update 30."""
    shutil.copytree(whole, place)
    shutil.rmtree(place / "state" / "00000040")
    return place


BREAKS: dict[str, tuple[str, Callable[[Path], Any]]] = {
    "half of the weights": ("weights", lambda c: os.truncate(c / "weights.safetensors", 500)),
    "no weights": ("weights", lambda c: (c / "weights.safetensors").unlink()),
    "a bit of the weights": ("weights", lambda c: flip(c / "weights.safetensors", -100)),
    "a bit of the optimizer": ("optimizer", lambda c: flip(c / "optimizer.safetensors", -100)),
    "a bit of the progress": ("progress", lambda c: flip(c / "progress.json", 120)),
    "half of the optimizer": ("optimizer", lambda c: os.truncate(c / "optimizer.safetensors", 500)),
    "no optimizer": ("optimizer", lambda c: (c / "optimizer.safetensors").unlink()),
    "half of the progress": ("progress", lambda c: os.truncate(c / "progress.json", 20)),
    "no progress": ("progress", lambda c: (c / "progress.json").unlink()),
    "progress of something else": ("progress", lambda c: (c / "progress.json").write_text('{"step": 3}')),
    "progress that is a list": ("progress", lambda c: (c / "progress.json").write_text("[1]")),
    "optimizer of nothing": ("optimizer", lambda c: save_file({"a": torch.ones(1)}, c / "optimizer.safetensors")),
    "no random state": ("optimizer", lambda c: without(c / "optimizer.safetensors", "random.cpu")),
    "no state of a weight": ("optimizer", lambda c: without(c / "optimizer.safetensors", "3.exp_avg", "3.exp_avg_sq")),
    "optimizer of another model": ("optimizer", lambda c: misshapen(c / "optimizer.safetensors", "2.exp_avg")),
    "weights of another model": ("weights", lambda c: misshapen(c / "weights.safetensors", "target.weight")),
}


def flip(path: Path, place: int) -> None:
    content = bytearray(path.read_bytes())
    content[place] ^= 1
    path.write_bytes(content)


def without(path: Path, *names: str) -> None:
    tensors = load_file(path)
    for name in names:
        del tensors[name]
    if names[0] != "random.cpu":
        tensors.pop(names[0].split(".")[0] + ".step", None)
    save_file(tensors, path)


def misshapen(path: Path, name: str) -> None:
    tensors = load_file(path)
    tensors[name] = tensors[name][:-1].contiguous()
    save_file(tensors, path)


@pytest.mark.parametrize("kind", BREAKS)
def test_a_broken_checkpoint_is_told_and_the_one_before_it_serves(
    kind: str, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    shutil.copytree(whole("words"), tmp_path / "run")
    newest = tmp_path / "run" / "state" / "00000040"
    named, damage = BREAKS[kind]
    damage(newest)
    train({}, tmp_path / "run", resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(whole("words"))
    assert tiny.history(tmp_path / "run") == tiny.history(whole("words"))
    assert not list((tmp_path / "run").rglob(".*"))
    (told,) = (event for event in read_history(tmp_path / "run") if event["event"] == "resume")
    assert told["update"] == 30 and str(newest) in told["message"]
    assert re.search(named, told["message"]) and "Going on from 00000030" in told["message"]


def test_a_run_of_which_no_checkpoint_is_whole_is_told(whole: Callable[[str], Path], tmp_path: Path) -> None:
    shutil.copytree(whole("words"), tmp_path / "run")
    for name, kind in (("00000040", "half of the progress"), ("00000030", "a bit of the weights")):
        BREAKS[kind][1](tmp_path / "run" / "state" / name)
    kept = [path for part in ("state", "model") for path in (tmp_path / "run" / part).rglob("*") if path.is_file()]
    before = [path.read_bytes() for path in kept]
    with pytest.raises(ModelError, match=r"all of .* are damaged: .*40.progress.json .*30.weights.*--from"):
        train({}, tmp_path / "run", resume=True)
    assert [path.read_bytes() for path in kept] == before


@pytest.mark.parametrize("others", ["others of other words", "one more", "one turned about"])
def test_a_run_is_not_resumed_on_other_pairs(others: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    copy_at_30(whole("words"), tmp_path / "run")
    recipe = (tmp_path / "run" / "recipe.toml").read_text(encoding="utf-8")
    old = tiny.corpus(whole("words").parent)
    lines = old.read_text(encoding="utf-8").splitlines()
    if others == "one more":
        lines.append("ab ab ab ab\tAB AB AB AB")
    elif others == "one turned about":
        lines[0] = "\t".join(reversed(lines[0].split("\t")))
    else:
        lines = [f"x{number} y\tz{number % 50}" for number in range(200)]
    (tmp_path / "new.tsv").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    (tmp_path / "run" / "recipe.toml").write_text(recipe.replace(str(old), str(tmp_path / "new.tsv")), encoding="utf-8")
    with pytest.raises(UseError, match="resumed on the pairs it began with"):
        train({}, tmp_path / "run", resume=True)


def test_what_cannot_be_resumed_is_told(whole: Callable[[str], Path], tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path))
    with pytest.raises(ModelError, match="without --resume"):
        train({}, tmp_path / "nothing", resume=True)
    with pytest.raises(UseError, match=r"only train\.\* may be changed, but data would"):
        train(settings, whole("words"), resume=True)
    with pytest.raises(UseError, match="must be new or empty"):
        train(settings, whole("words"))
    (tmp_path / "file").write_text("x")
    with pytest.raises(UseError, match="must be new or empty"):
        train(settings, tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


# ---------------------------------------------------------------- a disk that is full


def test_a_full_disk_leaves_what_was_finished_at_any_moment(whole: Callable[[str], Path], tmp_path: Path) -> None:
    """Each file is made safe by fsync: after so many calls none succeeds, and then it goes on."""
    real, run = os.fsync, tmp_path / "run"
    settings = tiny.settings(tiny.corpus(whole("words").parent))
    for begun, allowed in enumerate((2, 19, 32, 8, 20, 29)):
        left = [allowed]

        def failing(file: int, left: list[int] = left) -> None:
            if left[0] == 0:
                raise OSError(errno.ENOSPC, "No space left on device")
            left[0] -= 1
            real(file)

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(os, "fsync", failing)
            with pytest.raises(StorageError, match="No space left on device") as told:
                train({} if begun else settings, run, resume=bool(begun))
        assert told.value.exit_code == 1
        assert not list(run.rglob(".*")), "nothing half written is left"
    train({}, run, resume=True)
    assert tiny.state(run) == tiny.state(whole("words"))


@pytest.mark.parametrize("size", [30_000, 12_000, 6_000, 3_000])
def test_a_disk_that_fills_up_ends_a_run_with_one_message(
    size: int, whole: Callable[[str], Path], tmp_path: Path
) -> None:
    """The kernel refuses to let files grow: first the optimizer's state, then the weights, then the history."""
    files = [path.stat().st_size for path in whole("words").rglob("*") if path.is_file()]
    assert max(files) > 30_000
    settings = tiny.settings(tiny.corpus(whole("words").parent))
    with tiny.file_limit(size), pytest.raises(StorageError, match="cannot be written: File too large"):
        train(settings, tmp_path / "run")
    train({}, tmp_path / "run", resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(whole("words"))


def test_a_tensorboard_file_that_does_not_fit_ends_a_run(
    whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It must not hold the run up, as a queue would whose reader has died."""
    from tensorboardX.record_writer import RecordWriter

    settings = tiny.settings(tiny.corpus(whole("words").parent))  # made before anything is broken
    real, sizes = RecordWriter.flush, []

    def flush(self: Any) -> None:
        sizes.append(os.fstat(self._writer.fileno()).st_size)
        with tiny.file_limit(2_000):
            real(self)

    monkeypatch.setattr(RecordWriter, "flush", flush)
    with pytest.raises(StorageError, match="File too large"):
        train(settings, tmp_path / "run")
    assert len(sizes) > 5


def test_the_checkpoint_before_is_whole_when_the_next_does_not_fit(
    whole: Callable[[str], Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.settings(tiny.corpus(whole("words").parent))
    real = loop_module.checkpoint.save

    def save(run: Path, *rest: Any) -> Any:
        if (run / "state" / "00000020").exists():
            with tiny.file_limit(3_000):
                return real(run, *rest)
        return real(run, *rest)

    monkeypatch.setattr(loop_module.checkpoint, "save", save)
    with pytest.raises(StorageError):
        train(settings, tmp_path / "run")
    assert sorted(path.name for path in (tmp_path / "run" / "state").glob("0*")) == ["00000010", "00000020"]
    monkeypatch.undo()
    train({}, tmp_path / "run", resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(whole("words"))


# ---------------------------------------------------------------- the model directory


def test_tied_weights_are_stored_once_and_tied_again(whole: Callable[[str], Path]) -> None:
    for kind, count in (("words", 1), ("sampled", 1)):
        run = whole(kind)
        model = ojak.load(run, precision="exact").model
        stored = load_file(run / "model" / "weights.safetensors")
        assert model.project.weight is model.get_parameter("target.weight" if kind == "words" else "source.weight")
        assert model.parameter_count() == sum(weight.numel() for weight in stored.values())
        shape = model.project.weight.shape
        if kind == "sampled":  # shared by both sides and the output layer
            assert model.get_parameter("source.weight") is model.get_parameter("target.weight")
            assert sum(weight.shape == shape for weight in stored.values()) == count


def test_a_loaded_model_says_what_the_trained_one_said(whole: Callable[[str], Path]) -> None:
    """The end of the history was measured on the weights in memory; the same is found from the directory."""
    from ojak.config import read_recipe
    from ojak.corpus.read import read_pairs
    from ojak.train.dataset import Dev
    from ojak.train.validate import validate

    for kind in CHANGES:
        run = whole(kind)
        recipe = read_recipe(read_toml(run / "recipe.toml"))
        translator = ojak.load(run, "cpu", precision="exact")
        dev = tiny.hold_out(read_pairs(recipe.data.pairs), recipe.data.held_out, recipe.seed)[1]
        found = validate(translator, Dev(dev, translator.source, translator.target, recipe), recipe)
        end = tiny.history(run)[-1]
        assert (found.nll, found.bleu, found.chrf) == pytest.approx((end["nll"], end["bleu"], end["chrf"]), rel=1e-9)
        assert math.log(end["perplexity"]) == pytest.approx(end["nll"])


def test_many_sentences_are_validated_by_compiled_code(
    whole: Callable[[str], Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds what the plain model finds, and leaves that one as it was."""
    pytest.importorskip("numba")
    from ojak.compiled.output import Compiled
    from ojak.config import read_recipe
    from ojak.corpus.read import read_pairs
    from ojak.train import validate as validating
    from ojak.train.dataset import Dev

    used = []

    def scored(model: Any, *given: Any) -> Any:
        used.append(isinstance(model, Compiled))
        return score(model, *given)

    score = validating.score
    monkeypatch.setattr(validating, "score", scored)
    for kind in CHANGES:
        run = whole(kind)
        recipe = read_recipe(read_toml(run / "recipe.toml"))
        translator = ojak.load(run, "cpu", precision="exact")
        dev = tiny.hold_out(read_pairs(recipe.data.pairs), recipe.data.held_out, recipe.seed)[1]
        held = Dev(dev, translator.source, translator.target, recipe)
        model = translator.model.train()
        count = min(len(held), recipe.train.dev_sentences)
        found = []
        for many in (count + 1, count):
            monkeypatch.setattr(validating, "MANY", many)
            used.clear()
            found.append(validating.validate(translator, held, recipe))
            assert set(used) == {many == count}
            assert translator.model is model and model.training
        plain, compiled = found
        assert compiled.nll == pytest.approx(plain.nll, rel=1e-5)
        assert (compiled.bleu, compiled.chrf, compiled.example) == (plain.bleu, plain.chrf, plain.example)


def test_a_run_leaves_the_process_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products are exact where weights are measured, coarser where they learn, also when learning breaks down."""
    seen: dict[str, set[str]] = {"learning": set(), "measuring": set()}

    def noting(place: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def noted(*args: Any) -> Any:
            seen[place].add(torch.get_float32_matmul_precision())
            return real(*args)

        return noted

    import ojak.train.objective as objective_module

    monkeypatch.setattr(objective_module, "cross_entropy", noting("learning", objective_module.cross_entropy))
    monkeypatch.setattr(selection, "validate", noting("measuring", selection.validate))

    def state() -> tuple[Any, ...]:
        signals = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        return torch.get_float32_matmul_precision(), torch.get_num_threads(), *signals

    before = state()
    changes = {"train": {"updates": 3, "threads": before[1] + 1}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    assert seen == {"learning": {"medium"}, "measuring": {before[0]}} and before[0] == "highest"
    monkeypatch.setattr(objective_module, "cross_entropy", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        train(tiny.settings(tiny.corpus(tmp_path)), tmp_path / "broken")
    assert state() == before


def test_validation_changes_nothing(whole: Callable[[str], Path], tmp_path: Path) -> None:
    """A run that validates often learns what a run that validates at its end only learns."""
    changes = {"train": {"validate_every": 3, "average": 0}}
    train(tiny.settings(tiny.corpus(whole("words").parent), changes), tmp_path / "run")
    for name in ("weights", "optimizer"):
        file = Path("state") / "00000040" / f"{name}.safetensors"
        assert (tmp_path / "run" / file).read_bytes() == (whole("words") / file).read_bytes()


@pytest.fixture
def model(whole: Callable[[str], Path], tmp_path: Path) -> Path:
    """A copy of a model directory to be spoilt."""
    return Path(shutil.copytree(whole("words") / "model", tmp_path / "model"))


def test_weights_that_do_not_fit_are_counted(model: Path) -> None:
    weights = load_file(model / "weights.safetensors")
    gone, bent = "scorer.vector", "first.weight"
    del weights[gone]
    weights[bent] = weights[bent][:, :-1].contiguous()
    weights["extra.bias"] = torch.ones(3)
    save_file(weights, model / "weights.safetensors")
    with pytest.raises(ModelError) as told:
        ojak.load(model)
    shape = f"{bent} is (12, 11) instead of (12, 12)"
    for fault in (f"1 missing ({gone})", f"1 of another shape ({shape})", "1 unknown (extra.bias)", "another version"):
        assert fault in str(told.value)


def test_weights_of_another_version_are_told_in_a_few_words(model: Path) -> None:
    weights = load_file(model / "weights.safetensors")
    save_file({f"old.{name}": weight for name, weight in weights.items()}, model / "weights.safetensors")
    with pytest.raises(ModelError, match=rf"are {len(weights)} missing \(.*, …\); {len(weights)} unknown") as told:
        ojak.load(model)
    assert len(str(told.value)) < 500


@pytest.mark.parametrize("size", [0, 7, 100, 3000])
def test_half_of_the_weights_is_told(size: int, model: Path) -> None:
    os.truncate(model / "weights.safetensors", size)
    with pytest.raises(ModelError, match=r"weights\.safetensors must be a whole safetensors file"):
        ojak.load(model)


def spoil(model: Path, change: Callable[[dict[str, Any]], Any]) -> None:
    path = model / "config.json"
    config = json.loads(path.read_text(encoding="utf-8"))
    change(config)
    path.write_text(json.dumps(config), encoding="utf-8")


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda c: c.update(format=2), "format 2.*formats to 1.*update Ojak"),
        (lambda c: c.pop("format"), "format number"),
        (lambda c: c["model"].update(width=14), r"of another shape \(.* is .* instead of"),
        (lambda c: c["model"].update(width=-1), r"model\.width"),
        (lambda c: c["model"].update(widht=12), r"model\.widht: there is no such key; did you mean model\.width"),
        (lambda c: c["model"].update(attention="dto"), r"model\.attention"),
        (lambda c: c["model"].update(architecture="mamba"), r"model\.architecture.*mamba"),
        (lambda c: c.update(model=[1]), r"config\.json is broken"),
        (lambda c: c.update(vocabulary={"source": 99, "target": 99}), r"\(99, 99\).*different runs"),
        (lambda c: c.pop("vocabulary"), r"config\.json is broken.*vocabulary"),
        (lambda c: c.pop("text"), r"config\.json is broken.*text"),
        (lambda c: c.update(languages=[]), r"config\.json is broken"),
        (lambda c: c["text"].update(kind="character"), "kind 'word'.*'character'"),
        (lambda c: c["search"].update(beam=0), r"search\.beam"),
    ],
)
def test_a_config_that_is_wrong_is_told(change: Callable[[dict[str, Any]], Any], told: str, model: Path) -> None:
    spoil(model, change)
    with pytest.raises(ModelError, match=told):
        ojak.load(model)


@pytest.mark.parametrize("content", [b"", b"{", b"[1]", b"3", b"\xff\xfe", b"null"])
def test_a_config_that_is_no_json_object_is_told(content: bytes, model: Path) -> None:
    (model / "config.json").write_bytes(content)
    with pytest.raises(ModelError, match=r"config\.json must be a JSON object"):
        ojak.load(model)


def test_what_is_missing_from_a_model_directory_is_named(model: Path, tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"there is no such directory.*ojak train"):
        ojak.load(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(ModelError, match=r"holds no config\.json"):
        ojak.load(tmp_path / "empty")
    for path in [*model.glob("source*"), model / "weights.safetensors"]:
        content = path.read_bytes()
        path.unlink()
        with pytest.raises(ModelError, match=path.name.replace(".", r"\.")):
            ojak.load(model)
        path.write_bytes(content)
    ojak.load(model)


def test_weights_survive_being_written_and_read(tmp_path: Path) -> None:
    from ojak.model.folder import put_weights, write_weights

    for name in ("lstm-additive-before-2-layers", "transformer-pre-rotary-swiglu", "gru-dot-after"):
        one, other, path = make(name, 1), make(name, 2), tmp_path / f"{name}.safetensors"
        write_weights(path, weights_of(one))
        put_weights(other, read_weights(path), path)
        source, target = ragged(), ragged(3)
        assert one(source, target).states.equal(other(source, target).states)


def test_a_pass_is_validated_once_even_if_passes_differ(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As with corpora of several windows, which make each pass another number of batches."""
    from ojak.train.dataset import Epoch

    plan = Epoch._plan
    monkeypatch.setattr(Epoch, "_plan", lambda self, window: plan(self, window)[self._number % 3 :])
    changes = {"train": {"epochs": 4, "updates": 10_000, "validate_every": 0, "average": 0}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    events = tiny.history(tmp_path / "run")
    passes = {event["update"]: event["epoch"] for event in events if event["event"] == "update"}
    last = [max(update for update, number in passes.items() if number == this) for this in range(4)]
    assert [event["update"] for event in events if event["event"] == "validation"] == last
    assert len({after - before for before, after in zip([0, *last], last, strict=False)}) > 1, "passes must differ"


def test_larger_batches_after_resuming_begin_the_next_pass(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 7, "batch_tokens": 40}})
    train(settings, tmp_path / "run")
    found = ojak.train_run(
        {"train": {"updates": 12, "batch_tokens": 4000}}, tmp_path / "run", tiny.Silent(), resume=True
    )
    assert math.isfinite(found.nll)
    assert tiny.history(tmp_path / "run")[-1]["update"] == 12


def test_products_are_as_exact_after_training_as_before(tmp_path: Path) -> None:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        train(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 2, "precision": "fp32"}}), tmp_path / "run")
        assert torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)


def test_validation_translates_pairs_from_all_over_the_dev_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ojak.translate import Translator

    asked: list[list[str]] = []
    translate = Translator.translate

    def watched(self: Translator, texts: Any, *others: Any) -> Any:
        asked.append(list(texts))
        return translate(self, texts, *others)

    monkeypatch.setattr(Translator, "translate", watched)
    dev = tiny.corpus(tmp_path, 40, seed=9)
    changes = {"data": {"dev": [str(dev)]}, "train": {"updates": 1, "dev_sentences": 4}}
    train(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "run")
    sources = [source for source, _ in tiny.pairs(40, 9)]
    assert [sources.index(text) for text in asked[0]] == [0, 10, 20, 30]


def test_a_resumed_run_keeps_the_tokenizer_it_was_trained_with(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 20}})
    train(settings, tmp_path / "run")
    before = (tmp_path / "run" / "model" / "source.vocabulary.json").read_bytes()
    recipe = tmp_path / "run" / "recipe.toml"
    recipe.write_text(recipe.read_text().replace("lowercase = false", "lowercase = true"))
    ojak.train_run({"train": {"updates": 25}}, tmp_path / "run", tiny.Silent(), resume=True)
    assert (tmp_path / "run" / "model" / "source.vocabulary.json").read_bytes() == before


def test_half_a_checkpoint_of_a_killed_process_goes(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 10}})
    train(settings, tmp_path / "run")
    half = tmp_path / "run" / "state" / ".00000020.123"
    half.mkdir()
    (half / "weights.safetensors").write_bytes(b"half")
    ojak.train_run({"train": {"updates": 20}}, tmp_path / "run", tiny.Silent(), resume=True)
    assert {path.name for path in half.parent.iterdir()} == {"00000010", "00000020", "average", "best.safetensors"}


# ---------------------------------------------------------------- beginning with a model


@pytest.mark.parametrize("kind", CHANGES)
def test_a_run_starts_from_a_model(kind: str, whole: Callable[[str], Path], tmp_path: Path) -> None:
    """Its tokenizers, shape and weights are taken over, and it does on the first day what the model did."""
    before = whole(kind)
    file = tiny.corpus(tmp_path, 60, seed=9)
    settings = {
        "data": {"pairs": [str(file)], "held_out": 6},
        "train": {"start": str(before), "updates": 1, "learning_rate": 1e-12, "average": 0, "device": "cpu"},
    }
    train(settings, tmp_path / "tuned")
    old, new = (ojak.load(run, precision="exact") for run in (before, tmp_path / "tuned"))
    assert old.source.entries == new.source.entries and old.model.config == new.model.config
    for one, other in zip(old.model.parameters(), new.model.parameters(), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6)
    assert [one.text for one in old.translate(["ab cd", "ef"])] == [one.text for one in new.translate(["ab cd", "ef"])]


@pytest.mark.parametrize(
    ("section", "change"), [("model", {"width": 20}), ("text", {"kind": "character"}), ("text", {"lowercase": True})]
)
def test_a_start_settles_model_and_tokenizers(
    section: str, change: dict[str, Any], whole: Callable[[str], Path], tmp_path: Path
) -> None:
    settings = {
        "data": {"pairs": [str(tiny.corpus(tmp_path))]},
        "train": {"start": str(whole("words"))},
        section: {**change, **({"architecture": "recurrent"} if section == "model" else {})},
    }
    with pytest.raises(UseError, match=f"{section}.{next(iter(change))}"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_start_must_be_a_model(tmp_path: Path) -> None:
    settings = {"data": {"pairs": [str(tiny.corpus(tmp_path))]}, "train": {"start": str(tmp_path / "none")}}
    with pytest.raises(ModelError, match="must hold config"):
        train(settings, tmp_path / "run")
    assert not (tmp_path / "run").exists()
