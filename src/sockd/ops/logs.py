"""Log lines: text for people, flat JSON for programs, and nothing of the network's unescaped."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, TextIO

from attrs import define
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from sockd.pure.text import escape

MAX_LINE = 4000
"""Characters of the longest message: a peer's text is not a way to fill the disk."""
DESCRIPTORS_SECONDS = 1.0
"""Least time between two lines that say that descriptors have run out: each refused connection
would be one otherwise."""

_NOISE = re.compile(
    # what our own events say better: Twisted's ports, beginning and ending
    r"Door starting on |\((TCP|UNIX) Port .* Closed\)$|\(Port .* Closed\)$"
    # a cache of plugins beside the plugins is not missed where it may not be written
    r"|Unable to write to plugin cache "
)
_DESCRIPTORS = re.compile(r"EMFILE |Re-reserving EMFILE |Could not accept new connection ")


def sentence(event: LogEvent) -> str:
    """What an event says, as one line that is fit for a terminal."""
    return escape(formatEvent(event), MAX_LINE)


def as_text(event: LogEvent) -> str:
    """Time, level where it is not `info`, message; a traceback indented below it."""
    level: LogLevel = event.get("log_level", LogLevel.info)
    mark = "" if level is LogLevel.info else f"{level.name}: "
    below = []
    if (failure := event.get("log_failure")) is not None:
        below = failure.getTraceback().rstrip().splitlines()
    # Twisted's own reports of errors have the traceback in their text
    said = sentence(event) if "event" in event else escape(_first_line(event), MAX_LINE)
    lines = [f"{_time(event)} {mark}{said}", *("    " + escape(line, MAX_LINE) for line in below)]
    return "\n".join(lines) + "\n"


def _first_line(event: LogEvent) -> str:
    text = formatEvent(event)
    return text.partition("\n")[0] if "log_failure" in event else text


def as_json(event: LogEvent) -> str:
    """One flat object: `time`, `level`, `event`, `message` and the event's own fields."""
    level: LogLevel = event.get("log_level", LogLevel.info)
    row: dict[str, Any] = {
        "time": _time(event),
        "level": level.name,
        "event": event.get("event", "log"),
        "message": sentence(event),
    }
    if "event" in event:
        for name, value in event.items():
            if not name.startswith("log_") and name not in ("event", "time", "system", "format"):
                row[name] = (
                    value if isinstance(value, (int, float)) else escape(str(value), MAX_LINE)
                )
    if (failure := event.get("log_failure")) is not None:
        row["traceback"] = escape(failure.getTraceback(), 4 * MAX_LINE)
    return json.dumps(row) + "\n"


def _time(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(event.get("log_time", 0.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


FORMATS: dict[str, Callable[[LogEvent], str]] = {"text": as_text, "json": as_json}
"""The log formats, by name."""


@implementer(ILogObserver)
@define(eq=False)
class LogWriter:
    """Writes events to a file; a file that cannot be written does not stop the daemon."""

    file: TextIO
    format: Callable[[LogEvent], str]
    is_below_a_table: bool = False
    """True where a table has told what runs and where it listens."""
    _descriptors_at: float = 0.0
    _is_failing: bool = False

    def __call__(self, event: LogEvent) -> None:
        if self.is_below_a_table and event.get("event") in ("listening", "started"):
            return
        if "event" not in event:
            text = formatEvent(event)
            if _NOISE.match(text):
                return
            if _DESCRIPTORS.match(text):
                event = self._descriptors(event)
                if not event:
                    return
        try:
            self.file.write(self.format(event))
            self.file.flush()
            self._is_failing = False
        except (OSError, ValueError) as error:
            self._complain(error)

    def _descriptors(self, event: LogEvent) -> LogEvent:
        now: float = event["log_time"]
        if 0 <= now - self._descriptors_at < DESCRIPTORS_SECONDS:
            return {}
        self._descriptors_at = now
        why = "no descriptors are left (ulimit -n): new connections are closed"
        return {
            "log_time": now,
            "log_level": LogLevel.warn,
            "log_format": "{why}",
            "event": "descriptors",
            "why": why,
        }

    def _complain(self, error: Exception) -> None:
        if not self._is_failing:
            self._is_failing = True
            try:
                sys.__stderr__.write(f"sockd: the log cannot be written: {error}\n")  # type: ignore[union-attr]
            except (OSError, ValueError, AttributeError):
                return  # there is nobody left to tell
