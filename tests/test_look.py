"""Figures of attention: their numbers against the Translation's own, their text against hostile tokens."""

from __future__ import annotations

import base64
import errno
import json
import os
import re
import struct
import subprocess
import sys
import warnings
import xml.etree.ElementTree as ET
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ojak.errors import StorageError, UseError
from ojak.look import charts, figures, fonts, labels, scale
from ojak.maps import Heads, Map
from ojak.result import Alternative, Translation
from ojak.words import word_starts

SVG = "{http://www.w3.org/2000/svg}"
HOSTILE = (
    "<script>alert(1)</script>",
    "</script>",
    "<!--",
    "]]>",
    "a&b\"'",
    "\x00",
    "\x1b[31m",
    "\u202e",
    "\ud800",
    "",
)


def made(source: tuple[str, ...], target: tuple[str, ...], views: tuple[str, ...] = ("additive",)) -> Translation:
    """A translation with random weights that sum to 1 over the source."""
    drawn = np.random.default_rng(7).gamma(0.3, size=(len(target), len(views), len(source))) + 1e-6
    weights = (drawn / drawn.sum(axis=-1, keepdims=True)).astype(np.float32)
    return Translation(" ".join(source), " ".join(target), source, target, -3.5, weights, views)


KOREAN = made(
    ("▁회의", "를", "▁월요일", "로", "▁미루", "ᆯ까요", "?", "</s>"),
    ("▁Shall", "▁we", "▁post", "pone", "▁it", "?", "</s>"),
    tuple(f"layer{layer}.head{head}" for layer in range(2) for head in range(3)),
)


def cells(document: str) -> dict[tuple[int, int], tuple[str, float, str]]:
    """Each titled cell of an SVG by row and column: its words, its number and its colour."""
    found = [
        (float(rect.attrib["y"]), float(rect.attrib["x"]), title.text or "", rect.attrib["fill"])
        for rect in ET.fromstring(document).iter(SVG + "rect")
        if (title := rect.find(SVG + "title")) is not None
    ]
    rows, columns = sorted({y for y, *_ in found}), sorted({x for _, x, *_ in found})
    return {
        (rows.index(y), columns.index(x)): (text.rpartition(": ")[0], float(text.rpartition(": ")[2]), fill)
        for y, x, text, fill in found
    }


class _Data(HTMLParser):
    """What a browser takes for the data of the page, and every element that it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.data = ""
        self.elements: list[str] = []
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self._inside = tag == "script" and ("id", "data") in attrs

    def handle_endtag(self, tag: str) -> None:
        self._inside = False

    def handle_data(self, data: str) -> None:
        if self._inside:
            self.data += data


def page_of(document: str) -> _Data:
    page = _Data()
    page.feed(document)
    page.close()
    return page


# --- numbers ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("view", ["mean", "layer1", "layer0.head2"])
def test_svg_cells_are_the_view(view: str) -> None:
    expected = KOREAN.view(view)
    found = cells(figures.svg(KOREAN, view))
    assert set(found) == {(t, s) for t in range(expected.shape[0]) for s in range(expected.shape[1])}
    for (t, s), (text, weight, fill) in found.items():
        assert weight == pytest.approx(expected[t, s], abs=0.00501)
        assert fill == scale.web(float(expected[t, s]))
        assert text == f"{labels.label(KOREAN.source_tokens[s])} → {labels.label(KOREAN.tokens[t])}"


def test_page_holds_every_view_and_its_means() -> None:
    data = json.loads(page_of(figures.html(KOREAN, "layer1")).data)
    (sentence,) = data["sentences"]
    weights = np.array(sentence["weights"])
    assert data["view"] == "layer1"
    for k, view in enumerate(KOREAN.views):
        np.testing.assert_allclose(weights[k], KOREAN.view(view), atol=5.1e-5)
    np.testing.assert_allclose(weights.mean(axis=0), KOREAN.view(), atol=5.1e-5)
    assert sentence["source_tokens"] == list(KOREAN.source_tokens)
    assert sentence["tokens"] == list(KOREAN.tokens)


def test_page_lists_sentences_alternatives_and_warnings() -> None:
    first = Translation(
        "물", "water", ("물",), ("water",), -0.5, np.ones((1, 1, 1), np.float32), ("dot",),
        (Alternative("the water", ("the", "water"), -1.5),), ("loops",),
    )  # fmt: skip
    data = json.loads(page_of(figures.html([first, KOREAN])).data)
    assert [each["source"] for each in data["sentences"]] == ["물", KOREAN.source]
    assert data["sentences"][0]["alternatives"] == [{"text": "the water", "score": -1.5}]
    assert data["sentences"][0]["warnings"] == ["loops"]


def test_terminal_shades_follow_the_weights() -> None:
    weights = np.array([[[0.8, 0.2, 0.0]], [[0.3, 0.1, 0.6]]], np.float32)
    translation = Translation("a b c", "x y", ("a", "b", "c"), ("x", "y"), -1.0, weights, ("dot",))
    lines = figures.terminal(translation, width=80, color=False).splitlines()
    assert [line.split()[1:4] for line in lines[-4:-2]] == [["██", "░░", "··"], ["▒▒", "░░", "▓▓"]]
    assert lines[-4].split()[4:] == ["0.80", "a"]


def test_names_on_the_figure() -> None:
    for view, name in (("mean", "mean of 6 views"), ("layer1", "layer1, mean of 3 views"), ("layer0.head1",) * 2):
        text = "".join(ET.fromstring(figures.svg(KOREAN, view)).itertext())
        assert f"Attention: {name}" in text
        assert "회의" in text
        assert f"Attention: {name}\n" in figures.terminal(KOREAN, view, 80, False)


@pytest.mark.parametrize("part", [scale.PAPER, scale.NIGHT, scale.PAPER_BELOW, scale.NIGHT_BELOW])
def test_scales_go_one_way_in_lightness(part: tuple[tuple[float, scale.Colour], ...]) -> None:
    light = [scale._lightness(scale.colour(i / 100, part)) for i in range(101)]
    steps = np.diff(light)
    assert (steps <= 0).all() or (steps >= 0).all()
    assert scale.colour(0, part) == part[0][1]
    assert scale.colour(2, part) == part[-1][1]


@pytest.mark.parametrize(
    ("above", "below"), [(scale.PAPER, scale.PAPER_BELOW), (scale.NIGHT, scale.NIGHT_BELOW)], ids=["paper", "night"]
)
def test_what_is_below_zero_has_the_other_hue_and_about_the_same_lightness(
    above: tuple[tuple[float, scale.Colour], ...], below: tuple[tuple[float, scale.Colour], ...]
) -> None:
    assert scale.colour(-2, above) == below[-1][1] and scale.colour(-0.0, above) == above[0][1]
    for weight in (0.1, 0.3, 0.6, 1.0):
        (red, _, blue), (other_red, _, other_blue) = scale.colour(weight, above), scale.colour(-weight, above)
        assert (blue - red) - (other_blue - other_red) > 60  # blue against orange, which nearly every eye tells apart
        lightness = [scale._lightness(scale.colour(sign * weight, above)) ** 0.5 for sign in (1, -1)]
        assert abs(lightness[0] - lightness[1]) < 0.2


def test_256_colours_grow_lighter_with_the_weight() -> None:
    light = dict(scale._RAMP)
    values = [scale._lightness(light[scale.nearest_256(i / 100)]) for i in range(101)]
    assert values == sorted(values)
    assert len(set(values)) >= 8


# --- labels ----------------------------------------------------------------------------------------------------------


def test_labels() -> None:
    assert labels.label("▁회의") == "회의"
    assert labels.label("▁") == labels.label(" ") == "␣"
    assert labels.label("a▁b") == "a␣b"
    assert labels.label("<0xEC>") == "<0xEC>"
    assert labels.label("</s>") == "</s>"
    assert labels.label("") == "∅"
    assert labels.label("\n\u202e\ud800") == "‹U+000A›‹U+202E›‹U+D800›"
    assert labels.label("\u0301") == "◌\u0301"
    assert labels.label("\u11af") == "◌\u11af"  # a final consonant without its syllable
    assert labels.label("각") == "각"  # composed, so that one syllable is one cell
    assert word_starts(("▁a", "b", "▁c", "<0xEC>", "</s>")) == [False, False, True, False, True]
    assert word_starts(("a", "b", "</s>")) == [False, False, False]


def test_columns_of_a_terminal() -> None:
    assert labels.columns("한국어") == 6
    assert labels.columns("abc") == 3
    assert labels.columns("e\u0301") == 1
    assert labels.columns("한") == 2  # decomposed Hangul
    assert labels.columns("ｗ") == 2
    assert labels.elide("한국어입니다", 7) == "한국어…"
    assert labels.elide("한국어입니다", 6) == "한국…"


# --- terminal --------------------------------------------------------------------------------------------------------

tokens = st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=12), min_size=1, max_size=14)


@settings(max_examples=60, deadline=None)
@given(tokens, tokens, st.integers(16, 100), st.booleans())
def test_no_line_is_wider_than_the_terminal(source: list[str], target: list[str], width: int, color: bool) -> None:
    text = figures.terminal(made(tuple(source), tuple(target)), width=width, color=color)
    plain = re.sub(r"\x1b\[[0-9;]*m", "", text)
    assert "\x1b" not in plain
    for line in plain.split("\n"):
        assert labels.columns(line) <= width


def test_korean_columns_line_up() -> None:
    """Where each label begins, its cells begin, counted in columns: across, and one below the other."""
    for width in (100, 30):
        lines = figures.terminal(KOREAN, width=width, color=False).split("\n")
        first_row = next(i for i, line in enumerate(lines) if line.startswith("Shall"))
        header, row = lines[lines.index("") + 1 : first_row], lines[first_row]
        assert (len(header) == 1) == (width == 100)

        def starts(line: str) -> set[int]:
            return {labels.columns(line[: found.start()]) for found in re.finditer(r"\S+", line)}

        cells_at = starts(re.split(r"\s+\d\.\d\d ", row)[0]) - {0}
        assert set().union(*map(starts, header)) == cells_at


def test_folded_blocks_hold_every_column_once() -> None:
    long = made(tuple(f"t{i}" for i in range(50)), ("x", "y"))
    lines = figures.terminal(long, width=40, color=False).split("\n")
    rows = [line for line in lines if line.startswith("x ")]
    assert len(rows) > 1
    assert sum(len(line.split()) - 1 for line in rows) == 50
    assert max(map(len, rows)) - min(map(len, rows)) <= 12  # no block of a last token or two


def test_colour_is_left_out_where_it_is_not_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True, raising=False)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLORTERM", "truecolor")
    assert "\x1b[48;2;" in figures.terminal(KOREAN, width=80)
    monkeypatch.delenv("COLORTERM")
    assert "\x1b[48;5;" in figures.terminal(KOREAN, width=80)
    monkeypatch.setenv("NO_COLOR", "1")
    assert "\x1b" not in figures.terminal(KOREAN, width=80)


def test_width_of_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "50")
    lines = figures.terminal(KOREAN, color=False).split("\n")
    assert 30 < max(map(labels.columns, lines)) <= 50
    with pytest.raises(UseError, match="at least 16"):
        figures.terminal(KOREAN, width=5)


# --- escaping --------------------------------------------------------------------------------------------------------


@settings(max_examples=60, deadline=None)
@given(tokens, tokens)
def test_any_tokens_give_a_well_formed_figure(source: list[str], target: list[str]) -> None:
    translation = made(tuple(source), tuple(target))
    found = cells(figures.svg(translation))
    assert len(found) == len(source) * len(target)
    (sentence,) = json.loads(page_of(figures.html(translation)).data)["sentences"]
    assert sentence["source_tokens"] == source
    assert sentence["tokens"] == target
    ET.fromstring(figures.notebook(translation))


def test_hostile_tokens_stay_text() -> None:
    translation = made(HOSTILE, HOSTILE[::-1])
    document = figures.svg(translation)
    assert {element.tag.removeprefix(SVG) for element in ET.fromstring(document).iter()} <= {
        "svg", "title", "desc", "rect", "g", "text",
    }  # fmt: skip
    harmless = page_of(figures.html(made(("a",), ("b",))))
    page = page_of(figures.html(translation))
    assert page.elements == harmless.elements
    (sentence,) = json.loads(page.data)["sentences"]
    assert sentence["source_tokens"] == list(HOSTILE)
    assert page_of(figures.notebook(translation)).elements.count("script") == 0
    for text in (document, figures.html(translation), figures.notebook(translation)):
        text.encode()  # a lone surrogate would fail here
        assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", text)


def test_page_asks_for_nothing_from_the_network() -> None:
    document = figures.html(KOREAN)
    assert "default-src 'none'" in document
    # The one address is a name, the namespace of SVG.
    assert set(re.findall(r"https?://[^\"'\s]+", document)) == {"http://www.w3.org/2000/svg"}
    assert 'lang="en"' in document
    assert "not why" in document
    assert "prefers-color-scheme: dark" in document


def test_korean_is_text_with_its_language() -> None:
    document = figures.svg(KOREAN)
    assert ">월요일</text>" in document
    assert 'xml:lang="ko"' in document
    assert "sans-serif" in document


def test_columns_hold_wide_korean_labels() -> None:
    wide = made(("안녕하세요", "반갑습니다", "</s>"), ("Hello", "</s>"))
    texts = [t for t in ET.fromstring(figures.svg(wide)).iter(SVG + "text") if t.text in wide.source_tokens]
    columns = [text for text in texts if text.attrib["y"] == texts[0].attrib["y"]]
    assert [text.text for text in columns] == list(wide.source_tokens)
    for first, second in pairwise(columns):
        assert float(second.attrib["x"]) - float(first.attrib["x"]) >= 5 * 14


def test_long_sentence_keeps_its_size() -> None:
    long = made(tuple(f"▁단어{i}" for i in range(80)), tuple(f"▁word{i}" for i in range(80)))
    root = ET.fromstring(figures.svg(long))
    assert float(root.attrib["width"]) < 2000
    sizes = [float(e.attrib["font-size"]) for e in root.iter() if "font-size" in e.attrib]
    assert min(sizes) >= 10
    assert root.attrib["viewBox"] == f"0 0 {root.attrib['width']} {root.attrib['height']}"


def test_very_long_sentences_leave_out_empty_cells() -> None:
    long = made(tuple(map(str, range(120))), tuple(map(str, range(120))))
    found = re.findall(r"<title>.*: (\d\.\d\d)</title>", figures.svg(long))
    assert len(found) == int((long.view() >= 0.005).sum())


# --- no attention ----------------------------------------------------------------------------------------------------


def test_no_attention_is_said() -> None:
    plain = Translation("물", "water", ("물",), ("water",), -1.0)
    vector = Translation("물", "water", ("물",), ("water",), -1.0, np.zeros((1, 0, 1), np.float32))
    for draw in (figures.svg, figures.terminal, figures.html):
        with pytest.raises(UseError, match="attention=True"):
            draw(plain)
        with pytest.raises(UseError, match="one vector"):
            draw(vector)
    for each in (plain, vector):
        assert "<svg" not in figures.notebook(each)
        assert "water" in each._repr_html_()


def test_no_such_view_and_broken_numbers_are_refused() -> None:
    for draw in (figures.svg, figures.terminal, figures.html):
        with pytest.raises(UseError, match="layer9"):
            draw(KOREAN, "layer9")
    short = Translation("a", "b", ("a", "b"), ("c",), -1.0, np.ones((1, 1, 1), np.float32), ("dot",))
    broken = Translation("a", "b", ("a",), ("c",), -1.0, np.full((1, 1, 1), np.nan, np.float32), ("dot",))
    for draw in (figures.svg, figures.terminal, figures.html):
        with pytest.raises(UseError, match="target tokens, views, source tokens"):
            draw(short)
        with pytest.raises(UseError, match="finite"):
            draw(broken)
    assert "finite" in figures.notebook(broken)
    with pytest.raises(UseError, match="at least one"):
        figures.html([])


def test_empty_translation_is_drawn() -> None:
    empty = Translation("", "", ("</s>",), (), 0.0, np.zeros((0, 1, 1), np.float32), ("dot",))
    ET.fromstring(figures.svg(empty))
    assert figures.terminal(empty, width=40, color=False)
    assert json.loads(page_of(figures.html(empty)).data)


def test_notebook_shows_the_mean_map() -> None:
    text = figures.notebook(KOREAN)
    assert "mean of 6 views" in text
    assert "max-width:100%" in text


# --- files -----------------------------------------------------------------------------------------------------------


def test_save_picks_by_ending(tmp_path: Path) -> None:
    figures.save(KOREAN, tmp_path / "a.SVG", "layer1")
    assert (tmp_path / "a.SVG").read_text(encoding="utf-8") == figures.svg(KOREAN, "layer1")
    figures.save(KOREAN, str(tmp_path / "a.html"))
    assert (tmp_path / "a.html").read_text(encoding="utf-8") == figures.html(KOREAN)
    with pytest.raises(UseError, match=r"\.svg, \.png or \.html"):
        figures.save(KOREAN, tmp_path / "a.pdf")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.SVG", "a.html"]


@pytest.mark.parametrize("step", ["fsync", "replace"])
def test_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    path = tmp_path / "a.svg"
    path.write_text("before", encoding="utf-8")
    monkeypatch.setattr(os, step, full)
    with pytest.raises(StorageError, match="No space left"):
        figures.save(KOREAN, path)
    assert path.read_text(encoding="utf-8") == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_missing_folder_is_made(tmp_path: Path) -> None:
    figures.save(KOREAN, tmp_path / "none" / "a.html")
    assert (tmp_path / "none" / "a.html").read_text(encoding="utf-8") == figures.html(KOREAN)


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_written_file_has_usual_permissions(tmp_path: Path) -> None:
    figures.save(KOREAN, tmp_path / "a.svg")
    (tmp_path / "plain").touch()
    assert (tmp_path / "a.svg").stat().st_mode == (tmp_path / "plain").stat().st_mode


# --- PNG and fonts ---------------------------------------------------------------------------------------------------


def tiny_font(path: Path, family: str, first: int, last: int) -> Path:
    """A font file of two tables: its name, and one range of characters."""
    name = family.encode("utf-16-be")
    names = struct.pack(">HHH6H", 0, 1, 18, 3, 1, 0x409, 1, len(name), 0) + name
    # Format 4 with the range and the closing segment that the format asks for.
    segments = struct.pack(">HHHHHHH", 4, 32, 0, 4, 4, 1, 0) + struct.pack(
        ">HHHHHhhHH", last, 0xFFFF, 0, first, 0xFFFF, 1, 1, 0, 0
    )
    characters = struct.pack(">HHHHI", 0, 1, 3, 1, 12) + segments
    head = struct.pack(">IHHHH", 0x00010000, 2, 0, 0, 0)
    start = len(head) + 2 * 16
    head += struct.pack(">4sIII", b"cmap", 0, start, len(characters))
    head += struct.pack(">4sIII", b"name", 0, start + len(characters), len(names))
    path.write_bytes(head + characters + names)
    return path


@pytest.fixture
def no_fonts(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A system whose only fonts are those put into the folder given."""
    folder = tmp_path / "fonts"
    folder.mkdir()
    monkeypatch.delenv("OJAK_FONT", raising=False)
    monkeypatch.setattr(fonts, "folders", lambda: [folder])
    monkeypatch.setattr(fonts, "_packaged", lambda: None)
    return folder


def test_font_with_hangul_is_found_before_others(no_fonts: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert fonts.find() is None
    fonts._installed.cache_clear()
    latin = tiny_font(no_fonts / "aaa.ttf", "Latin", 0x20, 0x7E)
    (no_fonts / "broken.ttf").write_bytes(b"\x00\x01\x00\x00\x00")
    assert fonts.find() == fonts.Font(latin, "Latin", hangul=False)
    fonts._installed.cache_clear()
    tiny_font(no_fonts / "brush.otf", "Brush", 0xAC00, 0xD7A3)
    plain = tiny_font(no_fonts / "NanumGothic.ttf", "Nanum", 0xAC00, 0xD7A3)
    assert fonts.find() == fonts.Font(plain, "Nanum", hangul=True)
    monkeypatch.setenv("OJAK_FONT", str(latin))
    assert fonts.find() == fonts.Font(latin, "Latin", hangul=False)
    monkeypatch.setenv("OJAK_FONT", str(no_fonts / "broken.ttf"))
    with pytest.raises(UseError, match="OJAK_FONT"):
        fonts.find()
    fonts._installed.cache_clear()


def test_png_without_its_library_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "resvg_py", None)
    with pytest.raises(UseError, match=re.escape("pip install 'ojak[png]'")):
        figures.save(KOREAN, tmp_path / "a.png")
    assert list(tmp_path.iterdir()) == []


def test_png_is_the_svg_in_pixels(tmp_path: Path) -> None:
    pytest.importorskip("resvg_py")
    found = fonts.find()
    with warnings.catch_warnings():
        if found is None or not found.hangul:
            warnings.simplefilter("ignore")
        figures.save(KOREAN, tmp_path / "a.png")
    image = (tmp_path / "a.png").read_bytes()
    assert image.startswith(b"\x89PNG")
    root = ET.fromstring(figures.svg(KOREAN))
    for size, side in zip(struct.unpack(">II", image[16:24]), ("width", "height"), strict=True):
        assert size == pytest.approx(2 * float(root.attrib[side]), abs=2)


def test_png_of_korean_warns_where_no_font_has_it(tmp_path: Path, no_fonts: Path) -> None:
    pytest.importorskip("resvg_py")
    fonts._installed.cache_clear()
    with pytest.warns(UserWarning, match=r"fonts-nanum.*OJAK_FONT"):
        figures.png(KOREAN, tmp_path / "a.png")
    fonts._installed.cache_clear()


# --- lightness -------------------------------------------------------------------------------------------------------


def test_figures_import_no_torch_and_no_drawing_library() -> None:
    code = "import sys, ojak.look.figures; print(*(m for m in ('torch', 'resvg_py', 'rich') if m in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""


# --- maps of other views ---------------------------------------------------------------------------------------------

SIGNED = Map(
    "occlusion",
    "occlusion",
    "nats",
    np.array([[2.0, -1.0, 0.01], [0.5, 0.0, -0.2]], np.float32),
    ("▁x", "</s>"),
    ("▁가", "나", "</s>"),
    Translation("가나", "x", ("▁가", "나", "</s>"), ("▁x", "</s>"), -1.0),
    ("A note of it.", "Rank correlation with other views: weights +0.50 / +0.40."),
)


def test_a_map_is_drawn_with_its_signs() -> None:
    found = cells(figures.svg(SIGNED))
    for (t, s), (text, weight, fill) in found.items():
        assert weight == pytest.approx(float(SIGNED.values[t, s]), abs=0.0051)
        assert fill == scale.web(float(SIGNED.values[t, s]) / 2)
        assert text == f"{labels.label(SIGNED.columns[s])} → {labels.label(SIGNED.rows[t])}"
    document = "".join(ET.fromstring(figures.svg(SIGNED)).itertext())
    for words in ("Occlusion", "+2.00", "-1.00", "nats", "A note of it.", "weights +0.50"):
        assert words in document
    lines = figures.terminal(SIGNED, width=80, color=False).split("\n")
    rows = [line.split() for line in lines if line.startswith(("x", "</s>"))]
    assert rows == [["x", "██", "≡≡", "····", "+2.00", "가"], ["</s>", "▒▒", "··", "----", "+0.50", "가"]]
    assert "A note of it." in lines and any("below zero" in line for line in lines)
    coloured = figures.terminal(SIGNED, width=80, color=True)
    assert "nats -2.00" in coloured and "+2.00" in coloured
    ET.fromstring(figures.notebook(SIGNED))
    assert "A note of it." in SIGNED._repr_html_()


def test_what_stands_beside_the_rows_is_within_the_figure() -> None:
    beside = ("source 83%", "neither helped")
    shared = Map(
        "share",
        "share",
        "nats",
        SIGNED.values[:, :2],
        SIGNED.rows,
        ("source", "before"),
        SIGNED.translation,
        (),
        beside,
    )
    root = ET.fromstring(figures.svg(shared))
    places = {text.text: text for text in root.iter(SVG + "text")}
    for words in beside:
        assert float(places[words].attrib["x"]) + 11 * labels.ems(words) <= float(root.attrib["width"])
        assert words in figures.terminal(shared, width=80, color=False)
    assert "from →" in places


@settings(max_examples=40, deadline=None)
@given(tokens, tokens, st.integers(16, 100), st.booleans())
def test_any_map_gives_figures_that_fit(source: list[str], target: list[str], width: int, color: bool) -> None:
    values = np.random.default_rng(3).normal(size=(len(target), len(source))).astype(np.float32)
    shown = Map("gradient", "gradient × input", "nats", values, tuple(target), tuple(source), KOREAN, ("a note " * 9,))
    for line in re.sub(r"\x1b\[[0-9;]*m", "", figures.terminal(shown, width=width, color=color)).split("\n"):
        assert labels.columns(line) <= width
    assert len(cells(figures.svg(shown))) == len(source) * len(target)
    (sentence,) = json.loads(page_of(figures.html(shown)).data)["sentences"]
    assert sentence["source_tokens"] == source and sentence["tokens"] == target


def test_a_page_of_a_map_holds_the_others_and_every_head() -> None:
    rows, columns = KOREAN.tokens, KOREAN.source_tokens
    values = [np.full((7, 8), number, np.float32) for number in (-0.5, 0.125)]
    shown = Map("occlusion", "occlusion", "nats", values[0], rows, columns, KOREAN, ("a note",))
    other = Map("norms", "attention norms", "share", values[1], rows, columns, KOREAN)
    data = json.loads(page_of(figures.html(shown, "mean", [other])).data)
    (sentence,) = data["sentences"]
    assert data["view"] == "occlusion" and sentence["heads"] == 6
    assert sentence["views"] == [*KOREAN.views, "occlusion", "norms"]
    np.testing.assert_allclose(sentence["weights"][2], KOREAN.view("layer0.head2"), atol=5.1e-5)
    np.testing.assert_allclose(sentence["weights"][6:], values)
    assert sentence["scales"][6] == {
        "most": 0.5, "signed": True, "digits": 2, "unit": "nats", "notes": ["a note"],
    }  # fmt: skip
    assert {len(sentence[name]) for name in ("views", "names", "weights", "scales")} == {8}
    merged = Map("occlusion", "occlusion", "nats", values[0][:2, :3], SIGNED.rows, SIGNED.columns, KOREAN)
    assert json.loads(page_of(figures.html(merged)).data)["sentences"][0]["heads"] == 0


def test_broken_maps_are_refused() -> None:
    for values in (np.zeros((3, 3)), np.full((2, 3), np.nan)):
        broken = Map("occlusion", "occlusion", "nats", values, SIGNED.rows, SIGNED.columns, SIGNED.translation)
        for draw in (figures.svg, figures.terminal, figures.html):
            with pytest.raises(UseError, match="finite numbers for 2 rows and 3 columns"):
                draw(broken)


def test_the_page_of_all_heads_holds_every_weight() -> None:
    drawn = np.random.default_rng(5).dirichlet(np.ones(8), size=(2, 3, 8)).astype(np.float32)
    cross = KOREAN.require_attention().transpose(1, 0, 2).reshape(2, 3, 7, 8)
    decoder = np.tril(np.ones((2, 3, 7, 7), np.float32))
    decoder /= decoder.sum(-1, keepdims=True)
    document = figures.heads(Heads(KOREAN, drawn, cross, decoder, ("<s>", *KOREAN.tokens[:-1])))
    page = page_of(document)
    parts = json.loads(page.data)["parts"]
    assert [part["name"] for part in parts] == ["Encoder", "Over the source", "Decoder"]
    for part, weights in zip(parts, (drawn, cross, decoder), strict=True):
        levels = np.frombuffer(base64.b64decode(part["weights"]), np.uint8).reshape(weights.shape)
        np.testing.assert_allclose(levels / 255, weights, atol=0.5 / 255 + 1e-7)
        assert (part["layers"], part["heads"]) == (2, 3)
    assert parts[2]["columns"][0] == "<s>" and "회의" in parts[0]["rows"]
    assert "default-src 'none'" in document and "not why" in document
    assert set(re.findall(r"https?://[^\"'\s]+", document)) == {"http://www.w3.org/2000/svg"}
    none = np.zeros((0, 0, 8, 8), np.float32)
    alone = figures.heads(Heads(KOREAN, none, cross, none, ()))
    assert [part["name"] for part in json.loads(page_of(alone).data)["parts"]] == ["Over the source"]
    with pytest.raises(UseError, match="one vector"):
        figures.heads(Heads(KOREAN, none, none, none, ()))


def test_hostile_tokens_stay_text_on_the_page_of_heads() -> None:
    def page(words: tuple[str, ...]) -> str:
        weights = np.full((1, 1, len(words), len(words)), 0.1, np.float32)
        return figures.heads(Heads(made(words, words), weights, weights, weights, words))

    assert page_of(page(HOSTILE)).elements == page_of(page(("a", "b"))).elements
    assert not re.search("[\x00-\x08\x0b-\x1f\x7f\u202e]", page(HOSTILE))


POSITIVE = st.floats(1e-3, 1e6)


@given(st.lists(st.tuples(POSITIVE, st.floats(0, 100)), min_size=1, max_size=12))
def test_the_front_is_what_no_other_place_beats_in_both(places: list[tuple[float, float]]) -> None:
    front = charts.front(places)
    beaten = {one for one in places for x, y in places if (x, y) != one and x >= one[0] and y >= one[1]}
    assert front == sorted(set(places) - beaten)


@given(st.lists(st.tuples(POSITIVE, st.floats(0, 100)), min_size=1, max_size=12))
def test_scattered_places_lie_within_their_axes(places: list[tuple[float, float]]) -> None:
    said = [f"<{number}>" for number in range(len(places))]
    points = charts.Points("one & other", [x for x, _ in places], [y for _, y in places], said)
    root = ET.fromstring(charts.scatter("A title", [points], "across", "up"))
    marks = [path for path in root.iter(f"{SVG}path") if path.find(f"{SVG}title") is not None]
    assert len(marks) == len(places)
    rules = list(root.iter(f"{SVG}line"))
    left, right = min(float(rule.get("x1", 0)) for rule in rules), max(float(rule.get("x2", 0)) for rule in rules)
    for mark, (x, y), name in zip(marks, places, said, strict=True):
        assert mark.findtext(f"{SVG}title") == f"one & other, {name}: {x:,.1f}, {y:.1f}"
        assert left - 4.2 <= float(str(mark.get("d"))[1:].split()[0]) <= right + 0.2
