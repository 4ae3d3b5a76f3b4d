"""Packing and the passes over what is packed: the same ids as of each text alone, whatever the size, the processes and
the interruptions; and batches that depend on nothing but their number."""

from __future__ import annotations

import itertools
import json
import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
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
from ojak import cli
from ojak.batch import plan
from ojak.config import Recipe, read_recipe
from ojak.corpus import pack as packing
from ojak.corpus import store as store_module
from ojak.corpus.encoder import Sides, encode_blocks
from ojak.corpus.pair import Pair
from ojak.corpus.prepare import prepare
from ojak.corpus.read import read_pairs
from ojak.corpus.store import Store
from ojak.errors import DataError, ModelError, OjakError, UseError
from ojak.text import Kind, Tokenizer, learn
from ojak.text.normalise import Form
from ojak.text.sampling import Sampler
from ojak.train import dataset
from ojak.train.dataset import Training

CPU = torch.device("cpu")
ABOUT = {"of": "a test"}
TALK = [Pair(*pair) for pair in tiny.pairs(500)]


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks, parts, chunks and windows so small that a tiny corpus has many of each."""
    monkeypatch.setattr(packing, "BLOCK", 16)
    monkeypatch.setattr(packing, "PART", 4)
    for module in (packing, store_module):
        monkeypatch.setattr(module, "CHUNK", 8)
    monkeypatch.setattr(dataset, "WINDOW", 5)


def packed(folder: Path, *corpora: list[Pair], longest: int = 50, processes: int = 0, kind: Kind = "word") -> Store:
    packing.begin(folder, ABOUT)
    everything = [pair for corpus in corpora for pair in corpus]
    sides = Sides(folder, kind, False, longest)
    size = 60 if kind == "word" else 400
    sides.save(*(learn([getattr(pair, side) for pair in everything], kind, size) for side in ("source", "target")))
    return packing.pack(corpora, folder, sides, ABOUT, processes)


def training(store: Store, **changes: Any) -> Training:
    data = {"weights": changes.pop("weights", ())}
    data["pairs"] = [str(number) for number in range(len(data["weights"]))]
    recipe = read_recipe({"data": data, "train": {"batch_tokens": changes.pop("budget", 64)}, **changes})
    source, target = Sides(store.folder, "word", False, 50).load() if not changes else unigrams(store.folder)
    return Training(store, source, target, recipe)


def unigrams(folder: Path) -> tuple[Tokenizer, Tokenizer]:
    return Sides(folder, "unigram", False, 50).load()


def texts(
    store: Store, number: int, weights: tuple[float, ...] = (), begin: int = 0
) -> Iterator[list[tuple[str, str]]]:
    """The batches of a pass as text."""
    source, target = Sides(store.folder, "word", False, 50).load()
    for batch in training(store, weights=weights).epoch(number).batches(begin, CPU):
        yield [
            (source.decode(one), target.decode(other))
            for one, other in zip(batch.source.tolist(), batch.target_out.tolist(), strict=True)
        ]


# packing


@pytest.mark.parametrize("processes", [0, 2])
@pytest.mark.usefixtures("small")
def test_packed_ids_are_those_of_each_text_alone(processes: int, tmp_path: Path) -> None:
    long = Pair("ab " * 60, "AB")
    corpora = [TALK[:203], [long], TALK[203:207], [TALK[207], long, Pair(" ", "x"), *TALK[208:400]]]
    store = packed(tmp_path / "store", *corpora, processes=processes)
    expected = TALK[:400]
    assert len(store) == 400 and store.record["skipped"] == 3
    assert [len(list(group)) for _, group in itertools.groupby(store.chunks[:, 0])] == [26, 1, 25]
    source, target = Sides(store.folder, "word", False, 50).load()
    rows = store.rows(range(len(store.chunks)))
    everything = np.arange(400)
    assert [row.tolist() for row in rows.take(0, everything)] == [source.encode(pair.source) for pair in expected]
    assert [row.tolist() for row in rows.take(1, everything)] == [target.encode(pair.target) for pair in expected]
    assert [side.tolist() for side in store.lengths([3, 0])] == [
        side[[*range(24, 32), *range(8)]].tolist() for side in rows.lengths
    ]
    assert store.record["tokens"] == {"source": rows.lengths[0].sum(), "target": rows.lengths[1].sum()}


@given(st.lists(st.text(), min_size=1, max_size=8))
@examples(deadline=None, max_examples=100)
def test_lines_together_are_normalised_as_each_alone(lines: list[str]) -> None:
    lines = [line.replace("\n", " ") for line in lines]
    for form in (Form(), Form(lowercase=True), Form(width=True, punctuation=True)):
        assert form.of_lines("\n".join(lines)) == [form.of(line) for line in lines]


@pytest.mark.parametrize("kind", ["unigram", "bpe", "character"])
def test_lines_together_are_encoded_as_each_alone(kind: Kind) -> None:
    lines = ["안녕하세요, 오늘은 뭐 해요?", "", "ab  cd", "전혀 다른 🦜 말\u3000", *(pair.source for pair in TALK[:50])]
    tokenizer = learn(lines, kind, 400)
    ids, lengths = tokenizer.encode_lines("\n".join(lines))
    rows = [row.tolist() for row in np.split(ids, np.cumsum(lengths)[:-1])]
    assert rows == [tokenizer.encode(line) for line in lines]


@pytest.mark.usefixtures("small")
def test_what_is_packed_is_not_packed_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = packed(tmp_path / "whole", TALK[:300], TALK[300:])
    real = packing.encode_blocks
    asked = [0]

    def cut(blocks: Any, sides: Sides, processes: int) -> Iterator[Any]:
        for number, block in enumerate(real(blocks, sides, processes)):
            asked[0] += 1
            if number == 10:
                raise KeyboardInterrupt
            yield block

    monkeypatch.setattr(packing, "encode_blocks", cut)
    with pytest.raises(KeyboardInterrupt):
        packed(tmp_path / "cut", TALK[:300], TALK[300:])
    assert len(list((tmp_path / "cut").glob("part-*"))) == 2 and not (tmp_path / "cut" / "store.json").exists()
    with pytest.raises(ModelError, match="packed corpus"):
        Store.open(tmp_path / "cut")
    monkeypatch.setattr(packing, "encode_blocks", real)
    counted = []
    monkeypatch.setattr(
        packing, "encode_blocks", lambda blocks, *rest: (counted.append(b) or b for b in real(blocks, *rest))
    )
    again = packed(tmp_path / "cut", TALK[:300], TALK[300:])
    assert len(counted) == 19 - 8 + 13
    assert again.record == whole.record
    names = sorted(path.name for path in whole.folder.iterdir())
    assert names == sorted(path.name for path in again.folder.iterdir())
    assert all((whole.folder / name).read_bytes() == (again.folder / name).read_bytes() for name in names)
    with pytest.raises(DataError, match="other pairs"):
        packed(tmp_path / "cut", [*TALK[:99], TALK[0], *TALK[100:300]], TALK[300:])


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UseError, match="new or empty"):
        packing.begin(tmp_path, ABOUT)
    with pytest.raises(UseError, match="new or empty"):
        packing.begin(tmp_path, ABOUT, anew=True)
    assert (tmp_path / "mine.txt").read_text() == "mine"
    packed(tmp_path / "store", TALK[:20])
    with pytest.raises(UseError, match="other files or settings"):
        packing.begin(tmp_path / "store", {"of": "another"})
    packing.begin(tmp_path / "store", {"of": "another"}, anew=True)
    assert [path.name for path in (tmp_path / "store").iterdir()] == ["about.json"]


def test_nothing_that_fits_is_told(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"all 20 are empty or longer than 1 tokens; raise model\.max_length"):
        packed(tmp_path / "store", [Pair("a b", "c d")] * 20, longest=1)


def test_a_process_that_dies_ends_the_packing_with_a_message(tmp_path: Path) -> None:
    sides = Sides(tmp_path / "nothing", "word", False, 50)
    with pytest.raises(OjakError, match="ended early"):
        list(encode_blocks([("a", "b", "")], sides, 1))


@pytest.mark.usefixtures("small")
def test_a_broken_store_is_told(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK)
    part = store_module.part_file(store.folder, 1)
    part.write_bytes(part.read_bytes()[:100])
    with pytest.raises(ModelError, match=r"part-00001.*Remove"):
        store.rows([10])
    (store.folder / "store.json").write_text('{"format": 99}')
    with pytest.raises(ModelError, match="format 1"):
        Store.open(store.folder)


# passes


@pytest.mark.usefixtures("small")
def test_a_pass_sees_every_pair_once_in_an_order_of_its_own(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK[:300], TALK[300:])
    expected = Counter((pair.source, pair.target) for pair in TALK)
    orders = [list(texts(store, number)) for number in (0, 1)]
    for batches in orders:
        assert Counter(itertools.chain.from_iterable(batches)) == expected
    assert orders[0] != orders[1] and orders[0] == list(texts(store, 0))
    first = [pair for batch in orders[0][:20] for pair in batch]
    places = [TALK.index(Pair(*pair)) for pair in first]
    assert min(places) < 100 and max(places) > 400, "the windows are drawn from all over the corpus"


@pytest.mark.usefixtures("small")
def test_a_pass_goes_on_at_any_batch(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK)
    whole = list(texts(store, 3))
    assert len(training(store).epoch(3)) == len(whole)
    for begin in (0, 1, 7, len(whole) // 2, len(whole) - 1, len(whole)):
        assert list(texts(store, 3, begin=begin)) == whole[begin:]


def test_a_corpus_of_one_window_is_planned_as_a_whole(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK)
    source, target = Sides(store.folder, "word", False, 50).load()
    lengths = [
        np.array([len(tokenizer.encode(getattr(pair, side))) for pair in TALK])
        for tokenizer, side in ((source, "source"), (target, "target"))
    ]
    planned = plan(lengths[0], lengths[1], 64, (1, 5))
    assert list(texts(store, 5)) == [[(TALK[at].source, TALK[at].target) for at in batch] for batch in planned]


@pytest.mark.usefixtures("small")
def test_weights_say_how_often_pairs_are_seen(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK[:200], TALK[200:400], TALK[400:])
    weights = (2.0, 0.25, 1.5)
    passes = [Counter(itertools.chain.from_iterable(texts(store, number, weights))) for number in range(8)]
    for found in passes:
        counts = [found[pair.source, pair.target] for pair in TALK]
        assert set(counts[:200]) == {2} and set(counts[200:400]) == {0, 1} and set(counts[400:]) == {1, 2}
        assert 20 < sum(counts[200:400]) < 80 and 120 < sum(counts[400:]) < 180
    assert passes[0] != passes[1], "other halves in other passes"
    seen = sum(passes, Counter())
    assert sum(pair in seen for pair in ((p.source, p.target) for p in TALK[200:400])) > 160
    assert passes[0] == Counter(itertools.chain.from_iterable(texts(store, 0, weights)))


def test_a_weight_for_each_file() -> None:
    with pytest.raises(OjakError, match="there must be a weight for each entry of pairs"):
        read_recipe({"data": {"pairs": ["a"], "weights": [1, 2]}})


# sampling


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_without_chance_the_cuts_are_those_of_sentencepiece(kind: Kind) -> None:
    lines = [pair.source for pair in TALK[:200]] + ["안녕하세요 여러분, 🦜 새로운 말", "one two-three (four)!"] * 3
    tokenizer = learn(lines, kind, 420)
    rows = [tokenizer.encode(line) for line in [*lines, "처음 보는 글자 뷁 ∮"]]
    # A high exponent leaves the likeliest cut alone; a chance of nothing drops no merge.
    sampler = Sampler(tokenizer, 1e6 if kind == "unigram" else 1e-300)
    assert [list(row) for row in sampler.cut(rows, np.random.default_rng(1), 500)] == rows
    wild = Sampler(tokenizer, 0.1 if kind == "unigram" else 0.3)
    cut = [list(row) for row in wild.cut(rows, np.random.default_rng(1), 500)]
    assert sum(map(len, cut)) > sum(map(len, rows)) and cut != rows
    assert [tokenizer.decode(row) for row in cut] == [tokenizer.decode(row) for row in rows]
    assert cut == [list(row) for row in wild.cut(rows, np.random.default_rng(1), 500)]
    short = wild.cut(rows, np.random.default_rng(1), 9)
    assert [list(row) for row in short] == [one if len(one) <= 9 else row for one, row in zip(cut, rows, strict=True)]


def test_cuts_of_a_word_have_their_chances() -> None:
    lines = [f"{a}{b}{c}" for a in ("ab", "a", "b") for b in ("ab", "ba", "") for c in ("aa", "b", "")] * 9
    tokenizer: Any = learn(lines, "unigram", 268)
    cuts, scores = tokenizer.best_cuts("abab", 32)
    weights = np.exp(0.5 * np.array(scores))
    row = tokenizer.encode("abab")
    drawn = Sampler(tokenizer, 0.5).cut([row] * 20_000, np.random.default_rng(2), 100)
    counts = Counter(tuple(cut) for cut in drawn)
    assert len(cuts) > 3
    for cut, chance in zip(cuts, weights / weights.sum(), strict=True):
        assert counts[cut] / 20_000 == pytest.approx(chance, abs=0.02)


SAMPLED = """
import sys
from pathlib import Path
import test_packing
print(test_packing.sampled(Path(sys.argv[1])))
"""


def sampled(folder: Path) -> str:
    """Batches of a store with sampled subwords, as text for comparison."""
    made = training(Store.open(folder), text={"sample": 0.2})
    return json.dumps([batch.source.tolist() for batch in itertools.islice(made.epoch(2).batches(1, CPU), 3)])


def test_sampled_batches_are_the_same_in_every_process(tmp_path: Path) -> None:
    store = packed(tmp_path / "store", TALK, kind="unigram")
    here = sampled(store.folder)
    plain = training(store, text={"kind": "unigram"})
    assert here != json.dumps([b.source.tolist() for b in itertools.islice(plain.epoch(2).batches(1, CPU), 3)])
    command = [sys.executable, "-c", SAMPLED, str(store.folder)]
    there = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
    assert there.stdout.strip() == here


# runs


def changed(file: Path, **changes: Any) -> dict[str, Any]:
    return tiny.settings(file, {"train": {"updates": 20, "average": 0}, **changes})


def test_a_run_on_a_packed_corpus_is_the_run_on_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tiny.corpus(tmp_path)
    settings = changed(file, text={"kind": "unigram", "size": 300, "sample": 0.2})
    ojak.train_run(settings, tmp_path / "one", tiny.Silent())
    words = ["--pairs", file, "--out", tmp_path / "packed", "data.held_out=20", "text.kind=unigram", "text.size=300"]
    assert cli.main(["corpus", "pack", *map(str, words)]) == 0
    said = capsys.readouterr().out
    assert "180 pairs packed" in said and "20 pairs held out" in said
    other = {**changed(file), "text": {"sample": 0.2}, "data": {"pairs": [str(tmp_path / "packed")]}}
    ojak.train_run(other, tmp_path / "other", tiny.Silent())
    for name in ("model/weights.safetensors", "model/source.spm"):
        assert (tmp_path / "one" / name).read_bytes() == (tmp_path / "other" / name).read_bytes()
    assert not (tmp_path / "other" / "data").exists()
    ojak.train_run({"train": {"updates": 25}}, tmp_path / "other", tiny.Silent(), resume=True)
    assert cli.main(["corpus", "pack", *map(str, words)]) == 0  # goes on, with nothing left to do
    for section, key, value in (("text", "size", 400), ("data", "reverse", True), ("model", "max_length", 9)):
        wrong = {**other, section: {**other[section], key: value}}
        with pytest.raises(UseError, match=f"{section}.{key}"):
            ojak.train_run(wrong, tmp_path / "wrong", tiny.Silent())
    with pytest.raises(UseError, match="among others"):
        ojak.train_run(
            {**other, "data": {"pairs": [str(tmp_path / "packed"), str(file)]}}, tmp_path / "wrong", tiny.Silent()
        )


def test_a_packed_corpus_keeps_the_weights_of_its_files(tmp_path: Path) -> None:
    file = tiny.corpus(tmp_path)
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    for name, some in (("a.tsv", lines[:100]), ("b.tsv", lines[100:])):
        (tmp_path / name).write_text("".join(some), encoding="utf-8")
    data = {"pairs": [str(tmp_path / "a.tsv"), str(tmp_path / "b.tsv")], "weights": [1, 3.0]}
    settings = changed(file, data=data, train={"updates": 2, "average": 0})
    made = prepare(settings, tmp_path / "packed", lambda _: None, lambda _: None)
    alone = {**settings, "data": {"pairs": [str(tmp_path / "packed")]}}
    opened = prepare(alone, tmp_path / "nothing", lambda _: None, lambda _: None)
    whole, again = (Training(one.store, one.source, one.target, one.recipe).epoch(0) for one in (made, opened))
    assert [b.source.tolist() for b in whole.batches(0, CPU)] == [b.source.tolist() for b in again.batches(0, CPU)]
    assert sum(len(batch.source) for batch in again.batches(0, CPU)) > 1.5 * len(opened.store)
    with pytest.raises(UseError, match=r"data\.weights are those"):
        wrong = {**alone, "data": {**alone["data"], "weights": [2]}}
        prepare(wrong, tmp_path / "nothing", lambda _: None, lambda _: None)


def test_a_run_keeps_its_pairs_when_their_file_goes(tmp_path: Path) -> None:
    file = tiny.corpus(tmp_path)
    ojak.train_run(changed(file), tmp_path / "run", tiny.Silent())
    shutil.copytree(tmp_path / "run", tmp_path / "anew")
    file.rename(tmp_path / "elsewhere.tsv")
    ojak.train_run({"train": {"updates": 30}}, tmp_path / "run", tiny.Silent(), resume=True)
    (tmp_path / "elsewhere.tsv").rename(file)
    shutil.rmtree(tmp_path / "anew" / "data")  # what is packed can be packed again
    ojak.train_run({"train": {"updates": 30}}, tmp_path / "anew", tiny.Silent(), resume=True)
    assert tiny.state(tmp_path / "anew") == tiny.state(tmp_path / "run")
    file.write_text(file.read_text() + "ab\tAB AB\n")
    with pytest.raises(UseError, match="resumed on the pairs it began with"):
        ojak.train_run({"train": {"updates": 35}}, tmp_path / "anew", tiny.Silent(), resume=True)


def test_packing_that_is_cut_off_goes_on_with_the_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tiny.corpus(tmp_path)
    ojak.train_run(changed(file), tmp_path / "whole", tiny.Silent())
    with monkeypatch.context() as patch:
        patch.setattr(packing, "encode_blocks", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            ojak.train_run(changed(file), tmp_path / "run", tiny.Silent())
    ojak.train_run({}, tmp_path / "run", tiny.Silent(), resume=True)
    assert tiny.state(tmp_path / "run") == tiny.state(tmp_path / "whole")


@pytest.mark.parametrize(
    ("section", "changes", "told"),
    [
        ("text", {"kind": "unigram", "size": 50}, "must have room"),
        ("model", {"max_length": 2}, r"raise model\.max_length"),
        ("data", {"dev": ["nothing.tsv"]}, "No such file"),
    ],
)
def test_a_fault_of_the_user_leaves_no_run_behind(
    section: str, changes: dict[str, Any], told: str, tmp_path: Path
) -> None:
    file = tmp_path / "long.tsv"
    file.write_text("".join(f"ab cd {n}\tAB CD {n}\n" for n in range(40)), encoding="utf-8")
    with pytest.raises(UseError, match=told):
        ojak.train_run(changed(file, **{section: changes}), tmp_path / "run", tiny.Silent())
    assert not (tmp_path / "run").exists()


def test_pairs_that_lack_a_side_are_left_out_and_counted(tmp_path: Path) -> None:
    file = tiny.corpus(tmp_path)
    with file.open("a", encoding="utf-8") as more:
        more.write("ab cd\t\n\t AB\n\t\n")
    ojak.train_run(changed(file), tmp_path / "run", tiny.Silent())
    lines = (tmp_path / "run" / "history.jsonl").read_text(encoding="utf-8").splitlines()
    assert "2 pairs left out" in json.loads(lines[0])["message"]


@pytest.mark.parametrize("ending", ["csv", "xlsx", "jsonl", "tmx"])
def test_a_run_reads_any_spreadsheet(ending: str, tmp_path: Path) -> None:
    import writers

    pairs = [Pair(source, target, "talk", str(place // 2)) for place, (source, target) in enumerate(tiny.pairs())]
    write, name = writers.WITH_LABELS[ending]
    path = write(pairs, tmp_path / name)
    settings = changed(Path(path), data={"source": "ko", "target": "en"})
    made = prepare(settings, tmp_path / "data", lambda _: None, lambda _: None)
    assert isinstance(made.recipe, Recipe) and len(made.dev) == 20
    groups = {pair.group for pair in made.dev}
    assert len(made.store) + made.left_out == 180 and len(groups) == 10
    assert made.fingerprint == prepare(settings, tmp_path / "again", lambda _: None, lambda _: None).fingerprint
    assert read_pairs([tmp_path / "data" / "dev.jsonl"]) == made.dev


# memory


MEMORY = """
import resource, sys
from pathlib import Path
import test_packing
test_packing.drawn(Path(sys.argv[1]), int(sys.argv[2]))
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def drawn(folder: Path, copies: int) -> None:
    """Packs a corpus so many times over, in parts of 32,768 pairs, and draws all batches, of windows of 16,384."""
    packing.PART, dataset.WINDOW = 4, 16
    pairs = (pair for _ in range(copies) for pair in TALK)
    packing.begin(folder, ABOUT)
    sides = Sides(folder, "unigram", False, 50)
    sides.save(*(learn([getattr(pair, side) for pair in TALK], "unigram", 300) for side in ("source", "target")))
    store = packing.pack([pairs], folder, sides, ABOUT, 0)
    for _ in training(store, budget=4096, text={"sample": 0.0}).epoch(0).batches(0, CPU):
        pass


def test_memory_does_not_grow_with_the_corpus(tmp_path: Path) -> None:
    """50,000 pairs against 300,000, which would be 75 MB as objects. Large ones are in benchmarks/packing.py."""
    peaks = []
    for copies in (100, 600):
        command = [sys.executable, "-c", MEMORY, str(tmp_path / str(copies)), str(copies)]
        done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parent, check=True)
        peaks.append(int(done.stdout) / 1024)
    assert peaks[1] < peaks[0] + 15
