"""Hugging Face's MarianMTModel as a user of the library would make a translator of it: a SentencePiece vocabulary, a
plain loop for so many minutes, `generate`.

python hf_translator.py TRAIN DEV FOLDER --minutes 60 --width 128 --heads 4 --inner 512 --layers 4 4 --dropout 0.1
    [--threads 1] [--seed 1] [--test FILE …]

Files are of pairs, tab-separated. Minutes are those of the loop's own thread, so other work on the machine takes none
of them. Before they begin, each precision is tried for some updates, and the quickest one taken: fp32, fp32 with
coarser products (medium), or bf16 by autocast. The rate rises, and falls by a cosine with the minutes; the weights are
those of the last step. Writes FOLDER/NAME.txt with the translations of each test file, beam 4, and prints as JSON what
was done.
"""

from __future__ import annotations

import argparse
import copy
import io
import itertools
import json
import math
import time
from pathlib import Path

import hf_marian
import sentencepiece
import torch
import work
from torch import Tensor, nn
from transformers import GenerationConfig, MarianMTModel
from work import BOS, EOS, PAD, UNK

VOCABULARY, BATCH, RATE, WARM = 8000, 2048, 1e-3, 0.05
"""words, tokens of a batch, the highest rate, and the share of the time in which it rises"""
PRECISIONS, TRIES = ("fp32", "medium", "bf16"), 40
"""what is tried, and for how many updates each"""


def read(path: Path) -> list[tuple[str, str]]:
    found = []
    for line in path.read_text("utf-8").split("\n")[:-1]:
        source, target = line.split("\t")
        found.append((source, target))
    return found


def loss(model: MarianMTModel, batch: work.Sentences, smoothing: float) -> tuple[Tensor, int]:
    """The summed loss of a batch, and its tokens."""
    source, target, tokens = work.padded(batch)
    said, true = hf_marian.logits(model, source, target[:, :-1]).float().flatten(0, 1), target[:, 1:].flatten()
    found = nn.functional.cross_entropy(said, true, ignore_index=PAD, label_smoothing=smoothing, reduction="sum")
    return found, tokens


class Learner:
    """The loop's update of a model, in a precision."""

    def __init__(self, model: MarianMTModel, precision: str) -> None:
        self.model, self.precision = model.train(), precision
        self.optimizer = torch.optim.Adam(model.parameters(), lr=RATE, betas=(0.9, 0.98), fused=True)

    def learn(self, batch: work.Sentences, rate: float) -> tuple[float, int]:
        """The loss of a token, and the tokens."""
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        torch.set_float32_matmul_precision("medium" if self.precision == "medium" else "highest")
        with torch.autocast("cpu", torch.bfloat16, enabled=self.precision == "bf16"):
            measured, count = loss(self.model, batch, 0.1)
        self.optimizer.zero_grad()
        (measured / count).backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        return float(measured.detach()) / count, count


def tried(model: MarianMTModel, batches: list[work.Sentences]) -> dict[str, float]:
    """Tokens a second with each precision. They take turns, batch after batch, after a first batch that warms up."""
    learners = [Learner(copy.deepcopy(model), precision) for precision in PRECISIONS]
    spent, tokens = dict.fromkeys(PRECISIONS, 0.0), 0
    for place, batch in enumerate(batches):
        for learner in learners:
            begun = time.thread_time()
            _, count = learner.learn(batch, RATE * WARM)
            spent[learner.precision] += (time.thread_time() - begun) if place else 0.0
        tokens += count if place else 0
    return {precision: tokens / seconds for precision, seconds in spent.items()}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("train", type=Path)
    options.add_argument("dev", type=Path)
    options.add_argument("folder", type=Path)
    options.add_argument("--minutes", type=float, required=True)
    for size in ("--width", "--heads", "--inner"):
        options.add_argument(size, type=int, required=True)
    options.add_argument("--layers", type=int, nargs=2, required=True)
    options.add_argument("--dropout", type=float, required=True)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--seed", type=int, default=1)
    options.add_argument("--test", type=Path, nargs="*", default=[])
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    torch.manual_seed(asked.seed)
    pairs = read(asked.train)
    learnt = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=(side for pair in pairs for side in pair),
        model_writer=learnt,
        vocab_size=VOCABULARY,
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        character_coverage=1.0,
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=learnt.getvalue())

    def ids(of: list[tuple[str, str]]) -> work.Sentences:
        return [(pieces.encode(source)[:200], pieces.encode(target)[:200]) for source, target in of]

    layers = (asked.layers[0], asked.layers[1])
    model = hf_marian.make(VOCABULARY, layers, asked.dropout, 512, asked.width, asked.heads, asked.inner)
    rows = ids(pairs)
    speeds = tried(model, list(itertools.islice(work.batches(rows, asked.seed, BATCH), 1 + TRIES)))
    print("tokens a second:", ", ".join(f"{name} {speed:,.0f}" for name, speed in speeds.items()), flush=True)
    learner = Learner(model, max(speeds, key=lambda precision: speeds[precision]))
    stream, whole = work.batches(rows, asked.seed, BATCH), 60 * asked.minutes
    begun, updates, tokens = time.thread_time(), 0, 0
    while (spent := (time.thread_time() - begun) / whole) < 1:
        rate = RATE * (spent / WARM if spent < WARM else (1 + math.cos(math.pi * (spent - WARM) / (1 - WARM))) / 2)
        mean, count = learner.learn(next(stream), rate)
        updates, tokens = updates + 1, tokens + count
        if updates % 100 == 0:
            print(f"update {updates}, {spent:.0%}: loss {mean:.3f}", flush=True)
    with torch.inference_mode():
        some = ids(read(asked.dev)[:800])
        parts = [loss(model.eval(), some[first : first + 32], 0.0) for first in range(0, len(some), 32)]
        perplexity = math.exp(sum(float(part) for part, _ in parts) / sum(count for _, count in parts))
        model.generation_config = GenerationConfig(
            decoder_start_token_id=BOS, pad_token_id=PAD, eos_token_id=EOS, num_beams=4, max_new_tokens=200
        )
        asked.folder.mkdir(parents=True, exist_ok=True)
        for test in asked.test:
            sources = [pieces.encode(source)[:200] for source, _ in read(test)]
            order = sorted(range(len(sources)), key=lambda place: len(sources[place]))
            said = [""] * len(sources)
            for first in range(0, len(order), 32):
                here = order[first : first + 32]
                source, _, _ = work.padded([(sources[place], []) for place in here])
                limit = 2 * source.shape[1] + 10
                found = model.generate(input_ids=source, attention_mask=(source != PAD).long(), max_new_tokens=limit)
                for place, row in zip(here, found.tolist(), strict=True):
                    said[place] = pieces.decode([word for word in row if word > EOS])
            (asked.folder / f"{test.stem}.txt").write_text("".join(f"{line}\n" for line in said), "utf-8")
    print(
        json.dumps(
            {
                "minutes": asked.minutes,
                "precision": learner.precision,
                "updates": updates,
                "tokens_per_second": tokens / whole,
                "parameters": sum(weight.numel() for weight in model.parameters()),
                "dev_perplexity": perplexity,
            }
        )
    )


if __name__ == "__main__":
    main()
