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

import generate  # noqa: E402
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
    scores = [{"name": name, "score": score, "signature": f"{name}|v:1"} for name in tables.NAMES]
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
    monkeypatch.setattr(tables, "RESULTS", tmp_path)

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
