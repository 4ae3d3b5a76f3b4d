"""Subwords by SentencePiece: `unigram` and `bpe`, with every byte as a last resort."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import sentencepiece

from ojak.errors import ConfigError, DataError
from ojak.files import write
from ojak.text.normalise import Form
from ojak.text.tokenizer import Kind, Tokenizer, joined
from ojak.text.vocabulary import (
    BOS,
    EOS,
    PAD,
    SPECIALS,
    UNK,
    broken,
    read,
    vocabulary_file,
    write_record,
)

MOST_SENTENCES = 1_000_000  # learnt from; more change the vocabulary hardly and the waiting time a lot
LONGEST = 2_000  # characters of a sentence learnt from in one piece; longer ones are cut, not dropped
BYTES = 256
MARGIN = 0.01  # how much likelier a merged piece is than its parts, as a logarithm

Item = TypeVar("Item")


class SubwordTokenizer(Tokenizer):
    """A SentencePiece model whose normalisation is Ojak's own.

    Any text comes back as it was, normalised: a character that was never seen is spelt in bytes, so UNK never comes
    out of `encode`.
    """

    def __init__(self, kind: Kind, model: bytes, form: Form) -> None:
        """Takes the bytes of a SentencePiece model file. Raises RuntimeError or ValueError where they are none."""
        self.kind = kind
        self.form = form
        self.model = model
        self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = tuple(getattr(self._processor, f"{name}_id")() for name in ("pad", "unk", "bos", "eos"))
        if ids != (PAD, UNK, BOS, EOS):
            raise ValueError(f"has the ids {ids} for pad, unk, bos and eos")

    @property
    def entries(self) -> list[str]:
        return self.pieces(range(len(self)))

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [str(self._processor.id_to_piece(int(number))) for number in ids]

    def __len__(self) -> int:
        return int(self._processor.get_piece_size())

    def save(self, folder: Path, name: str) -> None:
        write(folder / f"{name}.spm", self.model)
        write_record(folder, name, {"kind": self.kind, **self.form.record(), "size": len(self)})

    def encode_lines(self, lines: str) -> tuple[npt.NDArray[np.uint32], npt.NDArray[np.int64]]:
        return joined(self._processor.encode(self.form.of_lines(lines)))

    def best_cuts(self, word: str, count: int) -> tuple[list[tuple[int, ...]], list[float]]:
        """The likeliest cuts of a word into ids, and the logarithms of their probabilities (unigram)."""
        best = self._processor.nbest_encode(word, nbest_size=count, return_type="proto").nbests
        return [tuple(piece.id for piece in cut.pieces) for cut in best], [float(cut.score) for cut in best]

    def rank(self, piece: str) -> float | None:
        """Where a piece stands in the order of merges, lower ones first (bpe); None for what is no piece."""
        number = self._processor.piece_to_id(piece)
        return None if number == UNK else -float(self._processor.get_score(number))

    def piece_ids(self, piece: str) -> list[int]:
        """The id of a piece, or those of its bytes where it is none."""
        number = self._processor.piece_to_id(piece)
        if number != UNK:
            return [number]
        return [self._processor.piece_to_id(f"<0x{byte:02X}>") for byte in piece.encode("utf-8")]

    def with_pieces(self, pieces: Sequence[str], of: Mapping[str, tuple[str, str]]) -> SubwordTokenizer:
        """The tokenizer with more pieces, after those it has; `of` tells which two others some are merged from.

        A merged piece is chosen where its two parts were: for `unigram` it is a little likelier than they are
        together, for `bpe` its merge comes after all others. A piece of its own, a character, is as rare as the rarest.
        """
        scores = dict(zip(self.entries, map(self._processor.get_score, range(len(self))), strict=True))
        lowest = min(scores.values())
        model = self.model
        for number, piece in enumerate(pieces, 1):
            if self.kind == "bpe":
                scores[piece] = lowest - number
            else:
                scores[piece] = sum(scores[part] for part in of[piece]) + MARGIN if piece in of else lowest
            model += _entry(piece, scores[piece])
        return SubwordTokenizer(self.kind, model, self.form)

    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        if sample <= 0:
            return list(self._processor.encode(text))
        if seed is not None:
            sentencepiece.set_random_generator_seed(seed)
        # -1: unigram draws from all cuttings, not from the best few.
        return list(self._processor.encode(text, enable_sampling=True, alpha=sample, nbest_size=-1))

    def _decode(self, ids: Sequence[int]) -> str:
        return str(self._processor.decode([int(number) for number in ids if not 0 <= number <= EOS]))


def _entry(piece: str, score: float) -> bytes:
    """An entry of a SentencePiece model, a message of Protocol Buffers: behind the others it is one of them, for
    messages of a kind that are put end to end are one."""
    text = piece.encode("utf-8")
    content = b"\x0a" + _length(text) + text + b"\x15" + struct.pack("<f", score)  # fields 1: piece, 2: score
    return b"\x0a" + _length(content) + content  # field 1 of the model


def _length(content: bytes) -> bytes:
    """In groups of seven bits, the lowest first, all but the last with the eighth bit set."""
    left, found = len(content), b""
    while left > 127:
        found += bytes([left & 127 | 128])
        left >>= 7
    return found + bytes([left])


def learn_subwords(sentences: Iterable[str], kind: Kind, size: int, form: Form, seed: int) -> SubwordTokenizer:
    """Learn at most `size` ids; a small corpus gives fewer, as many as it has to tell apart.

    The same sentences, size and seed give the same model, on any number of cores. Raises ConfigError where `size` has
    no room for the bytes and each character of the corpus, DataError where there is no text.
    """
    drawn = reservoir(sentences, MOST_SENTENCES, seed)
    sample = [form.of(sentence) for sentence in drawn]
    # U+2585 is SentencePiece's own sign for an unknown character: it would leave out sentences that hold it.
    sample = [text.replace("\u2585", " ") for text in sample]
    texts = [text[start : start + LONGEST] for text in sample for start in range(0, len(text), LONGEST)]
    characters = set().union(*texts) - {" "}
    if not characters:
        raise DataError("A tokenizer learns from text, but no sentence holds any. Give sentences.")
    least = len(SPECIALS) + BYTES + 1 + len(characters)  # 1: the space
    if size < least:
        raise ConfigError(
            f"A vocabulary of kind {kind} must have room for {len(SPECIALS)} special ids, {BYTES} bytes, the space and "
            f"the {len(characters)} different characters of the corpus, {least} in all, but its size is {size}. "
            f"Ask for {least} or more, or clean rare characters out of the corpus."
        )
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(texts),
        model_writer=model,
        model_type=kind,
        vocab_size=size,
        hard_vocab_limit=False,  # unigram stops where there is nothing more to tell apart; bpe does so anyhow
        character_coverage=1.0,
        byte_fallback=True,
        normalization_rule_name="identity",
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        max_sentence_length=4 * LONGEST + 16,  # bytes; longer ones would be dropped
        num_threads=2,  # a fixed number: sums over threads are part of the result
        minloglevel=2,
    )
    return SubwordTokenizer(kind, model.getvalue(), form)


def load_subwords(folder: Path, name: str, kind: Kind, record: dict[str, Any]) -> SubwordTokenizer:
    """Build from what `save` wrote. Raises ModelError."""
    path = folder / f"{name}.spm"
    form = Form.read(record)
    if form is None:
        raise broken(vocabulary_file(folder, name), "lacks `lowercase`")
    try:
        tokenizer = SubwordTokenizer(kind, read(path), form)
    except (RuntimeError, ValueError) as error:
        raise broken(path, f"is no SentencePiece model of Ojak ({error})") from error
    if len(tokenizer) != record.get("size"):
        raise broken(path, f"has {len(tokenizer)} entries, and the JSON file beside it says {record.get('size')}")
    return tokenizer


def reservoir(items: Iterable[Item], most: int, seed: int) -> list[Item]:
    """All items, or `most` of them, each as likely as any other, in one pass (reservoir sampling)."""
    draw = random.Random(seed)
    kept: list[Item] = []
    for number, item in enumerate(items):
        if number < most:
            kept.append(item)
        elif (place := draw.randrange(number + 1)) < most:
            kept[place] = item
    return kept
