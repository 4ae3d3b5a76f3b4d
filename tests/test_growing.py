"""Tokenizers that learn more entries, and models that begin again with them."""

from __future__ import annotations

import random
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st

import ojak
from ojak.config import SearchConfig
from ojak.errors import ConfigError
from ojak.text import UNK, Tokenizer, learn
from ojak.text.grow import grow, made_of
from ojak.text.normalise import normalise
from ojak.text.sampling import Sampler

OLD = [f"{source} {target}" for source, target in tiny.pairs(150)]
NEW = ["안녕하세요 pnljhf 고양이", "고양이 pnljhf, 안녕", "고양이 (pnljhf) 안녕하세요"] * 3
KINDS: list[Any] = ["unigram", "bpe", "word", "character"]
SIZES = {"unigram": 310, "bpe": 310, "word": 60, "character": 60}
TOKENIZERS: dict[str, Tokenizer] = {kind: learn(OLD, kind, SIZES[kind]) for kind in KINDS}
GROWN: dict[str, Tokenizer] = {kind: grow(TOKENIZERS[kind], NEW, 40) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
def test_old_entries_keep_their_ids_and_old_text_its_cut(kind: str) -> None:
    old, new = TOKENIZERS[kind], GROWN[kind]
    assert len(old) < len(new) <= len(old) + 40
    assert new.entries[: len(old)] == old.entries and len(set(new.entries)) == len(new)
    for text in OLD:
        assert new.encode(text) == old.encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_what_was_unknown_is_written(kind: str) -> None:
    old, new = TOKENIZERS[kind], GROWN[kind]
    for text in NEW:
        ids = new.encode(text)
        assert new.decode(ids) == text and UNK not in ids
        assert len(ids) <= len(old.encode(text))
    if kind in ("unigram", "bpe"):
        assert len(new.encode("고양이")) == 1 and not any(entry.startswith("<0x") for entry in new.entries[len(old) :])


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_new_pieces_stand_for_what_they_took_the_place_of(kind: str) -> None:
    """Spelt out in the old entries they are made of, the new ones give the same text."""
    old, new = TOKENIZERS[kind], GROWN[kind]
    for text in NEW:
        ids = [part for number in new.encode(text) for part in made(old, new, number)]
        assert old.decode(ids) == text


def made(old: Tokenizer, new: Tokenizer, number: int) -> list[int]:
    return [number] if number < len(old) else made_of(old, new.entries[number])


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
@given(words=st.lists(st.text(alphabet="pnljhf가나", min_size=1, max_size=6), min_size=1, max_size=5))
@examples(deadline=None, max_examples=60)
def test_any_text_comes_back(kind: str, words: list[str]) -> None:
    text = normalise(" ".join(words))
    assert GROWN[kind].decode(GROWN[kind].encode(text)) == text


def test_merges_go_on_where_the_vocabulary_stands() -> None:
    """By hand: c d is seen 3 times, then ab cd 3 times; the words cd and ba are seen once."""
    old = learn(["ab ab ab ab c d a b"], "bpe", 300)
    new = grow(old, ["abcd", "abcd", "abcd", "cd", "ba"], 2)
    assert old.pieces(old.encode("abcd")) == ["▁ab", "c", "d"]
    assert new.entries[len(old) :] == ["cd", "▁abcd"]
    assert [made_of(old, piece) for piece in ("cd", "▁abcd")] == [
        [old.entries.index("c"), old.entries.index("d")],
        old.encode("abcd"),
    ]
    assert new.pieces(new.encode("abcd cd ba")) == ["▁abcd", "▁c", "d", "▁b", "a"]


def test_growing_again_and_sampling() -> None:
    for kind in ("unigram", "bpe"):
        again = grow(GROWN[kind], ["러시아 러시아"], 10)
        assert again.entries[: len(GROWN[kind])] == GROWN[kind].entries and len(again.encode("러시아")) == 1
        generator = np.random.Generator(np.random.PCG64(1))
        for row in Sampler(again, 0.3).cut([again.encode(text) for text in NEW], generator, 500):
            assert again.decode([int(i) for i in row]) in NEW


@pytest.mark.parametrize("shared", [False, True])
@pytest.mark.parametrize("kind", ["unigram", "word"])
def test_a_tuned_model_knows_new_pieces(kind: str, shared: bool, tmp_path: Path) -> None:
    """Old vectors are the same bits, new ones the mean of old ones; without an update it translates as before, and what
    was unknown can be written."""
    size = 320 if kind == "unigram" else 60
    changes = {"text": {"kind": kind, "size": size, "shared": shared}, "train": {"updates": 30}}
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), changes), tmp_path / "old", tiny.Silent())
    path = tmp_path / "korean.tsv"
    words = ["고양이", "안녕", "나무", "하늘"]
    lines = [" ".join(random.Random(place).choices(words, k=3)) for place in range(60)]
    path.write_text("".join(f"{line}\t{' '.join(line.split()[::-1])}\n" for line in lines), encoding="utf-8")
    settings = {
        "data": {"pairs": [str(path)], "held_out": 5},
        "text": {"add": 30},
        "train": {"start": str(tmp_path / "old"), "updates": 1, "learning_rate": 1e-30, "average": 0, "device": "cpu"},
    }
    ojak.train_run(settings, tmp_path / "new", tiny.Silent())
    old, new = (ojak.load(tmp_path / name, precision="exact") for name in ("old", "new"))
    for side in ("source", "target"):
        before, after = getattr(old, side), getattr(new, side)
        vectors, others = (getattr(one.model, side).weight for one in (old, new))
        assert len(others) == len(after) > len(before) == len(vectors)
        assert torch.equal(others[: len(vectors)], vectors)
        for number in range(len(before), len(after)):
            mean = vectors[made_of(before, after.entries[number])].mean(0)
            torch.testing.assert_close(others[number], mean)
        assert after.decode(after.encode("고양이")) == "고양이" and UNK not in after.encode("고양이")
    texts = [source for source, _ in tiny.pairs(20, seed=3)]
    greedy = SearchConfig(beam=1)  # a beam compares scores, of which new words take a little
    assert [one.text for one in old.translate(texts, greedy)] == [one.text for one in new.translate(texts, greedy)]
    names = dict(old.model.named_parameters())
    for name, weight in new.model.named_parameters():
        assert torch.equal(weight[: len(names[name])], names[name])


def test_growth_survives_a_resume_without_the_packed_corpus(tmp_path: Path) -> None:
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 5}}), tmp_path / "old", tiny.Silent())
    path = tiny.corpus(tmp_path, 60, seed=8)
    path.write_text(path.read_text(encoding="utf-8").replace("ab", "neu"), encoding="utf-8")
    settings = {
        "data": {"pairs": [str(path)], "held_out": 5},
        "text": {"add": 3},
        "train": {"start": str(tmp_path / "old"), "updates": 4, "average": 0, "device": "cpu"},
    }
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    entries = ojak.load(tmp_path / "run").source.entries
    shutil.rmtree(tmp_path / "run" / "data")
    ojak.train_run({"train": {"updates": 6}}, tmp_path / "run", tiny.Silent(), resume=True)
    assert ojak.load(tmp_path / "run").source.entries == entries and "neu" in entries
    settings["train"]["start"], settings["text"] = str(tmp_path / "run"), {}
    ojak.train_run(settings, tmp_path / "third", tiny.Silent())
    assert ojak.load(tmp_path / "third").source.entries == entries


def test_only_a_model_can_be_added_to(tmp_path: Path) -> None:
    settings = tiny.settings(tiny.corpus(tmp_path), {"text": {"add": 5}})
    with pytest.raises(ConfigError, match=r"text\.add is for a run that starts from a model"):
        ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    assert not (tmp_path / "run").exists()
