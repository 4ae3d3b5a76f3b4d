"""From a run to a directory for CTranslate2, which `ojak.load` opens like any other.

config.json             what Ojak must know: tokenizers, languages, search, engine
source.*, target.*      the tokenizers (shared.* where they are one)
ctranslate2/            the engine's own files
README.md               the model card
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from ojak import files
from ojak.config import TransformerConfig
from ojak.export.check import exportable
from ojak.model import folder
from ojak.model.folder import Loaded
from ojak.model.transformer import Layer, Transformer, sinusoid
from ojak.text.vocabulary import BOS, EOS, UNK
from ojak.translate.engine import CANNOT, FOLDER, library

ACTIVATIONS = {"relu": "RELU", "gelu": "GELU", "swish": "SWISH", "swiglu": "SWISH"}


def export(run: Path, out: Path, quantization: str = "float32") -> None:
    """Writes the Transformer of a run or model directory for CTranslate2.

    Raises UseError that names every reason why it cannot be, or when `out` is there already; ModelError for a run that
    cannot be read.
    """
    loaded = exportable(run, out, reasons, "A model for CTranslate2 must be one that the engine can compute")
    ctranslate2 = library()
    made = spec(loaded, ctranslate2)
    made.validate()
    made.optimize(quantization=None if quantization == "float32" else quantization)
    from_folder = folder.model_folder(run)
    with files.whole_folder(out) as place:
        (place / FOLDER).mkdir()
        made.save(str(place / FOLDER))
        config = folder.read_config(from_folder)
        last = loaded.model.config.decoder_layers - 1 if isinstance(loaded.model.config, TransformerConfig) else 0
        config |= {"engine": "ctranslate2", "quantization": quantization, "views": [f"layer{last}"]}
        config["search"] = {**config["search"], "stop": "first"}  # what the engine does whatever is asked for
        for path in sorted(from_folder.iterdir()):
            if path.name not in ("config.json", "weights.safetensors", "shortlist.safetensors") and path.is_file():
                shutil.copyfile(path, place / path.name)
        files.write(place / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")


def reasons(loaded: Loaded) -> list[str]:
    """Every reason why CTranslate2 cannot compute a model, none if it can."""
    found = []
    config = loaded.model.config
    if not isinstance(config, TransformerConfig):
        found.append("model.architecture: the engine has Transformers only; found recurrent.")
        if config.attention != "scaled_dot":
            found.append(f"model.attention: the engine has scaled_dot only; found {config.attention}.")
    for name, nothing in CANNOT:
        if getattr(loaded.search, name) != nothing:
            found.append(f"search.{name}: the engine has no such setting; found {getattr(loaded.search, name)}.")
    return found


def spec(loaded: Loaded, ctranslate2: Any) -> Any:
    """The engine's specification of a Transformer, filled with its weights."""
    specs = ctranslate2.specs
    model, config = loaded.model, loaded.model.config
    assert isinstance(model, Transformer) and isinstance(config, TransformerConfig)
    rotary = config.width // config.heads if config.positions == "rotary" else None
    common = {
        "num_heads": config.heads,
        "pre_norm": config.norm == "pre",
        "activation": getattr(specs.common_spec.Activation, ACTIVATIONS[config.activation]),
        "ffn_glu": config.activation == "swiglu",
        "rotary_dim": rotary,
        "rotary_interleave": False,
    }
    encoder = specs.TransformerEncoderSpec(config.encoder_layers, **common)
    # Of attention the engine gives the mean over the heads of one layer: the last.
    decoder = specs.TransformerDecoderSpec(config.decoder_layers, alignment_layer=-1, alignment_heads=0, **common)
    made = specs.TransformerSpec(encoder, decoder)
    made.register_source_vocabulary(loaded.source.entries)
    made.register_target_vocabulary(loaded.target.entries)
    made.config.bos_token = made.config.decoder_start_token = loaded.target.entries[BOS]
    made.config.eos_token, made.config.unk_token = loaded.target.entries[EOS], loaded.target.entries[UNK]
    made.config.layer_norm_epsilon = nn.LayerNorm(1).eps

    encoder.embeddings[0].weight = _array(model.source.weight)
    decoder.embeddings.weight = _array(model.target.weight)
    if config.positions == "sinusoid":
        table = sinusoid(0, config.max_length, config.width, model.source.weight)
        encoder.position_encodings.encodings = decoder.position_encodings.encodings = _array(table)
    if config.norm == "pre":
        _layer_norm(encoder.layer_norm, model.encoder_norm)
        _layer_norm(decoder.layer_norm, model.decoder_norm)
    _linear(decoder.projection, model.project)
    for side, layers in ((encoder, model.encoder), (decoder, model.decoder)):
        for into, layer in zip(side.layer, layers, strict=True):
            _layer(into, layer)
    return made


def _layer(into: Any, layer: Layer) -> None:
    own = layer.own
    _linears(into.self_attention.linear[0], own.query, own.key, own.value)
    _linear(into.self_attention.linear[1], own.out)
    _layer_norm(into.self_attention.layer_norm, layer.norms[0])
    if layer.cross is not None:
        _linear(into.attention.linear[0], layer.cross.query)
        _linears(into.attention.linear[1], layer.cross.key, layer.cross.value)
        _linear(into.attention.linear[2], layer.cross.out)
        _layer_norm(into.attention.layer_norm, layer.norms[1])
    feed = layer.feed_forward
    if feed.activation == "swiglu":
        gate, value = feed.inner.weight.chunk(2)
        gate_bias, value_bias = feed.inner.bias.chunk(2)
        into.ffn.linear_0.weight, into.ffn.linear_0.bias = _array(gate), _array(gate_bias)
        into.ffn.linear_0_noact.weight, into.ffn.linear_0_noact.bias = _array(value), _array(value_bias)
    else:
        _linear(into.ffn.linear_0, feed.inner)
    _linear(into.ffn.linear_1, feed.outer)
    _layer_norm(into.ffn.layer_norm, layer.norms[len(layer.norms) - 1])


def _linear(into: Any, layer: nn.Linear) -> None:
    _linears(into, layer)


def _linears(into: Any, *layers: nn.Linear) -> None:
    """Several layers as one, side by side."""
    into.weight = _array(torch.cat([layer.weight for layer in layers]))
    into.bias = _array(torch.cat([layer.bias for layer in layers]))


def _layer_norm(into: Any, norm: nn.Module) -> None:
    assert isinstance(norm, nn.LayerNorm)
    into.gamma, into.beta = _array(norm.weight), _array(norm.bias)


def _array(tensor: torch.Tensor) -> npt.NDArray[np.float32]:
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())
