"""SIGINT and SIGTERM: a run that is asked to stop does so where nothing is lost."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from ojak.errors import OjakError


class Interrupted(OjakError):
    """The user asked the run to stop; it was saved first."""

    exit_code = 130


@contextmanager
def stop_on_signals(patient: bool = False) -> Iterator[list[int]]:
    """A list that is no longer empty once SIGINT or SIGTERM has come; the second one stops at once.

    Not so one that is `patient`: torchrun hands on what its processes have got already, and ends them itself if they
    take longer than half a minute.
    """
    asked: list[int] = []

    def ask(number: int, frame: FrameType | None) -> None:
        if asked and not patient:
            raise KeyboardInterrupt
        asked.append(number)

    try:
        before = {number: signal.signal(number, ask) for number in (signal.SIGINT, signal.SIGTERM)}
    except ValueError:  # not in the main thread, where signals do not come
        yield asked
        return
    try:
        yield asked
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
