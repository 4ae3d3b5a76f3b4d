"""What reading has to tell beside the pairs: faults, all of a file at once, and notes."""

from __future__ import annotations

from dataclasses import dataclass, field

from ojak.errors import DataError

SHOWN = 5  # faults of a file that a message names


@dataclass(slots=True)
class Notes:
    """What was seen in reading that is no fault."""

    empty: int = 0
    """rows without any text, which are skipped"""
    messages: list[str] = field(default_factory=list)
    """warnings for the user, such as an encoding that was guessed"""


@dataclass(slots=True)
class Faults:
    """The faults of one file, counted all, kept as far as a message shows them."""

    name: str
    unit: str = "line"
    must: str = "give a source and a target, both with text,"
    remedy: str = "Mend them, or leave such pairs out: `ojak corpus clean`."
    count: int = 0
    first: list[str] = field(default_factory=list)

    def add(self, number: int, found: str, remedy: str = "") -> None:
        """A fault of a line or row; the remedy of the first one counts."""
        if not self.count and remedy:
            self.remedy = remedy
        self.count += 1
        if len(self.first) < SHOWN:
            self.first.append(f"  {self.unit} {number}: {found}")

    def report(self) -> None:
        """Raises DataError if there were any."""
        if not self.count:
            return
        more = [f"  and {self.count - SHOWN} more"] if self.count > SHOWN else []
        count = f"1 {self.unit} does not" if self.count == 1 else f"{self.count} {self.unit}s do not"
        head = f"{self.name} must {self.must} on every {self.unit}, but {count}:"
        raise DataError("\n".join([head, *self.first, *more, self.remedy]))
