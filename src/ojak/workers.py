"""Threads that work side by side, a processor core each."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Lock

import torch

_settling = Lock()


def workers(count: int) -> ThreadPoolExecutor:
    """So many threads whose operations use one core each.

    Threads within an operation wait for each other at the end of every one; workers that have such threads too would
    take the cores from each other. torch has one number of threads for all, which each thread takes over at its first
    operation: the workers do so while it is 1, and then this thread's own number is put back. Raises RuntimeError
    where the system refuses a thread.
    """
    ready = Barrier(count + 1)

    def begin() -> None:
        torch.set_num_threads(1)
        torch.get_num_threads()
        ready.wait()

    pool = ThreadPoolExecutor(count, thread_name_prefix="worker")
    with _settling:  # who else makes workers now must not take 1 for the number to put back
        threads = torch.get_num_threads()
        try:
            for _ in range(count):
                pool.submit(begin)
            ready.wait()
        except BaseException:
            ready.abort()  # else those that have begun wait for ever, and the program with them
            pool.shutdown(wait=False)
            raise
        finally:
            torch.set_num_threads(threads)
    return pool
