"""JoeyNMT's own search on a model of random weights, fp32.

python joeynmt_decoding.py VOCABULARY '{"type": "transformer", "layers": 3, "width": 256, "heads": 4, "inner": 1024}'
python joeynmt_decoding.py VOCABULARY '{"type": "recurrent", "cell": "lstm", "attention": "luong"}'
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import decoding
import torch
from joeynmt.batch import Batch
from joeynmt.model import build_model
from joeynmt.search import search
from joeynmt.vocabulary import Vocabulary
from torch import Tensor

UNK, PAD, BOS, EOS = range(4)


def configuration(sizes: dict[str, Any]) -> dict[str, Any]:
    if sizes["type"] == "transformer":
        width = sizes["width"]
        side = {
            "type": "transformer",
            "num_layers": sizes["layers"],
            "num_heads": sizes["heads"],
            "embeddings": {"embedding_dim": width, "scale": True, "dropout": 0.0},
            "hidden_size": width,
            "ff_size": sizes["inner"],
            "layer_norm": "post",
        }
        return {"tied_embeddings": True, "tied_softmax": True, "encoder": dict(side), "decoder": dict(side)}
    luong = sizes["attention"] == "luong"
    embeddings = {"embedding_dim": 256, "scale": False, "dropout": 0.0}
    side = {"type": "recurrent", "rnn_type": sizes["cell"], "embeddings": embeddings, "num_layers": 1, "dropout": 0.0}
    encoder = {**side, "hidden_size": 256, "bidirectional": True}
    decoder = {**side, "hidden_size": 512, "input_feeding": luong, "init_hidden": "last" if luong else "bridge"}
    decoder |= {"attention": sizes["attention"], "hidden_dropout": 0.0}
    return {"tied_embeddings": True, "tied_softmax": False, "encoder": encoder, "decoder": decoder}


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("vocabulary", type=int)
    options.add_argument("sizes", type=json.loads)
    asked = options.parse_args()
    torch.manual_seed(1)
    names = SimpleNamespace(
        unk_id=UNK,
        pad_id=PAD,
        bos_id=BOS,
        eos_id=EOS,
        sep_id=None,
        unk_token="<unk>",
        pad_token="<pad>",
        bos_token="<s>",
        eos_token="</s>",
        sep_token=None,
        lang_tags=[],
    )
    words = Vocabulary(tokens=[f"w{word}" for word in range(4, asked.vocabulary)], cfg=names)
    model = build_model(configuration(asked.sizes), src_vocab=words, trg_vocab=words).eval()

    def prepare(rows: decoding.Rows, task: decoding.Task) -> list[Tensor]:
        return decoding.tensors(rows, task, EOS)

    def translate(ready: list[Tensor], task: decoding.Task) -> Sequence[int]:
        counts: list[int] = []
        for source in ready:
            batch = Batch(
                src=source,
                src_length=torch.full((len(source),), source.shape[1]),
                src_prompt_mask=None,
                trg=None,
                trg_prompt_mask=None,
                indices=torch.arange(len(source)),
                device=torch.device("cpu"),
                pad_index=PAD,
                eos_index=EOS,
                is_train=False,
            )
            with torch.inference_mode():
                found, *_ = search(
                    model=model,
                    batch=batch,
                    max_output_length=task.words,
                    min_output_length=task.words,
                    beam_size=task.beam,
                    beam_alpha=-1,
                    n_best=1,
                )
            counts += [found[:, : task.words].shape[1]] * len(found)
        return counts

    decoding.serve(asked.vocabulary, prepare, translate)


if __name__ == "__main__":
    main()
