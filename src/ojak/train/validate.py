"""Validation: the likelihood of held-out pairs, and how well they are translated."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import torch

from ojak.config import Recipe
from ojak.evaluate import metrics
from ojak.search.forced import score
from ojak.train import memory
from ojak.train.dataset import Dev
from ojak.train.parallel import Processes
from ojak.translate import Translator

GREEDY = {
    "beam": 1,
    "n_best": 1,
    "mbr": 0,
    "sampling": False,
    "shortlist": False,
    "diversity_groups": 1,
    "diversity_strength": 0.0,
    "coverage_penalty": 0.0,
}
"""of the recipe's search only limits and what holds repetition down are left"""
MANY = 200
"""sentences to translate for which a validation compiles the model, as users have it: to get ready takes a second"""


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
        """The number to make large; a loss that is no number is the worst."""
        value = {"bleu": self.bleu, "chrf": self.chrf, "loss": -self.nll}[metric]
        return -math.inf if math.isnan(value) else value


def validate(translator: Translator, dev: Dev, recipe: Recipe, processes: Processes | None = None) -> Validation:
    """Scores all dev pairs with teacher forcing, and translates some of them greedily; each process its share."""
    processes = processes or Processes()
    learnt = translator.model
    training = learnt.training
    learnt.eval()
    count = min(recipe.train.dev_sentences, len(dev.pairs))
    if count >= MANY and memory.most_addresses() is None:  # a compiler that is refused addresses ends the process
        translator = translator.compiled()
    model = translator.model
    total = torch.zeros((), dtype=torch.float64)
    tokens = 0
    with torch.inference_mode():
        for batch in islice(dev.batches(model.device), processes.rank, None, processes.size):
            total += score(model, model(batch.source, batch.target_in).states, batch.target_out).sum().cpu()
            tokens += batch.tokens
    # Spread over all pairs: files are often sorted, and several of them one after the other.
    shown = [dev.pairs[place * len(dev.pairs) // count] for place in range(count)]
    greedy = recipe.search.model_copy(update=GREEDY)
    asked = [pair.source for pair in shown[processes.mine]]
    totals = processes.gathered((float(total), tokens))
    nll = -sum(likelihood for likelihood, _ in totals) / sum(tokens for _, tokens in totals)
    # Of weights that have run away no word is likelier than another: nothing can be found.
    lost = math.isnan(nll)
    mine = [""] * len(asked) if lost else [found.text for found in translator.translate(asked, greedy)]
    parts = processes.gathered(mine)
    found = [parts[place % processes.size][place // processes.size] for place in range(count)]
    references = [pair.target for pair in shown]
    how = recipe.languages[1], recipe.text.lowercase
    learnt.train(training)
    scores = [metric(found, references, *how).value for metric in (metrics.bleu, metrics.chrf) if processes.leads]
    nll, bleu, chrf = processes.told((nll, *scores))  # to the bit the same for all, who decide by it
    return Validation(
        nll=nll,
        bleu=bleu,
        chrf=chrf,
        asked=len({pair.source for pair in shown}),
        outputs=len(set(found)),
        example=found[0],
    )
