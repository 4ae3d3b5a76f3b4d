"""Scores of sentences that another program made, such as COMET's, read from its files."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ojak.corpus.read import read_lines
from ojak.errors import DataError

_SAID = re.compile(r"(?:(.*)\t)?Segment (\d+)\tscore: (\S+)(?:\t.*)?")
_TOTAL = re.compile(r"(?:.*\t)?score: \S+")


@dataclass(frozen=True)
class Scores:
    """The scores of one system in a file; `texts` are the translations that were scored, where the file has them."""

    values: list[float]
    texts: list[str] | None = None


def read_scores(path: Path, name: str = "") -> list[Scores]:
    """The scores of each system in a file.

    It holds one number a line; or what `comet-score` prints; or what `comet-score --to_json` writes (for each file of
    translations a list of sentences, whose score is under `name` or the only number there); or a JSON list of numbers.
    Raises DataError for anything else, with the line.
    """
    lines = read_lines(path)
    if lines and lines[0].lstrip()[:1] in ("{", "["):
        return _json(path, "\n".join(lines), name)
    while lines and not lines[-1].strip():
        lines.pop()
    if any("Segment " in line for line in lines[:2]):
        return _printed(path, lines)
    found = Scores([_number(path, number, line) for number, line in enumerate(lines, 1)])
    if not found.values:
        raise DataError(f"{path} must hold one score a line, but it is empty. Name another file.")
    return [found]


def matched(path: Path, found: Sequence[Scores], systems: Sequence[Sequence[str]]) -> list[list[float]]:
    """The scores of each system, given the translations of all of them: by the texts that a file has, else in order.

    Raises DataError where the file scores other translations, or others than so many.
    """
    chosen = []
    for place, hypotheses in enumerate(systems):
        told = [one for one in found if one.texts is not None]
        if told:
            mine = next((one for one in told if _same(one.texts or [], hypotheses)), None)
            if mine is None:
                raise DataError(
                    f"{path} must score the translations of system {place + 1}, {_different(told, hypotheses)}"
                )
        elif len(found) != len(systems):
            raise DataError(
                f"{path} must score {len(systems)} systems, but scores {len(found)}. Name a file for each, in order."
            )
        else:
            mine = found[place]
        if len(mine.values) != len(hypotheses):
            raise DataError(
                f"{path} must hold one score for each of the {len(hypotheses)} pairs, but holds {len(mine.values)}. "
                "Score the same test set."
            )
        chosen.append(mine.values)
    return chosen


def _same(texts: Sequence[str], hypotheses: Sequence[str]) -> bool:
    return [text.split() for text in texts] == [text.split() for text in hypotheses]


def _different(told: Sequence[Scores], hypotheses: Sequence[str]) -> str:
    for one in told:
        if one.texts and len(one.texts) == len(hypotheses):
            where = next(
                n for n, (a, b) in enumerate(zip(one.texts, hypotheses, strict=True)) if a.split() != b.split()
            )
            return (
                f"but of sentence {where + 1} it scored {one.texts[where][:60]!r}, and the system says "
                f"{hypotheses[where][:60]!r}. Score what `--output` writes."
            )
    return f"but has no {len(hypotheses)} of them. Score the same test set."


def _printed(path: Path, lines: Sequence[str]) -> list[Scores]:
    found: dict[str, list[float]] = {}
    for number, line in enumerate(lines, 1):
        said = _SAID.fullmatch(line)
        if said is None:
            if _TOTAL.fullmatch(line) or not line.strip():
                continue
            raise DataError(f"{path}, line {number}: it must be as comet-score prints it, but is {line[:60]!r}.")
        values = found.setdefault(said[1] or "", [])
        if int(said[2]) != len(values):
            raise DataError(f"{path}, line {number}: segment {len(values)} must come here, but {said[2]} does.")
        values.append(_number(path, number, said[3]))
    return [Scores(values) for values in found.values()]


def _json(path: Path, text: str, name: str) -> list[Scores]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise DataError(f"{path} begins as JSON, but is none: {error}.") from None
    systems = list(content.values()) if isinstance(content, dict) else [content]
    if not systems or not all(isinstance(system, list) and system for system in systems):
        raise DataError(f"{path} must hold lists of sentences with their scores, as comet-score --to_json writes them.")
    return [_system(path, system, name) for system in systems]


def _system(path: Path, rows: Sequence[Any], name: str) -> Scores:
    if not all(isinstance(row, dict) for row in rows):
        return Scores([_number(path, place, row) for place, row in enumerate(rows, 1)])
    keys = [key for key, value in rows[0].items() if isinstance(value, int | float) and key != "variance"]
    same = [key for key in keys if key.casefold() == name.casefold()]
    key = same[0] if same else keys[0] if len(keys) == 1 else None
    if key is None:
        raise DataError(f"{path} must hold one score a sentence, or one called {name!r}, but holds {keys or 'none'}.")
    values = [_number(path, place, row.get(key)) for place, row in enumerate(rows, 1)]
    texts = [row.get("mt") for row in rows]
    return Scores(values, [str(text) for text in texts] if all(isinstance(text, str) for text in texts) else None)


def _number(path: Path, place: int, value: object) -> float:
    try:
        found = float(value) if isinstance(value, int | float | str) else math.nan
    except ValueError:
        found = math.nan
    if not math.isfinite(found):
        raise DataError(f"{path}, line or entry {place}: a score must be a number, but is {str(value)[:60]!r}.")
    return found
