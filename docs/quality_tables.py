"""Tables of how good models are: the lineage, English and Korean, Multi30k, the demo."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import korean as korean_benchmark  # noqa: E402
import korean_best as best_benchmark  # noqa: E402
import lineage as lineage_benchmark  # noqa: E402
import multi30k as multi30k_benchmark  # noqa: E402
from cells import (  # noqa: E402
    MISSING,
    NAMES,
    REPORT,
    TRAINING,
    ReportDict,
    Result,
    comment,
    label_table,
    made_by,
    read,
    report_cells,
    report_signatures,
    scores,
    spread,
    table,
    training,
)


def lineage() -> list[str]:
    """The attention mechanisms beside each other on Multi30k."""
    found = read("lineage-", lineage_benchmark.MODELS)
    rows = []
    for model in lineage_benchmark.MODELS:
        recipe = f"recipes/lineage/{model}.toml"
        row = [f"[{model}](../{recipe})", comment(recipe).removesuffix(".")]
        if result := found.get(model):
            greedy, beam = scores(result["greedy"]), scores(result["beam"])
            row += [
                *training(result),
                f"{result['dev_bleu']:.1f}",
                f"{result['greedy']['perplexity']:.2f}",
                f"**{result['tokenised_bleu']:.1f}**",
                f"{greedy['BLEU']:.1f}",
                f"{beam['BLEU']:.1f}",
                f"{beam['chrF2']:.1f}",
            ]
        else:
            row += [MISSING] + [""] * 8
        rows.append(row)
    header = [
        *("Model", "What it is", *TRAINING, "dev BLEU, greedy", "perplexity"),
        *("tokenised BLEU, greedy", "BLEU, greedy", "BLEU, beam 5", "chrF, beam 5"),
    ]
    signatures = report_signatures({model: result["greedy"] for model, result in found.items()}, "BLEU", "chrF2")
    signatures["tokenised BLEU"] = [(model, result["tokenised_signature"]) for model, result in found.items()]
    return [
        "## The lineage: Multi30k, German to English, Test 2016",
        "",
        "One mechanism after another, with data, widths and training held equal.",
        comment("recipes/lineage/base.toml"),
        "Names link to the recipes, which lie over [base.toml](../recipes/lineage/base.toml). Tokenised BLEU is over",
        "lower-case words, as tutorials count it.",
        "",
        *table(header, rows),
        "",
        "To compare with, the figures of a tutorial on the same data (bentrevett/pytorch-seq2seq), tokenised",
        "lower-case BLEU, greedy: 28.1 for additive attention (GRU), 36.5 for the Transformer of width 256 with 3 + 3",
        "layers.",
        "",
        "Does each step gain, by tokenised BLEU?",
        "",
        *[step(found, *names) for names in STEPS],
        *made_by(found, signatures),
    ]


STEPS = (
    ("the one vector at every step too (and a GRU for the LSTM)", "lstm-one-vector", "gru-every-step"),
    ("additive attention for the one vector", "gru-every-step", "gru-additive"),
    ("general attention for the one vector", "lstm-one-vector", "lstm-general"),
    ("dot attention for the one vector", "lstm-one-vector", "lstm-dot"),
    ("the Transformer for additive attention", "gru-additive", "transformer"),
)


def step(found: Mapping[str, Result], what: str, before: str, after: str) -> str:
    """Whether a step of the lineage gains."""
    if before not in found or after not in found:
        return f"- {what}: {MISSING}"
    old, new = (found[name]["tokenised_bleu"] for name in (before, after))
    verdict = "gain" if round(new - old, 1) > 0 else "no gain"
    return f"- {what}: **{verdict}**, {old:.1f} → {new:.1f} ({new - old:+.1f}), {before} → {after}"


def korean() -> list[str]:
    """Both directions on real sentences."""
    models, directions = korean_benchmark.MODELS, korean_benchmark.DIRECTIONS
    found = read("korean-", [f"{model}-{direction}" for direction in directions for model in models])
    rows, parts = [], []
    for direction in directions:
        by_test: dict[str, dict[str, ReportDict]] = {}
        for model in models:
            result = found.get(f"{model}-{direction}")
            if result is None:
                rows.append([direction, model, MISSING] + [""] * 9)
                continue
            for test, report in result["tests"].items():
                rows.append([direction, model, *training(result), test, *report_cells(report)])
                by_test.setdefault(test, {})[model] = report
        for test, columns in by_test.items():
            parts += label_table(f"{direction}, {test}, by label: BLEU / chrF", columns)
    reports = {f"{name} {test}": its for name, result in found.items() for test, its in result["tests"].items()}
    return [
        "## English and Korean",
        "",
        "Real sentences in both directions: short general ones (`enko_talk`) and customer-support chat (`enko_chat`),",
        "trained on together, tested apart, beam 4; [transformer.toml](../recipes/korean/transformer.toml) or",
        "[gru-additive.toml](../recipes/korean/gru-additive.toml) over [base.toml](../recipes/korean/base.toml). Eight",
        "passes are few: 25 over `enko_talk` alone reach [more](#small-data) there.",
        "",
        *table(["Direction", "Model", *TRAINING, "Test", *REPORT], rows),
        *parts,
        *made_by(found, report_signatures(reports)),
    ]


def korean_best() -> list[str]:
    """What all pairs there are give in some time each way, beside a peer."""
    lines = ["## English and Korean, all pairs there are", ""]
    systems, directions = best_benchmark.SYSTEMS, best_benchmark.DIRECTIONS
    found = read("best-", [f"{system}-{direction}" for direction in directions for system in systems])
    if not found:
        return [*lines, MISSING]
    updates = {name: f"{its['updates']:,}" for name, its in found.items()}
    lines += [
        "All pairs of `enko_talk`, `enko_chat`, `enko_lecture` and `enko_docs`, learnt from with one thread for each",
        "direction: by `ojak` in less than an hour ([best.toml](../recipes/korean/best.toml) over",
        "[base.toml](../recipes/korean/base.toml)), by `longer` in at most two",
        "([longer.toml](../recipes/korean/longer.toml)). `ojak` and `longer` did not learn on the same processor, as",
        "stands under the tables: compare the minutes of each with its peer's alone.",
        "`large` is for a GPU ([large.toml](../recipes/korean/large.toml)); its minutes are of a GPU that trained",
        "17 models at a time. Beam 4. The last four sets are of other kinds of text than any that was learnt from.",
        "",
        "`hf` and `hf-longer` are Hugging Face's MarianMTModel of the size of `ojak` and of `longer`, each learning",
        "from the same pairs for the same time on the same kind of processor, in a plain loop, with a highest rate of",
        "1e-3 and the weights of the last step; their minutes are the processor's. Each learnt in that precision which",
        "was the quickest there of fp32, fp32 with coarser products and bf16 by autocast: "
        + ", ".join(f"{name} in {its.get('precision', 'fp32')}" for name, its in found.items() if name[:2] == "hf")
        + ". Updates en-ko and ko-en: "
        + "; ".join(
            f"{system} " + " and ".join(updates[f"{system}-{one}"] for one in directions)
            if all(f"{system}-{one}" in updates for one in directions)
            else f"{system} is {MISSING}"
            for pair in best_benchmark.PEERS.items()
            for system in reversed(pair)
        )
        + ".",
        "",
        "Six of ten pairs are of docs, and passes are few. On `enko_talk`, a model that learns an hour from it alone",
        "[does better](#small-data) than `ojak` and `longer` do.",
        "",
    ]
    rows, parts = [], []
    for direction in directions:
        for test in best_benchmark.TESTS:
            columns = {s: its["tests"][test] for s in systems if (its := found.get(f"{s}-{direction}"))}
            for system, report in columns.items():
                marks = [f"{scores(report)[name]:.1f}" for name in NAMES]
                rows.append([direction, test, system, *training(found[f"{system}-{direction}"]), *marks])
            parts += label_table(f"{direction}, {test}, by label: BLEU / chrF", columns)
    reports = {f"{name} {test}": its for name, result in found.items() for test, its in result["tests"].items()}
    header = ["Direction", "Test", "System", *TRAINING, *NAMES.values()]
    return [*lines, *table(header, rows), *parts, *made_by(found, report_signatures(reports))]


def multi30k() -> list[str]:
    """The quality bar on Multi30k, and how fast it is come by."""
    found = read("multi30k-", multi30k_benchmark.RUNS)
    rows = []
    for name in multi30k_benchmark.RUNS:
        if (result := found.get(name)) is None:
            rows.append([name, MISSING] + [""] * 9)
            continue
        tests = result["tests"]
        tokenised = [f"{tests[test]['tokenised_bleu']:.2f}" for test in ("val", *multi30k_benchmark.TESTS)]
        raw = scores(tests["test_2016_flickr"])
        case = " (lc)" if "case:lc" in tests["test_2016_flickr"]["scores"][0]["signature"] else ""
        marks = [f"{raw[score]:.2f}{case}" for score in ("BLEU", "chrF2")]
        rows.append([name, *training(result), *tokenised, *marks, "" if on_gpu(result) else risen(result["rise"])])
    verdicts = []
    for kind in multi30k_benchmark.KINDS:
        own = [its["tests"] for name, its in found.items() if name.startswith(kind)]
        if own:
            best, chosen = ([its[test]["tokenised_bleu"] for its in own] for test in ("test_2016_flickr", "val"))
            verdicts.append(
                f"- {kind}, mean of {len(best)} of 3 seeds: Test 2016 {spread(best)}, "
                f"{statistics.mean(best) - PUBLISHED:+.2f} beside the published {PUBLISHED}; val {spread(chosen)}"
            )
    verdicts += precisions(found)
    reports = {name: result["tests"]["test_2016_flickr"] for name, result in found.items()}
    return [
        "## Multi30k, English to German",
        "",
        comment("recipes/multi30k/transformer.toml"),
        *(
            f"The runs called {kind} have [{recipe}.toml](../recipes/multi30k/{recipe}.toml) over it."
            for kind, (_, recipes) in multi30k_benchmark.KINDS.items()
            for recipe in recipes[1:]
        ),
        "Tokenised BLEU is over lower-case words as Moses cuts them, beam 5, as published figures count it; the",
        f"published one is {PUBLISHED} on Test 2016, of a text-only Transformer-tiny (Wu 2021). Of raw text, a model",
        "that writes lower case can only be scored without regard to case: (lc), not to be compared with the others.",
        "",
        "The last column tells after how many minutes on one core validation first reached 35, 38 and 40, by sacreBLEU",
        "over the text that the model learnt (of lower: lower case); a dash: never. Lost are those minutes by which a",
        "hundred updates took more than twice the usual, because other work held the core. The GPU trained 17 models",
        "at a time, each stopped once and gone on with: its minutes say little, and the cell is empty.",
        "",
        *table(
            [
                *("Run", *TRAINING, "tokenised BLEU: val", "Test 2016", "Test 2017", "COCO 2017"),
                *("BLEU, raw, Test 2016", "chrF, raw", "minutes to 35 / 38 / 40"),
            ],
            rows,
        ),
        "",
        *verdicts,
        "",
        *penalties(found),
        *made_by(found, report_signatures(reports, "BLEU", "chrF2")),
    ]


def risen(rise: Sequence[tuple[float, float]]) -> str:
    """The minutes to marks of BLEU, and how many were lost to other work in stretches between two validations."""
    first = [next((f"{at:.0f}" for at, bleu in rise if bleu >= bar), "–") for bar in (35, 38, 40)]
    took = [after - before for before, after in pairwise([0.0, *(at for at, _ in rise)])]
    usual = statistics.median(took)
    lost = sum(one - usual for one in took if one > 2 * usual)
    return " / ".join(first) + (f" ({lost:.0f} lost)" if lost >= 1 else "")


def precisions(found: Mapping[str, Result]) -> list[str]:
    """Whether bf16 costs quality: the difference of the means, beside the spread of the seeds."""
    of = {kind: [its for name, its in found.items() if name.startswith(kind)] for kind in ("bf16", "fp32")}
    if not all(of.values()):
        return []
    parts = []
    for test in ("val", *multi30k_benchmark.TESTS):
        one, other = ([its["tests"][test]["tokenised_bleu"] for its in of[kind]] for kind in of)
        widest = max(max(values) - min(values) for values in (one, other))
        parts.append(f"{test} {statistics.mean(one) - statistics.mean(other):+.2f} (spread of seeds {widest:.2f})")
    here = [name for name, its in found.items() if name.startswith(tuple(of)) and not on_gpu(its)]
    where = f"; trained on a processor: {', '.join(here)}, the others on a GPU" if here else ""
    return [f"- bf16 less fp32, means of the seeds: {', '.join(parts)}{where}"]


def penalties(found: Mapping[str, Result]) -> list[str]:
    """What the length penalty does to each of the sets."""
    rows, chosen = [], []
    for kind in multi30k_benchmark.KINDS:
        own = [its["penalties"] for name, its in found.items() if name.startswith(kind) and "penalties" in its]
        for penalty in map(str, multi30k_benchmark.PENALTIES) if own else ():
            row = [f"{kind}, {len(own)} of 3 seeds", penalty]
            for test in ("val", *multi30k_benchmark.TESTS):
                bleu, length = (statistics.mean(its[test][penalty][what] for its in own) for what in ("bleu", "length"))
                row.append(f"{bleu:.2f} / {length:.2f}")
            rows.append(row)
        if own:
            best = max(own[0]["val"], key=lambda penalty: statistics.mean(its["val"][penalty]["bleu"] for its in own))
            test = statistics.mean(its["test_2016_flickr"][best]["bleu"] for its in own)
            chosen.append(
                f"- {kind}: val would choose {best}, which gives Test 2016 {test:.2f}, {test - PUBLISHED:+.2f} beside "
                f"the published {PUBLISHED}"
            )
    return [
        "The same models with other length penalties (all above have 1.0, Ojak's default): tokenised BLEU, and how",
        "long translations are beside the references. References of val are the longest, so a penalty chosen by it",
        "makes the translations of the test sets too long. When the default was kept, the test sets had been seen with",
        "it and with what val would choose.",
        "",
        *table(["Run", "length penalty", "val", "Test 2016", "Test 2017", "COCO 2017"], rows),
        "",
        *chosen,
    ]


PUBLISHED = 41.02


def on_gpu(result: Result) -> bool:
    """Whether a model was trained on a GPU."""
    return bool(result["device"] == "gpu" if "device" in result else "NVIDIA" in result["machine"])


def demo() -> list[str]:
    """What `make demo` gives."""
    about = [
        "## The demo",
        "",
        "`ojak demo` draws a corpus from the bundled grammar, trains a translator each way, and scores both on",
        "held-out sentences of the same grammar (*held out*) and on conversations that no template makes",
        "(*hand-written*). The first tells that the machinery works; only the second says anything about sentences",
        "that people write.",
        "",
    ]
    result = read("", ["demo"]).get("demo")
    if result is None:
        return [*about, f"The demo: {MISSING}."]
    rows, columns, examples = [], {}, []
    for direction, its in result["directions"].items():
        for key, test in (("held_out", "held out"), ("handwritten", "hand-written")):
            minutes = f"{its['seconds_training'] / 60:.1f}"
            rows.append([direction, minutes, test, *report_cells(its[key])])
            columns[f"{direction}, {test}"] = its[key]
        examples += ["", f"Held-out examples, {direction}:", ""]
        examples += table(["Source", "Reference", "Translation"], its["examples"])
    return [
        *about,
        *table(["Direction", "minutes", "Test", *REPORT], rows),
        "",
        f"The whole demo took {result['seconds_total'] / 60:.1f} minutes.",
        *label_table("By domain: BLEU / chrF", columns),
        *examples,
        *made_by({"demo": result}, report_signatures(columns)),
    ]
