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
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ojak.config import DataConfig, Recipe, merge, read_recipe
from ojak.corpus.encoder import Sides
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pack import begin, pack
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, read_pairs, stream_pairs
from ojak.corpus.split import HeldOut, choose, must_be_left
from ojak.corpus.store import Store
from ojak.corpus.write import write_pairs
from ojak.errors import ConfigError, UseError
from ojak.presets import preset
from ojak.text import Tokenizer, learn
from ojak.text.subword import MOST_SENTENCES, reservoir

EVERY = 5.0  # seconds between messages of progress

Tell = Callable[[str], None]
"""is given a message for the user"""


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


def prepare(settings: Mapping[str, Any], folder: Path, tell: Tell, settle: Callable[[Recipe], None]) -> Prepared:
    """Packs what the nested `settings` name into `folder`, over the preset for the corpus's size, or opens the packed
    corpus that they name. `settle` is given the recipe before anything is written, so that what is cut off can go on.
    Raises UseError (or its kin) for bad settings or files."""
    asked = read_recipe(settings)  # faults in the settings are told before any file is read
    if not asked.data.pairs:
        raise ConfigError("A run needs pairs to train on, but none were named; give --pairs FILE.")
    if (packed := _packed(asked.data)) is not None:
        return _opened(Store.open(packed), asked, settings)
    files = _Files(asked.data, tell)
    held = files.survey(asked.seed)
    recipe = read_recipe(preset(held.total, asked.model.architecture), settings)
    settle(recipe)
    return _pack(recipe, folder, files, held, tell)


def reopen(recipe: Recipe, folder: Path, tell: Tell, tokenizers: tuple[Tokenizer, Tokenizer] | None) -> Prepared:
    """The corpus of a recipe again: from `folder`, if it was finished and the files are as they were or gone; packed
    anew otherwise, with these tokenizers or ones learnt anew."""
    if (packed := _packed(recipe.data)) is not None:
        return _from_store(Store.open(packed), recipe)
    if (folder / "store.json").exists():
        store = Store.open(folder)
        about = store.record["about"]
        there = {path: seal for path, seal in about["files"].items() if os.path.exists(path)}
        if about["data"] == _data(recipe) and there == _seals(there):
            return _from_store(store, recipe)
    files = _Files(recipe.data, tell)
    return _pack(recipe, folder, files, files.survey(recipe.seed), tell, tokenizers, anew=True)


class _Files:
    """The files of a recipe, as streams of pairs in the direction of translation."""

    def __init__(self, data: DataConfig, tell: Tell) -> None:
        self.data, self._tell = data, tell
        self.paths = [files_of([path]) for path in data.pairs]
        self.lacking = 0
        """pairs without text on one side, in the last reading"""
        self.layout = layout(data)

    def corpora(self, notes: Notes | None = None) -> list[Iterator[Pair]]:
        """A stream for each entry of `data.pairs`."""
        self.lacking = 0
        return [self._stream(paths, notes or Notes()) for paths in self.paths]

    def survey(self, seed: int) -> HeldOut:
        """Counts the pairs, and sets some aside where no file of them is named."""
        notes = Notes()
        pairs = itertools.chain.from_iterable(self.corpora(notes))
        counted = self._timed(pairs, "read {done:,} pairs, {speed:,.0f} a second")
        if self.data.dev:
            held = HeldOut({"dev": self.dev(notes)}, set(), sum(1 for _ in counted))
            held.forget()  # what is in files of the user's own is the user's business; `ojak corpus leaks` tells
        else:
            held = choose(counted, {"dev": self.data.held_out}, seed)
        for message in dict.fromkeys(notes.messages):
            self._tell(message)
        return held

    def dev(self, notes: Notes) -> list[Pair]:
        pairs = read_pairs(self.data.dev, self.layout, notes)
        return [pair.turned() for pair in pairs] if self.data.reverse else pairs

    def training(self, held: HeldOut) -> list[Iterator[Pair]]:
        """The streams without the pairs set aside and what would leak of them."""
        held.begin()
        return [held.training(pairs) for pairs in self.corpora()]

    def seals(self) -> dict[str, list[int]]:
        """Size and time of each file."""
        names = {part for paths in self.paths for path in paths for part in _parts(path)}
        return _seals(sorted(names))

    def _stream(self, paths: list[str], notes: Notes) -> Iterator[Pair]:
        for path in paths:
            for pair in stream_pairs(path, self.layout, notes):
                if not (pair.source.strip() and pair.target.strip()):
                    self.lacking += 1
                else:
                    yield pair.turned() if self.data.reverse else pair

    def _timed(self, pairs: Iterable[Pair], message: str) -> Iterator[Pair]:
        clock = _Clock(self._tell)
        for number, pair in enumerate(pairs):
            if number % 65536 == 65535:
                clock.tell(message, number)
            yield pair


def layout(data: DataConfig) -> Layout:
    """How the files of a recipe are laid out."""
    return Layout(
        source=data.source,
        target=data.target,
        source_column=data.source_column,
        target_column=data.target_column,
        label_column=data.label_column,
        group_column=data.group_column,
        header=data.header,
        sheet=data.sheet,
        encoding=data.encoding,
    )


def _pack(
    recipe: Recipe,
    folder: Path,
    files: _Files,
    held: HeldOut,
    tell: Tell,
    tokenizers: tuple[Tokenizer, Tokenizer] | None = None,
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
    source, target = tokenizers or _learnt(recipe, files, held)
    sides.save(source, target)
    write_pairs(folder / "dev.jsonl", held.parts["dev"])
    clock = _Clock(tell)
    training = files.training(held)

    def progress(done: int, seconds: float) -> None:
        left = (held.total - done) / max(done / max(seconds, 1e-9), 1e-9)
        clock.tell("packed {done:,} of {total:,} pairs, {speed:,.0f} a second, {left} left", done, held.total, left)

    store = pack(training, folder, sides, about, progress=progress)
    must_be_left(len(store))
    return Prepared(recipe, store, held.parts["dev"], source, target, files.lacking + held.left_out)


def _learnt(recipe: Recipe, files: _Files, held: HeldOut) -> tuple[Tokenizer, Tokenizer]:
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

    most = MOST_SENTENCES // 2 if text.shared else MOST_SENTENCES
    drawn = reservoir(itertools.chain.from_iterable(files.training(held)), most, recipe.seed)
    must_be_left(drawn)
    sources, targets = [pair.source for pair in drawn], [pair.target for pair in drawn]
    del drawn
    if text.shared:
        both = of(itertools.chain(sources, targets))
        return both, both
    return of(sources), of(targets)


def _packed(data: DataConfig) -> Path | None:
    """The packed corpus that is named instead of files of pairs."""
    stores = [path for path in map(Path, data.pairs) if (path / "store.json").is_file()]
    if stores and len(data.pairs) > 1:
        raise UseError(
            f"A packed corpus is trained on alone, but {stores[0]} was named among others. Pack all together."
        )
    return stores[0] if stores else None


def _opened(store: Store, asked: Recipe, settings: Mapping[str, Any]) -> Prepared:
    """A packed corpus with the recipe for it; what it was packed with cannot be chosen again."""
    about = store.record["about"]
    was = read_recipe({"text": about["text"], "data": about["data"]})
    fixed: dict[str, Any] = {
        "text": was.text.model_dump(exclude={"sample"}),
        "data": was.data.model_dump(include={"source", "target", "reverse"}),
    }
    layers: dict[str, Any] = preset(len(store), asked.model.architecture)
    merge(layers, fixed)
    merge(layers, {"model": {"architecture": asked.model.architecture, "max_length": about["longest"] + 1}})
    recipe = read_recipe(layers, settings)
    for section, values in fixed.items():
        for key, value in values.items():
            if getattr(getattr(recipe, section), key) != value:
                raise ConfigError(
                    f"{section}.{key} is settled when a corpus is packed: {store.folder} has {value!r}, but "
                    f"{getattr(getattr(recipe, section), key)!r} was asked for. Leave it out, or pack the corpus anew."
                )
    if recipe.model.max_length <= about["longest"]:
        raise ConfigError(
            f"model.max_length must be at least {about['longest'] + 1}, with which {store.folder} was packed, but is "
            f"{recipe.model.max_length}. Raise it, or pack the corpus anew."
        )
    return _from_store(store, recipe)


def _from_store(store: Store, recipe: Recipe) -> Prepared:
    about = store.record["about"]
    text = read_recipe({"text": about["text"]}).text
    source, target = Sides(store.folder, text.kind, text.shared, int(about["longest"])).load()
    if recipe.data.dev and recipe.data.dev != tuple(about["data"]["dev"]):
        pairs = read_pairs(recipe.data.dev, layout(recipe.data))
        dev = [pair.turned() for pair in pairs] if recipe.data.reverse else pairs
    else:
        dev = read_pairs([store.folder / "dev.jsonl"])
    return Prepared(recipe, store, dev, source, target, 0)


def _data(recipe: Recipe) -> dict[str, Any]:
    """What of the settings decides which pairs are packed."""
    return recipe.data.model_dump(mode="json", exclude={"weights"})


def _parts(path: str) -> list[str]:
    return [path] if os.path.exists(path) else path.split(",")


def _seals(paths: Iterable[str]) -> dict[str, list[int]]:
    found = {path: os.stat(path) for path in paths}
    return {path: [stat.st_size, stat.st_mtime_ns] for path, stat in found.items()}


@dataclass
class _Clock:
    """Tells how far something is, now and then."""

    to: Tell
    begun: float = field(default_factory=time.monotonic)
    last: float = field(default_factory=time.monotonic)

    def tell(self, message: str, done: int, total: int = 0, left: float = 0.0) -> None:
        now = time.monotonic()
        if now - self.last < EVERY:
            return
        self.last = now
        minutes, seconds = divmod(round(left), 60)
        said = {"done": done, "total": total, "speed": done / (now - self.begun), "left": f"{minutes}:{seconds:02d}"}
        self.to(message.format_map(said))
