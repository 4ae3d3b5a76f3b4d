"""The documentation says what the program does: generated pages are fresh, links lead somewhere, commands parse."""

from __future__ import annotations

import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import pytest

from ojak import cli
from ojak.config import Recipe, keys, read_overrides, read_recipe

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "docs"))

import cells  # noqa: E402
import decoding_tables  # noqa: E402
import generate  # noqa: E402
import pareto_tables  # noqa: E402
import tables  # noqa: E402

PAGES = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/*.md")])


def test_generated_pages_are_fresh() -> None:
    assert not generate.stale(), "mend with: make docs"


def test_every_key_of_the_recipe_is_described() -> None:
    page = generate.configuration()
    assert [key for key in keys(Recipe) if f"\n| `{key}` |" not in page] == []


def test_every_verb_is_described() -> None:
    page = generate.commands()
    assert generate.verbs().keys() >= {"train", "translate", "evaluate", "corpus", "corpus clean"}
    assert [verb for verb in generate.verbs() if f"\n## ojak {verb}\n" not in page] == []


def test_help_does_not_depend_on_the_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    narrow = generate.commands()
    monkeypatch.setenv("COLUMNS", "200")
    assert generate.commands() == narrow


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_relative_links_lead_to_files(page: Path) -> None:
    text = re.sub(r"```.*?```", "", page.read_text(encoding="utf-8"), flags=re.DOTALL)
    links = re.findall(r"!?\[[^\]]*\]\(([^)\s]+)\)|(?:src|href)=\"([^\"]+)\"", text)
    paths = [link.split("#")[0] for pair in links for link in pair if not re.match(r"[a-z]+:|#|$", link)]
    assert [path for path in paths if not (page.parent / path).exists()] == []


def commands(page: Path) -> list[str]:
    """The lines of a page's shell blocks that call ojak."""
    blocks = re.findall(r"^```sh\n(.*?)^```", page.read_text(encoding="utf-8"), flags=re.DOTALL | re.MULTILINE)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", " ").split("\n")]
    return [line for line in lines if line.startswith("ojak ")]


@pytest.mark.parametrize("line", [line for page in sorted(ROOT.glob("README*.md")) for line in commands(page)])
def test_commands_of_the_readme_are_right(line: str) -> None:
    lexer = shlex.shlex(line, posix=True, punctuation_chars=True)
    lexer.whitespace_split = True
    words = list(lexer)
    ends = [place for place, word in enumerate(words) if set(word) <= set("|<>&;")]
    args = cli.parse(words[1 : ends[0] if ends else None])
    if args.verb == "train" and not args.recipe:
        read_recipe(read_overrides(args.settings))


def report(score: float, labels: tuple[str, ...] = ()) -> dict[str, Any]:
    """What Report.as_dict gives."""
    scores = [{"name": name, "score": score, "signature": f"{name}|v:1"} for name in cells.NAMES]
    by_label = dict.fromkeys(labels, scores)
    return {"pairs": 7, "scores": scores, "by_label": by_label, "perplexity": 2.5, "beam": 1, "seconds": 1.0}


def test_results_are_tabled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made = {"command": "python it.py", "machine": "a machine", "seed": 3, "threads": 1, "versions": "python 3"}
    figures = {"parameters": 4_821_780, "minutes": 12.3, "tokens_per_second": 4088.2, "dev_bleu": 30.2}
    for model, bleu in (("gru-every-step", 20.26), ("gru-additive", 28.14), ("transformer", 28.04)):
        measured = {"tokenised_bleu": bleu, "tokenised_signature": "t|v:1", "greedy": report(9), "beam": report(8)}
        (tmp_path / f"lineage-{model}.json").write_text(json.dumps({**made, **figures, **measured}))
    tests = {"enko_talk": report(40, ("lab", "shop")), "enko_chat": report(50)}
    (tmp_path / "korean-transformer-ko-en.json").write_text(json.dumps({**made, **figures, "tests": tests}))
    way = {
        "seconds_training": 90,
        "held_out": report(70),
        "handwritten": report(5),
        "examples": [["a|b", "<unk>", "c"]],
    }
    demo = {"command": "ojak demo", "seed": 1, "seconds_total": 240, "directions": {"en-ko": way}}
    (tmp_path / "demo.json").write_text(json.dumps(demo))
    drop = {
        view: {"taken out": [size, 0.1], "another word": [size, 0.1]}
        for view, size in (("chance", 0.5), ("norms", 1.25))
    }
    views = {
        "sentences": 2,
        "target_tokens": 9,
        "spearman": {"weights norms": 0.5},
        "drop": {"weights": drop["norms"], **drop},
    }
    (tmp_path / "attribution.json").write_text(
        json.dumps({**made, "longest": 12, "models": {"transformer-en-ko": views}})
    )
    monkeypatch.setattr(cells, "RESULTS", tmp_path)

    lines = tables.results().split("\n")
    assert (
        "- additive attention for the one vector: **gain**, 20.3 → 28.1 (+7.9), gru-every-step → gru-additive" in lines
    )
    assert (
        "- the Transformer for additive attention: **no gain**, 28.1 → 28.0 (-0.1), gru-additive → transformer" in lines
    )
    assert "- dot attention for the one vector: not measured yet" in lines
    assert "| ko-en | transformer | 4.8 M | 12 | 4,100 | enko_talk | 7 | 2.50 | 40.0 | 40.0 | 40.0 | 40.0 |" in lines
    assert "| shop | 40.0 / 40.0 |" in lines
    assert "| en-ko | 1.5 | hand-written | 7 | 2.50 | 5.0 | 5.0 | 5.0 | 5.0 |" in lines
    assert r"| a\|b | \<unk> | c |" in lines
    assert "- Signature of chrF: `chrF2|v:1`" in lines
    assert "| weights | – | 0.50 |" in lines and "| norms | 0.50 | – |" in lines
    assert "| chance | 0.50 ± 0.10 | 0.50 ± 0.10 |" in lines
    rules = [place for place, line in enumerate(lines) if line.startswith("| ---")]
    for place in rules:
        rows = lines[place - 1 : lines.index("", place)]
        assert len({row.replace(r"\|", "").count("|") for row in rows}) == 1


def row(contender: str, values: list[float], beam: int = 1, one: bool = False, mb: float = 100.0) -> dict[str, Any]:
    rates = {"p50_ms": values, "p95_ms": values} if one else {"tokens_per_second": values}
    task = {"batch": 64, "length": 20, "words": 24, "sentences": 512, "peak_mb": mb, "others": 3.0}
    return {"contender": contender, "beam": beam, "one": one, **task, **rates}


def test_what_decoding_is_to_reach_is_told_by_ratios_of_the_same_round() -> None:
    rows = [
        row("ojak int8, 2 × 1", [100.0, 50.0, 90.0], mb=300),
        row("ojak int8, 1 × 1", [60.0, 30.0, 50.0]),
        row("ojak int8, shortlist, 2 × 1", [900.0, 900.0, 900.0]),
        row("CTranslate2 int8, 2 × 1", [100.0, 100.0, 100.0], mb=100),
        row("CTranslate2 int8, 1 × 1", [110.0, 50.0, 90.0], mb=100),
        row("ojak int8, 1 × 1", [4.0, 4.0, 9.0], one=True),
        row("ojak int8, 1 × 2", [5.0, 3.0, 3.0], one=True),
        row("CTranslate2 int8, 1 × 1", [2.0, 3.0, 2.0], one=True),
    ]
    assert (found := decoding_tables.fastest(rows[:5], "ojak int8")) and found["contender"] == "ojak int8, 2 × 1"
    lines = decoding_tables.bars({"small, greedy": rows})
    told = {line.split(" | ")[0].strip("| ") + line.split(" | ")[1]: line.split(" | ")[2] for line in lines[2:]}
    assert told["ojak int8 beside CTranslate2 int8bar: 0.8 ×"].startswith("**0.90** (0.50 to 1.00), met")
    assert told["ojak int8 beside CTranslate2 int8aim: 1.5 ×"].startswith("**0.90** (0.50 to 1.00), missed")
    assert told["ojak int8, shortlist beside CTranslate2 int8aim: 2.5 ×"].startswith("**9.00** (9.00 to 9.00), met")
    assert told["ojak bf16 beside CTranslate2 fp32bar: 1 ×"].startswith(cells.MISSING)
    assert "**+200 MB**, missed" in lines[-1]
    (line,) = decoding_tables.alone({"small, greedy": rows})[3:]
    assert "**1.50** (ojak int8, 1 × 2, 3.0 ms; CTranslate2 int8, 1 × 1, 2.0 ms)" in line
    assert "at most 2: **met**" in line and "below 1: **missed**" in line


def test_decoding_is_tabled_and_drawn_from_its_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["ojak int8, 2 × 1", "ojak int8, 1 × 1", "CTranslate2 int8, 2 × 1", "JoeyNMT fp32"]
    rows = [row(name, [50.0 + 9 * place, 60.0], beam) for place, name in enumerate(names) for beam in (1, 4)]
    rows += [row(name, [5.0], 1, one=True) for name in names]
    about = {"command": "c", "machine": "m", "versions": "v", "peers": {"p": "1"}, "rounds": 2}
    about["vocabularies"] = {"small": 8000, "small-2000": 2000}
    curves = [row(names[0], [24000.0 / beam], beam) for beam in (1, 2, 4)]
    for part, models in {
        "small": {"small": rows},
        "recurrent": {"lstm": rows},
        "curves": {"small": curves, "small-2000": [row(names[0], [48000.0])]},
    }.items():
        (tmp_path / f"decoding-{part}.json").write_text(json.dumps({**about, "models": models}), encoding="utf-8")
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    lines = decoding_tables.decoding()
    assert any(line.startswith("| **ojak int8, 2 × 1** | 55 (50 to 60) | 55 (50 to 60) | 512 / 512") for line in lines)
    assert any(line.startswith("| JoeyNMT fp32 | 5.0 (once) | 5.0 |  |") for line in lines)
    drawn = decoding_tables.decoding_pictures()
    assert "ojak int8, 2 × 1, 4: 4.00" in drawn["pictures/decoding-beam.svg"]  # 1,000 × 24 / 6,000 ms
    assert "ojak int8, 2 × 1, 2,000: 0.50" in drawn["pictures/decoding-vocabulary.svg"]
    assert {f"pictures/decoding-{name}.svg" for name in ("small", "batch", "length")} <= drawn.keys()


def test_speed_and_quality_are_tabled_from_their_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ways = [
        ("fp32", False, 40.0, 10.0),
        ("int8", False, 39.9, 30.0),
        ("int8", True, 39.7, 60.0),
        ("bf16", False, 39, 9),
    ]
    points = [
        {"model": "6 + 1", "precision": precision, "shortlist": words, "beam": 1, "bleu": bleu}
        | {"sentences_per_second": [rate, rate + 1, rate - 1], "signature": "s"}
        for precision, words, bleu, rate in ways
    ]
    models = {"6 + 1": {"parameters": 2.3e6, "updates": 3000, "device": "gpu", "dev_bleu": 34.7}}
    result = {"command": "c", "machine": "m", "versions": "v", "test": "t", "sentences": 9, "models": models}
    result["points"] = points
    (tmp_path / "pareto-multi30k.json").write_text(json.dumps(result), encoding="utf-8")
    monkeypatch.setattr(cells, "RESULTS", tmp_path)
    lines = pareto_tables.pareto()
    assert "| 6 + 1, greedy | 40.00 | -0.10, met | 3.0 × | -0.30, missed | 6.0 × |" in lines
    assert "| 6 + 1: int8, shortlist, greedy | 60 | 39.70 |" in lines
    assert "| 6 + 1 | 2.3 M | 3,000 | GPU | 34.7 |" in lines
    assert not any(line.startswith("| 6 + 1: bf16") for line in lines)  # others are faster and better
    assert "int8, shortlist, greedy: 60.0, 39.7" in pareto_tables.pareto_pictures()["pictures/pareto-multi30k.svg"]
