"""The model card: what a model directory says of itself."""

from __future__ import annotations

from ojak.config import Recipe, write_toml
from ojak.train.checkpoint import Progress
from ojak.train.history import clock
from ojak.train.validate import Validation


def card(recipe: Recipe, progress: Progress, found: Validation, parameters: int, pairs: int) -> str:
    """The README of a model directory."""
    source, target = (code or "?" for code in recipe.languages)
    model = recipe.model
    attention = f"{model.attention} attention" if model.attention != "none" else "one context vector"
    return f"""# {source} → {target}, {model.architecture}, {attention}

Trained by Ojak on {pairs:,} sentence pairs, {progress.update:,} updates in
{clock(progress.seconds)}, {parameters:,} parameters. The run ended after {progress.ended}.

| on the validation pairs | |
|---|---|
| perplexity, teacher-forced, a token | {found.perplexity:.2f} |
| BLEU, greedy | {found.bleu:.1f} |
| chrF, greedy | {found.chrf:.1f} |

These pairs chose the weights, so the numbers flatter; measure on others with `ojak evaluate`.

    import ojak
    translate = ojak.load("this directory")
    print(translate("…").text)

Data, licence and intended use are the trainer's to add here.

## Recipe

```toml
{write_toml(recipe)}```
"""
