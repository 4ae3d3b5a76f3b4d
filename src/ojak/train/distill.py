"""Sequence-level distillation (Kim and Rush 2016): pairs whose targets a trained model wrote, for a smaller one.

Its translations are more regular than those of people, so that a small model, or a greedy search, learns them better.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from ojak import files
from ojak.config import SearchConfig
from ojak.corpus.pair import Pair, chunks
from ojak.corpus.write import check_ending, write_pairs
from ojak.errors import UseError
from ojak.evaluate import counts, metrics
from ojak.result import Translation
from ojak.translate import Maker

PIECE = 2048
"""pairs that are translated and kept together: what a killed process may have to do again"""


@dataclass
class Report:
    """What was distilled."""

    pairs: int = 0
    """that were read"""
    translated: int = 0
    """of these, those translated now; the others had been before the process was broken off"""
    empty: int = 0
    """those that the teacher said nothing for, which are left out"""
    written: int = 0


def distill(
    teacher: Maker,
    pairs: Iterable[Pair],
    out: Path,
    search: SearchConfig,
    closest: str = "",
    originals: bool = False,
    of: Sequence[Path] = (),
    tell: Callable[[Report], None] = lambda report: None,
) -> Report:
    """Writes pairs of each source and what the teacher makes of it to `out`, whose ending tells the format.

    `closest`, bleu or chrf, takes of the `search.n_best` hypotheses the one that is most like the target by that score
    of a sentence (the interpolation of Kim and Rush 2016, 3.3). With `originals` each pair stands before its distilled
    one. Labels and groups stay. Pieces of the work are kept in a folder beside `out` until all is done, each under a
    name that is made from all that it depends on, the files `of` the teacher among it: a process that was killed goes
    on after the last whole piece, and a piece of other pairs, settings or weights is not taken for it. `tell` is called
    after each piece.

    Raises UseError when `out` is there already, has no known ending, or `closest` has nothing to choose from;
    StorageError when the disk is full.
    """
    check_ending(out)
    if out.exists():
        raise UseError(f"The file to write must be new, but {out} is there; choose another.")
    if closest and search.n_best < 2:
        raise UseError(
            f"closest={closest} chooses among the n best translations, but n_best is {search.n_best}; set it above 1."
        )
    kept, report = out.with_name(f"{out.name}.pieces"), Report()
    basis = _sum(json.dumps([search.model_dump(), closest, _weights(of)]).encode())

    def distilled() -> Iterator[Pair]:
        for piece in chunks(pairs, PIECE):
            for pair, text in zip(piece, _targets(piece, teacher, search, closest, kept, basis, report), strict=True):
                if originals:
                    yield pair
                if text:
                    yield replace(pair, target=text)
                else:
                    report.empty += 1
            tell(report)

    report.written = write_pairs(out, distilled())
    shutil.rmtree(kept, ignore_errors=True)
    return report


def _targets(
    piece: Sequence[Pair], teacher: Maker, search: SearchConfig, closest: str, kept: Path, basis: str, report: Report
) -> list[str]:
    """The teacher's translations of a piece, from where they are kept if it is done already."""
    report.pairs += len(piece)
    texts = [[pair.source, pair.target] if closest else [pair.source] for pair in piece]
    path = kept / f"{_sum(json.dumps([basis, texts]).encode())}.json"
    if path.is_file():
        said: list[str] = json.loads(path.read_text(encoding="utf-8"))
        return said
    found = teacher.translate([pair.source for pair in piece], search)
    references = [pair.target for pair in piece]
    said = _closest(found, references, closest, teacher.languages[1]) if closest else [one.text for one in found]
    files.write(path, json.dumps(said, ensure_ascii=False))
    report.translated += len(piece)
    return said


def _closest(found: Sequence[Translation], references: Sequence[str], closest: str, language: str) -> list[str]:
    """Of each translation's hypotheses the one most like its reference; of equals the likeliest."""
    measure = _measure(closest, references, language)
    texts = [[one.text, *(other.text for other in one.alternatives)] for one in found]
    flat = [text for several in texts for text in several]
    beside = [reference for several, reference in zip(texts, references, strict=True) for _ in several]
    scores = iter(counts.counted(measure, flat, beside).sentences())
    chosen = []
    for several in texts:
        its = [next(scores) for _ in several]
        chosen.append(several[its.index(max(its))])
    return chosen


def _measure(closest: str, references: Sequence[str], language: str) -> metrics.Measure:
    names = {"bleu": "BLEU", "chrf": "chrF2"}
    return next(one for one in metrics.measures(references, language) if one.name == names[closest])


def _weights(of: Sequence[Path]) -> list[str]:
    """A sum of every file of the teacher."""
    every = [path for place in of for path in sorted(place.rglob("*")) if path.is_file()]
    found = []
    for path in every:
        with path.open("rb") as file:
            found.append(hashlib.file_digest(file, "sha256").hexdigest())
    return found


def _sum(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
