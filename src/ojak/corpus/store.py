"""A corpus as packed ids on disk, read a window at a time: memory does not grow with it.

store.json               what it is: counts, the files it was packed from, the tokenizers' settings, a fingerprint
part-NNNNN.safetensors   the ids and lengths of up to 262,144 pairs of one corpus, the links between their words where
                         these were given, and where each chunk of them begins
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
    """Pairs in memory: for each side the ids end to end, the length of each row, and where it begins. `links` (L,2) are
    those between words, end to end, of which each pair has as many as `linked` says."""

    ids: tuple[Ids, Ids]
    lengths: tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]
    links: Ids
    linked: npt.NDArray[np.int64]

    @cached_property
    def starts(self) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """Where each row begins."""
        source, target = (np.concatenate([[0], np.cumsum(lengths)[:-1]]) for lengths in self.lengths)
        return source, target

    def take(self, side: int, places: npt.NDArray[np.int64]) -> list[Ids]:
        """The ids of some rows of a side (0: source, 1: target)."""
        ids, starts, lengths = self.ids[side], self.starts[side], self.lengths[side]
        return [ids[start : start + length] for start, length in zip(starts[places], lengths[places], strict=True)]

    def links_of(self, places: npt.NDArray[np.int64]) -> list[Ids]:
        """The links (L,2) of some pairs."""
        ends = self._link_ends
        return [self.links[ends[place] - self.linked[place] : ends[place]] for place in places]

    @cached_property
    def _link_ends(self) -> npt.NDArray[np.int64]:
        return np.cumsum(self.linked)


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

    @property
    def linked(self) -> bool:
        """Whether word alignments were packed with it."""
        return bool(self.record.get("links", 0))

    def lengths(self, chunks: Sequence[int] | npt.NDArray[np.int64]) -> list[npt.NDArray[np.int64]]:
        """The lengths of both sides of the pairs of these chunks, in their order."""
        found = self._read(chunks, with_ids=False)
        return [_joined(found, f"{name}_lengths").astype(np.int64) for name in SIDES]

    def rows(self, chunks: Sequence[int] | npt.NDArray[np.int64]) -> Rows:
        """The pairs of these chunks, in their order. Raises ModelError where a part is missing or broken."""
        found = self._read(chunks, with_ids=True)
        source, target = (_joined(found, f"{name}_ids") for name in SIDES)
        lengths, others = (_joined(found, f"{name}_lengths").astype(np.int64) for name in SIDES)
        links, linked = _joined(found, "links"), _joined(found, "linked").astype(np.int64)
        return Rows((source, target), (lengths, others), links, linked)

    def _read(self, chunks: Sequence[int] | npt.NDArray[np.int64], with_ids: bool) -> list[dict[str, Ids]]:
        """What the parts hold of each chunk, by the names of their tensors."""
        wanted = self.chunks[np.asarray(chunks, dtype=np.int64)]
        found: list[dict[str, Ids]] = [{} for _ in wanted]
        for part in np.unique(wanted[:, 1]):
            path = part_file(self.folder, int(part))
            try:
                with safe_open(path, framework="numpy") as file:
                    pairs = self.record["parts"][part]["pairs"]
                    for place in np.nonzero(wanted[:, 1] == part)[0]:
                        chunk, first = (int(number) for number in wanted[place, 2:])
                        found[place] = _of_chunk(file, chunk, slice(first, min(first + CHUNK, pairs)), with_ids)
            except (OSError, SafetensorError, IndexError, KeyError) as error:
                raise ModelError(
                    f"{path} must be a part of a packed corpus, but is not: {error}. Remove {self.folder} to have the "
                    "corpus packed anew."
                ) from None
        return found


def _of_chunk(file: Any, chunk: int, own: slice, with_ids: bool) -> dict[str, Ids]:
    """What a part holds of a chunk, whose pairs are those at `own`."""
    found: dict[str, Ids] = {f"{name}_lengths": file.get_slice(f"{name}_lengths")[own] for name in SIDES}
    if with_ids:
        low, high = file.get_slice("chunks")[chunk : chunk + 2].tolist()
        for side, name in enumerate(SIDES):
            found[f"{name}_ids"] = file.get_slice(f"{name}_ids")[low[side] : high[side]]
        some = "links" in file.keys()  # noqa: SIM118 (not a dict)
        found["links"] = file.get_slice("links")[low[2] : high[2]] if some else np.zeros((0, 2), np.uint16)
        found["linked"] = file.get_slice("linked")[own] if some else np.zeros(own.stop - own.start, np.uint16)
    return found


def _joined(found: Sequence[dict[str, Ids]], name: str) -> Ids:
    joined: Ids = np.concatenate([one[name] for one in found])
    return joined


def part_file(folder: Path, number: int) -> Path:
    """Where a part lies."""
    return folder / f"part-{number:05d}.safetensors"
