"""The one place that names every architecture."""

from __future__ import annotations

from ojak.config import ModelConfig, RecurrentConfig
from ojak.model.recurrent import Recurrent
from ojak.model.seam import Seq2Seq
from ojak.model.transformer import Transformer


def build(config: ModelConfig, source_size: int, target_size: int, shared: bool = False) -> Seq2Seq:
    """A model with fresh random weights for vocabularies of these sizes; `shared` if they are one."""
    if isinstance(config, RecurrentConfig):
        return Recurrent(config, source_size, target_size, shared)
    return Transformer(config, source_size, target_size, shared)
