"""SIGINT and SIGTERM: a run that is asked to stop does so where nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ojak.errors import OjakError


class Interrupted(OjakError):
    """The user asked the run to stop. The message says what was kept and how to go on."""

    exit_code = 130


class Stopped(KeyboardInterrupt):
    """Raised by the signal itself, wherever the process is."""


class Stop:
    """Whether the user has asked the run to stop.

    The first signal stops at once what may be dropped, such as preparing and validating; within `later` it only says
    so in `asked`, and who learns or writes stops after it. The second one stops at once everywhere.

    Not so where it is `patient`: of several processes none may leave what they have begun together, and torchrun hands
    on signals that they have got already. It ends them itself if they take longer than half a minute.
    """

    def __init__(self) -> None:
        self.asked = self.twice = self.patient = False
        self._later = False

    @contextmanager
    def later(self) -> Iterator[None]:
        """What the block has begun is finished first."""
        before, self._later = self._later, True
        try:
            yield
        finally:
            self._later = before

    @contextmanager
    def now(self) -> Iterator[None]:
        """What the block does may be dropped, also within `later`."""
        before, self._later = self._later, self._later and self.patient
        try:
            if self.asked and not self._later:
                raise Stopped
            yield
        finally:
            self._later = before

    def hear(self, number: int, frame: FrameType | None) -> None:
        """What a signal does."""
        self.asked, self.twice = True, self.asked and not self.patient
        if self.twice or not self._later:
            raise Stopped


@contextmanager
def stop_on_signals() -> Iterator[Stop]:
    """What SIGINT and SIGTERM ask for within the block; nothing outside the main thread, where they do not come."""
    stop = Stop()
    try:
        before = {number: signal.signal(number, stop.hear) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:
        yield stop
        return
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
