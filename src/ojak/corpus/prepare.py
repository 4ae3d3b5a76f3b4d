"""From settings to a corpus that is ready to train on: pairs set aside, tokenizers learnt, the rest packed.

    FOLDER/dev.jsonl    the pairs to validate on
    FOLDER/store.json   and the rest of a store (`ojak.corpus.store`)

The files are read three times, one pair after another: to count them and set pairs aside, to draw what the tokenizers
learn from, and to pack. So memory does not grow with them.
"""

from __future__ import annotations

import hashlib
import itertools
import os
import platform
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ojak.config import DataConfig, Recipe, merge, read_recipe
from ojak.corpus.encoder import Sides
from ojak.corpus.pack import begin, pack
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.corpus.sources import Clock, Files, Tell, seals
from ojak.corpus.split import HeldOut, must_be_left
from ojak.corpus.store import Store, part_file
from ojak.corpus.write import write_pairs
from ojak.errors import ConfigError, UseError
from ojak.presets import preset
from ojak.text import Tokenizer, learn
from ojak.text.grow import grow
from ojak.text.subword import MOST_SENTENCES, reservoir

READING = ("source_column", "target_column", "label_column", "group_column", "header", "sheet", "encoding")
"""settings of data that say how files are read"""


@dataclass(frozen=True)
class Prepared:
    """All that training needs of a corpus. `left_out` are pairs that lack a side or share one with a pair set aside."""

    recipe: Recipe
    store: Store
    dev: list[Pair]
    source: Tokenizer
    target: Tokenizer
    left_out: int

    @property
    def fingerprint(self) -> str:
        """Of the ids' texts and the pairs to validate on: a run is resumed on these only."""
        digest = hashlib.blake2b(str(self.store.record["fingerprint"]).encode(), digest_size=32)
        for pair in self.dev:
            digest.update(f"{pair.source}\t{pair.target}\n".encode("utf-8", "replace"))
        return digest.hexdigest()


def prepare(
    settings: Mapping[str, Any],
    folder: Path,
    tell: Tell,
    settle: Callable[[Recipe], None],
    base: Mapping[str, Any] | None = None,
    tokenizers: tuple[Tokenizer, Tokenizer] | None = None,
) -> Prepared:
    """Packs what the nested `settings` name into `folder`, over the preset for the corpus's size and over `base`, or
    opens the packed corpus that they name. `settle` is given the recipe before anything is written, so that what is cut
    off can go on. With `tokenizers` none are learnt. Raises UseError (or its kin) for bad settings or files."""
    asked = read_recipe(settings)  # faults in the settings are told before any file is read
    if not asked.data.pairs:
        raise ConfigError("A run needs pairs to train on, but none were named; give --pairs FILE.")
    if (packed := _packed(asked.data)) is not None:
        prepared = _opened(Store.open(packed), asked, settings, base or {}, tokenizers)
        settle(prepared.recipe)
        return prepared
    if asked.text.add and tokenizers is None:
        raise ConfigError("text.add is for a run that starts from a model; name one with --from, or raise text.size.")
    files = Files(asked.data, tell)
    held = files.survey(asked.seed)
    recipe = read_recipe(preset(held.total, asked.model.architecture), base or {}, settings)
    settle(recipe)
    return _pack(recipe, folder, files, held, tell, tokenizers)


def reopen(
    recipe: Recipe, folder: Path, tell: Tell, tokenizers: tuple[Tokenizer, Tokenizer] | None, grown: bool = False
) -> Prepared:
    """The corpus of a recipe again: from `folder`, if it was finished and the files are as they were or gone; packed
    anew otherwise, with these tokenizers (`grown` if they have learnt what `text.add` asks for) or ones learnt anew."""
    if (packed := _packed(recipe.data)) is not None:
        return _from_store(Store.open(packed), recipe)
    if (folder / "store.json").exists():
        store = Store.open(folder)
        about = store.record["about"]
        there = {path: seal for path, seal in about["files"].items() if os.path.exists(path)}
        if about["data"] == _data(recipe) and there == seals(there):
            return _from_store(store, recipe)
    files = Files(recipe.data, tell)
    held = files.survey(recipe.seed)
    return _pack(recipe, folder, files, held, tell, tokenizers, grown, anew=True)


def rejoin(recipe: Recipe, folder: Path) -> Prepared:
    """The corpus of a recipe as another process has made it ready. Raises UseError where it is not to be seen."""
    folder = _packed(recipe.data) or folder
    if not (folder / "store.json").is_file():
        raise UseError(
            f"All processes must see the run directory, but {folder} is not there on {platform.node()}; put it on a "
            "file system that the machines share."
        )
    return _from_store(Store.open(folder), recipe)


def _pack(
    recipe: Recipe,
    folder: Path,
    files: Files,
    held: HeldOut,
    tell: Tell,
    tokenizers: tuple[Tokenizer, Tokenizer] | None = None,
    grown: bool = False,
    anew: bool = False,
) -> Prepared:
    text = recipe.text
    about = {
        "data": _data(recipe),
        "text": text.model_dump(mode="json", exclude={"sample"}),
        "longest": recipe.model.max_length - 1,
        "seed": recipe.seed,
        "files": files.seals(),
    }
    begin(folder, about, anew)
    sides = Sides(folder, text.kind, text.shared, recipe.model.max_length - 1)
    # With the tokenizers of a packing that was cut off its parts go on; they were saved before the first of them.
    begun = part_file(folder, 0).exists()
    if begun and (tokenizers is None or (text.add and not grown)):
        source, target = sides.load()
    elif tokenizers is None:
        source, target = _learnt(recipe, files, held)
    else:
        source, target = _grown(recipe, files, held, *tokenizers) if text.add and not grown else tokenizers
    if not begun:
        sides.save(source, target)
    write_pairs(folder / "dev.jsonl", held.parts["dev"])
    clock = Clock(tell)
    training = files.training(held)

    def progress(done: int, seconds: float) -> None:
        left = (held.total - done) / max(done / max(seconds, 1e-9), 1e-9)
        clock.tell("packed {done:,} of {total:,} pairs, {speed:,.0f} a second, {left} left", done, held.total, left)

    # Weights change nothing of what is packed, but a run on the packed corpus alone has no other place to find them.
    store = pack(training, folder, sides, {**about, "weights": recipe.data.weights}, progress=progress)
    return Prepared(recipe, store, held.parts["dev"], source, target, files.notes.lacking + held.left_out)


def _learnt(recipe: Recipe, files: Files, held: HeldOut) -> tuple[Tokenizer, Tokenizer]:
    text = recipe.text

    def of(sentences: Iterable[str]) -> Tokenizer:
        return learn(
            sentences,
            text.kind,
            text.size,
            lowercase=text.lowercase,
            width=text.width,
            punctuation=text.punctuation,
            min_frequency=text.min_frequency,
            seed=recipe.seed,
        )

    sources, targets = _drawn(recipe, files, held)
    if text.shared:
        both = of(itertools.chain(sources, targets))
        return both, both
    return of(sources), of(targets)


def _grown(
    recipe: Recipe, files: Files, held: HeldOut, source: Tokenizer, target: Tokenizer
) -> tuple[Tokenizer, Tokenizer]:
    """The tokenizers of a model with what they lack for these files."""
    sources, targets = _drawn(recipe, files, held)
    add, rare = recipe.text.add, recipe.text.min_frequency
    if source is target:
        both = grow(source, itertools.chain(sources, targets), add, rare)
        return both, both
    return grow(source, sources, add, rare), grow(target, targets, add, rare)


def _drawn(recipe: Recipe, files: Files, held: HeldOut) -> tuple[list[str], list[str]]:
    """Sources and targets that tokenizers learn from."""
    most = MOST_SENTENCES // 2 if recipe.text.shared else MOST_SENTENCES
    drawn = reservoir(itertools.chain.from_iterable(files.training(held)), most, recipe.seed)
    must_be_left(drawn)
    return [pair.source for pair in drawn], [pair.target for pair in drawn]


def _packed(data: DataConfig) -> Path | None:
    """The packed corpus that is named instead of files of pairs."""
    stores = [path for path in map(Path, data.pairs) if (path / "store.json").is_file()]
    if stores and len(data.pairs) > 1:
        raise UseError(
            f"A packed corpus is trained on alone, but {stores[0]} was named among others. Pack all together."
        )
    return stores[0] if stores else None


def _opened(
    store: Store,
    asked: Recipe,
    settings: Mapping[str, Any],
    base: Mapping[str, Any],
    tokenizers: tuple[Tokenizer, Tokenizer] | None,
) -> Prepared:
    """A packed corpus with the recipe for it; what it was packed with cannot be chosen again."""
    about = store.record["about"]
    was = read_recipe({"text": about["text"], "data": about["data"]})
    # Where the pairs to validate on are in another file, how that is read may be said.
    free = set(READING) if asked.data.dev and asked.data.dev != was.data.dev else set()
    fixed: dict[str, Any] = {
        "text": was.text.model_dump(exclude={"sample"}),
        "data": was.data.model_dump(exclude={"pairs", "dev", "weights", "alignments", *free}),
    }
    layers: dict[str, Any] = preset(len(store), asked.model.architecture)
    merge(layers, fixed)
    merge(layers, {"model": {"architecture": asked.model.architecture, "max_length": about["longest"] + 1}})
    recipe = read_recipe(layers, base, settings)
    for section, values in fixed.items():
        for key, value in values.items():
            if getattr(getattr(recipe, section), key) != value:
                raise ConfigError(
                    f"{section}.{key} is settled when a corpus is packed: {store.folder} has {value!r}, but "
                    f"{getattr(getattr(recipe, section), key)!r} was asked for. Leave it out, or pack the corpus anew."
                )
    if recipe.data.weights:
        raise ConfigError(
            f"data.weights are those of the files that a corpus is packed from: {store.folder} has "
            f"{about.get('weights') or 'none'}. Leave them out, or pack the corpus with others."
        )
    if recipe.data.alignments:
        raise ConfigError(
            f"data.alignments are packed with the pairs that they belong to, which {store.folder} is already. Leave "
            "them out, or pack the corpus with them."
        )
    if recipe.model.max_length <= about["longest"]:
        raise ConfigError(
            f"model.max_length must be at least {about['longest'] + 1}, with which {store.folder} was packed, but is "
            f"{recipe.model.max_length}. Raise it, or pack the corpus anew."
        )
    prepared = _from_store(store, recipe)
    for given, packed in zip(tokenizers or (), (prepared.source, prepared.target), strict=False):
        if given.entries != packed.entries:
            raise ConfigError(
                f"A run that starts from a model needs a corpus packed with its tokenizers, but {store.folder} "
                "was packed with others. Name the files of pairs instead."
            )
    return prepared


def _from_store(store: Store, recipe: Recipe) -> Prepared:
    about = store.record["about"]
    text = read_recipe({"text": about["text"]}).text
    source, target = Sides(store.folder, text.kind, text.shared, int(about["longest"])).load()
    if recipe.data.dev and recipe.data.dev != tuple(about["data"]["dev"]):
        dev = Files(recipe.data, lambda _: None).dev()
    else:
        dev = read_pairs([store.folder / "dev.jsonl"])
    return Prepared(recipe, store, dev, source, target, 0)


def _data(recipe: Recipe) -> dict[str, Any]:
    """What of the settings decides which pairs are packed."""
    return recipe.data.model_dump(mode="json", exclude={"weights"})
