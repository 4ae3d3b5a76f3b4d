"""Hugging Face Marian (OPUS-MT) directories: from them, and to them. Read and written here; transformers is not needed.

config.json, generation_config.json, model.safetensors, source.spm, target.spm, vocab.json and, where the vocabularies
are two, target_vocab.json. A Marian decoder starts with its padding token: that is Ojak's BOS. Ojak's PAD is new.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save
from torch import Tensor

from ojak import files
from ojak.config import Recipe, TransformerConfig, read_recipe
from ojak.errors import ConfigError, ModelError, UseError
from ojak.export.check import exportable
from ojak.model import folder
from ojak.model.build import build
from ojak.model.folder import Loaded
from ojak.model.transformer import Layer, Transformer
from ojak.text.pieces import PiecesTokenizer
from ojak.text.subword import SubwordTokenizer
from ojak.text.tokenizer import Tokenizer
from ojak.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK

NOTHING = -1e9
"""the bias of a word that Marian does not have, so that it takes no probability"""
ACTIVATIONS = {"swish": "swish", "silu": "swish", "relu": "relu", "gelu": "gelu"}


# ---------------------------------------------------------------- from


def bring(path: Path, out: Path, source: str = "", target: str = "") -> None:
    """Makes a model directory of Ojak from one of Marian. `source` and `target` are language codes.

    Raises ModelError that names everything that is missing or cannot be taken over, UseError when `out` is there.
    """
    if out.exists():
        raise UseError(f"The directory to make must be new, but {out} is there; choose another.")
    theirs = _json(path / "config.json")
    faults = _faults(theirs, path)
    if faults:
        listed = "".join(f"\n  {fault}" for fault in faults)
        raise ModelError(f"{path} must be a Marian model that Ojak's Transformer can be, but is not:{listed}")
    shared = bool(theirs.get("share_encoder_decoder_embeddings", True))
    lists = [_words(path / name, theirs) for name in ("vocab.json", "vocab.json" if shared else "target_vocab.json")]
    source_tokenizer, target_tokenizer = (
        PiecesTokenizer(_bytes(path / f"{side}.spm"), [word for word, _ in words[len(SPECIALS) :]])
        for side, words in zip(("source", "target"), lists, strict=True)
    )
    recipe = _recipe(path, theirs, shared, source, target)
    model = build(recipe.model, len(source_tokenizer), len(target_tokenizer), shared)
    assert isinstance(model, Transformer)
    orders = [torch.tensor([number for _, number in words]) for words in lists]
    weights = folder.read_weights(path / "model.safetensors")
    _fill(model, {name: weight.float() for name, weight in weights.items()}, theirs, orders, path)
    with files.whole_folder(out) as place:
        folder.write_config(place, recipe, source_tokenizer, target_tokenizer)
        folder.write_weights(place / "weights.safetensors", folder.weights_of(model))
        codes = " to ".join(code or "?" for code in recipe.languages)
        files.write(place / "README.md", f"# {codes}\n\nImported from a Marian model directory, {path.name}.\n")


def _faults(theirs: dict[str, Any], path: Path) -> list[str]:
    """What of a Marian model Ojak cannot be."""
    found = []
    if theirs.get("model_type") != "marian":
        found.append(f"config.json: model_type must be marian; found {theirs.get('model_type')!r}.")
    for one, other in (("encoder_attention_heads", "decoder_attention_heads"), ("encoder_ffn_dim", "decoder_ffn_dim")):
        if theirs.get(one) != theirs.get(other):
            found.append(f"config.json: {one} and {other} must agree; found {theirs.get(one)} and {theirs.get(other)}.")
    if theirs.get("activation_function", "gelu") not in ACTIVATIONS:
        known, given = ", ".join(ACTIVATIONS), theirs.get("activation_function")
        found.append(f"config.json: activation_function must be one of {known}; found {given!r}.")
    if not (path / "model.safetensors").is_file():
        pickled = (
            " (pytorch_model.bin is a pickle, which Ojak never reads: load it with transformers and save it again)"
        )
        there = pickled if (path / "pytorch_model.bin").exists() else ""
        found.append(f"model.safetensors: must be there, but is not{there}.")
    names = ["source.spm", "target.spm", "vocab.json"]
    names += [] if theirs.get("share_encoder_decoder_embeddings", True) else ["target_vocab.json"]
    found += [f"{name}: must be there, but is not." for name in names if not (path / name).is_file()]
    return found


def _words(path: Path, theirs: dict[str, Any]) -> list[tuple[str, int]]:
    """The words of a vocabulary in Ojak's order, each with its number in Marian's. PAD takes the row of the start too,
    and gets its own values later."""
    numbers = _json(path)
    start, end = int(theirs["decoder_start_token_id"]), int(theirs["eos_token_id"])
    unknown = numbers.get("<unk>")
    if sorted(numbers.values()) != list(range(len(numbers))) or unknown is None or max(start, end) >= len(numbers):
        raise ModelError(
            f"{path} must give each word a number from 0 on, <unk>, start and end among them, but does not."
        )
    specials = {unknown, start, end, int(theirs["pad_token_id"])}
    others = [
        (word, number) for word, number in sorted(numbers.items(), key=lambda it: it[1]) if number not in specials
    ]
    return [*zip(SPECIALS, (start, unknown, start, end), strict=True), *others]


def _recipe(path: Path, theirs: dict[str, Any], shared: bool, source: str, target: str) -> Recipe:
    about = _json(path / "tokenizer_config.json") if (path / "tokenizer_config.json").is_file() else {}
    how = _json(path / "generation_config.json") if (path / "generation_config.json").is_file() else {}
    scaled = bool(theirs.get("scale_embedding", False))
    try:
        return read_recipe(
            {
                "data": {
                    "source": source or str(about.get("source_lang") or ""),
                    "target": target or str(about.get("target_lang") or ""),
                },
                "text": {"kind": "pieces", "size": max(8, int(theirs["vocab_size"])), "shared": shared},
                "model": {
                    "architecture": "transformer",
                    "encoder_layers": theirs["encoder_layers"],
                    "decoder_layers": theirs["decoder_layers"],
                    "width": theirs["d_model"],
                    "heads": theirs["encoder_attention_heads"],
                    "feed_forward": theirs["encoder_ffn_dim"],
                    "norm": "post",
                    "positions": "sinusoid",
                    "activation": ACTIVATIONS[theirs.get("activation_function", "gelu")],
                    "dropout": theirs.get("dropout", 0.1),
                    "max_length": theirs.get("max_position_embeddings", 512),
                    # Ojak's embeddings are always scaled; without that the output layer has other weights than they.
                    "tie_embeddings": scaled and bool(theirs.get("tie_word_embeddings", True)),
                },
                "search": {
                    "beam": how.get("num_beams") or theirs.get("num_beams") or 4,
                    "length_penalty": how.get("length_penalty") or 1.0,
                    "length_norm": "plain",
                },
            }
        )
    except (ConfigError, KeyError) as error:
        raise ModelError(f"{path / 'config.json'} must be that of a Marian model, but is not: {error}.") from None


def _fill(
    model: Transformer, weights: dict[str, Tensor], theirs: dict[str, Any], orders: list[Tensor], path: Path
) -> None:
    """Copies the weights of Marian into a model. Raises ModelError that names those that are missing or misshapen."""
    scale = 1.0 if theirs.get("scale_embedding", False) else math.sqrt(model.config.width)
    shared = weights.get("model.shared.weight")
    encoder = weights.get("model.encoder.embed_tokens.weight", shared)
    decoder = weights.get("model.decoder.embed_tokens.weight", shared)
    if encoder is None or decoder is None:
        raise ModelError(f"{path / 'model.safetensors'} must hold the embeddings, but does not.")
    found = {
        "source.weight": encoder[orders[0]] / scale,
        "target.weight": decoder[orders[1]] / scale,
        "project.weight": weights.get("lm_head.weight", decoder)[orders[1]],
        "project.bias": weights.get("final_logits_bias", torch.zeros(1, len(decoder)))[0][orders[1]],
    }
    found["project.bias"][PAD] = NOTHING
    for name in ("source.weight", "target.weight"):
        found[name][PAD] = 0.0
    own = dict(model.named_parameters())
    names = {name: theirs_of for side, layers in _sides(model) for name, theirs_of in _names(side, layers)}
    found |= {name: weights[theirs_of] for name, theirs_of in names.items() if theirs_of in weights}
    folder.put_weights(model, {name: weight for name, weight in found.items() if name in own}, path)


# ---------------------------------------------------------------- to


def export(run: Path, out: Path) -> None:
    """Writes the Transformer of a run or model directory in Marian's layout.

    Raises UseError that names every reason why it cannot be, or when `out` is there already.
    """
    loaded = exportable(run, out, reasons, "A model in Marian's layout must be as Marian's are")
    model, config = loaded.model, loaded.model.config
    assert isinstance(model, Transformer) and isinstance(config, TransformerConfig)
    shared, tied = model.source is model.target, model.project.weight is model.target.weight
    order = _order(loaded.target)
    if shared and tied:
        weights = {"model.shared.weight": model.target.weight[order]}
    else:  # what is not all one is written apart
        weights = {
            "model.encoder.embed_tokens.weight": model.source.weight[_order(loaded.source)],
            "model.decoder.embed_tokens.weight": model.target.weight[order],
            "lm_head.weight": model.project.weight[order],
        }
        if shared:
            weights["model.shared.weight"] = weights["model.decoder.embed_tokens.weight"]
    weights["final_logits_bias"] = model.project.bias[order].unsqueeze(0)
    own = dict(model.named_parameters())
    for side, layers in _sides(model):
        weights |= {theirs: own[name] for name, theirs in _names(side, layers)}
    generation = {
        "bad_words_ids": [[_PAD], [1]],
        "bos_token_id": None,
        "decoder_start_token_id": _PAD,
        "eos_token_id": 0,
        "forced_eos_token_id": 0,
        "length_penalty": loaded.search.length_penalty if loaded.search.length_norm == "plain" else 1.0,
        "max_length": config.max_length,
        "num_beams": loaded.search.beam,
        "pad_token_id": _PAD,
    }
    theirs = {
        "architectures": ["MarianMTModel"],
        "model_type": "marian",
        "is_encoder_decoder": True,
        "d_model": config.width,
        "encoder_layers": config.encoder_layers,
        "decoder_layers": config.decoder_layers,
        "encoder_attention_heads": config.heads,
        "decoder_attention_heads": config.heads,
        "encoder_ffn_dim": config.feed_forward,
        "decoder_ffn_dim": config.feed_forward,
        "activation_function": config.activation,
        "dropout": config.dropout,
        "attention_dropout": 0.0,
        "activation_dropout": 0.0,
        "max_position_embeddings": config.max_length,
        "scale_embedding": True,
        "static_position_embeddings": True,
        "share_encoder_decoder_embeddings": shared,
        "tie_word_embeddings": tied,
        "vocab_size": len(loaded.source) - 1,
        "decoder_vocab_size": len(loaded.target) - 1,
        **{key: generation[key] for key in ("bos_token_id", "decoder_start_token_id", "eos_token_id", "pad_token_id")},
        "forced_eos_token_id": 0,
    }
    about = {
        "source_lang": loaded.languages[0],
        "target_lang": loaded.languages[1],
        "separate_vocabs": not shared,
        "tokenizer_class": "MarianTokenizer",
        "eos_token": "</s>",
        "unk_token": "<unk>",
        "pad_token": "<pad>",
        "model_max_length": config.max_length,
    }
    with files.whole_folder(out) as place:
        records = {"config": theirs, "generation_config": generation, "tokenizer_config": about}
        records["vocab"] = _numbers(loaded.source)
        if not shared:
            records["target_vocab"] = _numbers(loaded.target)
        for name, record in records.items():
            files.write(place / f"{name}.json", json.dumps(record, indent=2, ensure_ascii=False) + "\n")
        for side, tokenizer in (("source", loaded.source), ("target", loaded.target)):
            assert isinstance(tokenizer, PiecesTokenizer | SubwordTokenizer)
            files.write(place / f"{side}.spm", tokenizer.model)
        plain = {name: weight.detach().contiguous().clone() for name, weight in weights.items()}
        files.write(place / "model.safetensors", save(plain, {"format": "pt"}))


def reasons(loaded: Loaded) -> list[str]:
    """Every reason why a model cannot be in Marian's layout, none if it can."""
    config = loaded.model.config
    found = []
    for tokenizer, side in ((loaded.source, "source"), (loaded.target, "target")):
        if not isinstance(tokenizer, PiecesTokenizer | SubwordTokenizer):
            found.append(f"text.kind: the {side} must be cut by SentencePiece; found {tokenizer.kind}.")
    if not isinstance(config, TransformerConfig):
        return [*found, "model.architecture: must be transformer; found recurrent."]
    must = (("norm", ("post",)), ("positions", ("sinusoid",)), ("activation", ("relu", "gelu", "swish")))
    for name, values in must:
        if getattr(config, name) not in values:
            found.append(f"model.{name}: must be {' or '.join(values)}; found {getattr(config, name)}.")
    for name in ("lowercase", "width", "punctuation"):
        if getattr(loaded.source.form, name) or getattr(loaded.target.form, name):
            found.append(f"text.{name}: must be false, for Marian's tokenizers keep the writing; found true.")
    return found


_PAD = 2


def _order(tokenizer: Tokenizer) -> Tensor:
    """Which of Ojak's ids each of Marian's is: the end, the unknown, the start (which pads too), and the others."""
    return torch.tensor([EOS, UNK, BOS, *range(len(SPECIALS), len(tokenizer))])


def _numbers(tokenizer: Tokenizer) -> dict[str, int]:
    return {word: number for number, word in enumerate(["</s>", "<unk>", "<pad>", *tokenizer.entries[len(SPECIALS) :]])}


# ---------------------------------------------------------------- both


def _sides(model: Transformer) -> tuple[tuple[str, Sequence[Layer]], tuple[str, Sequence[Layer]]]:
    return ("encoder", model.encoder), ("decoder", model.decoder)


def _names(side: str, layers: Sequence[Layer]) -> Iterator[tuple[str, str]]:
    """The name of each weight of the layers here, and in Marian."""
    for number, layer in enumerate(layers):
        last = len(layer.norms) - 1
        parts = {f"norms.{last}": "final_layer_norm", "norms.0": "self_attn_layer_norm"}
        parts |= {"feed_forward.inner": "fc1", "feed_forward.outer": "fc2"}
        heads = {"own": "self_attn"}
        if layer.cross is not None:
            parts["norms.1"] = "encoder_attn_layer_norm"
            heads["cross"] = "encoder_attn"
        for ours, theirs in heads.items():
            for one, other in (("query", "q_proj"), ("key", "k_proj"), ("value", "v_proj"), ("out", "out_proj")):
                parts[f"{ours}.{one}"] = f"{theirs}.{other}"
        for ours, theirs in parts.items():
            for kind in ("weight", "bias"):
                yield f"{side}.{number}.{ours}.{kind}", f"model.{side}.layers.{number}.{theirs}.{kind}"


def _json(path: Path) -> dict[str, Any]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ModelError(f"A Marian model must hold {path.name}, but {path} cannot be read: {error}.") from None
    if not isinstance(found, dict):
        raise ModelError(f"{path} must hold a JSON object, but does not.")
    return found


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(f"A Marian model must hold {path.name}, but {path} cannot be read: {error}.") from None
