"""What is counted in each sentence, from which the score of any part of a corpus follows.

A score of a corpus is no mean of scores of sentences, but every one here is made of a sum of rows, one row a sentence:
so parts (a length, a label) and resampled corpora are scored without counting anything again. Shapes: n sentences,
C counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from ojak.evaluate.metrics import Measure

Numbers = npt.NDArray[np.float64]
Row = Sequence[float]


@dataclass(frozen=True)
class Counts:
    """One measure of one system. `rows` is `(n, C)`."""

    name: str
    rows: Numbers
    value: Callable[[Row], float]
    """the score of a sum of rows"""
    sentence: Callable[[Row], float]
    """the score of the row of one sentence"""
    signature: str = ""
    lower: bool = False
    """whether lower is better"""
    digits: int = 2
    """that are shown after the point"""
    percent: bool = False
    """whether it is a share, from 0 to 1, that is shown in percent"""

    def score(self, places: Sequence[int] | None = None) -> float:
        """The score of the whole corpus, or of the sentences at these places."""
        rows = self.rows if places is None else self.rows[list(places)]
        return self.value(rows.sum(axis=0).tolist())

    def part(self, places: Sequence[int]) -> Counts:
        """The same of these sentences alone."""
        return replace(self, rows=self.rows[list(places)])

    def sentences(self) -> list[float]:
        """The score of each sentence."""
        return [self.sentence(row) for row in self.rows.tolist()]


def counted(measure: Measure, hypotheses: Sequence[str], references: Sequence[str]) -> Counts:
    """What a metric counts. Raises UseError for no sentences or unequal counts."""
    rows = np.array(measure.rows(hypotheses, references), dtype=np.float64)
    return Counts(measure.name, rows, measure.value, measure.sentence, measure.signature, measure.lower)


def perplexity(scores: Sequence[float], tokens: Sequence[int]) -> Counts:
    """Of the log-probabilities of given targets and the tokens each has, the end included."""
    return ratio("perplexity", [-score for score in scores], tokens, "a token of the model's own", _exp)


def bits(scores: Sequence[float], references: Sequence[str]) -> Counts:
    """Bits that the model needs for a character of the given targets: unlike perplexity this compares between models
    that cut text in other ways."""
    needed = [-score / math.log(2) for score in scores]
    lengths = [len(text) for text in references]
    return ratio("bits/character", needed, lengths, "a character of the reference", digits=3)


def given(name: str, scores: Sequence[float]) -> Counts:
    """Scores of sentences that were made elsewhere, such as COMET's; the corpus has their mean."""
    return ratio(name, scores, [1] * len(scores), "the mean of given scores", lower=False, digits=4)


def _exp(value: float) -> float:
    return math.exp(min(700.0, value))


def ratio(
    name: str,
    above: Sequence[float],
    below: Sequence[float],
    signature: str,
    final: Callable[[float], float] = float,
    lower: bool = True,
    digits: int = 2,
    percent: bool = False,
) -> Counts:
    """`final` of the sum of what is `above`, a number for each sentence, over the sum of what is `below`; 0 over
    nothing."""

    def value(row: Row) -> float:
        return final(row[0] / row[1]) if row[1] else 0.0

    rows = np.array([above, below], dtype=np.float64).T
    return Counts(name, rows, value, value, signature, lower, digits, percent)
