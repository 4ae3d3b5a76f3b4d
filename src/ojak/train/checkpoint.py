"""What a run resumes from: `state/NNNNNNNN/`, the newest ones, each written whole or not at all.

weights.safetensors     the weights that learn
optimizer.safetensors   what the optimizer has gathered, and the random state
progress.json           where the run stands, with SHA-256 sums of the two and of itself
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch

from ojak import files
from ojak.errors import ModelError, UseError
from ojak.model.folder import put_weights, read_weights, weights_of, write_weights
from ojak.model.seam import Seq2Seq
from ojak.train.parallel import Processes
from ojak.train.sharding import piece, whole

KEPT = 2
"""checkpoints, the newest, and as many that followed a finite step, to go back to; mostly these are the same"""


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
    unjudged: bool = False
    """the validation that is due at this update has not been finished"""
    judged: int = 0
    """the update of the last one that has been"""
    alike: int = 0
    """the last so many validations had one output for all sentences"""
    differed: bool = False
    """outputs have been different before"""
    skipped: int = 0
    """steps whose loss or gradient was not finite"""
    in_a_row: int = 0
    """of these, those just before the next step"""
    setbacks: int = 0
    """times that the run went back to earlier weights, each time with a lower rate"""
    steady: int = 0
    """finite steps since the last of them"""
    stuck: int = 0
    """of them, those that followed each other too soon"""
    slower: float = 1.0
    """what the rate of the schedule is multiplied with"""
    tokens: int = 0
    """real target tokens learnt from"""
    seconds: float = 0.0
    """time spent, over all resumptions"""
    group: int = 1
    """batches in an update, of all processes together"""
    asked: int = 0
    """the budget of tokens that was asked for"""
    budget: int = 0
    """the one that batches have, which fits into memory"""
    ended: str = ""
    """why the run is at its end; empty while it is not"""

    def count(self, tokens: int, count: int, batches: int) -> None:
        """Counts so many real target tokens learnt from in `count` batches, of a pass of so many batches."""
        self.tokens += tokens
        self.batch += count
        if self.batch == batches:
            self.epoch, self.batch = self.epoch + 1, 0


def save(
    run: Path,
    model: Seq2Seq,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    processes: Processes,
) -> Path:
    """Writes a checkpoint, then removes old ones. Process 0 does so, while the others wait."""
    folder = run / "state" / f"{progress.update:08d}"
    if processes.told(folder.exists()):  # only a validation came in between: nothing whole is removed for it
        processes.first(lambda: save_progress(run, progress))
        return folder
    gathered = _gathered(model, optimizer, processes)  # by all, where the weights are in pieces
    processes.first(lambda: _write(run, folder, weights_of(model), gathered, progress))
    return folder


def _write(
    run: Path, folder: Path, weights: dict[str, torch.Tensor], gathered: dict[str, torch.Tensor], progress: Progress
) -> None:
    with files.whole_folder(folder) as beside:
        write_weights(beside / "weights.safetensors", weights)
        write_weights(beside / "optimizer.safetensors", gathered)
        sums = {path.name: _sum_of(path) for path in sorted(beside.glob("*.safetensors"))}
        _write_progress(beside, progress, sums)
    for damaged in folder.parent.glob(".*.damaged"):
        shutil.rmtree(damaged, ignore_errors=True)
    tidy(run)


def save_progress(run: Path, progress: Progress) -> None:
    """Writes where a run stands into its newest checkpoint, which must be of the same update."""
    newest = checkpoints(run)[-1]
    _write_progress(newest, progress, _read_progress(newest)[1])


def checkpoints(run: Path) -> list[Path]:
    """The checkpoints of a run, oldest first."""
    state = run / "state"
    return sorted(path for path in state.iterdir() if re.fullmatch(r"\d{8,}", path.name)) if state.is_dir() else []


def tidy(run: Path) -> None:
    """Removes old checkpoints, and what killed processes left half written in the run."""
    found = checkpoints(run)
    kept = {*found[-KEPT:], *[folder for folder in found if _is_good(folder)][-KEPT:]}
    for old in found:
        if old not in kept:
            shutil.rmtree(old, ignore_errors=True)
    state = run / "state"
    for folder in (run, run / "model", state, state / "average", state / "left", *kept):
        files.tidy(folder)


def load(folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, data: str) -> Progress:
    """Puts a checkpoint back and tells where it stood.

    Raises UseError when it was made on other pairs than those of the fingerprint `data`, ModelError when it is broken.
    """
    progress, sums = _read_progress(folder)
    if progress.data != data:  # before the weights: other pairs have another vocabulary, which they would not fit
        raise UseError("A run must be resumed on the pairs it began with, but the files hold others now; restore them.")
    _check(folder, sums)
    random = put_back(folder, model, optimizer)
    torch.set_rng_state(random["random.cpu"])
    if "random.cuda" in random and model.device.type == "cuda":
        torch.cuda.set_rng_state(random["random.cuda"], model.device)
    return progress


def load_newest(run: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer, data: str) -> tuple[Progress, list[str]]:
    """Puts the newest checkpoint that is whole back; tells where it stood, and of newer ones, which are set aside.

    Raises ModelError when none is whole.
    """
    damaged: list[tuple[Path, ModelError]] = []
    for folder in reversed(checkpoints(run)):
        try:
            progress = load(folder, model, optimizer, data)
        except ModelError as error:
            damaged.append((folder, error))
            continue
        for newer, _ in damaged:  # until the next one is written: its number will come again
            newer.replace(newer.with_name(f".{newer.name}.damaged"))
        return progress, [f"{error} Going on from {folder.name}, the checkpoint before it." for _, error in damaged]
    raise ModelError(
        f"A run must have a whole checkpoint to go on from, but all of {run} are damaged: "
        f"{' '.join(str(error) for _, error in damaged)} Train anew; --from {run} begins with its best weights, if "
        "there are any."
    )


def put_back(folder: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Puts back the weights and the optimizer of a checkpoint; gives its random state."""
    weights = folder / "weights.safetensors"
    put_weights(model, read_weights(weights), weights)
    return _put_gathered(folder / "optimizer.safetensors", model, optimizer)


def last_good(run: Path, before: int) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that is whole and followed a finite step; where `before` is 1 the one before that, and so
    on, or the oldest; None where there is none. Tells of those that are damaged."""
    good, damaged = [], []
    for folder in reversed(checkpoints(run)):
        try:
            progress, sums = _read_progress(folder)
            if not progress.in_a_row:
                _check(folder, sums)
                good.append(folder)
        except ModelError as error:
            damaged.append(str(error))
    return next(iter(good[before:] or good[-1:]), None), damaged


def _is_good(folder: Path) -> bool:
    try:
        return not _read_progress(folder)[0].in_a_row
    except ModelError:
        return False


def _check(folder: Path, sums: dict[str, str]) -> None:
    for name, found in sums.items():
        if _sum_of(folder / name) != found:
            raise ModelError(f"{folder / name} is damaged: it is not as it was written (SHA-256).")


def _write_progress(folder: Path, progress: Progress, sums: dict[str, str]) -> None:
    content: dict[str, Any] = {**asdict(progress), "files": sums}
    files.write(folder / "progress.json", json.dumps({**content, "sha256": _sum_of_content(content)}, indent=2))


def _read_progress(folder: Path) -> tuple[Progress, dict[str, str]]:
    """Where the run stood, and the sums of the files."""
    path = folder / "progress.json"
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        # Earlier versions wrote no sums. A name that has been damaged is unknown to Progress.
        if "sha256" in content and content.pop("sha256") != _sum_of_content(content):
            raise ModelError(f"{path} is damaged: it is not as it was written (SHA-256).")
        sums: dict[str, str] = content.pop("files", {})
        if content.get("ended") and not content.get("unjudged"):  # nor when the last validation was
            content.setdefault("judged", content["update"])
        return Progress(**content), sums
    except (OSError, ValueError, TypeError, AttributeError) as error:
        raise ModelError(f"{path} must tell where a run stands, but is damaged or missing: {error!r}.") from None


def _sum_of_content(content: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def _sum_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"{path} must be a part of a checkpoint, but cannot be read: {error.strerror}.") from None


def _gathered(model: Seq2Seq, optimizer: torch.optim.Optimizer, processes: Processes) -> dict[str, torch.Tensor]:
    """What the optimizer has gathered, and the random state."""
    tensors = {
        f"{place}.{key}": whole(value, processes).cpu()
        for place, values in optimizer.state_dict()["state"].items()
        for key, value in values.items()
    }
    tensors["random.cpu"] = torch.get_rng_state()
    if model.device.type == "cuda":
        tensors["random.cuda"] = torch.cuda.get_rng_state(model.device)
    return tensors


def _put_gathered(path: Path, model: Seq2Seq, optimizer: torch.optim.Optimizer) -> dict[str, torch.Tensor]:
    """Puts back what the optimizer has gathered; gives the random state."""
    tensors = read_weights(path)
    random = {name: tensors.pop(name) for name in list(tensors) if name.startswith("random.")}
    state: dict[int, dict[str, torch.Tensor]] = {}
    for name, value in tensors.items():
        place, _, key = name.partition(".")
        state.setdefault(int(place) if place.isdecimal() else -1, {})[key] = value
    own = dict(enumerate(weight for group in optimizer.param_groups for weight in group["params"]))
    shapes = [(value.shape, own[place].shape) for place in own for value in state.get(place, {}).values() if value.ndim]
    begun = state.keys() == own.keys() or not state  # before its first step an optimizer has gathered nothing
    if "random.cpu" not in random or not begun or any(there != here for there, here in shapes):
        raise ModelError(f"{path} must hold the state of every weight and of the random numbers, but does not.")
    pieces = {
        place: {key: piece(value, own[place]) for key, value in values.items()} for place, values in state.items()
    }
    optimizer.load_state_dict({"state": pieces, "param_groups": optimizer.state_dict()["param_groups"]})
    return random
