"""What the tables of docs/results.md are made with: result files, cells, and how the numbers came about."""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
MISSING = "not measured yet"

Result = dict[str, Any]
"""a result file"""
ReportDict = dict[str, Any]
"""what `ojak evaluate --json` prints"""

TRAINING = ["parameters", "minutes", "tokens/s"]
REPORT = ["pairs", "perplexity", "BLEU", "chrF", "chrF++", "TER"]
NAMES = {"BLEU": "BLEU", "chrF2": "chrF", "chrF2++": "chrF++", "TER": "TER"}
"""sacreBLEU's names of scores, and ours"""


def read(prefix: str, names: Iterable[str]) -> dict[str, Result]:
    """The result files that there are, by name, in the order of the names."""
    paths = {name: RESULTS / f"{prefix}{name}.json" for name in names}
    return {name: json.loads(path.read_text(encoding="utf-8")) for name, path in paths.items() if path.exists()}


def comment(path: str) -> str:
    """The first line of a recipe, which says what it is."""
    return (ROOT / path).read_text(encoding="utf-8").split("\n")[0].removeprefix("# ")


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """The lines of a Markdown table."""
    escaped = [[cell.replace("|", "\\|").replace("<", "\\<") for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *escaped]
    return [f"| {' | '.join(line)} |" for line in lines]


def scores(report: ReportDict) -> dict[str, float]:
    return {score["name"]: score["score"] for score in report["scores"]}


def training(result: Result) -> list[str]:
    """The cells of TRAINING."""
    speed = f"{round(result['tokens_per_second'], -2):,.0f}"
    return [f"{result['parameters'] / 1e6:.1f} M", f"{result['minutes']:.0f}", speed]


def spread(values: Sequence[float]) -> str:
    """The mean of the seeds, between the lowest and the highest where there are several."""
    if len(values) == 1:
        return f"{values[0]:.2f}"
    return f"{statistics.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


def report_cells(report: ReportDict) -> list[str]:
    """The cells of REPORT."""
    found = scores(report)
    return [f"{report['pairs']:,}", f"{report['perplexity']:.2f}", *(f"{found[name]:.1f}" for name in NAMES)]


def label_table(title: str, columns: Mapping[str, ReportDict]) -> list[str]:
    """BLEU and chrF of each label (rows) in each report (columns); nothing if no report has labels."""
    labels = sorted({label for report in columns.values() for label in report["by_label"]})
    if not labels:
        return []
    rows = []
    for label in labels:
        row = [label]
        for report in columns.values():
            found = scores({"scores": report["by_label"].get(label, [])})
            row.append(f"{found['BLEU']:.1f} / {found['chrF2']:.1f}" if found else "")
        rows.append(row)
    return ["", f"{title}:", "", *table(["Label", *columns], rows)]


def report_signatures(reports: Mapping[str, ReportDict], *names: str) -> dict[str, list[tuple[str, str]]]:
    """For each score (or those of these names) its signature in each named report."""
    found: dict[str, list[tuple[str, str]]] = {NAMES[name]: [] for name in names or NAMES}
    for where, report in reports.items():
        for score in report["scores"]:
            if NAMES[score["name"]] in found:
                found[NAMES[score["name"]]].append((where, score["signature"]))
    return found


def made_by(found: Mapping[str, Result], signatures: Mapping[str, list[tuple[str, str]]]) -> list[str]:
    """How the numbers came about: signatures, pairs, machine, seed, threads, versions, commands."""
    if not found:
        return []
    facts = {f"Signature of {name}": values for name, values in signatures.items()}
    for key in ("pairs", "machine", "seed", "threads", "versions"):
        what = "Pairs learnt from" if key == "pairs" else key.capitalize()
        facts[what] = [(name, said(result[key])) for name, result in found.items() if key in result]
    lines = [line for name, values in facts.items() for line in fact(name, values)]
    commands = dict.fromkeys(result["command"] for result in found.values())
    return ["", *lines, "", "```sh", *commands, "```"]


def said(value: Any) -> str:
    """A value as text; of several by name, each after its name."""
    return " ".join(f"{name} {one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


def fact(name: str, values: list[tuple[str, str]]) -> list[str]:
    """A line for each different value, with where it holds if there is more than one."""
    places: dict[str, list[str]] = {}
    for where, value in values:
        places.setdefault(value, []).append(where)
    if len(places) < 2:
        return [f"- {name}: `{value}`" for value in places]
    return [f"- {name} ({', '.join(dict.fromkeys(where))}): `{value}`" for value, where in places.items()]
