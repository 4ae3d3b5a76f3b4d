"""Files of pairs in every format, by writers that have nothing to do with Ojak's readers."""

from __future__ import annotations

import csv
import gzip
import io
import json
import lzma
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from xml.etree import ElementTree

from ojak.corpus.pair import Pair

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

AIHUB = ["대분류", "소분류", "상황", "Set Nr.", "발화자", "원문", "번역문"]


def packed(content: bytes, path: Path) -> Path:
    """Writes bytes, packed as the name says."""
    pack: dict[str, Callable[[bytes], bytes]] = {".gz": gzip.compress, ".xz": lzma.compress, ".zst": zstd.compress}
    path.write_bytes(pack.get(path.suffix, lambda raw: raw)(content))
    return path


def aihub(pair: Pair) -> list[str]:
    """A row of the layout, the Korean side being the source."""
    return [pair.label, "", "", pair.group, "", pair.source, pair.target]


def tsv(pairs: Sequence[Pair], path: Path) -> str:
    head = "source\ttarget\tlabel\tgroup\n"
    rows = (f"{p.source}\t{p.target}\t{p.label}\t{p.group}\n" for p in pairs)
    packed((head + "".join(rows)).encode(), path)
    return str(path)


def comma(pairs: Sequence[Pair], path: Path) -> str:
    out = io.StringIO()
    csv.writer(out, quoting=csv.QUOTE_ALL).writerows([AIHUB, *map(aihub, pairs)])
    packed(out.getvalue().encode("utf-8-sig"), path)
    return str(path)


def xlsx(pairs: Sequence[Pair], path: Path) -> str:
    from openpyxl import Workbook

    book = Workbook(write_only=True)
    sheet = book.create_sheet("말뭉치")
    sheet.append(AIHUB)
    for pair in pairs:
        cells: list[object] = list(aihub(pair))
        if pair.group.isascii() and pair.group.isdecimal() and str(int(pair.group)) == pair.group:
            cells[3] = int(pair.group)  # as AI Hub has it
        sheet.append(cells)
    out = io.BytesIO()
    book.save(out)
    packed(out.getvalue(), path)
    return str(path)


def jsonl(pairs: Sequence[Pair], path: Path) -> str:
    rows = [{"source": p.source, "target": p.target, "label": p.label, "group": p.group} for p in pairs]
    packed(
        "".join(json.dumps(row, ensure_ascii=place % 2 == 0) + "\n" for place, row in enumerate(rows)).encode(), path
    )
    return str(path)


def parquet(pairs: Sequence[Pair], path: Path) -> str:
    import pyarrow
    from pyarrow import parquet as writer

    columns = zip(*map(aihub, pairs), strict=True) if pairs else [[]] * len(AIHUB)
    out = io.BytesIO()
    writer.write_table(pyarrow.table(dict(zip(AIHUB, map(list, columns), strict=True))), out)
    packed(out.getvalue(), path)
    return str(path)


def tmx(pairs: Sequence[Pair], path: Path) -> str:
    root = ElementTree.Element("tmx", version="1.4")
    ElementTree.SubElement(root, "header", srclang="ko-KR", datatype="plaintext", segtype="sentence")
    body = ElementTree.SubElement(root, "body")
    for pair in pairs:
        unit = ElementTree.SubElement(body, "tu")
        for kind, value in (("label", pair.label), ("group", pair.group)):
            ElementTree.SubElement(unit, "prop", type=kind).text = value
        for code, text in (("en-US", pair.target), ("ko-KR", pair.source)):
            side = ElementTree.SubElement(unit, "tuv", {"xml:lang": code})
            ElementTree.SubElement(side, "seg").text = text
    out = b'<?xml version="1.0" encoding="UTF-8"?>\n<!DOCTYPE tmx SYSTEM "tmx14.dtd">\n' + ElementTree.tostring(root)
    packed(out.replace(b"\r", b"&#13;"), path)
    return str(path)


def moses(pairs: Sequence[Pair], path: Path) -> str:
    """`path` is what comes before the endings; an ending of packing goes to all files."""
    pack = path.suffix if path.suffix in (".gz", ".xz", ".zst") else ""
    stem = path.name.removesuffix(pack)
    columns = {"ko": [p.source for p in pairs], "en": [p.target for p in pairs]}
    columns |= {"labels": [p.label for p in pairs], "groups": [p.group for p in pairs]}
    for ending, lines in columns.items():
        packed("".join(line + "\n" for line in lines).encode(), path.with_name(f"{stem}.{ending}{pack}"))
    return f"{path.with_name(stem)}.ko{pack},{path.with_name(stem)}.en{pack}"


def po(pairs: Sequence[Pair], path: Path) -> str:
    import polib

    catalogue = polib.POFile()
    catalogue.metadata = {"Content-Type": "text/plain; charset=utf-8"}
    for pair in pairs:
        catalogue.append(polib.POEntry(msgid=pair.source, msgstr=pair.target))
    packed(str(catalogue).encode(), path)
    return str(path)


def mo(pairs: Sequence[Pair], path: Path) -> str:
    """By the description of the format in the manual of gettext."""
    entries = sorted(
        [(b"", b"Content-Type: text/plain; charset=utf-8\n")]
        + [(pair.source.encode(), pair.target.encode()) for pair in pairs]
    )
    head, tables, strings = 28, [], b""
    base = head + 16 * len(entries)
    for column in (0, 1):
        for entry in entries:
            tables += [len(entry[column]), base + len(strings)]
            strings += entry[column] + b"\0"
    numbers = [0x950412DE, 0, len(entries), head, head + 8 * len(entries), 0, 0, *tables]
    packed(struct.pack(f"<{len(numbers)}I", *numbers) + strings, path)
    return str(path)


Writer = Callable[[Sequence[Pair], Path], str]
WITH_LABELS: dict[str, tuple[Writer, str]] = {
    "tsv": (tsv, "a.tsv"),
    "csv": (comma, "a.csv"),
    "xlsx": (xlsx, "a.xlsx"),
    "jsonl": (jsonl, "a.jsonl"),
    "parquet": (parquet, "a.parquet"),
    "tmx": (tmx, "a.tmx"),
    "moses": (moses, "m"),
}
CATALOGUES: dict[str, tuple[Writer, str]] = {"po": (po, "a.po"), "mo": (mo, "a.mo")}
