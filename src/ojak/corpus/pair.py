"""One sentence pair, the unit that every reader gives and every trainer takes."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Pair:
    """A source sentence and its translation.

    `label` is the domain (`business`, `medicine`, ...) and `group` the conversation that the pair belongs to;
    both are empty where a file does not tell.
    """

    source: str
    target: str
    label: str = ""
    group: str = ""
    place: str = field(default="", compare=False)
    """where it was read, for messages"""

    def turned(self) -> Pair:
        """The same pair in the other direction."""
        return Pair(self.target, self.source, self.label, self.group, self.place)
