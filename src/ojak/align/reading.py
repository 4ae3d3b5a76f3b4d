"""Which of the many things that attention says is taken for the alignment."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal, get_args

from ojak.errors import UseError
from ojak.result import layers, view_indices

Step = Literal["output", "input"]
Measure = Literal["weights", "norms"]
STEPS: tuple[Step, ...] = get_args(Step)
MEASURES: tuple[Measure, ...] = get_args(Measure)


@dataclass(frozen=True)
class Reading:
    """A view, a step and a measure.

    `view` is an attention view (`layer1.head0`), a layer (`layer1`: all its heads) or `mean` (all layers). The `step`
    of a target word is the one that writes it (`output`) or the next, which reads it (`input`: the shift of Chen 2020,
    "Accurate word alignment induction from neural machine translation"). `measure` is the weights α, or the norms
    ‖α f(x)‖ of what they let through (Kobayashi 2020, equation 4).
    """

    view: str
    step: Step
    measure: Measure

    def as_dict(self) -> dict[str, str]:
        """The three by name."""
        return asdict(self)

    def __str__(self) -> str:
        return f"{self.measure} of {self.view} at the {self.step} step"


def names(views: Sequence[str]) -> list[str]:
    """All that `Reading.view` may be for a model of these views."""
    there = layers(views)
    several = [layer for layer in there if layer not in views]
    return [*views, *several, *(["mean"] if len(there) > 1 else [])]


def every(views: Sequence[str]) -> list[Reading]:
    """All readings of a model of these views."""
    return [Reading(view, step, measure) for view in names(views) for step in STEPS for measure in MEASURES]


def default(views: Sequence[str]) -> Reading:
    """What is read where nothing was chosen: norms of all layers, the step that writes the word.

    With little training that is nearer to gold than any layer alone (benchmarks/alignment.py); in deep models that
    were trained for long one layer is far better, but which one is for `ojak align --choose` to find. Raises UseError
    for a model without attention.
    """
    if not views:
        raise UseError(
            "An alignment is read off attention, but this model has none: it squeezes the source into one vector. "
            "Train with model.attention=additive (or dot, general, scaled_dot), or model.architecture=transformer."
        )
    return Reading("mean", "output", "norms")


def checked(reading: Reading, views: Sequence[str]) -> Reading:
    """The reading, or a UseError where a model of these views has no such view."""
    view_indices(views, reading.view)
    return reading
