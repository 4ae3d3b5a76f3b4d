"""Word alignments beside pairs: read, packed, projected to tokens, and learnt from."""

from __future__ import annotations

import json
import math
import random
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from zoo import VOCABULARY, ZOO, make, ragged

import ojak
from ojak.align.reading import Reading
from ojak.align.remember import recall, remember
from ojak.batch import Batch, collate
from ojak.config import TrainConfig, merge, read_recipe
from ojak.corpus import pack as packing
from ojak.corpus import store as store_module
from ojak.corpus.encoder import Sides, encode_block
from ojak.corpus.links import between_tokens, words_of
from ojak.corpus.pair import Pair
from ojak.corpus.read import stream_pairs
from ojak.corpus.store import Store
from ojak.errors import ConfigError, DataError, UseError
from ojak.model import folder
from ojak.text import learn
from ojak.text.normalise import normalise
from ojak.text.sampling import Sampler
from ojak.text.vocabulary import EOS, PAD
from ojak.train.dataset import Training
from ojak.train.loss import cross_entropy
from ojak.train.objective import Objective, misalignment
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update

CPU = torch.device("cpu")
DOUBLE = TrainConfig.model_validate({"device": "cpu", "precision": "exact", "workers": 1})


# ---------------------------------------------------------------- reading


def files(folder: Path, pairs: str, links: str) -> tuple[Path, Path]:
    paths = folder / "pairs.tsv", folder / "pairs.align"
    for path, text in zip(paths, (pairs, links), strict=True):
        path.write_text(text, encoding="utf-8")
    return paths


def test_links_go_with_their_pairs(tmp_path: Path) -> None:
    pairs, links = files(tmp_path, "a b\tx y\n\nc\t\nd e\tz\n", "0-1  1-0\n\n1-0 0-0\n")
    found = list(stream_pairs(pairs, whole=True, links=str(links)))
    assert [(pair.source, pair.links) for pair in found] == [("a b", "0-1 1-0"), ("d e", "1-0 0-0")]
    assert found[0].turned().links == "1-0 0-1" and found[0].turned().turned() == found[0]


@pytest.mark.parametrize(
    ("links", "told"),
    [
        ("0-0\n0-0\n1-1 0-x\n", r"pairs\.align must link words.*line 3: '0-x' is no link"),
        ("0-0\n0-1\n0-0\n", r"line 2: 0-1 links words of a pair that has 1 and 1 \(.*pairs\.tsv, line 2\)"),
        ("2-0\n0-0\n0-0\n", r"line 1: 2-0 links words of a pair that has 2 and 2"),
        ("0-0\n0-0\n", r"one line for each pair of .*pairs\.tsv, but it has 2 lines for 3 pairs"),
        ("0-0\n0-0\n0-0\n\n", r"has 4 lines for 3 pairs"),
    ],
)
def test_what_is_wrong_with_links_is_told(links: str, told: str, tmp_path: Path) -> None:
    pairs, beside = files(tmp_path, "a b\tx y\nc\tz\nd e\tv w\n", links)
    with pytest.raises(DataError, match=f"(?s){told}"):
        list(stream_pairs(pairs, links=str(beside)))


# ---------------------------------------------------------------- projection

SENTENCES = ["the cat (it) sat, then ran", "don't say: 'no!' to unhappiness", "안녕하세요 고양이가 앉았다", "a b c"]
KINDS: list[Any] = ["unigram", "bpe", "word", "character"]


def test_projection_by_hand() -> None:
    """Words 0 and 1 of the source, cut in 2 and 1 tokens; words 0 and 1 of the target, cut in 1 and 2."""
    links, source, target = np.array([[0, 1], [1, 0]]), np.array([0, 0, 1]), np.array([0, 1, 1])
    assert between_tokens(links, source, target).astype(int).tolist() == [[0, 0, 1], [1, 1, 0], [1, 1, 0]]
    nothing = between_tokens(np.zeros((0, 2), dtype=np.int64), source, target)
    assert nothing.shape == (3, 3) and not nothing.any()


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_know_their_words(kind: Any) -> None:
    """However a text was cut, the tokens of a word, put together, are that word."""
    tokenizer = learn(SENTENCES, kind, 400 if kind in ("unigram", "bpe") else 100)
    generator = np.random.Generator(np.random.PCG64(1))
    for rows in ([tokenizer.encode(text) for text in SENTENCES],) * 2:
        cuts = Sampler(tokenizer, 0.4).cut(rows, generator, 200)
        for text, ids, words in zip(SENTENCES, cuts, words_of(tokenizer, cuts), strict=True):
            of_word = [[int(i) for i, w in zip(ids, words, strict=True) if w == word] for word in range(words[-1] + 1)]
            assert [tokenizer.decode(part) for part in of_word] == text.split()


@given(st.lists(st.text(alphabet="ab가 (,'é", min_size=1, max_size=12), min_size=1, max_size=6))
@examples(deadline=None, max_examples=60)
def test_words_are_counted_as_white_space_parts_them(texts: list[str]) -> None:
    texts = [text for text in map(normalise, texts) if text]
    for kind in ("character", "bpe"):
        tokenizer = TOKENIZERS[kind]
        rows = [tokenizer.encode(text) for text in texts]
        for text, words in zip(texts, words_of(tokenizer, rows) if rows else [], strict=True):
            assert words.tolist() == sorted(words) and words[-1] + 1 == len(text.split())


TOKENIZERS: dict[str, Any] = {
    "character": learn(SENTENCES, "character", 100),
    "bpe": learn(SENTENCES, "bpe", 400),
}


def reversing(folder: Path, count: int = 300) -> dict[str, Any]:
    """A run on pairs whose target is the source turned about, with the links that say so."""
    pairs = tiny.pairs(count)
    path, links = folder / f"reversing-{count}.tsv", folder / f"reversing-{count}.align"
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    lengths = [len(source.split()) for source, _ in pairs]
    links.write_text("".join(" ".join(f"{n - 1 - i}-{i}" for i in range(n)) + "\n" for n in lengths), encoding="utf-8")
    return tiny.settings(path, {"data": {"alignments": [str(links)]}})


@pytest.mark.parametrize(
    "changes", [{}, {"data": {"reverse": True}}, {"text": {"kind": "bpe", "size": 300, "sample": 0.3}}]
)
def test_a_batch_has_the_links_of_its_words(changes: dict[str, Any], tmp_path: Path) -> None:
    """The corpus turns the order about, so the links of a batch are known from its texts alone."""
    settings = reversing(tmp_path)
    merge(settings, changes)
    recipe = read_recipe(settings)
    ojak.train_run({**settings, "train": {**settings["train"], "updates": 1}}, tmp_path / "run", tiny.Silent())
    kept = folder.read_tokenizers(tmp_path / "run" / "model", recipe.text)
    training = Training(Store.open(tmp_path / "run" / "data"), *kept, recipe)
    for batch in training.epoch(0).batches(0, CPU):
        assert batch.links is not None and batch.links.shape == (*batch.target_out.shape, batch.source.shape[1])
        for source, target, links in zip(batch.source.tolist(), batch.target_out.tolist(), batch.links, strict=True):
            cut = [[i for i in ids if i not in (PAD, EOS)] for ids in (source, target)]
            words = [words_of(tokenizer, [ids])[0] for tokenizer, ids in zip(kept, cut, strict=True)]
            for t in range(links.shape[0]):
                for s in range(links.shape[1]):
                    real = t < len(cut[1]) and s < len(cut[0])
                    assert bool(links[t, s]) == (real and words[0][s] == words[0][-1] - words[1][t])


def test_parts_of_a_batch_keep_their_links() -> None:
    links = [np.arange(6).reshape(2, 3) % 2 == 0, np.ones((3, 1), dtype=bool), np.zeros((1, 1), dtype=bool)]
    batch = collate([[5, 6, 7], [8], [9]], [[4, 5], [6, 7, 8], [9]], CPU, links=links)
    for first, part in enumerate(batch.parts(2)):
        assert part.links is not None
        for place, found in zip(range(first, 3, 2), part.links, strict=True):
            rows, columns = links[place].shape
            assert torch.equal(found[:rows, :columns], torch.from_numpy(links[place]))
            assert found.sum() == links[place].sum()


# ---------------------------------------------------------------- the loss


def aligned_batch() -> Batch:
    generator = torch.Generator().manual_seed(4)
    words = torch.randint(4, VOCABULARY, (4, 5), generator=generator).tolist()
    source = [[i for i in row if i not in (PAD, EOS)] for row in ragged().tolist()]
    source[3] = [4]
    links = [torch.rand(5, len(row), generator=generator).numpy() < 0.4 for row in source]
    return collate(source, words, CPU, links=links)


@pytest.mark.parametrize("step", ["output", "input"])
def test_misalignment_is_what_the_paper_says(step: str) -> None:
    batch = aligned_batch()
    assert batch.links is not None
    attention = torch.rand(batch.links.shape, dtype=torch.float64).softmax(2)
    expected = 0.0
    for row, links in enumerate(batch.links.tolist()):
        for t, linked in enumerate(links):
            for s, link in enumerate(linked):
                if link:
                    weights = attention[row, t + 1 if step == "input" else t]
                    expected -= math.log(weights[s]) / sum(linked)
    assert misalignment(attention, batch.links, step).item() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", [name for name in ZOO if "none" not in name])
def test_one_view_alone_is_that_view_of_all(name: str) -> None:
    """With its gradient, on the fused way too, and without a change to what the model says."""
    model, batch = make(name), aligned_batch()
    every = model(batch.source, batch.target_in, True)
    for place, view in enumerate(model.views):
        alone = model(batch.source, batch.target_in, view)
        assert alone.attention is not None and every.attention is not None
        torch.testing.assert_close(alone.states, every.states, rtol=1e-9, atol=1e-9)
        torch.testing.assert_close(alone.attention, every.attention[:, :, [place]], rtol=1e-9, atol=1e-9)
        gradients = []
        for found in (alone.attention, every.attention[:, :, [place]]):
            model.zero_grad()
            found.square().sum().backward(retain_graph=True)
            gradients.append({n: p.grad.clone() for n, p in model.named_parameters() if p.grad is not None})
        for one, weight in gradients[0].items():
            torch.testing.assert_close(weight, gradients[1][one], rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("name", ["gru-additive-before", "lstm-general-feeding", "transformer-pre-rotary-swiglu"])
def test_parts_and_workers_learn_the_same_from_links(name: str) -> None:
    """The loss is a sum that is divided once, however the batch was cut."""
    batch, found = aligned_batch(), []
    for workers, parts in ((1, 1), (1, 2), (3, 1)):
        model = make(name).train()
        config = TrainConfig.model_validate({**DOUBLE.model_dump(), "workers": workers})
        working = Working(model, config)
        seen = update(
            working, batch.parts(parts), make_optimizer(model, config), 0.01, config, Objective(config, model.views[0])
        )
        working.close()
        found.append((seen.loss, [weight.detach().clone() for weight in model.parameters()]))
    for loss, weights in found[1:]:
        assert loss == pytest.approx(found[0][0], rel=1e-12)
        torch.testing.assert_close(weights, found[0][1], rtol=1e-9, atol=1e-9)


def test_the_weight_is_that_of_the_misalignment() -> None:
    model, batch = make("gru-dot-after"), aligned_batch()
    assert batch.links is not None
    decoded = model(batch.source, batch.target_in, True)
    assert decoded.attention is not None
    plain = cross_entropy(model, decoded.states, batch.target_out, 0.1)
    wrong = misalignment(decoded.attention[:, :, 0], batch.links, "output")
    config = DOUBLE.model_copy(update={"alignment_weight": 0.3})
    found = Objective(config, "dot").of(model, batch)
    expected = (plain.smoothed + 0.3 * wrong).item()
    assert found.smoothed.item() == pytest.approx(expected, rel=1e-12)
    assert found.plain.item() == pytest.approx(plain.plain.item(), rel=1e-12)


# ---------------------------------------------------------------- whole runs


def test_what_cannot_be_learnt_from_is_told_before_anything_is_written(tmp_path: Path) -> None:
    def told(**changes: Any) -> str:
        settings = reversing(tmp_path)
        merge(settings, changes)
        with pytest.raises((ConfigError, DataError)) as error:
            ojak.train_run(settings, tmp_path / "run", tiny.Silent())
        assert not (tmp_path / "run").exists()
        return str(error.value)

    assert "this model has none" in told(model={"attention": "none"})
    assert "must be one of additive, but is 'layer0.head0'" in told(train={"alignment_view": "layer0.head0"})
    assert "there must be alignments for each entry of pairs" in told(data={"alignments": ["a", "b"]})
    assert "must be a file that can be read" in told(data={"alignments": [str(tmp_path / "none")]})


def test_links_that_were_packed_need_attention_too(tmp_path: Path) -> None:
    settings = reversing(tmp_path)
    ojak.train_run({**settings, "train": {**settings["train"], "updates": 1}}, tmp_path / "packed", tiny.Silent())
    merge(settings, {"data": {"pairs": [str(tmp_path / "packed" / "data")], "alignments": []}})
    merge(settings, {"data": {"dev": [str(tiny.corpus(tmp_path, 30, 6))]}, "model": {"attention": "none"}})
    with pytest.raises(ConfigError, match="leave them out"):
        ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    assert not (tmp_path / "run").exists()
    merge(settings, {"train": {"alignment_weight": 0, "updates": 1}})
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())


def test_a_view_that_is_changed_when_a_run_goes_on_is_written_down(tmp_path: Path) -> None:
    """And one that was chosen for the run since then stays when nothing of that is changed."""
    settings, run = reversing(tmp_path), tmp_path / "run"
    ojak.train_run({**settings, "train": {**settings["train"], "updates": 4}}, run, tiny.Silent())
    assert str(recall(run)) == str(Reading("additive", "output", "weights"))
    remember(run, Reading("additive", "input", "weights"), "It was better.")
    ojak.train_run({"train": {"updates": 6}}, run, tiny.Silent(), resume=True)
    assert str(recall(run)) == str(Reading("additive", "input", "weights"))
    remember(run, Reading("additive", "output", "weights"), "No.")
    ojak.train_run({"train": {"updates": 8, "alignment_step": "input"}}, run, tiny.Silent(), resume=True)
    assert str(recall(run)) == str(Reading("additive", "input", "weights"))


def test_a_run_is_not_resumed_on_other_links(tmp_path: Path) -> None:
    settings, run = reversing(tmp_path), tmp_path / "run"
    ojak.train_run({**settings, "train": {**settings["train"], "updates": 10}}, run, tiny.Silent())
    path = Path(settings["data"]["alignments"][0])
    lines = path.read_text(encoding="utf-8").replace("0-0\n", "\n", 1)
    path.write_text(lines, encoding="utf-8")
    with pytest.raises(UseError, match="the files hold others now"):
        ojak.train_run({"train": {"updates": 20}}, run, tiny.Silent(), resume=True)


def error_rate(run: Path, settings: dict[str, Any]) -> float:
    """1 − the share of words whose strongest weight of the recorded view, at the recorded step, is on their source."""
    loaded = folder.load(run, CPU)
    taught = recall(run)
    assert taught is not None
    words, right = 0, 0
    for source, target in tiny.pairs(120, seed=9):
        ids, said = loaded.source.encode(source), loaded.target.encode(target)
        batch = collate([ids], [said], CPU)
        attention = loaded.model(batch.source, batch.target_in, taught.view).attention
        assert attention is not None
        for place in range(len(said)):
            row = attention[0, place + (taught.step == "input"), 0]
            words, right = words + 1, right + (int(row.argmax()) == len(ids) - 1 - place)
    return 1 - right / words


@pytest.mark.parametrize("step", ["output", "input"])
def test_links_teach_a_head_to_align(step: str, tmp_path: Path) -> None:
    """The same run with and without: few updates, after which a head that was not taught knows little."""
    model = {"architecture": "transformer", "width": 32, "heads": 2, "feed_forward": 32, "decoder_layers": 2}
    model |= {"encoder_layers": 1, "embedding": None, "dropout": 0.0}
    rates = []
    for weight in (1.0, 1e-9):
        settings = reversing(tmp_path)
        settings["model"] = {key: value for key, value in model.items() if value is not None}
        merge(settings, {"train": {"updates": 200, "batch_tokens": 256, "validate_every": 200, "average": 0}})
        merge(settings, {"train": {"alignment_weight": weight, "alignment_step": step}})
        run = tmp_path / f"{weight}"
        ojak.train_run(settings, run, tiny.Silent())
        config = json.loads((run / "model" / "config.json").read_text(encoding="utf-8"))
        assert config["alignment"] == {"view": "layer0.head0", "step": step, "measure": "weights"}
        rates.append(error_rate(run, settings))
    assert rates[0] < 0.1 and rates[1] > 0.4


@pytest.mark.parametrize("architecture", ["recurrent", "transformer"])
def test_a_run_with_links_is_resumed_exactly(architecture: str, tmp_path: Path) -> None:
    settings = reversing(tmp_path)
    if architecture == "transformer":
        settings["model"] = {"architecture": "transformer", "width": 8, "heads": 2, "feed_forward": 8}
    merge(settings, {"text": {"kind": "bpe", "size": 300, "sample": 0.3}})
    ojak.train_run(settings, tmp_path / "whole", tiny.Silent())
    cut = {**settings, "train": {**settings["train"], "updates": 20}}
    ojak.train_run(cut, tmp_path / "cut", tiny.Silent())
    ojak.train_run({"train": {"updates": 40}}, tmp_path / "cut", tiny.Silent(), resume=True)
    whole, parts = (
        {name: content for name, content in tiny.state(tmp_path / run).items() if "00000040" in name}
        for run in ("whole", "cut")
    )
    assert whole and {name: v for name, v in whole.items() if name.endswith("safetensors")} == {
        name: v for name, v in parts.items() if name.endswith("safetensors")
    }


def test_corpora_with_and_without_links_go_together(tmp_path: Path) -> None:
    settings = reversing(tmp_path)
    other = tiny.corpus(tmp_path, 60, seed=8)
    merge(settings, {"data": {"pairs": [*settings["data"]["pairs"], str(other)], "weights": [1, 2]}})
    settings["data"]["alignments"] = [*settings["data"]["alignments"], ""]
    merge(settings, {"train": {"updates": 2}})
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    recipe = read_recipe(settings)
    kept = folder.read_tokenizers(tmp_path / "run" / "model", recipe.text)
    batches = list(Training(Store.open(tmp_path / "run" / "data"), *kept, recipe).epoch(0).batches(0, CPU))
    linked = sum(int(batch.links.any(2).any(1).sum()) for batch in batches if batch.links is not None)
    pairs = sum(len(batch.source) for batch in batches)
    assert 0 < linked < pairs and pairs - linked > 60


@pytest.mark.parametrize("processes", [0, 2])
def test_links_lie_in_the_store_with_their_pairs(
    processes: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With blocks, parts and chunks so small that there are many, pairs without links and pairs that are left out."""
    monkeypatch.setattr(packing, "BLOCK", 16)
    monkeypatch.setattr(packing, "PART", 4)
    for module in (packing, store_module):
        monkeypatch.setattr(module, "CHUNK", 8)
    generator = random.Random(3)
    pairs = [
        Pair(source, target, links=" ".join(f"{generator.randrange(len(source.split()))}-0" for _ in range(place % 4)))
        for place, (source, target) in enumerate(tiny.pairs(300))
    ]
    plain, long = [Pair(pair.source, pair.target) for pair in pairs[:70]], Pair("ab " * 60, "AB", links="7-0")
    packing.begin(tmp_path / "store", {})
    sides = Sides(tmp_path / "store", "word", False, 50)
    sides.save(*(learn([getattr(pair, side) for pair in pairs], "word", 60) for side in ("source", "target")))
    store = packing.pack([plain, [*pairs[:100], long, *pairs[100:]]], tmp_path / "store", sides, {}, processes)
    assert store.linked and store.record["links"] == sum(len(pair.links.split()) for pair in pairs)
    order = [*range(5, len(store.chunks)), *range(5)]
    rows, expected = store.rows(order), [*plain, *pairs]
    starts = np.cumsum([0, *(store.pairs_of(chunk) for chunk in range(len(store.chunks)))])
    places = [place for chunk in order for place in range(starts[chunk], starts[chunk + 1])]
    found = [
        " ".join(f"{one}-{other}" for one, other in links.tolist()) for links in rows.links_of(np.arange(len(places)))
    ]
    assert found == [expected[place].links for place in places]


def test_pairs_that_hold_unknown_marks_are_learnt_from_without_links() -> None:
    """An UNK within a word would shift all words behind it."""
    tokenizer = learn(["a b", "b a", "a, b"], "word", 20)
    block = encode_block(("a b\na! b\na, b", "a b\na b\na, b", "0-0 1-1\n0-0\n1-1"), tokenizer, tokenizer, 50)
    assert block.linked.tolist() == [2, 0, 1] and block.links.tolist() == [[0, 0], [1, 1], [1, 1]]
