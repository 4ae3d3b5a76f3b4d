"""Figures of attention: for a terminal, as SVG, PNG or HTML, in a notebook. numpy only, no torch.

Each takes a Map; or a Translation whose attention `(T, K, S)` was recorded and the name of a view, or "mean". Each
raises UseError where there is none to draw. `heads` is a page of its own, over all heads at a glance.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ojak import files
from ojak.errors import UseError
from ojak.look.heads import heads
from ojak.look.page import html, notebook
from ojak.look.png import png
from ojak.look.svg import svg
from ojak.look.terminal import terminal
from ojak.maps import Map
from ojak.result import Translation

__all__ = ["heads", "html", "notebook", "png", "save", "svg", "terminal"]


def save(shown: Translation | Map, path: str | Path, view: str = "mean", others: Sequence[Map] = ()) -> None:
    """Write the figure that the path's ending asks for, `.svg`, `.png` or `.html`: whole, or not at all. A page of a
    Map lets the reader choose among it and `others`.

    UseError where the ending is another, StorageError where the file cannot be written.
    """
    path = Path(path)
    suffix = ending(path)
    if suffix == ".svg":
        files.write(path, svg(shown, view))
    elif suffix == ".png":
        png(shown, path, view)
    else:
        files.write(path, html(shown, view, others))


def ending(path: Path) -> str:
    """What the name of a figure ends in. Raises UseError where that is none of the three."""
    suffix = path.suffix.lower()
    if suffix not in (".svg", ".png", ".html"):
        raise UseError(f"The name of a figure must end in .svg, .png or .html; found {path.name!r}.")
    return suffix
