"""ojak demo"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.commands.doctor import machine
from ojak.config import read_recipe, read_toml
from ojak.corpus import bundled
from ojak.corpus.pair import Pair
from ojak.corpus.write import write_pairs
from ojak.errors import UseError
from ojak.evaluate.report import evaluate
from ojak.look import figures
from ojak.train.history import Lines, clock, read_history
from ojak.train.run import train_run, versions
from ojak.translate import Translator

PAIRS, HELD_OUT = 14_000, 500
SETTINGS: dict[str, Any] = {
    "text": {"kind": "unigram", "size": 4000},
    "model": {
        "architecture": "recurrent",
        "cell": "gru",
        "attention": "additive",
        "acts": "before",
        "embedding": 192,
        "width": 256,
        "dropout": 0.1,
    },
    "train": {
        "threads": 1,
        "epochs": 5,
        "validate_every": 0,
        "batch_tokens": 1024,
        "learning_rate": 2e-3,
        "warmup": 200,
        "schedule": "cosine",
        "dev_sentences": 200,
        "average": 0,
        "patience": 0,
    },
}
DIRECTIONS = {"en-ko": False, "ko-en": True}


def run(args: argparse.Namespace) -> int:
    """Draws a corpus, trains a translator each way, measures both, translates, and draws where they looked."""
    out = Path(args.out)
    fresh = _check(out, args.seed)
    if args.json and not fresh:
        raise UseError(f"A result must be of a whole demo, but {out} holds one that has begun; remove it.")
    begun = time.monotonic()
    parts = _corpus(out / "data", args.seed)
    result: dict[str, Any] = {
        "command": "ojak demo",
        "machine": machine(),
        "versions": versions(),
        "seed": args.seed,
        "pairs": PAIRS,
        "directions": {},
    }
    _say("Training en → ko and ko → en, side by side")
    _train_both(out, args.seed)
    for name, reverse in DIRECTIONS.items():
        translator = Translator.load(out / name)
        turned = {part: [pair.turned() for pair in pairs] if reverse else pairs for part, pairs in parts.items()}
        result["directions"][name] = _show(out, name, translator, turned)
    result["seconds_total"] = time.monotonic() - begun
    _say(
        f"Done in {clock(result['seconds_total'])}. Now try:\n"
        f"  echo 'My head hurts.' | {sys.argv[0]} translate {out}/en-ko\n"
        f"  {sys.argv[0]} look {out}/ko-en '늦게까지 깨어 있을 때마다 어지러워요.'"
    )
    if args.json:
        files.write(Path(args.json), json.dumps(result, ensure_ascii=False, indent=1) + "\n")
    return 0


def _check(out: Path, seed: int) -> bool:
    """Whether the demo begins here; False if it goes on. Raises UseError if the directory holds something else."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return True
    for path in sorted(out.glob("*/recipe.toml")):
        recipe = read_recipe(read_toml(path))
        if recipe != read_recipe(recipe.model_dump(), {**SETTINGS, "seed": seed}):
            raise UseError(f"The demo must go on as it began, but {out} holds one with other settings; remove it.")
    if not (out / "data").is_dir():
        raise UseError(
            f"The demo's directory must be new, empty, or a demo's, but {out} is none; choose another --out."
        )
    return False


def _corpus(folder: Path, seed: int) -> dict[str, list[Pair]]:
    """Writes the files that the demo trains on and is measured on, and returns the two test sets."""
    print(f"Drawing {PAIRS:,} of the {bundled.size():,} pairs of the bundled English–Korean conversation.")
    held_out = bundled.generate(2 * HELD_OUT, seed, "held_out")
    parts = {"held_out": held_out[::2], "handwritten": bundled.handwritten()}
    write_pairs(folder / "train.tsv", bundled.generate(PAIRS, seed, "train"))
    write_pairs(folder / "dev.tsv", held_out[1::2])
    for name, pairs in parts.items():
        write_pairs(folder / f"{name}.tsv", pairs)
    return parts


def _train_both(out: Path, seed: int) -> None:
    """Trains each direction in a process of its own, a thread each: models as small as these gain little from two."""
    together = 2 if torch.get_num_threads() > 1 else 1
    with ProcessPoolExecutor(together, multiprocessing.get_context("spawn")) as pool:
        for done in [pool.submit(_train, out, name, seed) for name in DIRECTIONS]:
            done.result()


def _train(out: Path, name: str, seed: int) -> None:
    data = {"pairs": [str(out / "data" / "train.tsv")], "dev": [str(out / "data" / "dev.tsv")]}
    languages = {"source": "en", "target": "ko", "reverse": DIRECTIONS[name]}
    settings = {**SETTINGS, "seed": seed, "data": {**data, **languages}}
    begun = (out / name / "recipe.toml").exists()  # a demo that was cut off goes on where it stood
    train_run({} if begun else settings, out / name, Lines(10.0, f"{name} "), resume=begun)


def _show(out: Path, name: str, translator: Translator, parts: dict[str, list[Pair]]) -> dict[str, Any]:
    """Measures a direction, prints five translations, and draws them."""
    reports = {part: evaluate(translator, pairs) for part, pairs in parts.items()}
    said = {"held_out": "held-out sentences of the same grammar", "handwritten": "hand-written conversation"}
    for part, report in reports.items():
        print(f"\n{name}, {said[part]}:\n{report.table()}")
    chosen = [parts["held_out"][place] for place in range(0, HELD_OUT, HELD_OUT // 5)]
    translations = translator.translate([pair.source for pair in chosen], attention=True)
    print(f"\nFive sentences that {name} was not trained on:")
    for pair, found in zip(chosen, translations, strict=True):
        print(f"  source       {pair.source}\n  translation  {found.text}\n  reference    {pair.target}\n")
    print(figures.terminal(translations[0]))
    page = out / f"{name}.html"
    files.write(page, figures.html(translations))
    print(f"\nWhere it looked, all five: {page}")
    return {
        "seconds_training": read_history(out / name)[-1]["seconds"],
        **{part: report.as_dict() for part, report in reports.items()},
        "examples": [[pair.source, pair.target, found.text] for pair, found in zip(chosen, translations, strict=True)],
        "page": page.name,
    }


def _say(text: str) -> None:
    print(f"\n── {text}", flush=True)
