"""Message catalogues of programs: PO, and MO, which is PO compiled."""

from __future__ import annotations

import gettext
import io
import struct
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.formats.record import is_utf8
from ojak.corpus.layout import Layout
from ojak.corpus.lines import text_lines
from ojak.corpus.pair import Pair, one_line
from ojak.corpus.unpack import unpacked_name, whole
from ojak.errors import DataError

LONGEST = 64 << 20  # bytes or characters of a catalogue, which is held in memory whole

Entry = tuple[int, str, str]
"""line or number, message, translation"""


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """Messages and their translations, singular and (last) plural form; fuzzy, obsolete and untranslated ones are
    left out and counted as empty. The source is the language of the program."""
    compiled = unpacked_name(path).suffix.lower() == ".mo"
    faults.unit = "message" if compiled else "line"
    for number, source, target in _compiled(path) if compiled else _plain(path, layout, notes, faults):
        source, target = (one_line(unicodedata.normalize("NFC", text)) for text in (source, target))
        if not source.strip() or not target.strip():
            notes.empty += 1
        elif not is_utf8(source + target):
            faults.add(number, "holds half of a surrogate pair, or a character of value 0")
        else:
            yield Pair(source, target, place=f"{path}, {faults.unit} {number}")


def _plain(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Entry]:
    import polib

    lines = []
    size = 0
    for line in text_lines(path, layout, notes, faults):
        size += len(line)
        if size > LONGEST:
            raise DataError(f"{path} must hold at most {LONGEST >> 20} MiB, but is longer. Cut it in parts.")
        lines.append(line)
    faults.report()
    try:
        found = polib.pofile("\n".join([*lines, ""]) if len(lines) > 1 else f"{''.join(lines)}\n\n")
    except Exception as error:  # of a parser that raises what it happens to meet
        said = str(error).replace("Syntax error in po file ", "").replace("None ", "").strip() or type(error).__name__
        raise DataError(f"{path} must be a PO catalogue, but: {said}. Check it, for instance with msgfmt -c.") from None
    for entry in found:
        if entry.obsolete or entry.fuzzy:
            continue
        yield entry.linenum, entry.msgid, entry.msgstr or entry.msgstr_plural.get(0, "")
        if entry.msgid_plural and len(entry.msgstr_plural) > 1:
            yield entry.linenum, entry.msgid_plural, entry.msgstr_plural[max(entry.msgstr_plural)]


def _compiled(path: Path) -> Iterator[Entry]:
    content = whole(path)
    if len(content) > LONGEST:
        raise DataError(f"{path} must be at most {LONGEST >> 20} MiB, but is larger. Cut it in parts.")
    try:
        messages = gettext.GNUTranslations(io.BytesIO(content))._catalog  # type: ignore[attr-defined]
    except (OSError, ValueError, struct.error, IndexError, KeyError, LookupError, SyntaxError, RecursionError) as error:
        raise DataError(f"{path} must be a whole MO catalogue, but: {error}. Compile or copy it again.") from None
    for number, (key, target) in enumerate(messages.items(), 1):
        source = key[0] if isinstance(key, tuple) else key
        if source and (not isinstance(key, tuple) or key[1] == 0):
            yield number, source.rpartition("\x04")[2], target
