"""Hugging Face Marian directories, held to what transformers itself makes of them."""

from __future__ import annotations

import json
import random
import shutil
import warnings
from pathlib import Path
from typing import Any

import pytest
import tiny
import torch

import ojak
from ojak.config import SearchConfig
from ojak.errors import ModelError, UseError
from ojak.export import marian
from ojak.text import learn
from ojak.text.subword import SubwordTokenizer

transformers = pytest.importorskip("transformers", reason="needs transformers, which ojak[dev] installs")

LIMIT = 40  # which no translation may reach: transformers forces its end at no cost


def sentences(count: int = 100) -> list[str]:
    generator = random.Random(3)
    return [" ".join(generator.choices(tiny.WORDS, k=generator.randint(1, 8))) for _ in range(count)]


def their_model(folder: Path, end: float = 5.0, seed: int = 1, **changes: Any) -> Path:
    """A small random Marian directory, saved by transformers."""
    shared = changes.get("share_encoder_decoder_embeddings", True)
    tokenizers = [learn(part, "unigram", 300) for part in zip(*tiny.pairs(200), strict=True)]
    words = [one.entries[4:] for one in tokenizers]
    lists = [list(dict.fromkeys(words[0] + words[1]))] * 2 if shared else words
    folder.mkdir(parents=True)
    for name, entries in zip(("vocab", "target_vocab"), lists, strict=True):
        numbers = {word: number for number, word in enumerate(["</s>", "<unk>", *entries, "<pad>"])}
        if not shared:  # the numbers of the specials must agree
            numbers = {word: number for number, word in enumerate(["</s>", "<unk>", "<pad>", *entries])}
        (folder / f"{name}.json").write_text(json.dumps(numbers))
    for side, one in zip(("source", "target"), tokenizers, strict=True):
        assert isinstance(one, SubwordTokenizer)
        (folder / f"{side}.spm").write_bytes(one.model)
    pad = len(lists[0]) + 2 if shared else 2
    config = transformers.MarianConfig(
        vocab_size=len(lists[0]) + 3,
        decoder_vocab_size=len(lists[1]) + 3,
        d_model=16,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=24,
        decoder_ffn_dim=24,
        max_position_embeddings=64,
        pad_token_id=pad,
        decoder_start_token_id=pad,
        init_std=0.4,
        **{"activation_function": "swish", "scale_embedding": True, **changes},
    )
    torch.manual_seed(seed)
    model = transformers.MarianMTModel(config).eval()
    model.final_logits_bias.normal_(std=0.3)[0, 0] += end  # so that they end: a forced end has no cost there
    for name, parameter in model.named_parameters():
        if name.endswith("bias"):
            torch.nn.init.normal_(parameter, std=0.3)
    model.generation_config.bad_words_ids = [[pad], [1]]
    model.save_pretrained(folder)
    return folder


def theirs(folder: Path, texts: list[str], beam: int) -> tuple[list[list[str]], list[list[int]]]:
    """The source pieces and the target ids that transformers gives, the start left out."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tokenizer = transformers.MarianTokenizer.from_pretrained(folder)
        model = transformers.MarianMTModel.from_pretrained(folder).eval()
        given = tokenizer(texts, return_tensors="pt", padding=True)
        found = model.generate(
            **given,
            num_beams=beam,
            max_length=LIMIT + 1,
            length_penalty=1.0,
            early_stopping=False,
            do_sample=False,
            no_repeat_ngram_size=1,
        )
        encoder = {number: word for word, number in json.loads((folder / "vocab.json").read_text()).items()}
        decoder = {number: word for word, number in json.loads((folder / _target(folder)).read_text()).items()}
        pieces = [[encoder[n] for n in row.tolist() if encoder[n] != "<pad>"] for row in given.input_ids]
    pad = model.config.pad_token_id
    return pieces, [[decoder[number] for number in row.tolist()[1:] if number != pad] for row in found]  # type: ignore[misc]


def _target(folder: Path) -> str:
    shared = json.loads((folder / "config.json").read_text())["share_encoder_decoder_embeddings"]
    return "vocab.json" if shared else "target_vocab.json"


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"activation_function": "relu", "scale_embedding": False, "end": 4.0},
        {"activation_function": "gelu", "share_encoder_decoder_embeddings": False, "seed": 4},
    ],
    ids=["opus", "unscaled", "two vocabularies"],
)
def test_there_and_back_the_tokens_are_those_of_transformers(tmp_path: Path, changes: dict[str, Any]) -> None:
    folder = their_model(tmp_path / "theirs", **changes)
    marian.bring(folder, tmp_path / "ours", "en", "xx")
    marian.export(tmp_path / "ours", tmp_path / "back")
    marian.bring(tmp_path / "back", tmp_path / "again")
    translator, texts = ojak.load(tmp_path / "ours", "cpu"), sentences()
    assert translator.languages == ("en", "xx") == ojak.load(tmp_path / "again", "cpu").languages
    for beam in (1, 4):
        search = SearchConfig(
            beam=beam,
            length_norm="plain",
            max_length=LIMIT,
            max_length_factor=99,
            no_repeat_ngram_size=1,
            cut_loops=False,
        )
        found = translator.translate(texts, search)
        for place in ("theirs", "back"):
            pieces, tokens = theirs(tmp_path / place, texts, beam)
            assert [list(one.source_tokens) for one in found] == pieces
            assert [list(one.tokens) for one in found] == tokens
        again = ojak.load(tmp_path / "again", "cpu").translate(texts, search)
        assert [one.tokens for one in again] == [one.tokens for one in found]
    assert len({one.text for one in found}) > 20, "random, but not all the same"
    assert max(len(one.tokens) for one in found) < LIMIT
    looked = translator(texts[0])
    assert looked.view().shape == (len(looked.tokens), len(looked.source_tokens))


def test_a_run_of_our_own_goes_out_to_transformers(tmp_path: Path) -> None:
    changes = {
        "text": {"kind": "unigram", "size": 300},
        "model": {"architecture": "transformer", "width": 16, "heads": 2, "feed_forward": 24, "norm": "post"}
        | {"positions": "sinusoid", "encoder_layers": 1, "decoder_layers": 1, "max_length": 64},
        "train": {"updates": 60},
    }
    settings = tiny.settings(tiny.corpus(tmp_path), changes)
    ojak.train_run(settings, tmp_path / "run", tiny.Silent())
    marian.export(tmp_path / "run", tmp_path / "out")
    search = SearchConfig(
        beam=4, length_norm="plain", max_length=LIMIT, max_length_factor=99, no_repeat_ngram_size=1, cut_loops=False
    )
    found = ojak.load(tmp_path / "run", "cpu").translate(sentences(20), search)
    pieces, tokens = theirs(tmp_path / "out", sentences(20), 4)
    assert [list(one.source_tokens) for one in found] == pieces
    assert [list(one.tokens) for one in found] == tokens


def test_all_reasons_why_not_are_told_at_once(tmp_path: Path) -> None:
    folder = their_model(tmp_path / "theirs")
    config = json.loads((folder / "config.json").read_text())
    config |= {"activation_function": "gelu_new", "decoder_ffn_dim": 30}
    (folder / "config.json").write_text(json.dumps(config))
    (folder / "model.safetensors").rename(folder / "pytorch_model.bin")
    (folder / "target.spm").unlink()
    with pytest.raises(ModelError, match=r"(?s)encoder_ffn_dim.*gelu_new.*pickle.*target.spm"):
        marian.bring(folder, tmp_path / "ours")
    assert not (tmp_path / "ours").exists()

    run = tmp_path / "run"
    ojak.train_run(tiny.settings(tiny.corpus(tmp_path), {"train": {"updates": 2}}), run, tiny.Silent())
    with pytest.raises(UseError, match=r"(?s)source must be cut by SentencePiece; found word.*transformer; found rec"):
        marian.export(run, tmp_path / "out")


def test_a_broken_directory_is_told(tmp_path: Path) -> None:
    folder = their_model(tmp_path / "theirs")
    shutil.copytree(folder, tmp_path / "short")
    (tmp_path / "short" / "vocab.json").write_text('{"</s>": 0, "<unk>": 1}')
    with pytest.raises(ModelError, match="start and end among them"):
        marian.bring(tmp_path / "short", tmp_path / "ours")
    (folder / "config.json").write_text("[]")
    with pytest.raises(ModelError, match="JSON object"):
        marian.bring(folder, tmp_path / "ours")


@pytest.mark.parametrize("shared", [True, False])
def test_an_imported_model_is_tuned_on_pairs(tmp_path: Path, shared: bool) -> None:
    """With its own tokenizers and weights, to less loss; and it goes out again."""
    marian.bring(
        their_model(tmp_path / "theirs", share_encoder_decoder_embeddings=shared), tmp_path / "ours", "en", "ko"
    )
    file = tiny.corpus(tmp_path)
    settings = {
        "data": {"pairs": [str(file)], "held_out": 20},
        "train": {"start": str(tmp_path / "ours"), "updates": 60, "learning_rate": 5e-3, "warmup": 5, "device": "cpu"},
    }
    tuned = ojak.train_run(settings, tmp_path / "tuned", tiny.Silent())
    before = ojak.train_run(
        {**settings, "train": {**settings["train"], "updates": 1, "learning_rate": 1e-12}},
        tmp_path / "same",
        tiny.Silent(),
    )
    assert tuned.nll < 0.95 * before.nll
    old, new = ojak.load(tmp_path / "ours", "cpu"), ojak.load(tmp_path / "tuned", "cpu")
    assert old.source.entries == new.source.entries and new.languages == ("en", "ko")
    marian.export(tmp_path / "tuned", tmp_path / "back")
    assert (tmp_path / "back" / "model.safetensors").is_file()
