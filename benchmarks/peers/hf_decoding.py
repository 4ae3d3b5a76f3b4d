"""Hugging Face's MarianMTModel and its `generate`, fp32.

python hf_decoding.py FOLDER VOCABULARY
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence

import decoding
import torch
from torch import Tensor
from transformers import GenerationConfig, MarianMTModel

END, START, SHIFT = 0, 2, -1
"""Marian's ids of the end and the start; a word's is one less than Ojak's"""


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("folder")
    options.add_argument("vocabulary", type=int)
    asked = options.parse_args()
    model = MarianMTModel.from_pretrained(asked.folder).eval()
    # Only what the work needs: words that must not be said cost time, and here their bias forbids them.
    plain = {"decoder_start_token_id": START, "pad_token_id": START, "eos_token_id": END}
    model.generation_config = GenerationConfig(**plain)

    def prepare(rows: decoding.Rows, task: decoding.Task) -> list[Tensor]:
        return decoding.tensors(rows, task, END, SHIFT)

    def translate(ready: list[Tensor], task: decoding.Task) -> Sequence[int]:
        counts: list[int] = []
        for source in ready:
            with torch.inference_mode():
                found = model.generate(
                    input_ids=source,
                    attention_mask=torch.ones_like(source),
                    max_new_tokens=task.words,
                    num_beams=task.beam,
                    do_sample=False,
                )
            counts += [found.shape[1] - 1] * len(found)
        return counts

    decoding.serve(asked.vocabulary, prepare, translate)


if __name__ == "__main__":
    main()
