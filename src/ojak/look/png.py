"""The SVG figure as pixels: the same drawing, for places that take no SVG."""

from __future__ import annotations

import warnings
from pathlib import Path

from ojak import files
from ojak.errors import UseError
from ojak.look import fonts
from ojak.look.drawing import Drawing, drawing
from ojak.look.labels import has_hangul
from ojak.look.svg import draw
from ojak.maps import Map
from ojak.result import Translation

_ZOOM = 2.0  # two pixels a unit: sharp on today's screens and in print
_LARGEST = 8000  # pixels a side, about what a picture viewer still opens


def png(shown: Translation | Map, path: str | Path, view: str = "mean") -> None:
    """Write a Map, or the attention map of a Translation, as a PNG file, whole or not at all.

    Needs the extra `png`. Korean needs a font with Hangul: the one that comes with the extra, one of the system's,
    or the file that the environment variable OJAK_FONT names; where there is none, a warning says what to install.
    UseError where the library is missing, StorageError where the file cannot be written.
    """
    files.write(Path(path), pixels(drawing(shown, view)))


def pixels(drawn: Drawing) -> bytes:
    """The drawing as the bytes of a PNG file."""
    try:
        import resvg_py
    except ImportError as error:
        raise UseError(
            "Drawing a PNG needs a library that is not installed. Run: pip install 'ojak[png]' "
            "(or save the figure as .svg or .html, which need nothing)."
        ) from error
    document = draw(drawn)
    hangul = has_hangul(document)
    font = fonts.find()
    if font is None and not hangul:
        warnings.warn(
            "A PNG needs a font for its words, and none was found: they may be missing. Run pip install 'ojak[png]', "
            "which brings one, or set OJAK_FONT to a font file.",
            stacklevel=3,
        )
    if hangul and (font is None or not font.hangul):
        found = f"the font that OJAK_FONT names, {font.path}, has none" if font else "none was found"
        warnings.warn(
            f"Korean in a PNG needs a font with Hangul, and {found}: boxes stand where Korean should. "
            "Run pip install 'ojak[png]', which brings one; or install one (Debian and Ubuntu: fonts-nanum or "
            "fonts-noto-cjk; Fedora: google-noto-sans-cjk-fonts; Windows and macOS have one); or set OJAK_FONT to "
            "a font file. An .svg or .html figure is drawn with the reader's own fonts.",
            stacklevel=3,
        )
    width, height = _size(document)
    chosen = f"'{font.family}'," if font else ""
    image: bytes = resvg_py.svg_to_bytes(
        svg_string=document,
        zoom=min(_ZOOM, _LARGEST / max(width, height)),
        font_files=[str(font.path)] if font else None,
        # A rule of style is stronger than the figure's own list, whose first fonts may be here in part only.
        style_sheet=f"svg {{ font-family: {chosen}{_FALLBACK} }}",
    )
    return image


_FALLBACK = "'DejaVu Sans','Liberation Sans',Arial,Helvetica,sans-serif"


def _size(document: str) -> tuple[float, float]:
    """The width and height that an SVG document of ours says it has."""
    box = document.split('viewBox="', 1)[1].split('"', 1)[0].split()
    return float(box[2]), float(box[3])
