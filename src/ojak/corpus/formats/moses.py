"""Two files that go line by line, as Moses had them."""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path

from ojak.corpus import drift
from ojak.corpus.beside import Beside
from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.table import Row, pairs_of
from ojak.corpus.layout import Layout
from ojak.corpus.lines import text_lines
from ojak.corpus.pair import Pair
from ojak.corpus.unpack import unpacked_name
from ojak.errors import DataError


def read_two(source: Path, target: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """The pairs of two files. Labels and groups come from files beside them: `talk.labels` for `talk.en,talk.ko`.

    Raises DataError at the end where one has more lines, with the likely place where they stopped matching, and
    notes places where the lengths of equally long files say that lines have slipped.
    """
    name = f"{source},{target}"
    plain = Layout(header="no", encoding=layout.encoding)
    both = Faults(str(source)), Faults(str(target))
    counts, watch = [0, 0], drift.Watch()

    def rows() -> Iterator[Row]:
        sides = [text_lines(path, plain, notes, of_side) for path, of_side in zip((source, target), both, strict=True)]
        for number, cells in enumerate(zip_longest(*sides), 1):
            one, other = cells
            if one is None or other is None:  # one file has ended; the other is counted to its end
                counts[int(one is None)] = number
                continue
            counts[:] = number, number
            watch.add(len(one.strip()), len(other.strip()))
            yield number, [line.replace("\t", " ") for line in cells]
        for of_side in both:
            of_side.must = "hold text"
            of_side.report()
        if counts[0] != counts[1]:
            place = drift.first_slip(*(_lengths(path, plain) for path in (source, target)))
            raise DataError(
                f"Two files that go line by line must have the same count of lines, but {source} has "
                f"{counts[0]} and {target} has {counts[1]}. By their lengths they stop matching near line "
                f"{place}: look there for a line that was lost or broken in two."
            )

    yield from pairs_of(rows(), name, plain, notes, faults, _beside(source, target))
    for slip in watch.slips():
        notes.messages.append(
            f"{name}: lines {slip.first} to {slip.last} look as if the sides had slipped by {abs(slip.by)} "
            f"({'target' if slip.by > 0 else 'source'} ahead): lengths agree better that way. Look at them."
        )


def _lengths(path: Path, layout: Layout) -> array[int]:
    return array("I", (len(line.strip()) for line in text_lines(path, layout, Notes(), Faults(str(path)))))


def _beside(source: Path, target: Path) -> Beside | None:
    stem, other = (unpacked_name(path).with_suffix("") for path in (source, target))
    return Beside.of(stem.with_name(stem.name + ".txt")) if stem == other else None
