"""The command line as a user meets it: in processes of its own, with its files, pipes, messages and exit codes."""

from __future__ import annotations

import errno
import json
import math
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import tiny

import ojak
from ojak import cli, files
from ojak.errors import ModelError, StorageError

OJAK = [sys.executable, "-m", "ojak"]


def run(*words: str | Path, given: str | bytes = "", code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a command line in a process of its own and holds it to an exit code, and to ending without a traceback."""
    data = given.encode() if isinstance(given, str) else given
    raw = subprocess.run([*OJAK, *map(str, words)], input=data, capture_output=True, timeout=300)
    found = subprocess.CompletedProcess(raw.args, raw.returncode, raw.stdout.decode(), raw.stderr.decode())
    assert "Traceback" not in found.stderr
    assert found.returncode == code, found.stderr
    return found


class Here:
    """The same in this process, for what needs none of its own: a second less each."""

    def __init__(self, capture: pytest.CaptureFixture[str]) -> None:
        self._capture = capture

    def __call__(self, *words: str | Path, code: int = 0) -> tuple[str, str]:
        try:
            found = cli.main([str(word) for word in words])
        except SystemExit as stopped:  # argparse's own
            found = int(stopped.code or 0)
        out, error = self._capture.readouterr()
        assert found == code, error
        return out, error

    def refused(self, *words: str | Path, code: int = 2) -> str:
        """The one message that a command line is refused with."""
        out, error = self(*words, code=code)
        assert out == ""
        assert error.startswith(f"ojak {words[0]}: ") and error.count("ojak ") - error.count("`ojak ") >= 1
        return error


@pytest.fixture
def here(capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(capsys)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("commands")


@pytest.fixture(scope="session")
def pairs(place: Path) -> Path:
    return tiny.corpus(place)


SETTINGS = """
data = { held_out = 20, source = "en", target = "xx" }
text = { kind = "word", size = 60 }
model = { architecture = "recurrent", embedding = 16, width = 16, max_length = 9 }
train = { updates = 30, batch_tokens = 64, learning_rate = 0.02, warmup = 5, dev_sentences = 5, patience = 0 }
"""


@pytest.fixture(scope="session")
def talk(place: Path, pairs: Path) -> Path:
    """A run made by the command line itself."""
    (place / "recipe.toml").write_text(SETTINGS)
    words = ["train", "--recipe", place / "recipe.toml", "--pairs", pairs, "--out", place / "talk", "train.updates=40"]
    found = run(*words)
    assert found.stdout == ""
    assert "Training on 180 pairs" in found.stderr and "40 updates" in found.stderr
    return place / "talk"


@pytest.fixture(scope="session")
def one_vector(place: Path, pairs: Path) -> Path:
    changes = {"model": {"attention": "none"}, "train": {"updates": 2}}
    ojak.train_run(tiny.settings(pairs, changes), place / "one-vector", tiny.Silent())
    return place / "one-vector"


# ---------------------------------------------------------------- the whole way


def test_settings_are_laid_over_the_recipe_and_written_down(talk: Path) -> None:
    from ojak.config import read_toml

    recipe = read_toml(talk / "recipe.toml")
    assert recipe["train"]["updates"] == 40 and recipe["train"]["warmup"] == 5
    assert recipe["data"]["target"] == "xx" and recipe["data"]["pairs"] == [str(talk.parent / "pairs-200-5.tsv")]


def test_translate_gives_a_line_for_each_line(talk: Path) -> None:
    lines = ["ab cd ef", "", "gh", "   ", "unknown words", "op op", "ab cd ef"]
    found = run("translate", talk, given="\r\n".join(lines))  # no line feed at the end, and those of Windows
    translated = found.stdout.split("\n")
    assert translated.pop() == ""
    translator = ojak.load(talk)
    assert translated == [translation.text for translation in translator.translate(lines)]
    assert (translated[1], translated[3]) == ("", "") and translated[0] == translated[6] != ""
    assert found.stderr == ""


def test_only_line_feeds_end_a_line(talk: Path, tmp_path: Path, here: Here) -> None:
    text = "ab\u2028cd\x0bef\x0cgh\u0085ab\x1dcd\n\ngh\n"
    assert run("translate", talk, given=text).stdout.count("\n") == 3
    (tmp_path / "text").write_bytes(text.encode())
    assert here("translate", talk, tmp_path / "text")[0].count("\n") == 3


def test_no_input_is_no_output(talk: Path) -> None:
    assert run("translate", talk).stdout == ""
    assert run("translate", talk, given="\n").stdout == "\n"


def test_a_file_and_standard_input_are_translated_alike(talk: Path, tmp_path: Path, here: Here) -> None:
    lines = "".join(f"{source}\n" for source, _ in tiny.pairs(30))
    (tmp_path / "sentences.txt").write_text(lines)
    assert here("translate", talk, tmp_path / "sentences.txt")[0] == run("translate", talk, given=lines).stdout


def test_json_tells_all_of_a_translation(talk: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "in").write_text("ab cd\n\nef gh ij\n")
    objects = [
        json.loads(line)
        for line in here("translate", talk, tmp_path / "in", "--json", "--attention")[0].split("\n")
        if line
    ]
    assert [one["source"] for one in objects] == ["ab cd", "", "ef gh ij"]
    plain = here("translate", talk, tmp_path / "in")[0].split("\n")
    assert [one["text"] for one in objects] == plain[:3]
    for one in (objects[0], objects[2]):
        assert len(one["attention"]) == len(one["tokens"]) and one["tokens"][-1] == "</s>"
        assert one["views"] == ["additive"]
        for row in one["attention"]:
            assert len(row) == 1 and sum(row[0]) == pytest.approx(1, abs=1e-5)
            assert len(row[0]) == len(one["source_tokens"])
    unasked = json.loads(here("translate", talk, tmp_path / "in", "--json")[0].split("\n")[0])
    assert unasked == {**objects[0], "attention": None}


def test_n_best_prints_columns_best_first(talk: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "in").write_text("ab cd\nef gh ij\n")
    out = here("translate", talk, tmp_path / "in", "--n-best", "3", "--length-penalty", "0")[0]
    rows = [line.split("\t") for line in out.splitlines()]
    assert [row[0] for row in rows] == ["1"] * 3 + ["2"] * 3
    for number in "12":
        scores = [float(row[1]) for row in rows if row[0] == number]
        assert scores == sorted(scores, reverse=True)
    (tmp_path / "pairs.tsv").write_text("".join(f"ab cd\t{row[2]}\n" for row in rows[:3] if row[2]))
    scored = [float(line) for line in here("score", talk, tmp_path / "pairs.tsv")[0].splitlines()]
    assert scored == pytest.approx([float(row[1]) for row in rows[:3] if row[2]], abs=1e-3)


def test_score_is_the_sum_of_log_probabilities(talk: Path, pairs: Path, here: Here) -> None:
    scores = [float(line) for line in here("score", talk, pairs)[0].splitlines()]
    forced = ojak.load(talk).force(*zip(*tiny.pairs(), strict=True))
    assert scores == pytest.approx([one.score for one in forced], abs=1e-5)
    normalised = [float(line) for line in here("score", talk, pairs, "--normalise")[0].splitlines()]
    assert normalised == pytest.approx([one.score / len(one.tokens) for one in forced], abs=1e-5)
    report = json.loads(here("evaluate", talk, pairs, "--json", "--beam", "1")[0])
    tokens = sum(len(one.tokens) for one in forced)
    assert report["perplexity"] == pytest.approx(math.exp(-sum(scores) / tokens), rel=1e-4)


def test_evaluate_tells_as_json_and_as_a_table(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    report = json.loads(here("evaluate", talk, pairs, "--json", "--beam", "1", "--output", tmp_path / "out")[0])
    assert report["pairs"] == 200 and report["beam"] == 1
    names = {score["name"] for score in report["scores"]}
    assert names >= {"BLEU", "chrF2"}
    assert all(score["signature"] for score in report["scores"])
    table = here("evaluate", talk, pairs, "--beam", "1")[0]
    for score in report["scores"]:
        assert f"{score['score']:.2f}" in table
    sources = tmp_path / "sources"
    sources.write_text("".join(f"{source}\n" for source, _ in tiny.pairs()))
    assert (tmp_path / "out").read_text() == here("translate", talk, sources, "--beam", "1")[0]


def test_pairs_may_be_turned_about(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    turned = tmp_path / "turned.tsv"
    turned.write_text("".join(f"{target}\t{source}\n" for source, target in tiny.pairs()))
    assert here("score", talk, turned, "--reverse")[0] == here("score", talk, pairs)[0]


def test_look_draws_for_terminal_and_files(talk: Path, tmp_path: Path, here: Here) -> None:
    pytest.importorskip("resvg_py")
    files = [tmp_path / f"look.{ending}" for ending in ("svg", "html", "png")]
    out, error = here("look", talk, "ab cd ef", *(word for file in files for word in ("--out", file)))
    assert error.split() == [str(file) for file in files]
    assert out.split("\n")[0] == ojak.load(talk)("ab cd ef").text
    assert "additive" in out
    assert files[0].read_text(encoding="utf-8").lstrip().startswith("<svg")
    assert "<html" in files[1].read_text(encoding="utf-8")
    assert files[2].read_bytes().startswith(b"\x89PNG")
    for word in ("ab", "cd", "ef"):
        assert word in files[1].read_text(encoding="utf-8")


def test_look_at_a_given_target(talk: Path, here: Here) -> None:
    out = here("look", talk, "ab cd", "--target", "CD AB")[0]
    assert out.startswith("CD AB\n")


def test_look_by_other_views(talk: Path, one_vector: Path, tmp_path: Path, here: Here) -> None:
    out = here("look", talk, "ab cd ef gh", "--view", "occlusion", "--words", "--out", tmp_path / "a.html")[0]
    assert "taken out" in out and "Rank correlation with other views" in out and "norms" in out
    assert '"occlusion"' in (tmp_path / "a.html").read_text(encoding="utf-8")
    assert "Rank correlation" not in here("look", talk, "ab cd ef gh", "--no-compare")[0]
    found = json.loads(
        here("look", talk, "ab cd", "--target", "CD AB", "--view", "integrated", "--before", "--json")[0]
    )
    assert (found["text"], found["unit"]) == ("CD AB", "nats")
    assert found["columns"] == ["ab", "cd", "</s>", "<s>", "CD", "AB"] and found["rows"] == ["CD", "AB", "</s>"]
    inside = ojak.load(talk).inside("ab cd", "CD AB")
    assert found["values"] == pytest.approx(inside.map("integrated", before=True).values)
    assert "source" in here("look", one_vector, "ab cd", "--target", "CD", "--view", "share")[0]
    assert "Occlusion" in here("look", one_vector, "ab cd", "--view", "occlusion")[0]
    _, error = here("look", talk, "ab cd", "--all-heads", tmp_path / "heads.html")
    assert error.split() == [str(tmp_path / "heads.html")]
    assert "All heads" in (tmp_path / "heads.html").read_text(encoding="utf-8")


def test_views_that_cannot_be_shown_are_told(talk: Path, tmp_path: Path, here: Here) -> None:
    assert "recurrent" in here.refused("look", talk, "ab cd", "--view", "rollout")
    assert "recurrent" in here.refused("look", talk, "ab cd", "--self", "encoder")
    assert "one view, additive" in here.refused("look", talk, "ab cd", "--layer", "0")
    assert "must end in .html" in here.refused("look", talk, "ab cd", "--all-heads", tmp_path / "heads.svg")
    assert "must end in .svg" in here.refused("look", tmp_path / "none", "ab cd", "--out", tmp_path / "map.pdf")
    page = ("--all-heads", tmp_path / "heads.html")  # is not written where something else is wrong
    assert "leave --view" in here.refused("look", talk, "ab cd", "--self", "encoder", "--words", *page)
    assert "at most 8 tokens" in here.refused("look", talk, "ab " * 9, "--view", "occlusion")
    assert here("look", talk, "ab " * 9)[0]  # attention of a text in parts, as it was translated
    assert list(tmp_path.iterdir()) == []


def test_version_and_help(here: Here) -> None:
    assert here("--version")[0].strip() == __import__("importlib.metadata").metadata.version("ojak")
    out, _ = here(code=2)
    assert "usage: ojak" in out
    for verb in ("train", "translate", "score", "evaluate", "look", "doctor", "demo"):
        assert f"usage: ojak {verb}" in here(verb, "--help")[0]


# ---------------------------------------------------------------- refusals


def test_an_unknown_verb_and_unknown_words_are_refused(here: Here, talk: Path) -> None:
    assert "invalid choice: 'trian'" in here("trian", code=2)[1]
    assert "--bogus" in here("translate", talk, "--bogus", code=2)[1]
    assert "--bogus" in here("train", "--out", "x", "--bogus", code=2)[1]
    assert "--out" in here("train", code=2)[1]


FILES: dict[str, tuple[bytes | None, tuple[str, ...]]] = {
    "missing": (None, ("No such file",)),
    "empty": (b"", ("it is empty",)),
    "binary": (b"\x7fELF\0\0\0", ("byte of value 0",)),
    "of Latin-1": ("café\tCAFÉ\n".encode("latin-1"), ("line 1", "UTF-8")),
    "without a tab": (b"a\tb\nno tab here\n", ("line 2: 1 column instead of 2", "one tab")),
    "with two tabs": (b"a\tb\nc\td\te\n", ("line 2: 3 columns",)),
    "without a target": (b"a\tb\nc\t\n", ("line 2: the target is empty",)),
    "of several faults": (b"a\nb\nc\td\te\n", ("3 lines do not", "line 1: 1 column", "line 3: 3 columns")),
}


@pytest.mark.parametrize(
    ("verb", "kind"),
    [
        (verb, kind)
        for verb in ("train", "score", "evaluate")
        for kind in FILES
        if (verb, kind) != ("train", "without a target")  # training leaves such pairs out and counts them
    ],
)
def test_a_file_of_pairs_that_is_wrong_is_told(kind: str, verb: str, talk: Path, tmp_path: Path, here: Here) -> None:
    content, told = FILES[kind]
    file = tmp_path / "wrong.tsv"
    if content is not None:
        file.write_bytes(content)
    words = ["train", "--out", tmp_path / "run", "--pairs", file] if verb == "train" else [verb, talk, file]
    message = here.refused(*words)
    assert str(file) in message
    for part in told:
        assert part in message
    assert not (tmp_path / "run").exists()


def test_line_by_line_files_of_unequal_length_are_told(tmp_path: Path, here: Here) -> None:
    (tmp_path / "t.en").write_text("a\nb\n")
    (tmp_path / "t.ko").write_text("a\n")
    both = f"{tmp_path / 't.en'},{tmp_path / 't.ko'}"
    message = here.refused("train", "--out", tmp_path / "run", "--pairs", both)
    assert "has 2 and" in message and "has 1." in message


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("train.update=3", "train.update: there is no such key; did you mean train.updates"),
        ("trian.updates=3", "trian: there is no such key; did you mean train"),
        ("updates=3", "did you mean train.updates"),
        ("model.cell=gru", "it belongs to recurrent"),
        ("model.architecture=mamba", "must be recurrent or transformer; found 'mamba'"),
        ("model.attention=dot", "model.architecture=recurrent"),
        ("train.updates=0", "train.updates: must be greater than or equal to 1; found 0"),
        ("train.updates=many", "found 'many'"),
        ("train.betas=[2.0,0.9]", "train.betas"),
        ("seed=99999999999999999999", "seed: must be less than"),
        ("model=3", "model: must be"),
        ("loud", "A setting must be key=value"),
        ("=3", "A setting must be key=value"),
    ],
)
def test_a_setting_that_is_wrong_is_told(word: str, told: str, pairs: Path, tmp_path: Path, here: Here) -> None:
    assert told in here.refused("train", "--pairs", pairs, "--out", tmp_path / "run", word)
    assert not (tmp_path / "run").exists()


def test_a_recipe_that_is_wrong_is_told(tmp_path: Path, here: Here) -> None:
    missing = here.refused("train", "--recipe", tmp_path / "none.toml", "--out", tmp_path / "run")
    assert "must be a TOML file" in missing and "none.toml" in missing
    (tmp_path / "broken.toml").write_text("seed = = 1")
    assert "cannot be read" in here.refused("train", "--recipe", tmp_path / "broken.toml", "--out", tmp_path / "run")
    assert "none were named; give --pairs" in here.refused("train", "--out", tmp_path / "run")


def test_a_run_is_never_overwritten(talk: Path, pairs: Path, here: Here) -> None:
    before = tiny.state(talk)
    assert "must be new or empty" in here.refused("train", "--pairs", pairs, "--out", talk)
    assert "only train.* may be changed" in here.refused(
        "train", "--pairs", pairs, "--out", talk, "--resume", "seed=99"
    )
    assert tiny.state(talk) == before


def test_a_model_directory_that_is_wrong_is_told(talk: Path, tmp_path: Path, here: Here) -> None:
    assert "there is no such directory" in here.refused("translate", tmp_path / "none", "x")
    assert "holds no config.json" in here.refused("look", tmp_path, "ab")
    copy = Path(shutil.copytree(talk / "model", tmp_path / "copy"))
    os.truncate(copy / "weights.safetensors", 99)
    assert "whole safetensors file" in here.refused("look", copy, "ab")
    config = json.loads((copy / "config.json").read_text())
    (copy / "config.json").write_text(json.dumps({**config, "format": 2}))
    assert "format 2" in here.refused("evaluate", copy, "x.tsv")
    (copy / "config.json").write_text("{")
    assert "must be a JSON object" in here.refused("score", copy, "x.tsv")


def test_text_that_cannot_be_translated_is_told(talk: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "long").write_text("ab\ncd\n" + "ef " * 9 + "\n")
    lines, told = here("translate", talk, tmp_path / "long", "--warnings")
    assert (
        lines.count("\n") == 3 and "line 3: It was longer than the model takes and was translated in 2 parts." in told
    )
    (tmp_path / "long.tsv").write_text("ab\tAB\n" + "ef " * 9 + "\tEF\n")
    message = here.refused("score", talk, tmp_path / "long.tsv")
    assert "at most 8 tokens" in message and "9" in message and "line 2" in message and "model.max_length" in message
    assert "at most 8 tokens" in here.refused("look", talk, "ab " * 9, "--target", "AB")
    assert "must be a file that can be read" in here.refused("translate", talk, tmp_path / "none")
    assert "it is empty" in here.refused("translate", talk, os.devnull)
    assert "must be a sentence" in here.refused("look", talk, " ")
    found = run("translate", talk, given=b"ab\n\xff\xfe\n", code=2)
    assert "line 2 of standard input" in found.stderr and found.stderr.startswith("ojak translate: ")


def test_search_settings_that_are_wrong_are_told(talk: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "in").write_text("ab\n")
    assert "search.beam" in here.refused("translate", talk, tmp_path / "in", "--beam", "0")
    assert "raise beam" in here.refused("translate", talk, tmp_path / "in", "--beam", "2", "--n-best", "3")
    assert "length_penalty" in here.refused("translate", talk, tmp_path / "in", "--length-penalty", "-1")
    assert "--attention needs --json" in here.refused("translate", talk, tmp_path / "in", "--attention")


def test_look_needs_attention_and_a_view_and_a_known_ending(
    talk: Path, one_vector: Path, tmp_path: Path, here: Here
) -> None:
    message = here.refused("look", one_vector, "ab cd")
    assert "one vector" in message and "model.attention=additive" in message
    assert "one of additive; found 'layer9'" in here.refused("look", talk, "ab cd", "--view", "layer9")
    _, error = here("look", talk, "ab cd", "--out", tmp_path / "a.gif", code=2)
    assert ".svg, .png or .html; found 'a.gif'" in error
    (tmp_path / "file").touch()
    _, error = here("look", talk, "ab cd", "--out", tmp_path / "file" / "a.svg", code=1)
    assert "Not a directory" in error or "File exists" in error
    assert list(tmp_path.iterdir()) == [tmp_path / "file"]


def test_a_one_vector_model_translates_all_the_same(one_vector: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "in").write_text("ab cd\n")
    found = json.loads(here("translate", one_vector, tmp_path / "in", "--json", "--attention")[0])
    assert found["views"] == [] and all(row == [] for row in found["attention"])


# ---------------------------------------------------------------- disks, pipes and keys


def test_a_figure_that_does_not_fit_leaves_the_old_one(
    talk: Path, tmp_path: Path, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    figure = tmp_path / "look.svg"
    figure.write_text("old")

    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    _, error = here("look", talk, "ab cd", "--out", figure, code=1)
    assert "No space left on device" in error
    monkeypatch.undo()
    with tiny.file_limit(500):
        _, error = here("look", talk, "ab cd", "--out", figure, code=1)
    assert "File too large" in error
    assert figure.read_text() == "old" and list(tmp_path.iterdir()) == [figure]


def test_an_output_that_cannot_be_written_is_one_message(talk: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    for words in (["translate", talk], ["translate", talk, "--json"], ["look", talk, "ab"]):
        with open("/dev/full", "wb") as full:
            found = subprocess.run(
                [*OJAK, *map(str, words)], input=b"ab cd\n", stdout=full, stderr=subprocess.PIPE, timeout=300
            )
        assert found.returncode == 1
        message = found.stderr.decode()
        assert message == f"ojak {words[0]}: No space left on device; the output is not whole.\n"


def test_a_reader_that_has_enough_is_no_fault(talk: Path) -> None:
    """As in `ojak translate … | head -1`."""
    process = subprocess.Popen(
        [*OJAK, "translate", str(talk), "--json", "--attention", "--beam", "1"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert process.stdin and process.stdout and process.stderr
    process.stdin.write(b"ab cd ef gh\n" * 1500)
    process.stdin.close()
    assert process.stdout.readline().startswith(b'{"source"')
    process.stdout.close()
    assert process.wait(300) == 1
    assert process.stderr.read() == b""
    process.stderr.close()


def test_interrupting_train_saves_and_says_how_to_go_on(place: Path, pairs: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    words = ["train", "--recipe", place / "recipe.toml", "--pairs", pairs, "--out", out]
    (place / "recipe.toml").write_text(SETTINGS)
    endless = ["train.updates=100000", "train.log_every=1", "train.save_every=100000"]
    process = subprocess.Popen([*OJAK, *map(str, words), *endless], stderr=subprocess.PIPE, text=True)
    patience = time.monotonic() + 300
    while time.monotonic() < patience and process.poll() is None:
        if (out / "history.jsonl").exists() and b'"update"' in (out / "history.jsonl").read_bytes().split(b"\n", 1)[-1]:
            break
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    messages = process.communicate(timeout=300)[1]
    assert process.returncode == 130
    assert f"go on with: ojak train --out {out} --resume" in messages and "Traceback" not in messages
    saved = max(path for path in (out / "state").iterdir() if path.name.isdecimal())
    found = run("train", "--out", out, "--resume", f"train.updates={int(saved.name) + 3}")
    assert f"{int(saved.name) + 3} updates" in found.stderr
    run("translate", out, given="ab\n")


def test_keys_pressed_elsewhere_are_one_message(here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("ojak.commands.doctor.run", pressed)
    assert here("doctor", code=130)[1] == "ojak doctor: interrupted\n"


@pytest.mark.parametrize(("error", "code"), [(ModelError("no model"), 2), (StorageError("no space"), 1)])
def test_an_error_decides_the_exit_code(
    error: Exception, code: int, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    def failing(*_: Any) -> None:
        raise error

    monkeypatch.setattr("ojak.commands.doctor.run", failing)
    assert here("doctor", code=code)[1] == f"ojak doctor: {error}\n"


HEAVY = ("torch", "numpy", "sacrebleu", "pydantic", "fastapi", "sentencepiece", "safetensors", "rich", "tensorboardX")


@pytest.mark.parametrize("words", [["--help"], ["train", "--help"], ["--version"], ["trian"], []])
def test_help_and_errors_of_use_import_nothing_heavy(words: list[str]) -> None:
    code = (
        "import sys\n"
        "from ojak.cli import main\n"
        "try: main(sys.argv[1:])\n"
        "except SystemExit: pass\n"
        "print('\\nIMPORTED', *sorted({name.split('.')[0] for name in sys.modules}))"
    )
    found = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True, timeout=300)
    imported = set(found.stdout.split("IMPORTED")[1].split())
    assert "ojak" in imported and not imported & set(HEAVY)


def test_how_long_help_takes(record_property: Callable[[str, object], None]) -> None:
    begun = time.monotonic()
    run("--help")
    seconds = time.monotonic() - begun
    record_property("seconds", seconds)
    print(f"ojak --help took {seconds:.2f} s")


# ---------------------------------------------------------------- what a reader of the code once found


def test_settings_may_stand_anywhere(pairs: Path, tmp_path: Path) -> None:
    orders = (
        ["--pairs", pairs, "seed=3", "--out", "r", "model.width=4"],
        ["seed=3", "--out", "r", "--pairs", pairs, "model.width=4"],
        ["--out", "r", "model.width=4", "--pairs", pairs, "seed=3"],
        ["--out", "r", "--pairs", pairs, "--alignments", "links", "model.width=4", "seed=3"],
    )
    for words in orders:
        args = cli.parse(["train", *map(str, words)])
        assert args.pairs == [str(pairs)] and sorted(args.settings) == ["model.width=4", "seed=3"]
        assert (args.alignments or ["links"]) == ["links"]


def test_a_pipe_that_waits_gets_its_answer(talk: Path) -> None:
    words = [*OJAK, "translate", str(talk)]
    with subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdin and process.stdout
        for line in (b"ab cd ef\n", b"gh\n"):
            process.stdin.write(line)
            process.stdin.flush()
            assert process.stdout.readline().strip()  # the pipe is still open
        process.stdin.close()
        assert process.stdout.read() == b"" and process.wait(300) == 0


def test_a_byte_order_mark_is_no_text(talk: Path) -> None:
    assert (
        run("translate", talk, given=b"\xef\xbb\xbfab cd\n").stdout == run("translate", talk, given=b"ab cd\n").stdout
    )


def test_a_pair_that_is_too_long_is_named_by_file_and_line(talk: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "long.tsv").write_text(f"ab\tAB\n\n{'ab ' * 30}\tAB\n")
    for verb in ("score", "evaluate"):
        assert "long.tsv, line 3: " in here.refused(verb, talk, tmp_path / "long.tsv")


def test_any_console_can_be_written_to(talk: Path) -> None:
    found = subprocess.run(
        [*OJAK, "look", str(talk), "안녕 ab"], capture_output=True, env={**os.environ, "PYTHONIOENCODING": "ascii"}
    )
    assert found.returncode == 0 and "안녕 ab" in found.stdout.decode("utf-8")


@pytest.mark.parametrize("version", ["1", 0, None, 1.5])
def test_a_format_that_is_no_number_is_broken_and_not_newer(
    version: object, talk: Path, tmp_path: Path, here: Here
) -> None:
    shutil.copytree(talk / "model", tmp_path / "model")
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    (tmp_path / "model" / "config.json").write_text(json.dumps({**config, "format": version}))
    message = here.refused("translate", tmp_path / "model", "x")
    assert "broken" in message and "update Ojak" not in message


@pytest.mark.parametrize("word", ["model.dropout=0.999", "train.clip=inf", "train.learning_rate=inf"])
def test_numbers_that_no_training_can_take_are_refused(word: str, pairs: Path, tmp_path: Path, here: Here) -> None:
    assert word.split("=")[0] in here.refused("train", "--pairs", pairs, "--out", tmp_path / "run", word)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("turned", [False, True])
def test_pairs_that_stand_the_other_way_round_are_told(turned: bool, tmp_path: Path, here: Here) -> None:
    lines = [("Good morning.", "좋은 아침이에요."), ("Where is the KTX?", "KTX가 어디 있어요?")]
    sides = [pair[::-1] for pair in lines] if turned else lines
    (tmp_path / "pairs.tsv").write_text("".join(f"{one}\t{other}\n" for one, other in sides), encoding="utf-8")
    (tmp_path / "said").write_text("".join(f"{one}\n" for one, _ in sides), encoding="utf-8")
    words = ("evaluate", tmp_path / "said", tmp_path / "pairs.tsv", "--resamples", "0", "--source", "ko", "--target")
    _, wrong = here(*words, "en", *(["--reverse"] if turned else []))
    assert f"from ko to en; {'leave --reverse out' if turned else 'add --reverse'}" in wrong
    for other, more in (("en", () if turned else ("--reverse",)), ("xx", ())):  # as it should be, and not to be told
        assert "note" not in here(*words, other, *more)[1]


def test_systems_are_compared(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    here("evaluate", talk, pairs, "--beam", "1", "--output", tmp_path / "said.txt", "--resamples", "0")
    worse = tmp_path / "worse.txt"
    worse.write_text("".join("AB\n" if n % 2 else f"{target}\n" for n, (_, target) in enumerate(tiny.pairs())))
    (tmp_path / "scores").write_text("0.5\n" * 200)
    few = ("--resamples", "30", "--trials", "40")
    words = ["--pairs", pairs, "--beam", "1", *few, "--scores", f"X={tmp_path / 'scores'},{tmp_path / 'scores'}"]
    out, error = here("compare", f"model={talk}", worse, *words, "--json", "--html", tmp_path / "page.html")
    found = json.loads(out)
    assert [one["name"] for one in found["systems"]] == ["model", "worse.txt"] and found["baseline"] == "model"
    assert "perplexity" in found["systems"][0] and "perplexity" not in found["systems"][1]
    assert {one["name"] for one in found["comparisons"][0]["scores"]} == {"BLEU", "chrF2", "chrF2++", "TER", "X"}
    # The run was trained on these pairs but those held out, and says so.
    assert found["leaks"]["of"] == ["talk"] and 150 < found["leaks"]["pairs"] < 200
    assert str(tmp_path / "page.html") in error and "</html>" in (tmp_path / "page.html").read_text(encoding="utf-8")
    table = here("compare", tmp_path / "said.txt", f"model={talk}", "--pairs", pairs, "--beam", "1", *few)[0]
    assert "WARNING: " in table and "+0.00 (+0.00 to +0.00), p 1, bootstrap p 1" in table
    assert table.count("*") == 1 and "* differs by more than chance (p < 0.05)" in table  # which nothing does


def test_a_file_of_translations_is_measured_like_a_model(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    model = here("evaluate", talk, pairs, "--beam", "1", "--output", tmp_path / "said", "--json", "--no-training")[0]
    given = here("evaluate", tmp_path / "said", pairs, "--json", "--source", "en", "--target", "xx")[0]
    for name in ("scores", "references", "repeated", "length_ratio"):
        assert json.loads(given)[name] == json.loads(model)[name]
    assert "no training text is at hand" in given and "no training text" not in model


def test_what_training_had_is_named_or_left_out(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    some = tmp_path / "some.tsv"
    some.write_text("".join(f"{source}\t{target}\n" for source, target in tiny.pairs()[:7]))
    said = tmp_path / "said"
    said.write_text("".join(f"{target}\n" for _, target in tiny.pairs()))
    found = json.loads(here("evaluate", said, pairs, "--train", some, "--json", "--resamples", "0")[0])
    assert found["leaks"]["pairs"] == 7 and found["leaks"]["of"] == ["some.tsv"] and found["by_frequency"]
    assert found["without_leaks"][0]["score"] == pytest.approx(100) and "low" not in found["scores"][0]
    # A run whose files are gone still has what it packed of them.
    copy = tmp_path / "copy"
    shutil.copytree(talk, copy)
    recipe = (copy / "recipe.toml").read_text(encoding="utf-8")
    (copy / "recipe.toml").write_text(recipe.replace(str(pairs), str(tmp_path / "gone.tsv")), encoding="utf-8")
    words = ("--beam", "1", "--resamples", "0", "--json")
    packed = json.loads(here("evaluate", copy, pairs, *words)[0])
    assert packed["leaks"]["pairs"] == json.loads(here("evaluate", talk, pairs, *words)[0])["leaks"]["pairs"] > 150


def test_measuring_refuses_what_does_not_go_together(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    (tmp_path / "short").write_text("AB\n")
    (tmp_path / "empty").write_text("")
    of = ("--pairs", pairs)
    assert "At least two systems" in here.refused("compare", talk, *of)
    assert "each of the 200 pairs, but holds 1" in here.refused("compare", tmp_path / "short", talk, *of)
    assert "it is empty" in here.refused("evaluate", tmp_path / "empty", pairs)
    assert "no such directory" in here.refused("compare", talk, tmp_path / "missing", *of)
    assert "two are x" in here.refused("compare", f"x={tmp_path / 'short'}", f"x={tmp_path / 'empty'}", *of)
    assert "NAME=FILE" in here.refused("evaluate", tmp_path / "short", pairs, "--scores", "scores.txt")
    assert "a name of its own" in here.refused("evaluate", tmp_path / "short", pairs, "--scores", "BLEU=x")
    assert "one for each of 2 systems" in here.refused("compare", talk, tmp_path / "short", *of, "--scores", "X=a,b,c")
    assert "fewer than 0 resamples" in here.refused("evaluate", talk, pairs, "--resamples", "-1")
    assert "is a file" in here.refused("evaluate", tmp_path / "short", pairs, "--ensemble", talk)


def test_score_tells_more_when_asked(talk: Path, pairs: Path, tmp_path: Path, here: Here) -> None:
    forced = ojak.load(talk).force(*zip(*tiny.pairs(), strict=True))
    lines = [json.loads(line) for line in here("score", talk, pairs, "--json")[0].splitlines()]
    assert [line["tokens"] for line in lines] == [list(one.tokens) for one in forced]
    for line, one in zip(lines, forced, strict=True):
        assert sum(line["token_scores"]) == pytest.approx(line["score"], abs=1e-4) == pytest.approx(one.score, abs=1e-4)
        assert line["perplexity"] == pytest.approx(math.exp(-one.score / len(one.tokens)), rel=1e-4)
    whole = json.loads(here("score", talk, pairs, "--corpus", "--json")[0])
    total, tokens = sum(one.score for one in forced), sum(len(one.tokens) for one in forced)
    assert (whole["pairs"], whole["tokens"]) == (200, tokens)
    assert whole["perplexity"] == pytest.approx(math.exp(-total / tokens), rel=1e-4)
    characters = sum(len(target) for _, target in tiny.pairs())
    assert whole["bits_per_character"] == pytest.approx(-total / math.log(2) / characters, rel=1e-4)
    same = tmp_path / "same"
    same.write_text("".join(f"{target}\n" for _, target in tiny.pairs()))
    for line, one in zip(here("score", talk, pairs, "--hypotheses", same)[0].splitlines(), forced, strict=True):
        mine, theirs, *scores = map(float, line.split("\t"))
        assert mine == theirs == pytest.approx(one.score, abs=1e-4)
        assert scores == [100, 100, 100, 0]
    (tmp_path / "short").write_text("AB\n")
    assert "but holds 1 lines" in here.refused("score", talk, pairs, "--hypotheses", tmp_path / "short")
