"""Minimum Bayes risk: the candidate that is most like all the others (Kumar and Byrne 2004; Eikema and Aziz 2020)."""

from __future__ import annotations

from collections.abc import Sequence

from sacrebleu.metrics.chrf import CHRF


def order(texts: Sequence[str]) -> list[int]:
    """The places of candidates by their mean chrF against the others, best first; ties keep their order.

    A candidate that was drawn twice counts twice, as its probability should.
    """
    metric = CHRF()
    known: dict[tuple[str, str], float] = {}
    for text in dict.fromkeys(texts):
        for other in dict.fromkeys(texts):
            known[text, other] = metric.sentence_score(text, [other]).score if other and text else 0.0
    gains = [sum(known[text, other] for other in texts) - known[text, text] for text in texts]
    return sorted(range(len(texts)), key=lambda place: -gains[place])
