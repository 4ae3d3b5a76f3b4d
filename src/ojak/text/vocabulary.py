"""The four special ids, and the small JSON file that every tokenizer leaves in a model directory."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ojak.errors import ModelError
from ojak.files import write

PAD, UNK, BOS, EOS = 0, 1, 2, 3
SPECIALS = ("<pad>", "<unk>", "<s>", "</s>")

FORMAT = 1


class Vocabulary:
    """Entries and their ids; the specials come first.

    The specials are reached by id alone: an entry spelt like one of them cannot be looked up, so text can never
    turn into a special.
    """

    def __init__(self, learnt: Sequence[str]) -> None:
        """Takes the entries after the specials, in the order of their ids."""
        self.entries: list[str] = [*SPECIALS, *learnt]
        self._ids = {entry: number for number, entry in enumerate(learnt, len(SPECIALS))}

    def __len__(self) -> int:
        return len(self.entries)

    def __contains__(self, entry: str) -> bool:
        return entry in self._ids

    def id(self, entry: str) -> int:
        """The id of a learnt entry, UNK for any other text."""
        return self._ids.get(entry, UNK)

    @property
    def learnt(self) -> list[str]:
        """The entries without the specials."""
        return self.entries[len(SPECIALS) :]


def most_frequent(entries: Iterable[str], size: int, min_frequency: int) -> list[str]:
    """The entries seen at least `min_frequency` times, most frequent first, as many as `size` has room for."""
    counts = Counter(entries)
    # Ties by the text itself: the order of a corpus must not decide what an id means.
    ranked = sorted((entry for entry in counts if counts[entry] >= min_frequency), key=lambda e: (-counts[e], e))
    return ranked[: size - len(SPECIALS)]


def vocabulary_file(folder: Path, name: str) -> Path:
    """Where the JSON of the tokenizer `name` lies."""
    return folder / f"{name}.vocabulary.json"


def read(path: Path) -> bytes:
    """The bytes of a file of a model directory. Raises ModelError."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise ModelError(
            f"A model directory must hold the file {path.name}, but {path} cannot be read: "
            f"{error.strerror or error}. Point to a model directory that is complete, or save the tokenizer again."
        ) from error


def write_record(folder: Path, name: str, record: dict[str, Any]) -> None:
    """Write `record` and the number of the format. Raises StorageError."""
    text = json.dumps({"format": FORMAT, **record}, ensure_ascii=False, indent=0)
    write(vocabulary_file(folder, name), (text + "\n").encode())


def read_record(folder: Path, name: str) -> dict[str, Any]:
    """What `write_record` wrote. Raises ModelError for a file that is missing, broken or of a newer format."""
    path = vocabulary_file(folder, name)
    try:
        record = json.loads(read(path).decode("utf-8"))
    except ValueError as error:
        raise broken(path, f"is no JSON in UTF-8 ({error})") from error
    if not isinstance(record, dict) or not isinstance(record.get("format"), int):
        raise broken(path, "holds no object with a whole number as `format`")
    if record["format"] != FORMAT:
        raise ModelError(
            f"A tokenizer must have format {FORMAT} to be read by this version of Ojak, but {path} has format "
            f"{record['format']}. Install the version of Ojak that made it, or a newer one."
        )
    return record


def broken(path: Path, found: str) -> ModelError:
    """The error for a tokenizer file whose content is not what Ojak writes; `found` goes on from the path."""
    return ModelError(
        f"A tokenizer file must be as Ojak wrote it, but {path} {found}. Copy it again from where it was made."
    )
