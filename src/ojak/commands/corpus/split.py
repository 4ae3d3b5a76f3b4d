"""ojak corpus split"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ojak.commands.corpus.common import pairs, tell
from ojak.corpus.faults import Notes
from ojak.corpus.leaks import check_near, find_leaks
from ojak.corpus.pair import Pair
from ojak.corpus.read import stream_pairs
from ojak.corpus.split import choose, must_be_left
from ojak.corpus.write import check_ending, write_pairs
from ojak.errors import UseError


def run(args: argparse.Namespace) -> int:
    """Writes train, dev and test files into a directory, and tells what is in them and what is nearly the same."""
    sizes = {name: count for name, count in (("test", args.test), ("dev", args.dev)) if count > 0}
    if not sizes:
        raise UseError("A split must set some pairs aside; give --dev N or --test N above 0.")
    out = Path(args.out) if args.out else None
    if out is None and not args.dry_run:
        raise UseError("A split must know where to write; give --out DIR, or --dry-run to see the report only.")
    check_ending(Path(f"train{args.ending}"))
    check_near(args.near)
    paths = {name: out / f"{name}{args.ending}" for name in ("train", *sizes)} if out else {}
    there = [str(path) for path in paths.values() if path.exists()]
    if there and not args.dry_run:
        raise UseError(f"A split must not overwrite files, but {', '.join(there)} exist; choose another --out.")
    notes = Notes()
    held = choose(pairs(args, args.files, notes, whole=True), sizes, args.seed)
    tell(notes)
    labels: dict[str, Counter[str]] = {"train": Counter()}
    held.begin()
    train = held.training(pairs(args, args.files, Notes(), whole=True))

    def counted() -> Iterator[Pair]:
        for pair in train:
            labels["train"][pair.label] += 1
            yield pair
        must_be_left(labels["train"].total())  # before the file takes its place

    if args.dry_run:
        for _ in counted():
            pass
    else:
        write_pairs(paths["train"], counted())
        for name, part in held.parts.items():
            write_pairs(paths[name], part)
    for name in ("dev", "test"):
        if name in held.parts:
            labels[name] = Counter(pair.label for pair in held.parts[name])
    report: dict[str, Any] = {
        "pairs": {name: found.total() for name, found in labels.items()},
        "labels": {name: dict(found.most_common()) for name, found in labels.items()},
        "left_out": held.total - sum(found.total() for found in labels.values()),
    }
    if args.near and not args.dry_run:
        everything = [pair for part in held.parts.values() for pair in part]
        leaks = find_leaks(stream_pairs(paths["train"]), everything, args.near)
        report["near"] = {"sources": len(leaks.near_sources), "targets": len(leaks.near_targets)}
        report["near_examples"] = {name: pairs for name, pairs in leaks.examples.items() if name.startswith("near")}
    print(json.dumps(report, ensure_ascii=False, indent=2) if args.json else _table(report))
    return 0


def _table(report: dict[str, Any]) -> str:
    parts = list(report["pairs"])
    names = sorted({label for found in report["labels"].values() for label in found if label})
    rows = [("pairs", [report["pairs"][part] for part in parts])]
    rows += [(label, [report["labels"][part].get(label, 0) for part in parts]) for label in names]
    lines = [f"{'':24}{''.join(f'{part:>12}' for part in parts)}"]
    lines += [f"{name[:24]:24}{''.join(f'{count:>12,}' for count in counts)}" for name, counts in rows]
    lines.append(f"left out, because a side of them is held out or said twice there: {report['left_out']:,}")
    if "near" in report:
        near = report["near"]
        lines.append(f"held out and nearly the same in train: {near['sources']:,} sources, {near['targets']:,} targets")
        for examples in report["near_examples"].values():
            lines += [f"    {one} | {other}" for one, other in examples]
    return "\n".join(lines)
