"""A GPU computes what the processor computes. Skipped where there is none that torch can use."""

from __future__ import annotations

import copy
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from zoo import ZOO, make, ragged, settings

import ojak
from ojak.batch import Batch
from ojak.config import read_recipe
from ojak.model.build import build
from ojak.search import search
from ojak.text.vocabulary import BOS, EOS
from ojak.train.loss import plain_cross_entropy
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that torch can use"),
    pytest.mark.filterwarnings("ignore:RNN module weights are not part of single contiguous chunk"),
]
everything = pytest.mark.parametrize("name", ZOO)
GPU = torch.device("cuda")


def on_gpu(batch: Batch) -> Batch:
    sides = (side.to(GPU) for side in (batch.source, batch.target_in, batch.target_out))
    return Batch(*sides, batch.tokens, batch.seed)


def drawn(rows: int = 8, vocabulary: int = 11) -> Batch:
    source = torch.randint(4, vocabulary, (rows, 7))
    target = torch.randint(4, vocabulary, (rows, 6))
    before, after = target.clone(), torch.cat([target[:, 1:], torch.full((rows, 1), EOS)], 1)
    before[:, 0] = BOS
    return Batch(source, before, after, after.numel(), seed=3)


@everything
def test_states_and_attention(name: str) -> None:
    model, source = make(name), ragged()
    target = torch.randint(4, 11, (len(source), 6))
    near, far = model(source, target, True), copy.deepcopy(model).to(GPU)(source.to(GPU), target.to(GPU), True)
    torch.testing.assert_close(far.states.cpu(), near.states)
    assert (near.attention is None) == (far.attention is None)
    if near.attention is not None and far.attention is not None:
        torch.testing.assert_close(far.attention.cpu(), near.attention)


@everything
@pytest.mark.parametrize("beam", [1, 3])
def test_search(name: str, beam: int) -> None:
    model, source = make(name), ragged()
    config = settings(beam=beam, n_best=beam)
    near = search(model, source, config, True)
    far = search(copy.deepcopy(model).to(GPU), source.to(GPU), config, True)
    for one, other in zip(near, far, strict=True):
        assert [found.tokens for found in one] == [found.tokens for found in other]
        assert [found.score for found in one] == pytest.approx([found.score for found in other])


@everything
def test_gradients(name: str) -> None:
    """Without dropout, in fp32: those of the plain loss on the processor."""
    torch.manual_seed(1)
    config = ZOO[name]
    model, batch = build(config, 11, 11), drawn()
    found = model(batch.source, batch.target_in).states
    plain_cross_entropy(model, found, batch.target_out, 0.1).smoothed.backward()
    wanted = {key: weight.grad.clone() for key, weight in model.named_parameters() if weight.grad is not None}
    model.zero_grad()
    recipe = read_recipe({"train": {"precision": "exact", "clip": 1e6}})
    far = copy.deepcopy(model).to(GPU)
    working = Working(far, recipe.train)
    update(working, [on_gpu(batch)], make_optimizer(far, recipe.train), 0.0, recipe.train)
    for key, weight in far.named_parameters():
        if key in wanted:
            found, told = weight.grad.cpu() * batch.tokens, f"{key}: {{}}".format
            torch.testing.assert_close(found, wanted[key], rtol=1e-3, atol=1e-4, msg=told)


@everything
def test_learning_in_bf16(name: str) -> None:
    """The loss of one batch falls, and by what it is said to."""
    torch.manual_seed(1)
    recipe = read_recipe({"train": {"precision": "bf16"}})
    model, batch = build(ZOO[name], 11, 11).to(GPU).train(), on_gpu(drawn())
    working, optimizer = Working(model, recipe.train), make_optimizer(model, recipe.train)
    losses = [update(working, [batch], optimizer, 1e-2, recipe.train).loss for _ in range(40)]
    assert losses[-1] < 0.7 * losses[0]
    with torch.inference_mode():
        states = model.eval()(batch.source, batch.target_in).states
        exact = plain_cross_entropy(model, states, batch.target_out, 0.1).smoothed / batch.tokens
    assert float(exact) == pytest.approx(losses[-1], abs=0.3)


@pytest.mark.parametrize("architecture", ["recurrent", "transformer"])
@pytest.mark.parametrize("precision", ["bf16", "fp32"])
def test_a_run_and_its_translator(architecture: str, precision: str, tmp_path: Path) -> None:
    """Trains on the GPU, goes on after a stop as if there had been none, and translates alike on both."""
    own = {"architecture": "recurrent", "attention": "additive", "embedding": 16, "width": 24}
    if architecture == "transformer":
        own = {"architecture": "transformer", "width": 16, "heads": 2, "feed_forward": 24, "dropout": 0.1}
    changes = {"train": {"device": "cuda", "precision": precision, "updates": 200, "batch_tokens": 256}}
    asked = tiny.settings(tiny.corpus(tmp_path), changes)
    asked["model"] = own
    ojak.train_run(asked, tmp_path / "whole", tiny.Silent())
    asked["train"]["updates"] = 100
    ojak.train_run(asked, tmp_path / "two", tiny.Silent())
    ojak.train_run({"train": {"updates": 200}}, tmp_path / "two", tiny.Silent(), resume=True)
    texts = [source for source, _ in tiny.pairs()][:50]
    far, near = ojak.load(tmp_path / "whole", "cuda"), ojak.load(tmp_path / "whole", "cpu", precision="exact")
    for beam in (1, 4):
        config = ojak.SearchConfig(beam=beam)
        one, other = far.translate(texts, config, True), near.translate(texts, config, True)
        assert sum(a.text == b.text for a, b in zip(one, other, strict=True)) >= 48  # of equal words either may win
        assert one[0].attention is not None
    for view in ("weights", "occlusion", "gradient"):
        maps = [translator.attribute(texts[0], view, one[0].text) for translator in (far, near)]
        np.testing.assert_allclose(maps[0].values, maps[1].values, atol=0.02)
    drawn = ojak.SearchConfig(beam=1, sampling=True)
    assert far.translate(texts, drawn)[0].text
    again = ojak.load(tmp_path / "two", "cuda").translate(texts)
    assert sum(a.text == b.text for a, b in zip(far.translate(texts), again, strict=True)) >= 40
