"""Machine code against PyTorch and numpy: products, passes, words, searches, and who gets it."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
import zoo
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from test_contract import WAYS
from torch import Tensor

import ojak
from ojak import compiled as face
from ojak.compiled import layers, pack, products, vectors
from ojak.compiled.compiler import compiled
from ojak.compiled.recurrent import CompiledRecurrent
from ojak.compiled.transformer import CompiledTransformer
from ojak.config import TransformerConfig
from ojak.errors import UseError
from ojak.model.build import build
from ojak.model.seam import Seq2Seq
from ojak.search import Wish, Wishes, search
from ojak.text.vocabulary import BOS
from ojak.train.run import train_run

FP32, BF16, INT8 = products.FP32, products.BF16, products.INT8
KINDS = [kind for kind in (FP32, BF16, INT8) if products.SERVES[kind]]
kinds = pytest.mark.parametrize("kind", KINDS, ids=lambda kind: products.KINDS[kind])


# Products


def multiplied(
    kind: int, given_rows: np.ndarray, layer: pack.Linear, floor: float = -np.inf, more: np.ndarray | None = None
) -> np.ndarray:
    """What the layer makes of rows (M,K)."""
    rows, width = given_rows.shape
    padded = pack.aligned((rows, pack.up(width, vectors.LANES)), np.float32)
    padded[:, :width] = given_rows
    outputs = len(layer.bias)
    into, zeros = np.full((rows, outputs), np.nan, np.float32), np.zeros(products.PANEL, np.float32)
    added, step = zeros, 0
    if more is not None:
        added, step = pack.aligned((rows, outputs), np.float32), 4 * outputs
        added[:, : more.shape[1]] = more
    work = np.empty(4 * rows * (16 + padded.shape[1]) + 64, np.uint8)
    layers.linear(
        kind, products.product(kind), np.array(layer.record), 0, padded.ctypes.data, padded.strides[0], rows,
        padded.shape[1], work.ctypes.data, np.float32(floor), added.ctypes.data, step, into.ctypes.data, 4 * outputs,
    )  # fmt: skip
    return into


def rounded(values: np.ndarray) -> np.ndarray:
    return torch.from_numpy(values).bfloat16().double().numpy()


def expected(kind: int, rows: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The product (M,N) in double precision, of operands as they are when multiplied; int8 in whole numbers."""
    if kind == FP32:
        return rows.astype(np.float64) @ weight.T.astype(np.float64)
    if kind == BF16:
        return rounded(rows) @ rounded(weight).T
    peaks, largest = np.abs(rows).max(1), np.abs(weight).max(1)
    factors = np.where(peaks > 1e-30, np.float32(127) / np.where(peaks > 0, peaks, 1), 0).astype(np.float32)
    one = np.rint(rows * factors[:, None]).astype(np.int64)
    scales = np.where(largest > 0, largest / np.float32(127), 1).astype(np.float32)
    other = np.rint(weight / scales[:, None]).astype(np.int64)
    assert np.abs(one).max() <= 127 and np.abs(other).max() <= 127
    return (one @ other.T) * (peaks / np.float32(127)).astype(np.float64)[:, None] * scales.astype(np.float64)


@kinds
@given(st.integers(1, 14), st.integers(1, 70), st.integers(1, 150), st.integers(0, 2**32 - 1))
@examples(deadline=None, max_examples=30)
def test_products_of_every_shape(kind: int, rows: int, width: int, outputs: int, seed: int) -> None:
    generator = np.random.default_rng(seed)
    given_rows = generator.standard_normal((rows, width)).astype(np.float32)
    weight = generator.standard_normal((outputs, width)).astype(np.float32)
    bias, more = (generator.standard_normal(shape).astype(np.float32) for shape in (outputs, (rows, outputs)))
    layer = pack.Linear.of(kind, torch.from_numpy(weight), torch.from_numpy(bias))
    right = expected(kind, given_rows, weight) + bias
    within = {"rtol": 1e-5, "atol": 1e-4 * width**0.5}
    assert_allclose(multiplied(kind, given_rows, layer)[:, :outputs], right, **within)
    assert_allclose(multiplied(kind, given_rows, layer, 0.0)[:, :outputs], right.clip(0), **within)
    assert_allclose(multiplied(kind, given_rows, layer, 0.0, more)[:, :outputs], right.clip(0) + more, **within)
    assert not multiplied(kind, given_rows, layer)[:, outputs:].any()  # the padding stays zero
    places = generator.permutation(outputs)[: 1 + outputs // 2]
    assert_allclose(multiplied(kind, given_rows, layer.rows(places))[:, : len(places)], right[:, places], **within)


@pytest.mark.skipif(INT8 not in KINDS, reason="the processor has no instruction for it")
def test_extremes_of_int8_are_whole_numbers_without_saturation() -> None:
    """Rows of the largest numbers of both signs, of zeros, of one number, of tiny and of huge ones, against weights
    alike: sums are exact, so results differ by the rounding of the scales alone."""
    width = 1024
    signs = np.where(np.arange(width) % 2, 1, -1).astype(np.float32)
    ones = np.ones(width, np.float32)
    spike = np.eye(1, width, 7, dtype=np.float32)[0] * 100 + 0.01
    rows = np.stack([ones, -ones, signs, 0 * ones, 3.7 * ones, 1e-35 * ones, 1e30 * signs, spike])
    weight = np.stack([ones, -ones, signs, -signs, 0 * ones, 2e-3 * ones, spike])
    found = multiplied(INT8, rows, pack.Linear.of(INT8, torch.from_numpy(weight), None))[:, : len(weight)]
    right = expected(INT8, rows, weight)
    assert_allclose(found, right, rtol=1e-6)
    assert found[0, 0] == pytest.approx(width) and found[2, 3] == pytest.approx(-width)  # 1024 × 127 × 127
    assert not found[3].any() and not found[5].any() and not found[:, 4].any()


# Vectors


@compiled("void(i8,i8,i8)")
def each_exp(given_: int, into: int, count: int) -> None:
    for place in range(0, 4 * count, vectors.BYTES):
        vectors.store(into + place, vectors.exp(vectors.load(given_ + place)))


@compiled("void(i8,i8,i8)")
def each_half(given_: int, into: int, count: int) -> None:
    for place in range(0, count, vectors.LANES):
        vectors.store_half(into + 2 * place, vectors.load(given_ + 4 * place))


def test_exp_and_half_precision() -> None:
    values = np.concatenate([np.linspace(-87, 88, 4000), [0, -0.0, 1e-30, -100, -np.inf, -1e30, 1, -1]])
    values = np.resize(values.astype(np.float32), pack.up(len(values), 16))
    found = np.empty_like(values)
    each_exp(values.ctypes.data, found.ctypes.data, len(values))
    right = np.exp(values.astype(np.float64))
    inside = values >= -87
    assert_allclose(found[inside], right[inside], rtol=3e-7)
    assert (found[~inside] < 1.7e-38).all() and (found >= 0).all()

    values = np.array([0, 1, -1, 65504, 70000, -1e30, 1e-8, 0.1] * 2, np.float32)
    halves = np.empty(16, np.float16)
    each_half(values.ctypes.data, halves.ctypes.data, 16)
    assert halves.tolist() == values.clip(-65504, 65504).astype(np.float16).tolist()


# Passes, against the plain model


def _models() -> dict[str, tuple[TransformerConfig, bool]]:
    """Every setting of the architecture: those of the zoo, and wider ones where nothing is padded, or something is."""
    found = {name: (config, False) for name, config in zoo.ZOO.items() if isinstance(config, TransformerConfig)}
    wide = {"encoder_layers": 1, "decoder_layers": 2, "feed_forward": 96, "dropout": 0.0}
    for name, more, shared in (
        ("whole vectors, shared", {"width": 128, "heads": 2}, True),
        ("untied", {"width": 64, "heads": 1, "tie_embeddings": False, "activation": "swish"}, False),
        ("odd sizes", {"width": 60, "heads": 3, "norm": "post", "positions": "sinusoid", "feed_forward": 50}, False),
        ("heads of 80", {"width": 160, "heads": 2, "activation": "swiglu", "feed_forward": 70}, True),
    ):
        found[name] = TransformerConfig.model_validate({**wide, **more}), shared
    return found


MODELS = _models()
everything = pytest.mark.parametrize("name", MODELS)


def plain(name: str, seed: int = 1) -> Seq2Seq:
    torch.manual_seed(seed)
    config, shared = MODELS[name]
    model = build(config, zoo.VOCABULARY, zoo.VOCABULARY, shared).eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * (0.5 if config.width < 20 else 0.1))
    return model


def pair(name: str, kind: int = FP32, seed: int = 1) -> tuple[Seq2Seq, CompiledTransformer]:
    model = plain(name, seed)
    return model, CompiledTransformer(model, kind)  # type: ignore[arg-type]


def close(one: Tensor, other: Tensor) -> None:
    torch.testing.assert_close(one.float(), other.float(), rtol=1e-4, atol=1e-4)


def targets(rows: int = 4, length: int = 6, seed: int = 2) -> Tensor:
    words = torch.randint(4, zoo.VOCABULARY, (rows, length), generator=torch.Generator().manual_seed(seed))
    words[:, 0] = BOS
    return words


@everything
@torch.inference_mode()
def test_states_attention_and_logits_are_those_of_the_plain_model(name: str) -> None:
    model, fast = pair(name)
    source, target = zoo.ragged(), targets()
    for one, other in zip(vars(model.encode(source)).values(), vars(fast.encode(source)).values(), strict=True):
        close(one * model.encode(source).keep.unsqueeze(-1) if one.ndim == 3 else one, other)
    right, found = model(source, target, True), fast(source, target, True)
    close(right.states, found.states)
    close(right.attention, found.attention)
    assert fast(source, target).attention is None
    close(right.states, fast(source, target).states)
    view = model.views[-1]
    close(model(source, target, view).attention, fast(source, target, view).attention)
    close(model.output(right.states), fast.output(right.states))
    words = torch.tensor([0, 1, 2, 3, 6, 9])
    close(model.outputs(words)(right.states), fast.outputs(words)(right.states))
    assert fast.views == model.views and fast.words == model.words


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != FP32], ids=lambda kind: products.KINDS[kind])
@pytest.mark.parametrize("name", ["whole vectors, shared", "odd sizes", "heads of 80"])
@torch.inference_mode()
def test_less_precise_states_are_near(name: str, kind: int) -> None:
    model, fast = pair(name, kind)
    right, found = model(zoo.ragged(), targets(), True), fast(zoo.ragged(), targets(), True)
    far = (right.states - found.states).norm() / right.states.norm()
    assert 1e-5 < far < (0.01 if kind == BF16 else 0.05)  # that it is not fp32 shows
    assert (right.attention - found.attention).abs().max() < (0.02 if kind == BF16 else 0.1)
    logits = model.output(right.states)
    assert (logits - fast.output(found.states)).norm() / logits.norm() < (0.01 if kind == BF16 else 0.05)


@everything
@torch.inference_mode()
def test_any_cutting_of_the_target_gives_the_same(name: str) -> None:
    model, fast = pair(name)
    source, target = zoo.ragged(), targets()
    whole = model(source, target, True)
    for cut in ((1,) * 6, (3, 3), (1, 4, 1)):
        state, states, attention = fast.start(fast.encode(source)), [], []
        for piece in target.split(cut, 1):
            decoded, state = fast.advance(piece, state, True)
            states.append(decoded.states)
            attention.append(decoded.attention)
        close(torch.cat(states, 1), whole.states)
        close(torch.cat(attention, 1), whole.attention)


@kinds
@torch.inference_mode()
def test_rows_are_selected_and_reordered_and_may_branch(kind: int) -> None:
    _, fast = pair("whole vectors, shared", kind)
    source, target = zoo.ragged(), targets()
    direct = fast(source, target, True)
    rows = torch.tensor([2, 0, 0, 3, 1, 1])
    _, state = fast.advance(target[:, :3], fast.start(fast.encode(source)))
    branch = state.select(rows)  # more rows than there were
    alone, _ = fast.advance(target[:, 3:], state, True)
    selected, _ = fast.advance(target[rows, 3:], branch, True)  # after the other has gone on, from the same place
    close(alone.states, direct.states[:, 3:])
    close(selected.states, direct.states[rows, 3:])
    close(selected.attention, direct.attention[rows, 3:])

    pairs, moved = torch.arange(4).repeat_interleave(2), torch.tensor([1, 0, 2, 2, 5, 4, 7, 6])
    words = targets(8)
    states = [fast.advance(words[:, :3], fast.start(fast.encode(source[pairs])))[1] for _ in range(2)]
    close(
        fast.advance(words[:, 3:], states[0].reorder(moved), True)[0].states,
        fast.advance(words[:, 3:], states[1].select(moved), True)[0].states,
    )


@torch.inference_mode()
def test_many_rows_keep_their_room() -> None:
    """Room of megabytes goes back to the system when it is freed: who writes into it after that is killed."""
    torch.manual_seed(1)
    model = build(TransformerConfig(encoder_layers=1, decoder_layers=1), 100, 100).eval()
    mine = face.compiled(model, "fp32")
    source, target = torch.randint(4, 100, (300, 20)), torch.randint(4, 100, (300, 2))
    close(mine(source, target).states, model(source, target).states)


@torch.inference_mode()
def test_long_targets_find_room() -> None:
    """Token after token, over more than there is room for at first, with rows that leave and come back double."""
    model, fast = pair("transformer-pre-rotary-swiglu")
    source, target = zoo.ragged(), targets(4, 80)
    state, kept = fast.start(fast.encode(source)), torch.arange(4)
    for step in range(80):
        if step in (10, 33, 50):
            chosen = {10: [3, 1, 0], 33: [2, 0, 0, 1, 1, 2], 50: [5, 0]}[step]
            state, kept = state.select(torch.tensor(chosen)), kept[chosen]
        decoded, state = fast.advance(target[kept, step : step + 1], state)
        if step % 7 == 0:
            right = model(source[kept], target[kept, : step + 1]).states[:, -1:]
            close(decoded.states, right)


@torch.inference_mode()
def test_room_to_work_in_is_kept_while_it_is_used() -> None:
    """So much room that freeing it takes it out of the process: whoever went on to use it would be killed."""
    torch.manual_seed(1)
    sizes = {"width": 64, "heads": 1, "feed_forward": 16384, "encoder_layers": 1, "decoder_layers": 1}
    model = build(TransformerConfig.model_validate(sizes), zoo.VOCABULARY, zoo.VOCABULARY, False).eval()
    fast = CompiledTransformer(model, FP32)  # type: ignore[arg-type]
    source, target = zoo.ragged(lengths=(10,) * 40), targets(40, 10)
    close(model(source, target).states, fast(source, target).states)


# Words


@kinds
@given(st.integers(1, 7), st.integers(5, 1200), st.integers(1, 9), st.booleans(), st.integers(0, 2**32 - 1))
@examples(deadline=None, max_examples=25)
@torch.inference_mode()
def test_likeliest_words_are_those_of_all_log_probabilities(
    kind: int, rows: int, words: int, count: int, some_barred: bool, seed: int
) -> None:
    from ojak.compiled.output import CompiledOutput
    from ojak.model.seam import Output

    generator = torch.Generator().manual_seed(seed)
    weight, bias = torch.randn(words, 24, generator=generator), torch.randn(words, generator=generator)
    states = torch.randn(rows, 24, generator=generator) * 2
    fast = CompiledOutput(pack.Linear.of(kind, weight, bias), words, 24, kind)
    plain_one = Output(fast)  # the plain way from the same logits: what is compared is not how these are made
    count = min(count, words - 3)
    barred = sentence = None
    if some_barred:
        barred = torch.rand(3, words, generator=generator) < 0.3
        barred[:, :4] = False
        count = min(count, int((~barred[:, 3:]).sum(1).min()))
        sentence = torch.randint(0, 3, (rows,), generator=generator)
    right = plain_one.likeliest(states, count, barred, sentence)
    found = fast.likeliest(states, count, barred, sentence)
    close(found.scores, right.scores)
    close(found.end, right.end)
    assert found.words.equal(right.words)


@torch.inference_mode()
def test_of_equals_the_first_comes_first() -> None:
    from ojak.compiled.output import CompiledOutput

    fast = CompiledOutput(pack.Linear.of(FP32, torch.zeros(700, 16), None), 700, 16, FP32)
    found = fast.likeliest(torch.ones(2, 16), 5)
    assert found.words.tolist() == [[3, 4, 5, 6, 7]] * 2  # the end, and no other special
    assert found.scores.exp().mul(700).tolist() == [pytest.approx([1.0] * 5)] * 2


# Searches


def alike(model: Seq2Seq, fast: Seq2Seq, changes: dict[str, object], wishes: Wishes | None, seed: int = 1) -> None:
    source = zoo.ragged(seed)
    config = zoo.settings(**{"max_length": 12, **changes})
    right = search(model, source, config, True, wishes)
    found = search(fast, source, config, True, wishes)
    for one, other in zip(right, found, strict=True):
        assert [hypothesis.tokens for hypothesis in one] == [hypothesis.tokens for hypothesis in other]
        for hypothesis, its in zip(one, other, strict=True):
            assert hypothesis.score == pytest.approx(its.score, abs=1e-3)
            assert hypothesis.token_scores == pytest.approx(its.token_scores, abs=1e-3)
            close(hypothesis.attention, its.attention)


@everything
@pytest.mark.parametrize("beam", [1, 4])
def test_searches_find_the_same(name: str, beam: int) -> None:
    for seed in (1, 2):
        model, fast = pair(name, seed=seed)
        alike(model, fast, {"beam": beam, "n_best": beam}, None, seed)


@pytest.mark.parametrize("way", WAYS)
def test_every_way_of_looking_finds_the_same(way: str) -> None:
    model, fast = pair("transformer-post-sinusoid-relu", seed=3)
    alike(model, fast, *WAYS[way])


def test_shortlists_find_the_same() -> None:
    model, fast = pair("whole vectors, shared")
    lists = [torch.tensor(words) for words in ([4, 5, 9], [4, 6, 7, 10], [8], [5, 6])]
    for beam in (1, 3):
        alike(model, fast, {"beam": beam}, Wishes([Wish(words=words) for words in lists]))


@kinds
def test_threads_share_a_model(kind: int) -> None:
    _, fast = pair("whole vectors, shared", kind)
    config = zoo.settings(beam=3, max_length=30)
    many = [zoo.ragged(seed) for seed in range(12)]
    alone = [search(fast, source, config) for source in many]
    with ThreadPoolExecutor(4) as threads:
        together = list(threads.map(lambda source: search(fast, source, config), many))
    for one, other in zip(alone, together, strict=True):
        assert [h.tokens for found in one for h in found] == [h.tokens for found in other for h in found]
        assert [h.score for found in one for h in found] == [h.score for found in other for h in found]


# Who gets it


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    small = {
        "architecture": "transformer",
        "width": 32,
        "heads": 2,
        "feed_forward": 64,
        "encoder_layers": 1,
        "decoder_layers": 1,
    }
    made = {}
    for name, changes in (("transformer", {"model": small, "train": {"updates": 120}}), ("recurrent", {})):
        made[name] = folder / name
        train_run(tiny.settings(tiny.corpus(folder), {**changes}), made[name], tiny.Silent())
    return made


TEXTS = [" ".join(words) for words in ([*tiny.WORDS[:5]], [*tiny.WORDS[3:]], ["ab"], ["kl", "kl", "ef"])] * 30


@pytest.mark.parametrize("precision", [products.KINDS[kind] for kind in KINDS])
@pytest.mark.parametrize("name", ["transformer", "recurrent"])
def test_precisions_translate_alike(runs: dict[str, Path], name: str, precision: str) -> None:
    exact = ojak.load(runs[name], precision="exact").translate(TEXTS)
    maker = ojak.load(runs[name], precision=precision, workers=2)  # type: ignore[arg-type]
    found = maker.translate(TEXTS, attention=True)
    same = sum(one.text == other.text for one, other in zip(exact, found, strict=True))
    assert same == len(TEXTS) if precision == "fp32" else same > 0.7 * len(TEXTS)
    for one, other in zip(exact, found, strict=True):
        if one.text == other.text:
            assert one.score == pytest.approx(other.score, abs={"fp32": 1e-3, "bf16": 0.1, "int8": 0.5}[precision])
    single = ojak.load(runs[name], precision=precision, workers=1)  # type: ignore[arg-type]
    assert [one.text for one in single.translate(TEXTS)] == [one.text for one in found]
    forced = single.force(TEXTS[:3], [one.text for one in found[:3]])
    assert [one.score for one in forced] == pytest.approx([one.score for one in found[:3]], abs=1e-3)


def test_auto_compiles_what_it_can_and_looking_inside_is_plain(runs: dict[str, Path]) -> None:
    maker = ojak.load(runs["transformer"])
    assert isinstance(maker, ojak.Translator) and isinstance(maker.model, CompiledTransformer)
    assert not isinstance(maker.plain, CompiledTransformer)
    exact = ojak.load(runs["transformer"], precision="exact")
    assert isinstance(exact, ojak.Translator) and exact.plain is exact.model
    for view in ("gradient", "rollout"):
        assert_allclose(
            maker.inside("ab cd").map(view).values, exact.inside("ab cd").map(view).values, rtol=1e-3, atol=1e-4
        )
    assert [token.text for token in maker.stream("ab cd ef")] == [token.text for token in exact.stream("ab cd ef")]
    recurrent = ojak.load(runs["recurrent"])
    assert isinstance(recurrent, ojak.Translator) and isinstance(recurrent.model, CompiledRecurrent)


def test_what_cannot_be_had_is_refused(runs: dict[str, Path], monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UseError, match="bf16 needs a single model, but these are several"):
        ojak.load(runs["transformer"], ensemble=[runs["transformer"]], precision="bf16")
    assert isinstance(ojak.load(runs["transformer"], ensemble=[runs["transformer"]]), ojak.Translator)
    with pytest.raises(UseError, match="fp32 needs a CPU, but the device is cuda"):
        face.settled("fp32", plain("untied"), torch.device("cuda"))
    with pytest.raises(UseError, match="must be one of"):
        ojak.load(runs["transformer"], precision="int4")  # type: ignore[arg-type]
    monkeypatch.setattr(products, "SERVES", (True, False, False))
    with pytest.raises(UseError, match=r"int8 needs a processor with AVX512-VNNI.*precision fp32"):
        ojak.load(runs["transformer"], precision="int8")
    monkeypatch.setattr(face.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UseError, match=r"bf16 needs numba, but it is not installed: pip install 'ojak\[fast\]'"):
        ojak.load(runs["transformer"], precision="bf16")
    maker = ojak.load(runs["transformer"])
    assert isinstance(maker, ojak.Translator) and maker.plain is maker.model


def test_the_command_line_takes_a_precision(runs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    from ojak.cli import main

    text = runs["transformer"].parent / "text"
    text.write_text("ab cd\nkl mn op\n", encoding="utf-8")
    told = {}
    for precision in ("exact", "fp32"):
        words = ["translate", str(runs["transformer"]), str(text), "--precision", precision, "--workers", "2"]
        assert main(words) == 0
        told[precision] = capsys.readouterr().out
    assert told["exact"] == told["fp32"] and told["exact"].count("\n") == 2
    both = ["translate", str(runs["recurrent"]), "--ensemble", str(runs["recurrent"]), str(text)]
    assert main([*both, "--precision", "fp32"]) == 2
    assert "fp32 needs a single model" in capsys.readouterr().err


PORTABLE = """
import sys
sys.path.insert(0, sys.argv[1])
from test_compiled import *
assert not products.WIDE and products.SERVES == (True, False, False), "it must compile for the smaller processor"
for name in MODELS:
    for beam in (1, 4):
        alike(*pair(name), {"beam": beam, "n_best": beam}, None)
"""


@pytest.mark.slow
def test_smaller_processors_are_served_in_fp32(tmp_path: Path) -> None:
    """Compiled for AVX2: other vectors, other tiles."""
    features = "+avx,+avx2,+fma,+f16c,+bmi,+bmi2,+sse4.2,+popcnt"
    environment = {
        **os.environ,
        "NUMBA_CPU_NAME": "haswell",
        "NUMBA_CPU_FEATURES": features,
        "XDG_CACHE_HOME": str(tmp_path),
    }
    done = subprocess.run(
        [sys.executable, "-c", PORTABLE, str(Path(__file__).parent)], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-2000:]
