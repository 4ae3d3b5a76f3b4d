"""CTranslate2.

python ctranslate2_decoding.py FOLDER VOCABULARY --type int8 [--workers 2] [--threads 1] [--shortlist]
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import ctranslate2
import decoding


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("vocabulary", type=int)
    options.add_argument("--type", required=True)
    options.add_argument("--workers", type=int, default=1)
    options.add_argument("--threads", type=int, default=1)
    options.add_argument("--shortlist", action="store_true")
    asked = options.parse_args()
    translator = ctranslate2.Translator(
        asked.folder, compute_type=asked.type, inter_threads=asked.workers, intra_threads=asked.threads
    )

    def prepare(rows: decoding.Rows, task: decoding.Task) -> list[list[str]]:
        return [[*(f"▁w{word}" for word in row), "</s>"] for row in rows]

    def translate(ready: list[list[str]], task: decoding.Task) -> Sequence[int]:
        found = translator.translate_batch(
            ready,
            beam_size=task.beam,
            max_batch_size=task.batch,
            max_decoding_length=task.words,
            use_vmap=asked.shortlist,
        )
        return [len(one.hypotheses[0]) for one in found]

    decoding.serve(asked.vocabulary, prepare, translate)


if __name__ == "__main__":
    main()
