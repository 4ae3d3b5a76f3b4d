"""Sequence-level distillation: a teacher, what it writes, and a student of it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import sacrebleu
import tiny

import ojak
from ojak import cli
from ojak.config import SearchConfig
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.errors import UseError
from ojak.result import Translation
from ojak.train import distill as module
from ojak.train.distill import distill
from ojak.train.history import read_history
from ojak.translate import Maker, Translator

GREEDY = SearchConfig(beam=1)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("distilling")


@pytest.fixture(scope="module")
def run(place: Path) -> Path:
    """A teacher that has learnt a little: it is often wrong."""
    changes = {"model": {"width": 24, "embedding": 24}, "train": {"updates": 150}}
    ojak.train_run(tiny.settings(tiny.corpus(place), changes), place / "teacher", tiny.Silent())
    return place / "teacher"


@pytest.fixture(scope="module")
def teacher(run: Path) -> Translator:
    return Translator.load(run, "cpu")


@pytest.fixture
def labelled(tmp_path: Path) -> Path:
    path = tmp_path / "labelled.jsonl"
    rows = [
        {"source": source, "target": target, "label": f"label{place % 3}", "group": str(place // 4)}
        for place, (source, target) in enumerate(tiny.pairs(60, seed=9))
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


class Counting(Maker):
    """A teacher that counts what it is asked for, and dies when it has done enough."""

    def __init__(self, teacher: Maker, lives: int = 10**9, silent: str = "") -> None:
        self.teacher, self.lives, self.silent, self.asked = teacher, lives, silent, 0
        self.languages = teacher.languages

    def translate(self, texts: Sequence[str], *args: Any, **more: Any) -> list[Translation]:
        if self.asked >= self.lives:
            raise KeyboardInterrupt
        self.asked += len(texts)
        said = [" " if text == self.silent else text for text in texts]
        return self.teacher.translate(said, *args, **more)

    def _find(self, *args: Any) -> Any:
        raise AssertionError("not asked")

    def _score(self, *args: Any) -> Any:
        raise AssertionError("not asked")


def test_a_student_learns_from_what_its_teacher_wrote(place: Path, run: Path, teacher: Translator) -> None:
    pairs, out = tiny.corpus(place), place / "distilled.tsv"
    assert cli.main(["distill", str(run), str(pairs), "--out", str(out), "--beam", "2"]) == 0
    before, after = read_pairs([pairs]), read_pairs([out])
    said = {one.source: one.text for one in teacher.translate([pair.source for pair in before], SearchConfig(beam=2))}
    assert [(pair.source, pair.target) for pair in after] == [
        (pair.source, said[pair.source]) for pair in before if said[pair.source]
    ]
    assert any(one.target != two.target for one, two in zip(before, after, strict=False))

    changes = {"model": {"width": 16, "embedding": 16}, "train": {"updates": 200}}
    ojak.train_run(tiny.settings(out, changes), place / "student", tiny.Silent())
    assert read_history(place / "student")[-1]["event"] == "end"
    student = ojak.load(place / "student", "cpu")
    forced = {
        name: sum(one.score for one in student.force([pair.source for pair in side], [pair.target for pair in side]))
        for name, side in (("of the teacher", after[:100]), ("as they were", before[:100]))
    }
    assert forced["of the teacher"] > forced["as they were"]


def test_labels_groups_and_originals_stay(tmp_path: Path, labelled: Path, run: Path) -> None:
    out = tmp_path / "out.jsonl.gz"
    assert cli.main(["distill", str(run), str(labelled), "--out", str(out), "--with-originals", "--beam", "1"]) == 0
    before, after = read_pairs([labelled]), read_pairs([out])
    assert after[::2] == before
    assert [(pair.source, pair.label, pair.group) for pair in after[1::2]] == [
        (pair.source, pair.label, pair.group) for pair in before
    ]


def test_files_with_the_target_first_are_turned(tmp_path: Path, run: Path, teacher: Translator) -> None:
    turned = tmp_path / "turned.tsv"
    turned.write_text("".join(f"{target}\t{source}\n" for source, target in tiny.pairs(5)), encoding="utf-8")
    out = tmp_path / "out.tsv"
    assert cli.main(["distill", str(run), str(turned), "--out", str(out), "--reverse"]) == 0
    sources = [source for source, _ in tiny.pairs(5)]
    assert [(pair.source, pair.target) for pair in read_pairs([out])] == [
        (one.source, one.text) for one in teacher.translate(sources)
    ]


def test_what_was_done_before_a_kill_is_not_done_again(
    tmp_path: Path, teacher: Translator, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 8)
    pairs = [Pair(source, target) for source, target in tiny.pairs(50)]
    whole, out, of = tmp_path / "whole.tsv", tmp_path / "out.tsv", [run / "model"]
    assert distill(teacher, pairs, whole, GREEDY, of=of).translated == 50

    with pytest.raises(KeyboardInterrupt):
        distill(Counting(teacher, 24), pairs, out, GREEDY, of=of)
    assert not out.exists()
    second = Counting(teacher)
    report = distill(second, pairs, out, GREEDY, of=of)
    assert (second.asked, report.translated, report.pairs) == (26, 26, 50)
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out.tsv", "whole.tsv"]


@pytest.mark.parametrize("changed", ["search", "closest", "pairs", "weights"])
def test_pieces_of_other_work_are_not_taken(
    tmp_path: Path, teacher: Translator, run: Path, changed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "PIECE", 8)
    pairs = [Pair(source, target) for source, target in tiny.pairs(16)]
    out, of, search = tmp_path / "out.tsv", tmp_path / "model", SearchConfig(beam=2, n_best=2)
    of.mkdir()
    (of / "weights").write_text("one")
    with pytest.raises(KeyboardInterrupt):
        distill(Counting(teacher, 8), pairs, out, search, of=[of])
    again = Counting(teacher)
    if changed == "weights":
        (of / "weights").write_text("two")
    if changed == "pairs":
        pairs[0] = Pair("ab ab", "AB AB")
    if changed == "search":
        search = SearchConfig(beam=3, n_best=2)
    distill(again, pairs, out, search, closest="chrf" if changed == "closest" else "", of=[of])
    assert again.asked == 16


@pytest.mark.parametrize("closest", ["bleu", "chrf"])
def test_the_closest_hypothesis_is_the_one_sacrebleu_says(tmp_path: Path, teacher: Translator, closest: str) -> None:
    pairs = [Pair(source, target) for source, target in tiny.pairs(60, seed=3)]
    search = SearchConfig(beam=5, n_best=5)
    distill(teacher, pairs, tmp_path / "out.jsonl", search, closest=closest)
    score = sacrebleu.sentence_bleu if closest == "bleu" else sacrebleu.sentence_chrf
    wanted = []
    for pair, found in zip(pairs, teacher.translate([pair.source for pair in pairs], search), strict=True):
        texts = [found.text, *(other.text for other in found.alternatives)]
        wanted.append(max(texts, key=lambda text: score(text, [pair.target]).score))
    chosen = [pair.target for pair in read_pairs([tmp_path / "out.jsonl"])]
    assert chosen == wanted
    assert chosen != [one.text for one in teacher.translate([pair.source for pair in pairs], search)]


def test_what_the_teacher_says_nothing_for_is_left_out(tmp_path: Path, teacher: Translator) -> None:
    pairs = [Pair(source, target) for source, target in tiny.pairs(10)]
    report = distill(Counting(teacher, silent=pairs[3].source), pairs, tmp_path / "out.tsv", GREEDY)
    assert (report.empty, report.written) == (1, 9)
    assert [pair.source for pair in read_pairs([tmp_path / "out.tsv"])] == [
        pair.source for pair in pairs if pair != pairs[3]
    ]


def test_what_cannot_be_is_refused(tmp_path: Path, run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs, out = str(tiny.corpus(tmp_path, 30)), tmp_path / "out.tsv"
    assert cli.main(["distill", str(run), pairs, "--out", str(tmp_path / "out.txt")]) == 2
    assert cli.main(["distill", str(run), pairs, "--out", str(out), "--closest", "bleu", "--beam", "1"]) == 2
    assert "n_best" in capsys.readouterr().err
    out.write_text("mine")
    assert cli.main(["distill", str(run), pairs, "--out", str(out)]) == 2
    assert out.read_text() == "mine"
    with pytest.raises(UseError, match="must be new"):
        distill(Translator.load(run, "cpu"), [], out, GREEDY)
