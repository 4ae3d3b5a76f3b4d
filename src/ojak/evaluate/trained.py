"""What a run was trained on, where that is still at hand: whether test pairs leaked into it, and its words."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from ojak.config import Recipe, read_recipe, read_toml
from ojak.corpus.encoder import Sides
from ojak.corpus.leaks import Leaks, find_leaks
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.corpus.sources import Clock, Files, Tell
from ojak.corpus.split import HeldOut
from ojak.corpus.store import Store
from ojak.errors import OjakError

TARGET = 1


@dataclass
class Trained:
    """What of a test set stands in training text, and how often its words do."""

    names: list[str] = field(default_factory=list)
    """the runs whose text it is, or files"""
    leaks: Leaks = field(default_factory=Leaks)
    words: Counter[str] = field(default_factory=Counter)
    """how often each word asked for stands in the targets"""

    def as_dict(self) -> dict[str, Any]:
        """For JSON; `examples` are of leaks."""
        return {"of": self.names, **self.leaks.as_dict()}


def look_up(
    streams: Iterable[tuple[str, Iterator[Pair]]],
    held: Sequence[Pair],
    words: Collection[str],
    cut: Callable[[str], str],
) -> Trained:
    """Goes once through training pairs, in the direction of the held-out ones, for the sentences of these and for
    words; `cut` cuts targets into words. Exact repeats are looked for, after `corpus.split.fold`; `ojak corpus leaks`
    tells of near ones."""
    found = Trained()

    def counted(pairs: Iterator[Pair]) -> Iterator[Pair]:
        for pair in pairs:
            found.words.update(word for word in cut(pair.target).split() if word in words)
            yield pair

    every = []
    for name, pairs in streams:
        found.names.append(name)
        every.append(counted(pairs))
    found.leaks = find_leaks(chain.from_iterable(every), held, near=0)
    return found


def corpora(runs: Sequence[Path], tell: Tell) -> list[tuple[str, Iterator[Pair]]]:
    """The training text of runs where it is at hand, by their names; that of several runs once."""
    found: dict[str, tuple[str, Iterator[Pair]]] = {}
    for run in map(run_folder, runs):
        recipe = _recipe(run)
        if recipe and (key := recipe.model_dump_json(include={"data", "seed"}) + recipe.train.start) not in found:
            pairs = training_pairs(run, tell)
            if pairs is not None:
                found[key] = (run.name, pairs)
    return list(found.values())


def training_pairs(run: Path, tell: Tell) -> Iterator[Pair] | None:
    """The pairs that a run was trained on, in its direction; those held out of them are not among these.

    They come from the files that the recipe names, or else from the packed corpus in the run, as its tokenizers write
    it. A run that began with another one has that one's pairs too. None where neither is there, or the run is none.
    """
    recipe = _recipe(run)
    if recipe is None:
        return None
    pairs = _from_files(run, recipe, tell) or _packed(run / "data", tell)
    if pairs is None:
        return None
    start = Path(recipe.train.start) if recipe.train.start else None
    before = training_pairs(run_folder(start), tell) if start and start.resolve() != run.resolve() else None
    return chain(before, pairs) if before else pairs


def run_folder(path: Path) -> Path:
    """The run that a path means: itself, or the one whose `model` it is."""
    return path.parent if path.name == "model" and not (path / "recipe.toml").exists() else path


def _recipe(run: Path) -> Recipe | None:
    """What a recipe says of its data; a run of another version may have keys elsewhere that are unknown here."""
    if not (run / "recipe.toml").is_file():
        return None
    try:
        told = read_toml(run / "recipe.toml")
        start = told.get("train", {}).get("start", "")
        return read_recipe({"data": told.get("data", {}), "seed": told.get("seed", 1), "train": {"start": start}})
    except (OjakError, AttributeError):
        return None


def _from_files(run: Path, recipe: Recipe, tell: Tell) -> Iterator[Pair] | None:
    if len(recipe.data.pairs) == 1 and (Path(recipe.data.pairs[0]) / "store.json").is_file():
        return _packed(Path(recipe.data.pairs[0]), tell)
    try:
        files = Files(recipe.data, tell)
        missing = [part for paths in files.paths for path in paths for part in path.split(",")]
        if not all(Path(part).exists() for part in missing):
            return None
        chosen = run / "data" / "dev.jsonl"
        if recipe.data.dev:
            return _timed(chain.from_iterable(files.corpora()), tell)
        held = HeldOut({"dev": read_pairs([chosen])}, set(), 0) if chosen.exists() else files.survey(recipe.seed)
    except OjakError:
        return None
    return _timed(chain.from_iterable(files.training(held)), tell)


def _packed(folder: Path, tell: Tell) -> Iterator[Pair] | None:
    try:
        store = Store.open(folder)
        about = store.record["about"]
        text = read_recipe({"text": about["text"]}).text
        tokenizers = Sides(folder, text.kind, text.shared, int(about["longest"])).load()
    except (OjakError, KeyError, TypeError, ValueError, json.JSONDecodeError):
        return None

    def pairs() -> Iterator[Pair]:
        for chunk in range(len(store.chunks)):
            rows = store.rows([chunk])
            every = np.arange(store.pairs_of(chunk))
            sides = [rows.take(side, every) for side in (0, TARGET)]
            for source, target in zip(*sides, strict=True):
                yield Pair(tokenizers[0].decode(source.tolist()), tokenizers[1].decode(target.tolist()))

    return _timed(pairs(), tell)


def _timed(pairs: Iterable[Pair], tell: Tell) -> Iterator[Pair]:
    clock = Clock(tell)
    for number, pair in enumerate(pairs):
        if number % 8192 == 8191:
            clock.tell("looked at {done:,} training pairs, {speed:,.0f} a second", number)
        yield pair
