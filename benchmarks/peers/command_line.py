"""Peers that are trained from their own command line: JoeyNMT and OpenNMT-py, Transformer or LSTM with attention, and
Eole's Transformer.

python command_line.py joeynmt|opennmt|eole transformer|lstm [--medium] [--seconds 20]

Writes the work as text and the peer's configuration to a temporary folder, starts the peer, reads target tokens a
second from its log, and stops it. Medium sets the precision of torch's fp32 products before the peer begins.
"""

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import work

JOEY = """
name: bench
joeynmt_version: "2.3.0"
model_dir: {folder}/model
use_cuda: False
fp16: False
random_seed: 1
data:
  train: {folder}/train
  dev: {folder}/dev
  test: {folder}/dev
  dataset_type: plain
  src: {{lang: src, max_length: 100, level: word, voc_file: {folder}/joey.txt, tokenizer_type: none}}
  trg: {{lang: trg, max_length: 100, level: word, voc_file: {folder}/joey.txt, tokenizer_type: none}}
testing: {{beam_size: 1, batch_size: 64, batch_type: sentence, eval_metrics: [bleu]}}
training: {{optimizer: adam, normalization: tokens, adam_betas: [0.9, 0.98], learning_rate: 0.0001,
  learning_rate_min: 0.0000000001, scheduling: warmupinversesquareroot, learning_rate_warmup: 4000,
  label_smoothing: 0.1, loss: crossentropy, batch_size: 4096, batch_type: token, epochs: 1000,
  validation_freq: 1000000, logging_freq: 5, overwrite: True, shuffle: True}}
model:
  initializer: xavier_uniform
  tied_embeddings: True
"""
JOEY_TRANSFORMER = """
  tied_softmax: True
  encoder: {{type: transformer, {sizes}}}
  decoder: {{type: transformer, {sizes}}}
"""
JOEY_SIZES = (
    "num_layers: 3, num_heads: 4, embeddings: {embedding_dim: 256, scale: True, dropout: 0.0}, "
    "hidden_size: 256, ff_size: 1024, dropout: 0.1, layer_norm: post"
)
JOEY_LSTM = """
  tied_softmax: False
  encoder: {type: recurrent, rnn_type: lstm, embeddings: {embedding_dim: 256, scale: False, dropout: 0.1},
    hidden_size: 256, bidirectional: True, dropout: 0.1, num_layers: 1}
  decoder: {type: recurrent, rnn_type: lstm, embeddings: {embedding_dim: 256, scale: False, dropout: 0.1},
    hidden_size: 512, dropout: 0.1, hidden_dropout: 0.1, num_layers: 1, input_feeding: True, init_hidden: last,
    attention: luong}
"""
OPENNMT = """
data: {{corpus_1: {{path_src: {folder}/train.src, path_tgt: {folder}/train.trg, transforms: []}}}}
src_vocab: {folder}/onmt.txt
tgt_vocab: {folder}/onmt.txt
share_vocab: true
share_embeddings: true
src_vocab_size: 8000
tgt_vocab_size: 8000
n_sample: 0
save_model: {folder}/model
save_checkpoint_steps: 1000000
train_steps: 1000000
report_every: 5
bucket_size: 29000
num_workers: 0
batch_type: tokens
batch_size: 4096
normalization: tokens
accum_count: [1]
optim: adam
adam_beta2: 0.98
learning_rate: 0.0001
label_smoothing: 0.1
dropout: [0.1]
param_init: 0
param_init_glorot: true
max_grad_norm: 0
seed: 1
"""
OPENNMT_MODELS = {
    "transformer": """
encoder_type: transformer
decoder_type: transformer
enc_layers: 3
dec_layers: 3
heads: 4
hidden_size: 256
word_vec_size: 256
transformer_ff: 1024
position_encoding: true
share_decoder_embeddings: true
attention_dropout: [0.1]
""",
    "lstm": """
encoder_type: brnn
decoder_type: rnn
rnn_type: LSTM
enc_layers: 1
dec_layers: 1
enc_hid_size: 512
dec_hid_size: 512
hidden_size: 512
word_vec_size: 256
global_attention: general
input_feed: 1
""",
}
EOLE = """
src_vocab: {folder}/onmt.txt
tgt_vocab: {folder}/onmt.txt
share_vocab: true
src_vocab_size: 8000
tgt_vocab_size: 8000
n_sample: 0
report_every: 5
seed: 1
data:
  corpus_1: {{path_src: {folder}/train.src, path_tgt: {folder}/train.trg, transforms: []}}
training:
  model_path: {folder}/model
  world_size: 1
  gpu_ranks: []
  compute_dtype: fp32
  bucket_size: 29000
  num_workers: 0
  batch_type: tokens
  batch_size: 4096
  normalization: tokens
  accum_count: [1]
  accum_steps: [0]
  optim: adam
  adam_beta2: 0.98
  learning_rate: 0.0001
  label_smoothing: 0.1
  dropout: [0.1]
  attention_dropout: [0.1]
  dropout_steps: [0]
  param_init_method: xavier_uniform
  max_grad_norm: 0
  save_checkpoint_steps: 1000000
  train_steps: 1000000
model:
  architecture: transformer
  layers: 3
  heads: 4
  hidden_size: 256
  transformer_ff: 1024
  share_embeddings: true
  share_decoder_embeddings: true
  embeddings: {{word_vec_size: 256, position_encoding_type: SinusoidalInterleaved}}
"""
TUNED = "import torch\n\ntorch.set_float32_matmul_precision('medium')\n"
"""what Python runs before the peer"""


def write(folder: Path) -> None:
    """The work as words, a sentence a line, and the vocabularies with each peer's own specials."""
    for name, count, seed in (("train", 29000, 1), ("dev", 200, 2)):
        rows = work.pairs(count, seed)
        for side, ending in enumerate(("src", "trg")):
            lines = (" ".join(f"w{word}" for word in row[side]) for row in rows)
            (folder / f"{name}.{ending}").write_text("\n".join(lines) + "\n")
    words = "".join(f"w{word}\n" for word in range(4, work.VOCABULARY))
    (folder / "joey.txt").write_text("<unk>\n<pad>\n<s>\n</s>\n" + words)
    (folder / "onmt.txt").write_text("<blank>\n<s>\n</s>\n<unk>\n" + words)


def command(peer: str, kind: str, folder: Path) -> tuple[list[str], str]:
    """What starts the peer, and how a line of its log tells target tokens a second."""
    written = folder / "configuration.yaml"
    if peer == "joeynmt":
        model = JOEY_LSTM if kind == "lstm" else JOEY_TRANSFORMER.format(sizes=JOEY_SIZES)
        written.write_text(JOEY.format(folder=folder) + model)
        return [sys.executable, "-m", "joeynmt", "train", str(written), "-t"], r"Tokens per Sec:\s+([\d.]+)"
    programs, pattern = Path(sys.executable).parent, r"[\d.]+/\s*([\d.]+) tok/s"
    if peer == "eole":
        written.write_text(EOLE.format(folder=folder))
        return [sys.executable, str(programs / "eole"), "train", "-config", str(written)], pattern
    written.write_text(OPENNMT.format(folder=folder) + OPENNMT_MODELS[kind])
    return [sys.executable, str(programs / "onmt_train"), "-config", str(written)], pattern


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("peer", choices=["joeynmt", "opennmt", "eole"])
    options.add_argument("kind", choices=["transformer", "lstm"])
    options.add_argument("--medium", action="store_true")
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args()
    if asked.peer == "eole" and asked.kind == "lstm":
        options.error("Eole is measured with its transformer alone")
    with tempfile.TemporaryDirectory() as name:
        write(Path(name))
        words, pattern = command(asked.peer, asked.kind, Path(name))
        environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PYTHONWARNINGS": "ignore"}
        if asked.medium:
            (Path(name) / "sitecustomize.py").write_text(TUNED)
            environment["PYTHONPATH"] = name
        process = subprocess.Popen(
            words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment, start_new_session=True
        )
        assert process.stdout is not None
        tokens = elapsed = 0.0
        before, others, said = 0.0, work.Others([process.pid]), []
        try:
            for line in process.stdout:
                said.append(line)
                match = re.search(pattern, line)
                if not match:
                    continue
                now = time.perf_counter()
                if before:  # the first lines are warm-up
                    tokens, elapsed = tokens + float(match.group(1)) * (now - before), elapsed + now - before
                else:
                    others = work.Others([process.pid])
                before = now
                if elapsed >= asked.seconds:
                    break
            if not elapsed:
                sys.exit("".join(said[-12:]))
            with open(f"/proc/{process.pid}/status") as file:
                peak = next(int(row.split()[1]) / 1024 for row in file if row.startswith("VmHWM"))
            work.report(tokens / elapsed, peak, others.share())
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main()
