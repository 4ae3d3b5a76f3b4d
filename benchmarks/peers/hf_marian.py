"""Hugging Face's MarianMTModel in a plain loop.

python hf_marian.py [--bf16] [--medium] [--seconds 20]
"""

from __future__ import annotations

import plain
import work
from torch import Tensor
from transformers import MarianConfig, MarianMTModel


def make(
    vocabulary: int = work.VOCABULARY,
    layers: tuple[int, int] = (3, 3),
    dropout: float = 0.1,
    longest: int = 128,
    width: int = 256,
    heads: int = 4,
    inner: int = 1024,
) -> MarianMTModel:
    """So many layers of encoder and decoder, and so wide."""
    sizes = {
        f"{side}_{name}": value
        for side, of in zip(("encoder", "decoder"), layers, strict=True)
        for name, value in {"layers": of, "attention_heads": heads, "ffn_dim": inner}.items()
    }
    return MarianMTModel(
        MarianConfig(
            vocab_size=vocabulary,
            d_model=width,
            dropout=dropout,
            activation_function="relu",
            max_position_embeddings=longest,
            pad_token_id=work.PAD,
            eos_token_id=work.EOS,
            decoder_start_token_id=work.BOS,
            forced_eos_token_id=None,
            scale_embedding=True,
            **sizes,
        )
    )


def logits(model: MarianMTModel, source: Tensor, target: Tensor) -> Tensor:
    return model(
        input_ids=source,
        attention_mask=(source != work.PAD).long(),
        decoder_input_ids=target,
        decoder_attention_mask=(target != work.PAD).long(),
        use_cache=False,
    ).logits


if __name__ == "__main__":
    plain.run(make, logits)
