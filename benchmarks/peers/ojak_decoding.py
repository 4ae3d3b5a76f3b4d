"""Ojak's own translator, from ids to ids as the others, or with --text from text to Translations.

python ojak_decoding.py FOLDER VOCABULARY [--precision int8] [--workers 2] [--threads 1] [--shortlist] [--text]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import decoding
import torch

import ojak
from ojak.search import Wishes
from ojak.translate.maker import Part


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("vocabulary", type=int)
    options.add_argument("--precision", required=True)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--shortlist", action="store_true")
    options.add_argument("--text", action="store_true")
    asked = options.parse_args()
    torch.set_num_threads(asked.threads)
    translator = ojak.load(asked.folder, "cpu", precision=asked.precision, workers=asked.workers)
    workers = ThreadPoolExecutor(asked.workers)

    def search(task: decoding.Task) -> ojak.SearchConfig:
        tokens = task.batch * task.beam * (task.length + 1)
        return ojak.SearchConfig(
            beam=task.beam, max_length=task.words, cut_loops=False, batch_tokens=tokens, shortlist=asked.shortlist
        )

    def texts(rows: decoding.Rows, task: decoding.Task) -> list[str]:
        return [" ".join(f"w{word}" for word in row) for row in rows]

    def from_texts(ready: list[str], task: decoding.Task) -> Sequence[int]:
        return [len(one.tokens) for one in translator.translate(ready, search(task))]

    def ids(rows: decoding.Rows, task: decoding.Task) -> list[decoding.Rows]:
        return [rows[first : first + task.batch] for first in range(0, len(rows), task.batch)]

    def from_ids(ready: list[decoding.Rows], task: decoding.Task) -> Sequence[int]:
        config = search(task)

        def counts(rows: decoding.Rows) -> list[int]:
            wishes = Wishes([translator._wish(Part("", row, "", []), config) for row in rows])
            return [len(one[0].tokens) for one in translator._find(rows, wishes, config, False)]

        made = workers.map(counts, ready) if asked.workers > 1 else map(counts, ready)
        return [count for several in made for count in several]

    if asked.text:
        decoding.serve(asked.vocabulary, texts, from_texts)
    else:
        decoding.serve(asked.vocabulary, ids, from_ids)


if __name__ == "__main__":
    main()
