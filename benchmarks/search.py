"""The search on real sentences: required terms, inputs that make models loop, and CTranslate2 beside PyTorch.

    python benchmarks/search.py [constraints] [guards] [ctranslate2]

Uses the English–Korean runs of benchmarks/korean.py (or of the folder in OJAK_RUNS). Writes
benchmarks/results/search-NAME.json.
"""

from __future__ import annotations

import os
import random
import re
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from common import ROOT, data, keep, machine

import ojak
from ojak.config import SearchConfig
from ojak.evaluate import metrics
from ojak.result import Translation
from ojak.translate.guards import TIMES_LONGER, longer

MODELS = ("gru-additive-en-ko", "transformer-en-ko")
SENTENCES = 200
SEED = 1


def runs() -> dict[str, Path]:
    folder = Path(os.environ.get("OJAK_RUNS", ROOT / "runs" / "korean"))
    missing = [name for name in MODELS if not (folder / name / "model" / "config.json").is_file()]
    if missing:
        print(
            f"skipped: {', '.join(missing)} must be in {folder}; make them with benchmarks/korean.py", file=sys.stderr
        )
        sys.exit(0)
    return {name: folder / name for name in MODELS}


def terms(reference: str, draw: random.Random) -> list[str]:
    """One to three words of a reference, or two neighbours as one term, without the punctuation at their ends."""
    words = [word for part in reference.split() if (word := re.sub(r"^\W+|\W+$", "", part))]
    wanted: list[str] = []
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(words))
        length = draw.choice((1, 1, 2))
        term = " ".join(words[place : place + length])
        if term in reference and not any(term in other or other in term for other in wanted):
            wanted.append(term)
    return wanted


def constraints() -> dict[str, Any]:
    """Terms drawn from the references of the first sentences of enko_talk's test set, for each model and beam."""
    pairs = ojak.read_pairs([data("enko_talk.test.tsv.gz")])
    draw = random.Random(SEED)
    chosen = [pair for pair in pairs if re.search(r"\w", pair.target)][:SENTENCES]
    wanted = [terms(pair.target, draw) for pair in chosen]
    sources, references = [pair.source for pair in chosen], [pair.target for pair in chosen]
    rows = []
    for name, run in runs().items():
        translator = ojak.load(run, "cpu")
        for beam, alpha in ((4, 1.0), (4, 0.0), (16, 1.0), (16, 0.0)):
            search = SearchConfig(beam=beam, length_penalty=alpha)
            free = translator.translate(sources, search)
            held = translator.translate(sources, search, constraints=wanted)
            every = sum(map(len, wanted))
            rows.append(
                {
                    "model": name,
                    "beam": beam,
                    "length_penalty": alpha,
                    "terms": every,
                    "by_chance": every - sum(_missed(free, wanted)),
                    "appear": every - sum(len(one.missed) for one in held),
                    "free": _bleu(free, references),
                    "held": _bleu(held, references),
                    "score": sum(one.score - two.score for one, two in zip(held, free, strict=True)) / len(held),
                }
            )
            print(rows[-1])
    return {"rows": rows, "sentences": len(sources), "signature": metrics.bleu(["가"], ["가"], "ko", False).signature}


def _missed(found: Sequence[Translation], wanted: Sequence[Sequence[str]]) -> list[int]:
    return [sum(term not in one.text for term in its) for one, its in zip(found, wanted, strict=True)]


def _bleu(found: Sequence[Translation], references: Sequence[str]) -> float:
    return metrics.bleu([one.text for one in found], references, "ko", False).value


def likely_to_loop() -> list[str]:
    """A hundred inputs that make models go round in circles."""
    single = (
        "a yes no hello thanks meeting seven Python Zürich ok the of ! ? . 1 2026 https://example.org x@y.z %".split()
    )
    words = ("no", "very", "ha", "really good", "I think that", "one two three", "again and again", "la", "!", "go")
    repeated = [" ".join([word] * times) for word in words for times in (5, 20, 60)]
    emoji = [
        "😀",
        "😀😀😀😀😀",
        "👍🏽👍🏽",
        "👨‍👩‍👧‍👦",
        "❤️ " * 20,
        "🎉🎊" * 30,
        "🇰🇷🇺🇸",
        "I ❤️ you 😀😀😀",
        "🤖" * 100,
        "✨ wow ✨",
    ]
    scripts = [
        *(
            "Здравствуйте, как дела?",
            "こんにちは、元気ですか。",
            "你好，你今天怎么样？",
            "مرحبا كيف حالك",
            "שלום מה שלומך",
            "Γειά σου Κόσμε",
        ),
        *(
            "नमस्ते दुनिया",
            "สวัสดีชาวโลก",
            "안녕하세요 반갑습니다",
            "გამარჯობა მსოფლიო",
            "Xin chào thế giới",
            "ಠ_ಠ ¯\\_(ツ)_/¯",
        ),
        *("𝕳𝖊𝖑𝖑𝖔", "ＨＥＬＬＯ", "H e l l o", "ⓗⓔⓛⓛⓞ"),
    ]
    endless = [
        *(
            "a" * 500,
            "ab" * 250,
            "abc" * 167,
            "1" * 500,
            "가" * 500,
            "가나다" * 167,
            "中" * 500,
            "x1y2" * 125,
            "-" * 500,
        ),
        *("=" * 500, "😀" * 500, "W" * 500, "hello" * 100, "0123456789" * 50, "../" * 167, "AaBb" * 125),
    ]
    odd = [
        *(
            "...",
            "((((((((",
            "a a b b a a b b",
            "A. B. C. D. E. F. G.",
            "\\n\\n\\n",
            "<s> </s> <pad>",
            "SELECT * FROM t;",
        ),
        *("The the the the cat.", "1 + 1 = 2, 2 + 2 = 4, 3 + 3 = 6", "tick tock " * 15),
    ]
    found = [*single, *repeated, *emoji, *scripts, *endless, *odd]
    return [text.strip() for text in found][:100]


def guards() -> dict[str, Any]:
    """How many of these outputs are longer than three times their input, and how many of those say nothing of it."""
    inputs = likely_to_loop()
    rows = []
    for name, run in runs().items():
        translator = ojak.load(run, "cpu")
        for beam in (1, 4):
            for cut in (True, False):
                found = translator.translate(inputs, SearchConfig(beam=beam, cut_loops=cut))
                long = [one for one in found if longer(one) > TIMES_LONGER]
                rows.append(
                    {
                        "model": name,
                        "beam": beam,
                        "cut_loops": cut,
                        "inputs": len(inputs),
                        "tokens": sum(len(one.tokens) for one in found),
                        "circles": sum("circles" in " ".join(one.warnings) for one in found),
                        "longest": sum("longest length" in " ".join(one.warnings) for one in found),
                        "long": len(long),
                        "silent": sum(not one.warnings for one in long),
                    }
                )
                print(rows[-1])
    return {"rows": rows}


def ctranslate2() -> dict[str, Any]:
    """The Transformer in CTranslate2 beside PyTorch, on 500 sentences of enko_talk's test set."""
    from ojak.export.ctranslate2 import export

    run = runs()["transformer-en-ko"]
    pairs = ojak.read_pairs([data("enko_talk.test.tsv.gz")])[:500]
    sources, references = [pair.source for pair in pairs], [pair.target for pair in pairs]
    ours = ojak.load(run, "cpu")
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for quantization in ("float32", "int8"):
            export(run, Path(folder) / quantization, quantization)
            engine = ojak.load(Path(folder) / quantization, "cpu")
            for beam in (1, 4):
                search = SearchConfig(beam=beam, stop="first", cut_loops=False)
                one = ours.translate(sources, search, attention=True)
                other = engine.translate(sources, search, attention=True)
                alike = [(a, b) for a, b in zip(one, other, strict=True) if a.tokens == b.tokens]
                last = engine.views[0]
                rows.append(
                    {
                        "weights": quantization,
                        "beam": beam,
                        "sentences": len(sources),
                        "alike": len(alike),
                        "score": max(abs(a.score - b.score) for a, b in alike),
                        "attention": max(float(abs(a.view(last) - b.view()).max()) for a, b in alike),
                        "bleu": _bleu(one, references),
                        "engine_bleu": _bleu(other, references),
                    }
                )
                print(rows[-1])
    return {"rows": rows, "signature": metrics.bleu(["가"], ["가"], "ko", False).signature}


PARTS: dict[str, Callable[[], dict[str, Any]]] = {
    "constraints": constraints,
    "guards": guards,
    "ctranslate2": ctranslate2,
}


def main(names: list[str]) -> None:
    torch.set_num_threads(1)
    for name in names or list(PARTS):
        made = PARTS[name]()
        keep(
            f"search-{name}",
            {"command": f"python benchmarks/search.py {name}", "machine": machine(), "seed": SEED} | made,
        )


if __name__ == "__main__":
    main(sys.argv[1:])
