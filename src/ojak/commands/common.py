"""What several verbs share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from ojak.config import SearchConfig, merge, read_recipe
from ojak.corpus import scripts
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_pairs
from ojak.errors import UseError
from ojak.translate import Maker, TooLong


def searching(args: argparse.Namespace, translator: Maker) -> SearchConfig:
    """The model's search settings with those of the command line over them. Raises ConfigError for wrong values.

    Where the size of the beam is not said it is one that the others go with: 1 for sampling, else as many as are
    wanted.
    """
    asked = {key: value for key in SearchConfig.model_fields if (value := getattr(args, key, None)) is not None}
    if "beam" not in asked:
        wanted = max(asked.get("n_best", 1), asked.get("mbr", 1))
        asked["beam"] = 1 if asked.get("sampling") else max(translator.search.beam, wanted)
    settings = translator.search.model_dump()
    merge(settings, asked)
    return read_recipe({"search": settings}).search


@contextmanager
def located(pairs: Sequence[Pair]) -> Iterator[None]:
    """Names the file and line of a pair that is too long for the model."""
    try:
        yield
    except TooLong as error:
        raise UseError(f"{pairs[error.place].place}: {error}") from None


def turned_pairs(args: argparse.Namespace, translator: Maker, columns: tuple[str, str] = ("", "")) -> list[Pair]:
    """The pairs of `args.pairs` in the direction of the translator."""
    return directed_pairs(args, translator.languages, columns)


def directed_pairs(
    args: argparse.Namespace, languages: tuple[str, str], columns: tuple[str, str] = ("", "")
) -> list[Pair]:
    """The pairs of `args.pairs` from the first language into the second: files that tell their languages are turned by
    them, others are as they are, or have the target first if `args.reverse`. `columns` names the first and the second
    side, by name or number, where they are not to be recognised."""
    first, second = languages[::-1] if args.reverse else languages
    notes = Notes()
    pairs = read_pairs(args.pairs, Layout(first, second, *columns), notes)
    for message in dict.fromkeys(notes.messages):
        print(f"note: {message}", file=sys.stderr)
    pairs = [pair.turned() for pair in pairs] if args.reverse else pairs
    if _look_turned(pairs, languages):
        print(
            f"note: sources are written as {languages[1]} is and targets as {languages[0]}, but the direction is from "
            f"{languages[0]} to {languages[1]}; {'leave --reverse out' if args.reverse else 'add --reverse'}, if so",
            file=sys.stderr,
        )
    return pairs


def _look_turned(pairs: Sequence[Pair], languages: tuple[str, str]) -> bool:
    """Whether each side is in the script of the other's language, which no model is meant for."""
    first, second = (scripts.expected(language) for language in languages)
    if not (first and second and first.isdisjoint(second)):
        return False
    some = pairs[: scripts.LOOKED_AT]
    sources, targets = (" ".join(texts) for texts in zip(*((pair.source, pair.target) for pair in some), strict=True))
    return scripts.share(sources, second) > scripts.MOST and scripts.share(targets, first) > scripts.MOST
