"""What some architectures can tell of themselves beyond the seam. Who asks finds out by `isinstance`.

Nothing here is needed to train or to translate: these are for what looks inside, which says why not where an
architecture has no such thing.
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

from torch import Tensor

from ojak.model.seam import State


@runtime_checkable
class Transforms(Protocol):
    """Attention whose weights multiply vectors that can be told, one for each view and source token."""

    def transformed(self, state: State) -> Tensor:
        """f(x) of Kobayashi 2020, equation 3, as (N,K,S,E): what a weight of 1 would add."""


@runtime_checkable
class SelfAttends(Protocol):
    """An encoder and a decoder whose tokens read those of their own side."""

    def self_attention(self, source: Tensor, target_in: Tensor) -> tuple[Tensor, Tensor]:
        """The weights of the encoder (B,L,H,S,S) and of the decoder (B,L,H,T,T), for L layers each."""
