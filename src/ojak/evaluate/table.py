"""A report as plain text."""

from __future__ import annotations

from collections.abc import Callable

from ojak.evaluate.measured import Found, Part, Report
from ojak.evaluate.resample import MORE_THAN_CHANCE, Chance, Paired
from ojak.look.labels import columns, elide, pad

PARTED = ("BLEU", "chrF2")
"""what is shown of parts of a corpus"""
EXAMPLES = 3
_NAME = 28
_CELL = len("100.00 (100.00 to 100.00)")


def table(report: Report) -> str:
    """The report of one system, or of several beside each other."""
    lines = _one(report) if len(report.systems) == 1 else _several(report)
    lines += ["", *_parts(report, "by label", lambda found: found.by_label)]
    lines += ["", *_parts(report, "by length of the source", lambda found: found.by_length)]
    lines += ["", *_words(report), "", *_contrasts(report), "", *_habits(report), *leaks(report)]
    lines += [f"note: {note}" for note in report.notes]
    lines += ["", *_times(report)]
    return "\n".join(line for place, line in enumerate(lines) if line or (place and lines[place - 1]))


def _one(report: Report) -> list[str]:
    (found,) = report.systems
    return [f"{pad(elide(one.name, 14), 14)} {one.said():28} {one.signature}".rstrip() for one in found.scores]


def _several(report: Report) -> list[str]:
    """Each score with its interval, then how far it is from the baseline's and whether by chance."""
    lines = []
    every = {score.name: score for found in reversed(report.systems) for score in found.scores}
    for name in dict.fromkeys(score.name for found in report.systems for score in found.scores):
        lines.append(f"{name}{', lower is better' if every[name].lower else ''}   {every[name].signature}")
        for place, found in enumerate(report.systems):
            mine = next((score for score in found.scores if score.name == name), None)
            if mine is None:
                continue
            compared = report.comparisons[place - 1] if place else []
            how = next((one for one in compared if one.name == name), None)
            said = difference(how) if how else "not comparable" if place else "baseline"
            lines.append(f"  {_name(found.system.name)} {mine.said():28} {said}")
    return [*lines, *tests(report.chance)]


def tests(chance: Chance) -> list[str]:
    """What the p of a comparison are, and what a star says."""
    if chance.test is None:
        return []
    lines = []
    if chance.trials:
        lines.append(f"p: approximate randomisation, {chance.trials:,} trials, two-sided")
    if chance.resamples:
        lines.append(f"bootstrap p: paired bootstrap, {chance.resamples:,} resamples, one-sided")
    p = "p" if chance.test == "randomisation" else "bootstrap p"
    return [*lines, f"* differs by more than chance ({p} < {MORE_THAN_CHANCE[chance.test]})"]


def difference(found: Paired) -> str:
    """`+1.20 (0.31 to 2.10), p 0.012, bootstrap 0.009 *`"""
    digits = found.digits
    said = f"{found.difference:+.{digits}f}"
    if found.low is not None and found.high is not None:
        said += f" ({found.low:+.{digits}f} to {found.high:+.{digits}f})"
    if found.p_randomisation is not None:
        said += f", p {found.p_randomisation:.2g}"
    if found.p_bootstrap is not None:
        said += f", bootstrap p {found.p_bootstrap:.2g}"
    return said + (" *" if found.significant else "")


def _parts(report: Report, title: str, of: Callable[[Found], list[Part]]) -> list[str]:
    first = of(report.systems[0])
    if not first:
        return []
    several = len(report.systems) > 1
    unit = f" in {report.as_dict()['length_unit']}" if "length" in title else ""
    lines = [f"{title}{unit}", f"  {'':{_NAME}} {'pairs':>6}  " + "  ".join(f"{name:>{_CELL}}" for name in PARTED)]
    for place, part in enumerate(first):
        for found in report.systems:
            mine = of(found)[place]
            name = found.system.name if several else part.name
            values = {score.name: score.said() for score in mine.scores}
            if several and found is report.systems[0]:
                lines.append(f"  {part.name}")
            said = "  ".join(f"{values[name]:>{_CELL}}" for name in PARTED)
            lines.append(f"  {_name(('  ' if several else '') + name)} {mine.pairs:>6,}  {said}")
    return lines


def _words(report: Report) -> list[str]:
    first = report.systems[0].by_frequency
    if not first:
        return []
    lines = [
        f"target words by their count in training (cut by {report.words}): F, precision, recall",
        f"  {'count':>9} {'words':>8}  " + "  ".join(f"{elide(f.system.name, 22):>22}" for f in report.systems),
    ]
    names = list(dict.fromkeys(words.name for found in report.systems for words in found.by_frequency))
    order = {words.name: words.wanted for found in report.systems for words in found.by_frequency}
    for name in sorted(names, key=lambda name: int(name.split("–")[0].rstrip("+"))):
        cells = []
        for found in report.systems:
            words = next((one for one in found.by_frequency if one.name == name), None)
            cells.append(f"{words.f:.3f}  {words.precision:.3f}  {words.recall:.3f}" if words else "")
        lines.append(f"  {name:>9} {order[name]:>8,}  " + "  ".join(f"{cell:>22}" for cell in cells))
    return lines


def _contrasts(report: Report) -> list[str]:
    lines = []
    base = report.systems[0].system.name
    for found, words in zip(report.systems[1:], report.contrasts, strict=True):
        for each, how in ((words.more, "more"), (words.fewer, "less")):
            said = "  ".join(f"{one.word} {one.other}:{one.base}" for one in each)
            lines += [f"words that {found.system.name} got right {how} often than {base}", f"  {said}"] if said else []
    return lines


def _habits(report: Report) -> list[str]:
    """How systems talk; of one system with intervals, of several with a star where one differs from the baseline."""
    reference = {habit.name: habit.said() for habit in report.references}
    if len(report.systems) == 1:
        return [
            f"{habit.name:14} {habit.said():28} "
            + (f"references {reference[habit.name]}" if habit.name in reference else habit.signature)
            for habit in report.systems[0].habits
        ]
    names = [habit.name for habit in report.systems[0].habits]
    lines = [f"{'':{_NAME + 2}} " + " ".join(f"{name:>{len(name) + 2}}" for name in names)]
    rows = [("references", [reference.get(name, "") + " " for name in names])]
    for place, found in reversed(list(enumerate(report.systems))):
        stars = [each.significant for each in report.habits_compared[place - 1]] if place else [False] * len(names)
        cells = [
            habit.said().partition(" ")[0] + ("*" if star else " ")
            for habit, star in zip(found.habits, stars, strict=True)
        ]
        rows.insert(0, (found.system.name, cells))
    for name, cells in rows:
        widths = " ".join(f"{cell:>{len(of) + 2}}" for cell, of in zip(cells, names, strict=True))
        lines.append(f"  {_name(name)} {widths}".rstrip())
    return lines


def leaks(report: Report) -> list[str]:
    """The warning that test pairs stand in training, with the scores without them; nothing where none do."""
    if report.trained is None or not report.trained.leaks.exact:
        return []
    found = report.trained.leaks
    lines = [
        "",
        f"WARNING: {len(found.exact):,} of {found.held:,} test pairs are known from training "
        f"({', '.join(report.trained.names)}): {len(found.pairs):,} stand there as they are, "
        f"{len(found.sources):,} sources and {len(found.targets):,} targets do.",
    ]
    shown = [pair for name in ("pairs", "sources", "targets") for pair in found.examples.get(name, [])]
    lines += [f"  for instance: {elide(one, 76)}" for one in dict.fromkeys(one for one, _ in shown[:EXAMPLES])]
    for system in report.systems:
        if not system.without_leaks:
            lines.append("  No pair is left to measure on without them.")
            break
        said = ", ".join(f"{score.name} {score.value:.{score.digits}f}" for score in system.without_leaks)
        lines.append(f"  {_name(system.system.name)} without them: {said}")
    return lines


def _times(report: Report) -> list[str]:
    count = len(report.pairs)
    lines = []
    for found in report.systems:
        timed = found.system.timed
        if timed is None:
            continue
        speed = f"{timed.per_second(count):,.1f} sentences/s, {timed.per_second(timed.tokens):,.0f} tokens/s"
        name = f"{found.system.name}: " if len(report.systems) > 1 else ""
        lines.append(f"{name}{count:,} pairs in {timed.seconds:.1f} s, beam {timed.beam}, {speed}")
    return lines or [f"{count:,} pairs"]


def _name(name: str) -> str:
    return pad(elide(name, _NAME), _NAME) if columns(name) != _NAME else name
