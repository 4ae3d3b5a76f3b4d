"""Weights as colours: two scales of one direction each, told apart by lightness alone.

Lightness falls (or rises) all the way, so the scales read with any colour vision and in grey print. More of it is
spent on small weights, since the mean over many views is made of these; 0 to 1 is always the whole scale, so that
two figures can be compared. What can be below zero goes from -1 to 1, blue above and orange below.
"""

from __future__ import annotations

import math
from itertools import pairwise

Colour = tuple[int, int, int]

# (weight, colour): straight lines between these.
PAPER: tuple[tuple[float, Colour], ...] = (
    (0.0, (244, 247, 251)),
    (0.1, (211, 226, 241)),
    (0.3, (142, 184, 221)),
    (0.6, (58, 122, 184)),
    (1.0, (12, 44, 96)),
)
NIGHT: tuple[tuple[float, Colour], ...] = (
    (0.0, (27, 34, 48)),
    (0.1, (35, 59, 97)),
    (0.3, (49, 104, 152)),
    (0.6, (92, 172, 196)),
    (1.0, (236, 246, 206)),
)

# What is below zero, on the other side of the same ground: blue and orange are told apart by nearly every eye.
PAPER_BELOW: tuple[tuple[float, Colour], ...] = (
    (0.0, (244, 247, 251)),
    (0.1, (246, 224, 198)),
    (0.3, (235, 174, 112)),
    (0.6, (196, 104, 22)),
    (1.0, (96, 42, 0)),
)
NIGHT_BELOW: tuple[tuple[float, Colour], ...] = (
    (0.0, (27, 34, 48)),
    (0.1, (70, 50, 36)),
    (0.3, (134, 82, 36)),
    (0.6, (210, 128, 56)),
    (1.0, (255, 192, 116)),
)
_BELOW = {PAPER: PAPER_BELOW, NIGHT: NIGHT_BELOW}


def colour(weight: float, scale: tuple[tuple[float, Colour], ...] = PAPER) -> Colour:
    """The colour of a weight; one beyond 1 or -1 takes the colour of the end."""
    scale = _BELOW.get(scale, scale) if weight < 0 else scale
    weight = min(1.0, abs(weight))
    for (low, first), (high, second) in pairwise(scale):
        if weight <= high:
            share = (weight - low) / (high - low)
            red, green, blue = (round(a + (b - a) * share) for a, b in zip(first, second, strict=True))
            return red, green, blue
    return scale[-1][1]


def web(weight: float) -> str:
    """The colour of a weight on paper, as `#rrggbb`."""
    return "#{:02x}{:02x}{:02x}".format(*colour(weight))


def is_dark(weight: float) -> bool:
    """Whether white letters read better than dark ones on the colour of a weight on paper."""
    return _lightness(colour(weight)) < 0.22


# The colours of a 256-colour terminal that come near NIGHT, in order of lightness.
_RAMP: tuple[tuple[int, Colour], ...] = (
    (234, (28, 28, 28)),
    (236, (48, 48, 48)),
    (238, (68, 68, 68)),
    (24, (0, 95, 135)),
    (31, (0, 135, 175)),
    (38, (0, 175, 215)),
    (74, (95, 175, 215)),
    (80, (95, 215, 215)),
    (152, (175, 215, 215)),
    (194, (215, 255, 215)),
    (230, (255, 255, 215)),
)


def _lightness(rgb: Colour) -> float:
    """The relative luminance, roughly as the eye weighs it: 0 for black, 1 for white."""
    red, green, blue = (math.pow(part / 255, 2.2) for part in rgb)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


_LIGHT = sorted((_lightness(rgb), index) for index, rgb in _RAMP)


def nearest_256(weight: float) -> int:
    """The colour of a weight on a terminal of 256 colours.

    Nearest in lightness and not in hue: so it grows lighter with the weight as the true scale does.
    """
    wanted = math.sqrt(_lightness(colour(weight, NIGHT)))
    return min(_LIGHT, key=lambda entry: abs(math.sqrt(entry[0]) - wanted))[1]
