"""The parts of the models against torch's own, and against plain Python written from the equations."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from types import SimpleNamespace
from typing import Any, Literal

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ojak.config import RecurrentConfig, TransformerConfig
from ojak.model.attention import Additive, Dot, General, MultiHead, ScaledDot, attend, scorer
from ojak.model.build import build
from ojak.model.cell import Cell, Hidden
from ojak.model.dropout import Masks
from ojak.model.embedding import embeddings, output_layer
from ojak.model.fused import rows as as_rows
from ojak.model.fused import states as as_states
from ojak.model.transformer import FeedForward, rotate, sinusoid
from ojak.search.forced import score
from ojak.text.vocabulary import PAD
from ojak.train import fused
from ojak.train.loss import cross_entropy, plain_cross_entropy

Matrix = Sequence[Sequence[float]]


@pytest.fixture(autouse=True)
def double() -> Iterator[None]:
    """Double precision, so that what is equal is equal to the last digits."""
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(7)
    yield
    torch.set_default_dtype(torch.float32)


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one, other, rtol=1e-10, atol=1e-12)


# ---------------------------------------------------------------- multi-head attention


@pytest.mark.parametrize("masked", ["all", "padded", "causal"])
@pytest.mark.parametrize("heads", [1, 2, 4])
def test_multi_head_is_that_of_torch(masked: str, heads: int) -> None:
    width, rows, length = 8, 3, 5
    ours, theirs = MultiHead(width, heads), nn.MultiheadAttention(width, heads, batch_first=True)
    with torch.no_grad():
        for bias in (ours.query.bias, ours.key.bias, ours.value.bias, ours.out.bias):
            bias.normal_()
        theirs.in_proj_weight.copy_(torch.cat([ours.query.weight, ours.key.weight, ours.value.weight]))
        theirs.in_proj_bias.copy_(torch.cat([ours.query.bias, ours.key.bias, ours.value.bias]))
        theirs.out_proj.load_state_dict(ours.out.state_dict())
    query = torch.randn(rows, length, width, requires_grad=True)
    source = query if masked == "causal" else torch.randn(rows, 7, width)
    padding = torch.zeros(rows, source.shape[1], dtype=torch.bool)
    if masked == "padded":
        padding[0, 4:], padding[2, 1:] = True, True
    future = torch.ones(length, source.shape[1], dtype=torch.bool).triu(1) if masked == "causal" else None
    expected, expected_weights = theirs(
        query, source, source, key_padding_mask=padding, attn_mask=future, average_attn_weights=False
    )
    keep = ~padding[:, None, None] if future is None else ~future
    asked, told = as_rows(query), as_rows(source)
    parts = (
        ours.split(layer(states), shape.shape[:2])
        for layer, states, shape in ((ours.query, asked, query), (ours.key, told, source), (ours.value, told, source))
    )
    query_heads, keys, values = parts
    found, weights = ours(query_heads, keys, values, keep, True)
    found = as_states(found, query.shape[:2])
    close(found, expected)
    close(weights, expected_weights)
    unasked, none = ours(query_heads, keys, values, keep, False)
    assert none is None
    close(as_states(unasked, query.shape[:2]), expected)
    close(*(torch.autograd.grad(out.square().sum(), query, retain_graph=True)[0] for out in (found, expected)))


# ---------------------------------------------------------------- recurrent cells


KINDS: dict[Literal["rnn", "gru", "lstm"], Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("kind", KINDS)
def test_cells_step_by_step_are_the_layers_of_torch(kind: Literal["rnn", "gru", "lstm"], layers: int) -> None:
    width, wide, rows, length = 6, 4, 3, 9
    theirs = KINDS[kind](wide, width, layers, batch_first=True)
    cells = [Cell(kind, wide if layer == 0 else width, width) for layer in range(layers)]
    with torch.no_grad():
        for layer, cell in enumerate(cells):
            for own, name in ((cell.input, "ih"), (cell.recurrent, "hh")):
                own.weight.copy_(getattr(theirs, f"weight_{name}_l{layer}"))
                own.bias.copy_(getattr(theirs, f"bias_{name}_l{layer}"))
    words = torch.randn(rows, length, wide, requires_grad=True)
    start = torch.randn(layers, rows, width)
    memory = torch.randn(layers, rows, width)
    expected, last = theirs(words, (start, memory) if kind == "lstm" else start)

    hidden: list[Hidden] = [(start[i], memory[i]) if kind == "lstm" else (start[i],) for i in range(layers)]
    tops = []
    for step in range(length):
        below = words[:, step]
        for layer, cell in enumerate(cells):
            hidden[layer] = cell(cell.input(below), hidden[layer], cell.begin())
            below = hidden[layer][0]
        tops.append(below)
    found = torch.stack(tops, 1)
    close(found, expected)
    for part, whole in enumerate(last if kind == "lstm" else (last,)):
        close(torch.stack([one[part] for one in hidden]), whole)
    close(*(torch.autograd.grad(out.square().sum(), words)[0] for out in (found, expected)))


@pytest.mark.parametrize("layers", [1, 2])
def test_recurrent_weights_begin_orthogonal(layers: int) -> None:
    """Of the encoder's gates, in both directions and every layer, and of the decoder's."""
    model = build(RecurrentConfig(embedding=6, width=8, layers=layers), 9, 9, True)
    named = model.named_parameters()
    weights = [weight for name, weight in named if ".weight_hh" in name or "recurrent.weight" in name]
    assert len(weights) == 3 * layers
    for weight in weights:
        for gate in weight.split(weight.shape[1]):
            close(gate @ gate.T, torch.eye(len(gate)))


# ---------------------------------------------------------------- attention, written from the equations


def times(matrix: Matrix, vector: Sequence[float]) -> list[float]:
    return [sum(m * v for m, v in zip(row, vector, strict=True)) for row in matrix]


def dot(one: Sequence[float], other: Sequence[float]) -> float:
    return sum(a * b for a, b in zip(one, other, strict=True))


def additive(mechanism: Any, state: list[float], word: list[float]) -> float:
    """vᵀ tanh(W s + U h + b)"""
    w, u, b = mechanism.query.weight.tolist(), mechanism.key.weight.tolist(), mechanism.key.bias.tolist()
    sums = [x + y + z for x, y, z in zip(times(w, state), times(u, word), b, strict=True)]
    return dot(mechanism.vector.tolist(), [math.tanh(each) for each in sums])


EQUATIONS: dict[str, tuple[Callable[[], Any], int, Callable[[Any, list[float], list[float]], float]]] = {
    "additive": (lambda: Additive(4, 6), 6, additive),
    "dot": (Dot, 4, lambda _, s, h: dot(s, h)),
    "scaled_dot": (ScaledDot, 4, lambda _, s, h: dot(s, h) / math.sqrt(4)),
    "general": (lambda: General(4, 6), 6, lambda m, s, h: dot(s, times(m.key.weight.tolist(), h))),
}


@pytest.mark.parametrize("name", EQUATIONS)
def test_a_mechanism_is_its_equation(name: str) -> None:
    make, width, equation = EQUATIONS[name]
    mechanism = make()
    assert type(scorer(name, 4, width)) is type(mechanism)
    states, queries = torch.randn(2, 5, width), torch.randn(2, 3, 4)
    keep = torch.tensor([[True] * 5, [True, True, True, False, False]])
    scores = mechanism.against(mechanism.keys(states))(queries)
    assert scores.shape == (2, 3, 5)
    contexts, weights = attend(scores, keep.unsqueeze(1), states)
    for row in range(2):
        real = [word for word, kept in zip(states[row].tolist(), keep[row].tolist(), strict=True) if kept]
        for place, state in enumerate(queries[row].tolist()):
            e = [equation(mechanism, state, word) for word in real]
            assert scores[row, place, : len(real)].tolist() == pytest.approx(e, rel=1e-10)
            total = sum(math.exp(each) for each in e)
            alpha = [math.exp(each) / total for each in e]
            assert weights[row, place].tolist() == pytest.approx(alpha + [0.0] * (5 - len(real)), rel=1e-10)
            context = [sum(a * word[i] for a, word in zip(alpha, real, strict=True)) for i in range(width)]
            assert contexts[row, place].tolist() == pytest.approx(context, rel=1e-9)


def test_weights_stay_finite_for_large_scores() -> None:
    scores = torch.tensor([[[1e4, -1e4, 9999.0]]])
    _, weights = attend(scores, torch.ones(1, 1, 3, dtype=torch.bool), torch.randn(1, 3, 2))
    e = math.exp(-1.0)
    assert weights.flatten().tolist() == pytest.approx([1 / (1 + e), 0.0, e / (1 + e)])


# ---------------------------------------------------------------- places


@pytest.mark.parametrize(("begin", "length", "width"), [(0, 6, 8), (3, 4, 2), (500, 2, 64)])
def test_sinusoid_is_the_table_of_the_paper(begin: int, length: int, width: int) -> None:
    """PE(pos, 2i) = sin(pos / 10000^(2i/d)), PE(pos, 2i+1) the cosine; sines first, then cosines."""
    found = sinusoid(begin, length, width, torch.zeros(1))
    assert found.shape == (length, width)
    for row in range(length):
        for i in range(width // 2):
            angle = (begin + row) / 10000 ** (2 * i / width)
            assert found[row, i].item() == pytest.approx(math.sin(angle), abs=1e-10)
            assert found[row, width // 2 + i].item() == pytest.approx(math.cos(angle), abs=1e-10)


def turn(heads: Tensor, position: int) -> Tensor:
    return rotate(heads, sinusoid(position, heads.shape[2], heads.shape[3], heads))


def test_rotation_keeps_lengths_and_tells_distances_only() -> None:
    query, key = torch.randn(2, 3, 1, 8), torch.randn(2, 3, 1, 8)
    products = {}
    for at in (0, 1, 7, 300):
        close(turn(query, at).norm(dim=-1), query.norm(dim=-1))
        for distance in (0, 1, 4, 50):
            product = (turn(query, at + distance) * turn(key, at)).sum(-1)
            torch.testing.assert_close(product, products.setdefault(distance, product), rtol=1e-9, atol=1e-9)
    close(products[0], (query * key).sum(-1))
    assert all(not products[0].allclose(products[distance]) for distance in (1, 4, 50))
    close(turn(query, 0), query)


def test_rotation_of_several_places_is_that_of_each() -> None:
    heads = torch.randn(2, 3, 5, 8)
    each = [turn(heads[:, :, place : place + 1], 4 + place) for place in range(5)]
    close(turn(heads, 4), torch.cat(each, 2))
    # Written as complex numbers: the pair (x, y) is turned by the angle place × rate.
    numbers = torch.complex(heads[..., :4], heads[..., 4:])
    angles = torch.tensor([[(4 + place) / 10000 ** (2 * i / 8) for i in range(4)] for place in range(5)])
    turned = numbers * torch.polar(torch.ones(5, 4), angles)
    close(turn(heads, 4), torch.cat([turned.real, turned.imag], -1))


# ---------------------------------------------------------------- feed-forward, dropout, embedding


def gelu(x: float) -> float:
    return x * (1 + math.erf(x / math.sqrt(2))) / 2


@pytest.mark.parametrize("activation", ["relu", "gelu", "swiglu"])
def test_feed_forward_is_its_equation(activation: Literal["relu", "gelu", "swiglu"]) -> None:
    config = TransformerConfig(width=4, heads=2, feed_forward=6, activation=activation, dropout=0.0)
    layer, states = FeedForward(config), torch.randn(3, 4)
    found = layer(states, Masks(0.0, 0))
    for row, state in enumerate(states.tolist()):
        inner = [
            a + b for a, b in zip(times(layer.inner.weight.tolist(), state), layer.inner.bias.tolist(), strict=True)
        ]
        if activation == "swiglu":
            active = [g / (1 + math.exp(-g)) * v for g, v in zip(inner[:6], inner[6:], strict=True)]
        else:
            active = [max(0.0, x) if activation == "relu" else gelu(x) for x in inner]
        outer = times(layer.outer.weight.tolist(), active)
        expected = [a + b for a, b in zip(outer, layer.outer.bias.tolist(), strict=True)]
        assert found[row].tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize("rate", [0.1, 0.3, 0.5, 0.9])
def test_dropout_drops_its_share_and_keeps_the_expected_value(rate: float) -> None:
    values = torch.full((1000, 301), 3.0)
    count = values.numel()
    masks = Masks(rate, count)
    out = masks.drop(values)
    dropped = (out == 0).double()
    spread = math.sqrt(rate * (1 - rate) / count)
    assert abs(dropped.mean().item() - rate) < 1 / 512 + 5 * spread  # the rate is rounded to 1/256
    exact = round(rate * 256) / 256
    assert abs(dropped.mean().item() - exact) < 5 * spread
    kept = out[out != 0]
    close(kept, torch.full_like(kept, 3.0 / (1 - exact)))
    assert abs(out.mean().item() - 3.0) < 5 * 3.0 / (1 - exact) * spread
    # No pattern along rows or columns, and none from one element to the next.
    assert (dropped.mean(0) - exact).abs().max() < 6 * math.sqrt(exact * (1 - exact) / 1000)
    flat = dropped.flatten() - exact
    assert abs((flat[1:] * flat[:-1]).mean().item()) < 6 * exact * (1 - exact) / math.sqrt(count)


def test_dropout_follows_the_seed_and_can_be_off() -> None:
    values = torch.randn(7, 13)
    torch.manual_seed(3)
    masks = Masks(0.5, values.numel())
    first, second = masks.drop(values), masks.drop(values)
    assert not first.equal(second)
    torch.manual_seed(3)
    assert Masks(0.5, values.numel()).drop(values).equal(first)
    none = Masks(0.0, values.numel())
    assert not none and none.drop(values) is values and none.add(values, first).equal(values + first)


def test_dropout_gives_its_gradient_to_what_was_kept() -> None:
    values = torch.randn(50, 50, requires_grad=True)
    out = Masks(0.25, values.numel()).drop(values)
    out.sum().backward()
    assert values.grad is not None
    close(values.grad, torch.where(out == 0, 0.0, 4 / 3))


@pytest.mark.parametrize("tied", [True, False])
def test_embedding_and_output_layer(tied: bool) -> None:
    source, target = embeddings(9, 11, 16, shared=False)
    layer = output_layer(16, target, tied)
    ids = torch.tensor([[4, 10, PAD]])
    close(target(ids)[0, :2], target.weight[ids[0, :2]] * 4.0)
    assert (layer.weight is target.weight) is tied and source is not target
    states = torch.randn(2, 16)
    close(layer(states), states @ layer.weight.T + layer.bias)
    one, other = embeddings(9, 9, 16, shared=True)
    assert one is other


# ---------------------------------------------------------------- the loss


class Output(SimpleNamespace):
    """As much of a model as the loss knows."""

    project: nn.Linear

    def output(self, states: Tensor) -> Tensor:
        found: Tensor = self.project(states)
        return found


def drawn(rows: int = 4, length: int = 7, width: int = 5, vocabulary: int = 13) -> tuple[Output, Tensor, Tensor]:
    model = Output(project=nn.Linear(width, vocabulary))
    target = torch.randint(4, vocabulary, (rows, length))
    for row, real in enumerate(random.Random(2).choices(range(1, length + 1), k=rows)):
        target[row, real:] = PAD
    return model, torch.randn(rows, length, width) * 3, target


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_plain_cross_entropy_is_that_of_torch(smoothing: float) -> None:
    model, states, target = drawn()
    found = plain_cross_entropy(model, states, target, smoothing)  # type: ignore[arg-type]
    logits = model.output(states).flatten(0, 1)

    def theirs(share: float) -> Tensor:
        return F.cross_entropy(logits, target.flatten(), ignore_index=PAD, label_smoothing=share, reduction="sum")

    close(found.smoothed, theirs(smoothing))
    close(found.plain, theirs(0.0))
    assert not found.plain.requires_grad


@pytest.mark.parametrize("chunk", [1, 13, 40, 2**22])
@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_the_fused_loss_is_the_plain_one(smoothing: float, chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Values and gradients; `chunk` logits at a time are 1, 1, 3 or all of the rows."""
    monkeypatch.setattr(fused, "CHUNK", chunk)
    model, states, target = drawn()
    found = []
    for loss in (cross_entropy, plain_cross_entropy):
        leaf = states.clone().requires_grad_()
        model.project.zero_grad()
        both = loss(model, leaf, target, smoothing)  # type: ignore[arg-type]
        (both.smoothed / 3).backward()
        weight, bias = model.project.weight.grad, model.project.bias.grad
        assert leaf.grad is not None and weight is not None and bias is not None
        found.append((both.smoothed.detach(), both.plain, leaf.grad, weight.clone(), bias.clone()))
    for one, other in zip(*found, strict=True):
        close(one, other)
    assert found[0][2][target == PAD].eq(0).all() and found[0][2][target != PAD].ne(0).all()


def test_the_fused_loss_stands_large_logits() -> None:
    model, states, target = drawn()
    found = cross_entropy(model, states * 1e4, target, 0.1)  # type: ignore[arg-type]
    close(found.smoothed, plain_cross_entropy(model, states * 1e4, target, 0.1).smoothed)  # type: ignore[arg-type]
    assert math.isfinite(found.smoothed.item())


def test_the_score_of_given_words_is_the_sum_of_their_log_softmax() -> None:
    model, states, target = drawn()
    logs = model.output(states).log_softmax(-1).gather(2, target.unsqueeze(2)).squeeze(2)
    close(score(model, states, target), (logs * (target != PAD)).sum(1))  # type: ignore[arg-type]
    for row in range(len(target)):  # and plain Python says the same
        total = 0.0
        for place, word in enumerate(target[row].tolist()):
            if word != PAD:
                logits = model.output(states[row, place]).tolist()
                total += logits[word] - math.log(sum(math.exp(each) for each in logits))
        assert score(model, states, target)[row].item() == pytest.approx(total, rel=1e-9)  # type: ignore[arg-type]
