"""The command line: one command, a verb for each thing a user does.

Each verb lives in `ojak.commands` and is imported when it is called, so that help and errors of use come at once.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import os
import re
import sys
from collections.abc import Sequence

from ojak.errors import OjakError

DESCRIPTION = "Train translators, use them, and see where they look."
SETTING = re.compile(r"[a-z_]+(\.[a-z_]+)*=")
KEYS = "Settings such as train.updates=2000 may stand anywhere; docs/configuration.md lists every key."
EPILOG = "Exit codes: 0 done, 1 failed, 2 wrong use, 130 interrupted. `ojak VERB --help` tells more of a verb."


def parser() -> argparse.ArgumentParser:
    """The whole command line; the help page of the documentation is made from it."""
    root = argparse.ArgumentParser(prog="ojak", description=DESCRIPTION, epilog=EPILOG)
    root.add_argument("--version", action="store_true", help="print the version and stop")
    verbs = root.add_subparsers(dest="verb", metavar="VERB")

    demo = verbs.add_parser("demo", help="train on the bundled English–Korean conversation, translate, and look")
    demo.add_argument("--out", default="runs/demo", metavar="DIR", help="where the runs and figures go (runs/demo)")
    demo.add_argument("--seed", type=int, default=1, help="of the corpus and the training (1)")
    demo.add_argument("--json", metavar="FILE", help="write the figures of the demo to a file too")

    train = verbs.add_parser("train", help="train a translator on files of sentence pairs", epilog=KEYS)
    train.add_argument(
        "--pairs", nargs="+", metavar="FILE", help="files of pairs, globs, SOURCE,TARGET files, or a packed corpus"
    )
    train.add_argument("--dev", nargs="+", metavar="FILE", help="pairs to validate on (default: some are held out)")
    train.add_argument(
        "--alignments", nargs="+", metavar="FILE", help="word alignments to learn, a Pharaoh file for each of --pairs"
    )
    train.add_argument("--out", required=True, metavar="RUN", help="the run directory to make")
    train.add_argument("--recipe", nargs="+", default=[], metavar="FILE", help="TOML files of settings, later ones win")
    train.add_argument("--resume", action="store_true", help="go on with the run in --out")
    train.add_argument(
        "--from", dest="start", metavar="RUN", help="begin with a trained or imported model (fine-tuning)"
    )
    train.add_argument("settings", nargs="*", metavar="key=value", help="such as model.attention=dot")

    translate = verbs.add_parser("translate", help="translate lines, one out for each one in")
    _run(translate)
    translate.add_argument("file", nargs="?", metavar="FILE", help="sentences, one a line (default: standard input)")
    translate.add_argument(
        "--prefixes", metavar="FILE", help="how each translation begins, a line for each line (an empty one: anyhow)"
    )
    translate.add_argument(
        "--constraints", metavar="FILE", help="terms that must appear in each translation, parted by TAB, line by line"
    )
    translate.add_argument(
        "--glossary", metavar="FILE", help="source term TAB target term: what must appear where the source term does"
    )
    translate.add_argument(
        "--banned", action="append", default=[], metavar="TEXT", help="a word or phrase never to say; repeatable"
    )
    translate.add_argument("--stream", action="store_true", help="print tokens as soon as they are decided")
    translate.add_argument("--warnings", action="store_true", help="tell on standard error what is doubtful")
    translate.add_argument("--json", action="store_true", help="print each translation as a line of JSON")
    translate.add_argument("--attention", action="store_true", help="with --json: tell where the model looked")
    _precision(translate)
    translate.add_argument(
        "--workers", type=int, default=0, metavar="N", help="threads that translate side by side (one a core)"
    )
    _search(translate)

    score = verbs.add_parser("score", help="print the log-probability of each given translation")
    _run(score)
    score.add_argument("pairs", nargs="+", metavar="PAIRS", help="files of sentence pairs")
    score.add_argument("--normalise", action="store_true", help="divide by the number of tokens")
    score.add_argument("--reverse", action="store_true", help="the files hold the target first")
    score.add_argument(
        "--hypotheses",
        metavar="FILE",
        help="translations to score beside the targets: columns of both log-probabilities, BLEU, chrF2, chrF2++, TER",
    )
    score.add_argument("--corpus", action="store_true", help="of all pairs together: perplexity, bits a character")
    score.add_argument(
        "--json", action="store_true", help="a JSON object a line, with the log-probability of each token"
    )

    evaluate = verbs.add_parser("evaluate", help="measure BLEU, chrF, TER and perplexity on pairs")
    evaluate.add_argument("run", metavar="RUN", help="a run or model directory, or a file of translations, one a line")
    evaluate.add_argument("pairs", nargs="+", metavar="PAIRS", help="files of sentence pairs")
    evaluate.add_argument("--output", metavar="FILE", help="write the translations to a file too")
    _measuring(evaluate)
    _search(evaluate)

    compare = verbs.add_parser("compare", help="measure systems on pairs, and whether they differ by more than chance")
    compare.add_argument(
        "systems",
        nargs="+",
        metavar="SYSTEM",
        help="runs, model directories or files of translations, the baseline first; NAME=PATH names one",
    )
    compare.add_argument("--pairs", nargs="+", required=True, metavar="FILE", help="files of sentence pairs")
    compare.add_argument(
        "--trials", type=int, default=10_000, metavar="N", help="of approximate randomisation (10000; 0: none)"
    )
    _measuring(compare)
    _search(compare, ensemble=False)

    look = verbs.add_parser("look", help="show where the model looked while it translated a sentence")
    _run(look)
    look.add_argument("sentence", metavar="SENTENCE", help="what to translate")
    look.add_argument("--target", metavar="TEXT", help="look at this translation instead of the model's own")
    look.add_argument(
        "--view",
        default="mean",
        help="weights, norms, rollout, occlusion, gradient, integrated or share; or an attention view, a layer, or "
        "mean (mean: weights of all); see docs/looking.md",
    )
    look.add_argument("--layer", type=int, metavar="N", help="of attention, counted from 0 (default: all)")
    look.add_argument("--head", type=int, metavar="N", help="of the layer, counted from 0 (default: all)")
    look.add_argument("--self", dest="own", choices=("encoder", "decoder"), help="self-attention instead, of this side")
    look.add_argument("--words", action="store_true", help="merge the pieces of words")
    look.add_argument(
        "--before", action="store_true", help="with gradient or integrated: columns for the target words before, too"
    )
    look.add_argument("--no-compare", action="store_true", help="do not work out how far other views agree")
    look.add_argument("--all-heads", metavar="FILE", help="write a page (.html) over all heads of all layers")
    look.add_argument("--json", action="store_true", help="print the map as one JSON object")
    look.add_argument(
        "--out", action="append", default=[], metavar="FILE", help="a figure to write: .svg, .png or .html; repeatable"
    )
    _search(look)

    align = verbs.add_parser("align", help="link the words of sentence pairs by where the model looked")
    _run(align)
    align.add_argument("pairs", nargs="+", metavar="PAIRS", help="files of sentence pairs")
    align.add_argument("--reverse", action="store_true", help="the files hold the target first")
    for side in ("source", "target"):
        align.add_argument(f"--{side}-column", default="", metavar="COLUMN", help="name, or number from 1 (recognised)")
    align.add_argument("--reverse-model", metavar="RUN", help="a run of the opposite direction; both are made one")
    align.add_argument(
        "--symmetrise",
        choices=(
            "mutual",
            "soft-union",
            "intersection",
            "union",
            "grow-diag",
            "grow-diag-final",
            "grow-diag-final-and",
        ),
        help="how both are made one (mutual)",
    )
    align.add_argument("--view", help="an attention view, a layer, or mean (default: what was chosen for the model)")
    align.add_argument("--step", choices=("output", "input"), help="the step that writes the word, or that reads it")
    align.add_argument("--measure", choices=("weights", "norms"), help="attention weights, or norms of what they pass")
    align.add_argument(
        "--gold", nargs="?", const="", metavar="FILE", help="measure against gold links (default: the pairs' column)"
    )
    align.add_argument(
        "--choose",
        action="store_true",
        help="find the best view, step and measure on every other line of the gold, or by agreement of both "
        "directions, and keep them with the models",
    )
    align.add_argument("--probabilities", action="store_true", help="write i-j:p, p being how much the model looked so")
    align.add_argument("--json", action="store_true", help="print JSON: a line a pair, or the measures with --gold")
    align.add_argument("--output", metavar="FILE", help="write the links to a file")

    alternatives = verbs.add_parser("alternatives", help="show what else could stand at a place of a translation")
    _run(alternatives)
    alternatives.add_argument("sentence", metavar="SENTENCE", help="what to translate")
    alternatives.add_argument("--target", metavar="TEXT", help="at a place of this translation, not the model's own")
    alternatives.add_argument(
        "--at", type=int, metavar="PLACE", help="the token, counted from 0 (default: list the tokens)"
    )
    alternatives.add_argument("--count", type=int, default=5, metavar="N", help="how many to show (5)")
    _search(alternatives)

    shortlist = verbs.add_parser("shortlist", help="learn which words each source word may need, from sentence pairs")
    shortlist.add_argument("run", metavar="RUN", help="a run or model directory; the shortlist goes into it")
    shortlist.add_argument("--pairs", nargs="+", required=True, metavar="FILE", help="what the run was trained on")
    shortlist.add_argument("--reverse", action="store_true", help="the files hold the target first")
    shortlist.add_argument("--words", type=int, default=50, metavar="N", help="target words for a source word (50)")
    shortlist.add_argument(
        "--frequent", type=int, default=200, metavar="N", help="target words that may always be said (200)"
    )

    distill = verbs.add_parser(
        "distill", help="write pairs of sources and what a model makes of them, for a smaller one to learn from"
    )
    _run(distill)
    distill.add_argument("pairs", nargs="+", metavar="PAIRS", help="files of sentence pairs")
    distill.add_argument(
        "--out", required=True, metavar="FILE", help=".tsv, .csv or .jsonl, packed or not; what was cut off goes on"
    )
    distill.add_argument("--reverse", action="store_true", help="the files hold the target first")
    distill.add_argument("--with-originals", action="store_true", help="write each pair too, before its distilled one")
    distill.add_argument(
        "--closest",
        choices=("bleu", "chrf"),
        help="of the n best (--n-best; default: the whole beam) take the one most like the target",
    )
    _search(distill)

    average = verbs.add_parser("average", help="make one model of the mean of several sets of weights")
    average.add_argument(
        "runs", nargs="+", metavar="RUN", help="runs, model directories, or checkpoints and files of weights in runs"
    )
    average.add_argument("--last", type=int, metavar="N", help="of each run, the weights of its last N validations")
    average.add_argument("--out", required=True, metavar="DIR", help="the model directory to make")

    export = verbs.add_parser("export", help="write a Transformer for another engine")
    export.add_argument("run", metavar="RUN", help="a run or model directory")
    export.add_argument("--to", required=True, choices=("ctranslate2", "marian"), help="the engine, or the layout")
    export.add_argument("--out", required=True, metavar="DIR", help="the directory to make")
    export.add_argument(
        "--quantization",
        default="float32",
        choices=("float32", "int8", "int8_float32", "int16", "float16", "bfloat16"),
        help="how CTranslate2 keeps the weights (float32)",
    )

    bring = verbs.add_parser("import", help="make a model directory from a Hugging Face Marian (OPUS-MT) one")
    bring.add_argument(
        "model", metavar="DIR", help="config.json, model.safetensors, source.spm, target.spm, vocab.json"
    )
    bring.add_argument("--out", required=True, metavar="DIR", help="the model directory to make")
    bring.add_argument("--source", default="", metavar="CODE", help="language of the source (default: what DIR says)")
    bring.add_argument("--target", default="", metavar="CODE", help="language of the target (default: what DIR says)")
    _corpus(verbs.add_parser("corpus", help="look at, clean, split and pack files of sentence pairs"))

    verbs.add_parser("doctor", help="tell what is installed, and what this machine can do")
    return root


def _corpus(verb: argparse.ArgumentParser) -> None:
    actions = verb.add_subparsers(dest="action", metavar="VERB", required=True)

    inspect = actions.add_parser("inspect", help="tell what a corpus is like")
    inspect.add_argument("files", nargs="+", metavar="FILE", help="files of pairs, globs, or SOURCE,TARGET files")
    inspect.add_argument("--html", metavar="FILE", help="write the same as a page too")

    clean = actions.add_parser("clean", help="leave out pairs that teach nothing, with a report")
    clean.add_argument("files", nargs="+", metavar="FILE", help="files of pairs, globs, or SOURCE,TARGET files")
    clean.add_argument("--out", metavar="FILE", help="where to write the rest: .tsv, .csv or .jsonl, packed or not")
    clean.add_argument("--dry-run", action="store_true", help="write nothing, print the report")
    for action in (inspect, clean):
        action.add_argument("--without", nargs="+", default=[], metavar="FILTER", help="filters to switch off")
        action.add_argument(
            "--also", nargs="+", default=[], metavar="FILTER", help="filters to switch on: duplicate-source, -target"
        )
        action.add_argument("--longest", type=int, default=1000, metavar="N", help="characters of a side (1000)")
        action.add_argument("--ratio", type=float, default=4.0, metavar="X", help="of the lengths of the sides (4)")
        action.add_argument(
            "--script", type=float, default=0.3, metavar="X", help="least share of letters in the right script (0.3)"
        )

    split = actions.add_parser("split", help="set pairs aside for validation and testing, without leaks")
    split.add_argument("files", nargs="+", metavar="FILE", help="files of pairs, globs, or SOURCE,TARGET files")
    split.add_argument("--out", metavar="DIR", help="where train, dev and test are written")
    split.add_argument(
        "--dev", type=int, default=1000, metavar="N", help="pairs to validate on (1000; with --test's at most a tenth)"
    )
    split.add_argument("--test", type=int, default=1000, metavar="N", help="pairs to measure on (1000)")
    split.add_argument("--ending", default=".tsv", help="of the files: .tsv, .csv or .jsonl, packed or not (.tsv)")
    split.add_argument("--dry-run", action="store_true", help="write nothing, print the report")

    leaks = actions.add_parser("leaks", help="tell what of held-out pairs stands in training; exit code 1 if any does")
    leaks.add_argument("train", metavar="TRAIN", help="pairs to train on")
    leaks.add_argument("held_out", metavar="HELD_OUT", help="pairs to validate or measure on")
    for action in (split, leaks):
        action.add_argument(
            "--near", type=float, default=90.0, metavar="X", help="tell sentences that agree to X of 100; 0: do not"
        )

    pack = actions.add_parser("pack", help="tokenise once, for training on what does not fit in memory", epilog=KEYS)
    pack.add_argument("--pairs", nargs="+", metavar="FILE", help="files of pairs, globs, or SOURCE,TARGET files")
    pack.add_argument("--dev", nargs="+", metavar="FILE", help="pairs to validate on (default: some are held out)")
    pack.add_argument("--out", required=True, metavar="DIR", help="the packed corpus; what was cut off goes on")
    pack.add_argument("--recipe", nargs="+", default=[], metavar="FILE", help="TOML files of settings, later ones win")
    pack.add_argument("settings", nargs="*", metavar="key=value", help="such as text.size=16000 data.source=en")

    for action in (inspect, clean, split, leaks):
        action.add_argument("--json", action="store_true", help="print one JSON object")
        action.add_argument("--seed", type=int, default=1, help="of what is drawn (1)")
        _layout(action)


def _layout(verb: argparse.ArgumentParser) -> None:
    layout = verb.add_argument_group("layout of the files, recognised where it is not said")
    layout.add_argument("--source", default="", metavar="CODE", help="language of the source, such as en")
    layout.add_argument("--target", default="", metavar="CODE", help="language of the target, such as ko")
    for side in ("source", "target", "label", "group"):
        layout.add_argument(f"--{side}-column", default="", metavar="COLUMN", help="name, or number from 1")
    layout.add_argument(
        "--header", default="auto", choices=("auto", "yes", "no"), help="whether tables begin with names (auto)"
    )
    layout.add_argument("--sheet", default="", help="of a workbook, name or number (the first)")
    layout.add_argument("--encoding", default="", help="of text files (detected)")


def _run(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("run", metavar="RUN", help="a run or model directory")
    _device(verb)


def _device(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--device", default="auto", choices=("auto", "cpu", "cuda"), help="where to compute (auto)")


def _precision(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--precision",
        default="auto",
        choices=("auto", "exact", "fp32", "bf16", "int8"),
        help="what a CPU multiplies; exact: PyTorch's fp32, the others need ojak[fast] (fp32 where there is that)",
    )


def _measuring(verb: argparse.ArgumentParser) -> None:
    _device(verb)
    _precision(verb)
    verb.add_argument("--reverse", action="store_true", help="the files hold the target first")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    verb.add_argument("--html", metavar="FILE", help="write a page with plots and all sentences, which works offline")
    verb.add_argument(
        "--scores",
        action="append",
        default=[],
        metavar="NAME=FILE",
        help="scores made elsewhere, one a line, or as comet-score writes them (systems: FILE,FILE); repeatable",
    )
    verb.add_argument(
        "--train",
        nargs="+",
        metavar="FILE",
        help="the training pairs, to find leaks in and count words (the run's own)",
    )
    verb.add_argument("--no-training", action="store_true", help="do not look at the training pairs")
    verb.add_argument(
        "--resamples", type=int, default=1000, metavar="N", help="of the bootstrap behind intervals (1000; 0: none)"
    )
    verb.add_argument("--seed", type=int, default=12345, help="of what chance does (12345, as in sacreBLEU)")
    for side in ("source", "target"):
        verb.add_argument(
            f"--{side}", default="", metavar="CODE", help=f"language of the {side}, where no run tells it"
        )


SEARCH: tuple[tuple[str, type[int] | type[float] | None, str], ...] = (
    ("beam", int, "hypotheses kept at each step; 1: greedy"),
    ("n-best", int, "hypotheses given back"),
    ("length-penalty", float, "alpha: how much length counts"),
    ("coverage-penalty", float, "beta: source tokens hardly looked at cost"),
    ("diversity-groups", int, "groups of diverse beam search"),
    ("diversity-strength", float, "cost of a word that earlier groups chose"),
    ("sampling", None, "draw each word"),
    ("temperature", float, "of sampling: above 1 is wilder"),
    ("top-k", int, "sample from the likeliest so many words"),
    ("top-p", float, "sample from the likeliest words that share this much"),
    ("min-p", float, "sample from words this likely, the likeliest being 1"),
    ("sampling-seed", int, "of sampling; a sentence is drawn alike in every company"),
    ("repetition-penalty", float, "words said before count as this much less likely"),
    ("no-repeat-ngram-size", int, "n-grams of this length are said once at most"),
    ("min-length", int, "shortest output in tokens"),
    ("max-length", int, "longest output in tokens"),
    ("max-length-factor", float, "longest output over the source's tokens, plus 10"),
    ("shortlist", None, "only words that the model's shortlist has can be said"),
    ("mbr", int, "choose among so many candidates the one most like the others"),
)
"""settings of the search: name, type (None: on or off), help"""


def _search(verb: argparse.ArgumentParser, ensemble: bool = True) -> None:
    group = verb.add_argument_group("search", "What is not said is as the recipe says; see docs/search.md.")
    for name, kind, about in SEARCH:
        if kind is None:
            group.add_argument(f"--{name}", action="store_true", default=None, help=about)
        else:
            group.add_argument(f"--{name}", type=kind, metavar="N" if kind is int else "X", help=about)
    group.add_argument("--stop", choices=("likely", "first", "exact"), help="when a beam stops")
    group.add_argument("--length-norm", choices=("wu", "plain"), help="how length counts")
    group.add_argument(
        "--no-cut-loops", dest="cut_loops", action="store_false", default=None, help="let it go round in circles"
    )
    if ensemble:
        group.add_argument(
            "--ensemble", action="append", default=[], metavar="RUN", help="average with this run too; repeatable"
        )


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The words of a command line as settings of its verb; ends the process with code 2 if they are wrong."""
    root = parser()
    args, rest = root.parse_known_args(argv)
    # argparse takes optional words that follow an option for strays, or for more files of that option.
    if args.verb == "train" or (args.verb == "corpus" and args.action == "pack"):
        args.settings += [word for word in rest if not word.startswith("-")]
        rest = [word for word in rest if word.startswith("-")]
        for name in (name for name in ("pairs", "dev", "alignments", "recipe") if name in args):
            files = getattr(args, name) or []
            args.settings += [word for word in files if SETTING.match(word)]
            setattr(args, name, [word for word in files if not SETTING.match(word)])
    if args.verb == "translate" and args.file is None and len(rest) == 1 and not rest[0].startswith("-"):
        args.file, rest = rest[0], []
    if rest:
        root.error(f"unknown words: {' '.join(rest)}; see `ojak {args.verb or ''} --help`")
    return args


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command line and returns its exit code."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # Korean on a console of another encoding; input is read as UTF-8 too
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    args = parse(argv)
    if args.version:
        from importlib.metadata import version

        print(version("ojak"))
        return 0
    if args.verb is None:
        parser().print_help()
        return 2
    try:
        module = "bring" if args.verb == "import" else args.verb  # a module cannot be named so
        code: int = importlib.import_module(f"ojak.commands.{module}").run(args)
        sys.stdout.flush()
        return code
    except OjakError as error:
        if str(error):  # else another process has told it
            print(f"ojak {args.verb}: {error}", file=sys.stderr)
        return error.exit_code
    except BrokenPipeError:  # the reader of our output has gone; nobody is left to tell
        _close_output()
        return 1
    except OSError as error:  # files tell of themselves by StorageError, so this is the output, or the machine
        print(f"ojak {args.verb}: {error.strerror or error}; the output is not whole.", file=sys.stderr)
        _close_output()
        return 1
    except KeyboardInterrupt:
        print(f"ojak {args.verb}: interrupted", file=sys.stderr)
        return 130


def _close_output() -> None:
    """Lets what is still buffered go nowhere: Python would try once more at its end, and complain."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
