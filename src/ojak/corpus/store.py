"""A corpus as packed ids on disk, read a window at a time: memory does not grow with it.

store.json               what it is: counts, the files it was packed from, the tokenizers' settings, a fingerprint
part-NNNNN.safetensors   the ids and lengths of up to 262,144 pairs of one corpus, and where each chunk of them begins
source.*, target.*       the tokenizers (shared.* where they are one)
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError, safe_open

from ojak.errors import ModelError

FORMAT = 1
CHUNK = 1024  # pairs that lie side by side and are always read together
SIDES = ("source", "target")

Ids = npt.NDArray[np.integer[Any]]


@dataclass(frozen=True)
class Rows:
    """Pairs in memory: for each side the ids end to end, the length of each row, and where it begins."""

    ids: tuple[Ids, Ids]
    lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]

    @cached_property
    def starts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each row begins."""
        source, target = (np.concatenate([[0], np.cumsum(lengths)[:-1]]) for lengths in self.lengths)
        return source, target

    def take(self, side: int, places: npt.NDArray[np.int64]) -> list[Ids]:
        """The ids of some rows of a side (0: source, 1: target)."""
        ids, starts, lengths = self.ids[side], self.starts[side], self.lengths[side]
        return [ids[start : start + length] for start, length in zip(starts[places], lengths[places], strict=True)]


@dataclass(frozen=True)
class Store:
    """An opened store. `record` is what `store.json` says."""

    folder: Path
    record: dict[str, Any]

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Raises ModelError where there is no whole store of this format."""
        path = folder / "store.json"
        try:
            record = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise ModelError(f"{folder} must be a packed corpus, but {path.name} cannot be read: {error}.") from None
        if not isinstance(record, dict) or record.get("format") != FORMAT:
            raise ModelError(
                f"{folder} must be a packed corpus of format {FORMAT}, but is not; pack it anew (ojak corpus pack)."
            )
        return cls(folder, record)

    def __len__(self) -> int:
        return int(self.record["pairs"])

    @cached_property
    def chunks(self) -> npt.NDArray[np.int64]:
        """The corpus, part, place in the part, and first pair in the part of every chunk."""
        rows = [
            (part["corpus"], number, place, place * CHUNK)
            for number, part in enumerate(self.record["parts"])
            for place in range(-(-part["pairs"] // CHUNK))
        ]
        return np.array(rows, dtype=np.int64).reshape(-1, 4)

    def pairs_of(self, chunk: int) -> int:
        """How many pairs a chunk has: the last one of a part may have fewer than others."""
        _, part, _, first = self.chunks[chunk]
        return int(min(CHUNK, self.record["parts"][part]["pairs"] - first))

    def lengths(self, chunks: Sequence[int] | npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """The lengths of both sides of the pairs of these chunks, in their order."""
        return self._read(chunks, with_ids=False)[1]

    def rows(self, chunks: Sequence[int] | npt.NDArray[np.int64]) -> Rows:
        """The pairs of these chunks, in their order. Raises ModelError where a part is missing or broken."""
        ids, lengths = self._read(chunks, with_ids=True)
        return Rows((ids[0], ids[1]), (lengths[0], lengths[1]))

    def _read(
        self, chunks: Sequence[int] | npt.NDArray[np.int64], with_ids: bool
    ) -> tuple[list[Ids], list[npt.NDArray[np.int64]]]:
        wanted = self.chunks[np.asarray(chunks, dtype=np.int64)]
        found: list[dict[str, npt.NDArray[Any]]] = [{} for _ in wanted]
        for part in np.unique(wanted[:, 1]):
            path = part_file(self.folder, int(part))
            try:
                with safe_open(path, framework="numpy") as file:
                    begins = file.get_tensor("chunks")
                    pairs = self.record["parts"][part]["pairs"]
                    for place in np.nonzero(wanted[:, 1] == part)[0]:
                        chunk, first = wanted[place, 2:]
                        for side, name in enumerate(SIDES):
                            lengths = file.get_slice(f"{name}_lengths")[int(first) : int(min(first + CHUNK, pairs))]
                            found[place][f"{name}_lengths"] = lengths
                            if with_ids:
                                low, high = (int(begins[at, side]) for at in (chunk, chunk + 1))
                                found[place][name] = file.get_slice(f"{name}_ids")[low:high]
            except (OSError, SafetensorError, IndexError, KeyError) as error:
                raise ModelError(
                    f"{path} must be a part of a packed corpus, but is not: {error}. Remove {self.folder} to have the "
                    "corpus packed anew."
                ) from None
        lengths = [np.concatenate([one[f"{name}_lengths"] for one in found]).astype(np.int64) for name in SIDES]
        ids = [np.concatenate([one[name] for one in found]) for name in SIDES] if with_ids else []
        return ids, lengths


def part_file(folder: Path, number: int) -> Path:
    """Where a part lies."""
    return folder / f"part-{number:05d}.safetensors"
