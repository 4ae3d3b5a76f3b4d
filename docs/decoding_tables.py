"""Tables and charts of the speed of decoding, from benchmarks/results/decoding-*.json."""

from __future__ import annotations

import re
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cells import MISSING, Result, made_by, read, table

from ojak.look import charts
from ojak.look.charts import Series

Row = dict[str, Any]
"""what a contender did at a task"""
LAYOUT = re.compile(r", \d × \d$")
WAYS = {"greedy": 1, "beam 4": 4}
CASES = {f"{part}, {way}": (part, beam) for part in ("small", "base") for way, beam in WAYS.items()}
MORE_MB = 150
"""what Ojak may take beyond the memory of CTranslate2"""

ABOUT = {
    "small": "3 + 3 layers, width 256, 4 heads, feed-forward 1,024, a vocabulary of 8,000",
    "base": "6 + 6 layers, width 512, 8 heads, feed-forward 2,048, a vocabulary of 32,000",
    "lstm": "LSTM with general attention (input feeding), one layer of 512, a vocabulary of 8,000",
    "gru": "GRU with additive attention, one layer of 512, a vocabulary of 8,000",
}


@dataclass(frozen=True)
class Bar:
    """A ratio that one kind of contender is to reach beside another, each by the fastest of its layouts."""

    ours: str
    theirs: str
    least: float
    name: str = "bar"


BARS = (
    Bar("ojak bf16", "CTranslate2 fp32", 1.0),
    Bar("ojak int8", "CTranslate2 int8", 0.8),
    Bar("ojak int8", "CTranslate2 int8", 1.5, "aim"),
    Bar("ojak int8, shortlist", "CTranslate2 int8", 2.5, "aim"),
    Bar("ojak int8", "Hugging Face fp32", 5.0),
    Bar("ojak int8", "JoeyNMT fp32", 5.0),
)


def decoding() -> list[str]:
    """Decoding beside the peers."""
    found = read("decoding-", ["small", "base", "recurrent", "curves"])
    lines = ["## Speed of decoding, beside the peers", ""]
    if not found:
        return [*lines, MISSING]
    rounds = {result["rounds"] for result in found.values()}
    lines += [
        "Output tokens a second of sources of 20 random words and their end, exactly 24 tokens out, from ids to ids.",
        "The weights are random, and the same in every engine that can hold them (JoeyNMT and OpenNMT-py have their",
        "own). The end of sentence and what may not be said have a bias so low that they never come, so no rule about",
        "lengths costs time; Ojak's guard against loops is off, for random weights go in circles. Workers × threads:",
        "two workers of a thread each translate different sentences; where nothing is said it is two threads. All take",
        f"turns, round by round: the median of {', '.join(map(str, sorted(rounds)))} rounds, with the least and the",
        "most. Contenders that need more than half a minute for a task are measured once. Memory is the most that the",
        "process held in the task of the first round, program and libraries included.",
    ]
    cases = {name: rows for name, (part, _) in CASES.items() if (rows := rows_of(found, part, part))}
    if cases:
        lines += ["", "Bars and aims, as ratios of the same round:", "", *bars(cases), *alone(cases)]
    for part, result in found.items():
        if part != "curves":
            for model, rows in result["models"].items():
                lines += ["", f"### {model}: {ABOUT[model]}", "", *speeds(rows)]
                if picture := PICTURES.get(model):
                    lines += ["", f"![tokens a second]({picture})"]
    if "curves" in found:
        lines += ["", "### What it costs", ""]
        lines += ["Milliseconds for a sentence, two workers of a thread each, of the small model: greedy, 64 sentences"]
        lines += ["side by side, 20 tokens to 24, a vocabulary of 8,000, where nothing else is said.", ""]
        lines += [f"![{name}]({path})" for name, (path, *_) in CURVES.items()]
    versions = {part: {**result, "versions": f"{result['versions']} {peers(result)}"} for part, result in found.items()}
    shares = {
        part: max(row["others"] for rows in its["models"].values() for row in rows) for part, its in found.items()
    }
    told = ", ".join(f"{share:.0f} % of a core ({part})" for part, share in shares.items())
    return [*lines, "", f"Other processes took meanwhile, at most: {told}.", *made_by(versions, {})]


def step() -> list[str]:
    """A step of the decoder, by the ways to make one fast."""
    lines = ["## One step of the decoder, made fast in other ways", ""]
    result = read("", ["step"]).get("step")
    if result is None:
        return [*lines, MISSING]
    lines += [
        "Milliseconds a step of the small model above, one thread, greedy, 20 words of source, 24 steps: the median of",
        "the rounds, by turns, between the fastest and the slowest. For all but Ojak the step was written anew with",
        "static shapes, a cache of fixed length and a mask over it, as compilers like it. The last column is how long",
        "making it took for one row (the C++ step is built once for both precisions; Ojak's code was kept from before,",
        "and takes 10 s the first time). Only PyTorch and Ojak need no C++ compiler.",
        "",
    ]
    rows = []
    for name, one in result["rows"]["1"].items():
        many = result["rows"]["64"][name]
        cells = [f"{its['ms']:.2f} ({its['rounds'][0]:.2f}–{its['rounds'][-1]:.2f})" for its in (one, many)]
        rows.append([f"**{name}**" if name.startswith("ojak") else name, *cells, f"{one['making']:.1f}"])
    header = ["", "one row, ms", "64 rows, ms", "made in, s"]
    return [*lines, *table(header, rows), *made_by({"step": result}, {})]


def peers(result: Result) -> str:
    return " ".join(f"{name} {version}" for name, version in result["peers"].items())


def rows_of(found: Mapping[str, Result], part: str, model: str) -> list[Row]:
    return list(found[part]["models"].get(model, [])) if part in found else []


def speeds(rows: Sequence[Row]) -> list[str]:
    """All contenders of a model: together and one by one."""
    together = [row for row in rows if not row["one"]]
    one = [row for row in rows if row["one"]]
    return [
        *batches(together),
        "",
        "One sentence at a time, milliseconds: the median, and what one in twenty takes.",
        "",
    ] + (singles(one) if one else [MISSING])


def by_contender(rows: Sequence[Row]) -> dict[str, dict[int, Row]]:
    """The rows of each contender by their beam."""
    found: dict[str, dict[int, Row]] = {}
    for row in rows:
        found.setdefault(row["contender"], {})[row["beam"]] = row
    return found


def batches(rows: Sequence[Row]) -> list[str]:
    found = by_contender(rows)
    cells = []
    for name in sorted(found, key=lambda name: -max(value(row) for row in found[name].values())):
        its = [found[name].get(beam) for beam in WAYS.values()]
        line = [f"**{name}**" if "ojak" in name else name]
        line += [spread(row["tokens_per_second"], 0) if row else "" for row in its]
        line.append(" / ".join(f"{row['sentences']}" for row in its if row))
        line.append(" / ".join(f"{row['peak_mb']:,.0f}" for row in its if row))
        cells.append(line)
    return table(["", *(f"{way}, tokens/s" for way in WAYS), "sentences", "MB"], cells)


def singles(rows: Sequence[Row]) -> list[str]:
    found = by_contender(rows)
    cells = []
    for name in sorted(found, key=lambda name: min(value(row) for row in found[name].values())):
        line = [f"**{name}**" if "ojak" in name else name]
        for row in (found[name].get(beam) for beam in WAYS.values()):
            line += [spread(row["p50_ms"], 1), f"{statistics.median(row['p95_ms']):.1f}"] if row else ["", ""]
        cells.append(line)
    return table(["", *(head for way in WAYS for head in (f"{way}, ms", "95 %"))], cells)


def value(row: Row) -> float:
    """The median of what is compared: tokens a second, or milliseconds."""
    return statistics.median(row["p50_ms" if row["one"] else "tokens_per_second"])


def spread(values: Sequence[float], digits: int) -> str:
    middle = f"{statistics.median(values):,.{digits}f}"
    if len(values) < 2:
        return f"{middle} (once)"
    return f"{middle} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def bars(cases: Mapping[str, Sequence[Row]]) -> list[str]:
    """What is to be reached by tokens a second and by memory, and whether it is, in each case."""
    lines = []
    for bar in BARS:
        line = [f"{bar.ours} beside {bar.theirs}", f"{bar.name}: {bar.least:g} ×"]
        for name, rows in cases.items():
            here = [row for row in rows if row["beam"] == CASES[name][1] and not row["one"]]
            line.append(verdict(here, bar.ours, bar.theirs, lambda found, least=bar.least: found >= least))
        lines.append(line)
    line = ["memory of ojak int8 above that of CTranslate2 int8", f"bar: at most {MORE_MB} MB"]
    for name, rows in cases.items():
        here = [row for row in rows if row["beam"] == CASES[name][1] and not row["one"]]
        ours, theirs = fastest(here, "ojak int8"), fastest(here, "CTranslate2 int8")
        if ours is None or theirs is None:
            line.append(MISSING)
            continue
        more = ours["peak_mb"] - theirs["peak_mb"]
        line.append(f"**{more:+,.0f} MB**, {'met' if more <= MORE_MB else 'missed'}")
    return table(["", "to reach", *cases], [*lines, line])


def alone(cases: Mapping[str, Sequence[Row]]) -> list[str]:
    """What is to be reached for one sentence: ojak's best time over CTranslate2's best."""
    lines = ["", "One sentence at a time, the best time of Ojak over the best of CTranslate2:", ""]
    for name, rows in cases.items():
        here = [row for row in rows if row["beam"] == CASES[name][1] and row["one"]]
        ours, theirs = (
            fastest([row for row in here if who in row["contender"]], "") for who in ("ojak", "CTranslate2")
        )
        if ours is None or theirs is None:
            lines.append(f"- {name}: {MISSING}")
            continue
        found = ratios(ours, theirs)
        middle = statistics.median(found)
        told = f"- {name}: **{middle:.2f}** ({ours['contender']}, {value(ours):.1f} ms; {theirs['contender']}, "
        told += f"{value(theirs):.1f} ms)"
        if CASES[name][0] == "small":
            told += f"; bar, at most 2: **{'met' if middle <= 2 else 'missed'}**"
            told += f"; aim, below 1: **{'met' if middle < 1 else 'missed'}**"
        lines.append(told)
    return lines


def verdict(rows: Sequence[Row], ours: str, theirs: str, good: Callable[[float], bool]) -> str:
    """The ratio of the fastest layouts of two kinds, and whether it is as it should be."""
    one, other = fastest(rows, ours), fastest(rows, theirs)
    if one is None or other is None:
        return MISSING
    found = ratios(one, other)
    middle = statistics.median(found)
    within = f" ({min(found):.2f} to {max(found):.2f})" if len(found) > 1 else ""
    return f"**{middle:.2f}**{within}, {'met' if good(middle) else 'missed'}"


def fastest(rows: Sequence[Row], kind: str) -> Row | None:
    """The row of a kind of contender, whichever its layout, that is the fastest; every kind's for an empty one."""
    mine = [row for row in rows if kind in ("", LAYOUT.sub("", row["contender"]))]
    ordered = sorted(mine, key=lambda row: value(row) if row["one"] else -value(row))
    return ordered[0] if ordered else None


def ratios(one: Row, other: Row) -> list[float]:
    """One over the other, round by round; of the medians where one was measured once."""
    key = "p50_ms" if one["one"] else "tokens_per_second"
    if len(one[key]) == len(other[key]):
        return [a / b for a, b in zip(one[key], other[key], strict=True)]
    return [value(one) / value(other)]


# Charts


PICTURES = {model: f"pictures/decoding-{model}.svg" for model in ("small", "base")}
# Title: file, model (or empty: all of them, by vocabulary), what of a task is on the axis, its name there.
CURVES = {
    "By the size of the beam": ("pictures/decoding-beam.svg", "small", "beam", "beam"),
    "By the size of the batch": ("pictures/decoding-batch.svg", "small", "batch", "sentences side by side"),
    "By the length of the source": ("pictures/decoding-length.svg", "small", "length", "tokens of the source"),
    "By the vocabulary": ("pictures/decoding-vocabulary.svg", "", "vocabulary", "words of the vocabulary"),
}
USUAL = {"beam": 1, "batch": 64, "length": 20}


def decoding_pictures() -> dict[str, str]:
    """The charts, by file, as far as there are results."""
    found = read("decoding-", ["small", "base", "curves"])
    drawn = {}
    for model, path in PICTURES.items():
        rows = [row for row in rows_of(found, model, model) if row["beam"] == 1 and not row["one"]]
        if rows:
            values = {row["contender"]: value(row) for row in rows if not row["contender"].endswith("1 × 1")}
            ours = [name for name in values if "ojak" in name]
            drawn[path] = charts.bars(f"Decoding, {model}, greedy: tokens a second on two cores", values, ours)
    if "curves" in found:
        for title, (path, model, key, axis) in CURVES.items():
            drawn[path] = curve(found["curves"], title, model, key, axis)
    return drawn


def curve(result: Result, title: str, model: str, key: str, axis: str) -> str:
    """Milliseconds a sentence against one property of the task, all others as usual."""
    rows = []
    for name, its in result["models"].items():
        if model in ("", name):
            rows += [{**row, "vocabulary": result["vocabularies"][name]} for row in its]
    rows = [row for row in rows if all(row[other] == usual for other, usual in USUAL.items() if other != key)]
    places = sorted({row[key] for row in rows})
    series = []
    for contender in dict.fromkeys(row["contender"] for row in rows):
        mine = {row[key]: row for row in rows if row["contender"] == contender}
        costs = {
            place: [1e3 * mine[place]["words"] / one for one in mine[place]["tokens_per_second"]] for place in mine
        }
        series.append(
            Series(
                contender,
                [statistics.median(costs[place]) if place in costs else None for place in places],
                [min(costs[place]) if place in costs else None for place in places],
                [max(costs[place]) if place in costs else None for place in places],
            )
        )
    return charts.lines(f"{title}: ms a sentence", [f"{place:,}" for place in places], series, (), axis, 2)
