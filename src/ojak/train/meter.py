"""How fast a run learns, how long it will take, and what memory it takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from ojak.train import memory
from ojak.train.checkpoint import Progress

LIVELY = 1.0
"""seconds between looks at a run that is shown live"""


class Meter:
    """Measures a run by the clock: the time that it has spent, and its speed since the last event of the history."""

    def __init__(self, progress: Progress, device: torch.device) -> None:
        self._progress, self._device = progress, device
        self._begun, self._spent = time.monotonic(), progress.seconds
        self._took: dict[str, float] = {}
        self._restart()

    def tick(self) -> None:
        """Writes down the time that the run has spent."""
        self._progress.seconds = self._spent + time.monotonic() - self._begun

    @contextmanager
    def apart(self, what: str) -> Iterator[None]:
        """Takes the time of the block apart from that of learning."""
        begun = time.monotonic()
        try:
            yield
        finally:
            self._took[what] = time.monotonic() - begun
            self._time += self._took[what]

    def took(self, what: str) -> float:
        """Seconds that it took the last time; 0 if it was not done yet."""
        return self._took.get(what, 0.0)

    def lively(self) -> bool:
        """Whether it is time to show the run again."""
        return time.monotonic() - self._shown > LIVELY

    def look(self, ahead: int, left: dict[str, int], validation: int, end_window: bool) -> dict[str, float]:
        """Numbers of the history, for a run with so many updates `ahead` and so many validations and checkpoints
        `left`, the next validation in `validation` updates."""
        progress = self._progress
        self._shown = time.monotonic()
        seconds = max(self._shown - self._time, 1e-9)
        pace = seconds / max(1, progress.update - self._update)
        found = {
            "tokens_per_second": (progress.tokens - self._tokens) / seconds,
            "seconds": progress.seconds,
            "done": progress.update / (progress.update + ahead),
            "remaining": pace * ahead + sum(n * self.took(what) for what, n in left.items()),
            "next_validation": progress.update + validation,
            "validation_in": pace * validation,
            **memory.on_device(self._device),
        }
        if end_window:
            self._restart()
        return found

    def _restart(self) -> None:
        self._shown = self._time = time.monotonic()
        self._tokens, self._update = self._progress.tokens, self._progress.update
