"""The shortlist that lies beside a model: which target words each source word is likely to need."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from ojak import files
from ojak.errors import ModelError

FILE = "shortlist.safetensors"


@dataclass(frozen=True)
class Lexicon:
    """The likeliest target words of each source word, and those that are frequent with any source."""

    table: Tensor
    """(V,k) target ids of each source id; where a word has fewer, EOS fills up"""
    frequent: Tensor
    """(F) target ids that may always be said"""

    def words(self, source: Sequence[int]) -> Tensor:
        """The target ids (C) that a sentence of these source ids may say, in rising order."""
        said = torch.cat([self.table[torch.tensor(source)].flatten(), self.frequent])
        return torch.bincount(said).nonzero().squeeze(1)  # far quicker than `unique`, which sorts

    def save(self, folder: Path) -> Path:
        """Writes it into a model directory; gives the file. Raises StorageError."""
        tensors = {"table": self.table.int().contiguous(), "frequent": self.frequent.int().contiguous()}
        files.write(folder / FILE, save(tensors))
        return folder / FILE

    @classmethod
    def load(cls, folder: Path, sizes: tuple[int, int]) -> Lexicon | None:
        """The shortlist of a model directory, None if it has none. Raises ModelError for a file that is broken, or that
        is of other vocabularies than these, of source and target."""
        path = folder / FILE
        if not path.is_file():
            return None
        try:
            with safe_open(path, framework="pt") as file:
                table, frequent = file.get_tensor("table").long(), file.get_tensor("frequent").long()
            if table.dim() != 2 or frequent.dim() != 1:
                raise SafetensorError("the tensors have other shapes")
            most = max((int(part.max()) for part in (table, frequent) if part.numel()), default=0)
            if len(table) != sizes[0] or most >= sizes[1]:
                raise SafetensorError("it is of other vocabularies; make one with `ojak shortlist`")
        except (SafetensorError, OSError) as error:
            raise ModelError(f"{path} must be a shortlist as Ojak writes it, but cannot be read: {error}.") from None
        return cls(table, frequent)
