"""What training may do beside plain teacher forcing, each against a plain computation."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch
from zoo import VOCABULARY, make, ragged

import ojak
from ojak.batch import Batch, blank, collate
from ojak.config import TrainConfig, merge
from ojak.errors import ConfigError, UseError
from ojak.model.dropout import Masks
from ojak.model.folder import read_weights, weights_of
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import BOS, EOS, PAD
from ojak.train import ema, fused, rdrop, sampled, selection
from ojak.train import loop as loop_module
from ojak.train.average import average
from ojak.train.frozen import freeze
from ojak.train.loss import cross_entropy, plain_cross_entropy
from ojak.train.objective import Objective
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update

CPU = torch.device("cpu")
NAMES = ["gru-additive-before", "transformer-pre-rotary-swiglu"]
both = pytest.mark.parametrize("name", NAMES)


def config(**changes: Any) -> TrainConfig:
    return TrainConfig.model_validate({"device": "cpu", "precision": "exact", "workers": 1, **changes})


def batch() -> Batch:
    generator = torch.Generator().manual_seed(4)
    source = [[i for i in row if i not in (PAD, EOS)] or [5] for row in ragged().tolist()]
    target = [torch.randint(4, VOCABULARY, (length,), generator=generator).tolist() for length in (3, 6, 1, 4)]
    return collate(source, target, CPU)


def gradients(model: Seq2Seq, loss: torch.Tensor) -> dict[str, torch.Tensor]:
    model.zero_grad()
    loss.backward()
    return {name: weight.grad.clone() for name, weight in model.named_parameters() if weight.grad is not None}


def dropping(name: str, **rates: Any) -> Seq2Seq:
    model = make(name).train()
    model.config = model.config.model_copy(update=rates)
    return model


# ---------------------------------------------------------------- word dropout


@both
def test_words_are_dropped_whole(name: str) -> None:
    """A share of the vectors is zero, all else is scaled, so that the mean stays; nothing in evaluation."""
    model = dropping(name, word_dropout=(0.3, 0.0))
    tokens = torch.randint(4, VOCABULARY, (40, 50))
    whole = model.target(tokens)
    torch.testing.assert_close(model.look_up(tokens, 1), whole)
    seen = model.look_up(tokens, 0)
    kept = (seen != 0).any(2)
    torch.testing.assert_close(seen[kept], model.source(tokens)[kept] * Masks(0.3, 1).scale)
    assert float((~kept).double().mean()) == pytest.approx(0.3, abs=0.05)
    torch.testing.assert_close(model.eval().look_up(tokens, 0), model.source(tokens))


@both
@pytest.mark.parametrize("side", [0, 1])
def test_word_dropout_reaches_encoder_and_decoder(name: str, side: int) -> None:
    given = batch()
    model = dropping(name, word_dropout=(0.9, 0.0) if side == 0 else (0.0, 0.9))
    read = model.encode(given.source)
    whole = make(name).encode(given.source)
    assert torch.equal(read.states, whole.states) == (side == 1)
    told = model.advance(given.target_in, model.start(whole))[0].states
    assert torch.equal(told, make(name).advance(given.target_in, make(name).start(whole))[0].states) == (side == 0)


# ---------------------------------------------------------------- R-Drop


@both
@pytest.mark.parametrize("chunk", [None, 40])
def test_r_drop_is_what_the_paper_says(name: str, chunk: int | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Both passes with the same masks as here, and the divergences word by word; the gradient too."""
    if chunk:
        monkeypatch.setattr(fused, "CHUNK", chunk)
    model, given, smoothing, alpha = dropping(name, dropout=0.3), rdrop.twice(batch()), 0.1, 5.0
    torch.manual_seed(7)
    states = model(given.source, given.target_in).states
    found = rdrop.agreeing_cross_entropy(model, states, given.target_out, smoothing, alpha)
    ours = gradients(model, found.smoothed)

    torch.manual_seed(7)
    states = model(given.source, given.target_in).states
    plain = plain_cross_entropy(model, states, given.target_out, smoothing)
    logs = model.output(states).log_softmax(2).chunk(2)
    apart = states.new_zeros(())
    for p, q in (logs, logs[::-1]):
        for row, target in enumerate(batch().target_out):
            for place in range(int((target != PAD).sum())):
                apart = apart + sum(p[row, place, v].exp() * (p - q)[row, place, v] for v in range(VOCABULARY))
    expected = plain.smoothed / 2 + alpha / 4 * apart
    assert apart > 1e-3
    assert found.smoothed.item() == pytest.approx(expected.item(), rel=1e-9)
    assert found.plain.item() == pytest.approx(plain.plain.item() / 2, rel=1e-9)
    theirs = gradients(model, expected)
    assert ours.keys() == theirs.keys()
    for key, gradient in theirs.items():
        torch.testing.assert_close(ours[key], gradient, rtol=1e-7, atol=1e-9)


@both
def test_r_drop_without_dropout_is_the_plain_loss(name: str) -> None:
    model, given = make(name).train(), batch()
    found = Objective(config(r_drop=5.0)).of(model, given)
    plain = Objective(config()).of(model, given)
    assert found.smoothed.item() == pytest.approx(plain.smoothed.item(), rel=1e-9)
    for key, gradient in gradients(model, plain.smoothed).items():
        torch.testing.assert_close(
            gradients(model, Objective(config(r_drop=5.0)).of(model, given).smoothed)[key], gradient
        )


# ---------------------------------------------------------------- scheduled sampling


@pytest.mark.parametrize("schedule", ["linear", "sigmoid"])
def test_the_share_of_own_words_grows_to_its_end(schedule: str) -> None:
    chosen = config(sampled_words=0.4, sampled_ramp=100, sampled_schedule=schedule)
    shares = [sampled.share(number, chosen) for number in range(0, 130, 10)]
    assert shares == sorted(shares) and shares[0] == 0
    assert shares[5] == pytest.approx(0.2) and shares[10:] == pytest.approx([0.4] * 3)
    if schedule == "linear":
        assert shares[:11] == pytest.approx([0.4 * place / 10 for place in range(11)])


@both
def test_own_words_are_those_that_the_model_would_have_said(name: str) -> None:
    model, given = make(name), batch()
    found = sampled.with_own_words(model, given, 0.5)
    changed = 0
    for row, (before, after) in enumerate(zip(given.target_in.tolist(), found.tolist(), strict=True)):
        assert after[0] == BOS
        for place in range(1, len(before)):
            if before[place] == PAD:
                assert after[place] == PAD
                continue
            scores = model.output(model(given.source[[row]], given.target_in[[row], :place]).states[0, -1])
            own = int(scores[EOS + 1 :].argmax()) + EOS + 1
            assert after[place] in (before[place], own)
            changed += after[place] != before[place]
    assert changed


@both
def test_the_loss_is_that_of_the_words_taken(name: str) -> None:
    model, given = make(name), batch()
    torch.manual_seed(3)
    taken = replace(given, target_in=sampled.with_own_words(model, given, 0.5))
    torch.manual_seed(3)
    found = Objective(config(), own_words=0.5).of(model, given)
    expected = cross_entropy(model, model(taken.source, taken.target_in).states, taken.target_out, 0.1)
    assert not taken.target_in.equal(given.target_in)
    assert found.smoothed.item() == pytest.approx(expected.smoothed.item(), rel=1e-12)
    chosen = Objective(config(sampled_words=0.5, sampled_ramp=10))
    assert [chosen.at(number).own_words for number in (1, 5, 20)] == pytest.approx([0.05, 0.25, 0.5])


@both
def test_a_blank_batch_adds_nothing(name: str) -> None:
    """The part of a process for which there is no other."""
    model = dropping(name, dropout=0.2)
    found = Objective(config(r_drop=1.0), own_words=0.5).of(model, blank(CPU))
    assert found.smoothed.item() == found.plain.item() == 0
    assert all(not gradient.any() for gradient in gradients(model, found.smoothed).values())


# ---------------------------------------------------------------- the mean of the weights


@both
def test_the_moving_average_is_that_of_a_loop(name: str) -> None:
    model, chosen = make(name).train(), config(ema=0.8)
    optimizer = make_optimizer(model, chosen)
    expected: dict[str, torch.Tensor] = {}
    with closing(Working(model, chosen)) as working:
        for step in range(1, 9):
            update(working, [batch()], optimizer, 0.01, chosen)
            decay = min(0.8, (1 + step) / (10 + step))
            for key, weight in weights_of(model).items():
                before = expected.get(key, weight)
                expected[key] = decay * before + (1 - decay) * weight
    learnt = {key: weight.clone() for key, weight in weights_of(model).items()}
    with ema.averaged(optimizer):
        for key, weight in weights_of(model).items():
            torch.testing.assert_close(weight, expected[key], rtol=1e-10, atol=1e-12)
            assert not weight.equal(learnt[key])
    assert all(weight.equal(learnt[key]) for key, weight in weights_of(model).items())
    ema.take(optimizer, 0.0)
    with ema.averaged(optimizer):
        assert all(weight.equal(learnt[key]) for key, weight in weights_of(model).items())


def test_validations_see_the_averages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, seen = selection.validate, []

    def watching(translator: Any, *rest: Any) -> Any:
        seen.append({key: weight.clone() for key, weight in weights_of(translator.model).items()})
        return real(translator, *rest)

    monkeypatch.setattr(selection, "validate", watching)
    run = tmp_path / "run"
    changes = {"train": {"ema": 0.9, "updates": 20, "validate_every": 10, "average": 0}}
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), run, tiny.Silent())
    learnt = read_weights(run / "state" / "00000020" / "weights.safetensors")
    chosen = read_weights(run / "model" / "weights.safetensors")
    assert all(not weight.equal(learnt[key]) for key, weight in seen[1].items())
    assert any(all(weight.equal(chosen[key]) for key, weight in one.items()) for one in seen[:2])


# ---------------------------------------------------------------- freezing


@both
@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("precision", ["exact", "bf16"])
def test_frozen_weights_stay_to_the_bit(name: str, workers: int, precision: str) -> None:
    model = make(name).float().train()
    before = {key: weight.clone() for key, weight in weights_of(model).items()}
    chosen = config(workers=workers, precision=precision, optimizer="adamw", weight_decay=0.1, ema=0.9)
    freeze(model, ["encoder*", "target.weight"])
    optimizer = make_optimizer(model, chosen)
    with closing(Working(model, chosen)) as working:
        for _ in range(3):
            update(working, [batch()], optimizer, 0.01, chosen)
        copies = [weight for one in working.models for weight in one.named_parameters()]
    for key, weight in weights_of(model).items():
        frozen = key.startswith("encoder") or key == "target.weight"
        assert weight.equal(before[key]) == frozen, key
    assert all(not weight.requires_grad for key, weight in copies if key.startswith("encoder"))
    assert any(weight.requires_grad for _, weight in copies)


@pytest.mark.parametrize(
    ("patterns", "told"),
    [
        (["encodr.*"], r"no weight is named 'encodr\.\*'; did you mean encoder\.\*"),
        (["encoder.*", "zzz"], r"no weight is named 'zzz'; did you mean .*target\.\*"),
        (["*"], "some weights must learn"),
    ],
)
def test_what_cannot_be_frozen_is_told_before_anything_is_written(
    patterns: list[str], told: str, tmp_path: Path
) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"train": {"freeze": patterns}})
    with pytest.raises(ConfigError, match=told):
        ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    assert not (tmp_path / "run").exists()


# ---------------------------------------------------------------- whole runs

EVERYTHING: dict[str, Any] = {
    "text": {"kind": "word", "size": 60},
    "train": {
        "r_drop": 1.0,
        "sampled_words": 0.3,
        "sampled_ramp": 30,
        "ema": 0.9,
        "freeze": ["source.*"],
        "workers": 2,
    },
}
ARCHITECTURES: dict[str, dict[str, Any]] = {
    "recurrent": {"architecture": "recurrent", "embedding": 8, "width": 12, "dropout": 0.2, "word_dropout": [0.1, 0.2]},
    "transformer": {
        "architecture": "transformer",
        "width": 16,
        "heads": 2,
        "feed_forward": 16,
        "word_dropout": [0.1, 0.2],
    },
}


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_a_run_with_everything_is_resumed_exactly(
    architecture: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"model": ARCHITECTURES[architecture]})
    merge(settings, EVERYTHING)
    ojak.train_run(settings, tmp_path / "whole", tiny.Silent())
    calls, real = [0], loop_module.update

    def breaking(*args: Any) -> Any:
        calls[0] += 1
        if calls[0] == 27:
            raise RuntimeError("cut")
        return real(*args)

    with monkeypatch.context() as patch, pytest.raises(RuntimeError, match="cut"):
        patch.setattr(loop_module, "update", breaking)
        ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    ojak.train_run({}, tmp_path / "run", tiny.Silent(), resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(tmp_path / "whole")
    assert tiny.history(tmp_path / "run") == tiny.history(tmp_path / "whole")
    with pytest.raises(UseError, match="What is frozen is settled"):
        ojak.train_run({"train": {"freeze": ["target.*"]}}, tmp_path / "run", tiny.Silent(), resume=True)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("objectives")
    ojak.train_run(tiny.settings(tiny.corpus(folder)), folder / "run", tiny.Silent())
    return folder / "run"


def test_the_average_is_the_mean_of_the_last_validations(run: Path, tmp_path: Path) -> None:
    found = average([run], tmp_path / "mean", last=2)
    kept = sorted((run / "state" / "average").glob("*.safetensors"))
    assert found == kept[-2:] and len(kept) == 3
    one, other = (read_weights(path) for path in found)
    for key, weight in read_weights(tmp_path / "mean" / "weights.safetensors").items():
        torch.testing.assert_close(weight, (one[key] + other[key]) / 2)
    assert ojak.load(tmp_path / "mean").translate(["ab cd"])[0].tokens
    states = [run / "state" / name for name in ("00000030", "00000040")]
    assert average([*states, run], tmp_path / "three")[:2] == [path / "weights.safetensors" for path in states]
    assert ojak.load(tmp_path / "three").source.entries == ojak.load(run).source.entries


def test_what_cannot_be_averaged_is_told(run: Path, tmp_path: Path) -> None:
    def told(paths: list[Path], out: str = "mean", last: int = 0) -> str:
        with pytest.raises(UseError) as error:
            average(paths, tmp_path / out, last)
        assert not (tmp_path / "mean").exists()
        return str(error.value)

    assert "at least two different sets" in told([run, run])
    assert "must have kept the weights of 9 validations, but has those of 3" in told([run], last=9)
    assert "--last is for runs" in told([run, run / "model"], last=2)
    other = tmp_path / "other"
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path, 150, 8), {"train": {"updates": 2}}), other, tiny.Silent())
    wider = tmp_path / "wider"
    changes = {"model": {"width": 14}, "train": {"updates": 2}}
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), wider, tiny.Silent())
    assert "differ in model" in told([run, wider])
    (tmp_path / "there").mkdir()
    assert "must be new" in told([run], out="there", last=2)
