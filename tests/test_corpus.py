"""Cleaning, splitting, leaks and inspecting: each count by its definition, and the commands as a user types them."""

from __future__ import annotations

import json
import random
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ojak import cli
from ojak.corpus.clean import FILTERS, OFF, Report, Rules, clean
from ojak.corpus.inspect import EDGES, inspect
from ojak.corpus.leaks import find_leaks
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.corpus.scripts import expected, script, share
from ojak.corpus.seen import Seen, hashes
from ojak.corpus.split import choose, fold
from ojak.corpus.write import write_pairs
from ojak.errors import DataError, UseError

GOOD = [
    Pair("Where is the meeting room?", "회의실이 어디예요?"),
    Pair("I would like to see a doctor.", "진료를 받고 싶어요."),
    Pair("How much is this?", "이거 얼마예요?"),
    Pair("Thanks.", "고마워요."),
]
BAD = {
    "empty": Pair("\u200b \u3000", "안녕하세요."),
    "long": Pair("word " * 300, "단어 " * 300),
    "control": Pair("Hello\x07 there", "안녕하세요"),
    "markup": Pair("<b>Hello</b> there", "안녕하세요"),
    "same": Pair("Hello there!", "hello  there"),
    "ratio": Pair(
        "Yes.", "네, 알겠습니다. 말씀하신 대로 내일 아침까지 모든 서류를 준비해서 보내 드리겠습니다. 감사합니다."
    ),
    "script": Pair("안녕하세요 여러분", "Hello everyone"),
    "duplicate": GOOD[0],
}


def cleaned(pairs: list[Pair], rules: Rules | None = None) -> tuple[list[Pair], Report]:
    report = Report()
    return list(clean(pairs, rules or Rules(), report)), report


# cleaning


def test_each_filter_takes_what_it_is_for_and_can_be_switched_off() -> None:
    pairs = [*GOOD, *BAD.values()]
    kept, report = cleaned(pairs)
    assert kept == GOOD and report.scripts == ("Latin", "Hangul")
    assert report.taken == dict.fromkeys(BAD, 1) and report.pairs == len(pairs) and report.kept == len(GOOD)
    assert {name: shown[0] for name, shown in report.examples.items()} == BAD
    on = frozenset(FILTERS) - OFF
    for name, pair in BAD.items():
        kept, report = cleaned([*GOOD, pair], Rules(on=on - {name}))
        others = sum(report.taken.values())
        assert name not in report.taken and (pair in kept) is (others == 0)
        assert cleaned([*GOOD, pair], Rules(on=frozenset({name})))[1].taken == {name: 1}
    assert all(name in report.table() for name in report.taken)


def test_repeated_sides_go_where_it_is_asked_for() -> None:
    pairs = [Pair("a", "b"), Pair("a", "c"), Pair("d", "c"), Pair("e", " b"), Pair("a", "b")]
    on = frozenset({"duplicate", "duplicate-source", "duplicate-target"})
    kept, report = cleaned(pairs, Rules(on=on))
    # Of a pair that goes nothing is remembered: the `c` of the second does not take the third.
    assert kept == [Pair("a", "b"), Pair("d", "c")]
    assert report.taken == {"duplicate": 1, "duplicate-source": 1, "duplicate-target": 1}


def test_a_report_shows_three_pairs_of_each_filter_and_counts_all() -> None:
    pairs = [Pair(f"<i>{n}</i> word", f"단어 {n}") for n in range(5000)] + GOOD
    kept, report = cleaned(pairs)
    assert kept == GOOD and report.taken["markup"] == 5000 and len(set(report.examples["markup"])) == 3
    assert cleaned(pairs)[1].examples == report.examples


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(UseError, match=r"markup.*found html"):
        Rules(on=frozenset({"html"}))


@pytest.mark.parametrize(
    ("language", "right", "wrong"),
    [
        ("ko", "병원에 가고 싶어요", "I want to go"),
        ("en-GB", "I want to go", "가고 싶어요"),
        ("ja", "病院に行きたいです", "I want to go"),
        ("ru", "Я хочу", "I want"),
        ("zh_CN", "我想去医院", "Я хочу"),
        ("th", "สวัสดี", "hello"),
    ],
)
def test_scripts_of_languages(language: str, right: str, wrong: str) -> None:
    wanted = expected(language)
    assert share(right, wanted) == 1 and share(wrong, wanted) == 0 and share("123 !?", wanted) == 1
    assert expected("", [right] * 5) == wanted
    assert expected("", [right, wrong * 3, "привет", "안녕하세요"]) in (frozenset(), wanted)
    assert script("Ａ") == "Latin" and script("ｱ") == "Kana" and script("7") == ""


@given(st.lists(st.lists(st.integers(0, 40), max_size=30), max_size=12))
@settings(deadline=None)
def test_what_was_seen_is_told_as_a_set_would(rounds: list[list[int]]) -> None:
    seen, before = Seen(), set[int]()
    for numbers in rounds:
        expected_first = []
        for number in numbers:
            expected_first.append(number not in before)
            before.add(number)
        assert seen.first(np.array(numbers, dtype=np.uint64)).tolist() == expected_first


def test_hashes_are_the_same_everywhere() -> None:
    assert hashes(["", "안녕"]).tolist() == hashes(["", "안녕"]).tolist() != hashes(["안녕", ""]).tolist()
    assert len(set(hashes(map(str, range(100_000))).tolist())) == 100_000


# splitting


words = st.sampled_from(["a", "b", "c", "A!", "ｂ", "d e", "de", "가", "나"])
corpora = st.lists(
    st.builds(Pair, words, words, st.sampled_from(["", "x", "y"]), st.sampled_from(["", "1", "2", "3", "4"])),
    min_size=10,
    max_size=80,
)


@given(corpora, st.integers(1, 6), st.integers(0, 6), st.integers(0, 3))
@settings(deadline=None, max_examples=200)
def test_no_sentence_and_no_group_is_on_both_sides(pairs: list[Pair], dev: int, test: int, seed: int) -> None:
    held = choose(pairs, {"test": test, "dev": dev}, seed)
    held.begin()
    train = list(held.training(pairs))
    assert held.total == len(pairs)
    for one, others in (
        (train, held.parts["dev"] + held.parts["test"]),
        (held.parts["dev"], held.parts["test"]),
    ):
        for side in ("source", "target"):
            assert not {fold(getattr(pair, side)) for pair in one} & {fold(getattr(pair, side)) for pair in others}
        assert not {p.group for p in one if p.group} & {p.group for p in others if p.group}
    assert not Counter(train + held.parts["dev"] + held.parts["test"]) - Counter(pairs)
    again = choose(iter(pairs), {"test": test, "dev": dev}, seed)
    assert (again.parts, again.places) == (held.parts, held.places)


def test_parts_have_their_sizes_and_the_shares_of_the_labels() -> None:
    pairs = [Pair(f"source {n}", f"target {n}", "ab"[n % 4 == 0]) for n in range(4000)]
    held = choose(pairs, {"test": 100, "dev": 40}, 1)
    assert {name: len(part) for name, part in held.parts.items()} == {"test": 100, "dev": 40}
    assert Counter(pair.label for part in held.parts.values() for pair in part) == {"a": 105, "b": 35}
    assert choose(pairs, {"test": 100, "dev": 40}, 2).places != held.places
    assert sum(map(len, choose(pairs, {"test": 9000, "dev": 1000}, 1).parts.values())) == 400  # a tenth
    streams = iter(pairs[:1000]), iter(pairs[1000:])
    held.begin()
    assert [pair for stream in streams for pair in held.training(stream)] == [
        pair for place, pair in enumerate(pairs) if place not in held.places
    ]


def test_whole_conversations_are_held_out() -> None:
    pairs = [Pair(f"source {n}", f"target {n}", "x", str(n // 4)) for n in range(2000)]
    held = choose(pairs, {"dev": 50}, 1)
    groups = Counter(pair.group for pair in held.parts["dev"])
    assert set(groups.values()) == {4} and len(groups) == 13


# leaks


def test_leaks_are_counted_by_kind() -> None:
    train = [
        Pair("Where is the station?", "역이 어디예요?"),
        Pair("How much does this cost today?", "이거 오늘 얼마예요, 아저씨?"),
        Pair("Never mind.", "신경 쓰지 마세요."),
    ]
    held = [
        Pair("where is the STATION", "역이 어디예요"),
        Pair("Where is the station?", "정거장은 어디에 있습니까?"),
        Pair("How much does this cost to-day, then?", "이거 오늘 얼마예요, 아줌마?"),
        Pair("Something else altogether.", "전혀 다른 말입니다."),
    ]
    found = find_leaks(train, held)
    assert (found.pairs, found.sources, found.targets) == ({0}, {0, 1}, {0})
    assert (found.near_sources, found.near_targets) == ({2}, set())
    assert find_leaks(train, held, 70).near_targets == {2}
    assert find_leaks(train, held, 0).near_sources == set()
    assert "1   25.0%  pairs that stand in training" in found.table()


@pytest.mark.parametrize("near", [-1.0, 101.0, 200.0, float("nan")])
def test_how_near_is_a_number_to_100(near: float) -> None:
    with pytest.raises(UseError, match="from 0 to 100"):
        find_leaks([], [], near)


@given(st.lists(st.text("abcd ", min_size=8, max_size=16), min_size=1, max_size=25, unique=True), st.integers(60, 98))
@settings(deadline=None, max_examples=60)
def test_near_duplicates_are_those_of_a_search_of_all(texts: list[str], cutoff: int) -> None:
    from rapidfuzz import fuzz

    half = len(texts) // 2
    train, held = ([Pair(text, text) for text in part] for part in (texts[:half], texts[half:]))
    expected_places = set()
    for place, pair in enumerate(held):
        one = fold(pair.source)
        others = [fold(other.source) for other in train]
        if len(one) >= 8 and one not in others:
            scores = [fuzz.ratio(one, other) for other in others if len(other) >= 8]
            if any(score >= cutoff for score in scores):
                expected_places.add(place)
    assert find_leaks(train, held, cutoff).near_sources == expected_places


# inspecting


def test_an_inspection_counts_what_it_says() -> None:
    pairs = [Pair("one", "하나", "a", "1")] * 3 + [Pair("one two three " * 70, "둘", "b", "2"), Pair("<b>x</b>", "")]
    found = inspect("it", pairs, Rules())
    source, target = found.sides
    assert (found.pairs, found.groups, found.repeated, found.labels) == (5, 2, 2, {"a": 3, "b": 1})
    assert source.tokens == 3 + 210 + 1 and source.longest == len("one two three " * 70) - 1 and source.different == 3
    assert source.bars == [4, *[0] * (len(EDGES) - 1), 1] and target.bars[0] == 5
    assert target.scripts == {"Hangul": 7} and target.different == 3
    assert sorted(map(str, found.drawn)) == sorted(map(str, pairs))
    assert any("`empty`" in warning for warning in found.warnings)


def test_ten_pairs_are_drawn_evenly() -> None:
    places = Counter(
        int(pair.source)
        for seed in range(60)
        for pair in inspect("it", [Pair(str(n), "x") for n in range(100)], Rules(), seed).drawn
    )
    assert sum(places.values()) == 600 and max(places.values()) < 20 and len(places) > 90


# writing


@pytest.mark.parametrize("ending", [".tsv", ".csv", ".jsonl", ".tsv.gz", ".csv.xz", ".jsonl.zst"])
@given(pairs=st.data())
@settings(deadline=None, max_examples=10)
def test_what_is_written_is_read(ending: str, pairs: Any, tmp_path_factory: pytest.TempPathFactory) -> None:
    import unicodedata

    text = st.text(st.characters(exclude_characters="\0\r", exclude_categories=["Cs"]), min_size=1, max_size=20)
    text = text.map(lambda t: " ".join(unicodedata.normalize("NFC", t).split())).filter(bool)
    label = st.sampled_from(["", "여행/쇼핑"])
    drawn = pairs.draw(st.lists(st.builds(Pair, text, text, label, label), min_size=1, max_size=4))
    path = tmp_path_factory.mktemp("written") / f"a{ending}"
    assert write_pairs(path, iter(drawn)) == len(drawn)
    assert read_pairs([path]) == drawn
    assert not list(path.parent.glob(".*"))


def test_nothing_half_written_is_left(tmp_path: Path) -> None:
    def breaking() -> Any:
        yield GOOD[0]
        raise DataError("broken")

    with pytest.raises(DataError):
        write_pairs(tmp_path / "a.tsv", breaking())
    assert not list(tmp_path.iterdir())
    with pytest.raises(UseError, match=r"\.jsonl"):
        write_pairs(tmp_path / "a.xlsx", GOOD)


# the commands


def ojak(*words: object) -> int:
    return cli.main(["corpus", *map(str, words)])


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    draw = random.Random(3)
    names = ["Mina/미나", "Juno/주노", "Hana/하나", "Tom/톰", "Sora/소라"]
    verbs = ["sees/봅니다", "meets/만납니다", "calls/부릅니다"]
    lines = ["source\ttarget\tlabel\tgroup"]
    for number in range(400):
        (one, el), (verb, da), (other, da_el) = (draw.choice(of).split("/") for of in (names, verbs, names))
        sides = f"{one} {verb} {other} {number}.\t{el} 씨가 {da_el} 씨를 {number}번 {da}."
        lines.append(f"{sides}\t{'ab'[number % 2]}\t{number // 5}")
    lines.append("<b>x y</b>\t굵게\ta\t90")
    path = tmp_path / "talk.tsv"
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def test_clean_writes_and_reports(talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert ojak("clean", talk, "--dry-run") == 0
    said = capsys.readouterr().out
    assert "401 pairs: 400 kept, 1 left out" in said and "nothing was written" in said and "<b>x y</b>" in said
    assert [path.name for path in tmp_path.iterdir()] == ["talk.tsv"]
    assert ojak("clean", talk, "--out", tmp_path / "out.jsonl", "--without", "markup", "--json") == 0
    assert json.loads(capsys.readouterr().out)["kept"] == 401
    assert read_pairs([tmp_path / "out.jsonl"]) == read_pairs([talk])
    assert ojak("clean", talk) == 2 and "--dry-run" in capsys.readouterr().err
    assert ojak("clean", talk, "--dry-run", "--without", "html") == 2 and "found html" in capsys.readouterr().err


def test_split_then_leaks(talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "out"
    assert ojak("split", talk, "--out", out, "--dev", 10, "--test", 20, "--dry-run", "--json") == 0
    dry = json.loads(capsys.readouterr().out)
    assert not out.exists()
    assert ojak("split", talk, "--out", out, "--dev", 10, "--test", 20, "--json") == 0
    report = json.loads(capsys.readouterr().out)
    assert {key: report[key] for key in dry} == dry and report["near"]["sources"] > 0
    parts = {name: read_pairs([out / f"{name}.tsv"]) for name in ("train", "dev", "test")}
    assert {name: len(pairs) for name, pairs in parts.items()} == report["pairs"]
    assert report["pairs"]["test"] >= 20 and report["pairs"]["dev"] >= 10
    assert sum(report["pairs"].values()) + report["left_out"] == 401
    groups = [{pair.group for pair in pairs} for pairs in parts.values()]
    assert not groups[0] & groups[1] and not groups[0] & groups[2] and not groups[1] & groups[2]
    assert ojak("leaks", out / "train.tsv", out / "test.tsv") == 0
    assert ojak("leaks", talk, out / "test.tsv", "--near", 0) == 1
    assert "100.0%  pairs that stand in training" in capsys.readouterr().out
    assert ojak("split", talk, "--out", out) == 2 and "must not overwrite" in capsys.readouterr().err


def test_split_leaves_out_what_lacks_a_side(talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with talk.open("a", encoding="utf-8") as file:
        file.write("one side\t\ta\t91\n" * 200)
    assert ojak("split", talk, "--out", tmp_path / "out", "--dev", 30, "--test", 5) == 0
    assert "200 pairs lack a side" in capsys.readouterr().err
    for name in ("train", "dev", "test"):
        assert read_pairs([tmp_path / "out" / f"{name}.tsv"])


def test_inspect_tells_and_draws_a_page(talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "page.html"
    assert ojak("inspect", talk, "--html", page) == 0
    said, html = capsys.readouterr().out, page.read_text(encoding="utf-8")
    assert "401" in said and "`markup`" in said and "█" in said and "Hangul" in said
    assert "401" in html and "Warnings" in html and "http" not in html and "<b>x" not in html
    assert ojak("inspect", talk, "--json") == 0
    assert json.loads(capsys.readouterr().out)["labels"] == {"a": 201, "b": 200}


@pytest.mark.parametrize("verb", ["inspect", "clean", "split", "leaks"])
def test_a_broken_file_ends_a_command_with_one_message(
    verb: str, talk: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with talk.open("a", encoding="utf-8") as file:
        file.write("no tab here\n")
    words = {"inspect": [], "clean": ["--out", tmp_path / "x.tsv"], "split": ["--out", tmp_path / "x"]}
    assert ojak(verb, talk, *words.get(verb, [talk])) == 2
    message = capsys.readouterr().err
    assert "line 403: 1 column instead of 4" in message and "Traceback" not in message
    assert [path.name for path in tmp_path.iterdir() if path.is_file()] == ["talk.tsv"]
