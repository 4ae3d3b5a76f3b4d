"""Validation: the likelihood of held-out pairs, and how well they are translated."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from ojak.config import Recipe
from ojak.evaluate import metrics
from ojak.search.forced import score
from ojak.train.dataset import Dev
from ojak.translate import Translator


@dataclass(frozen=True)
class Validation:
    """What held-out pairs say of the weights."""

    nll: float
    """nats a target token, end of sentence included"""
    bleu: float
    chrf: float
    asked: int = 0
    """different sentences that were translated"""
    outputs: int = 0
    """different translations of them"""
    example: str = ""
    """one of these"""

    @property
    def alike(self) -> bool:
        """Whether different sentences have all been translated as one: the model has collapsed, or has hardly begun."""
        return self.asked > 1 and self.outputs == 1

    @property
    def perplexity(self) -> float:
        """e to the nll, with teacher forcing."""
        return math.exp(min(self.nll, 700.0))

    def as_dict(self) -> dict[str, float]:
        """The numbers of a history event."""
        scores = {"nll": self.nll, "perplexity": self.perplexity, "bleu": self.bleu, "chrf": self.chrf}
        return {**scores, "outputs": self.outputs}

    def better(self, metric: str) -> float:
        """The number to make large."""
        return {"bleu": self.bleu, "chrf": self.chrf, "loss": -self.nll}[metric]


def validate(translator: Translator, dev: Dev, recipe: Recipe) -> Validation:
    """Scores all dev pairs with teacher forcing, and translates some of them greedily."""
    model = translator.model
    training = model.training
    model.eval()
    total = torch.zeros((), dtype=torch.float64)
    tokens = 0
    with torch.inference_mode():
        for batch in dev.batches(model.device):
            total += score(model, model(batch.source, batch.target_in).states, batch.target_out).sum().cpu()
            tokens += batch.tokens
    # Spread over all pairs: files are often sorted, and several of them one after the other.
    count = min(recipe.train.dev_sentences, len(dev.pairs))
    shown = [dev.pairs[place * len(dev.pairs) // count] for place in range(count)]
    greedy = recipe.search.model_copy(update={"beam": 1, "n_best": 1})
    found = [translation.text for translation in translator.translate([pair.source for pair in shown], greedy)]
    references = [pair.target for pair in shown]
    how = recipe.languages[1], recipe.text.lowercase
    model.train(training)
    return Validation(
        nll=-float(total) / tokens,
        bleu=metrics.bleu(found, references, *how).value,
        chrf=metrics.chrf(found, references, *how).value,
        asked=len({pair.source for pair in shown}),
        outputs=len(set(found)),
        example=found[0],
    )
