"""Log lines: text for people, flat JSON for programs, and nothing of the network's unescaped."""

from __future__ import annotations

import json
import re
import sys
import syslog
from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any, TextIO

from attrs import define
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.events import SENTENCES
from sockd.formats.text import escape

MAX_LINE = 4000
"""Characters of the longest message: a peer's text is not a way to fill the disk."""
DESCRIPTORS_SECONDS = 1.0
"""Least time between two lines that say that descriptors have run out: each refused connection
would be one otherwise."""

_NOISE = re.compile(
    # what our own events say better: Twisted's ports, beginning and ending
    r"ConnectionFactory starting on |\((TCP|UNIX) Port .* Closed\)$|\(Port .* Closed\)$"
    # a cache of plugins beside the plugins is not missed where it may not be written
    r"|Unable to write to plugin cache "
)
_DESCRIPTORS = re.compile(
    r"EMFILE |Re-reserving EMFILE |Could not accept new connection \((EMFILE|ENFILE)\)"
)
_LEGACY = {"failure", "format", "isError", "logLevel", "message", "system", "time"}
"""What Twisted's observers of the old kind add to an event that passes them."""


def sentence(event: LogEvent) -> str:
    """What an event says, as one line that is fit for a terminal."""
    form: str = event.get("log_format") or ""
    if form and form is SENTENCES.get(event.get("event", "")):
        text = form.format_map(event)  # what `formatEvent` comes to, in a tenth of its time
    else:
        text = formatEvent(event)
        if _failure(event) is not None and "event" not in event:
            # Twisted's own reports of errors have the traceback in their text
            text = text.partition("\n")[0]
    return escape(text, MAX_LINE)


def as_text(event: LogEvent) -> str:
    """Time, level where it is not `info`, message; a traceback indented below it."""
    level: LogLevel = event.get("log_level", LogLevel.info)
    mark = "" if level is LogLevel.info else f"{level.name}: "
    below = []
    if (failure := _failure(event)) is not None:
        below = failure.getTraceback().rstrip().splitlines()
    lines = [
        f"{_time(event)} {mark}{sentence(event)}",
        *("    " + escape(line, MAX_LINE) for line in below),
    ]
    return "\n".join(lines) + "\n"


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
            if not name.startswith("log_") and name not in row and name not in _LEGACY:
                row[name] = (
                    value if isinstance(value, (int, float)) else escape(str(value), MAX_LINE)
                )
    if (failure := _failure(event)) is not None:
        row["traceback"] = escape(failure.getTraceback(), 4 * MAX_LINE)
    return json.dumps(row) + "\n"


def _failure(event: LogEvent) -> Failure | None:
    """The exception that an event reports; an event of the old kind has it by another name."""
    found = event.get("log_failure", event.get("failure"))
    return found if isinstance(found, Failure) else None


def _time(event: LogEvent) -> str:
    milliseconds = int(event.get("log_time", 0.0) * 1000)
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=2)
def _second(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


FORMATS: dict[str, Callable[[LogEvent], str]] = {"text": as_text, "json": as_json}
"""The log formats, by name."""


class SyslogFile:
    """The system's log as a file to write lines to."""

    def __init__(self, prefix: str) -> None:
        syslog.openlog(prefix, syslog.LOG_PID, syslog.LOG_DAEMON)

    def write(self, text: str) -> None:
        """Log each line."""
        for line in text.splitlines():
            syslog.syslog(line)

    def flush(self) -> None:
        """Nothing waits."""


@implementer(ILogObserver)
@define(eq=False)
class LogWriter:
    """Writes events to a file; a file that cannot be written does not stop the daemon."""

    file: TextIO | SyslogFile
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
            line = self.format(event)
            try:
                self.file.write(line)
            except UnicodeEncodeError:  # a terminal that has not all of Unicode
                self.file.write(line.encode("ascii", "backslashreplace").decode("ascii"))
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
