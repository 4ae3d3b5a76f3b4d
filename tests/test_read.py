"""Pairs from files."""

from __future__ import annotations

import gzip
import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ojak.corpus.faults import Notes
from ojak.corpus.pair import Pair
from ojak.corpus.read import read_lines, read_pairs
from ojak.errors import DataError


def put(path: Path, content: bytes | str) -> Path:
    """Write a file, packed where its name says so."""
    raw = content.encode("utf-8") if isinstance(content, str) else content
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


def refused(*paths: Path | str) -> str:
    with pytest.raises(DataError) as caught:
        read_pairs(paths)
    return str(caught.value)


def nfc(text: str) -> str:
    return unicodedata.normalize("NFC", text)


# what is read


@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz", "a.txt", "a.txt.gz"])
def test_tabbed_lines_become_pairs(name: str, tmp_path: Path) -> None:
    path = put(tmp_path / name, "hello\t안녕\ngood night\t잘 자\n")
    expected = [Pair("hello", "안녕"), Pair("good night", "잘 자")]
    assert read_pairs([path]) == read_pairs([str(path)]) == expected
    assert read_pairs([path, path]) == expected * 2


def test_two_files_go_line_by_line(tmp_path: Path) -> None:
    put(tmp_path / "talk.en", "hello\n\ngood night")
    put(tmp_path / "talk.ko.gz", "안녕\n\n잘 자\n")
    notes = Notes()
    assert read_pairs([f"{tmp_path}/talk.en,{tmp_path}/talk.ko.gz"], notes=notes) == [
        Pair("hello", "안녕"),
        Pair("good night", "잘 자"),
    ]
    assert notes.empty == 1


def test_a_comma_in_the_name_of_a_file_is_a_comma(tmp_path: Path) -> None:
    assert read_pairs([put(tmp_path / "a,b.tsv", "x\ty\n")]) == [Pair("x", "y")]


def test_lines_end_at_newline_only(tmp_path: Path) -> None:
    text = "a\x0bb\x0cc\x1c\x85\u2028\u2029\rd"
    assert read_pairs([put(tmp_path / "a.tsv", f"{text}\t{text}\r\nx\ty\r\r\n")]) == [
        Pair(text, text),
        Pair("x", "y\r"),
    ]


def test_text_is_composed_and_the_byte_order_mark_dropped_and_nothing_else_changes(tmp_path: Path) -> None:
    pairs = read_pairs([put(tmp_path / "a.tsv", "\ufeff  e\u0301 \t\ufeff x  \u1112\u1161\u11ab Ａ\n")])
    assert pairs == [Pair("  é ", "\ufeff x  한 Ａ")]


def test_wholly_empty_lines_are_skipped_and_counted(tmp_path: Path) -> None:
    notes = Notes()
    path = put(tmp_path / "a.tsv", "\na\tb\n \r\n\t\nc\td\n\n")
    assert read_pairs([path], notes=notes) == [Pair("a", "b"), Pair("c", "d")]
    assert notes.empty == 4


@pytest.mark.parametrize("name", ["talk.dev.labels", "talk.dev.labels.gz"])
@pytest.mark.parametrize("pairs", ["talk.dev.tsv", "talk.dev.tsv.gz"])
def test_labels_are_found_beside_the_pairs(name: str, pairs: str, tmp_path: Path) -> None:
    put(tmp_path / name, "travel\nskipped\nbusiness\n")
    path = put(tmp_path / pairs, "a\tb\n\nc\td\n")
    assert read_pairs([path]) == [Pair("a", "b", "travel"), Pair("c", "d", "business")]


def test_read_lines_keeps_empty_lines(tmp_path: Path) -> None:
    assert read_lines(put(tmp_path / "a.en", "\ufeffa\r\n\n b\tc \n\n")) == ["a", "", " b\tc ", ""]
    assert read_lines(put(tmp_path / "b.en", "\n")) == [""]


side = st.text(st.characters(exclude_characters="\t\n\r\0", exclude_categories=["Cs"])).filter(str.strip)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.tuples(side, side), min_size=1))
def test_what_is_written_is_read(tmp_path: Path, sides: list[tuple[str, str]]) -> None:
    path = put(tmp_path / "a.tsv", "\ufeff" + "".join(f"{source}\t{target}\n" for source, target in sides))
    assert read_pairs([path]) == [Pair(nfc(source), nfc(target)) for source, target in sides]


# what is refused


def test_wrong_counts_of_tabs_are_named_with_their_lines(tmp_path: Path) -> None:
    message = refused(put(tmp_path / "a.tsv", "a\tb\nno tab here\nc\td\te\n"))
    assert "a.tsv" in message and "2 lines do not" in message
    assert "line 2: 1 column instead of 2" in message and "line 3: 3 columns instead of 2" in message
    assert "Put one tab" in message


def test_one_empty_side_is_refused(tmp_path: Path) -> None:
    message = refused(put(tmp_path / "a.tsv", "a\t \n\tb\n"))
    assert "line 1: the target is empty" in message and "line 2: the source is empty" in message


def test_five_faults_are_shown_and_all_are_counted(tmp_path: Path) -> None:
    message = refused(put(tmp_path / "a.tsv", "x\n" * 12))
    assert "12 lines do not" in message and "and 7 more" in message
    assert "line 5:" in message and "line 6:" not in message


def test_faults_of_all_files_are_named_at_once(tmp_path: Path) -> None:
    good = put(tmp_path / "good.tsv", "a\tb\n")
    message = refused(put(tmp_path / "a.tsv", "x\n"), good, tmp_path / "b.tsv")
    assert "a.tsv" in message and "b.tsv" in message and "good" not in message


def test_bytes_that_are_no_utf8_are_named_with_line_and_byte(tmp_path: Path) -> None:
    message = refused(put(tmp_path / "a.tsv", b"a\tb\nc\t\xb0\xa1\n\xe3\x84\tx\n"))
    assert "line 2: byte 3 of the line is 0xb0" in message and "line 3: byte 1 of the line is 0xe3" in message


def test_utf16_and_binary_files_are_told_apart(tmp_path: Path) -> None:
    assert read_pairs([put(tmp_path / "a.tsv", "a\tb\n".encode("utf-16"))]) == [Pair("a", "b")]
    assert "line 1: holds a byte of value 0" in refused(put(tmp_path / "b.tsv", b"a\tb\0\n"))


@pytest.mark.parametrize("content", [b"", b"\xef\xbb\xbf"])
@pytest.mark.parametrize("name", ["a.tsv", "a.tsv.gz"])
def test_an_empty_file_is_refused(name: str, content: bytes, tmp_path: Path) -> None:
    assert "it is empty" in refused(put(tmp_path / name, content))


def test_a_file_of_empty_lines_is_refused(tmp_path: Path) -> None:
    assert "its 2 lines are all empty" in refused(put(tmp_path / "a.tsv", "\n\n"))


def test_missing_files_directories_and_no_files_are_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(tmp_path / "a.tsv")
    assert "is a directory" in refused(tmp_path)
    assert "null" in refused("a\0.tsv")
    assert "File name too long" in refused(f"{tmp_path}/{'a' * 5000}.tsv")
    assert "at least one file" in refused()


def test_another_ending_is_refused(tmp_path: Path) -> None:
    assert "must end in .tsv, " in refused(put(tmp_path / "a.docx", "a\tb\n"))


@pytest.mark.parametrize(
    "damage",
    [b"", b"plain text", gzip.compress(b"a\tb\n" * 99, mtime=0)[:22], b"\x1f\x8b\x08\0junk"],
    ids=["empty", "text", "cut", "junk"],
)
def test_a_broken_gzip_is_refused(damage: bytes, tmp_path: Path) -> None:
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(damage)
    message = refused(path)
    assert "gzip" in message or "it is empty" in message


def test_a_gzip_with_a_flipped_bit_is_refused(tmp_path: Path) -> None:
    packed = bytearray(gzip.compress(b"a\tb\n" * 99))
    packed[-6] ^= 8  # in the checksum
    (tmp_path / "a.tsv.gz").write_bytes(packed)
    assert "packed by gzip" in refused(tmp_path / "a.tsv.gz")


def test_unequal_files_are_refused_with_both_counts(tmp_path: Path) -> None:
    en, ko = put(tmp_path / "a.en", "a\nb\n"), put(tmp_path / "a.ko", "a\nb\nc\n")
    message = refused(f"{en},{ko}")
    assert "a.en has 2" in message and "a.ko has 3" in message


def test_two_files_with_one_empty_side_are_refused(tmp_path: Path) -> None:
    en, ko = put(tmp_path / "a.en", "a\n\nc\n"), put(tmp_path / "a.ko", "a\nb\n \n")
    message = refused(f"{en},{ko}")
    assert "line 2: the source is empty" in message and "line 3: the target is empty" in message


@pytest.mark.parametrize("name", ["a.en,b.ko,c.de", "a.en,", ",a.en"])
def test_a_pair_of_files_has_two_names(name: str) -> None:
    assert "Name two files" in refused(name)


def test_labels_must_be_as_many_as_lines(tmp_path: Path) -> None:
    put(tmp_path / "a.labels", "x\n")
    message = refused(put(tmp_path / "a.tsv", "a\tb\nc\td\n"))
    assert "a.labels" in message and "1 lines" in message and "other 2" in message
    put(tmp_path / "a.labels", "x\ny\nz\n")
    assert "3 lines" in refused(tmp_path / "a.tsv")


# real pairs


def test_real_pairs_with_labels(data: Path) -> None:
    pairs = read_pairs([data / "enko_talk.dev.tsv.gz"])
    assert len(pairs) == 1003
    assert {"tatoeba", "xnli"} <= {pair.label for pair in pairs}
    assert "line 1: 3 columns" in refused(data / "align_roen.dev.tsv.gz")  # a third column holds alignments


def test_every_real_file_of_pairs_is_read(data: Path) -> None:
    paths = [path for path in sorted(data.glob("*.dev.tsv.gz")) if not path.name.startswith("align_")]
    notes = Notes()
    assert paths and all(read_pairs([path], notes=notes) for path in paths)
    assert notes == Notes()
