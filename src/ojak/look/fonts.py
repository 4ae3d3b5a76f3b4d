"""Finds a font, best one that has Hangul, for figures that are drawn here rather than in a browser.

Only the two tables of a font file that say this are read: `cmap` (which characters it has) and `name` (its family).
"""

from __future__ import annotations

import importlib.util
import os
import struct
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import BinaryIO

from ojak.errors import UseError

HANGUL = 0xAC00  # 가
# Plain sans-serif faces before all others, so that a figure is not set in a brush script that sorts first.
_PREFERRED = (
    "notosanskr", "notosanscjk", "pretendard", "nanumgothic", "applesdgothicneo", "malgun", "nanumbarungothic",
    "nanumsquare", "applegothic", "gulim", "dotum", "baekmuk", "unbatang", "droidsansfallback", "wqy",
    "dejavusans", "liberationsans", "arial",
)  # fmt: skip
_SUFFIXES = (".ttf", ".otf", ".ttc", ".otc")


@dataclass(frozen=True)
class Font:
    """A font file and the name of its family."""

    path: Path
    family: str
    hangul: bool


def find() -> Font | None:
    """The font to draw with: the file that OJAK_FONT names, else one with Hangul, else any, else None.

    UseError where OJAK_FONT names no font file.
    """
    named = os.environ.get("OJAK_FONT")
    if named:
        font = read(Path(named).expanduser())
        if font is None:
            raise UseError(f"OJAK_FONT must name a TrueType or OpenType font file (.ttf, .otf, .ttc); found {named!r}.")
        return font
    return _packaged() or _installed(tuple(folders()))


@lru_cache(maxsize=4)
def _installed(where: tuple[Path, ...]) -> Font | None:
    other: Font | None = None
    for file in sorted((file for folder in where for file in _files(folder)), key=_rank):
        font = read(file)
        if font is not None and font.hangul:
            return font
        other = other or font
    return other


@lru_cache(maxsize=1)
def _packaged() -> Font | None:
    """The font that comes with `pip install 'ojak[png]'`, found without importing its package."""
    spec = importlib.util.find_spec("pylopdf_fonts_ko")
    for folder in (spec.submodule_search_locations or []) if spec else []:
        font = read(Path(folder) / "NotoSansKR-Regular.otf")
        if font is not None and font.hangul:
            return font
    return None


def folders() -> list[Path]:
    """Where this system keeps its fonts."""
    home = Path.home()
    if sys.platform == "win32":
        local = Path(os.environ.get("LOCALAPPDATA", home / "AppData" / "Local"))
        return [
            Path(os.environ.get("WINDIR", r"C:\Windows")) / "Fonts",
            local / "Microsoft" / "Windows" / "Fonts",
        ]
    if sys.platform == "darwin":
        return [home / "Library" / "Fonts", Path("/Library/Fonts"), Path("/System/Library/Fonts")]
    data = Path(os.environ.get("XDG_DATA_HOME", home / ".local" / "share"))
    return [data / "fonts", home / ".fonts", Path("/usr/local/share/fonts"), Path("/usr/share/fonts")]


def _files(folder: Path) -> Iterator[Path]:
    for base, _, names in os.walk(folder):  # a folder that is not there has no files
        yield from (Path(base) / name for name in names if name.lower().endswith(_SUFFIXES))


def _rank(file: Path) -> tuple[int, int, str]:
    plain = "".join(c for c in file.stem.lower() if c.isalnum())
    place = next((i for i, name in enumerate(_PREFERRED) if plain.startswith(name)), len(_PREFERRED))
    # The upright face of ordinary weight comes before its bold, light and monospaced sisters.
    usual = plain.removesuffix("regular") in _PREFERRED
    return place, 0 if usual else 1, str(file)


def read(path: Path) -> Font | None:
    """The font of a file, the first one of a collection; None where the file is not there or is no font."""
    try:
        with path.open("rb") as file:
            tables = _tables(file)
            characters = _table(file, tables, b"cmap")
            family = _family(_table(file, tables, b"name"))
            return Font(path, family, _maps(characters, HANGUL)) if family else None
    except (OSError, struct.error, KeyError, ValueError):
        return None


def _tables(file: BinaryIO) -> dict[bytes, tuple[int, int]]:
    """The tables of a font by tag: where each begins and how long it is."""
    start = 0
    kind = file.read(4)
    if kind == b"ttcf":
        file.seek(12)
        (start,) = struct.unpack(">I", file.read(4))
        file.seek(start)
        kind = file.read(4)
    if kind not in (b"\x00\x01\x00\x00", b"OTTO", b"true"):
        raise ValueError("no font")
    (count,) = struct.unpack(">H", file.read(2))
    file.seek(start + 12)
    records = (struct.unpack(">4sIII", file.read(16)) for _ in range(count))
    return {tag: (offset, length) for tag, _, offset, length in records}


def _table(file: BinaryIO, tables: dict[bytes, tuple[int, int]], tag: bytes) -> bytes:
    offset, length = tables[tag]
    file.seek(offset)
    return file.read(length)


def _family(table: bytes) -> str:
    """The family's name, in Unicode and in English where it has one."""
    _, count, strings = struct.unpack_from(">HHH", table)
    best, best_rank = "", 0
    for i in range(count):
        platform, _, spoken, name, length, offset = struct.unpack_from(">HHHHHH", table, 6 + 12 * i)
        if platform not in (0, 3) or name not in (1, 16):
            continue
        # 16 is the family as people know it; 1 counts a light or medium face as a family of its own.
        rank = 1 + (spoken == 0x409 or platform == 0) + 2 * (name == 16)
        if rank > best_rank:
            start = strings + offset
            best, best_rank = table[start : start + length].decode("utf-16-be"), rank
    return best


def _maps(table: bytes, code: int) -> bool:
    """Whether a `cmap` table has a character, by its two common formats: 4 (two bytes) and 12 (four bytes)."""
    _, count = struct.unpack_from(">HH", table)
    for i in range(count):
        platform, _, start = struct.unpack_from(">HHI", table, 4 + 8 * i)
        if platform not in (0, 3):
            continue
        (kind,) = struct.unpack_from(">H", table, start)
        if kind == 4 and _in_segments(table, start, code):
            return True
        if kind == 12:
            (groups,) = struct.unpack_from(">I", table, start + 12)
            for group in range(groups):
                first, last, _ = struct.unpack_from(">III", table, start + 16 + 12 * group)
                if first <= code <= last:
                    return True
    return False


def _in_segments(table: bytes, start: int, code: int) -> bool:
    (twice,) = struct.unpack_from(">H", table, start + 6)
    for at in range(0, twice, 2):
        (last,) = struct.unpack_from(">H", table, start + 14 + at)
        if code > last:
            continue
        (first,) = struct.unpack_from(">H", table, start + 16 + twice + at)
        if code < first:
            return False
        (shift,) = struct.unpack_from(">H", table, start + 16 + 2 * twice + at)
        (indirect,) = struct.unpack_from(">H", table, start + 16 + 3 * twice + at)
        if indirect == 0:
            return bool((code + shift) & 0xFFFF)
        glyph = start + 16 + 3 * twice + at + indirect + 2 * (code - first)
        return any(struct.unpack_from(">H", table, glyph))
    return False
