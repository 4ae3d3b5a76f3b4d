"""The tables of docs/results.md, each made from files of benchmarks/results. A new table is a function in TABLES."""

from __future__ import annotations

import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "benchmarks"))

import alignment as alignment_benchmark  # noqa: E402
import korean as korean_benchmark  # noqa: E402
import lineage as lineage_benchmark  # noqa: E402
import multi30k as multi30k_benchmark  # noqa: E402
import small as small_benchmark  # noqa: E402
from cells import (  # noqa: E402
    MISSING,
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
    table,
    training,
)
from decoding_tables import decoding, decoding_pictures  # noqa: E402
from pareto_tables import pareto, pareto_pictures  # noqa: E402

from ojak.look import charts  # noqa: E402


def results() -> str:
    """The page of all tables."""
    lines = [
        "# Results",
        "",
        "Every number here comes from a file in `benchmarks/results`, written by the command named with it.",
        "",
        "- BLEU, chrF and chrF++ run from 0 to 100, and higher is better. TER counts edits for a hundred words, and",
        "  lower is better. Scores compare only where their signatures, printed below each table, are the same.",
        "- Perplexity is teacher-forced, for a token of the model's own vocabulary, the end of sentence included;",
        "  lower is better. It compares only between models with the same vocabulary.",
        "- Each model was trained once, with the seed named. Small differences may be chance.",
        "- tokens/s counts the real target tokens of the whole training, validation included in the time.",
        "- Minutes and tokens/s tell what a training took here, two at a time with a thread each, while other work ran",
        "  on the machine too. They are no measurement of speed.",
    ]
    for function in TABLES:
        lines += ["", *function()]
    return "\n".join(lines)


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
        "trained on together, tested apart, beam 4.",
        "",
        *table(["Direction", "Model", *TRAINING, "Test", *REPORT], rows),
        *parts,
        *made_by(found, report_signatures(reports)),
    ]


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
        first = [next((f"{at:.0f}" for at, bleu in result["rise"] if bleu >= bar), "–") for bar in (35, 38, 40)]
        rows.append(
            [name, *training(result), *tokenised, f"{raw['BLEU']:.2f}", f"{raw['chrF2']:.2f}", " / ".join(first)]
        )
    verdicts = []
    for precision in ("bf16", "fp32"):
        best = [
            its["tests"]["test_2016_flickr"]["tokenised_bleu"] for n, its in found.items() if n.startswith(precision)
        ]
        if best:
            mean = sum(best) / len(best)
            verdicts.append(
                f"- {precision}, mean of {len(best)} of 3 seeds: {spread(best)}, {mean - PUBLISHED:+.2f} beside the "
                f"published {PUBLISHED}"
            )
    reports = {name: result["tests"]["test_2016_flickr"] for name, result in found.items()}
    return [
        "## Multi30k, English to German",
        "",
        comment("recipes/multi30k/transformer.toml"),
        "Tokenised BLEU is over lower-case words as Moses cuts them, beam 5, as published figures count it; the",
        f"published one is {PUBLISHED} on Test 2016, of a text-only Transformer-tiny (Wu 2021). The last column tells",
        "after how many minutes validation, by sacreBLEU over raw text, first reached 35, 38 and 40; a dash: never.",
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
        *made_by(found, report_signatures(reports, "BLEU", "chrF2")),
    ]


PUBLISHED = 41.02


def small() -> list[str]:
    """What each step of the recipe for small corpora gains."""
    lines = [
        "## Small data",
        "",
        "Steps lie one over another, after Sennrich and Zhang (2019): each is the recipe before it and one thing more.",
        "The mean of the seeds, between the lowest and the highest; BLEU and chrF of raw text, beam 5. Steps are",
        "chosen by the validation set.",
    ]
    every: dict[str, Result] = {}
    for corpus, (name, target, count) in small_benchmark.CORPORA.items():
        rows, before = [], None
        for step in small_benchmark.STEPS:
            recipe = f"recipes/small/{step}.toml"
            names = [f"{corpus}-{step}-{seed}" for seed in small_benchmark.SEEDS]
            found = read("small-", names)
            every |= found
            row = [f"[{step}](../{recipe})", comment(recipe).removesuffix(".")]
            if not found:
                rows.append([*row, MISSING] + [""] * 5)
                continue
            by = {
                (part, score): [scores(its["tests"][part])[score] for its in found.values()]
                for part in ("dev", "test")
                for score in ("BLEU", "chrF2")
            }
            mean = statistics.mean(by["test", "BLEU"])
            gain = "" if before is None else f"{mean - before:+.2f}"
            before = mean
            cells = [spread(by[key]) for key in by]
            minutes = statistics.mean(its["minutes"] for its in found.values())
            rows.append([*row, str(len(found)), f"{minutes:.0f}", cells[0], cells[2], gain, cells[3]])
        what = f"the first {count:,} pairs of" if count else "all of"
        lines += [
            *("", f"### {corpus}: {what} `{name}`, en-{target}", ""),
            *table(["Step", "What it adds", "seeds", "minutes", "BLEU, dev", "BLEU, test", "gain", "chrF, test"], rows),
        ]
    reports = {name: its["tests"]["test"] for name, its in every.items()}
    return [*lines, *made_by(every, report_signatures(reports, "BLEU", "chrF2"))]


def spread(values: Sequence[float]) -> str:
    """The mean of the seeds, between the lowest and the highest."""
    return f"{statistics.mean(values):.2f} ({min(values):.2f}–{max(values):.2f})"


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
    if result.get("norms") != "mean of layers":
        lines.append("The norms here were taken by an earlier definition: the mean of each layer's shares.")
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


def parallel() -> list[str]:
    """Training on two processes beside one."""
    lines = ["## Training on several processes", ""]
    result = read("", ["parallel"]).get("parallel")
    if result is None:
        return [*lines, MISSING]
    found = result["contenders"]
    names = ("one process, one thread", "one process, two threads")
    one, threads = ([each["tokens_per_second"] for each in found[name]["rounds"]] for name in names)
    rows = []
    for name, its in found.items():
        speeds = [each["tokens_per_second"] for each in its["rounds"]]
        ratios = [sorted(a / b for a, b in zip(speeds, others, strict=True)) for others in (one, threads)]
        rows.append(
            [
                name,
                f"{statistics.median(speeds):,.0f}",
                *(f"{statistics.median(its):.2f} ({its[0]:.2f}–{its[-1]:.2f})" for its in ratios),
                f"{its['update_ms']:,.0f}",
                f"{its['sum_ms']:,.0f}" if its["sum_ms"] else "",
                f"{its['peak_mb']:,.0f}",
            ]
        )
    return [
        *lines,
        "Target tokens a second of the Transformer of width 256 with 3 + 3 layers and a vocabulary of 8,000",
        f"({result['parameters'] / 1e6:.1f} M parameters), with {result['tokens']:,} tokens in an update (strong), or",
        "for each process (weak). Ratios are of the same round: the median, and between what they lay. The bar is 1.8",
        "times one process with one thread. Summing is what of an update a process spends on adding up gradients with",
        "the other, waiting for it included. Two processes apart know nothing of each other: what the machine allows.",
        "",
        *table(
            ["", "tokens/s", "× one thread", "× two threads", "ms an update", "of them summing", "MB a process"], rows
        ),
        "",
        f"- {result['machine']}; torch {result['versions']['torch']}; {len(one)} rounds of {result['seconds']:g} s",
        f"- Made by: `{result['command']}`",
    ]


def objectives() -> list[str]:
    """What the objectives cost."""
    lines = ["## What objectives cost", ""]
    found = read("", ["objectives"])
    if not found:
        return [*lines, MISSING]
    result = found["objectives"]
    speeds = result["tokens_per_second"]
    rows = []
    for name, here in speeds.items():
        shares = [speed / plain for speed, plain in zip(here, speeds["plain"], strict=True)]
        low, high = (f"{100 * end(shares):.0f}" for end in (min, max))
        rows.append(
            [name, f"{statistics.median(here):,.0f}", f"{100 * statistics.median(shares):.0f} % ({low}–{high})"]
        )
    return [
        *lines,
        "Target tokens a second of one thread, on the work of the table of training's speed, and the share of what",
        f"plain training does in the same round: the median of {result['rounds']}, and between what they lay. The",
        "objectives are those of [training.md](training.md); scheduled sampling and R-Drop go through the decoder, or",
        "the model, twice. The machine was not quiet: a few percent are nothing.",
        "",
        *table(["Objective", "tokens/s", "of plain training"], rows),
        *made_by(found, {}),
    ]


def packing() -> list[str]:
    """Tokenising corpora larger than memory."""
    lines = [
        "## Packing large corpora",
        "",
        "A file of pairs is tokenised once into ids on disk, and training draws its batches from there. SentencePiece",
        "alone is what its own calls do on lists in memory, by as many processes, just before and after on the same",
        "machine; packing also reads and checks the file, normalises, and writes. Peak memory is that of the largest",
        "process above what its imports take: of packing, and of planning a pass and drawing 1,000 batches.",
        "",
    ]
    result = read("", ["packing"]).get("packing")
    if result is None:
        return [*lines, f"Packing: {MISSING}."]
    rows = []
    for size in result["sizes"]:
        alone = sum(size["sentencepiece_pairs_per_second"]) / len(size["sentencepiece_pairs_per_second"])
        rows.append(
            [
                f"{size['pairs']:,}",
                f"{size['bytes_of_text'] / 1e9:.2f} → {size['bytes_packed'] / 1e9:.2f} GB",
                f"{size['seconds']:,.0f} s",
                f"**{round(size['pairs_per_second'], -2):,.0f}**",
                f"{round(alone, -2):,.0f}",
                f"{size['ratio']:.2f}",
                f"{size['memory_packing'] / 1e6:.0f} MB",
                f"{size['memory_batches'] / 1e6:.0f} MB",
            ]
        )
    header = ["pairs", "text → packed", "time", "pairs/s", "SentencePiece alone", "ratio", "packing", "batches"]
    notes = [f"- {size['pairs']:,} pairs: {size['note']}." for size in result["sizes"] if size["note"]]
    return [
        *lines,
        *table(header, rows),
        "",
        f"- Processes that encode: {result['processes']}, beside the one that reads and writes.",
        *notes,
        *made_by({"packing": result}, {})[1:],
    ]


def speed() -> list[str]:
    """Training beside the peers."""
    result = read("", ["training"]).get("training")
    lines = ["## Speed of training, beside the peers", ""]
    if result is None:
        return [*lines, MISSING]
    lines += [
        "The same synthetic sentences of Multi30k's lengths, a vocabulary of 8,000, batches of 4,096 tokens, label",
        "smoothing and Adam for everyone; real target tokens a second on two threads. Transformer: 3 + 3 layers, width",
        "256, 4 heads, feed-forward 1,024, as published; LSTM: one layer of 512, general attention, input feeding. A",
        f"round runs all, one after another; the median of {result['rounds']} rounds of {result['seconds']:.0f} s is",
        "told, with the slowest and the fastest. Tuned, from outside: fp32 products at precision medium, an allocator",
        "that keeps its memory. Ojak as it comes has rotary positions and norms before the layers. Dropout falls on",
        "slightly different places: Ojak does not drop attention weights, Hugging Face neither these nor the inside of",
        "the feed-forward layer.",
    ]
    ceiling = result["ceilings"]
    for kind in ("transformer", "recurrent"):
        found = {name: one for name, one in result["contenders"].items() if name.startswith(kind)}
        best = next(one for name, one in found.items() if "ojak" in name)["tokens_per_second"]
        rows = []
        for name, one in sorted(found.items(), key=lambda item: -item[1]["tokens_per_second"]):
            rate = one["tokens_per_second"]
            cells = [
                name.split("/")[1],
                f"**{rate:,.0f}**" if "ojak" in name else f"{rate:,.0f}",
                f"{one['windows'][0]:,.0f} to {one['windows'][-1]:,.0f}",
                f"{best / rate:.1f}",
                f"{one['peak_mb']:,.0f}",
            ]
            if kind == "transformer":
                share = rate * result["megaflops"] / 1e3
                cells.append(f"{share:,.0f}")
            rows.append(cells)
        header = ["Trainer", "tokens/s", "range", "ojak bf16 is so many times as fast", "peak MB"]
        lines += ["", *table([*header, *(["GFLOP/s"] if kind == "transformer" else [])], rows)]
        lines += ["", f"![tokens a second]({SPEED_PICTURES[kind]})"]
    return [
        *lines,
        "",
        f"Ceilings of matrix products in the same run, GFLOP/s: fp32 {ceiling['fp32']:,.0f}, fp32 at precision medium",
        f"{ceiling['fp32 medium']:,.0f}, bf16 {ceiling['bf16']:,.0f}. Where the processor has matrix units (AMX) the",
        "products are a small part of the time, and passes over the activations, which wait for memory, the rest.",
        *made_by({"training": result}, {}),
    ]


def drawn() -> dict[str, str]:
    """All charts of figures, by file."""
    return speed_pictures() | decoding_pictures() | pareto_pictures()


SPEED_PICTURES = {kind: f"pictures/speed-{kind}.svg" for kind in ("transformer", "recurrent")}


def speed_pictures() -> dict[str, str]:
    """The bars of the table above, by file."""
    result = read("", ["training"]).get("training")
    if result is None:
        return {}
    found = {}
    for kind, path in SPEED_PICTURES.items():
        values = {
            name.split("/")[1]: one["tokens_per_second"]
            for name, one in result["contenders"].items()
            if name.startswith(kind)
        }
        ours = [name for name in values if "ojak" in name]
        found[path] = charts.bars(f"Training, {kind}: target tokens a second", values, ours)
    return found


def searching() -> list[str]:
    """Required terms, the guards, and CTranslate2 beside PyTorch."""
    found = read("search-", ["constraints", "guards", "ctranslate2"])
    lines = ["## Search", "", "With the English–Korean models above, en-ko, on their test set `enko_talk`."]
    for part, function in (("constraints", _constraints), ("guards", _guards), ("ctranslate2", _ctranslate2)):
        lines += ["", *(function(found[part]) if part in found else [f"{part}: {MISSING}."])]
    signed = {name: [(name, result["signature"])] for name, result in found.items() if "signature" in result}
    signatures = {"BLEU": [pair for pairs in signed.values() for pair in pairs]} if signed else {}
    return [*lines, *made_by(found, signatures)]


def _constraints(result: Result) -> list[str]:
    rows = [
        [
            *(its["model"], str(its["beam"]), f"{its['length_penalty']:g}", str(its["terms"]), str(its["by_chance"])),
            f"**{its['appear']} ({its['appear'] / its['terms']:.1%})**",
            *(f"{its['free']:.1f}", f"{its['held']:.1f} ({its['held'] - its['free']:+.1f})", f"{its['score']:.1f}"),
        ]
        for its in result["rows"]
    ]
    header = ["Model", "beam", "length penalty", "terms", "there unasked", "there when required"]
    return [
        "### Terms that must appear",
        "",
        f"{result['sentences']} sentences, each with one to three terms drawn from its reference. Nothing is lost in",
        "BLEU: the terms come from what it is measured by. What they cost is in the last column, the mean",
        "log-probability that the model gives its translations, less that of those it makes freely.",
        "",
        *table([*header, "BLEU free", "BLEU with terms", "log-probability"], rows),
    ]


def _guards(result: Result) -> list[str]:
    rows = [
        [
            *(its["model"], str(its["beam"]), "on" if its["cut_loops"] else "off", f"{its['tokens']:,}"),
            *(str(its[key]) for key in ("circles", "longest", "long")),
            f"**{its['silent']}**",
        ]
        for its in result["rows"]
    ]
    header = ["Model", "beam", "cut_loops", "tokens", "cut as circles", "cut at the longest length"]
    return [
        "### Inputs that make models loop",
        "",
        f"{result['rows'][0]['inputs']} inputs: single and repeated words, emoji, other scripts, 500 characters",
        "without a space. How many outputs are more than three times as long as their input, and how many of these",
        "come without a warning:",
        "",
        *table([*header, "more than three times", "of these silent"], rows),
    ]


def _ctranslate2(result: Result) -> list[str]:
    rows = [
        [
            *(its["weights"], str(its["beam"]), f"{its['alike']} of {its['sentences']}"),
            *(f"{its['score']:.1e}", f"{its['attention']:.1e}", f"{its['bleu']:.2f}"),
            f"{its['engine_bleu']:.2f} ({its['engine_bleu'] - its['bleu']:+.2f})",
        ]
        for its in result["rows"]
    ]
    header = ["CTranslate2's weights", "beam", "same tokens", "scores differ by", "attention by"]
    return [
        "### CTranslate2 beside PyTorch",
        "",
        "The Transformer, exported, with `stop=first`. Scores and attention are compared where the tokens are the",
        "same; the largest difference is told.",
        "",
        *table([*header, "BLEU here", "BLEU there"], rows),
    ]


def faults() -> list[str]:
    """Runs that are broken in every way, and what a checkpoint costs."""
    lines = ["## Runs that are broken, and resumed", ""]
    result = read("", ["faults"]).get("faults")
    if result is None:
        lines.append(f"Kills and other faults: {MISSING}.")
    else:
        kinds, counts = result["kinds"], ("injected", "lost", "differences")
        killed = sum(one["injected"] for one in kinds if one["kill"])
        rows = [[one["what"], *(f"{one[key]:,}" for key in counts)] for one in kinds]
        rows.append(["**all**", *(f"**{sum(one[key] for one in kinds):,}**" for key in counts)])
        lines += [
            f"Tiny runs of {len(result['runs'])} kinds (RNN, GRU, LSTM and Transformer, with attention and without,",
            f"fp32 and bf16, with workers and without) were killed {killed:,} times and broken in other ways,",
            "at places drawn at random, most of them several times one after another, and resumed to their end. A run",
            "is lost if it cannot be resumed, or does not say what happened. Differences are those from a run that",
            "nothing disturbed, to the bit: of weights, state of the optimizer, progress, history (no times), card.",
            "",
            *table(["Fault", "injected", "runs lost", "runs with differences"], rows),
            *made_by({"faults": result}, {}),
        ]
    lines += ["", "### What a checkpoint costs", ""]
    result = read("", ["checkpoints"]).get("checkpoints")
    if result is None:
        return [*lines, f"Seconds and memory: {MISSING}."]
    rows = [
        [
            name,
            f"{one['parameters'] / 1e6:.1f} M",
            f"{one['bytes'] / 1e6:,.0f} MB",
            f"{one['took']:.2f} s",
            f"{one['memory'] / 1e6:,.0f} MB",
            f"{one['loading']:.2f} s",
            f"{one['update']:.2f} s",
            f"**{100 * one['share']:.2f} %**",
        ]
        for name, one in result["models"].items()
    ]
    header = ["Transformer", "parameters", "on the disk", "to write", "more memory", "to read", "an update"]
    every = next(iter(result["models"].values()))["save_every"]
    return [
        *lines,
        "Medians; an update is of 4,096 tokens a side, in seconds of the processor for each thread. Writing, by the",
        "clock, includes the sums and waiting for the disk. The memory is what the process holds at most while it",
        f"writes, above what it held before. The share is that of one checkpoint in {every} updates,",
        "`train.save_every` by default.",
        "",
        *table([*header, "share of training"], rows),
        *made_by({"checkpoints": result}, {}),
    ]


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


TABLES = (
    lineage,
    korean,
    multi30k,
    small,
    speed,
    decoding,
    pareto,
    objectives,
    parallel,
    searching,
    alignments,
    demo,
    pictures,
    attribution,
    packing,
    faults,
)
