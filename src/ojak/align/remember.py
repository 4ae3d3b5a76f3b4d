"""The reading that was chosen for a model, kept in its directory: for `ojak align` in config.json, where guided
training names the view that it taught too, and for people in the model card."""

from __future__ import annotations

import json
from pathlib import Path

from ojak import files
from ojak.align.reading import MEASURES, STEPS, Reading
from ojak.errors import ModelError
from ojak.model.folder import model_folder, read_config

_HEAD = "## Alignment"


def recall(path: Path) -> Reading | None:
    """The reading chosen for the model of a run or model directory, or taught to it; None where there is none. Raises
    ModelError."""
    folder = model_folder(path)
    kept = read_config(folder).get("alignment")
    if kept is None:
        return None
    if (
        not isinstance(kept, dict)
        or kept.get("step") not in STEPS
        or kept.get("measure", "weights") not in MEASURES
        or not isinstance(kept.get("view"), str)
    ):
        raise ModelError(
            f"{folder / 'config.json'} must tell of the alignment by view, step and measure, but has {kept!r}; choose "
            "again with `ojak align --choose`."
        )
    return Reading(kept["view"], kept["step"], kept.get("measure", "weights"))


def remember(path: Path, reading: Reading, why: str) -> None:
    """Keeps a reading, and in a sentence why it was chosen, in place of what was kept before. Raises StorageError."""
    folder = model_folder(path)
    config = {**read_config(folder), "alignment": reading.as_dict()}
    files.write(folder / "config.json", json.dumps(config, indent=2, ensure_ascii=False) + "\n")
    card = folder / "README.md"
    before, _, after = (card.read_text(encoding="utf-8") if card.is_file() else "").partition(_HEAD)
    rest = after.partition("\n## ")[1:]
    text = f"{_HEAD}\n\n`ojak align` reads {reading}. {why}\n"
    files.write(card, f"{before.rstrip()}\n\n{text}{''.join(rest)}".lstrip())
