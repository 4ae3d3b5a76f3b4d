"""Views of which words a word came from: each against plain loops, the changed sentence itself, or captum."""

from __future__ import annotations

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from zoo import ZOO, make, ragged

from ojak import batch
from ojak.attribution import agreement, attention, gradients, occlusion, share
from ojak.attribution.inside import COMPARED, QUICK, Inside
from ojak.batch import Batch
from ojak.config import ModelConfig, RecurrentConfig, TransformerConfig
from ojak.errors import UseError
from ojak.maps import Map
from ojak.model.build import build
from ojak.model.ensemble import Ensemble
from ojak.model.fused import states
from ojak.model.seam import Seq2Seq
from ojak.result import Translation
from ojak.text.vocabulary import EOS, PAD
from ojak.translate import Translator
from ojak.words import groups, joined

TRANSFORMERS = [name for name in ZOO if name.startswith("transformer")]
ATTENTIVE = [name for name in ZOO if "-none-" not in name]
everything = pytest.mark.parametrize("name", ZOO)
transformers = pytest.mark.parametrize("name", TRANSFORMERS)


def pair(seed: int = 3, source: int = 5, target: int = 4) -> Batch:
    words = torch.randint(4, 11, (source + target,), generator=torch.Generator().manual_seed(seed)).tolist()
    return batch.collate([words[:source]], [words[source:]], torch.device("cpu"))


def close(one: torch.Tensor, other: torch.Tensor, tolerance: float = 1e-9) -> None:
    torch.testing.assert_close(one, other, rtol=tolerance, atol=tolerance)


def said(model: Seq2Seq, source: torch.Tensor, one: Batch) -> torch.Tensor:
    """The log-probability (T) of each target token after `source` (1,S), by the model's plain forward pass."""
    scores = model.output(model(source, one.target_in).states).log_softmax(-1)[0]
    return scores[torch.arange(scores.shape[0]), one.target_out[0]].detach()


def opened(model: Seq2Seq, one: Batch) -> Inside:
    source = tuple(f"▁s{place}" for place in range(one.source.shape[1] - 1))
    target = tuple(f"▁t{place}" for place in range(one.target_out.shape[1] - 1))
    translation = Translation("s", "t", (*source, "</s>"), (*target, "</s>"), -1.0, None, model.views)
    return Inside(model, one, translation)


# --- attention -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ATTENTIVE)
def test_norms_are_those_of_each_heads_own_vectors(name: str) -> None:
    model, one = make(name), pair()
    memory = model.encode(one.source).states[0].detach()
    weights = model(one.source, one.target_in, True).attention[0].detach()  # (T,K,S)
    for place, view in enumerate(model.views):
        if name in TRANSFORMERS:
            layer, head = (int(part.lstrip("layerhd")) for part in view.split("."))
            cross = model.decoder[layer].cross
            width = cross.value.out_features // cross.heads
            rows = slice(head * width, (head + 1) * width)
            vectors = (memory @ cross.value.weight[rows].T + cross.value.bias[rows]) @ cross.out.weight[:, rows].T
        else:
            vectors = memory
        length = torch.stack(
            [torch.stack([(weights[t, place, s] * vectors[s]).norm() for s in range(6)]) for t in range(5)]
        )
        close(attention.norms(model, one, view).detach(), (length / length.sum(1, keepdim=True)).detach())


@transformers
def test_transformed_vectors_add_up_to_what_attention_gives(name: str) -> None:
    """Σ_h Σ_s α f(x) and the output layer's bias are the output of the cross-attention itself."""
    model, one = make(name), pair()
    given_out: list[torch.Tensor] = []
    hooks = [
        layer.cross.register_forward_hook(lambda _m, _i, out: given_out.append(states(out[0], one.target_in.shape)[0]))
        for layer in model.decoder
    ]
    state = model.start(model.encode(one.source))
    vectors = model.transformed(state)[0]
    weights = model.advance(one.target_in, state, True)[0].attention[0]
    for hook in hooks:
        hook.remove()
    heads = model.config.heads
    for number, layer in enumerate(model.decoder):
        part = slice(number * heads, (number + 1) * heads)
        added = torch.einsum("tks,kse->te", weights[:, part], vectors[part])
        close(added + layer.cross.out.bias, given_out[number])


@transformers
def test_a_layers_norm_is_of_the_sum_over_its_heads(name: str) -> None:
    model, one = make(name), pair()
    state = model.start(model.encode(one.source))
    vectors = model.transformed(state)[0]
    weights = model.advance(one.target_in, state, True)[0].attention[0]
    lengths = []
    for layer in range(2):
        found = torch.zeros(5, 6, dtype=torch.float64)
        for t in range(5):
            for s in range(6):
                found[t, s] = sum(weights[t, k, s] * vectors[k, s] for k in (2 * layer, 2 * layer + 1)).norm()
        lengths.append(found)
        close(attention.norms(model, one, f"layer{layer}").detach(), (found / found.sum(1, keepdim=True)).detach())
    both = lengths[0] + lengths[1]
    close(attention.norms(model, one, "mean").detach(), (both / both.sum(1, keepdim=True)).detach())


@transformers
def test_self_attention_is_a_distribution_over_real_tokens_and_causal(name: str) -> None:
    model, source = make(name), ragged()
    target = torch.randint(4, 11, (4, 6), generator=torch.Generator().manual_seed(2))
    encoder, decoder = model.self_attention(source, target)
    assert encoder.shape == (4, 2, 2, 7, 7) and decoder.shape == (4, 2, 2, 6, 6)
    for maps in (encoder, decoder):
        close(maps.sum(-1), torch.ones_like(maps[..., 0]))
    assert encoder[(source == PAD)[:, None, None, None].expand_as(encoder)].eq(0).all()
    assert decoder[torch.ones(6, 6).triu(1).bool().expand_as(decoder)].eq(0).all()
    assert (decoder[torch.ones(6, 6).tril().bool().expand_as(decoder)] > 0).all()


@transformers
def test_self_attention_is_that_of_the_very_pass_that_translates(name: str) -> None:
    """The softmax of the queries and keys that a plain pass computes; asking for the maps changes nothing."""
    model, one = make(name), pair()
    before = model(one.source, one.target_in).states
    asked: dict[nn.Module, list[torch.Tensor]] = {}
    own = [layer.own for layer in (*model.encoder, *model.decoder)]
    hooks = [
        each.register_forward_pre_hook(lambda module, args: asked.update({module: list(args[:2])})) for each in own
    ]
    after = model(one.source, one.target_in).states
    plain = []
    for number, each in enumerate(own):
        query, keys = asked[each]
        scores = query @ keys.transpose(-1, -2) / math.sqrt(query.shape[-1])
        if number >= 2:
            scores = scores.masked_fill(torch.ones(5, 5).triu(1).bool(), -math.inf)
        plain.append(scores.softmax(-1)[0])
    maps = model.self_attention(one.source, one.target_in)
    for hook in hooks:
        hook.remove()
    close(maps[0][0], torch.stack(plain[:2]))
    close(maps[1][0], torch.stack(plain[2:]))
    close(before, after)
    close(before, model(one.source, one.target_in).states)


@transformers
def test_rollout_is_the_product_of_the_layers(name: str) -> None:
    model, one = make(name), pair()
    encoder = model.self_attention(one.source, one.target_in)[0][0].detach().numpy()
    cross = model(one.source, one.target_in, True).attention[0].detach().numpy()  # (T,K,S)
    one_half = [0.5 * layer.mean(0) + 0.5 * np.eye(6) for layer in encoder]
    mixture = np.zeros((6, 6))
    for top in range(6):
        for word in range(6):
            mixture[top, word] = sum(one_half[1][top, middle] * one_half[0][middle, word] for middle in range(6))
    for view, heads in (("mean", range(4)), ("layer1", (2, 3)), ("layer0.head1", (1,))):
        found = attention.rollout(model, one, view).detach().numpy()
        np.testing.assert_allclose(found, cross[:, list(heads)].mean(1) @ mixture, atol=1e-12)
        np.testing.assert_allclose(found.sum(1), 1)


# --- what the output hangs on ----------------------------------------------------------------------------------------


@everything
@pytest.mark.parametrize("taken", [[[0], [1], [2], [3], [4], [5]], [[0, 1], [2], [3, 4]]], ids=["tokens", "words"])
def test_occlusion_is_the_model_on_the_changed_sentence(name: str, taken: list[list[int]]) -> None:
    model, one = make(name), pair()
    found = occlusion.occlusion(model, one, taken)
    whole = said(model, one.source, one)
    for place, group in enumerate(taken):
        rest = [int(word) for s, word in enumerate(one.source[0]) if s not in group]
        close(found[:, place], whole - said(model, torch.tensor([rest]), one))


def test_long_sentences_are_occluded_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, one = make(TRANSFORMERS[0]), pair()
    every = [[place] for place in range(6)]
    whole = occlusion.occlusion(model, one, every)
    monkeypatch.setattr(occlusion, "ROWS", 7)
    close(occlusion.occlusion(model, one, every), whole)


@everything
def test_gradient_times_input_is_the_slope_of_a_longer_vector(name: str) -> None:
    """x_j · ∂f/∂x_j is how f moves when the vector x_j alone grows by a small share: central differences."""
    model, one = make(name), pair()
    found = gradients.gradient_input(model, one)
    words = gradients.word_vectors(model, one)
    step = 1e-5
    for side, length in (("source", 6), ("target", 5)):
        for place in range(length):
            ends = []
            for sign in (1, -1):
                grown = {"source": words.source.clone(), "target": words.target.clone()}
                grown[side][place] *= 1 + sign * step
                ends.append(gradients.value(model, one, gradients.Vectors(**grown)))
            close(getattr(found, side)[:, place], (ends[0] - ends[1]) / (2 * step), 1e-6)


@pytest.mark.parametrize("name", ["rnn-none-start", "gru-additive-before", "lstm-general-feeding", *TRANSFORMERS])
@pytest.mark.parametrize("target", [False, True])
def test_integrated_gradients_are_complete(name: str, target: bool) -> None:
    """Each row sums to the difference of outputs, which is taken here from the words themselves and from zeros. With
    weights as training begins with: between the wild ones of `make` the output leaps about."""
    torch.manual_seed(1)
    model, one = build(ZOO[name], 11, 11).double().eval(), pair()
    found = gradients.integrated(model, one, steps=128, target=target)
    words = gradients.word_vectors(model, one)
    none = gradients.no_words(one, words, target=target)
    assert not none.source[:-1].any() and none.source[-1].equal(words.source[-1])
    close(gradients.value(model, one, words), said(model, one.source, one))
    due = said(model, one.source, one) - gradients.value(model, one, none)
    total = found.source.sum(1) + found.target.sum(1)
    assert float((total - due).abs().max()) < 2e-2 * max(1.0, float(due.abs().max()))
    assert gradients.missed(model, one, found, target) == pytest.approx(float((total - due).abs().max()))
    assert not found.source[:, -1].any() and (target or not found.target.any())


def test_integrated_gradients_take_more_steps_where_few_miss_the_sum(monkeypatch: pytest.MonkeyPatch) -> None:
    """A pre-norm Transformer whose words make all the difference: thirty-two steps are nats away."""
    torch.manual_seed(3)
    model, one = build(ZOO["transformer-pre-rotary-swiglu"], 11, 11).double().eval(), pair()
    for weight in (model.source.weight, model.target.weight):
        weight.data *= 10
    few = gradients.missed(model, one, gradients.integrated(model, one))
    found, off = gradients.refined(model, one)
    assert few > 1 and off < 0.1 and off == gradients.missed(model, one, found)
    monkeypatch.setattr(gradients, "MOST", 1)
    assert gradients.refined(model, one)[1] == few


@pytest.mark.parametrize("name", ["lstm-none-every_step", "gru-additive-before", "gru-dot-after", *TRANSFORMERS[:2]])
def test_gradients_are_those_of_captum(name: str) -> None:
    captum = pytest.importorskip("captum.attr")
    model, one = make(name), pair()
    words = gradients.word_vectors(model, one)
    none = gradients.no_words(one, words)

    def score(source: torch.Tensor, target: torch.Tensor, at: int) -> torch.Tensor:
        reading = gradients.given(model, source, target)
        ids = one.source.expand(len(source), -1), one.target_in.expand(len(source), -1)
        return reading.output(reading(*ids).states).log_softmax(-1)[:, at, one.target_out[0, at]]

    def of_source(source: torch.Tensor, at: int) -> torch.Tensor:
        return score(source, vectors[1].expand(len(source), -1, -1), at)

    vectors = words.source.unsqueeze(0).requires_grad_(), words.target.unsqueeze(0).requires_grad_()
    times, path = gradients.gradient_input(model, one), gradients.integrated(model, one, steps=9, slow=1)
    for t in range(5):
        theirs = captum.InputXGradient(score).attribute(vectors, additional_forward_args=(t,))
        close(times.source[t], theirs[0][0].sum(-1))
        close(times.target[t], theirs[1][0].sum(-1))
        theirs = captum.IntegratedGradients(of_source).attribute(
            vectors[0], none.source.unsqueeze(0), additional_forward_args=(t,), n_steps=9, method="gausslegendre"
        )
        close(path.source[t], theirs[0].sum(-1), 1e-6)  # captum rounds its steps to single precision


def test_gradients_of_a_long_pair_go_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    model, one = make(TRANSFORMERS[1]), pair()
    whole = gradients.integrated(model, one, steps=4, target=True)
    monkeypatch.setattr(gradients, "TOKENS", 20)
    parts = gradients.integrated(model, one, steps=4, target=True)
    close(parts.source, whole.source)
    close(parts.target, whole.target)


@everything
def test_shares_are_shapley_values_of_models_that_do_not_know_the_words(name: str) -> None:
    model, one = make(name), pair()

    def worth(source: bool, target: bool) -> torch.Tensor:
        blind = copy.deepcopy(model)
        blind.project.weight = nn.Parameter(blind.project.weight.clone())  # may be tied to the words
        for there, words, kept in ((source, blind.source, EOS), (target, blind.target, int(one.target_in[0, 0]))):
            if not there:
                vectors = torch.zeros_like(words.weight)
                vectors[kept] = words.weight[kept]
                words.weight = nn.Parameter(vectors)
        return said(blind, one.source, one)

    v11, v10, v01, v00 = worth(True, True), worth(True, False), worth(False, True), worth(False, False)
    found = share.share(model, one)
    close(found[:, 0], ((v11 - v01) + (v10 - v00)) / 2)
    close(found[:, 1], ((v11 - v10) + (v01 - v00)) / 2)
    close(found.sum(1), v11 - v00)
    assert float(found[0, 1].abs()) < 1e-12  # nothing was said before the first token


@everything
def test_looking_inside_leaves_the_model_as_it_was(name: str) -> None:
    model, one = make(name), pair()
    before, source = {key: value.clone() for key, value in model.state_dict().items()}, model.source
    inside = opened(model, one)
    for view in inside.views:
        inside.map(view)
    assert model.source is source and all(parameter.grad is None for parameter in model.parameters())
    assert all(value.equal(before[key]) for key, value in model.state_dict().items())
    assert not any(module._forward_hooks or module._forward_pre_hooks for module in model.modules())


# --- what has a meaning for which model ------------------------------------------------------------------------------


def test_views_that_mean_nothing_for_a_model_are_refused_with_the_reason() -> None:
    vector, recurrent = opened(make("gru-none-start"), pair()), opened(make("gru-additive-before"), pair())
    assert vector.views == ["occlusion", "gradient", "integrated", "share"]
    assert recurrent.views == ["weights", "norms", "occlusion", "gradient", "integrated", "share"]
    assert opened(make(TRANSFORMERS[0]), pair()).views == [*recurrent.views[:2], "rollout", *recurrent.views[2:]]
    for view in ("weights", "norms", "rollout"):
        with pytest.raises(UseError, match="one vector"):
            vector.map(view)
    with pytest.raises(UseError, match="recurrent and have none"):
        recurrent.map("rollout")
    with pytest.raises(UseError, match="recurrent and have none"):
        recurrent.self_map("encoder")
    both = opened(Ensemble([make("gru-additive-before", 1), make("gru-additive-before", 2)]).eval(), pair())
    assert both.views == ["weights", "occlusion"]
    for ask in (lambda: both.map("gradient"), both.heads):
        with pytest.raises(UseError, match="by itself"):
            ask()
    for wrong, message in (
        ({"view": "weight"}, "one of weights, norms.*'weight'"),
        ({"layer": 0}, "it has one view"),
        ({"head": 0}, "head belongs to a layer"),
        ({"view": "occlusion", "layer": 0}, "leave them out"),
        ({"view": "occlusion", "before": True}, "gradient or integrated"),
        ({"view": "additive", "layer": 0}, "leave --layer"),
    ):
        with pytest.raises(UseError, match=message):
            recurrent.map(**wrong)  # type: ignore[arg-type]
    inside = opened(make(TRANSFORMERS[0]), pair())
    with pytest.raises(UseError, match="from 0 to 1; found 2"):
        inside.map("norms", layer=2)
    with pytest.raises(UseError, match="from 0 to 1; found -1"):
        inside.self_map("decoder", layer=0, head=-1)


def test_layers_and_heads_are_those_named() -> None:
    model, one = make(TRANSFORMERS[1]), pair()
    inside = opened(model, one)
    weights = model(one.source, one.target_in, True).attention[0].detach().numpy()
    np.testing.assert_allclose(inside.map(layer=1, head=0).values, weights[:, 2], atol=1e-6)
    np.testing.assert_allclose(inside.map("layer1").values, weights[:, 2:].mean(1), atol=1e-6)
    np.testing.assert_allclose(inside.map().values, weights.mean(1), atol=1e-6)
    encoder, decoder = (side[0].detach().numpy() for side in model.self_attention(one.source, one.target_in))
    np.testing.assert_allclose(inside.self_map("encoder", 1, 0).values, encoder[1, 0], atol=1e-6)
    np.testing.assert_allclose(inside.self_map("decoder", 0).values, decoder[0].mean(0), atol=1e-6)
    np.testing.assert_allclose(inside.self_map("decoder").values, decoder.mean((0, 1)), atol=1e-6)
    assert inside.self_map("decoder").columns == ("<s>", "▁t0", "▁t1", "▁t2", "▁t3")
    heads = inside.heads()
    np.testing.assert_allclose(heads.encoder, encoder, atol=1e-6)
    np.testing.assert_allclose(heads.decoder, decoder, atol=1e-6)
    np.testing.assert_allclose(heads.cross.reshape(4, 5, 6), weights.transpose(1, 0, 2), atol=1e-6)


# --- words -----------------------------------------------------------------------------------------------------------


def test_pieces_are_merged_to_words() -> None:
    assert groups(("▁a", "b", "<0xEC>", "<0x95>", "▁c", "</s>")) == [[0, 1, 2, 3], [4], [5]]
    assert groups(("a", "b", "</s>")) == [[0], [1], [2]]  # nothing is marked: each token is a word
    assert groups(("<s>", "b", "▁c")) == [[0], [1], [2]]
    assert joined(("▁a", "<0xEC>", "<0x95>", "<0x88>", "b")) == "▁a안b"
    assert groups(()) == []


@pytest.mark.parametrize("view", ["weights", "norms", "occlusion", "integrated", "share"])
def test_words_are_sums_of_columns_and_rows(view: str) -> None:
    model, one = make(TRANSFORMERS[0]), pair()
    source, target = ("▁a", "b", "▁c", "▁d", "e", "</s>"), ("▁x", "y", "▁z", "w", "</s>")
    inside = Inside(model, one, Translation("", "", source, target, 0.0, None, model.views))
    pieces, words = inside.map(view), inside.map(view, words=True)
    rows = [pieces.values[group] for group in ([0, 1], [2, 3], [4])]
    merged = np.stack([part.sum(0) if pieces.unit == "nats" else part.mean(0) for part in rows])
    assert words.rows == ("▁xy", "▁zw", "</s>")
    if view == "share":
        assert words.columns == pieces.columns
    else:
        assert words.columns == ("▁ab", "▁c", "▁de", "</s>")
        merged = np.stack([merged[:, group].sum(1) for group in ([0, 1], [2], [3, 4], [5])], 1)
    if view == "occlusion":  # the word is taken out as a whole, which is not the sum of its pieces
        whole = said(model, one.source, one) - said(model, one.source[:, 2:], one)
        np.testing.assert_allclose(words.values[:2, 0], [whole[:2].sum(), whole[2:4].sum()], rtol=1e-5)
    else:
        np.testing.assert_allclose(words.values, merged, rtol=1e-4, atol=1e-5)


# --- agreement -------------------------------------------------------------------------------------------------------

numbers = st.lists(st.integers(-4, 4), min_size=3, max_size=9)


@settings(max_examples=80, deadline=None)
@given(numbers, st.randoms(use_true_random=False))
def test_rank_correlations_are_their_definitions(first: list[int], random: object) -> None:
    second = list(first)
    random.shuffle(second)  # type: ignore[attr-defined]
    one, other = np.array(first, float), np.array(second, float)
    if np.ptp(one) == 0:
        assert math.isnan(agreement.spearman(one, other)) and math.isnan(agreement.kendall(one, other))
        return
    ranked = [[sorted(each).index(v) + (each.count(v) - 1) / 2 for v in each] for each in (first, second)]
    assert agreement.spearman(one, other) == pytest.approx(np.corrcoef(*ranked)[0, 1])
    same = opposite = tied_one = tied_other = 0
    for i in range(len(first)):
        for j in range(i):
            product = (first[i] - first[j]) * (second[i] - second[j])
            same, opposite = same + (product > 0), opposite + (product < 0)
            tied_one, tied_other = tied_one + (first[i] != first[j]), tied_other + (second[i] != second[j])
    assert agreement.kendall(one, other) == pytest.approx((same - opposite) / math.sqrt(tied_one * tied_other))


def test_every_map_compared_tells_of_the_others() -> None:
    inside = opened(make(TRANSFORMERS[0]), pair())
    shown, others = inside.compared(inside.map("occlusion"))
    assert [other.view for other in others] == [view for view in QUICK if view != "occlusion"]
    for one in (shown, *others):
        rest = [other for other in (shown, *others) if other is not one]
        assert one.notes[-1] == agreement.told(one, rest)[0] and f" {one.view} " not in one.notes[-1]
    for view, before in (("share", False), ("gradient", True)):  # no order of source words alone
        assert inside.compared(inside.map(view, before=before))[1] == []
    assert inside.compared(inside.self_map("encoder"))[1] == []


def test_integrated_gradients_are_worked_out_only_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, asked = opened(make(TRANSFORMERS[0]), pair()), []
    integrated = gradients.integrated
    monkeypatch.setattr(gradients, "integrated", lambda *a, **b: asked.append(1) or integrated(*a, **b))
    monkeypatch.setattr(Translator, "inside", lambda *a: inside)
    translator = Translator.__new__(Translator)
    assert translator.attribute("", "occlusion").notes[-1].count("·") == len(QUICK) - 2 and not asked
    assert translator.attribute("", "integrated").notes[-1].count("·") == len(QUICK) - 1 and asked


def test_bytes_of_a_character_are_columns_of_their_own_in_all_views() -> None:
    source, target = ("▁a", "<0xEC>", "<0x95>", "<0x88>", "b", "</s>"), ("▁x", "y", "▁z", "w", "</s>")
    model = make(TRANSFORMERS[0])
    inside = Inside(model, pair(), Translation("", "", source, target, 0.0, None, model.views))
    for words, columns in ((False, source), (True, ("▁a안b", "</s>"))):
        shown, others = inside.compared(inside.map("occlusion", words=words), words=words)
        assert {one.columns for one in (shown, *others)} == {columns}


def test_known_rank_correlations() -> None:
    one, other = np.array([1.0, 2, 3, 4, 5]), np.array([2.0, 1, 4, 3, 5])
    assert agreement.spearman(one, other) == pytest.approx(0.8)  # 1 − 6·4 / (5·24)
    assert agreement.kendall(one, other) == pytest.approx(0.6)  # (8 − 2) / 10


def test_agreement_is_of_words_by_how_much_they_mattered() -> None:
    def shown(values: list[list[float]], view: str = "occlusion") -> Map:
        made = Translation("", "", (), (), 0.0)
        rows = ("x", "y", "</s>")
        return Map(view, view, "nats", np.array(values), rows, ("a", "b", "c", "</s>"), made)

    one = shown([[1, 2, 3, 99], [1, 2, 3, 0], [9, 0, 1, 0]])
    other = shown([[-1, -2, -3, 0], [3, 2, 1, 0], [0, 0, 9, 0]], "norms")
    found = agreement.agreement(one, other)
    assert found is not None and (found.spearman, found.kendall, found.rows) == (0.0, 0.0, 2)
    assert agreement.agreement(one, shown([[0, 0, 0, 5]] * 3)) is None
    (line,) = agreement.told(one, [one, other])
    assert "occlusion +1.00 / +1.00 · norms +0.00 / +0.00" in line


# --- tasks whose answer is known -------------------------------------------------------------------------------------


def taught(config: ModelConfig, reverse: bool) -> Seq2Seq:
    """A model that has learnt to copy or to reverse words, until it is nearly sure of each."""
    torch.manual_seed(7)
    model = build(config, 16, 16)
    optimizer = torch.optim.Adam(model.parameters(), 4e-3)
    generator = torch.Generator().manual_seed(1)
    sure = 0
    for _ in range(3000):
        length = int(torch.randint(3, 7, (), generator=generator))
        words = torch.stack([torch.randperm(12, generator=generator)[:length] + 4 for _ in range(48)]).tolist()
        one = batch.collate(words, [row[::-1] for row in words] if reverse else words, torch.device("cpu"))
        logits = model.output(model(one.source, one.target_in).states)
        loss = nn.functional.cross_entropy(logits.flatten(0, 1), one.target_out.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        sure = sure + 1 if loss < 0.01 else 0
        if sure == 20:  # one batch alone may be an easy one
            break
    return model.eval()


SMALL: dict[str, object] = {"encoder_layers": 1, "decoder_layers": 1, "width": 32, "heads": 2, "feed_forward": 64}
TASKS: dict[str, tuple[ModelConfig, bool]] = {
    "transformer copies": (TransformerConfig.model_validate({**SMALL, "dropout": 0.0}), False),
    "gru reverses": (RecurrentConfig(embedding=24, width=48, dropout=0.0), True),
}


# Chance is 0.2. Gradients tell least: where a model is sure, the slope at the word itself is flat.
LEAST = {"occlusion": 0.95, "weights": 0.9, "norms": 0.9, "rollout": 0.8, "integrated": 0.8, "gradient": 0.5}


@pytest.mark.parametrize("task", TASKS)
def test_on_a_task_whose_answer_is_known_the_views_point_at_the_right_word(task: str) -> None:
    """Of sixty words copied, the share for which the word that counts most is the one copied is at least LEAST."""
    config, reverse = TASKS[task]
    model = taught(config, reverse)
    right: dict[str, list[bool]] = {}
    for seed in range(12):
        words = (torch.randperm(12, generator=torch.Generator().manual_seed(100 + seed))[:5] + 4).tolist()
        one = batch.collate([words], [words[::-1] if reverse else words], torch.device("cpu"))
        assert said(model, one.source, one).exp().min() > 0.5
        inside = opened(model, one)
        for view in set(COMPARED) & set(inside.views):
            most = inside.map(view).values[:5, :5].argmax(1)
            right.setdefault(view, []).extend(most == (np.arange(5)[::-1] if reverse else np.arange(5)))
    found = {view: float(np.mean(each)) for view, each in right.items()}
    assert not {view: share for view, share in found.items() if share < LEAST[view]}, found
    assert len(found) == (5 if reverse else 6)
