"""Pairs to files that `read_pairs` takes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ojak import files
from ojak.corpus.pair import Pair


def write_pairs(path: Path, pairs: Sequence[Pair]) -> None:
    """Writes `source TAB target` lines to `path` (.tsv), and the labels beside it (.labels) if there are any."""
    files.write(path, "".join(f"{pair.source}\t{pair.target}\n" for pair in pairs))
    if any(pair.label for pair in pairs):
        files.write(path.with_suffix(".labels"), "".join(f"{pair.label}\n" for pair in pairs))
