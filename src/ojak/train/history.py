"""The history of a run: one event a line in `history.jsonl`, the same as TensorBoard files, and a display."""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack, closing, suppress
from pathlib import Path
from typing import Any, Protocol

from ojak import files


class Display(Protocol):
    """Shows a run while it goes on."""

    def event(self, event: dict[str, Any]) -> None:
        """Something happened."""

    def close(self) -> None:
        """The run is over."""


class History:
    """Writes events. Those after `update` in an older history are dropped: the run goes on from that checkpoint, or
    begins anew where it is −1. So is the validation of that update where it is `unjudged`, and comes again. A process
    that was killed between a checkpoint and its event has that written for it."""

    def __init__(self, run: Path, update: int, display: Display, unjudged: bool = False) -> None:
        self._path = run / "history.jsonl"
        if anew := self._path.exists():
            text = self._path.read_text(encoding="utf-8", errors="replace")
            kept = [line for line in text.split("\n") if _before(line, update, unjudged)]
            event = {"event": "checkpoint", "update": update, "message": f"{update:08d}"}
            if update >= 0 and not any(event.items() <= json.loads(line).items() for line in kept):
                kept.append(json.dumps(event))
            files.write(self._path, "".join(line + "\n" for line in kept))
        with files.explained(self._path), ExitStack() as opened:
            self._file = opened.enter_context(self._path.open("a", encoding="utf-8"))
            self._board = opened.enter_context(closing(_Board(run / "events")))
            self._board.begin(update, anew)
            opened.pop_all()  # all went well: they stay open
        self._display = display

    def write(self, event: str, update: int, values: Mapping[str, float | str]) -> None:
        """Adds an event; its numbers become TensorBoard scalars `event/name`."""
        entry = {"event": event, "update": update, **values}
        with files.explained(self._path):
            self._file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            self._file.flush()
            self._board.write(event, update, {k: v for k, v in values.items() if isinstance(v, int | float)})
        self._display.event(entry)

    def show(self, event: str, update: int, values: Mapping[str, float | str]) -> None:
        """Shows an event between those that are written, where someone looks on."""
        self._display.event({"event": event, "update": update, "live": True, **values})

    def settle(self) -> None:
        """Makes what was written last through a power cut, before a checkpoint counts on it."""
        with files.explained(self._path):
            os.fsync(self._file.fileno())

    def close(self) -> None:
        """Finishes the files."""
        for file in (self._file, self._board):
            with suppress(OSError):  # every event was flushed; what a full disk did not take was told then
                file.close()


class Unwritten(History):
    """The history of a process that is not the first, which writes down what all have seen."""

    def __init__(self) -> None:
        pass

    def write(self, event: str, update: int, values: Mapping[str, float | str]) -> None:
        pass

    def show(self, event: str, update: int, values: Mapping[str, float | str]) -> None:
        pass

    def settle(self) -> None:
        pass

    def close(self) -> None:
        pass


class _Board:
    """TensorBoard's file, written in place.

    The writer that tensorboardX offers hands events to a thread; when a full disk has ended the thread, its queue
    fills and holds the training up for ever.
    """

    def __init__(self, folder: Path) -> None:
        from tensorboardX.record_writer import RecordWriter  # half a second to import

        folder.mkdir(exist_ok=True)
        self._records = RecordWriter(str(folder / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"))

    def begin(self, update: int, anew: bool) -> None:
        """Says what the file is; `anew` that it takes the place of what came after the update in files before it."""
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        self._add(Event(wall_time=time.time(), file_version="brain.Event:2"))
        if anew:
            start = SessionLog(status=SessionLog.START)
            self._add(Event(wall_time=time.time(), step=update + 1, session_log=start))

    def write(self, event: str, update: int, values: dict[str, float | int]) -> None:
        """Adds the numbers of an event as scalars `event/name`."""
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.proto.summary_pb2 import Summary

        scalars = [Summary.Value(tag=f"{event}/{name}", simple_value=value) for name, value in values.items()]
        self._add(Event(wall_time=time.time(), step=update, summary=Summary(value=scalars)))

    def close(self) -> None:
        self._records.close()

    def _add(self, event: Any) -> None:
        self._records.write(event.SerializeToString())
        self._records.flush()


def _before(line: str, update: int, unjudged: bool) -> bool:
    try:
        event = json.loads(line)
        again = unjudged and event["update"] == update and event["event"] in ("validation", "collapse")
        return int(event["update"]) <= update and not again
    except (ValueError, KeyError, TypeError):  # the last line of a killed run may be half written
        return False


def read_history(run: Path) -> list[dict[str, Any]]:
    """The events of a run, oldest first; half a line at the end, left by a full disk or a power cut, is none."""
    lines = (run / "history.jsonl").read_bytes().split(b"\n")
    return [json.loads(line) for line in lines[:-1]]


class Nothing:
    """A display that shows nothing."""

    def event(self, event: dict[str, Any]) -> None:
        pass

    def close(self) -> None:
        pass


class Lines:
    """A display of plain lines on standard error, one update line every few seconds at most, after a `name`."""

    def __init__(self, every: float = 5.0, name: str = "") -> None:
        self._every, self._last, self._name = every, -every, name

    def event(self, event: dict[str, Any]) -> None:
        now = time.monotonic()
        if event["event"] == "update":
            if event.get("live") or now - self._last < self._every:
                return
            self._last = now
        print(f"{self._name}{describe(event)}", file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class Bar:
    """A display with a progress bar, for a terminal."""

    def __init__(self) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn
        from rich.table import Column

        self._console = Console(stderr=True, highlight=False)
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=1)),  # on as many lines as it takes
            BarColumn(bar_width=16),
            TextColumn("{task.percentage:>3.0f}%"),
            console=self._console,
            expand=True,
        )
        self._task = self._progress.add_task("starting", total=1.0)
        self._progress.start()

    def event(self, event: dict[str, Any]) -> None:
        if event["event"] == "update":
            self._progress.update(self._task, description=describe(event), completed=event["done"])
        else:
            self._console.print(describe(event), markup=False)

    def close(self) -> None:
        self._progress.stop()


def display() -> Display:
    """A bar on a terminal, lines elsewhere; of several processes the first alone shows anything."""
    if os.environ.get("RANK", "0") != "0":
        return Nothing()
    return Bar() if sys.stderr.isatty() else Lines()


def describe(event: dict[str, Any]) -> str:
    """An event as a line for a reader."""
    kind, update = event["event"], event["update"]
    if kind == "update":
        held = size(event.get("gpu_memory") or event["memory"])
        return (
            f"update {update}, pass {event['epoch'] + 1}: loss {event['loss']:.3f}, "
            f"{event['tokens_per_second']:,.0f} tokens/s, {held}, validation in {clock(event['validation_in'])}, "
            f"{clock(event['remaining'])} left at most"
        )
    if kind == "validation":
        best = " (best so far)" if event["best"] else ""
        return f"update {update}: dev perplexity {event['perplexity']:.2f}, {_metrics(event)}{best}"
    if kind in ("start", "resume", "note"):
        return str(event["message"])
    if kind == "end":
        return f"update {update}: done after {clock(event['seconds'])}: {event['reason']}; {_metrics(event)}"
    return f"update {update}: {kind}: {event.get('message', '')}"


def _metrics(event: dict[str, Any]) -> str:
    return ", ".join(f"{name} {event[key]:.1f}" for key, name in (("bleu", "BLEU"), ("chrf", "chrF")) if key in event)


def size(count: float) -> str:
    """1234567890 → 1.2 GB; 45678901 → 46 MB"""
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.0f} MB"


def clock(seconds: float) -> str:
    """75 → 1:15; 3700 → 1:01:40"""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"
