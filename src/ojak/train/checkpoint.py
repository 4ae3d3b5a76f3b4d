"""What a run resumes from: `state/NNNNNNNN/`, the two newest, each written whole or not at all."""

from __future__ import annotations

import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors.torch import save as to_bytes

from ojak import files
from ojak.errors import ModelError, UseError
from ojak.model.folder import put_weights, read_weights, weights_of, write_weights
from ojak.model.seam import Seq2Seq
from ojak.train.parallel import Processes
from ojak.train.sharding import piece, whole

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
    group: int = 1
    """batches in an update, of all processes together"""
    ended: str = ""
    """why the run is at its end; empty while it is not"""

    def learnt(self, tokens: int, count: int, batches: int) -> None:
        """Counts so many real target tokens in `count` batches, of a pass of so many batches."""
        self.tokens += tokens
        self.batch += count
        if self.batch == batches:
            self.epoch, self.batch = self.epoch + 1, 0


def save(run: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, progress: Progress, processes: Processes) -> Path:
    """Writes a checkpoint, then removes all but the newest two. Process 0 does so, while the others wait."""
    folder = run / "state" / f"{progress.update:08d}"
    tensors = {
        f"{place}.{key}": whole(value).cpu()
        for place, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }
    processes.first(lambda: _write(folder, model, tensors, progress))
    return folder


def _write(folder: Path, model: Seq2Seq, tensors: dict[str, torch.Tensor], progress: Progress) -> None:
    with files.whole_folder(folder) as beside:
        write_weights(beside / "weights.safetensors", weights_of(model))
        tensors["random.cpu"] = torch.get_rng_state()
        if model.device.type == "cuda":
            tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
        files.write(beside / "optimizer.safetensors", to_bytes(tensors))
        files.write(beside / "progress.json", json.dumps(asdict(progress), indent=2))
    halves = folder.parent.glob(".*")  # of a process that was killed while it saved
    for old in [*checkpoints(folder.parent.parent)[:-KEPT], *halves]:
        shutil.rmtree(old, ignore_errors=True)


def save_progress(run: Path, progress: Progress) -> None:
    """Writes where a run stands into its newest checkpoint, which must be of the same update."""
    files.write(checkpoints(run)[-1] / "progress.json", json.dumps(asdict(progress), indent=2))


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    state = run / "state"
    return sorted(path for path in state.iterdir() if re.fullmatch(r"\d{8,}", path.name)) if state.is_dir() else []


def load(folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, data: str) -> Progress:
    """Puts a checkpoint back and tells where it stood.

    Raises UseError when it was made on other pairs than those of the fingerprint `data`, ModelError when it is broken.
    """
    try:
        progress = _progress(folder)
        if progress.data != data:  # before the weights: other pairs have another vocabulary, which they would not fit
            raise UseError(
                "A run must be resumed on the pairs it began with, but the files hold others now; restore them."
            )
        weights = folder / "weights.safetensors"
        put_weights(model, read_weights(weights), weights)
        _put_state(folder / "optimizer.safetensors", model, optimizer)
    except ModelError as error:
        raise ModelError(f"{error} Remove {folder} to go on from the checkpoint before it.") from None
    return progress


def _progress(folder: Path) -> Progress:
    try:
        return Progress(**json.loads((folder / "progress.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError) as error:
        raise ModelError(f"{folder} must be a whole checkpoint, but its progress.json is not: {error}.") from None


def _put_state(path: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> None:
    """Puts back what the optimizer has gathered, and the random state."""
    tensors = read_weights(path)
    random, cuda = tensors.pop("random.cpu", None), tensors.pop("random.cuda", None)
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place) if place.isdecimal() else -1, {})[key] = value
    own = dict(enumerate(weight for group in optimizer.param_groups for weight in group["params"]))
    shapes = [(value.shape, own[place].shape) for place in own for value in state.get(place, {}).values() if value.ndim]
    if random is None or state.keys() != own.keys() or any(there != here for there, here in shapes):
        raise ModelError(f"{path} must hold the state of every weight and of the random numbers, but does not.")
    torch.set_rng_state(random)
    if cuda is not None and model.device.type == "cuda":
        torch.cuda.set_rng_state(cuda, model.device)
    pieces = {
        place: {key: piece(value, own[place]) for key, value in values.items()} for place, values in state.items()
    }
    optimizer.load_state_dict({"state": pieces, "param_groups": optimizer.state_dict()["param_groups"]})
