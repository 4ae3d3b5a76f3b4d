"""What all tables share: rows of cells to pairs."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from ojak.corpus.beside import Beside
from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout, columns, title_rows
from ojak.corpus.pair import Pair, one_line
from ojak.errors import DataError

LOOKED_AT = 100  # rows by which languages are told apart
SAID = 40  # characters of a cell in a message

Row = tuple[int, Sequence[str]]


def pairs_of(
    rows: Iterable[Row], where: str, layout: Layout, notes: Notes, faults: Faults, beside: Beside | None = None
) -> Iterator[Pair]:
    """The pairs of numbered rows of text, the header first if there is one; `where` names the file in `place`.

    Labels and groups come from columns, or line by line from the files `beside` it.
    """
    iterator = iter(rows) if beside is None else beside.followed(rows)
    looked: list[Row] = []
    for number, cells in iterator:
        if any(cell.strip() for cell in cells):
            looked.append((number, cells))
            if len(looked) > LOOKED_AT:
                break
        else:
            notes.empty += 1
    if not looked:
        return
    full = [cells for _, cells in looked]
    if above := title_rows(full, layout):
        row = looked[above][0]
        notes.messages.append(f"{where}: the columns are named in {faults.unit} {row}; what stands above was left out")
        looked, full = looked[above:], full[above:]
    found = columns(full, layout, where)
    chosen = found.header or layout.source_column or layout.target_column
    width = len(full[0]) if chosen else max(2, found.source + 1, found.target + 1)
    if not chosen and (most := Counter(map(len, full)).most_common(1)[0][0]) > width:
        first = ", ".join(repr(cell if len(cell) <= SAID else cell[: SAID - 1] + "…") for cell in full[0])
        raise DataError(
            f"{where}, {faults.unit} {looked[0][0]}: {most} columns are there, which must be two or tell source and "
            f"target by their names, but the first row holds {first}. Name those to read, for instance "
            "data.source_column=1 data.target_column=2 (--source-column, --target-column)."
        )
    source, target, label, group = found.source, found.target, found.label, found.group
    header = found.header
    unit = faults.unit
    for number, cells in itertools.chain(looked, iterator):
        if len(cells) != width:
            if not any(cell.strip() for cell in cells):
                notes.empty += 1
            else:
                faults.add(number, _counted(len(cells), width), "" if chosen else _TWO)
            continue
        one, other = cells[source], cells[target]
        if not one.strip() and not other.strip() and not any(cell.strip() for cell in cells):
            notes.empty += 1
        elif header:
            header = False
        else:
            yield Pair(
                one_line(one),
                one_line(other),
                one_line(cells[label]).strip() if label is not None else beside.label(number) if beside else "",
                one_line(cells[group]).strip() if group is not None else beside.group(number) if beside else "",
                f"{where}, {unit} {number}",
            )


_TWO = (
    "Put one tab (or comma, in .csv) between the sentences and none within them; where there are more columns, name "
    "those to read, for instance data.source_column=1 data.target_column=2 (--source-column, --target-column)."
)


def _counted(found: int, width: int) -> str:
    columns = "1 column" if found == 1 else f"{found} columns"
    return f"{columns} instead of {width}"
