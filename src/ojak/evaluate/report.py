"""A translator measured on pairs: scores with their signatures, by label, and perplexity."""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ojak.config import SearchConfig
from ojak.corpus.pair import Pair
from ojak.errors import UseError
from ojak.evaluate import metrics
from ojak.translate import Maker


@dataclass(frozen=True)
class Report:
    """What `ojak evaluate` tells."""

    pairs: int
    scores: list[metrics.Score]
    by_label: dict[str, list[metrics.Score]]
    perplexity: float
    """with teacher forcing, a token of the model's own, end of sentence included"""
    beam: int
    seconds: float
    hypotheses: list[str]

    def as_dict(self) -> dict[str, Any]:
        """All but the translations, for JSON."""
        return {
            "pairs": self.pairs,
            "scores": [_score(score) for score in self.scores],
            "by_label": {label: [_score(score) for score in scores] for label, scores in self.by_label.items()},
            "perplexity": self.perplexity,
            "beam": self.beam,
            "seconds": self.seconds,
        }

    def table(self) -> str:
        """The same for a reader."""
        lines = [f"{score.name:6} {score.value:6.2f}   {score.signature}" for score in self.scores]
        lines.append(f"perplexity {self.perplexity:.2f} (teacher-forced, a token)")
        for label, scores in self.by_label.items():
            lines.append(f"  {label:24} " + "  ".join(f"{score.name} {score.value:.1f}" for score in scores))
        lines.append(f"{self.pairs} pairs in {self.seconds:.1f} s, beam {self.beam}")
        return "\n".join(lines)


def _score(score: metrics.Score) -> dict[str, Any]:
    return {"name": score.name, "score": score.value, "signature": score.signature}


def evaluate(translator: Maker, pairs: Sequence[Pair], search: SearchConfig | None = None) -> Report:
    """Translates the sources and compares with the targets. Raises UseError when there are no pairs."""
    if not pairs:
        raise UseError("There must be pairs to evaluate on, but there are none.")
    config = search or translator.search
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    begun = time.monotonic()
    hypotheses = [found.text for found in translator.translate(sources, config)]
    seconds = time.monotonic() - begun
    language, lowercase = translator.languages[1], translator.target.lowercase
    labels = [pair.label for pair in pairs]
    forced = translator.force(sources, references)
    return Report(
        pairs=len(pairs),
        scores=metrics.corpus_scores(hypotheses, references, language, lowercase),
        by_label=metrics.by_label(hypotheses, references, labels, language, lowercase) if len(set(labels)) > 1 else {},
        perplexity=math.exp(min(700.0, -sum(f.score for f in forced) / sum(len(f.tokens) for f in forced))),
        beam=config.beam,
        seconds=seconds,
        hypotheses=hypotheses,
    )
