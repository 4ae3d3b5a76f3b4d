"""ojak translate"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

from ojak.commands.common import searching
from ojak.corpus.read import read_lines
from ojak.errors import DataError, UseError
from ojak.result import Translation
from ojak.translate import TooLong, Translator

CHUNK = 512
"""lines translated together from a file; at a terminal or a pipe that waits, each line as it comes"""


def run(args: argparse.Namespace) -> int:
    """Translates a file or standard input, one line out for each line in."""
    if args.attention and not args.json:
        raise UseError("Attention is told as JSON, so --attention needs --json; or use `ojak look` to see it.")
    translator = Translator.load(args.run, args.device)
    search = searching(args, translator)
    lines: Iterable[str] = read_lines(Path(args.file)) if args.file else _standard_input()
    size = 1 if not args.file and sys.stdin.isatty() else CHUNK
    first = 1
    for chunk in _chunks(lines, size):
        try:
            found = translator.translate(chunk, search, args.attention)
        except TooLong as error:
            raise UseError(f"{args.file or 'standard input'}, line {first + error.place}: {error}") from None
        for number, translation in enumerate(found, first):
            _print(translation, number, args)
        sys.stdout.flush()
        first += len(chunk)
    return 0


def _print(translation: Translation, number: int, args: argparse.Namespace) -> None:
    if args.json:
        print(json.dumps(translation.as_dict(), ensure_ascii=False))
    elif args.n_best:
        print(f"{number}\t{translation.score:.4f}\t{translation.text}")
        for other in translation.alternatives:
            print(f"{number}\t{other.score:.4f}\t{other.text}")
    else:
        print(translation.text)


def _standard_input() -> Iterator[str]:
    """Lines of UTF-8, cut at line feeds only. Raises DataError that names a line that is not UTF-8."""
    for number, line in enumerate(sys.stdin.buffer, 1):
        try:
            yield line.decode("utf-8").removesuffix("\n").removesuffix("\r")
        except UnicodeDecodeError as error:
            raise DataError(f"Text must be UTF-8, but line {number} of standard input is not: {error}.") from None


def _chunks(lines: Iterable[str], size: int) -> Iterator[list[str]]:
    iterator = iter(lines)
    while chunk := list(itertools.islice(iterator, size)):
        yield chunk
