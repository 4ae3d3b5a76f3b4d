"""What a run resumes from: `state/NNNNNNNN/`, the two newest, each written whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save_file

from ojak import files
from ojak.errors import ModelError
from ojak.model.folder import put_weights, read_weights, weights_of
from ojak.model.seam import Seq2Seq

KEPT = 2


@dataclass
class Progress:
    """Where a run stands. Everything that decides what comes next is here, in the weights, or in the random state."""

    data: str
    """fingerprint of the pairs, so that a run is not resumed on others"""
    update: int = 0
    epoch: int = 0
    batch: int = 0
    """the next batch of the pass"""
    best: float | None = None
    best_update: int = 0
    worse: int = 0
    """validations since the best one"""
    tokens: int = 0
    """real target tokens learnt from"""
    seconds: float = 0.0
    """time spent, over all resumptions"""
    ended: str = ""
    """why the run is at its end; empty while it is not"""


def save(run: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, progress: Progress) -> Path:
    """Writes a checkpoint, then removes all but the newest two."""
    state = run / "state"
    folder = state / f"{progress.update:08d}"
    with files.whole_folder(folder) as beside:
        save_file({name: weight.cpu() for name, weight in weights_of(model).items()}, beside / "weights.safetensors")
        tensors = {
            f"{place}.{key}": value.cpu()
            for place, values in optimizer.state_dict()["state"].items()
            for key, value in values.items()
        }
        tensors["random.cpu"] = torch.get_rng_state()
        if model.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
        save_file(tensors, beside / "optimizer.safetensors")
        (beside / "progress.json").write_text(json.dumps(asdict(progress), indent=2), encoding="utf-8")
    for old in checkpoints(run)[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return folder


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    state = run / "state"
    return sorted(path for path in state.iterdir() if re.fullmatch(r"\d{8,}", path.name)) if state.is_dir() else []


def load(folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> Progress:
    """Puts a checkpoint back and tells where it stood. Raises ModelError when it is broken."""
    try:
        progress = Progress(**json.loads((folder / "progress.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder} must be a whole checkpoint, but its progress.json is not: {error}.") from None
    weights = folder / "weights.safetensors"
    put_weights(model, read_weights(weights), weights)
    tensors = read_weights(folder / "optimizer.safetensors")
    torch.set_rng_state(tensors.pop("random.cpu"))
    cuda = tensors.pop("random.cuda", None)
    if cuda is not None and model.device.type == "cuda":
        torch.cuda.set_rng_state(cuda, model.device)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        place, key = name.split(".", 1)
        state.setdefault(int(place), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})
    return progress
