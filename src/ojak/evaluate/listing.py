"""The sentences of a report as the script of its page takes them: sorted and shown there, marked here."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ojak.evaluate import metrics
from ojak.evaluate.marks import compared
from ojak.evaluate.measured import Report
from ojak.look import charts
from ojak.look.drawing import one_line
from ojak.look.labels import language

MOST = 4000  # sentences on the page


def listing(report: Report) -> dict[str, Any]:
    """Every sentence (of many, those that tell most) for the script of the page."""
    first = report.systems[0]
    measures = [one for one in first.counts if report.comparable(one.name)]
    values = {
        one.name: [next(o for o in found.counts if o.name == one.name).sentences() for found in report.systems]
        for one in measures
    }
    places = list(range(len(report.pairs)))
    if len(places) > MOST:
        places = sorted(_telling(values["chrF2"]))
    cut = metrics.cutter(report.cutter)  # folds no case, which could move the places of words
    labels = sorted({pair.label for pair in report.pairs})
    leaked = report.trained.leaks.exact if report.trained else set()
    rows = []
    for place in places:
        pair = report.pairs[place]
        texts = [one_line(found.system.hypotheses[place]) for found in report.systems]
        reference = one_line(pair.target)
        rivals: list[str | None] = [*texts[1:]] or [None]
        rows.append(
            {
                "n": place + 1,
                "s": one_line(pair.source),
                "l": labels.index(pair.label),
                "k": place in leaked,
                "v": [[round(each[place], 4) for each in values[one.name]] for one in measures],
                "c": [compared(reference, texts[0], rival, cut, report.lowercase) for rival in rivals],
            }
        )
    return {
        "systems": [found.system.name for found in report.systems],
        "measures": [{"name": one.name, "lower": one.lower, "digits": one.digits} for one in measures],
        "labels": labels,
        "languages": [
            code or language(" ".join(texts)) or ""
            for code, texts in zip(
                report.languages,
                ([pair.source for pair in report.pairs[:50]], [pair.target for pair in report.pairs[:50]]),
                strict=True,
            )
        ],
        "left_out": len(report.pairs) - len(places),
        "swatches": [charts.swatch(place) for place in range(len(report.systems))],
        "sentences": rows,
    }


def _telling(values: Sequence[Sequence[float]]) -> list[int]:
    """Places of the sentences on which systems differ most; of one system, its worst and its best."""
    spread = [max(each) - min(each) if len(each) > 1 else abs(each[0] - 50) for each in zip(*values, strict=True)]
    return sorted(range(len(spread)), key=lambda place: -spread[place])[:MOST]
