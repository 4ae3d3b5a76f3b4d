"""The hand-written gradients of `model.fused`, against the plain functions and against finite differences."""

from __future__ import annotations

from contextlib import closing

import pytest
import torch
from torch import Tensor, nn

from ojak.batch import collate
from ojak.config import TrainConfig, TransformerConfig
from ojak.model import fused
from ojak.model.attention import attend
from ojak.model.build import build
from ojak.model.dropout import Masks
from ojak.model.transformer import rotate, sinusoid
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update


def drawn(*shape: int) -> Tensor:
    return torch.randn(shape, dtype=torch.float64, requires_grad=True)


@pytest.mark.parametrize("rate", [0.0, 0.5])
def test_feed_forward(rate: float) -> None:
    states, inner, outer = drawn(2, 3, 4), nn.Linear(4, 6).double(), nn.Linear(6, 4).double()
    weights = inner.weight, inner.bias, outer.weight, outer.bias

    def ours(states: Tensor, *_: Tensor) -> Tensor:
        torch.manual_seed(5)  # the same mask each time
        return fused.feed_forward(states, inner, outer, Masks(rate, 36))

    def plain() -> Tensor:
        torch.manual_seed(5)
        return outer(Masks(rate, 36).drop(torch.relu(inner(states))))

    torch.testing.assert_close(ours(states), plain())
    assert torch.autograd.gradcheck(ours, (states, *weights))


@pytest.mark.parametrize("length", [1, 5, 16, 17])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("rounded", [False, True])
def test_attention(length: int, causal: bool, rounded: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fused, "ROUNDED", {torch.float64} if rounded else set())
    query, keys, values = drawn(2, 3, length if causal else 4, 2), drawn(2, 3, length, 2), drawn(2, 3, length, 2)
    keep = torch.ones(2, 1, 1, length, dtype=torch.bool)
    keep[1, ..., 1 + length // 2 :] = False
    if causal:
        keep = torch.ones(length, length, dtype=torch.bool).tril()
    plain, _ = attend(query @ keys.transpose(2, 3) * 2**-0.5, keep, values)
    context = fused.attend(query, keys, values, keep)
    shape = 2, query.shape[2]
    torch.testing.assert_close(fused.states(context, shape), plain.transpose(1, 2).flatten(2))
    assert len(context) == (16 * -(-2 * query.shape[2] // 16) if rounded else 2 * query.shape[2])
    assert not context[2 * query.shape[2] :].any()
    assert torch.autograd.gradcheck(lambda *parts: fused.attend(*parts, keep), (query, keys, values))


@pytest.mark.parametrize("norm", ["pre", "post"])
def test_added_rows_change_nothing(norm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither what the model says nor its gradients."""
    config = TransformerConfig(width=8, heads=2, feed_forward=8, norm=norm, dropout=0.0)
    torch.manual_seed(1)
    model = build(config, 9, 9, True).double()
    source, target = torch.tensor([[4, 5, 6, 3], [7, 3, 0, 0]]), torch.tensor([[2, 4, 5], [2, 8, 0]])
    found = []
    for types in (set(), {torch.float64}):
        monkeypatch.setattr(fused, "ROUNDED", types)
        assert len(fused.rows(torch.zeros(2, 4, 8, dtype=torch.float64))) == (16 if types else 8)
        said = model(source, target).states
        found.append([said, *torch.autograd.grad(said.square().sum(), model.encoder.parameters())])
    for one, other in zip(*found, strict=True):
        torch.testing.assert_close(one, other)


def test_rows_are_of_few_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """oneDNN prepares itself for each, and what is added is work."""
    monkeypatch.setattr(fused, "ROUNDED", {torch.float32})
    numbers = set()
    for count in range(1024, 2048):
        states = torch.ones(1, count, 1)
        rows = fused.rows(states)
        numbers.add(len(rows))
        assert len(rows) < 9 / 8 * count
        assert rows.sum() == count
        assert torch.equal(fused.states(rows, (1, count)), states)
    assert len(numbers) <= 9
    with torch.no_grad():
        assert len(fused.rows(torch.ones(3, 5, 1))) == 15


def test_rotation() -> None:
    heads, angles = drawn(2, 3, 5, 4), sinusoid(7, 5, 4, torch.zeros(1, dtype=torch.float64))
    with torch.no_grad():
        plain = rotate(heads, angles)
    torch.testing.assert_close(rotate(heads, angles).detach(), plain)
    assert torch.autograd.gradcheck(lambda heads: rotate(heads, angles), heads)


def test_the_fused_ways_are_taken_in_training(monkeypatch: pytest.MonkeyPatch) -> None:
    """Otherwise the tests above would prove nothing of what training does."""
    taken = []
    for name in ("attend", "feed_forward", "rotate"):
        way = getattr(fused, name)
        monkeypatch.setattr(fused, name, lambda *given, name=name, way=way: (taken.append(name), way(*given))[1])
    model = build(TransformerConfig(width=8, heads=2, feed_forward=8), 9, 9, True)
    ids = torch.tensor([[4, 5, 3]])
    with torch.no_grad():
        model(ids, ids)
    assert not taken
    model(ids, ids)
    assert set(taken) == {"attend", "feed_forward", "rotate"}


def test_bf16_is_near_fp32() -> None:
    """The passes in bf16 differ from those in fp32 by rounding alone."""
    torch.manual_seed(3)
    model = build(TransformerConfig(width=32, heads=2, feed_forward=64, dropout=0.0), 50, 50, True).float()
    ids = torch.randint(4, 50, (6, 9))
    exact = model(ids, ids).states.detach()
    near = model.to(torch.bfloat16)(ids, ids).states.detach()
    assert near.dtype == torch.bfloat16
    assert (near - exact).norm() < 0.02 * exact.norm()


@pytest.mark.parametrize(("width", "feed_forward"), [(32, 64), (64, 32)], ids=["turned states", "turned gradients"])
@pytest.mark.parametrize("positions", ["rotary", "sinusoid"])
def test_gradients_in_bf16_are_near_those_in_fp32(positions: str, width: int, feed_forward: int) -> None:
    """Of every weight, output layer and biases included, as training gets them; both ways of `weight_gradient`."""
    rows = [[4 + (place * 7 + row) % 90 for place in range(length)] for row, length in enumerate((17, 12, 9, 9, 5, 3))]
    config = {"width": width, "heads": 2, "feed_forward": feed_forward, "dropout": 0.0, "positions": positions}

    def gradients(precision: str) -> dict[str, Tensor]:
        torch.manual_seed(3)
        model = build(TransformerConfig.model_validate(config), 100, 100, True).train()
        with torch.no_grad():  # biases begin as 0, where a fault of theirs would not show in the passes
            for weight in model.parameters():
                weight += 0.02 * torch.randn_like(weight)
        how = TrainConfig(precision=precision, workers=1, clip=0, label_smoothing=0.1)
        with closing(Working(model, how)) as working:
            update(working, [collate(rows, rows[::-1], torch.device("cpu"))], make_optimizer(model, how), 0.0, how)
        return {name: weight.grad for name, weight in model.named_parameters() if weight.grad is not None}

    exact, near = gradients("exact"), gradients("bf16")
    assert exact.keys() == near.keys()
    largest = max(float(one.norm()) for one in exact.values())
    for name, one in exact.items():
        assert (near[name] - one).norm() < 0.1 * one.norm() + 2e-3 * largest, name


def test_a_feed_forward_layer_narrower_than_the_model_has_masks_too() -> None:
    """The largest mask is then that of the states, and the batch larger than the slack of the pool."""
    model = build(TransformerConfig(width=64, heads=2, feed_forward=8, dropout=0.5), 9, 9, True).train()
    ids = torch.full((40, 60), 4)
    assert model(ids, ids).states.isfinite().all()
    masks = Masks(0.5, 1)
    assert masks.draw(torch.ones(300_000)).shape == (300_000,)
