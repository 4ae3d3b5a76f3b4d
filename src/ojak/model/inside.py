"""What some architectures can tell of themselves beyond the seam. Who asks finds out by `isinstance`.

Nothing here is needed to train or to translate: these are for what looks inside.
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
