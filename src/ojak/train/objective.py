"""What is learnt from a batch: the loss of the translation, and what else was asked for beside it.

Every part is a sum over the target tokens of the batch, so that `update` divides once by the tokens of all batches.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from ojak.batch import Batch
from ojak.config import Recipe, TrainConfig
from ojak.errors import ConfigError
from ojak.model.build import build
from ojak.model.seam import Seq2Seq
from ojak.train.frozen import freeze
from ojak.train.loss import Loss, cross_entropy
from ojak.train.rdrop import agreeing_cross_entropy, twice
from ojak.train.sampled import share, with_own_words


@dataclass(frozen=True)
class Objective:
    """What a run learns. `view` is the attention view that learns from word alignments, where batches have any, and
    `own_words` the share of previous words that are the model's own."""

    config: TrainConfig
    view: str = ""
    own_words: float = 0.0

    @classmethod
    def of_run(cls, recipe: Recipe, aligned: bool) -> Objective:
        """What the recipe says, on data that are `aligned` or not."""
        return cls(recipe.train, alignment_view(recipe) if aligned else "")

    def at(self, update: int) -> Objective:
        """What it is in update 1, 2, …"""
        return replace(self, own_words=share(update, self.config)) if self.config.sampled_words else self

    def of(self, model: Seq2Seq, batch: Batch) -> Loss:
        """The loss of a batch, with its gradient."""
        config = self.config
        if self.own_words:
            batch = replace(batch, target_in=with_own_words(model, batch, self.own_words))
        if config.r_drop:
            batch = twice(batch)
        aligned = batch.links is not None and bool(self.view)
        decoded = model(batch.source, batch.target_in, self.view if aligned else False)
        if config.r_drop:
            found = agreeing_cross_entropy(
                model, decoded.states, batch.target_out, config.label_smoothing, config.r_drop
            )
        else:
            found = cross_entropy(model, decoded.states, batch.target_out, config.label_smoothing)
        if not aligned:
            return found
        assert batch.links is not None and decoded.attention is not None
        wrong = misalignment(decoded.attention.squeeze(2), batch.links, config.alignment_step)
        passes = 2 if config.r_drop else 1
        return Loss(found.smoothed + config.alignment_weight / passes * wrong, found.plain)


def misalignment(attention: Tensor, links: Tensor, step: str) -> Tensor:
    """The cross entropy of attention weights (B,T,S) against word alignments `links` (B,T,S), in nats, summed over the
    target tokens that are linked (Garg 2019, equation 4).

    What a token is linked to shares the probability evenly. `step` says whose weights are compared: those of the step
    that has the token as its output, or those of the next one, which has it as its input and so has seen it.
    """
    if step == "input":
        attention, links = attention[:, 1:], links[:, :-1]
    weights = attention if attention.dtype == torch.float64 else attention.float()
    shares = links.to(weights.dtype) / links.sum(2, keepdim=True).clamp(min=1)
    return -(shares * weights.clamp(min=torch.finfo(weights.dtype).tiny).log()).sum()


def check(recipe: Recipe, linked: bool = False) -> None:
    """Raises ConfigError where the recipe's model lacks what it is to learn, or to leave alone. `linked` says that the
    pairs, packed before, carry word alignments."""
    with torch.device("meta"):
        freeze(build(recipe.model, 8, 8, recipe.text.shared), recipe.train.freeze)
    if (recipe.data.alignments or linked) and recipe.train.alignment_weight:
        alignment_view(recipe)


def alignment_view(recipe: Recipe) -> str:
    """The view that learns from word alignments. Raises ConfigError where the model has no such view."""
    with torch.device("meta"):
        views = build(recipe.model, 8, 8).views
    named = recipe.train.alignment_view
    if not views:
        raise ConfigError(
            "Word alignments teach attention, but this model has none: choose model.attention, or leave them out "
            "with train.alignment_weight=0."
        )
    if named and named not in views:
        raise ConfigError(f"train.alignment_view must be one of {', '.join(views)}, but is {named!r}.")
    if named:
        return named
    if recipe.model.architecture == "recurrent":
        return views[0]
    return f"layer{max(0, recipe.model.decoder_layers - 2)}.head0"
