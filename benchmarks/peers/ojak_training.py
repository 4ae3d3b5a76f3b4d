"""Ojak's own update.

python ojak_training.py [--seconds 20] [key=value …]
"""

from __future__ import annotations

import argparse

import torch
import work

from ojak.batch import collate
from ojak.config import read_overrides, read_recipe
from ojak.model.build import build
from ojak.train.precision import Working
from ojak.train.update import make_optimizer, update


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--seconds", type=float, default=20)
    options.add_argument("settings", nargs="*")
    asked = options.parse_args()
    recipe = read_recipe(read_overrides(asked.settings))
    torch.manual_seed(1)
    model = build(recipe.model, work.VOCABULARY, work.VOCABULARY, shared=True).train()
    optimizer, working = make_optimizer(model, recipe.train), Working(model, recipe.train)

    def learn(batch: work.Sentences) -> int:
        ready = collate([source for source, _ in batch], [target for _, target in batch], torch.device("cpu"))
        return update(working, [ready], optimizer, 1e-4, recipe.train).tokens

    work.measure(learn, asked.seconds)
    working.close()


if __name__ == "__main__":
    main()
