"""ojak distill"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from ojak.commands.common import searching
from ojak.commands.corpus.common import tell
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, stream_pairs
from ojak.model import folder
from ojak.train.distill import Report, distill
from ojak.translate import load


def run(args: argparse.Namespace) -> int:
    """Translates the source sides of files of pairs, and writes pairs of sources and translations."""
    teacher = load(args.run, args.device, args.ensemble)
    if args.closest and args.n_best is None and not args.sampling:
        args.n_best = args.beam or teacher.search.beam
    search = searching(args, teacher)
    notes = Notes()
    first, second = teacher.languages[::-1] if args.reverse else teacher.languages

    def pairs() -> Iterator[Pair]:
        for file in files_of(args.pairs):
            for pair in stream_pairs(file, Layout(first, second), notes, whole=True):
                yield pair.turned() if args.reverse else pair

    def progress(report: Report) -> None:
        print(f"{report.pairs:,} pairs done", file=sys.stderr)

    of = [folder.model_folder(Path(path)) for path in (args.run, *args.ensemble)]
    report = distill(
        teacher, pairs(), Path(args.out), search, args.closest or "", args.with_originals, of=of, tell=progress
    )
    tell(notes)
    before = report.pairs - report.translated
    print(f"{args.out}: {report.written:,} pairs, made of {report.pairs:,}.")
    if before:
        print(f"{before:,} had been translated before this was broken off.")
    if report.empty:
        print(f"{report.empty:,} are left out, for which the teacher said nothing.")
    return 0
