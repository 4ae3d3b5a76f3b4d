"""Lines of text files, in whatever encoding, cut at line feeds only."""

from __future__ import annotations

import codecs
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout
from ojak.corpus.unpack import opened
from ojak.errors import DataError

BLOCK = 1 << 20  # bytes read at once
LONGEST = 16 << 20  # bytes of a line
ENOUGH = 64  # bytes beyond ASCII that a guess of the encoding needs

_BOMS = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_USUAL = (
    "cp949 cp932 euc_jp iso2022_jp gb18030 big5 cp1250 cp1251 cp1252 cp1253 cp1254 cp1255 cp1256 cp1257 cp1258 "
    "iso8859_2 iso8859_15 koi8_r koi8_u cp874"
).split()
_LATIN = {"cp1250", "cp1252", "cp1254", "cp1257", "cp1258", "iso8859_2", "iso8859_15"}


def text_lines(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[str]:
    """The lines of a text file, the empty ones too, in Unicode form NFC.

    A line ends at `\\n` and nothing else; one `\\r` before it and a byte-order mark at the head of the file are
    dropped. The encoding is the named one, or what the byte-order mark says, or UTF-8, or else the likeliest of the
    usual ones, which `notes` tells. Lines that are not in it become faults and come as empty text. Raises DataError
    for a file that is missing, empty, broken or binary.
    """
    with opened(path) as file:
        first = file.read(BLOCK)
        if not first:
            raise DataError(f"{path} must hold lines of text, but it is empty. Name another file.")
        encoding, mark = _encoding(path, first, layout.encoding, notes)
        end = "\n".encode(encoding)
        number, left = 0, first[mark:]
        if not left:
            raise DataError(f"{path} must hold lines of text, but it is empty. Name another file.")
        while True:
            block = file.read(BLOCK)
            cut = _cut(left, end) if block else len(left)
            lines = _decoded(left[:cut], encoding, end, number, faults)
            yield from lines
            number += len(lines)
            left = left[cut:] + block
            if not block:
                return
            if len(left) > LONGEST + BLOCK:
                raise DataError(
                    f"{path} must hold lines of at most {LONGEST >> 20} MiB, but line {number + 1} is longer. "
                    "Is it a file of text?"
                )


def read_lines(path: Path | str) -> list[str]:
    """All lines of a text file, as `text_lines` gives them. Raises DataError, also for lines that cannot be read."""
    notes, faults = Notes(), Faults(str(path), must="hold text", remedy="Save the file as UTF-8.")
    lines = list(text_lines(Path(path), Layout(), notes, faults))
    faults.report()
    return lines


def _cut(data: bytes, end: bytes) -> int:
    """The place behind the last line feed: one at a multiple of its width, in UTF-16 and UTF-32."""
    place = len(data)
    while (place := data.rfind(end, 0, place)) >= 0:
        if place % len(end) == 0:
            return place + len(end)
        place += len(end) - 1
    return 0


def _decoded(data: bytes, encoding: str, end: bytes, before: int, faults: Faults) -> list[str]:
    """Whole lines, all at once where nothing is amiss."""
    if not data:
        return []
    try:
        text = unicodedata.normalize("NFC", data.decode(encoding))
    except UnicodeDecodeError as error:
        if len(end) > 1:  # bytes cannot be cut into lines without knowing where characters begin
            number = before + data[: error.start].decode(encoding, errors="replace").count("\n") + 1
            raise DataError(f"{faults.name}, line {number}: this is not {encoding}: {error.reason}.") from None
        return [
            _one(line, encoding, number, faults)
            for number, line in enumerate(data.removesuffix(b"\n").split(b"\n"), before + 1)
        ]
    lines = text.removesuffix("\n").split("\n")
    if "\r" in text:
        lines = [line.removesuffix("\r") for line in lines]
    if "\0" in text:
        for number, line in enumerate(lines, before + 1):
            if "\0" in line:
                faults.add(number, "holds a byte of value 0", "Is it a file of text? Save it as UTF-8 text.")
        lines = ["" if "\0" in line else line for line in lines]
    return lines


def _one(line: bytes, encoding: str, number: int, faults: Faults) -> str:
    try:
        text = unicodedata.normalize("NFC", line.removesuffix(b"\r").decode(encoding))
    except UnicodeDecodeError as error:
        found = f"byte {error.start + 1} of the line is 0x{line[error.start]:02x}, which is not {encoding}"
        faults.add(number, f"{found}: {error.reason}", "Save the file as UTF-8, or name its encoding (data.encoding).")
        return ""
    if "\0" in text:
        faults.add(number, "holds a byte of value 0", "Is it a file of text? Save it as UTF-8 text.")
        return ""
    return text


def _encoding(path: Path, sample: bytes, named: str, notes: Notes) -> tuple[str, int]:
    """The encoding, and the length of the byte-order mark."""
    mark = next(((bom, name) for bom, name in _BOMS if sample.startswith(bom)), None)
    if named:
        try:
            name = codecs.lookup(named).name
            "\n".encode(name)
        except (LookupError, TypeError):
            raise DataError(
                f"An encoding must be one that Python knows, but {named!r} is none. Name another."
            ) from None
        if mark and name.removesuffix("-sig").split("-")[:2] == mark[1].split("-")[:2]:
            return mark[1], len(mark[0])
        return name if name not in ("utf-16", "utf-32") else f"{name}-le", 0
    if mark:
        return mark[1], len(mark[0])
    for place, name in ((1, "utf-16-le"), (0, "utf-16-be")):  # without a mark: every other byte of English is 0
        if len(sample) > 8 and sample[place::2].count(0) > 0.4 * len(sample) / 2 > sample[1 - place :: 2].count(0) * 9:
            return name, 0
    return _guess(path, sample, notes), 0


def _guess(path: Path, sample: bytes, notes: Notes) -> str:
    """UTF-8 where at least half of the lines beyond ASCII are, or too few to tell; else the likeliest encoding."""
    try:
        codecs.getincrementaldecoder("utf-8")().decode(sample)
        return "utf-8"
    except UnicodeDecodeError:
        pass
    strange = [line for line in sample.split(b"\n") if not line.isascii()]
    wrong = sum(1 for line in strange if not _is_utf8(line))
    if 2 * wrong <= len(strange) or sum(byte > 127 for byte in b"".join(strange)) < ENOUGH:
        return "utf-8"
    from charset_normalizer import from_bytes

    found = list(from_bytes(b"\n".join(strange)[:100_000], cp_isolation=list(_USUAL)))
    if not found:
        return "utf-8"
    best = found[0]
    if best.encoding in _LATIN:  # which differ in a few letters: the commonest, if it reads no worse
        western = (match for match in found if "cp1252" in match.could_be_from_charset)
        best = next((match for match in western if match.coherence > best.coherence - 0.1), best)
    name = "cp1252" if "cp1252" in best.could_be_from_charset else best.encoding
    name = "cp949" if name == "euc_kr" else name
    notes.messages.append(
        f"{path} is not in UTF-8; it looks like {name} and was read as that. Name the encoding to be sure "
        f"(data.encoding={name}, or --encoding {name})."
    )
    return name


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True
