"""How fast a run learns, and how long it will take."""

from __future__ import annotations

import time

from ojak.train.checkpoint import Progress


class Meter:
    """Measures a run by the clock: the time that it has spent, and its speed since the last look."""

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._begun, self._spent = time.monotonic(), progress.seconds
        self.restart()

    def restart(self) -> None:
        """Begins the next window, so that time spent on other things than learning does not count."""
        self._time, self._tokens, self._update = time.monotonic(), self._progress.tokens, self._progress.update

    def tick(self) -> None:
        """Writes down the time that the run has spent."""
        self._progress.seconds = self._spent + time.monotonic() - self._begun

    def look(self, last: int) -> dict[str, float]:
        """The speed and the time for a run of `last` updates, as numbers of the history; begins the next window."""
        seconds = max(time.monotonic() - self._time, 1e-9)
        updates = self._progress.update - self._update
        found = {
            "tokens_per_second": (self._progress.tokens - self._tokens) / seconds,
            "seconds": self._progress.seconds,
            "done": self._progress.update / last,
            "remaining": seconds / max(1, updates) * (last - self._progress.update),
        }
        self.restart()
        return found
