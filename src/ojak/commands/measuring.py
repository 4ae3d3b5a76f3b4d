"""What `ojak evaluate` and `ojak compare` share: from words of the command line to a report, and its ways out."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ojak import files
from ojak.commands.common import directed_pairs, located, searching
from ojak.compiled import Precision
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, read_lines, stream_pairs
from ojak.errors import UseError
from ojak.evaluate import buckets, metrics, outside, page, trained
from ojak.evaluate.measured import Report, System, measure
from ojak.evaluate.report import translated
from ojak.evaluate.resample import Chance
from ojak.translate import Maker, load

OWN = ("BLEU", "chrF2", "chrF2++", "TER", "perplexity", "bits/character")


@dataclass(frozen=True)
class Named:
    """A system of the command line. `maker` is None for a file of translations."""

    name: str
    path: Path
    maker: Maker | None


def opened(words: Sequence[str], device: str, precision: Precision, ensemble: Sequence[str] = ()) -> list[Named]:
    """The systems that words name, `PATH` or `NAME=PATH`. Raises UseError or ModelError for what is none."""
    split = [_name(word) for word in words]
    paths = [path for _, path in split]
    names = _names([name for name, _ in split], paths)
    if ensemble and paths[0].is_file():
        raise UseError(f"An ensemble is of models, but {paths[0]} is a file. Name runs.")
    return [
        Named(name, path, None if path.is_file() else load(path, device, ensemble, precision))
        for name, path in zip(names, paths, strict=True)
    ]


def measured(args: argparse.Namespace, systems: Sequence[Named], chance: Chance) -> Report:
    """Reads the pairs, lets every system speak, and measures all. Raises UseError and its kin."""
    languages = _languages(args, systems)
    given = _given(args.scores, len(systems))  # what is wrong with files is told before anything takes long
    pairs = directed_pairs(args, languages)
    spoken = [_spoken(args, system, pairs) for system in systems]
    spoken = _joined(spoken, given)
    lowercase = any(system.maker is not None and system.maker.target.lowercase for system in systems)
    notes: list[str] = []
    known = None if args.no_training else _trained(args, systems, spoken, pairs, languages, lowercase, notes)
    title = ", ".join(Path(path).name for path in args.pairs)
    return measure(pairs, spoken, languages, lowercase, chance, known, notes, title)


def tell(args: argparse.Namespace, report: Report) -> None:
    """Prints a report, and writes its page where one is asked for."""
    if args.html:
        files.write(Path(args.html), page.html(report))
    print(json.dumps(report.as_dict(), ensure_ascii=False, indent=2) if args.json else report.table())
    if args.html:
        print(args.html, file=sys.stderr)


def _name(word: str) -> tuple[str, Path]:
    name, _, path = word.partition("=")
    return (name, Path(path)) if path and not os.path.exists(word) else ("", Path(word))


def _names(given: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """A different name for each: the last part of its path, or as much of the path as tells it from others."""
    depth = 1
    while True:
        names = [name or "/".join(path.parts[-depth:]) for name, path in zip(given, paths, strict=True)]
        if len(set(names)) == len(names):
            return names
        if depth > max(len(path.parts) for path in paths):
            twice = next(name for name in names if names.count(name) > 1)
            raise UseError(f"Systems must have different names, but two are {twice}. Name them: NAME=PATH.")
        depth += 1


def _languages(args: argparse.Namespace, systems: Sequence[Named]) -> tuple[str, str]:
    """Those of the models, which must agree, or of the command line."""
    told = {system.name: system.maker.languages for system in systems if system.maker and any(system.maker.languages)}
    if len(set(told.values())) > 1:
        said = ", ".join(f"{name} {' → '.join(pair)}" for name, pair in told.items())
        raise UseError(f"Systems must translate between the same languages, but found {said}. Compare like with like.")
    source, target = next(iter(told.values()), ("", ""))
    return args.source or source, args.target or target


def _spoken(args: argparse.Namespace, system: Named, pairs: Sequence[Pair]) -> System:
    if system.maker is None:
        lines = read_lines(system.path)
        if len(lines) != len(pairs):
            raise UseError(
                f"{system.path} must hold one translation for each of the {len(pairs)} pairs, but holds {len(lines)} "
                "lines. Translate the same file."
            )
        return System(system.name, lines)
    with located(pairs):
        return translated(system.name, system.maker, pairs, searching(args, system.maker))


def _given(words: Sequence[str], systems: int) -> dict[str, list[tuple[Path, list[outside.Scores]]]]:
    """For each name the files of its scores: one for all systems, or one for each."""
    found: dict[str, list[tuple[Path, list[outside.Scores]]]] = {}
    for word in words:
        name, _, paths = word.partition("=")
        if not name or not paths or name in OWN or name in found:
            must = "NAME=FILE, with a name of its own" if paths else "NAME=FILE"
            raise UseError(f"--scores must be {must}, but is {word}. Say for instance COMET=scores.txt.")
        named = [paths] if os.path.exists(paths) else paths.split(",")
        if len(named) not in (1, systems):
            raise UseError(f"--scores {name} must name one file, or one for each of {systems} systems: {paths}.")
        found[name] = [(Path(path), outside.read_scores(Path(path), name)) for path in named]
    return found


def _joined(systems: Sequence[System], given: dict[str, list[tuple[Path, list[outside.Scores]]]]) -> list[System]:
    for name, sources in given.items():
        groups = [systems] if len(sources) == 1 else [[system] for system in systems]
        values = [
            one
            for (path, scores), group in zip(sources, groups, strict=True)
            for one in outside.matched(path, scores, [system.hypotheses for system in group])
        ]
        systems = [
            replace(system, given={**system.given, name: one}) for system, one in zip(systems, values, strict=True)
        ]
    return list(systems)


def _trained(
    args: argparse.Namespace,
    systems: Sequence[Named],
    spoken: Sequence[System],
    pairs: Sequence[Pair],
    languages: tuple[str, str],
    lowercase: bool,
    notes: list[str],
) -> trained.Trained | None:
    """What stands in the training text, the named one or that of the runs; None where there is none at hand."""
    if args.train:
        streams = [(Path(path).name, _read(args, path, languages)) for path in files_of(args.train)]
    else:
        streams = trained.corpora([system.path for system in systems if system.maker], _progress)
    if not streams:
        notes.append("no training text is at hand, so leaks were not looked for; name it with --train")
        return None
    references = [pair.target for pair in pairs]
    cut = metrics.cutter(metrics.word_cutter(languages[1], references), lowercase)
    words = buckets.words_in([*references, *(text for system in spoken for text in system.hypotheses)], cut)
    return trained.look_up(streams, pairs, words, cut)


def _read(args: argparse.Namespace, path: str, languages: tuple[str, str]) -> Iterator[Pair]:
    first, second = languages[::-1] if args.reverse else languages
    pairs = stream_pairs(path, Layout(source=first, target=second), Notes(), whole=True)
    return (pair.turned() for pair in pairs) if args.reverse else pairs


def _progress(message: str) -> None:
    print(message, file=sys.stderr, flush=True)
