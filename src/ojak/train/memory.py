"""How much memory this process takes, and how much more it could have."""

from __future__ import annotations

import os
import sys
from contextlib import suppress
from pathlib import Path

import torch

PROC = Path("/proc")
CGROUPS = Path("/sys/fs/cgroup")
PREPARED = "64"
"""products that are kept prepared while training: those of the latest batches"""


def resident() -> int:
    """Bytes of memory that this process holds; 0 where the system does not tell."""
    return _status("VmRSS")


def peak() -> int:
    """The most that it has held, in bytes, since it began or since `forget_peak`."""
    if found := _status("VmHWM"):
        return found
    try:
        import resource
    except ImportError:  # no such thing on Windows
        return 0
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def forget_peak() -> None:
    """Lets `peak` begin anew with what is held now, where the system can."""
    with suppress(OSError):
        (PROC / "self" / "clear_refs").write_text("5")


def available() -> int | None:
    """Bytes that this process could have in addition: of the machine and of its control group; None if unknown."""
    found = [left for left in (_machine(), *_groups()) if left is not None]
    return max(0, min(found)) if found else None


def most_addresses() -> int | None:
    """Bytes of addresses that this process may have (RLIMIT_AS); None where there is no limit."""
    try:
        import resource
    except ImportError:
        return None
    most = resource.getrlimit(resource.RLIMIT_AS)[0]
    return None if most == resource.RLIM_INFINITY else most


def keep_few_products() -> None:
    """Lets few prepared products be kept, unless the user has said how many. For every shape of batch some twenty are
    prepared, of 0.6 MB each, and a shape seldom comes again; yet oneDNN would keep 1,024 of them, torch's bridge to it
    as many in each thread, and the heap would fall to pieces around them. They listen before the first product only.
    """
    for name in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(name, PREPARED)


def peak_addresses() -> int:
    """The most bytes of addresses that it has had since it began."""
    return _status("VmPeak")


def address_space() -> int:
    """Bytes of addresses left to this process under a limit of them; 0 where there is none."""
    most = most_addresses()
    return 0 if most is None else max(0, most - _status("VmSize"))


def on_device(device: torch.device) -> dict[str, float]:
    """Memory as numbers of the history: bytes held now and at most, of the process, and of the GPU where there is
    one."""
    found: dict[str, float] = {"memory": resident(), "memory_peak": peak()}
    if device.type == "cuda":
        found["gpu_memory"] = torch.cuda.memory_allocated(device)
        found["gpu_memory_peak"] = torch.cuda.max_memory_reserved(device)
    return found


def _status(key: str) -> int:
    with suppress(OSError, ValueError):
        for line in (PROC / "self" / "status").read_text().splitlines():
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    return 0


def _machine() -> int | None:
    with suppress(OSError, ValueError):
        for line in (PROC / "meminfo").read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return int(line.split()[1]) * 1024
    return None


def _groups() -> list[int]:
    """What is left of the limits of this process's control groups, version 2 and 1, and of those above them."""
    found = []
    with suppress(OSError):
        for line in (PROC / "self" / "cgroup").read_text().splitlines():
            _, kinds, path = line.split(":", 2)
            if kinds == "":
                root, most, used, cached = CGROUPS, "memory.max", "memory.current", "inactive_file"
            elif "memory" in kinds.split(","):
                root, most, used = CGROUPS / "memory", "memory.limit_in_bytes", "memory.usage_in_bytes"
                cached = "total_inactive_file"
            else:
                continue
            place = root / path.strip("/")
            for folder in [place, *place.parents]:
                if not folder.is_relative_to(root):
                    break
                left = _left(folder, most, used, cached)
                if left is not None:
                    found.append(left)
    return found


def _left(folder: Path, most: str, used: str, cached: str) -> int | None:
    with suppress(OSError, ValueError, StopIteration):
        limit = int((folder / most).read_text())  # "max" is no number
        stat = (line.split() for line in (folder / "memory.stat").read_text().splitlines())
        # What is read from disk counts as used, and goes when it is wanted.
        return limit - int((folder / used).read_text()) + next(int(size) for name, size in stat if name == cached)
    return None
