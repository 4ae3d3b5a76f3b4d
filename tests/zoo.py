"""Every model of the lineage, tiny, with random weights in double precision: what the contract is tested on."""

from __future__ import annotations

import itertools

import torch

from ojak.config import ModelConfig, RecurrentConfig, SearchConfig, TransformerConfig
from ojak.model.build import build
from ojak.model.seam import Seq2Seq
from ojak.text.vocabulary import BOS, EOS, PAD, UNK

VOCABULARY = 11


def _recurrent(**settings: object) -> RecurrentConfig:
    return RecurrentConfig.model_validate({"embedding": 6, "width": 8, "dropout": 0.0, **settings})


def _zoo() -> dict[str, ModelConfig]:
    zoo: dict[str, ModelConfig] = {}
    for cell, context in itertools.product(("rnn", "gru", "lstm"), ("start", "every_step")):
        zoo[f"{cell}-none-{context}"] = _recurrent(cell=cell, attention="none", context=context)
    for attention, acts in itertools.product(("additive", "dot", "general", "scaled_dot"), ("before", "after")):
        zoo[f"gru-{attention}-{acts}"] = _recurrent(attention=attention, acts=acts)
    for cell, attention in itertools.product(("rnn", "lstm"), ("additive", "general")):
        zoo[f"{cell}-{attention}-feeding"] = _recurrent(
            cell=cell, attention=attention, acts="after", input_feeding=True, layers=2, encoder_width=10
        )
    zoo["lstm-additive-before-2-layers"] = _recurrent(cell="lstm", layers=2, encoder_width=6, tie_embeddings=False)
    zoo["gru-general-one-way"] = _recurrent(attention="general", bidirectional=False, encoder_width=5)
    for norm, positions, activation in (
        ("post", "sinusoid", "relu"),
        ("pre", "rotary", "swiglu"),
        ("pre", "sinusoid", "gelu"),
        ("post", "rotary", "relu"),
    ):
        zoo[f"transformer-{norm}-{positions}-{activation}"] = TransformerConfig.model_validate(
            {
                "encoder_layers": 2,
                "decoder_layers": 2,
                "width": 8,
                "heads": 2,
                "feed_forward": 12,
                "dropout": 0.0,
                "norm": norm,
                "positions": positions,
                "activation": activation,
            }
        )
    return zoo


ZOO = _zoo()


def settings(**changes: object) -> SearchConfig:
    """Search settings, without the guard against loops: random models go round in circles, and here they may."""
    return SearchConfig.model_validate({"cut_loops": False, **changes})


def plain_greedy(model: Seq2Seq, source: torch.Tensor, config: SearchConfig) -> list[list[int]]:
    """The likeliest word at each step, one sentence at a time, reading all that was said anew for each word."""
    found = []
    for row in source:
        alone, said = row[row != PAD].unsqueeze(0), [BOS]
        limit = min(int(len(alone[0]) * config.max_length_factor) + 10, model.config.max_length)
        while said[-1] != EOS:
            scores = model.output(model(alone, torch.tensor([said])).states[0, -1])
            scores[[PAD, UNK, BOS]] = -torch.inf
            said.append(EOS if len(said) == limit else int(scores.argmax()))
        found.append(said[1:])
    return found


def make(name: str, seed: int = 1) -> Seq2Seq:
    """The model of that name, in evaluation mode, with weights large enough that its choices differ."""
    torch.manual_seed(seed)
    model = build(ZOO[name], VOCABULARY, VOCABULARY).double().eval()
    for parameter in model.parameters():
        parameter.data.add_(torch.randn_like(parameter) * 0.6)
    return model


def ragged(seed: int = 1, lengths: tuple[int, ...] = (5, 2, 7, 1)) -> torch.Tensor:
    """Sources (B,S) of different lengths, EOS counted."""
    generator = torch.Generator().manual_seed(seed)
    source = torch.full((len(lengths), max(lengths)), PAD)
    for row, length in enumerate(lengths):
        source[row, :length] = torch.randint(4, VOCABULARY, (length,), generator=generator)
        source[row, length - 1] = EOS
    return source
