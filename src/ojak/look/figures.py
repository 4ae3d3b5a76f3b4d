"""Figures of attention: for a terminal, as SVG, PNG or HTML, in a notebook. numpy only, no torch.

Each takes a Translation whose attention `(T, K, S)` was recorded and the name of a view, or "mean"; each raises
UseError where there is none to draw.
"""

from __future__ import annotations

from pathlib import Path

from ojak import files
from ojak.errors import UseError
from ojak.look.page import html, notebook
from ojak.look.png import png
from ojak.look.svg import svg
from ojak.look.terminal import terminal
from ojak.result import Translation

__all__ = ["html", "notebook", "png", "save", "svg", "terminal"]


def save(translation: Translation, path: str | Path, view: str = "mean") -> None:
    """Write the figure that the path's ending asks for, `.svg`, `.png` or `.html`: whole, or not at all.

    UseError where the ending is another, StorageError where the file cannot be written.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix == ".svg":
        files.write(path, svg(translation, view))
    elif suffix == ".png":
        png(translation, path, view)
    elif suffix == ".html":
        files.write(path, html(translation, view))
    else:
        raise UseError(f"The name of a figure must end in .svg, .png or .html; found {path.name!r}.")
