"""Weights as colours: two scales of one direction each, told apart by lightness alone.

Lightness falls (or rises) all the way, so the scales read with any colour vision and in grey print. More of it is
spent on small weights, since the mean over many views is made of these; 0 to 1 is always the whole scale, so that
two figures can be compared.
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


def colour(weight: float, scale: tuple[tuple[float, Colour], ...] = PAPER) -> Colour:
    """The colour of a weight; weights outside 0 to 1 take the colour of the nearer end."""
    weight = min(1.0, max(0.0, weight))
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
    red, green, blue = (math.pow(part / 255, 2.2) for part in colour(weight))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue < 0.22


def nearest_256(rgb: Colour) -> int:
    """The nearest of the 6×6×6 colours and 24 greys that terminals of 256 colours have."""
    steps = (0, 95, 135, 175, 215, 255)
    cube = [min(range(6), key=lambda i: abs(steps[i] - part)) for part in rgb]
    grey = min(23, max(0, round((sum(rgb) / 3 - 8) / 10)))

    def distance(other: tuple[int, ...]) -> int:
        return sum((a - b) ** 2 for a, b in zip(rgb, other, strict=True))

    if distance((8 + 10 * grey,) * 3) < distance(tuple(steps[i] for i in cube)):
        return 232 + grey
    return 16 + 36 * cube[0] + 6 * cube[1] + cube[2]
