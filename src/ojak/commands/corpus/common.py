"""What the verbs for corpora share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from itertools import chain

from ojak.corpus.clean import FILTERS, OFF, Rules
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, stream_pairs
from ojak.errors import UseError


def pairs(args: argparse.Namespace, files: Sequence[str], notes: Notes, whole: bool = False) -> Iterator[Pair]:
    """The pairs of the files as they are read, those that lack a side too unless they must be `whole`."""
    how = Layout.of(args)
    return chain.from_iterable(stream_pairs(file, how, notes, whole) for file in files_of(files))


def rules(args: argparse.Namespace) -> Rules:
    """The filters that a command line asks for."""
    unknown = sorted({*args.also, *args.without} - FILTERS.keys())
    if unknown:
        raise UseError(f"A filter is one of {', '.join(FILTERS)}, but found {', '.join(unknown)}. Name these.")
    on = (FILTERS.keys() - OFF | set(args.also)) - set(args.without)
    return Rules(args.source, args.target, args.longest, args.ratio, args.script, frozenset(on))


def tell(notes: Notes) -> None:
    """Prints what was noted in reading."""
    if notes.lacking:
        notes.messages.append(f"{notes.lacking:,} pairs lack a side and were left out")
    for message in dict.fromkeys(notes.messages):
        print(f"note: {message}", file=sys.stderr)
