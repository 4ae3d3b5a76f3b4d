"""What the measurements share: where the data is, what the machine is, and how results are kept."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

from ojak import files
from ojak.commands.doctor import machine

__all__ = ["PEERS", "QUIET", "RESULTS", "ROOT", "data", "keep", "machine", "python", "run_figures", "train"]

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


def train(settings: dict[str, Any], run: Path) -> None:
    """Trains, or goes on with what was begun, if need be for more passes or updates. Ends the program where the run was
    begun with other settings, which its results would not be those of."""
    import ojak
    from ojak.config import read_recipe, read_toml
    from ojak.presets import preset
    from ojak.train.history import read_history

    events = read_history(run) if (run / "history.jsonl").is_file() else []
    if pairs := next((event["pairs"] for event in events if "pairs" in event), 0):
        begun = read_recipe(read_toml(run / "recipe.toml"))
        wanted = read_recipe(preset(pairs, begun.model.architecture), settings)
        # More of it is another training where the rate falls towards the end.
        free = () if wanted.train.schedule == "cosine" else ("epochs", "updates")
        differ = [
            f"{section}.{name}"
            for section in ("text", "model", "train", "search")
            for name, value in getattr(wanted, section).model_dump().items()
            for before in [getattr(getattr(begun, section), name, None)]
            if value not in ("auto", before) and not (name in free and (not value or value > before))
        ]
        if differ:
            sys.exit(f"{run} was begun with another {', '.join(differ)}: remove it, and train anew.")
    ojak.train_run(settings, run, resume=True)


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
