"""Text to ids and back: normalisation, tokenizers of four kinds, vocabularies.

tokenizer = learn(sentences, "unigram", 8000)
ids = tokenizer.encode("안녕하세요")
tokenizer.decode(ids)
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ojak.errors import ConfigError, DataError
from ojak.text.listed import LISTED, load_listed
from ojak.text.normalise import Form, normalise
from ojak.text.pieces import load_pieces
from ojak.text.subword import learn_subwords, load_subwords
from ojak.text.tokenizer import KINDS, Kind, Tokenizer
from ojak.text.vocabulary import BOS, EOS, PAD, SPECIALS, UNK, broken, read_record, vocabulary_file

__all__ = [
    "BOS",
    "EOS",
    "KINDS",
    "PAD",
    "SPECIALS",
    "UNK",
    "Form",
    "Kind",
    "Tokenizer",
    "learn",
    "load",
    "load_both",
    "normalise",
    "save_both",
]


def learn(
    sentences: Iterable[str],
    kind: Kind,
    size: int,
    *,
    lowercase: bool = False,
    width: bool = False,
    punctuation: bool = False,
    min_frequency: int = 1,
    seed: int = 1,
) -> Tokenizer:
    """Learn a tokenizer of at most `size` ids, the four specials included, from raw sentences.

    A corpus too small for `size` gives fewer ids; `len` of the result tells. `lowercase`, `width` and `punctuation` say
    what of the writing is given up, as in `normalise`. `min_frequency` is how often a word or
    character must be seen to be kept. `seed` picks the sentences that subwords learn from where there are more than a
    million. Raises ConfigError for a size without room, DataError where the sentences hold no text.
    """
    if kind not in KINDS:
        raise ConfigError(f"A tokenizer is one of {', '.join(KINDS)}, but {kind!r} was asked for. Choose one of them.")
    form = Form(lowercase, width, punctuation)
    if kind in LISTED:
        if size <= len(SPECIALS):
            raise ConfigError(
                f"A vocabulary of kind {kind} must be larger than its {len(SPECIALS)} special ids, but its size is "
                f"{size}. Ask for more."
            )
        listed = LISTED[kind].learn(sentences, size, form, min_frequency)
        if len(listed) == len(SPECIALS):
            raise DataError(
                f"A tokenizer learns from text, but no sentence holds a {kind} seen {min_frequency} times or more. "
                "Give more sentences or lower min_frequency."
            )
        return listed
    return learn_subwords(sentences, kind, size, form, seed)


def load_both(folder: Path, kind: Kind, shared: bool) -> tuple[Tokenizer, Tokenizer]:
    """The source and target tokenizer; one and the same where the vocabulary is `shared`. Raises ModelError."""
    if shared and kind != "pieces":  # an imported vocabulary is cut for by one tokenizer for each language
        both = load(folder, "shared", kind)
        return both, both
    return load(folder, "source", kind), load(folder, "target", kind)


def save_both(folder: Path, source: Tokenizer, target: Tokenizer) -> None:
    """Writes what `load_both` reads; they are shared where they are one object. Raises StorageError."""
    if source is target:
        source.save(folder, "shared")
    else:
        source.save(folder, "source")
        target.save(folder, "target")


def load(folder: Path, name: str, kind: Kind) -> Tokenizer:
    """The tokenizer that `save(folder, name)` wrote. Raises ModelError where a file is missing, broken or of another
    kind or format."""
    record = read_record(folder, name)
    if record.get("kind") != kind or kind not in (*KINDS, "pieces"):
        found = f"holds a tokenizer of kind {record.get('kind')!r}, and the model asks for {kind!r}"
        raise broken(vocabulary_file(folder, name), found)
    if kind in LISTED:
        return load_listed(folder, name, kind, record)
    return load_pieces(folder, name, record) if kind == "pieces" else load_subwords(folder, name, kind, record)
