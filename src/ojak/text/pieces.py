"""Subwords of an imported model: SentencePiece cuts, and a list of its own says which id each piece has."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import sentencepiece

from ojak.files import write
from ojak.text.normalise import Form
from ojak.text.tokenizer import Kind, Tokenizer
from ojak.text.vocabulary import EOS, Vocabulary, broken, read, vocabulary_file, write_record

LANGUAGE = re.compile(r">>[^<>\s]+<<")
"""a sign such as `>>kor<<` at the beginning of a source says which language a model of several is to write"""


class PiecesTokenizer(Tokenizer):
    """What Marian's models come with. A piece that the list lacks is UNK."""

    kind: Kind = "pieces"
    form = Form()

    def __init__(self, model: bytes, entries: Sequence[str]) -> None:
        """Takes the bytes of a SentencePiece model file, and the entries after the specials. Raises RuntimeError where
        the bytes are no such model."""
        self.model = model
        self.vocabulary = Vocabulary(entries)
        self._processor: Any = sentencepiece.SentencePieceProcessor(model_proto=model)

    @property
    def entries(self) -> list[str]:
        return list(self.vocabulary.entries)

    def __len__(self) -> int:
        return len(self.vocabulary)

    def pieces(self, ids: Sequence[int]) -> list[str]:
        return [self.vocabulary.entries[number] for number in ids]

    def save(self, folder: Path, name: str) -> None:
        write(folder / f"{name}.spm", self.model)
        write_record(folder, name, {"kind": self.kind, "entries": self.vocabulary.learnt})

    def _encode(self, text: str, sample: float, seed: int | None) -> list[int]:
        sign = LANGUAGE.match(text)
        begin = [sign[0]] if sign and sign[0] in self.vocabulary else []
        text = text[len(begin[0]) :] if begin else text
        if sample <= 0:
            pieces = self._processor.encode(text, out_type=str)
        else:
            if seed is not None:
                sentencepiece.set_random_generator_seed(seed)
            pieces = self._processor.encode(text, out_type=str, enable_sampling=True, alpha=sample, nbest_size=-1)
        return [self.vocabulary.id(piece) for piece in [*begin, *pieces]]

    def _decode(self, ids: Sequence[int]) -> str:
        if ids and min(ids) < 0:
            raise IndexError(f"an id must not be negative, but {min(ids)} was given")
        return str(self._processor.decode_pieces(self.pieces([number for number in ids if number > EOS])))


def load_pieces(folder: Path, name: str, record: dict[str, Any]) -> PiecesTokenizer:
    """Build from what `save` wrote. Raises ModelError."""
    entries, path = record.get("entries"), folder / f"{name}.spm"
    if not isinstance(entries, list) or not all(isinstance(entry, str) for entry in entries):
        raise broken(vocabulary_file(folder, name), "lacks a list of `entries`")
    try:
        return PiecesTokenizer(read(path), entries)
    except (RuntimeError, ValueError) as error:
        raise broken(path, f"is no SentencePiece model ({error})") from error
