"""Log lines: text for people, flat JSON for programs, and nothing of the network's unescaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from operator import itemgetter
from string import Formatter
from typing import cast

from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from sockd.events import FIELDS, SENTENCES, Composed
from sockd.formats.text import escape

MAX_LINE = 4000
"""Characters of the longest message: a peer's text is not a way to fill the disk."""
_PARTS_KEPT = 256
"""Fields of several parts whose JSON is remembered: addresses and reasons are few, and a peer's
line of `closed` often follows its `opened` soon."""
_LEGACY = {"failure", "format", "isError", "logLevel", "message", "system", "time"}
"""What Twisted's observers of the old kind add to an event that passes them."""
_INFO = LogLevel.info


def _filler(text: str) -> Callable[[LogEvent], str]:
    """A function that fills the fields of an event into a sentence, quicker than `format`."""
    form, names = "", []
    for literal, name, spec, _ in Formatter().parse(text):
        form += literal.replace("%", "%%")
        if name is not None:
            form += f"%{spec or 's'}"
            names.append(name)
    if not names:
        return lambda _: text
    values = itemgetter(*names)
    return lambda event: form % values(event)


_FILLERS = {text: _filler(text) for text in SENTENCES.values()}


def sentence(event: LogEvent) -> str:
    """What an event says, as one line that is fit for a terminal."""
    fill = _FILLERS.get(event.get("log_format", ""))
    if fill is not None and "event" in event:
        text = fill(event)
    else:
        text = formatEvent(event)
        if _failure(event) is not None and "event" not in event:
            # Twisted's own reports of errors have the traceback in their text
            text = text.partition("\n")[0]
    return _shown(text)


def _shown(text: str, limit: int = MAX_LINE) -> str:
    if len(text) <= limit and text.isprintable() and "\\" not in text:
        return text  # what `escape` comes to
    return escape(text, limit)


def as_text(event: LogEvent) -> str:
    """Time, level where it is not `info`, message; a traceback indented below it."""
    level: LogLevel = event.get("log_level", _INFO)
    if level is _INFO:
        return f"{_time(event)} {sentence(event)}\n"
    below = []
    if (failure := _failure(event)) is not None:
        below = failure.getTraceback().rstrip().splitlines()
    lines = [
        f"{_time(event)} {level.name}: {sentence(event)}",
        *("    " + escape(line, MAX_LINE) for line in below),
    ]
    return "\n".join(lines) + "\n"


def as_json(event: LogEvent) -> str:
    """One flat object: `time`, `level`, `event`, `message` and the event's own fields."""
    name = event.get("event", "log")
    level: LogLevel = event.get("log_level", _INFO)
    if (quick := _QUICK.get(event.get("log_format", ""))) is not None and level is _INFO:
        return quick(event)
    own = ""
    if "event" in event:
        own = "".join([_part(key, event[key]) for key in _names(event) if key in event])
    if (failure := _failure(event)) is not None:
        own += _part("traceback", failure.getTraceback(), 4 * MAX_LINE)
    return (
        f'{{"time": "{_time(event)}", "level": "{level.name}", "event": {quoted(name)}, '
        f'"message": {quoted(sentence(event))}{own}}}\n'
    )


def _names(event: LogEvent) -> Iterable[str]:
    """The names of an event's own fields."""
    if (names := _NAMES.get(event["event"])) is not None:
        return names
    return [key for key in event if not key.startswith("log_") and key not in _LEGACY]


_NAMES = {event: tuple(sorted(names)) for event, names in FIELDS.items()}


def _part(key: str, value: object, limit: int = MAX_LINE) -> str:
    """A field as it stands in an object, after a comma."""
    kind = type(value)
    if kind is int or kind is float:
        return f', "{key}": {value!r}'
    if hasattr(kind, "fields"):
        return _parts(key, cast(Composed, value))
    if isinstance(value, (int, float)):
        return f', "{key}": {json.dumps(value)}'
    return f', "{key}": {quoted(_shown(str(value), limit))}'


@lru_cache(_PARTS_KEPT)
def _parts(key: str, value: Composed) -> str:
    return "".join([_part(name, part) for name, part in value.fields(key).items()])


def _failure(event: LogEvent) -> Failure | None:
    """The exception that an event reports; an event of the old kind has it by another name."""
    found = event.get("log_failure", event.get("failure"))
    return found if isinstance(found, Failure) else None


def _time(event: LogEvent) -> str:
    return _stamp(int(event.get("log_time", 0.0) * 1000))


@lru_cache(maxsize=2)
def _stamp(milliseconds: int) -> str:
    seconds = datetime.fromtimestamp(milliseconds // 1000, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return f"{seconds}.{milliseconds % 1000:03}Z"


# The two lines of every connection, in their own right: `as_json` would take twice the time.


def _opened_as_json(event: LogEvent) -> str:
    return (
        f'{{"time": "{_time(event)}", "level": "info", "event": "opened", '
        f'"message": {quoted(sentence(event))}, "connection": {event["connection"]}'
        f"{_parts('local', event['local'])}{_parts('peer', event['peer'])}"
        f', "service": {_quoted_name(event["service"])}}}\n'
    )


def _closed_as_json(event: LogEvent) -> str:
    return (
        f'{{"time": "{_time(event)}", "level": "info", "event": "closed", '
        f'"message": {quoted(sentence(event))}, '
        f'"bytes_in": {event["bytes_in"]}, "bytes_out": {event["bytes_out"]}, '
        f'"connection": {event["connection"]}, "duration": {event["duration"]!r}'
        f"{_parts('local', event['local'])}{_parts('peer', event['peer'])}"
        f"{_parts('reason', event['reason'])}"
        f', "service": {_quoted_name(event["service"])}}}\n'
    )


@lru_cache(_PARTS_KEPT)
def _quoted_name(service: str) -> str:
    return quoted(_shown(service))


_QUICK = {SENTENCES["opened"]: _opened_as_json, SENTENCES["closed"]: _closed_as_json}

FORMATS: dict[str, Callable[[LogEvent], str]] = {"text": as_text, "json": as_json}
"""The log formats, by name."""
