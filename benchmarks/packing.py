"""Packing corpora larger than memory: pairs a second against SentencePiece alone, and peak memory, by size.

    python benchmarks/packing.py [--folder DIR] [MILLIONS …]        5 and 50 without any; one process a core

The pairs are those of enko_talk, over and over, each time with a number in it that was not there before, so that no two
are the same. For every size, in processes of their own so that the peak of each is its own: the file is written; the
corpus is packed with tokenizers learnt beforehand; 1,000 batches of 8,192 tokens are drawn from the store, of a pass
that begins in its middle. What SentencePiece itself can do is measured just before and just after packing, on the same
text in lists in memory, by as many processes at once as there are cores. Peak memory is what the kernel says of the
process (the largest of them where packing has several), less that of one which has imported the same and done nothing.

Writes benchmarks/results/packing.json.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from common import ROOT, data, keep, machine

LEARNT_FROM = 17_270
SIZE = 8000
ALONE = 300_000  # pairs by which SentencePiece is measured
BATCHES = 1000


def pairs(count: int) -> Iterator[tuple[str, str]]:
    """So many pairs, no two the same."""
    import ojak

    texts = [(pair.source, pair.target) for pair in ojak.read_pairs([data("enko_talk.train.tsv.gz")])]
    for number in itertools.count():
        for place, (source, target) in enumerate(texts):
            if number * len(texts) + place >= count:
                return
            mark = f" {number}" if number else ""
            yield source + mark, target + mark


def write(folder: Path, count: int) -> dict[str, Any]:
    """The file to pack."""
    with (folder / "pairs.tsv").open("w", encoding="utf-8") as file:
        for source, target in pairs(count):
            file.write(f"{source}\t{target}\n")
    return {"bytes": (folder / "pairs.tsv").stat().st_size}


def sides(folder: Path) -> Any:
    from ojak.corpus.encoder import Sides

    return Sides(folder, "unigram", False, 255)


def learn(folder: Path) -> None:
    """The tokenizers, learnt once for all sizes."""
    from ojak import text

    drawn = list(pairs(LEARNT_FROM))
    folder.mkdir(parents=True, exist_ok=True)
    sides(folder).save(*(text.learn([pair[side] for pair in drawn], "unigram", SIZE) for side in (0, 1)))


def alone(folder: Path) -> dict[str, Any]:
    """SentencePiece on lists of text, in this process."""
    source, target = sides(folder / "tokenizers").load()
    drawn = list(pairs(ALONE))
    texts = [[pair[side] for pair in drawn] for side in (0, 1)]
    begun = time.perf_counter()
    for tokenizer, side in zip((source, target), texts, strict=True):
        for place in range(0, len(side), 8192):
            tokenizer._processor.encode(side[place : place + 8192])  # type: ignore[attr-defined]
    return {"pairs_per_second": ALONE / (time.perf_counter() - begun)}


def pack(folder: Path, processes: int) -> dict[str, Any]:
    """The whole way from the file to the store."""
    from ojak.corpus import pack as packing
    from ojak.corpus.read import stream_pairs

    store = folder / "store"
    packing.begin(store, {"of": "benchmark"})
    chosen = sides(store)
    chosen.save(*sides(folder / "tokenizers").load())
    begun = time.perf_counter()
    made = packing.pack([stream_pairs(folder / "pairs.tsv")], store, chosen, {"of": "benchmark"}, processes)
    seconds = time.perf_counter() - begun
    size = sum(path.stat().st_size for path in store.iterdir())
    return {
        "pairs": len(made),
        "seconds": seconds,
        "pairs_per_second": len(made) / seconds,
        "tokens": made.record["tokens"],
        "bytes": size,
        "peak_of_encoders": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024,
    }


def batches(folder: Path) -> dict[str, Any]:
    """Batches from the middle of a pass."""
    import torch

    from ojak.config import read_recipe
    from ojak.corpus.store import Store
    from ojak.train.dataset import Training

    recipe = read_recipe({"train": {"batch_tokens": 8192}})
    store = Store.open(folder / "store")
    source, target = sides(folder / "store").load()
    begun = time.perf_counter()
    epoch = Training(store, source, target, recipe).epoch(0)
    count = len(epoch)
    planned = time.perf_counter()
    tokens = 0
    for batch in itertools.islice(epoch.batches(count // 2, torch.device("cpu")), BATCHES):
        tokens += batch.tokens
    seconds = time.perf_counter() - planned
    return {
        "batches_of_a_pass": count,
        "seconds_planning": planned - begun,
        "seconds": seconds,
        "tokens_per_second": tokens / seconds,
    }


def nothing(folder: Path, what: str) -> dict[str, Any]:
    """What is imported for a step, and no more."""
    if what == "batches":
        import ojak.train.dataset
    else:
        import ojak.corpus.pack
        import ojak.corpus.read  # noqa: F401
    return {}


def step(folder: Path, name: str, *words: str) -> dict[str, Any]:
    """One step in a process of its own, with the peak of its memory."""
    done = started(folder, name, *words)
    out, _ = done.communicate()
    if done.returncode:
        sys.exit(done.returncode)
    found: dict[str, Any] = json.loads(out)
    return found


def started(folder: Path, name: str, *words: str) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--folder", str(folder), "--step", name, *words]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def together(folder: Path, cores: int) -> float:
    """Pairs a second of SentencePiece by itself, all cores at once."""
    children = [started(folder, "alone") for _ in range(cores)]
    return sum(float(json.loads(child.communicate()[0])["pairs_per_second"]) for child in children)


def measure(folder: Path, millions: float, cores: int) -> dict[str, Any]:
    count = round(millions * 1e6)
    written = step(folder, "write", str(count))
    before = together(folder, cores)
    packed = step(folder, "pack", str(cores))
    after = together(folder, cores)
    (folder / "pairs.tsv").unlink()
    drawn = step(folder, "batches")
    shutil.rmtree(folder / "store")
    bases = {name: step(folder, "nothing", name)["peak"] for name in ("pack", "batches")}
    rate = (before + after) / 2
    result = {
        "pairs": packed["pairs"],
        "bytes_of_text": written["bytes"],
        "bytes_packed": packed["bytes"],
        "tokens": packed["tokens"],
        "seconds": packed["seconds"],
        "pairs_per_second": packed["pairs_per_second"],
        "sentencepiece_pairs_per_second": [before, after],
        "ratio": packed["pairs_per_second"] / rate,
        "memory_packing": packed["peak"] - bases["pack"],
        "memory_encoder": packed["peak_of_encoders"] - bases["pack"],
        "memory_batches": drawn["peak"] - bases["batches"],
        "memory_imports": bases,
        "batches": drawn,
    }
    print(json.dumps(result, indent=1))
    return result


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("millions", nargs="*", help="sizes in millions of pairs (5 50)")
    arguments.add_argument("--folder", type=Path, default=ROOT / "runs" / "packing", help="where it may write")
    arguments.add_argument("--note", default="", help="what else the machine did")
    arguments.add_argument("--step", help=argparse.SUPPRESS)
    args = arguments.parse_args()
    if args.step:
        todo = {"write": write, "pack": pack, "alone": alone, "batches": batches, "nothing": nothing}[args.step]
        words = [int(word) if word.isdecimal() else word for word in args.millions]
        found = todo(args.folder, *words)  # type: ignore[operator]
        found["peak"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
        print(json.dumps(found))
        return
    from ojak.corpus.pack import cores

    data("enko_talk.train.tsv.gz")
    learn(args.folder / "tokenizers")
    sizes = [measure(args.folder, float(size), cores()) for size in args.millions or ["5", "50"]]
    words = " ".join(args.millions)
    keep(
        "packing",
        {
            "command": f"python benchmarks/packing.py {words}".strip(),
            "machine": machine(),
            "processes": cores(),
            "note": args.note,
            "sizes": sizes,
        },
    )


if __name__ == "__main__":
    main()
