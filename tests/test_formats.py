"""Every format gives the same pairs, and no file, however broken, gives anything but pairs or a clear error."""

from __future__ import annotations

import io
import json
import random
import re
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import pytest
import writers
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ojak.corpus.drift import Watch
from ojak.corpus.faults import Notes
from ojak.corpus.layout import Layout
from ojak.corpus.pair import Pair
from ojak.corpus.read import files_of, read_pairs, stream_pairs
from ojak.errors import DataError

pytest.importorskip("pyarrow", reason="Parquet is written by pyarrow (pip install 'ojak[parquet]')")
pytest.importorskip("openpyxl", reason="XLSX is written by openpyxl")

KOREAN = Layout(source="ko", target="en")
ENGLISH = Layout(source="en", target="ko")
SOME = [Pair(f"{n} 번째 문장입니다.", f"This is sentence {n}.", "여행" if n % 2 else "", str(n // 3)) for n in range(9)]


def refused(path: Path | str, layout: Layout | None = None) -> str:
    with pytest.raises(DataError) as caught:
        read_pairs([path], layout)
    return str(caught.value)


# the same pairs from every format


@pytest.mark.parametrize("name", ["enko_dialogue.test", "enko_chat.train"])
def test_all_formats_give_the_same_pairs_labels_and_groups(name: str, data: Path, tmp_path: Path) -> None:
    source = data / f"{name}.aihub_layout.csv.gz"
    pairs = read_pairs([source])
    assert len(pairs) > 800 and all(pair.label and pair.group for pair in pairs)
    assert sum(bool(re.search("[가-힣]", pair.source)) for pair in pairs) > 0.95 * len(pairs)
    assert read_pairs([source], KOREAN) == pairs
    assert read_pairs([source], ENGLISH) == [pair.turned() for pair in pairs]
    for write, file in writers.WITH_LABELS.values():
        path = write(pairs, tmp_path / file)
        assert read_pairs([path], KOREAN) == pairs, file
    for file in ("a.csv", "a.xlsx", "a.parquet", "a.tmx"):  # which say what is Korean
        assert read_pairs([tmp_path / file]) == pairs
        assert read_pairs([tmp_path / file], ENGLISH) == [pair.turned() for pair in pairs]


@pytest.mark.parametrize("kind", [*writers.WITH_LABELS, *writers.CATALOGUES])
@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".zst"])
def test_all_formats_are_read_packed_too(kind: str, ending: str, tmp_path: Path) -> None:
    write, file = (writers.WITH_LABELS | writers.CATALOGUES)[kind]
    path = write(SOME, tmp_path / (file + ending))
    expected = [Pair(pair.source, pair.target) for pair in SOME] if kind in writers.CATALOGUES else SOME
    assert sorted(read_pairs([path]), key=lambda pair: pair.source) == expected
    assert list(stream_pairs(path)) == read_pairs([path])


# What no XML may hold, and what XML and spreadsheets take for white space of theirs, is left to text formats.
plain = st.characters(exclude_characters="\t\n\0", exclude_categories=["Cs"])
printable = st.characters(exclude_characters="\ufffe\uffff", exclude_categories=["Cs", "Cc"])
KINDS = {"tsv": plain, "csv": plain, "jsonl": plain, "parquet": plain, "moses": plain, "po": printable, "mo": printable}
KINDS |= {"tmx": printable, "xlsx": printable}


@pytest.mark.parametrize("kind", KINDS)
def test_any_text_without_tab_and_line_feed_survives(kind: str, tmp_path: Path) -> None:
    import unicodedata

    side = st.text(KINDS[kind], min_size=1, max_size=30).map(lambda t: unicodedata.normalize("NFC", t))
    # A carriage return before the line feed belongs to the line's end.
    side = side.filter(lambda text: text.strip() and not text.endswith("\r"))
    if kind == "xlsx":
        side = side.filter(lambda text: not re.search("_x[0-9A-Fa-f]{4}_", text))  # how workbooks write what XML cannot
        side = side.map(lambda text: "'" + text if text.startswith("=") else text)  # a formula for openpyxl
    labels = st.sampled_from(["", "business", "여행/쇼핑"])
    write, file = (writers.WITH_LABELS | writers.CATALOGUES)[kind]

    @settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(st.lists(st.builds(Pair, side, side, labels, labels), min_size=1, max_size=5))
    def check(pairs: list[Pair]) -> None:
        if kind in writers.CATALOGUES:
            pairs = [Pair(p.source, p.target) for p in {pair.source: pair for pair in pairs}.values()]
        path = write(pairs, tmp_path / file)
        read = read_pairs([path])
        assert (sorted(read, key=str) if kind == "mo" else read) == (sorted(pairs, key=str) if kind == "mo" else pairs)

    check()


# columns, headers, languages


def test_empty_rows_at_the_head_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("\n" * 500 + "a\tb\n" + "\n" * 300 + "c\td\n")
    (tmp_path / "a.labels").write_text("x\n" * 500 + "y\n" + "x\n" * 300 + "z\n")
    notes = Notes()
    assert read_pairs([path], notes=notes) == [Pair("a", "b", "y"), Pair("c", "d", "z")] and notes.empty == 800


def test_columns_by_name_and_by_number(tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text("id\tfrom\tto\tfield\tturns\n1\ta\tb\tx\t7\n2\tc\td\ty\t7\n", encoding="utf-8")
    expected = [Pair("a", "b", "x", "7"), Pair("c", "d", "y", "7")]
    named = Layout(source_column="from", target_column="To ", label_column="field", group_column="turns")
    assert read_pairs([path], named) == expected
    numbered = Layout(source_column="2", target_column="3", label_column="4", group_column="5", header="yes")
    assert read_pairs([path], numbered) == expected
    bare = Layout(source_column="2", target_column="3")
    assert read_pairs([path], bare)[0] == Pair("from", "to")
    assert "'nothing'" in refused(path, Layout(source_column="nothing")) and "'from'" in refused(
        path, Layout(source_column="nothing")
    )
    assert "has 5" in refused(path, Layout(source_column="6"))
    assert "two columns" in refused(path, Layout(source_column="2", target_column="2"))


@pytest.mark.parametrize(
    ("header", "layout", "turned"),
    [
        ("en\tko", Layout(), False),
        ("en\tko", KOREAN, True),
        ("English\t한국어", KOREAN, True),
        ("English\t한국어", ENGLISH, False),
        ("English\t한국어", Layout(source="ko"), True),
        ("English\t한국어", Layout(target="en"), True),
        ("tlh\tqya", Layout(source="qya", target="tlh"), True),
        ("en-US\tko_KR", ENGLISH, False),
        ("Source\tTarget", ENGLISH, False),
        ("번역문\t원문", Layout(), True),
        ("번역문\t원문", ENGLISH, False),
    ],
)
def test_headers_are_recognised(header: str, layout: Layout, turned: bool, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv"
    path.write_text(f"{header}\nhello\t안녕\n", encoding="utf-8")
    pair = Pair("hello", "안녕")
    assert read_pairs([path], layout) == [pair.turned() if turned else pair]


def test_the_korean_of_an_aihub_layout_is_told_by_its_letters(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("원문,번역문\nhello,안녕\n", encoding="utf-8")  # later corpora go from English into Korean too
    assert read_pairs([path], KOREAN) == [Pair("안녕", "hello")]
    assert read_pairs([path], ENGLISH) == read_pairs([path]) == [Pair("hello", "안녕")]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_of_csv_is_told_by_its_first_line(delimiter: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f'"a, ""b""; c"{delimiter}"d\n\te"\n\nx{delimiter}y\n', encoding="utf-8")
    notes = Notes()
    assert read_pairs([path], notes=notes) == [Pair('a, "b"; c', "d e"), Pair("x", "y")]
    assert notes.empty == 1


@pytest.mark.parametrize(
    ("encoding", "language"),
    [("cp949", "ko"), ("euc_kr", "ko"), ("utf-16", "ko"), ("utf-16-le", "ko"), ("utf-32", "ko"), ("cp1252", "fr")],
)
def test_encodings_are_detected_told_and_named(encoding: str, language: str, tmp_path: Path) -> None:
    texts = {
        "ko": "안녕하세요, 오늘 회의는 몇 시에 시작하나요? 저는 내일 부산으로 출장을 갑니다. 병원 예약을 하고 싶어요.",
        "fr": "Où êtes-vous allé cet été ? Ça m’étonne qu’il soit déjà là, à côté de la forêt près du château.",
    }
    pairs = [Pair(word, f"word {place}") for place, word in enumerate(texts[language].split() * 8)]
    path = tmp_path / "a.tsv"
    path.write_bytes("".join(f"{p.source}\t{p.target}\n" for p in pairs).encode(encoding))
    notes = Notes()
    assert read_pairs([path], notes=notes) == pairs
    assert bool(notes.messages) is (not encoding.startswith("utf"))
    assert read_pairs([path], Layout(encoding=encoding)) == pairs
    assert "Python knows" in refused(path, Layout(encoding="klingon"))


def test_a_sheet_is_chosen_by_name_or_number(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    book.active.append(["a", "b"])
    other = book.create_sheet("둘")
    other["C4"], other["D4"] = "c", "d"
    other["C6"], other["D6"] = 3, 2.5
    other["C7"] = "one side"
    path = tmp_path / "a.xlsx"
    book.save(path)
    assert read_pairs([path]) == [Pair("a", "b")]
    rows = [Pair("c", "d"), Pair("3", "2.5"), Pair("one side", "")]
    pairs = list(stream_pairs(path, Layout(sheet="둘")))
    assert pairs == list(stream_pairs(path, Layout(sheet="2"))) == rows
    assert pairs[1].place == f"{path}, sheet '둘', row 6"
    assert "row 7: the target is empty" in refused(path, Layout(sheet="둘"))
    assert "'Sheet', '둘'" in refused(path, Layout(sheet="셋"))


def test_columns_of_a_sheet_are_numbered_from_its_edge(tmp_path: Path) -> None:
    from openpyxl import Workbook

    book = Workbook()
    for row in ([], [None, "번호", "한국어", "영어"], [None, 1, "가", "a"], [None, 2, "나", "b"]):
        book.active.append(row)
    path = tmp_path / "a.xlsx"
    book.save(path)
    pairs = [Pair("가", "a"), Pair("나", "b")]
    assert read_pairs([path]) == pairs
    assert read_pairs([path], Layout(source_column="3", target_column="4")) == pairs
    assert read_pairs([path], Layout(source_column="3", target_column="영어")) == pairs
    assert "has 4" in refused(path, Layout(source_column="5", target_column="4"))


def test_a_title_above_the_names_of_the_columns_is_left_out(tmp_path: Path) -> None:
    from openpyxl import Workbook

    rows = [["회화 표현", None, None], [], ["번호", "영어", "한국어"], [1, "a", "가"], [2, "b", "나"]]
    book = Workbook()
    for row in rows:
        book.active.append(row)
    path = tmp_path / "a.xlsx"
    book.save(path)
    comma = tmp_path / "a.csv"
    comma.write_text("회화 표현\n\n번호,영어,한국어\n1,a,가\n2,b,나\n", encoding="utf-8")
    for file in (path, comma):
        for layout in (Layout(), Layout(source_column="영어", target_column="한국어"), Layout(header="yes")):
            if layout.header == "yes":
                layout = Layout(source_column="2", target_column="3", header="yes")
            notes = Notes()
            assert read_pairs([file], layout, notes) == [Pair("a", "가"), Pair("b", "나")]
            assert "named in" in notes.messages[0] and " 3;" in notes.messages[0]
    assert "'회화 표현'" in refused(path, Layout(source_column="독일어"))
    plain = tmp_path / "a.tsv"  # what could be a pair is no title
    plain.write_text("a\tb\nEnglish\tKorean\n")
    assert read_pairs([plain]) == [Pair("a", "b"), Pair("English", "Korean")]


def test_more_columns_than_two_are_asked_for_once(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("no,left,right\n1,a,b\n2,c,d\n")
    message = refused(path)
    assert "line 1: 3 columns" in message and "'left', 'right'" in message and "--source-column" in message
    assert message.count("\n") == 0


def test_a_memory_gives_the_languages_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(
        """<?xml version="1.0"?><tmx version="1.4"><header srclang="*all*"/><body>
        <tu><prop type="Domain">shop</prop><note>not text</note>
          <tuv xml:lang="EN-gb"><prop type="label">no</prop><seg>A <bpt i="1">&lt;b></bpt>red<ept i="1">&lt;/b></ept>
          <hi>car</hi> &amp; <ph>%s<sub>x</sub></ph>you</seg></tuv>
          <tuv lang="ko"><seg>빨간 차</seg></tuv><tuv xml:lang="de"><seg>Auto</seg></tuv></tu>
        <tu><tuv xml:lang="en"><seg>alone</seg></tuv></tu>
        <tu><tuv xml:lang="en"><seg>two</seg></tuv><tuv xml:lang="ko-KR"><seg>둘</seg></tuv></tu>
        </body></tmx>""",
        encoding="utf-8",
    )
    notes = Notes()
    pairs = read_pairs([path], ENGLISH, notes)
    assert [(pair.source.split(), pair.target) for pair in pairs] == [
        ("A red car & you".split(), "빨간 차"),
        (["two"], "둘"),
    ]
    assert pairs[0].label == "shop" and notes.empty == 1
    assert read_pairs([path], Layout(source="de", target="en")) == [Pair("Auto", pairs[0].source, "shop")]
    assert "EN-gb, ko, de" in refused(path)


def test_catalogues_leave_out_what_is_not_translated(tmp_path: Path) -> None:
    path = tmp_path / "a.po"
    path.write_text(
        'msgid ""\nmsgstr "Content-Type: text/plain; charset=utf-8\\n"\n\n'
        'msgid "Open\\nfile"\nmsgstr "파일 열기"\n\n#, fuzzy\nmsgid "Close"\nmsgstr "열기"\n\n'
        'msgid "New"\nmsgstr ""\n\n'
        'msgid "%d file"\nmsgid_plural "%d files"\nmsgstr[0] "파일 %d개"\nmsgstr[1] "파일들"\n\n'
        'msgctxt "menu"\nmsgid "Save"\nmsgstr "저장"\n\n#~ msgid "Old"\n#~ msgstr "옛"\n',
        encoding="utf-8",
    )
    expected = [Pair("Open file", "파일 열기"), Pair("%d file", "파일 %d개"), Pair("%d files", "파일들")]
    assert read_pairs([path]) == [*expected, Pair("Save", "저장")]


def test_hub_layouts_of_json(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"id": 1, "translation": {"en": "a", "ko": "b"}}\n\n{"translation": {"ko": "d", "en": "c"}, "id": 2}\n'
    )
    assert read_pairs([path]) == [Pair("a", "b"), Pair("c", "d")]
    assert read_pairs([path], KOREAN) == [Pair("b", "a"), Pair("d", "c")]
    path.write_text('{"q": "a", "a": "b"}\n')
    assert "'q', 'a'" in refused(path)
    assert read_pairs([path], Layout(source_column="a", target_column="q")) == [Pair("b", "a")]


# several files


def test_globs_and_lists(tmp_path: Path) -> None:
    for name in ("b", "a"):
        (tmp_path / f"{name}.tsv").write_text(f"{name}\t{name}\n")
        (tmp_path / f"{name}.en").write_text(f"{name}\n")
        (tmp_path / f"{name}.ko").write_text(f"{name}\n")
    assert [pair.source for pair in read_pairs([f"{tmp_path}/*.tsv", f"{tmp_path}/*.en,{tmp_path}/*.ko"])] == list(
        "abab"
    )
    (tmp_path / "c.en").write_text("c\n")
    for path in (f"{tmp_path}/*.en,{tmp_path}/*.ko", f"{tmp_path}/*.xlsx"):
        with pytest.raises(DataError, match="match"):
            files_of([path])
    (tmp_path / "[x].tsv").write_text("x\tx\n")  # a name that looks like a glob is first of all a name
    assert files_of([tmp_path / "[x].tsv"]) == [f"{tmp_path}/[x].tsv"]


def sides(count: int, seed: int = 1) -> tuple[list[str], list[str]]:
    """Lines whose lengths go together as those of translations do."""
    draw = random.Random(seed)
    lengths = [draw.randint(5, 120) for _ in range(count)]
    return ["x" * length for length in lengths], [
        "y" * max(1, round(length * draw.uniform(0.4, 0.6))) for length in lengths
    ]


@pytest.mark.parametrize("lost", [1, 40, 399, 760, 800])
@pytest.mark.parametrize("side", [0, 1])
def test_the_place_where_unequal_sides_stop_matching_is_named(lost: int, side: int, tmp_path: Path) -> None:
    both = sides(800)
    del both[side][lost - 1]
    for name, lines in zip(("a.en", "a.ko"), both, strict=True):
        (tmp_path / name).write_text("".join(line + "\n" for line in lines))
    message = refused(f"{tmp_path}/a.en,{tmp_path}/a.ko")
    assert "has 800" in message and "has 799" in message
    found = re.search("near line ([0-9]+)", message)
    assert found and abs(int(found[1]) - lost) <= 3


def test_a_slip_between_equally_long_sides_is_pointed_at(tmp_path: Path) -> None:
    source, target = sides(2000)
    for kind in ("right", "slipped"):
        if kind == "slipped":
            del target[600]
            target.insert(1400, "y" * 20)
        (tmp_path / "a.en").write_text("".join(line + "\n" for line in source))
        (tmp_path / "a.ko").write_text("".join(line + "\n" for line in target))
        notes = Notes()
        assert len(read_pairs([f"{tmp_path}/a.en,{tmp_path}/a.ko"], notes=notes)) == 2000
        assert [re.findall("lines ([0-9]+) to ([0-9]+)", message) for message in notes.messages] == (
            [] if kind == "right" else [[("601", "1400")]]
        )


def test_watching_for_slips_takes_no_memory_for_lines_gone_by() -> None:
    watch = Watch()
    tracemalloc.start()
    try:
        for number in range(30_000):
            watch.add(300 + number % 97, 300 + number % 89)
        assert tracemalloc.get_traced_memory()[1] < 200_000
    finally:
        tracemalloc.stop()


# broken files


def cut_and_flipped(content: bytes, count: int, seed: int) -> list[bytes]:
    """The content cut short, with bits turned over, with bytes put in, and with a piece left out."""
    draw, found = random.Random(seed), []
    for _ in range(count):
        place, other = sorted(draw.randrange(len(content)) for _ in range(2))
        junk = bytes(
            draw.choices([0, 10, 34, 92, 60, 0xED, 0xA0, 0x80, 0xFF, draw.randrange(256)], k=draw.randint(1, 4))
        )
        spoilt = bytearray(content)
        spoilt[place] ^= 1 << draw.randrange(8)
        found += [
            content[:place],
            bytes(spoilt),
            content[:place] + junk + content[place:],
            content[:place] + content[other:],
        ]
    return found


@pytest.mark.parametrize("kind", [*writers.WITH_LABELS, *writers.CATALOGUES])
@pytest.mark.parametrize("ending", ["", ".gz", ".xz", ".zst"])
def test_a_damaged_file_gives_pairs_or_a_clear_error(kind: str, ending: str, tmp_path: Path) -> None:
    write, file = (writers.WITH_LABELS | writers.CATALOGUES)[kind]
    path = write(SOME, tmp_path / (file + ending))
    spoilt = Path(path.split(",")[0])
    for content in cut_and_flipped(spoilt.read_bytes(), 3 if ending else 40, seed=len(kind)):
        spoilt.write_bytes(content)
        try:
            pairs = read_pairs([path])
        except DataError as error:
            assert str(spoilt) in str(error) and len(str(error)) < 5000
        else:
            for pair in pairs:
                assert not set("\n\t\0") & set(pair.source + pair.target)
                (pair.source + pair.target).encode("utf-8")


@pytest.mark.parametrize("kind", [*writers.WITH_LABELS, *writers.CATALOGUES])
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_give_pairs_or_a_clear_error(kind: str, content: bytes, tmp_path: Path) -> None:
    file = (writers.WITH_LABELS | writers.CATALOGUES)[kind][1]
    path = tmp_path / file
    path.write_bytes(content)
    try:
        read_pairs([f"{path},{path}" if kind == "moses" else path])
    except DataError as error:
        assert str(path) in str(error)


@pytest.mark.parametrize("ending", [".gz", ".xz", ".zst"])
def test_a_packed_bomb_is_refused(ending: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ojak.corpus import unpack

    monkeypatch.setattr(unpack, "LEAST", 1 << 20)
    path = writers.packed(b"a\tb\n" * 2_000_000, tmp_path / f"a.tsv{ending}")
    assert "1 MiB or 200 times" in refused(path)
    assert len(read_pairs([writers.packed(b"a\tb\n" * 200_000, tmp_path / f"b.tsv{ending}")])) == 200_000


def test_a_line_without_end_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ojak.corpus import lines

    monkeypatch.setattr(lines, "LONGEST", 1 << 20)
    (tmp_path / "a.tsv").write_bytes(b"a\tb\n" + b"a" * 4_000_000)
    assert "line 2 is longer" in refused(tmp_path / "a.tsv")


def rezipped(path: Path, change: dict[str, bytes]) -> Path:
    out = io.BytesIO()
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for part in old.namelist():
            new.writestr(part, change.get(part, old.read(part)))
        for part in change.keys() - set(old.namelist()):
            new.writestr(part, change[part])
    path.write_bytes(out.getvalue())
    return path


def test_bombs_in_workbooks_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from ojak.corpus.formats import workbook

    path = Path(writers.xlsx(SOME, tmp_path / "a.xlsx"))
    with zipfile.ZipFile(path) as archive:
        sheet = archive.read("xl/worksheets/sheet1.xml")
    far = sheet.replace(b"</sheetData>", b'<row r="1048576"><c r="XFD1048576" t="n"><v>1</v></c></row></sheetData>')
    assert b"XFD1048576" in far
    assert "row 1,048,576 and column 16,384" in refused(rezipped(path, {"xl/worksheets/sheet1.xml": far}))
    # One long text that many cells share.
    shared = b"<sst><si><t>" + b"a" * 30_000 + b"</t></si></sst>"
    cells = b"".join(b'<row r="%d"><c r="A%d" t="s"><v>0</v></c></row>' % (n, n) for n in range(1, 50_000))
    many = b"<worksheet><sheetData>" + cells + b"</sheetData></worksheet>"
    assert "repeats shared text" in refused(rezipped(path, {"xl/worksheets/sheet1.xml": many, workbook.SHARED: shared}))
    monkeypatch.setattr(workbook, "WHOLE", 1 << 20)
    writers.xlsx(SOME, path)
    assert "at most 1 MiB" in refused(rezipped(path, {"xl/media/x.bin": bytes(3 << 20)}))
    # A size that lies: the archive says a part is small.
    content = bytearray(path.read_bytes())
    place = content.rindex(b"PK\x01\x02")
    content[place + 24 : place + 28] = (5).to_bytes(4, "little")
    path.write_bytes(content)
    assert "spreadsheet" in refused(path)


ENTITIES = {
    "billion laughs": '<!DOCTYPE tmx [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;">]>',
    "a file": '<!DOCTYPE tmx [<!ENTITY a SYSTEM "file:///etc/passwd">]>',
    "a parameter": '<!DOCTYPE tmx [<!ENTITY % a SYSTEM "http://localhost/x">%a;]>',
}


@pytest.mark.parametrize("attack", ENTITIES)
def test_entities_of_a_memory_are_refused(attack: str, tmp_path: Path) -> None:
    path = tmp_path / "a.tmx"
    path.write_text(f'<?xml version="1.0"?>\n{ENTITIES[attack]}\n<tmx><body><tu>&a;</tu></body></tmx>')
    assert re.search("line 2: entities of the document's own", refused(path))


def test_a_memory_that_is_deep_or_long_or_something_else_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ojak.corpus.formats import tmx

    path = tmp_path / "a.tmx"
    path.write_text("<tmx>" + "<a>" * 10_000)
    assert "32 elements" in refused(path)
    path.write_text("<html><body>hello</body></html>")
    assert "no element <tmx>" in refused(path)
    monkeypatch.setattr(tmx, "LONGEST", 100)
    path.write_text(f"<tmx><body><tu><tuv xml:lang='en'><seg>{'a' * 200}</seg></tuv></tu></body></tmx>")
    assert "at most 100 characters" in refused(path)
    path.write_text("<tmx><body>\n<tu><seg>&#xD800;</seg>")
    assert "line 2" in refused(path)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("en,ko\na,b\nc\nd,e,f\n", "line 3: 1 column instead of 2\n  line 4: 3 columns"),
        ('en,ko\na,"b\nc,d\n', "begins in line 2"),
        ('en,ko\na,"b"c\n', "begins in line 2"),
        ("en,ko\na,b\n,\n c ,\n", "line 4: the target is empty"),
    ],
)
def test_ragged_and_unclosed_rows_are_named(content: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text(content)
    assert told in refused(path)


@pytest.mark.parametrize(
    ("row", "told"),
    [
        ("{", "is no JSON"),
        ("[1]", "no JSON object but list"),
        ('{"source": "\\ud800", "target": "x"}', "half of a surrogate pair"),
        ('{"source": "a\\u0000", "target": "x"}', "value 0"),
        ('{"source": ["a"], "target": "x"}', "the source is empty"),
        ('{"target": "x"}', "the source is empty"),
        ('{"other": "x"}', "none of the keys"),
        ("[" * 200_000, "too deep|is no JSON"),
        ('{"source": ' + "1" * 5000 + ', "target": "x"}', "is no JSON"),
    ],
)
def test_wrong_objects_are_named_with_their_lines(row: str, told: str, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps({"source": "a", "target": "b"}) + "\n" + row + "\n")
    message = refused(path)
    assert "line 2: " in message and re.search(told, message)


def test_text_that_is_no_utf8_within_parquet_is_refused(tmp_path: Path) -> None:
    import pyarrow
    from pyarrow import parquet

    path = tmp_path / "a.parquet"
    bad = pyarrow.array([b"fine", b"\xff\xfe"], pyarrow.binary()).view(pyarrow.string())
    parquet.write_table(pyarrow.table({"source": bad, "target": ["a", "b"]}), path)
    assert "Parquet" in refused(path)
    parquet.write_table(pyarrow.table({"source": ["a\0", "c"], "target": ["a", "b"]}), path)
    assert "row 1: holds" in refused(path)


def test_parquet_without_its_extra_says_how_to_get_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    import sys

    modules: Any = {"pyarrow": None, "pyarrow.parquet": None}
    for name, module in modules.items():
        monkeypatch.setitem(sys.modules, name, module)
    path = tmp_path / "a.parquet"
    path.write_bytes(b"PAR1")
    assert "ojak[parquet]" in refused(path)


def test_a_locked_workbook_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.xls").write_bytes(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600))
    assert "whole spreadsheet" in refused(tmp_path / "a.xls")
    shutil.copy(tmp_path / "a.xls", tmp_path / "a.xlsx")
    assert "whole spreadsheet" in refused(tmp_path / "a.xlsx")
