"""Word alignments: links, error rates, symmetrising, words of pieces, readings, and the command."""

from __future__ import annotations

import json
import math
import shutil
import unicodedata
from itertools import pairwise, product
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from zoo import VOCABULARY, ZOO, make

import ojak
from ojak import batch, cli
from ojak.align import aligner, symmetrise
from ojak.align.aligner import Aligner
from ojak.align.choose import by_agreement, by_gold, looked
from ojak.align.error_rate import error_rate
from ojak.align.extract import Seen, cut, see
from ojak.align.links import Gold, Links, pharaoh, read_gold
from ojak.align.reading import MEASURES, STEPS, Reading, default, every, names
from ojak.align.remember import recall, remember
from ojak.align.symmetrise import both_ways, mutual, one_way, soft_union
from ojak.align.words import Cut, Matrix
from ojak.attribution import attention
from ojak.attribution.attention import lengths
from ojak.config import SearchConfig
from ojak.corpus.pair import Pair
from ojak.errors import DataError, ModelError, UseError
from ojak.model.folder import Loaded
from ojak.model.inside import Transforms
from ojak.text import KINDS, Kind, Tokenizer, learn
from ojak.text.vocabulary import BOS, EOS
from ojak.translate import Translator
from ojak.words import merged

# gold and error rate


def test_error_rate_against_the_formula_by_hand(tmp_path: Path) -> None:
    """A = {0-0, 1-1, 1-2, 2-0}, S = {0-0, 1-1, 2-2}, P = S + {1-2}: 3 of 4 possible, 2 of 3 sure."""
    gold = read(tmp_path, ["0-0 1-1 2-2 1p2"], [("a b c", "x y z")])
    rate = error_rate([frozenset({(0, 0), (1, 1), (1, 2), (2, 0)})], gold)
    assert (rate.precision, rate.recall) == (3 / 4, 2 / 3)
    assert rate.aer == pytest.approx(1 - (2 + 3) / (4 + 3))


def test_error_rate_is_over_all_sentences_and_of_nothing_it_is_no_fault() -> None:
    some, none = Gold(frozenset({(0, 0)}), frozenset({(0, 0), (0, 1)})), Gold(frozenset(), frozenset())
    rate = error_rate([frozenset(), frozenset({(5, 5)})], [some, none])
    assert (rate.links, rate.sure, rate.aer, rate.precision, rate.recall) == (1, 1, 1.0, 0.0, 0.0)
    assert error_rate([frozenset()], [none]).aer == 0
    with pytest.raises(ValueError, match="zip"):
        error_rate([frozenset()], [some, none])


QUICK = settings(deadline=None, max_examples=40)
LINKS = st.frozensets(st.tuples(st.integers(0, 5), st.integers(0, 5)), max_size=14)


@given(st.lists(st.tuples(LINKS, LINKS, LINKS), min_size=1, max_size=4))
@QUICK
def test_error_rate_is_the_formula(sentences: list[tuple[Links, Links, Links]]) -> None:
    golds = [Gold(sure, sure | more) for _, sure, more in sentences]
    found = [links for links, _, _ in sentences]
    met = sum(len(a & g.sure) for a, g in zip(found, golds, strict=True))
    right = sum(len(a & g.possible) for a, g in zip(found, golds, strict=True))
    every = sum(map(len, found)) + sum(len(g.sure) for g in golds)
    assert error_rate(found, golds).aer == pytest.approx(1 - (met + right) / every if every else 0)


def read(folder: Path, lines: list[str], texts: list[tuple[str, str]]) -> list[Gold]:
    (folder / "gold").write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return read_gold(folder / "gold", [Pair(source, target) for source, target in texts])


def test_gold_is_the_last_column_and_counts_from_0(tmp_path: Path) -> None:
    (one, none) = read(tmp_path, ["a b\tx\t0-0 1p0", ""], [("a b", "x"), ("a", "x")])
    assert one == Gold(frozenset({(0, 0)}), frozenset({(0, 0), (1, 0)}))
    assert none == Gold(frozenset(), frozenset())


@pytest.mark.parametrize(
    ("lines", "says"),
    [
        (["0-0", "0-1", "0-0"], "line 2: 0-1 links words of a pair that has 1 and 1"),
        (["0-0", "0-0", "7p0"], "line 3: 7p0 links words of a pair that has 1 and 1"),
        (["0-0", "0–0", "0-0"], "line 2: '0–0' is no link"),
        (["0-0", "-1-0", "0-0"], "line 2: '-1-0' is no link"),
        (["0-0", "0-0"], "it has 2 lines for 3 pairs"),
    ],
)
def test_gold_that_does_not_fit_is_told_by_file_and_line(tmp_path: Path, lines: list[str], says: str) -> None:
    with pytest.raises(DataError) as error:
        read(tmp_path, lines, [("a", "x")] * 3)
    assert says in str(error.value) and str(tmp_path / "gold") in str(error.value)


@given(LINKS)
@QUICK
def test_pharaoh_goes_out_and_comes_back(tmp_path_factory: pytest.TempPathFactory, links: Links) -> None:
    words = " ".join("abcdef")
    (gold,) = read(tmp_path_factory.getbasetemp(), [pharaoh(links)], [(words, words)])
    assert gold.sure == gold.possible == links


# symmetrising

FORWARD = frozenset({(0, 0), (1, 1), (2, 1), (4, 3), (3, 4)})
BACKWARD = frozenset({(0, 0), (1, 1), (1, 2), (4, 4), (3, 4)})


def test_symmetrising_a_worked_example() -> None:
    """Both have 0-0, 1-1, 3-4. Beside them, with a word that has no link: 1-2 and 2-1 of 1-1, and 4-3 and 4-4 of 3-4;
    4-3 comes first in the round about 3-4 only as a diagonal, behind 4-4."""
    assert symmetrise.intersection(FORWARD, BACKWARD) == {(0, 0), (1, 1), (3, 4)}
    assert symmetrise.union(FORWARD, BACKWARD) == FORWARD | BACKWARD
    grown = {(0, 0), (1, 1), (3, 4), (2, 1), (1, 2), (4, 4), (4, 3)}
    assert symmetrise.grow_diag(FORWARD, BACKWARD) == grown
    far = FORWARD | {(6, 0), (7, 7)}
    assert symmetrise.grow_diag(far, BACKWARD) == grown
    assert symmetrise.grow_diag_final(far, BACKWARD) == grown | {(6, 0), (7, 7)}
    assert symmetrise.grow_diag_final_and(far, BACKWARD) == grown | {(7, 7)}


def naive(forward: Links, backward: Links) -> set[tuple[int, int]]:
    """Grow-diag as its definition says: whole rounds over the links there were, until a round adds none."""
    found, every = set(forward & backward), forward | backward
    fresh = set(found)
    while fresh:
        there, fresh = sorted(fresh), set()
        for i, j in there:
            for down, right in [(-1, 0), (0, -1), (1, 0), (0, 1), (-1, -1), (-1, 1), (1, -1), (1, 1)]:
                row, column = i + down, j + right
                free = all(a != row for a, _ in found) or all(b != column for _, b in found)
                if (row, column) in every - found and free:
                    found.add((row, column))
                    fresh.add((row, column))
    return found


@given(LINKS, LINKS)
@QUICK
def test_symmetrising_is_what_the_definitions_say(forward: Links, backward: Links) -> None:
    grown = naive(forward, backward)
    assert symmetrise.grow_diag(forward, backward) == grown
    for way, both in ((symmetrise.grow_diag_final, False), (symmetrise.grow_diag_final_and, True)):
        found = set(grown)
        for direction in (forward, backward):
            for i, j in sorted(direction):
                free = [all(a != i for a, _ in found), all(b != j for _, b in found)]
                if all(free) if both else any(free):
                    found.add((i, j))
        assert way(forward, backward) == found
    nested = [way(forward, backward) for way in symmetrise.WAYS.values()]
    low, high, grow, final, final_and = nested
    assert low <= grow <= final_and <= high and grow <= final <= high


@given(LINKS)
@QUICK
def test_two_directions_that_agree_are_what_they_are(links: Links) -> None:
    assert {way(links, links) for way in symmetrise.WAYS.values()} == {links}


SHARES = st.integers(0, 10_000).map(lambda seed: np.random.default_rng(seed).dirichlet([0.3] * 4, 3).astype(np.float32))


@given(SHARES, SHARES)
@QUICK
def test_mutual_links_join_words_that_choose_each_other(ahead: Matrix, back: Matrix) -> None:
    """Of three target and four source words."""
    found = mutual(ahead, back)
    for j, i in product(range(3), range(4)):
        share = float(ahead[j, i]) + float(back[j, i])
        others = [float(ahead[j, k]) + float(back[j, k]) for k in range(4) if k != i]
        others += [float(ahead[k, i]) + float(back[k, i]) for k in range(3) if k != j]
        assert abs(share - max(others)) < 1e-6 or ((i, j) in found) == (share > max(others))


@given(SHARES, SHARES, st.floats(0.01, 1))
@QUICK
def test_soft_union_is_what_the_mean_share_says(ahead: Matrix, back: Matrix, least: float) -> None:
    found = soft_union(ahead, back, least)
    for j, i in product(range(3), range(4)):
        share = (float(ahead[j, i]) + float(back[j, i])) / 2
        assert abs(share - least) < 1e-6 or ((i, j) in found) == (share > least)


def test_a_direction_that_is_sure_outvotes_one_that_is_not() -> None:
    """The first target word looks at the first source word, which would rather have the second, but hardly so."""
    ahead = np.array([[0.9, 0.1], [0.2, 0.8]], dtype=np.float32)
    back = np.array([[0.45, 0.1], [0.55, 0.9]], dtype=np.float32)
    assert both_ways("intersection", ahead, back) == {(1, 1)}
    assert both_ways("mutual", ahead, back) == mutual(ahead, back) == {(0, 0), (1, 1)}
    assert both_ways("union", ahead, back) == {(0, 0), (0, 1), (1, 1)}
    assert both_ways("soft-union", ahead, back) == soft_union(ahead, back) == {(0, 0), (1, 1)}
    assert soft_union(ahead, back, 0.37) == {(0, 0), (0, 1), (1, 1)}


# words of pieces

SENTENCES = ["안녕하세요, 저는 학생입니다.", "Good morning, my friend!", "Übermorgen fährt er ab", "내일 3시에 봐요"]


@pytest.fixture(scope="module")
def tokenizers() -> dict[Kind, Tokenizer]:
    return {kind: learn(SENTENCES, kind, 340, lowercase=True) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@given(text=st.text(alphabet=st.one_of(st.characters(), st.sampled_from(" \t\x7f\u3000'.요친a"))))
@QUICK
def test_words_have_just_the_pieces_of_the_text(kind: Kind, tokenizers: dict[Kind, Tokenizer], text: str) -> None:
    tokenizer = tokenizers[kind]
    cut = Cut.of(tokenizer, text)
    assert cut.pieces == tokenizer.encode(text)
    assert list(cut.words) == text.split()
    for word, ids in zip(cut.words, cut.ids, strict=True):
        if kind in ("unigram", "bpe"):
            assert tokenizer.decode(ids) == tokenizer.form.of(word)
        assert (not ids) == (not tokenizer.form.of(word))


@pytest.mark.parametrize("kind", KINDS)
def test_words_of_text_that_normalisation_changes(kind: Kind, tokenizers: dict[Kind, Tokenizer]) -> None:
    """Decomposed Hangul, a word of nothing but a control character, and one that it cuts in two."""
    text = f"{unicodedata.normalize('NFD', '학생')} \x7f MORNING\x7fmy\u3000저는"
    cut = Cut.of(tokenizers[kind], text)
    assert len(cut.words) == 4 and cut.ids[1] == ()
    assert cut.pieces == tokenizers[kind].encode("학생 morning my 저는")
    first, third = (len(Cut.of(tokenizers[kind], word).pieces) for word in ("학생", "저는"))
    space = kind == "character"
    assert len(cut.ids[0]) == first and len(cut.ids[3]) == third + space
    assert [bool(part) for part in cut.groups] == [True, False, True, True]
    assert [place for part in cut.groups for place in part] == list(range(len(cut.pieces)))


@given(st.lists(st.integers(0, 3), min_size=1, max_size=6), st.lists(st.integers(0, 3), min_size=1, max_size=6))
@QUICK
def test_pieces_are_summed_over_the_source_and_averaged_over_the_target(source: list[int], target: list[int]) -> None:
    """Lists of how many pieces each word has."""
    words = [np.repeat(np.arange(len(side)), side) for side in (target, source)]
    groups = [Cut(tuple("w" * len(side)), tuple((0,) * count for count in side)).groups for side in (target, source)]
    matrix = np.random.default_rng(1).random((len(words[0]), len(words[1]) + 1), dtype=np.float32)
    for mean in (True, False):
        found = merged(matrix, *groups, mean)  # the last column, which is no word's, is left out
        for row, column in product(range(len(target)), range(len(source))):
            block = matrix[words[0] == row][:, :-1][:, words[1] == column]
            assert found[row, column] == pytest.approx(block.sum() / (max(target[row], 1) if mean else 1))


def test_a_word_looks_where_it_looked_most_and_one_without_pieces_nowhere() -> None:
    matrix = np.array([[0.1, 0.9], [0, 0], [0.6, 0.4]], dtype=np.float32)
    assert one_way(matrix) == {(1, 0), (0, 2)}
    assert one_way(np.zeros((2, 0), dtype=np.float32)) == frozenset()


# extraction, for every architecture


class Numbers(Tokenizer):
    """Words are ids as digits; a dot within one parts its pieces."""

    kind: Kind = "word"
    form = learn(["a"], "word", 9).form

    @property
    def entries(self) -> list[str]:
        raise NotImplementedError

    def pieces(self, ids: object) -> list[str]:
        raise NotImplementedError

    def __len__(self) -> int:
        return VOCABULARY

    def save(self, folder: Path, name: str) -> None:
        raise NotImplementedError

    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        return [int(piece) for word in text.split() for piece in word.split(".")]

    def _decode(self, ids: object) -> str:
        raise NotImplementedError


SOURCES, TARGETS = ["4.5 6 7.8.9", "10 4", "5"], ["7 8.4", "9.9.9 5 6", "6.7"]
ATTENDING = [name for name in ZOO if "none" not in name]


def seen_by(translator: Translator, sources: list[str], targets: list[str]) -> dict[int, Seen]:
    return dict(see(translator, cut(translator, sources, targets)))


def flat(words: list[list[int]]) -> list[int]:
    return [piece for word in words for piece in word]


def translator_of(name: str) -> Translator:
    return Translator(Loaded(make(name), Numbers(), Numbers(), SearchConfig(batch_tokens=16), ("a", "b")))


@pytest.mark.parametrize("name", ATTENDING)
def test_what_is_read_is_the_attention_of_forced_decoding(name: str) -> None:
    """Each pair alone, token by token, its words put together by hand."""
    translator = translator_of(name)
    model = translator.model
    views = {view: [place] for place, view in enumerate(model.views)}
    if name.startswith("transformer"):
        views |= {"layer0": [0, 1], "layer1": [2, 3], "mean": [0, 1, 2, 3]}
    assert set(names(model.views)) == set(views)
    for place, seen in seen_by(translator, SOURCES, TARGETS).items():
        source, target = (
            [list(map(int, word.split("."))) for word in side[place].split()] for side in (SOURCES, TARGETS)
        )
        ids = torch.tensor([[*flat(source), EOS]])
        state = model.start(model.encode(ids))
        rows = []
        for token in [BOS, *flat(target)]:
            decoded, state = model.advance(torch.tensor([[token]]), state, attend=True)
            assert decoded.attention is not None
            rows.append(decoded.attention[0, 0].detach().numpy())
        for (view, chosen), step in product(views.items(), STEPS):
            plain = np.zeros((len(target), len(source)))
            first = int(step == "input")  # the step that reads a token comes behind the one that writes it
            for row, column in product(range(len(target)), range(len(source))):
                steps = range(first + len(flat(target[:row])), first + len(flat(target[: row + 1])))
                columns = range(len(flat(source[:column])), len(flat(source[: column + 1])))
                plain[row, column] = np.mean([[sum(rows[t][k][s] for s in columns) for k in chosen] for t in steps])
            plain /= plain.sum(1, keepdims=True)
            found = seen.matrix(Reading(view, step, "weights"))
            np.testing.assert_allclose(found, plain, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize("name", ATTENDING)
def test_norms_against_plain_loops(name: str) -> None:
    """‖α f(x)‖ with f(x) from the module's own parts: what attention gives where all weight is on one token."""
    translator = translator_of(name)
    model = translator.model
    ids = torch.tensor([[4, 5, 6, EOS]])
    state = model.start(model.encode(ids))
    assert isinstance(model, Transforms)
    transformed = model.transformed(state)
    weights = model.advance(torch.tensor([[BOS, 7, 8]]), state, attend=True)[0].attention
    assert weights is not None
    memory = model.encode(ids).states[0]
    layers = 2 if name.startswith("transformer") else 1
    heads = len(model.views) // layers
    norms, layer_norms = lengths(weights, transformed, model.views)
    for t, layer, s in product(range(3), range(layers), range(4)):
        together = torch.zeros(())
        for head in range(heads):
            vector = memory[s]
            if name.startswith("transformer"):
                cross = model.decoder[layer].cross  # type: ignore[index, union-attr, attr-defined]
                width = cross.out.weight.shape[0] // heads
                mine = slice(head * width, (head + 1) * width)
                value = cross.value(memory[s])[mine]
                vector = cross.out.weight[:, mine] @ value
            view = layer * heads + head
            one = weights[0, t, view, s] * vector
            assert float(norms[0, t, view, s]) == pytest.approx(float(one.norm()))
            together = together + one
        assert float(layer_norms[0, t, layer, s]) == pytest.approx(float(together.norm()))


def test_norms_of_a_layer_are_shares_of_what_its_heads_let_through_together() -> None:
    translator = translator_of("transformer-pre-rotary-swiglu")
    (seen,) = seen_by(translator, ["4 5 6"], ["7 8"]).values()
    assert seen.norms is not None
    for view, chosen in (("layer1", seen.norms[1][:, [1]]), ("mean", seen.norms[1])):
        plain = chosen.mean(1)[1:, :3]
        np.testing.assert_allclose(
            seen.matrix(Reading(view, "input", "norms")), plain / plain.sum(1, keepdims=True), rtol=1e-5
        )


@torch.no_grad()
@pytest.mark.parametrize("name", ATTENDING)
def test_norms_are_those_that_a_look_inside_shows(name: str) -> None:
    """One definition for both, of every view, layer and the mean of all: words of one piece each, without the ends."""
    translator = translator_of(name)
    (seen,) = seen_by(translator, ["4 5 6"], ["7 8"]).values()
    ids = batch.collate([[4, 5, 6]], [[7, 8]], torch.device("cpu"))
    for view in names(translator.views):
        looked_at = attention.norms(translator.model, ids, view)[:-1, :-1].numpy()
        found = seen.matrix(Reading(view, "output", "norms"))
        np.testing.assert_allclose(found, looked_at / looked_at.sum(1, keepdims=True), rtol=1e-5)


def test_norms_are_worked_out_only_where_they_are_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    translator = translator_of("transformer-pre-rotary-swiglu")
    pairs = [Pair("4 5 6", "7 8")]
    weights, norms = (Aligner(translator, Reading("mean", "output", measure)).align(pairs) for measure in MEASURES)
    monkeypatch.setattr(type(translator.model), "transformed", lambda model, state: pytest.fail("not asked for"))
    assert Aligner(translator, Reading("mean", "output", "weights")).align(pairs) == weights
    assert [one.shares for one in weights] != [one.shares for one in norms]


def test_a_model_without_attention_says_so() -> None:
    name = next(name for name in ZOO if "none" in name)
    with pytest.raises(UseError, match="has none: it squeezes the source into one vector"):
        Aligner(translator_of(name))


def test_readings_of_a_model() -> None:
    heads = tuple(f"layer{layer}.head{head}" for layer in range(3) for head in range(2))
    assert len(every(heads)) == (6 + 3 + 1) * 4 and len(every(("dot",))) == 4
    assert {reading.view for reading in every(heads)} == {*heads, "layer0", "layer1", "layer2", "mean"}


@pytest.mark.parametrize("name", ["gru-additive-before", "transformer-pre-rotary-swiglu"])
def test_the_default_is_a_reading_of_every_model_with_attention(name: str) -> None:
    translator = translator_of(name)
    reading = default(translator.views)
    (seen,) = seen_by(translator, ["4 5 6"], ["7 8"]).values()
    plain = seen.norms[1].mean(1)[:-1, :3]
    np.testing.assert_allclose(seen.matrix(reading), plain / plain.sum(1, keepdims=True), rtol=1e-5)


# choosing


def test_choosing_by_gold_and_by_agreement() -> None:
    pairs = [Pair("a b", "x y z"), Pair("c d e", "u v")]
    right, wrong = Reading("layer0", "input", "norms"), Reading("layer1", "output", "weights")
    gold = [Gold(*[frozenset({(0, 0), (1, 1), (1, 2)})] * 2), Gold(*[frozenset({(0, 1), (2, 0)})] * 2)]
    looks = {wrong: np.array([1, 0, 0, 2, 4]), right: np.array([0, 1, 1, 4, 2])}
    rates = by_gold(looks, pairs, gold)
    assert [(reading, rate.aer) for reading, rate in rates.items()] == [(right, 0.0), (wrong, 1.0)]
    # Backward, from each of the five source words: 0 and 1 look back at words that look at them, 2 and 4 as well.
    back = {wrong: np.array([2, 0, 3, 3, 3]), right: np.array([0, 2, 4, 3, 3])}
    one, other, agreement = by_agreement(looks, back)
    assert (one, other) == (right, right) and agreement == 2 * 4 / 10


# whole ways through


def copying(folder: Path, count: int = 240) -> Path:
    """Sentences and themselves in upper case, with longer words in pieces."""
    lines = [source for source, _ in tiny.pairs(count)]
    (folder / "copy.tsv").write_text("".join(f"{line}\t{line.upper()}\n" for line in lines), encoding="utf-8")
    return folder / "copy.tsv"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("align")


@pytest.fixture(scope="module")
def runs(place: Path) -> tuple[Path, Path]:
    """Two models that learnt to copy, one each way."""
    file = copying(place)
    model = {"width": 24, "embedding": 24, "dropout": 0.0, "attention": "general", "acts": "after"}
    for name, reverse in (("ahead", False), ("back", True)):
        data = {"source": "en", "target": "xx", "reverse": reverse}
        settings = {"data": data, "model": model, "train": {"updates": 500, "validate_every": 500, "average": 0}}
        ojak.train_run(tiny.settings(file, settings), place / name, tiny.Silent())
    return place / "ahead", place / "back"


@pytest.fixture(scope="module")
def gold(place: Path) -> Path:
    """Forty pairs with the links of a copy, in three columns."""
    rows = (line.split("\t") for line in (place / "copy.tsv").read_text(encoding="utf-8").split("\n")[:40])
    text = "".join(f"{a}\t{b}\t{' '.join(f'{i}-{i}' for i in range(len(a.split())))}\n" for a, b in rows)
    (place / "gold.tsv").write_text(text, encoding="utf-8")
    return place / "gold.tsv"


@pytest.fixture(scope="module")
def pairs(gold: Path) -> Path:
    """The same without the links."""
    rows = (line.split("\t") for line in gold.read_text(encoding="utf-8").strip().split("\n"))
    file = gold.with_name("pairs.tsv")
    file.write_text("".join(f"{a}\t{b}\n" for a, b, _ in rows), encoding="utf-8")
    return file


def ran(capsys: pytest.CaptureFixture[str], *words: object) -> tuple[int, str, str]:
    code = cli.main(["align", *map(str, words), "--device", "cpu"])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


def test_a_copy_is_a_diagonal(runs: tuple[Path, Path], gold: Path, capsys: pytest.CaptureFixture[str]) -> None:
    step = ("--step", "output")
    _, alone, _ = ran(capsys, runs[0], gold, "--gold", "--json", *step)
    code, both, _ = ran(capsys, runs[0], gold, "--reverse-model", runs[1], "--gold", "--json", *step)
    assert code == 0
    assert json.loads(alone)["aer"] < 0.1 and json.loads(both)["aer"] < 0.1
    assert json.loads(both)["symmetrise"] == "mutual" and json.loads(both)["pairs"] == 40


def test_all_links_are_written_where_half_of_them_choose(
    runs: tuple[Path, Path], gold: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = shutil.copytree(runs[0], tmp_path / "run")
    code, told, _ = ran(capsys, run, gold, "--gold", "--choose", "--json", "--output", tmp_path / "links")
    assert code == 0 and json.loads(told)["pairs"] == 20
    assert len((tmp_path / "links").read_text().splitlines()) == 40


def test_links_go_out_line_by_line(runs: tuple[Path, Path], pairs: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _, plain, _ = ran(capsys, runs[0], pairs)
    assert len(plain.split("\n")) == 41
    _, shares, _ = ran(capsys, runs[0], pairs, "--probabilities")
    _, lines, _ = ran(capsys, runs[0], pairs, "--json")
    for line, shared, one in zip(
        plain.split("\n"), shares.split("\n"), map(json.loads, lines.strip().split("\n")), strict=False
    ):
        assert line == pharaoh((i, j) for i, j in one["links"])
        assert shared.split() == [
            f"{i}-{j}:{p:.3f}" for (i, j), p in zip(one["links"], one["probabilities"], strict=True)
        ]
        assert all(0 < p <= 1.000001 for p in one["probabilities"]) and len(one["target"]) == len(one["links"])
    file = pairs.with_name("links")
    assert ran(capsys, runs[0], pairs, "--output", file)[1] == "" and file.read_text(encoding="utf-8") == plain


def test_files_with_the_target_first_have_links_as_they_stand(
    runs: tuple[Path, Path], gold: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, forward, _ = ran(capsys, runs[0], pairs)
    turned = gold.with_name("turned.tsv")
    rows = [line.split("\t") for line in gold.read_text(encoding="utf-8").strip().split("\n")]
    turned.write_text("".join(f"{b}\t{a}\t{links}\n" for a, b, links in rows), encoding="utf-8")
    two = gold.with_name("turned-pairs.tsv")
    two.write_text("".join(f"{b}\t{a}\n" for a, b, _ in rows), encoding="utf-8")
    _, back, _ = ran(capsys, runs[0], two, "--reverse")
    for one, other in zip(forward.split("\n"), back.split("\n"), strict=True):
        assert {tuple(link.split("-")) for link in one.split()} == {
            tuple(link.split("-")[::-1]) for link in other.split()
        }
    rates = [ran(capsys, runs[0], *words, "--gold", "--json")[1] for words in ((gold,), (turned, "--reverse"))]
    assert rates[0] == rates[1]


def test_choosing_leaves_a_pair_to_measure_on(
    runs: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "one.tsv").write_text("a b\tb a\t0-1 1-0\n", encoding="utf-8")
    kept = recall(runs[0])
    code, _, error = ran(capsys, runs[0], tmp_path / "one.tsv", "--gold", "--choose")
    assert code == 2 and "at least two pairs" in error and recall(runs[0]) == kept


def test_what_was_chosen_is_kept_and_used(
    runs: tuple[Path, Path], gold: Path, pairs: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    cards = [(run / "model" / "README.md").read_text(encoding="utf-8") for run in runs]
    code, found, told = ran(capsys, runs[0], gold, "--gold", "--choose", "--reverse-model", runs[1], "--json")
    assert code == 0 and json.loads(found)["pairs"] == 20 and str(runs[1]) in told
    kept = recall(runs[0])
    read = ojak.read_pairs([pairs])
    looks = looked(Translator.load(runs[0], "cpu"), read[::2])
    rates = by_gold(looks, read[::2], read_gold(gold, read)[::2])
    assert kept == next(iter(rates)) and json.loads(found)["reading"] == kept.as_dict()
    assert ran(capsys, runs[0], pairs)[1] == ran(capsys, runs[0], pairs, *flags(kept))[1]
    assert Translator.load(runs[0], "cpu").views == ("general",)  # the model is still read

    code, _, told = ran(capsys, runs[0], pairs, "--choose", "--reverse-model", runs[1])
    assert code == 0 and "agreed best" in told
    for run, card in zip(runs, cards, strict=True):
        now = (run / "model" / "README.md").read_text(encoding="utf-8")
        assert now.startswith(card.rstrip()) and now.count("## Alignment") == 1 and str(recall(run)) in now


def flags(reading: Reading) -> list[str]:
    return [word for name, value in reading.as_dict().items() for word in (f"--{name}", value)]


def test_a_card_keeps_what_stands_behind_the_alignment(runs: tuple[Path, Path]) -> None:
    card = runs[0] / "model" / "README.md"
    before = card.read_text(encoding="utf-8")
    remember(runs[0], Reading("general", "output", "norms"), "Why.")
    card.write_text(card.read_text(encoding="utf-8") + "\n## Mine\n\nText.\n", encoding="utf-8")
    remember(runs[0], Reading("general", "input", "weights"), "Because.")
    now = card.read_text(encoding="utf-8")
    assert now.count("## Alignment") == 1 and "Why." not in now and "Because." in now and "## Mine\n\nText.\n" in now
    card.write_text(before, encoding="utf-8")


def test_readings_of_all_kinds_can_be_kept_and_broken_ones_are_told(runs: tuple[Path, Path]) -> None:
    for step, measure in product(STEPS, MEASURES):
        reading = Reading("general", step, measure)
        remember(runs[0], reading, "Why.")
        assert recall(runs[0]) == reading
    config = runs[0] / "model" / "config.json"
    whole = config.read_text(encoding="utf-8")
    config.write_text(whole.replace('"step": "input"', '"step": "sideways"'), encoding="utf-8")
    with pytest.raises(ModelError, match="choose again"):
        recall(runs[0])
    config.write_text(whole, encoding="utf-8")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--symmetrise", "union"], "name the other (--reverse-model)"),
        (["--choose"], "needs gold links (--gold) or a model of the other direction"),
        (["--choose", "--gold", "--view", "mean"], "leave them out"),
        (["--view", "layer7"], "The view must be 'mean', a layer, or one of general; found 'layer7'"),
        (["--gold", "no-such-file"], "no-such-file"),
        (["--reverse-model", "SAME"], "must translate from xx to en"),
    ],
)
def test_what_cannot_be_done_is_told(
    runs: tuple[Path, Path], gold: Path, pairs: Path, capsys: pytest.CaptureFixture[str], words: list[str], says: str
) -> None:
    file = gold if words[:2] == ["--choose", "--gold"] else pairs
    code, out, told = ran(capsys, runs[0], file, *[str(runs[0]) if word == "SAME" else word for word in words])
    assert (code, out) == (2, "") and says in told


def test_a_sentence_that_is_too_long_is_told_by_its_line(
    runs: tuple[Path, Path], place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (place / "long.tsv").write_text("ab\tAB\n" + "ab " * 300 + "\tAB\n", encoding="utf-8")
    code, _, told = ran(capsys, runs[0], place / "long.tsv")
    assert code == 2 and "long.tsv, line 2" in told and "at most 255 tokens" in told


def test_shares_of_both_directions_are_their_mean(
    runs: tuple[Path, Path], pairs: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(aligner, "CHUNK", 2)  # of five
    forward, backward = (Translator.load(run, "cpu") for run in runs)
    some = ojak.read_pairs([pairs])[:5]
    reading = Reading("general", "output", "weights")
    both = Aligner(forward, reading, backward, reading, "union").align(some)
    agreed = Aligner(forward, reading, backward, reading, "mutual").align(some)
    ahead = seen_by(forward, [pair.source for pair in some], [pair.target for pair in some])
    back = seen_by(backward, [pair.target for pair in some], [pair.source for pair in some])
    for place, one in enumerate(both):
        matrices = ahead[place].matrix(reading), back[place].matrix(reading)
        for (i, j), share in one.shares.items():
            assert share == pytest.approx((matrices[0][j, i] + matrices[1][i, j]) / 2)
        assert one.links == one_way(matrices[0]) | {(j, i) for i, j in one_way(matrices[1])}
        assert both_ways("union", matrices[0], matrices[1].T) == one.links
        assert agreed[place].links == mutual(matrices[0], matrices[1].T)
        assert one.turned().turned() == one and all(not math.isnan(share) for share in one.shares.values())
        assert all(first < second for first, second in pairwise(sorted(one.links)))
