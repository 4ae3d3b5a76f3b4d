"""ojak translate"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ojak.commands.common import searching
from ojak.config import SearchConfig
from ojak.corpus.read import read_lines
from ojak.errors import DataError, UseError
from ojak.result import Translation
from ojak.translate import Glossary, Translator, load

CHUNK = 512
"""lines translated together at most; from a pipe those that have come, so that one who waits gets an answer"""

NO_STREAM = ("json", "warnings", "n_best", "mbr", "constraints", "glossary", "banned")


def run(args: argparse.Namespace) -> int:
    """Translates a file or standard input, one line out for each line in."""
    if args.attention and not args.json:
        raise UseError("Attention is told as JSON, so --attention needs --json; or use `ojak look` to see it.")
    if args.stream and any(getattr(args, name) for name in NO_STREAM):
        *others, last = (f"--{name.replace('_', '-')}" for name in NO_STREAM)
        raise UseError(
            f"A stream is the plain text of one translation, so --stream goes with none of {', '.join(others)} and "
            f"{last}."
        )
    maker = load(args.run, args.device, args.ensemble, args.precision, args.workers)
    search = searching(args, maker)
    glossary = Glossary.read(args.glossary) if args.glossary else None
    prefixes = list(read_lines(Path(args.prefixes))) if args.prefixes else None
    terms = [line.split("\t") for line in read_lines(Path(args.constraints))] if args.constraints else None
    first = 1
    for chunk in _chunks(read_lines(Path(args.file))) if args.file else _standard_input():
        begin, end = first - 1, first - 1 + len(chunk)
        for name, lines in ((args.prefixes, prefixes), (args.constraints, terms)):
            if lines is not None and len(lines) < end:
                raise UseError(f"{name} must have a line for each line of text, but ends with line {len(lines)}.")
        if args.stream:
            if not isinstance(maker, Translator):
                raise UseError("Streaming needs a run or a model directory, but this one is exported.")
            for number, text in enumerate(chunk, begin):
                _stream(maker, text, prefixes[number] if prefixes else "", search)
        else:
            found = maker.translate(
                chunk,
                search,
                args.attention,
                prefixes=prefixes[begin:end] if prefixes else None,
                constraints=terms[begin:end] if terms else None,
                glossary=glossary,
                banned=args.banned,
            )
            for number, translation in enumerate(found, first):
                _print(translation, number, args)
        sys.stdout.flush()
        first += len(chunk)
    for name, lines in ((args.prefixes, prefixes), (args.constraints, terms)):
        if lines is not None and len(lines) >= first:
            print(f"note: {name} has {len(lines)} lines, but the text only {first - 1}.", file=sys.stderr)
    return 0


def _stream(translator: Translator, text: str, prefix: str, search: SearchConfig) -> None:
    for token in translator.stream(text, search, attention=False, prefix=prefix):
        print(token.text, end="", flush=True)
    print(flush=True)


def _print(translation: Translation, number: int, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(translation.as_dict(), ensure_ascii=False))
    elif args.n_best:
        print(f"{number}\t{translation.score:.4f}\t{translation.text}")
        for other in translation.alternatives:
            print(f"{number}\t{other.score:.4f}\t{other.text}")
    else:
        print(translation.text)
    if args.warnings:
        for warning in translation.warnings:
            print(f"line {number}: {warning}", file=sys.stderr)


def _standard_input() -> Iterator[list[str]]:
    """The lines that have come, then those that come next. Cut at line feeds only; UTF-8, a byte-order mark goes.

    Raises DataError that names a line that is not UTF-8.
    """
    number, left = 0, b""
    while data := os.read(sys.stdin.fileno(), 65536):
        *lines, left = (left + data).split(b"\n")
        yield from _chunks(_decoded(lines, number))
        number += len(lines)
    if left:
        yield list(_decoded([left], number))


def _decoded(lines: list[bytes], before: int) -> Iterator[str]:
    for number, line in enumerate(lines, before + 1):
        try:
            text = line.decode("utf-8-sig" if number == 1 else "utf-8")
        except UnicodeDecodeError as error:
            raise DataError(f"Text must be UTF-8, but line {number} of standard input is not: {error}.") from None
        yield text.removesuffix("\r")


def _chunks(lines: Iterable[str]) -> Iterator[list[str]]:
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, CHUNK)):
        yield chunk
