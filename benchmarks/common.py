"""What the measurements share: where the data is, what the machine is, and how results are kept."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ojak import files
from ojak.commands.doctor import machine

__all__ = ["PEERS", "QUIET", "RESULTS", "ROOT", "data", "keep", "machine", "python", "run_figures"]

ROOT = Path(__file__).resolve().parent.parent
RESULTS = ROOT / "benchmarks" / "results"
PEERS = Path(os.environ.get("OJAK_PEERS", Path.home() / ".cache" / "ojak-peers"))
"""where the peers' environments are; benchmarks/peers/README.md tells how to make them"""
QUIET = 15.0
"""a measurement counts if other processes took less than this, in percent of a core"""


def python(environment: str) -> Path:
    """The interpreter of a peer's environment, or this one."""
    return PEERS / environment / "bin" / "python" if environment else Path(sys.executable)


def data(name: str) -> str:
    """The path of a data file, or the end of the program with a message that says where it is looked for."""
    folder = Path(os.environ.get("OJAK_DATA", ROOT.parent / "shared" / "data"))
    if not (folder / name).is_file():
        print(f"skipped: {name} must be in the data folder (OJAK_DATA), but is not there", file=sys.stderr)
        sys.exit(0)
    return str(folder / name)


def keep(name: str, result: dict[str, Any]) -> None:
    """Writes a result file, `benchmarks/results/NAME.json`, from which the tables of the docs are made."""
    files.write(RESULTS / f"{name}.json", json.dumps(result, indent=1, ensure_ascii=False) + "\n")


def run_figures(run: Path) -> dict[str, Any]:
    """What a run's own history says: parameters, where it was trained, minutes, updates, speed."""
    from ojak.train.history import read_history

    events = read_history(run)
    start = next(event for event in events if event["event"] == "start")
    end = events[-1]
    return {
        "parameters": start["parameters"],
        "pairs": start["pairs"],
        "device": "gpu" if "gpu_memory" in start else "cpu",
        "versions": start["versions"],
        "updates": end["update"],
        "minutes": end["seconds"] / 60,
        "tokens_per_second": end["tokens"] / end["seconds"],
        "weights": end["weights"],
        "dev_bleu": end["bleu"],
    }
