"""From a directory to the maker of Translations that it holds."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from ojak.compiled import Precision
from ojak.errors import UseError
from ojak.model import folder
from ojak.translate.maker import Maker
from ojak.translate.translator import Translator


def load(
    path: str | Path,
    device: str = "auto",
    ensemble: Sequence[str | Path] = (),
    precision: Precision = "auto",
    workers: int = 0,
) -> Maker:
    """The translator of a run, a model directory or an exported one, whichever engine it is for.

    `ensemble` names more runs, with the same vocabulary, whose probabilities are averaged with those of the first.
    `precision` is what a CPU multiplies (see `ojak.compiled`), and `workers` how many threads it translates with, 0 for
    one a core. Raises ModelError when something cannot be read, UseError when the runs do not go together or the
    precision cannot be had.
    """
    place = folder.model_folder(Path(path))
    if folder.read_config(place).get("engine") != "ctranslate2":
        return Translator.load(place, device, ensemble, precision, workers)
    if precision != "auto" or workers:
        raise UseError(
            "An exported model has the precision that it was exported in, and threads of its engine's own; leave "
            "precision and workers out."
        )
    if ensemble:
        raise UseError("An ensemble is of runs or model directories, but the first is exported; name what it is from.")
    from ojak.translate.engine import CTranslate2Translator  # an extra, imported when it is used

    return CTranslate2Translator.load(place, device)
