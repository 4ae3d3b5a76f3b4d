"""Measuring: intervals and tests of significance, parts of a corpus, words, leaks, scores of others, and the page."""

from __future__ import annotations

import gzip
import json
import random
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sacrebleu.significance import PairedTest

from ojak.corpus.pair import Pair
from ojak.errors import DataError, UseError
from ojak.evaluate import buckets, counts, listing, metrics, outside, page, plots, resample
from ojak.evaluate.contrast import contrasts
from ojak.evaluate.habits import length_ratio, rates
from ojak.evaluate.marks import REFERENCE, RIVAL, compared, spans
from ojak.evaluate.measured import Forced, Report, System, Timed, measure
from ojak.evaluate.resample import Chance
from ojak.evaluate.trained import look_up

WORDS = "the a cat dog mat house sat ran slept quickly on under by and then it was red big".split()


def sentences(count: int, seed: int = 1) -> list[str]:
    draw = random.Random(seed)
    return [" ".join(draw.choices(WORDS, k=draw.randint(3, 12))) + "." for _ in range(count)]


def worse(texts: Sequence[str], share: float, seed: int = 2) -> list[str]:
    """The texts with a share of the words replaced."""
    draw = random.Random(seed)
    return [" ".join("xx" if draw.random() < share else word for word in text.split()) for text in texts]


def english(hypotheses: Sequence[str], references: Sequence[str]) -> list[counts.Counts]:
    return [counts.counted(one, hypotheses, references) for one in metrics.measures(references, "en")]


REFERENCES = sentences(120)
BETTER, WORSE = worse(REFERENCES, 0.2), worse(REFERENCES, 0.45, 3)


# intervals


def test_a_bootstrap_is_what_a_plain_loop_gives() -> None:
    found = english(BETTER[:20], REFERENCES[:20])
    scores = resample.bootstrap(found, Chance(resamples=8, seed=7))
    draw = np.random.default_rng(7)
    for number in range(8):
        places = draw.choice(20, size=20, replace=True)
        hypotheses, references = ([side[place] for place in places] for side in (BETTER, REFERENCES))
        expected = [score.value for score in metrics.corpus_scores(hypotheses, references, "en")]
        assert scores[:, number] == pytest.approx(expected)


def test_blocks_of_resamples_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    base, other = english(BETTER, REFERENCES), english(WORSE, REFERENCES)
    whole = resample.bootstrap(base, Chance(50)), resample.paired(base, other, Chance(50, 60))
    monkeypatch.setattr(resample, "BLOCK", 120 * 8)
    assert np.array_equal(whole[0], resample.bootstrap(base, Chance(50)))
    assert resample.paired(base, other, Chance(50, 60)) == whole[1]


def test_intervals_hold_the_truth_as_often_as_they_say() -> None:
    """Of scores drawn from a normal distribution the mean is known: about 95 of 100 intervals must hold it."""
    draw = np.random.default_rng(1)
    held = 0
    for trial in range(200):
        (scores,) = resample.bootstrap([counts.given("x", draw.normal(50, 10, 80).tolist())], Chance(300, seed=trial))
        low, high = resample.interval(scores)
        held += low <= 50 <= high
    assert 0.9 <= held / 200 <= 0.985


# significance


def test_both_tests_are_those_of_sacrebleu() -> None:
    systems = [("base", WORSE), ("close", worse(REFERENCES, 0.42, 5))]
    mine = resample.paired(*(english(texts, REFERENCES) for _, texts in systems), Chance(400, 500))
    for kind, count in (("bs", 400), ("ar", 500)):
        named = {one.name: one.metric for one in metrics.measures(REFERENCES, "en")}
        _, theirs = PairedTest(systems, named, [REFERENCES], test_type=kind, n_samples=count)()
        for one in mine:
            expected: Any = theirs[one.name]
            assert one.difference == pytest.approx(expected[1].score - expected[0].score)
            p = one.p_bootstrap if kind == "bs" else one.p_randomisation
            assert p is not None
            # A difference that is met and not passed counts here: TER has such ties, the others hardly any.
            assert p >= expected[1].p_value - 1e-9
            assert p == pytest.approx(expected[1].p_value, abs=0.08 if one.name == "TER" else 0.005)


def test_a_system_is_no_better_than_itself() -> None:
    base = english(BETTER, REFERENCES)
    for found in resample.paired(base, base, Chance(200, 200)):
        assert (found.difference, found.low, found.high) == (0, 0, 0)
        assert (found.p_bootstrap, found.p_randomisation, found.wins) == (1, 1, 0.5)
        assert not found.significant


def test_a_clearly_better_system_is_told() -> None:
    for found in resample.paired(english(WORSE, REFERENCES), english(BETTER, REFERENCES), Chance(300, 300)):
        assert found.significant and found.p_bootstrap is not None and found.p_bootstrap < 0.01
        assert found.wins == 1
        assert found.low is not None and found.high is not None
        assert (found.high < 0) if found.name == "TER" else (found.low > 0)


def test_chance_alone_is_seldom_significant() -> None:
    draw = np.random.default_rng(3)
    wrong = 0
    for trial in range(200):
        one, two = (counts.given("x", draw.normal(0, 1, 60).tolist()) for _ in range(2))
        wrong += resample.paired([one], [two], Chance(0, 200, trial))[0].significant
    assert wrong / 200 <= 0.1


def test_the_bootstrap_alone_is_as_seldom_wrong_as_randomisation() -> None:
    """Its p is one-sided: of equals twice as many are below 0.05 as should be called different, and half of that is."""
    draw = np.random.default_rng(3)
    found = []
    for trial in range(300):
        one, two = (counts.given("x", draw.normal(0, 1, 60).tolist()) for _ in range(2))
        found.append(resample.paired([one], [two], Chance(200, 0, trial))[0])
    one_sided = sum(one.p_bootstrap < 0.05 for one in found if one.p_bootstrap is not None)
    assert 0.07 <= one_sided / 300 <= 0.15
    assert sum(one.significant for one in found) / 300 <= 0.065


@pytest.mark.parametrize(
    ("bootstrap", "randomisation", "significant"),
    [(0.024, None, True), (0.03, None, False), (0.03, 0.04, True), (0.01, 0.06, False), (None, None, False)],
)
def test_each_p_is_judged_by_its_own_sides(bootstrap: float, randomisation: float, significant: bool) -> None:
    assert resample.Paired("x", 1.0, None, None, bootstrap, randomisation, None).significant == significant


@pytest.mark.parametrize(
    ("chance", "rule"), [(Chance(50, 60), "p < 0.05"), (Chance(50, 0), "bootstrap p < 0.025"), (Chance(0, 0), None)]
)
def test_every_report_says_what_its_p_are(chance: Chance, rule: str | None) -> None:
    pairs = [Pair("x", text) for text in REFERENCES[:9]]
    made = measure(pairs, [System("a", WORSE[:9]), System("b", BETTER[:9])], ("ko", "en"), chance=chance)
    said = json.dumps(made.as_dict()["significance"])
    for text in (made.table(), page.html(made).partition('<script type="application/json"')[0].replace("&lt;", "<")):
        assert ("more than chance" in text) == (rule is not None)
        assert rule is None or f"* differs by more than chance ({rule})" in text
        assert ("one-sided" in text) == (chance.resamples > 0) and ("two-sided" in text) == (chance.trials > 0)
    assert '"p_bootstrap": "one-sided"' in said
    assert (rule or "null").removeprefix("bootstrap p").removeprefix("p").strip() in said


def test_what_was_not_asked_for_is_not_told() -> None:
    (first, *_) = resample.paired(english(WORSE, REFERENCES), english(BETTER, REFERENCES), Chance(0, 0))
    assert (first.low, first.p_bootstrap, first.p_randomisation, first.significant) == (None, None, None, False)
    with pytest.raises(UseError, match="no fewer than 0 trials"):
        Chance(trials=-1)


# parts


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(1, 120), min_size=1, max_size=60))
def test_parts_by_length_hold_every_sentence_once(lengths: list[int]) -> None:
    found = buckets.by_length(["w " * length for length in lengths])
    assert sorted(place for part in found for place in part.places) == list(range(len(lengths)))
    for part in found:
        low, _, high = part.name.rstrip("+").partition("–")
        for place in part.places:
            assert int(low) <= lengths[place] and (not high or lengths[place] <= int(high))


def test_languages_without_spaces_are_counted_in_characters() -> None:
    assert buckets.length_unit("ja-JP") == "characters"
    assert [part.name for part in buckets.by_length(["猫が好きです。" * 3, "猫"], "ja")] == ["1–10", "21–30"]


def test_parts_sum_to_the_whole() -> None:
    found = english(BETTER, REFERENCES)
    for parts in (buckets.by_length(REFERENCES), buckets.by_label(["abc"[len(text) % 3] for text in REFERENCES])):
        assert len(parts) > 1
        for one in found:
            sums = sum(one.part(part.places).rows.sum(axis=0) for part in parts)
            assert np.array_equal(sums, one.rows.sum(axis=0))
    part = buckets.by_length(REFERENCES)[0]
    texts = [[side[place] for place in part.places] for side in (BETTER, REFERENCES)]
    expected = metrics.corpus_scores(texts[0], texts[1], "en")
    assert [one.score(part.places) for one in found] == pytest.approx([score.value for score in expected])


def test_one_label_makes_no_parts_and_none_has_a_name() -> None:
    assert buckets.by_label(["a", "a"]) == []
    assert [part.name for part in buckets.by_label(["a", "", "a"])] == ["no label", "a"]


def test_words_by_frequency_by_hand() -> None:
    # new: wanted once, never said. cat (1): wanted 2, said 3, matched 2. the (7): wanted 2, said 2, matched 1 and 1.
    rows = buckets.by_frequency(
        ["the cat cat", "the cat"], ["the new cat", "the cat"], {"the": 7, "cat": 1}, lambda text: text
    )
    assert {name: each.tolist() for name, each in rows.items()} == {
        "0": [[1, 0, 0], [0, 0, 0]],
        "1": [[1, 2, 1], [1, 1, 1]],
        "5–9": [[1, 1, 1], [1, 1, 1]],
    }
    found = [buckets.Words(name, *each.sum(axis=0)) for name, each in rows.items()]
    new, cat, the = found
    assert (new.precision, new.recall, new.f) == (0, 0, 0)
    assert (cat.precision, cat.recall, cat.f) == pytest.approx((2 / 3, 1, 0.8))
    assert (the.precision, the.recall, the.f) == (1, 1, 1)


def test_words_of_lower_case_models_are_without_case() -> None:
    """By frequency in training and in the marks of the page, as in the scores."""
    pairs = [Pair("x", "The Cat sat."), Pair("y", "A DOG ran.")]
    cut = metrics.cutter("13a", lowercase=True)
    said = ["the cat sat.", "a cat ran."]
    words = buckets.words_in([*said, *(pair.target for pair in pairs)], cut)
    known = look_up([("run", iter([Pair("z", "THE Cat the CAT.")]))], pairs, words, cut)
    made = measure(
        pairs, [System("a", said), System("b", [text.upper() for text in said])], ("", "en"), True, Chance(9, 9), known
    )
    for system in made.systems:
        found = {one.name: (one.wanted, one.said, one.matched) for one in system.by_frequency}
        # a, dog, ran, sat: never; "." once; the, cat: twice. The cat of the second is one too many.
        assert found == {"0": (4, 3, 3), "1": (2, 2, 2), "2": (2, 3, 2)}
        assert system.scores[0].signature.count("case:lc")
    assert "(cut by 13a, without case)" in made.table() and made.as_dict()["lowercase"]
    first, second = (row["c"][0] for row in listing.listing(made)["sentences"])
    assert [segment for side in first for segment in side if segment[1]] == []
    assert [text.strip() for side in second for text, mark in side if mark] == ["DOG", "cat", "CAT"]


def test_habits_by_hand() -> None:
    found = rates(["no no no no", "Hello World!", "", "fine"], ["아니요", "hello world", "x", "fine day"])
    # Repeated: of three pairs two came before; one more pair in another.
    assert {one.name: one.score() for one in found} == pytest.approx(
        {"repeated": 2 / 4, "copied": 3 / 7, "untranslated": 0.25, "empty": 0.25}
    )
    assert length_ratio(["ab cd"], ["a b c d e"]).score() == pytest.approx(4 / 5)


def test_habits_have_intervals_and_are_compared_as_scores_are() -> None:
    pairs = [Pair(f"source {place}", text) for place, text in enumerate(REFERENCES)]
    loops = [f"{text} {text}" for text in REFERENCES]
    made = measure(pairs, [System("base", REFERENCES), System("loops", loops)], chance=Chance(200, 200))
    (length, repeated, *_), differences = made.systems[1].habits, made.habits_compared[0]
    assert length.value == length.low == length.high == 2  # of every sentence, so chance cannot move it
    assert repeated.low is not None and repeated.high is not None and repeated.low < repeated.value < repeated.high
    draw, again = np.random.default_rng(made.chance.seed), []
    for _ in range(200):
        places = draw.choice(len(loops), size=len(loops), replace=True)
        again.append(rates([loops[place] for place in places], [pairs[place].source for place in places])[0].score())
    assert (repeated.low, repeated.high) == pytest.approx(resample.interval(np.array(again)))
    assert {one.name: one.significant for one in differences} == {
        "length ratio": True, "repeated": True, "copied": False, "untranslated": False, "empty": False,
    }  # fmt: skip
    told = made.as_dict()
    assert told["systems"][1]["repeated"] == repeated.value and told["references"]["repeated"] < repeated.value
    assert [one["significant"] for one in told["comparisons"][0]["habits"]] == [True, True, False, False, False]
    assert re.search(r"loops +2\.000\* +\d\d\.\d\d%\* +0\.00% ", made.table())
    assert repeated.said().partition(" ")[2] in page.html(made)


def test_f_of_words_has_the_interval_of_resampled_sentences() -> None:
    known = look_up(
        [("run", iter([Pair("x", "the cat sat.")]))], [Pair("x", "y")], {"the", "cat", "sat"}, metrics.cutter("13a")
    )
    pairs = [Pair("x", text) for text in REFERENCES[:30]]
    made = measure(pairs, [System("one", BETTER[:30])], ("", "en"), chance=Chance(100), trained=known)
    draw, again = np.random.default_rng(made.chance.seed), []
    for _ in range(100):
        places = draw.choice(30, size=30, replace=True)
        sides = [[side[place] for place in places] for side in (BETTER, REFERENCES)]
        rows = buckets.by_frequency(sides[0], sides[1], known.words, metrics.cutter("13a"))["1"]
        again.append(buckets.f(rows.sum(axis=0)))
    once = next(words for words in made.systems[0].by_frequency if words.name == "1")
    assert (once.low, once.high) == pytest.approx(resample.interval(np.array(again)))
    assert f"({once.low:.3f} to {once.high:.3f})" in page.html(made)


def test_contrasts_by_hand() -> None:
    references = ["a b c d", "a b e", "a b f"]
    found = contrasts(["a b d d", "a x e", "a x"], ["a b c x", "a b", "b a"], references, lambda text: text)
    # b: 3 against 1, c: 1 against 0; d and e: 0 against 1. Of a all have as many, and f nobody said.
    told = [[(one.word, one.wanted, one.base, one.other) for one in side] for side in (found.more, found.fewer)]
    assert told == [[("b", 3, 1, 3), ("c", 1, 0, 1)], [("d", 1, 1, 0), ("e", 1, 1, 0)]]
    pairs = [Pair("x", text) for text in references]
    made = measure(pairs, [System("base", ["a b d d", "a x e", "a x"]), System("<new>", ["a b c x", "a b", "b a"])])
    assert "words that <new> got right more often than base\n  b 3:1  c 1:0\n" in made.table()
    assert made.as_dict()["comparisons"][0]["words"] == found.as_dict()
    assert "&lt;new&gt; is better" in page.html(made)


# leaks


def test_leaks_are_found_and_left_out_of_the_score() -> None:
    pairs = [Pair(f"Q{place} {text}", text) for place, text in enumerate(REFERENCES[:40])]
    training = [Pair(pairs[3].source.upper(), pairs[3].target), Pair(pairs[5].source, "new"), Pair("new", "the cat")]
    cut = metrics.cutter("13a")
    known = look_up([("run", iter(training))], pairs, {"cat", "the"}, cut)
    assert known.words == Counter(
        {word: n for word in ("cat", "the") if (n := sum(cut(pair.target).split().count(word) for pair in training))}
    )
    assert known.leaks.exact >= {3, 5} and known.leaks.pairs == {3}
    report = measure(pairs, [System("one", BETTER[:40])], ("xx", "en"), chance=Chance(20), trained=known)
    clean = [place for place in range(40) if place not in known.leaks.exact]
    expected = metrics.corpus_scores([BETTER[p] for p in clean], [pairs[p].target for p in clean], "en")
    assert [score.value for score in report.systems[0].without_leaks] == pytest.approx([s.value for s in expected])
    told = report.table()
    assert f"WARNING: {len(known.leaks.exact)} of 40 test pairs are known from training (run)" in told
    assert f"BLEU {expected[0].value:.2f}" in told
    assert report.as_dict()["leaks"]["pairs"] == 1


# scores of others


def test_scores_of_others_in_every_shape(tmp_path: Path) -> None:
    plain = tmp_path / "plain.txt"
    plain.write_text("0.5\n-1\n2e-1\n")
    assert outside.read_scores(plain) == [outside.Scores([0.5, -1, 0.2])]
    printed = tmp_path / "printed.txt"
    printed.write_text(
        "".join(f"{name}\tSegment {n}\tscore: 0.{n}{n}\n" for n in range(2) for name in ("a.txt", "b.txt"))
        + "a.txt\tscore: 0.0500\nb.txt\tscore: 0.0500\n"
    )
    assert [one.values for one in outside.read_scores(printed)] == [[0, 0.11], [0, 0.11]]
    comet = tmp_path / "comet.json"
    rows = [{"src": "x", "mt": text, "ref": "y", "COMET": 0.25} for text in ("one", "two")]
    comet.write_text(
        json.dumps({"a.txt": rows, "b.txt": [{**row, "mt": "z", "COMET": 0.75} for row in rows]}, indent=4)
    )
    found = outside.read_scores(comet, "comet")
    assert found[0] == outside.Scores([0.25, 0.25], ["one", "two"])
    # By what they scored, not by the order.
    assert outside.matched(comet, found, [["z", "z"], ["one", "two"]]) == [[0.75, 0.75], [0.25, 0.25]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("0.1\nx\n", "line or entry 2: a score must be a number, but is 'x'"),
        ("0.1\n\n0.2\n", "line or entry 2"),
        ("nan\n", "must be a number"),
        ("{", "is none"),
        ('{"a": 3}', "must hold lists of sentences"),
        ('{"a": [{"mt": "x", "p": 1, "q": 2}]}', "or one called 'COMET'"),
        ("a\tSegment 1\tscore: 0.1\n", "segment 0 must come here"),
        ("a\tSegment 0\tscore: 0.1\nSegment the second\n", "line 2"),
    ],
)
def test_broken_scores_are_refused(content: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "scores").write_text(content)
    with pytest.raises(DataError, match=re.escape(message)):
        outside.read_scores(tmp_path / "scores", "COMET")


def test_scores_of_other_translations_are_refused(tmp_path: Path) -> None:
    told = [outside.Scores([0.1, 0.2], ["one", "two"])]
    with pytest.raises(DataError, match="of sentence 2 it scored 'two', and the system says 'three'"):
        outside.matched(Path("x"), told, [["one", "three"]])
    with pytest.raises(DataError, match="must score 2 systems, but scores 1"):
        outside.matched(Path("x"), [outside.Scores([0.1])], [["one"], ["two"]])
    with pytest.raises(DataError, match="each of the 2 pairs, but holds 1"):
        outside.matched(Path("x"), [outside.Scores([0.1])], [["one", "two"]])


# marks


@settings(max_examples=60, deadline=None)
@given(*(st.lists(st.sampled_from("a b c 가나 don't x.".split()), max_size=8).map(" ".join) for _ in range(3)))
def test_segments_are_the_text_and_marks_what_differs(reference: str, first: str, second: str) -> None:
    cut = metrics.cutter("13a")
    found = compared(reference, first, second, cut)
    assert ["".join(text for text, _ in segments) for segments in found] == [reference, first, second]
    assert all(a[1] != b[1] for segments in found for a, b in pairwise(segments))
    marks = {mark for _, mark in compared(reference, reference, reference, cut)[1]}
    assert marks <= {0}


def test_marks_by_hand() -> None:
    reference, first, second = compared("the red cat sat", "the cat ran", "the red cat", lambda text: text)
    assert reference == [("the ", 0), ("red", REFERENCE), (" cat ", 0), ("sat", REFERENCE + RIVAL)]
    assert [segment for segment in first if segment[1]] == [("ran", REFERENCE + RIVAL)]
    assert [segment for segment in second if segment[1]] == [("red", RIVAL)]


def test_words_that_a_tokenizer_rewrites_are_found_all_the_same() -> None:
    text = "A &quot;cat&quot; sat."
    assert [text[a:b] for a, b in spans(text, metrics.cutter("13a"))] == re.findall(r"\w+|[^\w\s]", text)


# a whole report, and its page


def report(systems: int = 2) -> Report:
    pairs = [
        Pair(f"{text} </script><b>", text, "ab"[place % 2])
        for place, text in enumerate([*REFERENCES[:59], "한국어 & x."])
    ]
    known = look_up([("run", iter(pairs[:2]))], pairs, set(WORDS), metrics.cutter("13a"))
    made = [
        System("base <1>", BETTER[:60], Forced([-3.0] * 60, [4] * 60), Timed(4, 2.0, 500)),
        System("other", WORSE[:60], given={"COMET": [0.5] * 60}),
        System("third", REFERENCES[:60], given={"COMET": [0.25] * 60}),
    ]
    return measure(pairs, made[:systems], ("ko", "en"), chance=Chance(50, 60), trained=known, title="talk.tsv")


class Reader(HTMLParser):
    """The page as a browser takes it: its elements, and the texts of its tables."""

    def __init__(self) -> None:
        super().__init__()
        self.references: list[str] = []
        self.cells: list[str] = []
        self.data = self.of = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        self.of = "data" if named.get("id") == "data" else tag
        self.references += [value or "" for name, value in attrs if name in ("src", "href", "action", "srcset")]
        assert tag not in ("link", "iframe", "img", "object", "embed", "base")
        if tag in ("td", "th"):
            self.cells.append("")

    def handle_data(self, data: str) -> None:
        if self.of == "data":
            self.data += data
        elif self.cells:
            self.cells[-1] += data

    def handle_endtag(self, tag: str) -> None:
        self.of = ""


@pytest.mark.parametrize("systems", [1, 2, 3])
def test_the_page_holds_what_json_says_and_fetches_nothing(systems: int) -> None:
    made = report(systems)
    text = page.html(made)
    reader = Reader()
    reader.feed(text)
    assert reader.references == []
    outside_of_names = text.replace('"http://www.w3.org/2000/svg"', "")
    assert not re.search(r"https?:|//[a-z]+\.|@import|url\(", outside_of_names)
    assert "default-src 'none'" in text and "prefers-color-scheme: dark" in text
    data = json.loads(reader.data)
    assert data["report"] == json.loads(json.dumps(made.as_dict()))
    shown = " ".join(reader.cells)
    found = data["report"]
    for system in found["systems"] if systems > 1 else [found]:
        for score in system["scores"]:
            digits = 4 if score["name"] == "COMET" else 2
            assert f"{score['score']:.{digits}f}" in shown
            assert f"({score['low']:.{digits}f} to {score['high']:.{digits}f})" in shown
    assert len(data["sentences"]) == 60 and data["left_out"] == 0
    for row in data["sentences"]:
        pair = made.pairs[row["n"] - 1]
        assert row["s"] == pair.source and row["k"] == (row["n"] <= 2)
        for rival, segments in enumerate(row["c"]):
            sides = ["".join(part for part, _ in one) for one in segments]
            assert sides[:2] == [pair.target, made.hypotheses[row["n"] - 1]]
            assert systems == 1 or sides[2] == made.systems[rival + 1].system.hypotheses[row["n"] - 1]


def test_names_of_scores_are_text_in_the_page() -> None:
    pairs = [Pair(text, text, "") for text in REFERENCES[:9]]
    system = System("one", BETTER[:9], given={"p<0.05 <b>": [0.5] * 9})
    text = page.html(measure(pairs, [system], ("ko", "en"), chance=Chance(20, 20)))
    assert "p&lt;0.05 &lt;b&gt;" in text and "<th scope=col>p<" not in text


def test_a_page_of_many_pairs_keeps_those_that_tell_most(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "MOST", 10)
    reader = Reader()
    reader.feed(page.html(report()))
    data = json.loads(reader.data)
    assert (len(data["sentences"]), data["left_out"]) == (10, 50)


def test_a_report_of_several_systems() -> None:
    found = report(3).as_dict()
    assert found["baseline"] == "base <1>" and [one["name"] for one in found["systems"]][1:] == ["other", "third"]
    assert [one["system"] for one in found["comparisons"]] == ["other", "third"]
    first, second = ({each["name"]: each for each in one["scores"]} for one in found["comparisons"])
    assert set(first) == {"BLEU", "chrF2", "chrF2++", "TER"}  # the baseline has no COMET, the others no perplexity
    assert first["BLEU"]["difference"] < 0 < second["BLEU"]["difference"]
    assert found["systems"][0]["perplexity"] == pytest.approx(np.exp(3 / 4))
    assert found["systems"][0]["sentences_per_second"] == 30
    assert sum(found["pairs_by_label"].values()) == found["pairs"] == 60


def test_the_table_has_what_one_system_alone_has() -> None:
    table = report(2).table()
    assert "perplexity" in table and "bits/character" in table
    assert re.search(r"COMET +the mean of given scores\n +other +0\.5000 \(0\.5000 to 0\.5000\) +not comparable", table)


def test_perplexities_compare_only_over_the_same_tokens() -> None:
    pairs = [Pair("x", text) for text in REFERENCES[:5]]
    made = [
        System(name, BETTER[:5], Forced([-2.0] * 5, [tokens] * 5)) for name, tokens in (("a", 3), ("b", 4), ("c", 3))
    ]
    found = measure(pairs, made, chance=Chance(5, 5))
    names = [{one.name for one in compared} for compared in found.comparisons]
    assert "bits/character" in names[0] & names[1]
    assert "perplexity" not in names[0] and "perplexity" in names[1]
    alike = measure(pairs, [made[0], made[2]], chance=Chance(5, 5))
    for of, drawn in ((found, False), (alike, True)):  # on one axis, and one less the other for each sentence
        assert any("<title>perplexity</title>" in plot for plot in plots.whiskers(of)) == drawn
        assert any("<title>bits/character</title>" in plot for plot in plots.whiskers(of))
        assert ("perplexity" in {one["name"] for one in listing.listing(of)["measures"]}) == drawn
        assert ("not comparable" in page.html(of)) == (not drawn)


def test_a_report_needs_pairs_systems_and_as_many_lines() -> None:
    pairs = [Pair("x", "y")]
    for bad, message in (
        (lambda: measure([], [System("a", [])]), "there are none"),
        (lambda: measure(pairs, []), "there is none"),
        (lambda: measure(pairs, [System("a", ["y", "z"])]), "1 pairs, but a has 2"),
    ):
        with pytest.raises(UseError, match=message):
            bad()


# against sacreBLEU's command line, on real sentences


def test_scores_are_those_of_the_command_line_of_sacrebleu(data: Path, tmp_path: Path) -> None:
    with gzip.open(data / "enko_talk.test.tsv.gz", "rt", encoding="utf-8") as file:
        rows = [line.rstrip("\n").split("\t") for line in file][:150]
    for side, language, tokenizer in ((0, "en", "13a"), (1, "ko", metrics.bleu_tokenizer("ko"))):
        references = [row[side] for row in rows]
        one = worse(references, 0.2)
        for name, texts in (("ref", references), ("one", one)):
            (tmp_path / name).write_text("".join(f"{text}\n" for text in texts), encoding="utf-8")
        words = ["ref", "-i", "one", "-m", "bleu", "chrf", "ter", "--tokenize", tokenizer, "-w", "6", "-f", "json"]
        told = subprocess.run(
            [sys.executable, "-m", "sacrebleu", *words, "--confidence", "--confidence-n", "300"],
            cwd=tmp_path,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        theirs = {one["name"]: one for one in json.loads(told)}
        found = measure(
            [Pair("x", text) for text in references], [System("one", one)], ("", language), chance=Chance(300)
        )
        for name in ("BLEU", "chrF2", *(["TER"] if language == "en" else [])):  # Korean is cut for TER, theirs is not
            score, expected = next(one for one in found.scores if one.name == name), theirs[name]
            assert score.value == pytest.approx(expected["score"], abs=1e-5)
            assert score.low is not None and score.high is not None
            # The same resamples; theirs takes the interval as even on both sides.
            assert (score.high - score.low) / 2 == pytest.approx(expected["confidence_var"], rel=0.06)
