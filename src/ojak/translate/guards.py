"""What is doubtful about a translation, in words for its reader."""

from __future__ import annotations

from collections.abc import Sequence

from ojak.result import Translation
from ojak.search import Hypothesis

TIMES_LONGER = 3
COPIED = 0.8
"""from this share on, and from four words on, a translation counts as copied"""


def warnings(translation: Translation, found: Hypothesis) -> tuple[str, ...]:
    """What to tell of a translation and the hypothesis it was made of."""
    told = []
    if found.ending == "loop":
        told.append("It went round in circles and was cut.")
    if found.ending == "limit":
        told.append("It reached its longest length and was cut off.")
    if (times := longer(translation)) > TIMES_LONGER:
        told.append(f"It is {times:.1f} times as long as the source.")
    if translation.copy_ratio >= COPIED and len(translation.text.split()) >= 4:
        told.append(f"It repeats the source: {translation.copy_ratio:.0%} of its words stand there.")
    if translation.missed:
        told.append(f"It lacks terms that must appear: {', '.join(translation.missed)}.")
    return tuple(told)


def longer(translation: Translation) -> float:
    """How many times as long as its source a translation is, in tokens or in characters, whichever is more."""
    pairs = (
        (len(translation.tokens) - 1, len(translation.source_tokens) - 1),
        (len(translation.text), len(translation.source.strip())),
    )
    return max((made / max(1, given) if made > 0 else 0.0) for made, given in pairs)


def missed(text: str, terms: Sequence[str]) -> tuple[str, ...]:
    """The terms that a text does not hold."""
    return tuple(term for term in terms if term not in text)
