"""Dropout whose masks are slices of one pool of random bytes.

torch draws a floating-point number for every element of every mask, which is a fifth to a third of the time of
training a small Transformer on a CPU. Here a forward pass draws one pool of bytes, a little larger than its largest
mask, and each mask is a slice of it that begins at a random place. Every element of a mask is dropped with exactly the
rate, independently of the others in that mask; two masks of one pass may be shifted copies of each other in part, by a
distance that is drawn anew each time.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

import torch
from torch import Tensor

_generator: ContextVar[torch.Generator | None] = ContextVar("generator", default=None)

SLACK = 1 << 16
"""how far apart the slices may begin"""


@contextmanager
def drawn_from(seed: int) -> Iterator[None]:
    """Within the block, and in this thread, masks on a CPU come from a generator of their own."""
    token = _generator.set(torch.Generator().manual_seed(seed))
    try:
        yield
    finally:
        _generator.reset(token)


class Masks:
    """The dropout of one forward pass (Srivastava 2014): zeroes a share of the elements and scales the others up.

    The share is `rate` rounded to 1/256, and the scale fits the rounded share, so that the expected value is exact. A
    rate of 0 changes nothing, and draws nothing. `most` is the number of elements of the largest mask,
    so that the pool is made once; it is made anew for a mask that is larger.
    """

    def __init__(self, rate: float, most: int) -> None:
        self._threshold = round(rate * 256)
        self.scale = 256 / (256 - self._threshold)
        self._most, self._generator = most, _generator.get()
        self._pool = torch.empty(0)

    def __bool__(self) -> bool:
        return self._threshold > 0

    def draw(self, like: Tensor) -> Tensor:
        """A mask in the shape and type of `like`: 0 where it drops, the scale elsewhere."""
        count = like.numel()
        if self._pool.numel() < count + SLACK:
            self._pool = self._fill(max(self._most, count) + SLACK, like)
        begin = int(torch.randint(self._pool.numel() - count + 1, (), generator=self._generator))
        return self._pool[begin : begin + count].view(like.shape)

    def drop(self, values: Tensor) -> Tensor:
        """The values with some dropped."""
        return values * self.draw(values) if self else values

    def add(self, states: Tensor, found: Tensor) -> Tensor:
        """`states` plus what is kept of `found`, in one pass over both."""
        return torch.addcmul(states, found, self.draw(found)) if self else states + found

    def drop_words(self, words: Tensor) -> Tensor:
        """The vectors (N,T,D) with those of some places dropped whole: word dropout (Gal and Ghahramani 2016, 4.2)."""
        return words * self.draw(words[:, :, :1]) if self else words

    def _fill(self, count: int, like: Tensor) -> Tensor:
        draws = torch.empty(-(-count // 8), dtype=torch.int64, device=like.device)
        # The whole range: each of the eight bytes is then uniform.
        bytes_ = draws.random_(-(2**63), None, generator=self._generator).view(torch.uint8)
        pool = torch.empty(len(bytes_), dtype=like.dtype, device=like.device)
        return torch.ge(bytes_, self._threshold, out=pool).mul_(self.scale)
