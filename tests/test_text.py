"""Text to ids and back."""

from __future__ import annotations

import json
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ojak.errors import ConfigError, DataError, ModelError, StorageError
from ojak.text import BOS, EOS, KINDS, PAD, SPECIALS, UNK, Kind, Tokenizer, learn, load, normalise
from ojak.text import subword as subword_module

SENTENCES = [
    "안녕하세요, 저는 학생입니다.",
    "내일 오후 3시에 회의가 있어요(2층).",
    "“이거 얼마예요?” 하고 물었다…",
    "Good morning, my friend! Isn't it 7:30 a.m.?",
    'He said: "I don\'t know (yet)" -- and left...',
    "Die Größe beträgt 1,5 km; das ist „viel“, oder?",
    "Übermorgen fährt Jürgens E-Mail-Programm ab!?",
    "हिन्दी में लिखिए।",
    "A/B, C&D; x_y=z*(2+3)",
]
SUBWORDS: tuple[Kind, ...] = ("unigram", "bpe")


@pytest.fixture(scope="module")
def tokenizers() -> dict[Kind, Tokenizer]:
    return {kind: learn(SENTENCES, kind, 400 if kind in SUBWORDS else 8000) for kind in KINDS}


# normalise


def test_normalise_makes_one_clean_line() -> None:
    assert normalise("  a\tb\r\nc\x00d\u3000e\u2028f \x85") == "a b c d e f"
    assert normalise("") == normalise(" \n") == ""


def test_normalise_composes_hangul_and_keeps_spacing_and_width() -> None:
    text = "띄어쓰기를 한 문장，ＡＢＣ！"
    assert normalise(unicodedata.normalize("NFD", text)) == text


def test_normalise_lowers_only_when_asked() -> None:
    assert normalise("ÄB") == "ÄB"
    assert normalise("ÄB", lowercase=True) == "äb"


def test_normalise_gives_text_that_utf8_can_hold() -> None:
    assert normalise("a\ud83d") == "a\ufffd"


@given(st.text(alphabet=st.characters(exclude_categories=())), st.booleans())
def test_normalise_twice_is_once(text: str, lowercase: bool) -> None:
    once = normalise(text, lowercase)
    assert normalise(once, lowercase) == once == normalise(once)
    assert once.encode("utf-8") is not None and "\n" not in once


# round trips


@pytest.mark.parametrize("kind", SUBWORDS)
@given(text=st.text())
@settings(deadline=None)  # the first text waits for the tokenizers
def test_subwords_give_any_text_back(kind: Kind, tokenizers: dict[Kind, Tokenizer], text: str) -> None:
    ids = tokenizers[kind].encode(text)
    assert tokenizers[kind].decode(ids) == normalise(text)
    assert all(number > EOS for number in ids)


@pytest.mark.parametrize("kind", SUBWORDS)
@pytest.mark.parametrize("text", ["🙂👩‍👩‍👧‍👦", "▅ ▁ ⁇", "\ufffd\ufeffa", "漢字 العربية", "a" * 5000])
def test_subwords_spell_unseen_characters_in_bytes(kind: Kind, tokenizers: dict[Kind, Tokenizer], text: str) -> None:
    assert tokenizers[kind].decode(tokenizers[kind].encode(text)) == normalise(text)
    assert any(piece.startswith("<0x") for piece in tokenizers[kind].pieces(tokenizers[kind].encode("🙂")))


@given(text=st.text(alphabet=sorted(set("".join(SENTENCES)))))
def test_characters_give_known_characters_back(tokenizers: dict[Kind, Tokenizer], text: str) -> None:
    ids = tokenizers["character"].encode(text)
    assert tokenizers["character"].decode(ids) == normalise(text)
    assert UNK not in ids


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("text", SENTENCES)
def test_learnt_sentences_come_back(kind: Kind, text: str, tokenizers: dict[Kind, Tokenizer]) -> None:
    ids = tokenizers[kind].encode(text)
    assert tokenizers[kind].decode(ids) == text
    assert UNK not in ids


@given(st.lists(st.text(alphabet=st.sampled_from("ab가나 .,(\"'-_é\u0301ा￭1")), min_size=1))
def test_words_that_were_learnt_come_back(sentences: list[str]) -> None:
    sentences = [*sentences, "word"]
    words = learn(sentences, "word", 10_000)
    for sentence in sentences:
        if "￭" not in sentence:  # the sign of glue itself is never learnt
            assert words.decode(words.encode(sentence)) == normalise(sentence)


@pytest.mark.parametrize("kind", KINDS)
def test_decomposed_hangul_is_the_same_text(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    text = SENTENCES[0]
    assert tokenizers[kind].encode(unicodedata.normalize("NFD", text)) == tokenizers[kind].encode(text)


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_in_nothing_out(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    assert tokenizers[kind].encode(" \n") == []
    assert tokenizers[kind].decode([]) == ""
    assert tokenizers[kind].pieces([]) == []


# specials


@pytest.mark.parametrize("kind", KINDS)
def test_special_ids_are_fixed(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    tokenizer = tokenizers[kind]
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    assert tokenizer.pieces(range(4)) == list(SPECIALS) == ["<pad>", "<unk>", "<s>", "</s>"]
    assert tokenizer.decode([BOS, *tokenizer.encode(SENTENCES[0]), EOS, PAD, PAD]) == SENTENCES[0]
    assert len(set(tokenizer.entries)) == len(tokenizer.entries) == len(tokenizer)
    with pytest.raises(IndexError):
        tokenizer.decode([len(tokenizer)])
    with pytest.raises(IndexError):
        tokenizer.decode([-1])


@pytest.mark.parametrize("kind", KINDS)
def test_text_cannot_name_a_special(kind: Kind) -> None:
    text = "stop</s><pad> <s> <unk> <0x41> stop"
    tokenizer = learn([text] * 20 + [" ".join(text)], kind, 400)
    ids = tokenizer.encode(text)
    assert min(ids) > EOS
    assert tokenizer.decode(ids) == text


# what each kind shows and learns


def test_pieces_of_words_and_characters_read_well(tokenizers: dict[Kind, Tokenizer]) -> None:
    word, character = tokenizers["word"], tokenizers["character"]
    assert word.pieces(word.encode("don't, 학생")) == ["don", "'", "t", ",", "<unk>"]
    assert word.pieces(word.encode("(yet)")) == ["(", "yet", ")"]
    assert character.pieces(character.encode("a b☃")) == ["a", "▁", "b", "<unk>"]


def test_a_word_has_one_id_wherever_it_stands(tokenizers: dict[Kind, Tokenizer]) -> None:
    word = tokenizers["word"]
    assert word.encode("yet")[0] in word.encode("(yet)")


def test_a_mark_is_known_where_its_glue_is_new() -> None:
    word = learn(["a , b"], "word", 100)
    assert word.decode(word.encode("a,b")) == "a , b"


def test_subwords_mark_the_start_of_words(tokenizers: dict[Kind, Tokenizer]) -> None:
    for kind in SUBWORDS:
        pieces = tokenizers[kind].pieces(tokenizers[kind].encode("my friend"))
        assert "".join(pieces) == "▁my▁friend"


def test_most_frequent_first_and_ties_by_text() -> None:
    word = learn(["c b b", "a c b"], "word", 7)
    assert word.entries == [*SPECIALS, "b", "c", "a"]
    assert learn(["c b b", "a c b"], "word", 6).entries == [*SPECIALS, "b", "c"]
    assert learn(["c b b", "a c b"], "word", 99, min_frequency=3).entries == [*SPECIALS, "b"]


@pytest.mark.parametrize("kind", KINDS)
def test_lowercase_travels(kind: Kind, tmp_path: Path) -> None:
    learn(["Guten Tag, Welt"], kind, 400, lowercase=True).save(tmp_path, "source")
    tokenizer = load(tmp_path, "source", kind)
    assert tokenizer.lowercase
    assert tokenizer.decode(tokenizer.encode("GUTEN TAG, WELT")) == "guten tag, welt"


@pytest.mark.parametrize("kind", KINDS)
def test_a_small_corpus_gives_a_small_vocabulary(kind: Kind) -> None:
    tokenizer = learn(SENTENCES[:3], kind, 8000)
    assert len(SPECIALS) < len(tokenizer) < 8000
    assert [tokenizer.decode(tokenizer.encode(text)) for text in SENTENCES[:3]] == SENTENCES[:3]


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_size_is_met_when_the_corpus_has_it(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    assert len(tokenizers["bpe"]) == 400
    assert len(tokenizers[kind]) <= 400


def test_a_model_that_puts_a_line_break_gives_one_line(tokenizers: dict[Kind, Tokenizer]) -> None:
    bpe = tokenizers["bpe"]
    newline = bpe.entries.index("<0x0A>")
    assert bpe.decode([*bpe.encode("my"), newline, *bpe.encode("friend")]) == "my friend"
    assert bpe.decode([bpe.entries.index("<0xFF>")]) == "\ufffd"


@pytest.mark.parametrize("kind", SUBWORDS)
def test_long_and_reserved_sentences_are_learnt_from(kind: Kind) -> None:
    long = "abc xyz " * 3000 + "☃" + " ▅ Q"
    tokenizer = learn([long], kind, 300)
    assert {"☃", "Q"} <= set(tokenizer.entries)


# sampling


@pytest.mark.parametrize("kind", SUBWORDS)
def test_sampling_cuts_otherwise_and_keeps_the_text(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    tokenizer, text = tokenizers[kind], " ".join(SENTENCES)
    draws = [tokenizer.encode(text, sample=0.2, seed=seed) for seed in range(5)]
    assert len({tuple(draw) for draw in draws}) > 1
    assert {tokenizer.decode(draw) for draw in draws} == {text}
    assert draws[3] == tokenizer.encode(text, sample=0.2, seed=3)
    assert tokenizer.encode(text) == tokenizer.encode(text)


@pytest.mark.parametrize("kind", ["word", "character"])
def test_words_and_characters_have_nothing_to_sample(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    assert tokenizers[kind].encode(SENTENCES[0], sample=0.5) == tokenizers[kind].encode(SENTENCES[0])


# determinism


@pytest.mark.parametrize("kind", KINDS)
def test_learning_again_gives_the_same_files(kind: Kind, tmp_path: Path) -> None:
    for folder in ("a", "b"):
        learn(iter(SENTENCES), kind, 400).save(tmp_path / folder, "shared")
    first, second = ({f.name: f.read_bytes() for f in (tmp_path / folder).iterdir()} for folder in ("a", "b"))
    assert first == second


def test_a_sample_of_a_large_corpus_depends_on_the_seed_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subword_module, "MOST_SENTENCES", 3)
    numbers = [chr(0xAC00 + number) for number in range(100)]
    one, again, other = (learn(numbers, "unigram", 400, seed=seed).entries for seed in (1, 1, 2))
    assert one == again != other
    assert len({entry for entry in one if entry in numbers}) == 3


# saving and loading


@pytest.mark.parametrize("kind", KINDS)
def test_saved_and_loaded_is_the_same(kind: Kind, tokenizers: dict[Kind, Tokenizer], tmp_path: Path) -> None:
    tokenizers[kind].save(tmp_path / "model", "target")
    loaded = load(tmp_path / "model", "target", kind)
    assert loaded.kind == kind and loaded.entries == tokenizers[kind].entries
    assert [loaded.encode(s) for s in [*SENTENCES, "🙂"]] == [tokenizers[kind].encode(s) for s in [*SENTENCES, "🙂"]]
    names = {file.name for file in (tmp_path / "model").iterdir()}
    assert names == {"target.vocabulary.json"} | ({"target.spm"} if kind in SUBWORDS else set())


def test_a_missing_tokenizer_is_named(tmp_path: Path, tokenizers: dict[Kind, Tokenizer]) -> None:
    with pytest.raises(ModelError, match=r"source\.vocabulary\.json.*No such file"):
        load(tmp_path, "source", "word")
    tokenizers["bpe"].save(tmp_path, "source")
    (tmp_path / "source.spm").unlink()
    with pytest.raises(ModelError, match=r"source\.spm.*No such file"):
        load(tmp_path, "source", "bpe")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"kind": "character"}, "of kind 'character', and the model asks for 'word'"),
        ({"format": 2}, "has format 2.*newer"),
        ({"format": "1"}, "`format`"),
        ({"entries": ["a", "a"]}, "entries"),
        ({"entries": [1]}, "entries"),
        ({"entries": None}, "entries"),
        ({"lowercase": "no"}, "lowercase"),
    ],
)
def test_a_wrong_record_is_refused(
    change: dict[str, object], message: str, tmp_path: Path, tokenizers: dict[Kind, Tokenizer]
) -> None:
    tokenizers["word"].save(tmp_path, "source")
    path = tmp_path / "source.vocabulary.json"
    path.write_text(json.dumps(json.loads(path.read_text("utf-8")) | change), "utf-8")
    with pytest.raises(ModelError, match=message):
        load(tmp_path, "source", "word")


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"1"])
def test_a_broken_record_is_refused(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "source.vocabulary.json").write_bytes(content)
    with pytest.raises(ModelError, match="as Ojak wrote it"):
        load(tmp_path, "source", "word")


@pytest.mark.parametrize("kept", [0, 1, 100, 3000, -1])
def test_a_broken_model_is_refused(kept: int, tmp_path: Path, tokenizers: dict[Kind, Tokenizer]) -> None:
    tokenizers["unigram"].save(tmp_path, "source")
    path = tmp_path / "source.spm"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(ModelError, match=r"source\.spm"):
        load(tmp_path, "source", "unigram")


def test_a_model_of_another_tokenizer_is_refused(tmp_path: Path, tokenizers: dict[Kind, Tokenizer]) -> None:
    tokenizers["bpe"].save(tmp_path, "source")
    learn(SENTENCES, "bpe", 390).save(tmp_path, "target")
    (tmp_path / "target.spm").replace(tmp_path / "source.spm")
    with pytest.raises(ModelError, match=r"390 entries.*400"):
        load(tmp_path, "source", "bpe")


def test_a_folder_that_cannot_be_written_is_a_storage_error(tmp_path: Path, tokenizers: dict[Kind, Tokenizer]) -> None:
    (tmp_path / "file").write_text("")
    for kind in KINDS:
        with pytest.raises(StorageError):
            tokenizers[kind].save(tmp_path / "file", "source")


# what cannot be learnt


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sentences", [[], [""], [" \n", "\x00"]])
def test_no_text_is_refused(kind: Kind, sentences: list[str]) -> None:
    with pytest.raises(DataError, match="learns from text"):
        learn(sentences, kind, 400)


@pytest.mark.parametrize("kind", SUBWORDS)
def test_text_that_subwords_cannot_learn_from_is_refused(kind: Kind) -> None:
    with pytest.raises(DataError, match="learns from text"):
        learn(["▅"], kind, 400)


@pytest.mark.parametrize("kind", SUBWORDS)
def test_a_size_without_room_says_how_much_is_needed(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="264 in all, but its size is 263") as caught:
        learn(["abc a"], kind, 263)
    assert "Ask for 264 or more" in str(caught.value)
    assert len(learn(["abc a"], kind, 264)) <= 264


@pytest.mark.parametrize("kind", ["word", "character"])
def test_a_size_of_specials_only_is_refused(kind: Kind) -> None:
    with pytest.raises(ConfigError, match="its size is 4"):
        learn(["a"], kind, 4)


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(ConfigError, match="'wordpiece'"):
        learn(["a"], "wordpiece", 400)  # type: ignore[arg-type]


def test_importing_text_loads_no_torch() -> None:
    code = "import sys, ojak.text; sys.exit('torch' in sys.modules or 'sacrebleu' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


@settings(max_examples=20)
@given(st.lists(st.integers(0, 300)))
def test_any_ids_give_one_line(tokenizers: dict[Kind, Tokenizer], ids: list[int]) -> None:
    for tokenizer in tokenizers.values():
        text = tokenizer.decode([number for number in ids if number < len(tokenizer)])
        assert "\n" not in text and text == normalise(text)
