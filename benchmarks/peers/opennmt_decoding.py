"""OpenNMT-py's own search on a model of random weights, fp32: one layer of 512, bidirectional encoder, embeddings 256.

python opennmt_decoding.py VOCABULARY lstm|gru
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import Any

import decoding
import torch
from onmt.inputters.inputter import dict_to_vocabs
from onmt.model_builder import build_base_model
from onmt.opts import train_opts
from onmt.translate.beam_search import GNMTGlobalScorer
from onmt.translate.translator import Translator
from onmt.utils.parse import ArgumentParser

EOS = 2
ATTENTION = {"lstm": "general", "gru": "mlp"}
"""mlp is additive"""
SIZES = "-enc_layers 1 -dec_layers 1 -enc_hid_size 512 -dec_hid_size 512 -hidden_size 512 -word_vec_size 256"


def build(vocabulary: int, cell: str) -> tuple[Any, Any]:
    """A model of random weights and its vocabularies."""
    entries = ["<blank>", "<s>", "</s>", "<unk>", *(f"w{word}" for word in range(4, vocabulary))]
    vocabularies = dict_to_vocabs({"data_task": "seq2seq", "src": entries, "tgt": entries})
    parser = ArgumentParser()
    train_opts(parser)
    feed = "1" if cell == "lstm" else "0"
    kind = f"-encoder_type brnn -decoder_type rnn -rnn_type {cell.upper()} -global_attention {ATTENTION[cell]}"
    # These say where training would find its data; nothing is read.
    data = "-data {} -src_vocab none -share_embeddings -share_vocab"
    settings = parser.parse_args(f"{data} {kind} {SIZES} -input_feed {feed}".split())
    ArgumentParser.update_model_opts(settings)
    model = build_base_model(settings, vocabularies).eval()
    for weight in model.parameters():  # it comes without any, for those of a file to be put in
        torch.nn.init.uniform_(weight, -0.05, 0.05)
    return model, vocabularies


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("vocabulary", type=int)
    options.add_argument("cell", choices=list(ATTENTION))
    asked = options.parse_args()
    torch.manual_seed(1)
    model, vocabularies = build(asked.vocabulary, asked.cell)
    scorer = GNMTGlobalScorer(0.0, 0.0, "none", "none")

    def prepare(rows: decoding.Rows, task: decoding.Task) -> list[dict[str, Any]]:
        return [
            {
                "src": source.unsqueeze(2),
                "srclen": torch.full((len(source),), source.shape[1]),
                "ind_in_bucket": list(range(len(source))),
            }
            for source in decoding.tensors(rows, task, EOS)
        ]

    def translate(ready: list[dict[str, Any]], task: decoding.Task) -> Sequence[int]:
        translator = Translator(
            model,
            vocabularies,
            min_length=task.words,
            max_length=task.words,
            max_length_ratio=0,
            beam_size=task.beam,
            global_scorer=scorer,
            dump_beam="",
        )
        counts: list[int] = []
        for batch in ready:
            with torch.inference_mode():
                found = translator.translate_batch(batch, attn_debug=False)
            counts += [len(one[0]) for one in found["predictions"]]
        return counts

    decoding.serve(asked.vocabulary, prepare, translate)


if __name__ == "__main__":
    main()
