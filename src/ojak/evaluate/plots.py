"""The plots of a report's page."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import pairwise

from ojak.evaluate import buckets
from ojak.evaluate.measured import Found, Measured, Part, Report
from ojak.look import charts
from ojak.look.charts import Series

SHOWN = ("BLEU", "chrF2")  # by part
CHANGES = (-100, -50, -25, -10, -2, 2, 10, 25, 50, 100)  # of a sentence's score
LEAST = 5  # sentences of a part that is drawn


def _series(report: Report, of: Callable[[Found], list[Part]], name: str, whole: bool = False) -> list[Series]:
    """One score of each part, the whole corpus first if it is wanted."""
    found = []
    for one in report.systems:
        scores = [part.scores for part in of(one) if part.pairs >= LEAST]
        chosen = [_named(each, name) for each in ([one.scores] if whole else []) + scores]
        low, high = [each.low for each in chosen], [each.high for each in chosen]
        found.append(Series(one.system.name, [each.value for each in chosen], low, high))
    return found


def _named(scores: Sequence[Measured], name: str) -> Measured:
    return next(score for score in scores if score.name == name)


def whiskers(report: Report) -> list[str]:
    """Each score of several systems with its interval, where they can stand on one axis; nothing for one system."""
    if len(report.systems) < 2:
        return []
    drawn = []
    for first in report.systems[0].scores:
        if report.comparable(first.name):
            each = [_named(found.scores, first.name) for found in report.systems]
            series = [
                Series(found.system.name, [score.value], [score.low], [score.high])
                for found, score in zip(report.systems, each, strict=True)
            ]
            drawn.append(charts.rows(first.name, [""], series, digits=first.digits))
    return drawn


def lengths(report: Report) -> list[str]:
    """Scores against the length of the source; nothing where all have about the same."""
    parts = [part for part in report.systems[0].by_length if part.pairs >= LEAST]
    if len(parts) < 2:
        return []
    names, pairs = [part.name for part in parts], [f"{part.pairs:,}" for part in parts]
    axis = f"{buckets.length_unit(report.languages[0])} of the source, pairs below"
    return [
        charts.lines(name, names, _series(report, lambda found: found.by_length, name), pairs, axis) for name in SHOWN
    ]


def labels(report: Report) -> list[str]:
    """Scores of each label below those of all pairs; nothing without labels."""
    parts = [part for part in report.systems[0].by_label if part.pairs >= LEAST]
    if not parts:
        return []
    names = ["all", *(part.name for part in parts)]
    pairs = [f"{count:,} pairs" for count in (len(report.pairs), *(part.pairs for part in parts))]
    return [
        charts.rows(name, names, _series(report, lambda found: found.by_label, name, whole=True), pairs)
        for name in SHOWN
    ]


def words(report: Report) -> list[str]:
    """F, precision and recall of words against their frequency in training; nothing where that is not known."""
    every = {words.name: words for found in report.systems for words in found.by_frequency}
    if not every:
        return []
    names = sorted(every, key=lambda name: int(name.split("–")[0].rstrip("+")))
    drawn = []
    for title, value in (("F", "f"), ("Precision", "precision"), ("Recall", "recall")):
        series = []
        for found in report.systems:
            mine = [next((words for words in found.by_frequency if words.name == name), None) for name in names]
            ends = [
                [getattr(words, end) if words and value == "f" else None for words in mine] for end in ("low", "high")
            ]
            series.append(
                Series(found.system.name, [getattr(words, value) if words else None for words in mine], *ends)
            )
        below = [f"{every[name].wanted:,}" for name in names]
        drawn.append(charts.lines(title, names, series, below, "times in training, words in the references below", 3))
    return drawn


def histograms(report: Report) -> list[str]:
    """How many sentences have which score, and are how much better or worse than the baseline's."""
    name = "chrF2"
    values = [next(one for one in found.counts if one.name == name).sentences() for found in report.systems]
    names = [f"{low}–{low + 10}" for low in range(0, 100, 10)]
    series = [
        Series(
            found.system.name,
            [float(sum(low <= min(one, 99.99) < low + 10 for one in each)) for low in range(0, 100, 10)],
        )
        for found, each in zip(report.systems, values, strict=True)
    ]
    drawn = [charts.lines("Sentences by their chrF2", names, series, axis="chrF2 of a sentence", digits=0)]
    if len(values) > 1:
        base = report.systems[0].system.name
        lows, highs = ([str(end) for end in ends] for ends in zip(*pairwise(CHANGES), strict=True))
        changes = [[mine - theirs for mine, theirs in zip(each, values[0], strict=True)] for each in values[1:]]
        # The baseline has no difference from itself, but keeps its mark, so that others keep theirs.
        bars = [Series(base, [None] * len(lows))] + [
            Series(found.system.name, [float(count) for count in _between(each)])
            for found, each in zip(report.systems[1:], changes, strict=True)
        ]
        title = f"Sentences by chrF2 less that of {base}"
        drawn.append(charts.lines(title, lows, bars, [f"to {high}" for high in highs], digits=0))
    return drawn


def _between(values: Sequence[float]) -> list[int]:
    """How many values lie between each two of CHANGES, the lower one included."""
    last = len(CHANGES) - 2
    return [
        sum(low <= value < high or (place == last and value == high) for value in values)
        for place, (low, high) in enumerate(pairwise(CHANGES))
    ]
