"""Hugging Face's MarianMTModel in a plain loop.

python hf_marian.py [--bf16] [--medium] [--seconds 20]
"""

from __future__ import annotations

import argparse

import torch
import work
from transformers import MarianConfig, MarianMTModel


def main() -> None:
    options = argparse.ArgumentParser()
    options.add_argument("--bf16", action="store_true")
    options.add_argument("--medium", action="store_true")
    options.add_argument("--seconds", type=float, default=20)
    asked = options.parse_args()
    if asked.medium:
        torch.set_float32_matmul_precision("medium")
    torch.manual_seed(1)
    sizes = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in {"layers": 3, "attention_heads": 4, "ffn_dim": 1024}.items()
    }
    model = MarianMTModel(
        MarianConfig(
            vocab_size=work.VOCABULARY,
            d_model=256,
            dropout=0.1,
            activation_function="relu",
            max_position_embeddings=128,
            pad_token_id=work.PAD,
            eos_token_id=work.EOS,
            decoder_start_token_id=work.BOS,
            forced_eos_token_id=None,
            scale_embedding=True,
            **sizes,
        )
    ).train()
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, betas=(0.9, 0.98))
    loss = torch.nn.CrossEntropyLoss(ignore_index=work.PAD, label_smoothing=0.1)

    def update(batch: work.Sentences) -> int:
        source, target, tokens = work.padded(batch)
        with torch.autocast("cpu", torch.bfloat16, enabled=asked.bf16):
            logits = model(
                input_ids=source,
                attention_mask=(source != work.PAD).long(),
                decoder_input_ids=target[:, :-1],
                decoder_attention_mask=(target[:, :-1] != work.PAD).long(),
                use_cache=False,
            ).logits
        found = loss(logits.float().reshape(-1, work.VOCABULARY), target[:, 1:].reshape(-1))
        optimizer.zero_grad()
        found.backward()
        optimizer.step()
        return tokens

    work.measure(update, asked.seconds)


if __name__ == "__main__":
    main()
