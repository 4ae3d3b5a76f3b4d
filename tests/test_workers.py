"""Threads that work side by side: what they leave behind when they cannot be had."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from ojak.workers import workers


def test_threads_that_are_refused_leave_nothing_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    """As under a limit of processes: the second of three cannot start."""
    real, begun, threads = threading.Thread.start, [], torch.get_num_threads()

    def refusing(thread: threading.Thread) -> None:
        if len(begun) == 1:
            raise RuntimeError("can't start new thread")
        begun.append(thread)
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", refusing)
    with pytest.raises(RuntimeError, match="new thread"):
        workers(3)
    begun[0].join(20)
    assert not begun[0].is_alive() and torch.get_num_threads() == threads


def test_workers_made_at_one_time_put_the_number_of_threads_back() -> None:
    threads = torch.get_num_threads()
    with ThreadPoolExecutor(4) as makers:
        pools = list(makers.map(lambda _: workers(2), range(40)))
    assert torch.get_num_threads() == threads
    assert {pool.submit(torch.get_num_threads).result() for pool in pools} == {1}
    for pool in pools:
        pool.shutdown()
