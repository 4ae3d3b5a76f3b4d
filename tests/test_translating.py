"""Texts in, Translations out: guards, long input, glossaries, streams, shortlists, ensembles, and the second engine."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
import tiny

import ojak
from ojak import cli
from ojak.config import SearchConfig
from ojak.errors import DataError, ModelError, UseError
from ojak.export import ctranslate2
from ojak.model import folder
from ojak.search import loops
from ojak.search.hypothesis import length_penalty
from ojak.search.lexicon import Lexicon
from ojak.text.vocabulary import EOS
from ojak.train.lexical import learn
from ojak.translate import Translator, long, mbr
from ojak.translate.engine import _exponent
from ojak.translate.stream import texts

SENTENCES = [source for source, _ in tiny.pairs(40)]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("translating")


@pytest.fixture(scope="module")
def recurrent(place: Path) -> Path:
    changes = {"model": {"width": 24, "embedding": 24, "max_length": 12}, "train": {"updates": 300}}
    ojak.train_run(tiny.settings(tiny.corpus(place), changes), place / "recurrent", tiny.Silent())
    return place / "recurrent"


@pytest.fixture(scope="module")
def transformer(place: Path) -> Path:
    model = {"architecture": "transformer", "width": 16, "heads": 2, "feed_forward": 32, "max_length": 12}
    model |= {"encoder_layers": 1, "decoder_layers": 2}
    settings = tiny.settings(tiny.corpus(place), {"model": model, "train": {"updates": 300}})
    ojak.train_run(settings, place / "transformer", tiny.Silent())
    return place / "transformer"


@pytest.fixture(scope="module")
def translator(recurrent: Path) -> Translator:
    return Translator.load(recurrent, "cpu")


def test_a_sentence_alone_is_translated_as_in_company(translator: Translator) -> None:
    texts = ["", *SENTENCES, " ".join(tiny.WORDS * 3), "  "]
    for search in (
        SearchConfig(),
        SearchConfig(beam=1),
        SearchConfig(beam=1, sampling=True, n_best=3, temperature=2.0),
        SearchConfig(beam=4, mbr=4),
    ):
        together = translator.translate(texts, search, attention=True)
        for text, found in list(zip(texts, together, strict=True))[::5]:
            (alone,) = translator.translate([text], search, attention=True)
            assert (alone.text, alone.tokens, alone.warnings) == (found.text, found.tokens, found.warnings)
            assert [one.text for one in alone.alternatives] == [one.text for one in found.alternatives]
            assert alone.score == pytest.approx(found.score, abs=1e-4)
    assert (together[0].text, together[0].tokens, together[0].warnings) == ("", (), ())
    assert together[0].confidence == 1.0 and together[0].copy_ratio == 0.0


def test_long_text_is_cut_and_put_together(translator: Translator) -> None:
    text = "ab cd. ef gh ij! " + "kl mn op " * 8
    (found,) = translator.translate([text], attention=True)
    assert "translated in" in found.warnings[0] and "parts" in found.warnings[0]
    weights = found.require_attention()
    assert weights.shape == (len(found.tokens), 1, len(found.source_tokens))
    np.testing.assert_allclose(weights.sum(-1), 1.0, rtol=1e-5)
    assert found.score == pytest.approx(sum(found.token_scores), abs=1e-4)
    parts = long.parts(text, lambda part: len(translator.source.encode(part)) < 12, "en")
    assert "".join(parts).replace(" ", "") == text.replace(" ", "")
    assert found.text == " ".join(one.text for one in translator.translate(parts))
    endless = long.parts("x" * 500, lambda part: len(part) < 60, "en")
    assert "".join(endless) == "x" * 500 and all(len(part) < 60 for part in endless)
    with pytest.raises(UseError, match="sentence by sentence"):
        translator.translate([text], constraints=[["AB"]])


def test_loops_are_known_from_what_the_source_repeats() -> None:
    import torch

    def looping(said: list[int], source: list[int]) -> bool:
        return bool(loops.looping(torch.tensor([said]), loops.allowed(torch.tensor([source]))))

    plain = [5, 6, 7, 3]
    assert looping([9] * 6, plain) and looping([8, 4, 9, 4, 9, 4, 9, 4, 9], plain)
    assert (
        not looping([9] * 5, plain) and not looping([4, 9] * 3, plain) and not looping([4, 9, 4, 9, 5, 6, 7, 8], plain)
    )
    laughing = [5] * 9 + [3]
    assert not looping([9] * 10, laughing) and looping([9] * 11, laughing)
    assert loops.cut([9] * 30, plain) == 8 and loops.cut([4, 5, 6, 7, 8, 9], plain) is None


def test_what_is_much_longer_says_so(translator: Translator) -> None:
    texts = [*SENTENCES, "ab", "zz", "op op op op op op", "?"]
    for search in (SearchConfig(beam=1), SearchConfig(), SearchConfig(beam=1, min_length=11)):
        for found in translator.translate(texts, search):
            if len(found.text) > 3 * len(found.source) or len(found.tokens) - 1 > 3 * (len(found.source_tokens) - 1):
                assert found.warnings
    assert any("times as long" in " ".join(one.warnings) for one in translator.translate(texts, search))


def test_a_glossary_finds_its_terms(tmp_path: Path) -> None:
    path = tmp_path / "terms.tsv"
    path.write_text("meeting room\t회의실\nroom\t방\n회의\tmeeting\nC++\t씨쁠쁠\n", encoding="utf-8")
    glossary = ojak.Glossary.read(path)
    assert len(glossary) == 4
    assert glossary.wanted("The Meeting Room is a room.") == ["회의실", "방"]
    assert glossary.wanted("rooms and bedroom") == []
    assert glossary.wanted("회의는 C++로") == ["meeting", "씨쁠쁠"] and glossary.wanted("") == []
    with pytest.raises(DataError, match="one target"):
        ojak.Glossary([("a", "b"), ("A", "c")])
    with pytest.raises(DataError, match="is empty"):
        ojak.Glossary([("a", " ")])


def test_terms_appear_and_what_is_missing_is_told(translator: Translator) -> None:
    glossary = ojak.Glossary([("ab", "KL MN"), ("cd", "never seen")])
    found = translator.translate(SENTENCES, SearchConfig(beam=4), glossary=glossary)
    wanted = ["ab" in text.split() for text in SENTENCES]
    assert any(wanted) and all("KL MN" in one.text for one, want in zip(found, wanted, strict=True) if want)
    lacking = [one for one, text in zip(found, SENTENCES, strict=True) if "cd" in text.split()]
    assert lacking and all(one.missed == ("never seen",) for one in lacking)
    assert all("lacks terms" in one.warnings[-1] for one in lacking)
    free = translator.translate([one.source for one in lacking], SearchConfig(beam=4))
    unwritable = translator.translate(
        [one.source for one in lacking], SearchConfig(beam=4), constraints=[["☃"]] * len(free)
    )
    assert [one.tokens for one in unwritable] == [one.tokens for one in free], "what cannot be said costs nothing"
    (begun,) = translator.translate(["gh ij"], prefixes=["OP AB"])
    assert begun.text.startswith("OP AB")
    assert all("AB" not in one.text.split() for one in translator.translate(SENTENCES, banned=["AB"]))


@pytest.mark.parametrize("beam", [1, 4])
def test_a_stream_adds_up_to_the_translation(translator: Translator, beam: int) -> None:
    search = SearchConfig(beam=beam)
    for text in [*SENTENCES[:12], "", "ab cd. " * 9]:
        (whole,) = translator.translate([text], search, attention=True)
        tokens = list(translator.stream(text, search))
        assert "".join(token.text for token in tokens) == whole.text
        assert tuple(token.piece for token in tokens) == whole.tokens
        assert [token.score for token in tokens] == pytest.approx(list(whole.token_scores), abs=1e-4)
    with pytest.raises(UseError, match="A stream is of one"):
        next(translator.stream("ab", SearchConfig(n_best=2)))


def test_a_character_that_is_never_whole_comes_with_the_end() -> None:
    class Bytes:
        def decode(self, ids: list[int]) -> str:
            return bytes(byte for byte in ids if byte != EOS).decode(errors="replace")

        def pieces(self, ids: list[int]) -> list[str]:
            return [str(byte) for byte in ids]

    said = [*"가".encode(), *"나".encode()[:2], EOS]
    told = [token.text for token in texts(Bytes(), iter([(byte, 0.0, None) for byte in said]))]  # type: ignore[arg-type]
    assert told == ["", "", "가", "", "", "\ufffd"]


def test_what_else_could_stand_there(translator: Translator) -> None:
    (found,) = translator.translate(["ab cd ef"])
    for at in range(len(found.tokens)):
        others = translator.continuations("ab cd ef", at, 3)
        assert found.tokens[at] in [one.tokens[at] for one in others]
        assert all(one.tokens[:at] == found.tokens[:at] for one in others)
        chances = [one.token_scores[at] for one in others]
        assert chances == sorted(chances, reverse=True) and len(others) == 3
    with pytest.raises(UseError, match="place must be from 0"):
        translator.continuations("ab", 99)


def test_minimum_risk_takes_what_is_most_like_the_others() -> None:
    assert mbr.order(["abcdef", "uvwxyz", "abcdeg"])[2] == 1
    assert mbr.order(["one two", "three four", "three four"])[0] == 1, "drawn twice counts twice"
    assert mbr.order(["", "a"]) == [0, 1]


def test_a_shortlist_is_learnt_and_used(recurrent: Path, place: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(UseError, match="needs a shortlist"):
        ojak.load(recurrent, "cpu").translate(["ab"], SearchConfig(shortlist=True))
    words = ["shortlist", str(recurrent), "--pairs", str(tiny.corpus(place)), "--words", "3", "--frequent", "2"]
    assert cli.main(words) == 0
    assert "of the target's tokens" in capsys.readouterr().out
    translator = Translator.load(recurrent, "cpu")
    assert translator.shortlist is not None
    for text in SENTENCES[:10]:
        ids = translator.shortlist.words(translator.source.encode(text))
        expected = {number for word in text.split() for number in translator.target.encode(word.upper())}
        assert expected <= set(ids.tolist()), "each word is translated by its upper case"
    narrow, wide = (translator.translate(SENTENCES, SearchConfig(shortlist=on)) for on in (True, False))
    assert sum(a.text == b.text for a, b in zip(narrow, wide, strict=True)) > len(SENTENCES) * 0.6
    sizes = len(translator.source), len(translator.target)
    for other in ((sizes[0] + 1, sizes[1]), (sizes[0], 5)):
        with pytest.raises(ModelError, match="other vocabularies"):
            Lexicon.load(folder.model_folder(recurrent), other)
    (folder.model_folder(recurrent) / "shortlist.safetensors").write_bytes(b"broken")
    with pytest.raises(ModelError, match="must be a shortlist"):
        Lexicon.load(folder.model_folder(recurrent), sizes)
    (folder.model_folder(recurrent) / "shortlist.safetensors").unlink()
    with pytest.raises(DataError, match="none has text"):
        learn([[]], [[4]], (9, 9), 3, 2)


def test_an_ensemble_is_of_runs_with_one_vocabulary(recurrent: Path, transformer: Path, place: Path) -> None:
    both = ojak.load(recurrent, "cpu", ensemble=[transformer])
    found = both("ab cd")
    assert found.views == ("model0.additive", *(f"model1.layer{n}.head{h}" for n in (0, 1) for h in (0, 1)))
    others = tiny.settings(tiny.corpus(place, 150, 9), {"train": {"updates": 2}, "text": {"size": 9}})
    ojak.train_run(others, place / "other", tiny.Silent())
    with pytest.raises(UseError, match="must share their vocabularies"):
        ojak.load(recurrent, "cpu", ensemble=[place / "other"])


def test_ctranslate2_makes_the_same(transformer: Path, recurrent: Path, place: Path) -> None:
    pytest.importorskip("ctranslate2", reason="needs ctranslate2, which ojak[dev] installs")
    ctranslate2.export(transformer, place / "engine")
    ours, engine = ojak.load(transformer, "cpu"), ojak.load(place / "engine", "cpu")
    assert engine.languages == ours.languages and engine.longest == ours.longest
    for search in (SearchConfig(beam=1), SearchConfig(beam=1, min_length=4, no_repeat_ngram_size=2)):
        one, other = (maker.translate(["", *SENTENCES], search, attention=True) for maker in (ours, engine))
        for a, b in zip(one, other, strict=True):
            assert (a.tokens, a.text, a.source_tokens, a.warnings) == (b.tokens, b.text, b.source_tokens, b.warnings)
            assert a.score == pytest.approx(b.score, abs=1e-3)
            assert a.token_scores == pytest.approx(b.token_scores, abs=1e-3)
            if a.tokens:
                np.testing.assert_allclose(a.view("layer1"), b.view(), atol=1e-4)
    search = SearchConfig(beam=4, stop="first", n_best=2)
    one, other = (maker.translate(SENTENCES, search, attention=True) for maker in (ours, engine))
    alike = [(a, b) for a, b in zip(one, other, strict=True) if a.tokens == b.tokens]
    # A tiny model gives what cannot be said, such as <unk>, a share that the engine hands to the other words.
    assert len(alike) >= 0.7 * len(SENTENCES)
    for a, b in alike:
        np.testing.assert_allclose(a.view("layer1"), b.view(), atol=1e-4)
    prefixes = ["AB", "", "KL MN OP"] * (len(SENTENCES) // 3) + [""]
    for longest in (0, 1, 2):  # with prefixes, and down to nothing but the end
        short = SearchConfig(beam=1, max_length=longest)
        one, other = (maker.translate(SENTENCES, short, prefixes=prefixes) for maker in (ours, engine))
        assert [a.tokens for a in one] == [b.tokens for b in other]
    with pytest.raises(UseError, match="fewer than 12 tokens"):
        engine.translate(["ab"], prefixes=["AB " * 20])
    forced = engine.force(SENTENCES, [text.upper() for text in SENTENCES])
    expected = ours.force(SENTENCES, [text.upper() for text in SENTENCES])
    assert [one.score for one in forced] == pytest.approx([one.score for one in expected], abs=1e-3)
    with pytest.raises(UseError, match="has no diversity_groups"):
        engine.translate(["ab"], SearchConfig(beam=2, diversity_groups=2, diversity_strength=1.0))
    with pytest.raises(UseError, match="no constraints"):
        engine.translate(["ab"], constraints=[["AB"]])
    with pytest.raises(UseError, match=r"(?s)Transformers only.*scaled_dot only; found additive"):
        ctranslate2.export(recurrent, place / "never")
    with pytest.raises(ModelError, match="exported for ctranslate2; name what it was made from"):
        ctranslate2.export(place / "engine", place / "never")
    assert not (place / "never").exists()


def test_the_engine_drops_what_wu_puts_last() -> None:
    """Two hypotheses of one beam, by length and score: Wu's norm prefers the short one, a plain mean the other."""
    (few, first), (many, second) = (12, -16.4095), (19, -24.0265)
    wu = SearchConfig(length_penalty=1.0)
    assert first / length_penalty(float(few), wu) > second / length_penalty(float(many), wu)
    assert first / few < second / many
    exponent = _exponent(wu, 17)
    assert first / few**exponent > second / many**exponent
    assert _exponent(SearchConfig(length_penalty=0.7, length_norm="plain"), 17) == 0.7
    assert 0 < _exponent(SearchConfig(length_penalty=0.0), 17) < 1e-3, "with 0 a beam would stop at its first end"


def test_the_command_line_has_every_setting(
    recurrent: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    help_of = cli.parser()._subparsers._group_actions[0].choices["translate"].format_help()  # type: ignore[union-attr]
    for key in SearchConfig.model_fields.keys() - {"batch_tokens", "cut_loops"}:
        assert f"--{key.replace('_', '-')}" in help_of
    (tmp_path / "in").write_text("ab cd\nef\n")
    (tmp_path / "terms").write_text("KL\tMN\n\n")
    words = [str(recurrent), str(tmp_path / "in"), "--device", "cpu"]
    assert cli.main(["translate", *words, "--constraints", str(tmp_path / "terms"), "--json"]) == 0
    first = json.loads(capsys.readouterr().out.split("\n")[0])
    assert "KL" in first["text"] and "MN" in first["text"] and first["missed"] == []
    assert first["confidence"] == pytest.approx(math.exp(first["score"] / len(first["tokens"])))
    assert cli.main(["translate", *words]) == 0
    plain = capsys.readouterr().out
    assert cli.main(["translate", *words, "--stream"]) == 0
    assert capsys.readouterr().out == plain
    assert cli.main(["translate", *words, "--sampling", "--n-best", "3"]) == 0
    assert capsys.readouterr().out.count("\n") == 6
    assert cli.main(["alternatives", str(recurrent), "ab cd"]) == 0
    assert capsys.readouterr().out.startswith("0\t")
    assert cli.main(["alternatives", str(recurrent), "ab cd", "--at", "0", "--count", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 2
    for other in (["--json"], ["--warnings"], ["--n-best", "2"], ["--mbr", "2"], ["--banned", "AB"]):
        assert cli.main(["translate", *words, "--prefixes", str(tmp_path / "in"), "--stream", *other]) == 2
        assert f"{other[0]}" in capsys.readouterr().err
    (tmp_path / "short").write_text("AB\n")
    assert cli.main(["translate", *words, "--prefixes", str(tmp_path / "short")]) == 2
    assert "ends with line 1" in capsys.readouterr().err
    (tmp_path / "long").write_text("AB\n\nAB\n")
    assert cli.main(["translate", *words, "--prefixes", str(tmp_path / "long")]) == 0
    assert "has 3 lines, but the text only 2" in capsys.readouterr().err
