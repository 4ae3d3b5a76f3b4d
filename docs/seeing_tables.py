"""Tables of where models look: attention maps, how views agree, word alignments."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import alignment as alignment_benchmark  # noqa: E402
from cells import MISSING, Result, made_by, read, table  # noqa: E402


def pictures() -> list[str]:
    """Attention maps of the models above."""
    about = ["## Where they looked", ""]
    result = read("", ["pictures"]).get("pictures")
    if result is None:
        return [*about, f"The pictures: {MISSING}."]
    lines = [
        *about,
        "Rows are the words as they were written, columns the source. Where a row looks further to the right than the",
        "row below it, the word order is turned round. The weights show what was read, not why a word was chosen.",
    ]
    for name, its in result["pictures"].items():
        lines += ["", f"`{its['run']}`: {its['source']} → {its['translation']}", ""]
        lines += [f"![attention of {its['run']}](pictures/{name}.svg)"]
    return [*lines, *made_by({"pictures": result}, {})]


def attribution() -> list[str]:
    """How views of the same translations agree, and how much hangs on the word that each calls the most important."""
    found = read("", ["attribution"])
    lines = ["## How views agree", ""]
    if not found:
        return [*lines, MISSING]
    result = found["attribution"]
    lines += [
        "Ways of asking which source words a target word came from ([looking.md](looking.md)), on real sentences",
        f"(the first of enko_talk.test with at most {result['longest']} words) and the models' own greedy",
        "translations. Attention is the mean of all heads.",
    ]
    ways = {"taken out": "is taken out", "another word": "makes way for another, drawn at random"}
    for name, of in result["models"].items():
        views = [view for view in of["drop"] if view not in ("chance", "the most there is")]
        correlation = {frozenset(names.split()): f"{value:.2f}" for names, value in of["spearman"].items()}
        rows = [[view, *(correlation.get(frozenset((view, other)), "–") for other in views)] for view in views]
        drops = sorted(of["drop"].items(), key=lambda item: -item[1]["another word"][0])
        lines += [
            "",
            f"**{name}**, {of['sentences']} sentences, {of['target_tokens']} target tokens. Mean rank correlation",
            "(Spearman) of the pieces of the source, over target tokens:",
            "",
            *table(["", *views], rows),
            "",
            "Fall of a target token's log-probability, in nats, with the standard error over sentences, when the",
            "source word that the view calls the most important for it is changed:",
            "",
            *table(
                ["The word that is chosen by", *ways.values()],
                [[view, *(f"{drop[way][0]:.2f} ± {drop[way][1]:.2f}" for way in ways)] for view, drop in drops],
            ),
        ]
    lines += [
        "",
        "`chance` is the mean over all words, and `the most there is` what the best word for each token would give.",
        "Occlusion is measured by taking words out, so there it has the most by definition; the second column is fair.",
    ]
    return [*lines, *made_by(found, {})]


def alignments() -> list[str]:
    """Error rates of word alignments beside eflomal's, a column for each pair of languages."""
    found = read("alignment-", alignment_benchmark.SETS)
    rows = []
    for name in dict.fromkeys(name for result in found.values() for name in result["rows"]):
        here = [result["rows"].get(name) for result in found.values()]
        rates = [f"{one['aer']:.3f} ({one['precision']:.2f}, {one['recall']:.2f})" if one else MISSING for one in here]
        rows.append([name, *rates])
    readings = [
        f"- {pair}, {name}: {row['by']}"
        for pair, result in found.items()
        for name, row in result["rows"].items()
        if not name.startswith("eflomal,") or "both" in name
    ]
    models = [
        f"- {pair}, {name}: {model['updates']:,} updates{'' if model['ended'] else ' so far'}, "
        f"{model['parameters'] / 1e6:.1f} M parameters, {model['minutes']} minutes, "
        f"perplexity {model['perplexity']:.2f} on everyday sentences"
        for pair, result in found.items()
        for name, model in result["models"].items()
    ]
    missing = [pair for pair in alignment_benchmark.SETS if pair not in found]
    return [
        "## Word alignments by attention",
        "",
        "Alignment error rate, lower is better, with precision and recall in brackets, on every other line of gold",
        "that people drew; what was to choose was chosen on the lines between. *ahead* translates from the first",
        "language to the second, *back* the other way. What the rows mean is in",
        "[alignment.md](alignment.md#how-good-it-is).",
        "",
        *(table(["AER (precision, recall)", *found], rows) if found else []),
        *(["", f"{MISSING.capitalize()}: {', '.join(missing)}."] if missing else []),
        "",
        "Does each step gain?",
        "",
        *[line for what in ALIGNING for line in gains(found, *what)],
        *[
            f"- {pair}: in {doubt:.1%} of 2,000 resamples of the lines the last stage is not better than eflomal"
            for pair, result in found.items()
            if (doubt := result.get("resamples in which it is not better than eflomal")) is not None
        ],
        "",
        "How far each stage of the models was trained, on sentences in both orders:",
        "",
        *models,
        "",
        "What was chosen:",
        "",
        *readings,
        *made_by(found, {}),
    ]


ALIGNING = (
    ("norms instead of weights", "weights", "norms"),
    ("both directions instead of one", "norms", "both directions"),
    ("norms instead of weights, guided", "guided, weights", "guided, norms"),
    ("both directions instead of one, guided", "guided, norms", "guided, both directions"),
    ("guided models instead of unguided", "both directions", "guided, both directions"),
    ("the best of attention instead of eflomal", "eflomal", ""),
)
"""what is tried, and how the names of rows begin that it is tried against and with"""


def gains(found: Mapping[str, Result], what: str, before: str, after: str) -> list[str]:
    """For each pair of languages, whether the least error rate of some rows is below that of others."""
    lines = []
    for pair, result in found.items():
        rates = {name: row["aer"] for name, row in result["rows"].items()}
        old = [rate for name, rate in rates.items() if name.startswith(before)]
        if before.endswith("norms"):  # the better of weights and norms, of one direction
            old += [rate for name, rate in rates.items() if name.startswith(before.replace("norms", "weights"))]
        new = [rate for name, rate in rates.items() if name.startswith(after) and not (not after and "eflomal" in name)]
        if not old or not new:
            lines.append(f"- {pair}, {what}: {MISSING}")
            continue
        verdict = "gain" if min(new) < min(old) else "no gain"
        lines.append(f"- {pair}, {what}: **{verdict}**, {min(old):.3f} → {min(new):.3f}")
    return lines
