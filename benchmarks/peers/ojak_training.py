"""Ojak's own update.

python ojak_training.py [--seconds 20] [key=value …]
"""

from __future__ import annotations

import argparse
from typing import Any

import torch
import work

from ojak.batch import collate
from ojak.config import read_overrides, read_recipe
from ojak.model.build import build
from ojak.train import memory
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update


def learner(settings: Any, device: str = "cpu") -> tuple[work.Learn, Working]:
    """What learns from a batch by a recipe of these settings and gives its target tokens; and the models it works with,
    to be closed in the end."""
    memory.keep_few_products()  # as every training does
    recipe, place = read_recipe(settings), torch.device(device)
    torch.manual_seed(1)
    model = build(recipe.model, work.VOCABULARY, work.VOCABULARY, shared=True).to(place).train()
    optimizer, working = make_optimizer(model, recipe.train), Working(model, recipe.train)

    def learn(batch: work.Sentences) -> int:
        ready = collate([source for source, _ in batch], [target for _, target in batch], place)
        return update(working, [ready], optimizer, 1e-4, recipe.train).tokens

    return learn, working


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("settings", nargs="*")
    asked = options.parse_args()
    learn, working = learner(read_overrides(asked.settings))
    work.measure(learn, asked.seconds)
    working.close()


if __name__ == "__main__":
    main()
