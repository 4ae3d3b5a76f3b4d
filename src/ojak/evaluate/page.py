"""A report as one HTML page that works offline: tables, plots, and every sentence with its differences marked."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from html import escape
from importlib.resources import files
from itertools import pairwise
from string import Template
from typing import Any

from ojak.evaluate import buckets, metrics
from ojak.evaluate.marks import compared
from ojak.evaluate.measured import Found, Measured, Part, Report
from ojak.evaluate.resample import Paired
from ojak.evaluate.table import difference, leaks
from ojak.look import charts
from ojak.look.charts import Series
from ojak.look.drawing import one_line
from ojak.look.labels import language
from ojak.look.page import script_json
from ojak.look.svg import FONTS

MOST = 4000  # sentences on the page
SHOWN = ("BLEU", "chrF2")  # by part
CHANGES = (-100, -50, -25, -10, -2, 2, 10, 25, 50, 100)  # of a sentence's score
LEAST = 5  # sentences of a part that is drawn


def html(report: Report) -> str:
    """The page. Nothing is fetched: style, script, plots and sentences are in it, and a content policy holds it so."""
    title = ", ".join(found.system.name for found in report.systems)
    sections = [
        *_section("Scores", [*_warnings(report), _scores(report), *_whiskers(report)]),
        *_section(f"By length of the source, in {buckets.length_unit(report.languages[0])}", _lengths(report)),
        *_section("By label", _labels(report)),
        *_section("Target words by how often training had them", _words(report)),
        *_section("By sentence", _histograms(report)),
        *_section("Habits", [_habits(report), _times(report)]),
    ]
    return Template(_part("page.html")).substitute(
        title=escape(f"{title} on {report.title or 'pairs'}"),
        subtitle=escape(_subtitle(report)),
        style=(files("ojak.look") / "page.css").read_text(encoding="utf-8").replace("FONTS", FONTS)
        + _part("page.css")
        + charts.STYLE,
        body="\n".join(sections),
        data=script_json({"report": report.as_dict(), **_sentences(report)}),
        script=_part("page.js"),
    )


def _subtitle(report: Report) -> str:
    way = " → ".join(code for code in report.languages if code)
    chance = report.chance
    said = [f"{len(report.pairs):,} pairs{f' of {report.title}' if report.title else ''}", way]
    if chance.resamples:
        said.append(f"intervals hold 95 % of {chance.resamples:,} resampled test sets")
    return ", ".join(part for part in said if part) + "."


# Tables


def _scores(report: Report) -> str:
    """Systems as rows, scores as columns; below each rival how far it is from the baseline."""
    names = list(dict.fromkeys(score.name for found in report.systems for score in found.scores))
    rows = [["", *names]]
    for place, found in enumerate(report.systems):
        mine = {score.name: score for score in found.scores}
        rows.append([_called(report, place), *(_cell(mine.get(name)) for name in names)])
        if place:
            how = {each.name: each for each in report.comparisons[place - 1]}
            cells = [_apart(how[name]) if name in how else "" for name in names]
            rows.append([f"<small>less {escape(report.systems[0].system.name)}</small>", *cells])
    known = {score.name: score for found in reversed(report.systems) for score in found.scores}
    lower = ", ".join(name for name in names if known[name].lower)
    notes = [f"Lower is better for {lower}." if lower else ""]
    if report.comparisons:
        tests = []
        if report.chance.trials:
            tests.append(f"p: approximate randomisation, {report.chance.trials:,} trials")
        if report.chance.resamples:
            tests.append(f"bootstrap p: paired bootstrap, {report.chance.resamples:,} resamples")
        notes.append(f"{'; '.join(tests)}. * differs by more than chance (p < 0.05).")
    signatures = "".join(f"<tr><td>{escape(name)}<td><code>{escape(known[name].signature)}</code>" for name in names)
    return (
        f"{_table(rows)}<p class=soft>{escape(' '.join(notes).strip())}</p>"
        f"<details><summary>How each is counted</summary><table>{signatures}</table></details>"
    )


def _cell(score: Measured | None) -> str:
    if score is None:
        return ""
    value, _, within = score.said().partition(" ")
    return f"<b>{value}</b> <small>{within}</small>"


def _apart(found: Paired) -> str:
    said, _, chance = difference(found).partition(", ")
    value, _, within = said.partition(" ")
    value = f"<b>{value}</b>" if found.significant else value
    return f"{value} <small>{within}<br>{escape(chance)}</small>"


def _habits(report: Report) -> str:
    rows = [["", "length ratio", "repeated", "copied", "untranslated", "empty"]]
    for place, found in enumerate(report.systems):
        rates = found.habits.as_dict().values()
        rows.append([_called(report, place), f"{found.length_ratio:.3f}", *(f"{rate:.2%}" for rate in rates)])
    rows.append(["references", "", *(f"{rate:.2%}" for rate in report.references.as_dict().values())])
    return (
        f"{_table(rows)}<p class=soft>Length: characters over those of the references. Repeated: pairs of words said "
        "before in the same sentence. Copied: words that stand in the source. Untranslated: sentences that are the "
        "source again.</p>"
    )


def _times(report: Report) -> str:
    rows = [["", "seconds", "sentences/s", "tokens/s", "beam"]]
    for place, found in enumerate(report.systems):
        if (timed := found.system.timed) is not None:
            per = [f"{count / max(timed.seconds, 1e-9):,.1f}" for count in (len(report.pairs), timed.tokens)]
            rows.append([_called(report, place), f"{timed.seconds:.1f}", *per, str(timed.beam)])
    return _table(rows) if len(rows) > 1 else ""


def _warnings(report: Report) -> Iterator[str]:
    told = [line.strip() for line in leaks(report) if line.strip()]
    if told:
        yield f'<p class="warning">{"<br>".join(escape(line) for line in told)}</p>'
    for note in report.notes:
        yield f'<p class="soft">{escape(note[0].upper() + note[1:])}.</p>'


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML; the first row and the first column are headings."""
    head = "".join(f"<th scope=col>{cell}" for cell in rows[0])
    body = "".join(f"<tr><th scope=row>{row[0]}{''.join(f'<td>{cell}' for cell in row[1:])}" for row in rows[1:])
    return f'<div class="wide"><table><thead><tr>{head}<tbody>{body}</table></div>'


def _called(report: Report, place: int) -> str:
    name = escape(report.systems[place].system.name)
    return f"{charts.swatch(place)} {name}" if len(report.systems) > 1 else name


# Plots


def _series(report: Report, of: Callable[[Found], list[Part]], name: str, whole: bool = False) -> list[Series]:
    """One score of each part, the whole corpus first if it is wanted."""
    found = []
    for one in report.systems:
        scores = [part.scores for part in of(one) if part.pairs >= LEAST]
        chosen = [_named(each, name) for each in ([one.scores] if whole else []) + scores]
        low, high = [each.low for each in chosen], [each.high for each in chosen]
        found.append(Series(one.system.name, [each.value for each in chosen], low, high))
    return found


def _named(scores: Sequence[Measured], name: str) -> Measured:
    return next(score for score in scores if score.name == name)


def _whiskers(report: Report) -> Iterator[str]:
    if len(report.systems) < 2:
        return
    names = [score.name for score in report.systems[0].scores]
    drawn = []
    for name in names:
        having = [found for found in report.systems if any(score.name == name for score in found.scores)]
        if len(having) == len(report.systems):
            each = [_named(found.scores, name) for found in having]
            series = [
                Series(found.system.name, [score.value], [score.low], [score.high])
                for found, score in zip(having, each, strict=True)
            ]
            drawn.append(charts.rows(name, [""], series, digits=each[0].digits))
    yield _figures(drawn)


def _lengths(report: Report) -> Iterator[str]:
    parts = [part for part in report.systems[0].by_length if part.pairs >= LEAST]
    if len(parts) > 1:
        names, pairs = [part.name for part in parts], [f"{part.pairs:,}" for part in parts]
        axis = f"{buckets.length_unit(report.languages[0])} of the source, pairs below"
        yield _figures(
            charts.lines(name, names, _series(report, lambda found: found.by_length, name), pairs, axis)
            for name in SHOWN
        )
    yield _part_table(report, lambda found: found.by_length)


def _labels(report: Report) -> Iterator[str]:
    parts = [part for part in report.systems[0].by_label if part.pairs >= LEAST]
    if parts:
        names = ["all", *(part.name for part in parts)]
        pairs = [f"{count:,} pairs" for count in (len(report.pairs), *(part.pairs for part in parts))]
        yield _figures(
            charts.rows(name, names, _series(report, lambda found: found.by_label, name, whole=True), pairs)
            for name in SHOWN
        )
    if report.systems[0].by_label:
        yield _part_table(report, lambda found: found.by_label)


def _part_table(report: Report, of: Callable[[Found], list[Part]]) -> str:
    names = [score.name for score in report.systems[0].scores]
    rows = [["", "pairs", *names]]
    for number, part in enumerate(of(report.systems[0])):
        for place, found in enumerate(report.systems):
            mine = {score.name: score for score in of(found)[number].scores}
            head = escape(part.name) if place == 0 else ""
            called = f"{head} {_called(report, place)}" if len(report.systems) > 1 else head
            rows.append([called, f"{part.pairs:,}", *(_cell(mine.get(name)) for name in names)])
    return f"<details><summary>In numbers</summary>{_table(rows)}</details>"


def _words(report: Report) -> Iterator[str]:
    every = {words.name: words for found in report.systems for words in found.by_frequency}
    if not every:
        return
    names = sorted(every, key=lambda name: int(name.split("–")[0].rstrip("+")))
    drawn = []
    for title, value in (("F", "f"), ("Precision", "precision"), ("Recall", "recall")):
        series = []
        for found in report.systems:
            mine = {words.name: words for words in found.by_frequency}
            series.append(
                Series(found.system.name, [getattr(mine[name], value) if name in mine else None for name in names])
            )
        below = [f"{every[name].wanted:,}" for name in names]
        drawn.append(charts.lines(title, names, series, below, "times in training, words in the references below", 3))
    yield _figures(drawn)
    yield f'<p class="soft">Words as {escape(report.cutter)} cuts them.</p>'


def _histograms(report: Report) -> Iterator[str]:
    name = "chrF2"
    values = [next(one for one in found.counts if one.name == name).sentences() for found in report.systems]
    names = [f"{low}–{low + 10}" for low in range(0, 100, 10)]
    series = [
        Series(
            found.system.name,
            [float(sum(low <= min(one, 99.99) < low + 10 for one in each)) for low in range(0, 100, 10)],
        )
        for found, each in zip(report.systems, values, strict=True)
    ]
    drawn = [charts.lines("Sentences by their chrF2", names, series, axis="chrF2 of a sentence", digits=0)]
    if len(values) > 1:
        base = report.systems[0].system.name
        lows, highs = ([str(end) for end in ends] for ends in zip(*pairwise(CHANGES), strict=True))
        changes = [[mine - theirs for mine, theirs in zip(each, values[0], strict=True)] for each in values[1:]]
        # The baseline has no difference from itself, but keeps its mark, so that others keep theirs.
        bars = [Series(base, [None] * len(lows))] + [
            Series(found.system.name, [float(count) for count in _between(each)])
            for found, each in zip(report.systems[1:], changes, strict=True)
        ]
        title = f"Sentences by chrF2 less that of {base}"
        drawn.append(charts.lines(title, lows, bars, [f"to {high}" for high in highs], digits=0))
    yield _figures(drawn)


def _between(values: Sequence[float]) -> list[int]:
    """How many values lie between each two of CHANGES, the lower one included."""
    last = len(CHANGES) - 2
    return [
        sum(low <= value < high or (place == last and value == high) for value in values)
        for place, (low, high) in enumerate(pairwise(CHANGES))
    ]


def _figures(drawn: Iterator[str] | Sequence[str]) -> str:
    return f'<div class="figures">{"".join(f"<figure>{each}</figure>" for each in drawn)}</div>'


def _section(title: str, parts: Iterator[str] | Sequence[str]) -> list[str]:
    inside = [part for part in parts if part]
    return [f"<section><h2>{escape(title)}</h2>", *inside, "</section>"] if inside else []


# Sentences


def _sentences(report: Report) -> dict[str, Any]:
    """Every sentence (of many, those that tell most) for the script of the page."""
    first = report.systems[0]
    measures = [
        one for one in first.counts if all(any(o.name == one.name for o in found.counts) for found in report.systems)
    ]
    values = {
        one.name: [next(o for o in found.counts if o.name == one.name).sentences() for found in report.systems]
        for one in measures
    }
    places = list(range(len(report.pairs)))
    if len(places) > MOST:
        places = sorted(_telling(values["chrF2"]))
    cut = metrics.cutter(report.cutter)
    labels = sorted({pair.label for pair in report.pairs})
    leaked = report.trained.leaks.exact if report.trained else set()
    rows = []
    for place in places:
        pair = report.pairs[place]
        texts = [one_line(found.system.hypotheses[place]) for found in report.systems]
        reference = one_line(pair.target)
        rivals: list[str | None] = [*texts[1:]] or [None]
        rows.append(
            {
                "n": place + 1,
                "s": one_line(pair.source),
                "l": labels.index(pair.label),
                "k": place in leaked,
                "v": [[round(each[place], 4) for each in values[one.name]] for one in measures],
                "c": [compared(reference, texts[0], rival, cut) for rival in rivals],
            }
        )
    return {
        "systems": [found.system.name for found in report.systems],
        "measures": [{"name": one.name, "lower": one.lower, "digits": one.digits} for one in measures],
        "labels": labels,
        "languages": [
            code or language(" ".join(texts)) or ""
            for code, texts in zip(
                report.languages,
                ([pair.source for pair in report.pairs[:50]], [pair.target for pair in report.pairs[:50]]),
                strict=True,
            )
        ],
        "left_out": len(report.pairs) - len(places),
        "swatches": [charts.swatch(place) for place in range(len(report.systems))],
        "sentences": rows,
    }


def _telling(values: Sequence[Sequence[float]]) -> list[int]:
    """Places of the sentences on which systems differ most; of one system, its worst and its best."""
    spread = [max(each) - min(each) if len(each) > 1 else abs(each[0] - 50) for each in zip(*values, strict=True)]
    return sorted(range(len(spread)), key=lambda place: -spread[place])[:MOST]


def _part(name: str) -> str:
    return (files("ojak.evaluate") / name).read_text(encoding="utf-8")
