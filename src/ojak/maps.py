"""What a look inside gives: a Map of one view, or the Heads of all layers. numpy only, no torch."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from ojak.result import Translation

Values = npt.NDArray[np.float32]

Unit = Literal["share", "nats"]


@dataclass(frozen=True)
class Map:
    """How much each column had to do with each row, by one view.

    `values` (R,C) are shares of what was read, where each row sums to 1, or differences of a log-probability (natural
    logarithm, so in nats), which may be negative: `unit` says which. The R `rows` are target tokens, or in a map of the
    encoder source tokens; the C `columns` are what they are set against. `name` is the view in words, `view` its word
    on the command line. `notes` are lines for the reader, such as how well other views agree; `beside` has a short one
    for each row, or nothing.
    """

    view: str
    name: str
    unit: Unit
    values: Values = field(repr=False, compare=False)
    rows: tuple[str, ...]
    columns: tuple[str, ...]
    translation: Translation = field(repr=False)
    notes: tuple[str, ...] = ()
    beside: tuple[str, ...] = ()

    def _repr_html_(self) -> str:
        """How a notebook draws it."""
        from ojak.look.figures import notebook  # drawn only when a notebook asks

        return notebook(self)

    def as_dict(self) -> dict[str, Any]:
        """The same as plain lists, numbers and strings, for JSON."""
        return {
            "view": self.view,
            "name": self.name,
            "unit": self.unit,
            "source": self.translation.source,
            "text": self.translation.text,
            "rows": list(self.rows),
            "columns": list(self.columns),
            "values": self.values.tolist(),
            "notes": list(self.notes),
            "beside": list(self.beside),
        }


@dataclass(frozen=True)
class Heads:
    """The attention of all heads of all layers while one sentence was translated.

    `encoder` (L,H,S,S) and `decoder` (L,H,T,T) are self-attention, `cross` (L,H,T,S) is that over the source; each is
    empty (L = 0) where the architecture has none. The decoder's columns are `before`, what it reads for each of the T
    tokens: the beginning of the sentence and the tokens so far.
    """

    translation: Translation
    encoder: Values = field(repr=False, compare=False)
    cross: Values = field(repr=False, compare=False)
    decoder: Values = field(repr=False, compare=False)
    before: tuple[str, ...]
