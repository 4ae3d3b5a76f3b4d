"""Tables of how training goes: its speed, what objectives and processes cost, packing, and what breaks."""

from __future__ import annotations

import statistics
import sys

from cells import MISSING, ROOT, Result, made_by, read, table

from ojak.look import charts

sys.path.insert(0, str(ROOT / "benchmarks"))

from training import PROCESSORS

KINDS = ("transformer", "recurrent")


def speed() -> list[str]:
    """Training beside the peers, on each kind of processor."""
    found = read("training-", PROCESSORS)
    lines = ["## Speed of training, beside the peers", ""]
    if not found:
        return [*lines, MISSING]
    lines += [
        "The same synthetic sentences of Multi30k's lengths, a vocabulary of 8,000, batches of 4,096 tokens, label",
        "smoothing and Adam for everyone; real target tokens a second on two threads. Transformer: 3 + 3 layers, width",
        "256, 4 heads, feed-forward 1,024, as published; LSTM: one layer of 512, general attention, input feeding. A",
        "round runs all, one after another; the median of the rounds is told, with the slowest and the fastest. Tuned,",
        "from outside: fp32 products at precision medium, an allocator that keeps its memory. At that precision AMX",
        "multiplies fp32 rounded to bf16, for Ojak's fp32 as for tuned peers. JoeyNMT and OpenNMT-py are as installed,",
        "Eole is measured where it stands; fairseq, Sockeye, Marian in C++ and keras-hub are not. Ojak as it comes has",
        "rotary positions and norms before the layers. Dropout falls on slightly different places: Ojak does not drop",
        "attention weights, Hugging Face neither these nor the inside of the feed-forward layer.",
    ]
    for processor, result in found.items():
        lines += ["", f"### On {result['machine']}", *on_processor(processor, result)]
    return lines


def on_processor(processor: str, result: Result) -> list[str]:
    """The tables of one processor, its ceilings, and what was aimed at."""
    lines, ceiling = [], result["ceilings"]
    for kind in KINDS:
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
        lines += ["", f"![tokens a second]({speed_picture(processor, kind)})"]
    return [
        *lines,
        "",
        f"Ceilings of matrix products in the same run, GFLOP/s: fp32 {ceiling['fp32']:,.0f}, fp32 at precision medium",
        f"{ceiling['fp32 medium']:,.0f}, bf16 {ceiling['bf16']:,.0f}. Other processes took at most",
        f"{max(one['others'] for one in result['contenders'].values()):.0f} % of a core during a measurement;",
        f"{result['rounds']} rounds of {result['seconds']:.0f} s. Beside the goals, which were set on a processor of",
        "950 to 1,030 GFLOP/s in bf16 and 490 in fp32:",
        "",
        *goals(result),
        *made_by({f"training-{processor}": result}, {}),
    ]


def goals(result: Result) -> list[str]:
    """What was aimed at, and what there is."""
    rate = {name: one["tokens_per_second"] for name, one in result["contenders"].items()}
    lines = []
    for ours, wanted in (
        ("transformer/ojak bf16", (("JoeyNMT", 8), ("as installed", 3.5), ("tuned", 1.8))),
        ("transformer/ojak fp32", (("tuned", 1.3),)),
        ("recurrent/ojak LSTM bf16", (("JoeyNMT", 4), ("OpenNMT-py", 2))),
    ):
        kind, precision = ours.split("/")[0], ours[-4:]
        peers = {name: speed for name, speed in rate.items() if name.startswith(kind) and "ojak" not in name}
        if precision == "fp32":
            peers = {name: speed for name, speed in peers.items() if "bf16" not in name}
        for what, times in wanted:
            tuned = what == "tuned"
            if what in ("as installed", "tuned"):
                fit, told = [name for name in peers if ("tuned" in name) == tuned], f"the fastest peer {what}"
            else:
                fit, told = [name for name in peers if what in name and "tuned" not in name], what
            if fit and ours in rate:
                found = rate[ours] / max(peers[name] for name in fit)
                lines.append(f"- {kind}, {precision}, {told}: **{found:.2f}** times as fast, of {times:g}")
    share = rate["transformer/ojak bf16"] * result["megaflops"] / 1e3 / result["ceilings"]["bf16"]
    return [*lines, f"- transformer, of the ceiling of bf16: **{100 * share:.0f} %**, of 55 %"]


def gpu() -> list[str]:
    """Training on a GPU."""
    lines = ["## Speed of training on a GPU", ""]
    result = read("", ["gpu"]).get("gpu")
    if result is None:
        return [*lines, MISSING]
    lines += [
        "The sentences of the table above, for models and batches of two sizes: target tokens a second, and what share",
        f"they are of what this GPU multiplies in bf16 ({result['ceiling_tflops']:,.0f} TFLOP/s, measured in the same",
        f"run). The median of {result['rounds']} rounds of {result['seconds']:.0f} s is told, and the range of all.",
        "The peers go through a plain loop with autocast and an Adam of one pass; Ojak is as it comes. cuDNN's",
        "attention is switched off for all: it prepares itself for every new shape. With small batches everyone waits",
        "for Python to call a thousand small operations, not for the GPU, and Ojak longest: it calls more of them, and",
        "bf16 gains it nothing there.",
        "",
    ]
    rows = []
    for name, size in result["works"].items():
        ours = size["contenders"]["ojak bf16"]["tokens_per_second"]
        for contender, one in sorted(size["contenders"].items(), key=lambda item: -item[1]["tokens_per_second"]):
            rate = one["tokens_per_second"]
            rows.append(
                [
                    f"{name}, {size['batch']:,} tokens",
                    contender,
                    f"**{rate:,.0f}**" if "ojak" in contender else f"{rate:,.0f}",
                    f"{one['windows'][0]:,.0f} to {one['windows'][-1]:,.0f}",
                    f"{ours / rate:.2f}",
                    f"{rate * size['megaflops'] / result['ceiling_tflops'] / 1e4:.1f} %",
                    f"{one['peak_mb']:,.0f}",
                ]
            )
    header = ["Work", "Trainer", "tokens/s", "range", "ojak bf16 is so many times as fast", "of the ceiling", "peak MB"]
    return [*lines, *table(header, rows), *made_by({"gpu": result}, {})]


def speed_picture(processor: str, kind: str) -> str:
    return f"pictures/speed-{processor}-{kind}.svg"


def speed_pictures() -> dict[str, str]:
    """The bars of the tables above, by file."""
    found = {}
    for processor, result in read("training-", PROCESSORS).items():
        for kind in KINDS:
            values = {
                name.split("/")[1]: one["tokens_per_second"]
                for name, one in result["contenders"].items()
                if name.startswith(kind)
            }
            ours = [name for name in values if "ojak" in name]
            title = f"Training, {kind}: target tokens a second ({processor})"
            found[speed_picture(processor, kind)] = charts.bars(title, values, ours)
    return found


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


def prepared() -> list[str]:
    """Memory and speed with few and with many prepared products."""
    lines = ["## What training keeps prepared", ""]
    result = read("", ["prepared"]).get("prepared")
    if result is None:
        return [*lines, MISSING]
    few, every = (int(result["kept"][name]) for name in ("few", "all"))
    lines += [
        f"oneDNN prepares a product for every new shape. A training of Ojak keeps {few} of these (few); by themselves",
        f"oneDNN and torch keep {every:,} each (all). Of processes of their own, in turns: the speed of the second",
        f"half of {result['updates']} updates of a Transformer of width 128 with two threads, the median of the rounds",
        "and the range, and the most memory that had been held after each third of them, the median.",
        "",
    ]
    rows = []
    for corpus, ways in result["corpora"].items():
        for kept, rounds in ways.items():
            rates = [one["tokens_per_second"] for one in rounds]
            peaks = [statistics.median(each) / 2**20 for each in zip(*(one["memory"] for one in rounds), strict=True)]
            speed = f"{statistics.median(rates):,.0f}", f"{min(rates):,.0f} to {max(rates):,.0f}"
            rows.append([corpus, kept, *speed, *(f"{peak:,.0f}" for peak in peaks)])
    thirds = [f"MB after {result['updates'] * n // 3}" for n in (1, 2, 3)]
    header = ["Corpus", "kept", "tokens/s", "range", *thirds]
    return [*lines, *table(header, rows), *made_by({"prepared": result}, {})]


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
