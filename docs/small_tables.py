"""Tables and charts of small data: what each step of its recipe gains, and what the preset reaches."""

from __future__ import annotations

import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

from cells import MISSING, Result, comment, made_by, report_signatures, scores, spread, table  # noqa: E402
from small import CORPORA, PRESET, SEEDS, STEPS, measured  # noqa: E402

from ojak.look import charts  # noqa: E402
from ojak.look.charts import Series  # noqa: E402

ROWS = (*STEPS, PRESET)


def small() -> list[str]:
    """What each step of the recipe for small corpora gains, and what the preset reaches."""
    lines = [
        "## Small data",
        "",
        "Steps lie one over another, after Sennrich and Zhang (2019): each is the recipe before it and one thing more,",
        "also where that lost, so what a step gains is told for this order alone, over the seeds that it has with the",
        "one before. The mean of the seeds, with the lowest and the highest; BLEU and chrF of raw text, beam 5 (the",
        "preset's is 4). The GPU trained 17 models at a time.",
        "",
        "The preset is no step: it is what Ojak takes where nothing is said, with a vocabulary for each language, of",
        "4,000 for so few pairs. It chooses by chrF over 500 sentences, every 200 updates, where the steps choose by",
        "BLEU over 1,000 after every pass, and it may go on for longer; that it should was found by validation.",
        "",
        "Over talk a vocabulary of 2,000 loses most, and what comes after it lies on it: Korean writing has more than",
        "a thousand syllables, so some 1,200 of the pieces are single characters, and few are left for words. Here,",
        "too, training moved from a processor to a GPU; that this is not why was looked at by perplexity after two",
        "passes of the same seed, 45.7 and 44.5. Strong dropout lost over the narrow model; over a wide one 0.3 gained",
        "[in the place of 0.2](#the-preset-for-10000-to-100000-pairs).",
    ]
    every: dict[str, Result] = {}
    for corpus, (name, target, count, epochs) in CORPORA.items():
        found = {step: of_seeds(corpus, step) for step in ROWS}
        every |= {f"{corpus}-{step}-{seed}": its for step in ROWS for seed, its in found[step].items()}
        what = f"the first {count:,} pairs of" if count else "all of"
        lines += ["", f"### {corpus}: {what} `{name}`, en-{target}", "", *ladder(found, epochs)]
        lines += ["", f"![BLEU by step, with the range of the seeds]({picture(corpus)})"] if any(found.values()) else []
    reports = {name: its["tests"]["test"] for name, its in every.items()}
    return [*lines, *made_by(every, report_signatures(reports, "BLEU", "chrF2"))]


def picture(corpus: str) -> str:
    """The chart of a corpus, seen from docs."""
    return f"pictures/small-{corpus}.svg"


def small_pictures() -> dict[str, str]:
    """The charts, by file, as far as there are results."""
    drawn = {}
    for corpus, (name, *_) in CORPORA.items():
        found = {step: its for step in ROWS if (its := of_seeds(corpus, step))}
        series = []
        for part, title in (("dev", "validation"), ("test", "test")):
            every = [[bleu(one, part) for one in its.values()] for its in found.values()]
            middles = [statistics.mean(values) for values in every]
            series.append(Series(title, middles, [min(values) for values in every], [max(values) for values in every]))
        if found:
            drawn[picture(corpus)] = charts.rows(f"BLEU on {name}, step by step", [*found], series)
    return drawn


def of_seeds(corpus: str, step: str) -> dict[str, Result]:
    """What was measured of a step, by seed."""
    return {seed: its for seed in SEEDS if (its := measured(corpus, step, seed))}


def ladder(found: dict[str, dict[str, Result]], epochs: int) -> list[str]:
    """The table of a corpus."""
    rows = []
    before: dict[str, Result] = {}
    for step, its in found.items():
        if step == PRESET:
            row, before = [f"[{step}](configuration.md#presets)", "Nothing is said"], {}
        else:
            recipe = f"recipes/small/{step}.toml"
            row = [f"[{step}](../{recipe})", comment(recipe).removesuffix(".")]
        if its:
            minutes = f"{statistics.mean(one['minutes'] for one in its.values()):.0f}"
            row += [str(len(its)), minutes + ", GPU" * all(one["device"] == "gpu" for one in its.values())]
            for part in ("dev", "test"):
                row += [spread([bleu(one, part) for one in its.values()]), gain(before, its, part)]
            row.append(spread([scores(one["tests"]["test"])["chrF2"] for one in its.values()]))
            before = its
        else:
            row += [MISSING] + [""] * 6
        rows.append(row)
    header = ["Step", "What it adds", "seeds", "minutes", "BLEU, dev", "gain", "BLEU, test", "gain", "chrF, test"]
    reached = {step: statistics.mean(bleu(one, "dev") for one in found[step].values()) for step in STEPS if found[step]}
    chosen = f" Validation would stop at {max(reached, key=reached.__getitem__)}." if len(reached) > 1 else ""
    ends = "fewer where ten validations brought nothing better, which comes by chance too"
    return [f"At most {epochs} passes (`train.epochs`) for each step, {ends}.{chosen}", "", *table(header, rows)]


def bleu(result: Result, part: str) -> float:
    """BLEU on the validation set or the test set."""
    return scores(result["tests"][part])["BLEU"]


def gain(before: dict[str, Result], now: dict[str, Result], part: str) -> str:
    """By how much BLEU rose, over the seeds that both have."""
    gains = [bleu(its, part) - bleu(before[seed], part) for seed, its in now.items() if seed in before]
    return f"{statistics.mean(gains):+.2f}" if gains else ""
