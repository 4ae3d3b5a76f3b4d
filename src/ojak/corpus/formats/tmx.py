"""Translation memories (TMX), read as a stream: memory does not grow with the file."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from xml.parsers import expat

from ojak.corpus.faults import Faults, Notes
from ojak.corpus.layout import Layout, same_language
from ojak.corpus.pair import Pair, one_line
from ojak.corpus.unpack import opened
from ojak.errors import DataError

BLOCK = 1 << 16  # bytes given to the parser at once
LONGEST = 1 << 20  # characters of a segment
DEEPEST = 32  # elements within each other

_CODES = {"bpt", "ept", "it", "ph", "ut"}  # elements that hold mark-up, not text
_LABELS, _GROUPS = {"label", "domain", "x-domain", "대분류"}, {"group", "conversation", "x-group", "set nr."}


def read(path: Path, layout: Layout, notes: Notes, faults: Faults) -> Iterator[Pair]:
    """Units that have both languages; codes match with and without region. What stands in codes of mark-up is left
    out. `<prop type="label">` and `<prop type="group">` of a unit give its label and group.

    Languages that `layout` does not name are those of the first unit, if these are two: the header's `srclang` first.
    Entities of the document's own are refused, and nothing is ever fetched.
    """
    state = _Memory(path, layout, notes, faults)
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.StartElementHandler = state.start
    parser.EndElementHandler = state.end
    parser.CharacterDataHandler = state.characters
    parser.EntityDeclHandler = state.entity
    state.parser = parser
    with opened(path) as file:
        more = True
        while more:
            block = file.read(BLOCK)
            more = bool(block)
            try:
                parser.Parse(block, not more)
            except expat.ExpatError as error:
                said = expat.errors.messages.get(error.code, str(error.code))
                raise DataError(
                    f"{path}, line {error.lineno}: TMX must be well-formed XML, but here: {said}. Export it again."
                ) from None
            except (ValueError, LookupError) as error:  # an encoding that Python lacks
                raise DataError(f"{path}, line {parser.CurrentLineNumber}: {error}. Save it as UTF-8.") from None
            yield from state.found
            state.found.clear()
    if not state.seen:
        raise DataError(f"{path} must be TMX, but holds no element <tmx>. Is it another kind of XML?")


class _Memory:
    """What is known at a place of the file."""

    def __init__(self, path: Path, layout: Layout, notes: Notes, faults: Faults) -> None:
        self.path, self.notes, self.faults = path, notes, faults
        self.languages = (layout.source, layout.target)
        self.parser: Any = None
        self.found: list[Pair] = []
        self.seen = False
        self.header = ""
        self.depth = 0
        self.codes = 0
        self.language = ""
        self.prop = ""
        self.text: list[str] | None = None
        self.length = 0
        self.unit: dict[str, str] = {}
        self.label = self.group = ""

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self.depth += 1
        if self.depth > DEEPEST:
            raise self.wrong(f"at most {DEEPEST} elements may stand within each other")
        if name == "tmx":
            self.seen = True
        elif name == "header":
            self.header = attributes.get("srclang", "")
        elif name == "tu":
            self.unit, self.label, self.group, self.language = {}, "", "", ""
        elif name == "tuv":
            self.language = attributes.get("xml:lang") or attributes.get("lang", "")
        elif name == "seg":
            self.text, self.codes, self.length = [], 0, 0
        elif name == "prop" and not self.language:
            self.prop = attributes.get("type", "").casefold()
            self.text = [] if self.prop in _LABELS | _GROUPS else None
        elif name in _CODES and self.text is not None:
            self.codes += 1

    def end(self, name: str) -> None:
        self.depth -= 1
        if name in ("seg", "prop") and self.text is not None:
            text = one_line(unicodedata.normalize("NFC", "".join(self.text)))
            self.text = None
            if name == "seg":
                self.unit.setdefault(self.language, text)
            elif self.prop in _LABELS:
                self.label = text.strip()
            else:
                self.group = text.strip()
        elif name == "tuv":
            self.language = ""
        elif name in _CODES and self.text is not None:
            self.codes -= 1
        elif name == "tu":
            self.close()

    def characters(self, text: str) -> None:
        if self.text is None or self.codes:
            return
        self.length += len(text)
        if self.length > LONGEST:
            raise self.wrong(f"a segment may hold at most {LONGEST:,} characters")
        self.text.append(text)

    def entity(self, name: str, *rest: Any) -> None:
        raise self.wrong(f"entities of the document's own are not read, but {name!r} is declared")

    def close(self) -> None:
        """The end of a unit."""
        source, target = (self.side(code) for code in self.sides())
        if source is None or target is None or not (source.strip() or target.strip()):
            self.notes.empty += 1
            return
        self.found.append(Pair(source, target, self.label, self.group, f"{self.path}, line {self.line}"))

    def sides(self) -> tuple[str, str]:
        if not all(self.languages):
            there = list(self.unit)
            first = self.languages[0] or next((code for code in there if same_language(code, self.header)), "")
            if self.languages[1]:
                others = [code for code in there if not same_language(code, self.languages[1])]
                self.languages = (others[0] if len(others) == 1 else "", self.languages[1])
            else:
                first = first or (there[0] if there else "")
                others = [code for code in there if not same_language(code, first)]
                self.languages = (first, others[0] if len(others) == 1 else "")
            if not all(self.languages):
                raise self.wrong(
                    f"the first unit has the languages {', '.join(there) or 'none'}, of which two must be chosen: "
                    "data.source=en data.target=ko (--source, --target)"
                )
        return self.languages

    def side(self, code: str) -> str | None:
        if code in self.unit:
            return self.unit[code]
        return next((text for there, text in self.unit.items() if same_language(there, code)), None)

    @property
    def line(self) -> int:
        return int(self.parser.CurrentLineNumber)

    def wrong(self, found: str) -> DataError:
        return DataError(f"{self.path}, line {self.line}: {found}. Mend the file, or export it again.")
