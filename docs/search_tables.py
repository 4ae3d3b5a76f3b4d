"""Tables of search: required terms, the guards, CTranslate2 beside PyTorch."""

from __future__ import annotations

from cells import MISSING, Result, made_by, read, table


def searching() -> list[str]:
    """Required terms, the guards, and CTranslate2 beside PyTorch."""
    found = read("search-", ["constraints", "guards", "ctranslate2"])
    lines = ["## Search", "", "With English–Korean models of the recipes above, en-ko, on their test set `enko_talk`."]
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
