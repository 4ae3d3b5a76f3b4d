"""Models of random weights for benchmarks/decoding.py, each made once and written for every engine that can hold it.

No translation ends by itself: the bias of what may not be said, and of the end, is so low that each goes on to the
longest length, at which Ojak says the end and the others stop. So all say equally many tokens without a rule that costs
time.
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from common import ROOT

from ojak import files
from ojak.config import merge, read_recipe
from ojak.export import ctranslate2, marian
from ojak.model import folder
from ojak.model.build import build
from ojak.search.lexicon import Lexicon
from ojak.text.pieces import PiecesTokenizer
from ojak.text.vocabulary import SPECIALS

MODELS = ROOT / "runs" / "decoding"
NEVER = -1e4
"""the bias of what is never said"""
OWN, SHARED, FREQUENT = 3, 47, 200
POOL, CORE = 3500, 150
"""of the shortlist: for a source word, OWN words from POOL different ones and SHARED words from CORE; and those of all.
So a sentence of 20 words may say about 400 words, 16 of them 1,200 and 64 of them 2,700; on Multi30k, with a vocabulary
of 8,000 and what `ojak shortlist` takes, these are 308 (of 13 words), 1,194 and 2,675."""

AS_PUBLISHED = {"architecture": "transformer", "norm": "post", "positions": "sinusoid"}
SMALL = {**AS_PUBLISHED, "encoder_layers": 3, "decoder_layers": 3, "width": 256, "heads": 4, "feed_forward": 1024}
BASE = {**AS_PUBLISHED, "encoder_layers": 6, "decoder_layers": 6, "width": 512, "heads": 8, "feed_forward": 2048}
RECURRENT = {"architecture": "recurrent", "embedding": 256, "width": 512, "tie_embeddings": False}
LSTM = {**RECURRENT, "cell": "lstm", "attention": "general", "acts": "after", "input_feeding": True}
GRU = {**RECURRENT, "cell": "gru", "attention": "additive"}

SIZES: dict[str, tuple[dict[str, Any], int]] = {
    "small": (SMALL, 8000),
    "base": (BASE, 32000),
    "lstm": (LSTM, 8000),
    "gru": (GRU, 8000),
    **{f"small-{words}": (SMALL, words) for words in (2000, 4000, 16000, 32000, 64000)},
}
"""settings of each model, and the words of its vocabulary"""


def made(name: str) -> Path:
    """The folder of a model: `ojak` in it, and for a Transformer `float32` and `int8` (CTranslate2) and `marian`."""
    place = MODELS / name
    if not place.is_dir():
        with files.whole_folder(place) as half:
            _make(half, *SIZES[name])
    return place


def _make(place: Path, settings: dict[str, Any], vocabulary: int) -> None:
    torch.manual_seed(1)
    tokenizer = words(vocabulary)
    wanted: dict[str, Any] = {
        "data": {"source": "en", "target": "ko"},
        "text": {"kind": "pieces", "size": vocabulary, "shared": True},
    }
    merge(wanted, {"model": settings})
    recipe = read_recipe(wanted)
    model = build(recipe.model, vocabulary, vocabulary, shared=True)
    with torch.no_grad():
        model.project.bias[: len(SPECIALS)] = NEVER
    ours = place / "ojak"
    folder.write_config(ours, recipe, tokenizer, words(vocabulary))  # two, as an imported model has them
    folder.write_weights(ours / "weights.safetensors", folder.weights_of(model))
    files.write(ours / "README.md", "# Random weights, to measure the speed of decoding with\n")
    if settings["architecture"] == "transformer":
        for quantization in ("float32", "int8"):
            ctranslate2.export(ours, place / f"export-{quantization}", quantization)
            (place / f"export-{quantization}" / ctranslate2.FOLDER).rename(place / quantization)
        marian.export(ours, place / "marian")
    lexicon = shortlist(vocabulary)
    lexicon.save(ours)
    for quantization in ("float32", "int8"):
        if (place / quantization).is_dir():
            files.write(place / quantization / "vmap.txt", mapping(lexicon, tokenizer.entries))


def words(vocabulary: int) -> PiecesTokenizer:
    """A tokenizer by which the text w4 w5 … has the ids 4, 5, …"""
    names = [f"w{word}" for word in range(len(SPECIALS), vocabulary)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(names),
        model_writer=model,
        model_type="word",
        vocab_size=vocabulary,
        hard_vocab_limit=False,
        use_all_vocab=True,
        normalization_rule_name="identity",
        minloglevel=2,
    )
    return PiecesTokenizer(model.getvalue(), [f"▁{name}" for name in names])


def shortlist(vocabulary: int) -> Lexicon:
    """As many words for each source word as `ojak shortlist` takes, and about as many for a batch as there."""
    draw = torch.Generator().manual_seed(1)
    order = len(SPECIALS) + torch.randperm(vocabulary - len(SPECIALS), generator=draw)
    frequent, core, pool = order[:FREQUENT], order[FREQUENT:][:CORE], order[FREQUENT + CORE :][:POOL]
    table = [
        of[torch.randint(len(of), (vocabulary, count), generator=draw)] for of, count in ((pool, OWN), (core, SHARED))
    ]
    return Lexicon(torch.cat(table, 1), frequent)


def mapping(lexicon: Lexicon, entries: list[str]) -> str:
    """The shortlist as CTranslate2 reads it: a source word, and the target words it brings; those of all on the line
    of nothing."""
    lines = ["\t" + " ".join(entries[word] for word in lexicon.frequent.tolist())]
    lines += [
        f"{entries[word]}\t{' '.join(entries[other] for other in row)}"
        for word, row in enumerate(lexicon.table.tolist())
        if word >= len(SPECIALS)
    ]
    return "\n".join(lines) + "\n"
