"""A report as one HTML page that works offline: tables, plots, and every sentence with its differences marked."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from string import Template

from ojak.evaluate import buckets, plots
from ojak.evaluate.listing import listing
from ojak.evaluate.measured import Found, Measured, Part, Report
from ojak.evaluate.resample import Paired
from ojak.evaluate.table import difference, leaks, tests
from ojak.look import charts
from ojak.look.document import document, part


def html(report: Report) -> str:
    """The page. Nothing is fetched: style, script, plots and sentences are in it, and a content policy holds it so."""
    title = ", ".join(found.system.name for found in report.systems)
    unit = buckets.length_unit(report.languages[0])
    by_length, by_label = (_part_table(report, of) for of in (lambda one: one.by_length, lambda one: one.by_label))
    cut = f'<p class="soft">Words cut by {escape(report.words)}.</p>'
    sections = [
        *_section("Scores", _warnings(report), _scores(report), _figures(plots.whiskers(report))),
        *_section(f"By length of the source, in {unit}", _figures(plots.lengths(report)), by_length),
        *_section("By label", _figures(plots.labels(report)), by_label),
        *_section("Target words by how often training had them", _with(_figures(plots.words(report)), cut)),
        *_section("Words that one got right more often", _contrasts(report)),
        *_section("By sentence", _figures(plots.histograms(report))),
        *_section("Habits", _habits(report), _times(report)),
    ]
    title = f"{title} on {report.title or 'pairs'}"
    here = __package__ or ""
    return document(
        title,
        Template(part("page.html", here)).substitute(
            title=escape(title), subtitle=escape(_subtitle(report)), body="\n".join(sections)
        ),
        {"report": report.as_dict(), **listing(report)},
        part("page.css", here) + charts.STYLE,
        part("page.js", here),
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
    rows = [["", *map(escape, names)]]
    for place, found in enumerate(report.systems):
        mine = {score.name: score for score in found.scores}
        rows.append([_called(report, place), *(_cell(mine.get(name)) for name in names)])
        if place:
            how = {each.name: each for each in report.comparisons[place - 1]}
            cells = [_apart(how[name]) if name in how else "<small>not comparable</small>" for name in names]
            rows.append([f"<small>less {escape(report.systems[0].system.name)}</small>", *cells])
    known = {score.name: score for found in reversed(report.systems) for score in found.scores}
    lower = ", ".join(name for name in names if known[name].lower)
    notes = [f"Lower is better for {lower}." if lower else ""]
    if report.comparisons and (told := tests(report.chance)):
        notes.append(f"{'; '.join(told[:-1])}. {told[-1]}.")
    signatures = "".join(f"<tr><td>{escape(name)}<td><code>{escape(known[name].signature)}</code>" for name in names)
    return (
        f"{_table(rows)}<p class=soft>{escape(' '.join(notes).strip())}</p>"
        f"<details><summary>How each is counted</summary><table>{signatures}</table></details>"
    )


def _cell(score: Measured | None, star: bool = False) -> str:
    if score is None:
        return ""
    value, _, within = score.said().partition(" ")
    return f"<b>{value}</b>{' *' if star else ''} <small>{within}</small>"


def _apart(found: Paired) -> str:
    said, _, chance = difference(found).partition(", ")
    value, _, within = said.partition(" ")
    value = f"<b>{value}</b>" if found.significant else value
    return f"{value} <small>{within}<br>{escape(chance)}</small>"


def _habits(report: Report) -> str:
    """As `_scores`, with the references below."""
    habits = report.systems[0].habits
    rows = [["", *(habit.name for habit in habits)]]
    for place, found in enumerate(report.systems):
        stars = [each.significant for each in report.habits_compared[place - 1]] if place else [False] * len(habits)
        rows.append([_called(report, place), *map(_cell, found.habits, stars)])
    reference = {habit.name: habit.said() for habit in report.references}
    rows.append(["references", *(reference.get(habit.name, "") for habit in habits)])
    told = " ".join(f"{habit.name.capitalize()}: {habit.signature}." for habit in habits)
    star = " * differs from the baseline by more than chance." if report.comparisons and report.chance.test else ""
    return f"{_table(rows)}<p class=soft>{escape(told + star)}</p>"


def _contrasts(report: Report) -> str:
    base = report.systems[0].system.name
    parts = []
    for found, words in zip(report.systems[1:], report.contrasts, strict=True):
        name = found.system.name
        for each, better in ((words.more, name), (words.fewer, base)):
            rows = [["", f"{escape(name)}", f"{escape(base)}", "references"]]
            rows += [[escape(one.word), f"{one.other:,}", f"{one.base:,}", f"{one.wanted:,}"] for one in each]
            if each:
                parts.append(f"<figure><figcaption>{escape(better)} is better</figcaption>{_table(rows)}</figure>")
    about = '<p class="soft">How often a word was said where the reference of the sentence has it.</p>'
    return f'<div class="figures">{"".join(parts)}</div>{about}' if parts else ""


def _times(report: Report) -> str:
    rows = [["", "seconds", "sentences/s", "tokens/s", "beam"]]
    for place, found in enumerate(report.systems):
        if (timed := found.system.timed) is not None:
            per = [f"{timed.per_second(count):,.1f}" for count in (len(report.pairs), timed.tokens)]
            rows.append([_called(report, place), f"{timed.seconds:.1f}", *per, str(timed.beam)])
    return _table(rows) if len(rows) > 1 else ""


def _warnings(report: Report) -> str:
    told = [line.strip() for line in leaks(report) if line.strip()]
    notes = "".join(f'<p class="soft">{escape(note[0].upper() + note[1:])}.</p>' for note in report.notes)
    return (f'<p class="warning">{"<br>".join(escape(line) for line in told)}</p>' if told else "") + notes


def _table(rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML; the first row and the first column are headings."""
    head = "".join(f"<th scope=col>{cell}" for cell in rows[0])
    body = "".join(f"<tr><th scope=row>{row[0]}{''.join(f'<td>{cell}' for cell in row[1:])}" for row in rows[1:])
    return f'<div class="wide"><table><thead><tr>{head}<tbody>{body}</table></div>'


def _called(report: Report, place: int) -> str:
    name = escape(report.systems[place].system.name)
    return f"{charts.swatch(place)} {name}" if len(report.systems) > 1 else name


def _part_table(report: Report, of: Callable[[Found], list[Part]]) -> str:
    if not of(report.systems[0]):
        return ""
    names = [score.name for score in report.systems[0].scores]
    rows = [["", "pairs", *map(escape, names)]]
    for number, bucket in enumerate(of(report.systems[0])):
        for place, found in enumerate(report.systems):
            mine = {score.name: score for score in of(found)[number].scores}
            head = escape(bucket.name) if place == 0 else ""
            called = f"{head} {_called(report, place)}" if len(report.systems) > 1 else head
            rows.append([called, f"{bucket.pairs:,}", *(_cell(mine.get(name)) for name in names)])
    return f"<details><summary>In numbers</summary>{_table(rows)}</details>"


def _figures(drawn: Sequence[str]) -> str:
    return f'<div class="figures">{"".join(f"<figure>{each}</figure>" for each in drawn)}</div>' if drawn else ""


def _with(part: str, after: str) -> str:
    return part + after if part else ""


def _section(title: str, *parts: str) -> list[str]:
    return [f"<section><h2>{escape(title)}</h2>", *parts, "</section>"] if any(parts) else []
