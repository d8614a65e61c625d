"""Log lines: text for people, flat JSON for programs, and nothing of the network's unescaped."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quoted
from math import isfinite
from operator import itemgetter
from string import Formatter
from typing import Any, TypeAlias, cast

from attrs import frozen
from twisted.logger import LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure

from sockd.events import FIELDS, SENTENCES, Composed, Peer
from sockd.formats.hostport import host_port
from sockd.formats.text import escape

MAX_LINE = 4000
"""Characters of the longest message: a peer's text is not a way to fill the disk."""
_PARTS_KEPT = 1024
"""Fields whose JSON is remembered: names of services, addresses and reasons are few."""
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
    if len(names) == 1:  # which gives the value itself, and that may be a tuple
        return lambda event: form % (values(event),)
    return lambda event: form % values(event)


_FILLERS = {text: _filler(text) for text in SENTENCES.values()}


def is_ours(event: LogEvent) -> bool:
    """Whether it is an event of `sockd.events`: others may have a field `event` too."""
    if event.get("log_namespace") != "sockd":
        return False
    name = event.get("event")
    return isinstance(name, str) and name in FIELDS


def sentence(event: LogEvent) -> str:
    """What an event says, as one line that is fit for a terminal."""
    return _sentence(event, is_ours(event))


def _sentence(event: LogEvent, is_own: bool) -> str:
    if is_own and (fill := _FILLERS.get(event["log_format"])) is not None:
        text = fill(event)
    else:
        text = formatEvent(event)
        if not is_own and failure_of(event) is not None:
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
    if (failure := failure_of(event)) is not None:
        below = failure.getTraceback().rstrip().splitlines()
    lines = [
        f"{_time(event)} {level.name}: {sentence(event)}",
        *("    " + escape(line, MAX_LINE) for line in below),
    ]
    return "\n".join(lines) + "\n"


def as_json(event: LogEvent) -> str:
    """One flat object: `time`, `level`, `event`, `message` and the event's own fields."""
    is_own = is_ours(event)
    name = event["event"] if is_own else "log"
    level: LogLevel = event.get("log_level", _INFO)
    own = ""
    if is_own:
        own = "".join([_part(key, event[key]) for key in _NAMES[name] if key in event])
    if (failure := failure_of(event)) is not None:
        own += _part("traceback", failure.getTraceback(), 4 * MAX_LINE)
    return (
        f'{{"time": "{_time(event)}", "level": "{level.name}", "event": {quoted(name)}, '
        f'"message": {quoted(_sentence(event, is_own))}{own}}}\n'
    )


_NAMES = {event: tuple(sorted(names)) for event, names in FIELDS.items()}


def _part(key: str, value: object, limit: int = MAX_LINE) -> str:
    """A field as it stands in an object, after a comma."""
    kind = type(value)
    if kind is int:
        return f', "{key}": {value!r}'
    if hasattr(kind, "fields"):
        return _parts(key, cast(Composed, value))
    if value is None or (isinstance(value, (int, float)) and isfinite(value)):
        return f', "{key}": {json.dumps(value)}'
    # what JSON has no number for, such as infinity, is text too
    return f', "{key}": {quoted(_shown(str(value), limit))}'


@lru_cache(_PARTS_KEPT)
def _parts(key: str, value: Composed) -> str:
    return "".join([_part(name, part) for name, part in value.fields(key).items()])


def failure_of(event: LogEvent) -> Failure | None:
    """The exception that an event reports; an event of the old kind has it by another name."""
    found = event.get("log_failure", event.get("failure"))
    return found if isinstance(found, Failure) else None


def _time(event: LogEvent) -> str:
    return _stamp(int(event.get("log_time", 0.0) * 1000))


@lru_cache(maxsize=2)
def _stamp(milliseconds: int) -> str:
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03}Z"


@lru_cache(maxsize=2)
def _second(unix_seconds: int) -> str:
    return datetime.fromtimestamp(unix_seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S")


Opening: TypeAlias = tuple[float, str, int, Composed, Peer]
"""The time, and what `events.opened` is told."""
Waiting: TypeAlias = str | tuple[Callable[..., str], tuple[Any, ...]]
"""A line, or what one is to be made of: a function and its arguments."""

# the two lines of every connection: what `as_text` and `as_json` come to, in less of their time


def _opened_sentence(service: str, peer: Peer) -> str:
    return _shown(f"{service}: connection from {peer}")


def _closed_sentence(
    service: str, peer: Peer, duration: float, bytes_in: int, bytes_out: int, reason: Composed
) -> str:
    return _shown(
        f"{service}: {peer} closed after {duration:.3f} s, "
        f"{bytes_in} bytes in, {bytes_out} bytes out: {reason}"
    )


def _opened_text(moment: float, service: str, _: int, __: Composed, peer: Peer) -> str:
    return f"{_stamp(int(moment * 1000))} {_opened_sentence(service, peer)}\n"


def _closed_text(
    moment: float,
    service: str,
    _: int,
    __: Composed,
    peer: Peer,
    duration: float,
    bytes_in: int,
    bytes_out: int,
    reason: Composed,
) -> str:
    text = _closed_sentence(service, peer, duration, bytes_in, bytes_out, reason)
    return f"{_stamp(int(moment * 1000))} {text}\n"


def _both_text(
    opening: Opening, duration: float, bytes_in: int, bytes_out: int, reason: Composed
) -> str:
    moment, service, connection, local, peer = opening
    end = (moment + duration, service, connection, local, peer)
    return _opened_text(*opening) + _closed_text(*end, duration, bytes_in, bytes_out, reason)


_NONE_BEFORE: tuple[str, Any, str] = ("", None, "")


def _many_text(waiting: Sequence[Waiting]) -> list[str]:
    lines: list[str] = []
    add, before = lines.append, _NONE_BEFORE
    common: tuple[str, str, str] | None = None
    for one in waiting:
        if isinstance(one, str):
            add(one)
            continue
        make, told = one
        if make is not _both_text:
            add(make(*told))
            continue
        (moment, service, _, _, peer), duration, came, left, reason = told
        now = (service, reason, peer.host)
        if now != before:
            before, common = now, _shown_once(*now)
        if common is None:
            add(make(*told))
            continue
        name, who, why = common
        who = f"{who}{peer.port}"
        add(
            f"{_stamp(int(moment * 1000))} {name}: connection from {who}\n"
            f"{_stamp(int((moment + duration) * 1000))} {name}: {who} closed after "
            f"{duration:.3f} s, {came} bytes in, {left} bytes out: {why}\n"
        )
    return lines


@lru_cache(_PARTS_KEPT)
def _shown_once(service: str, reason: Composed, host: str) -> tuple[str, str, str] | None:
    """What is the same in messages of many connections; None where one could be too long.

    The service, who it was for up to the port, and the reason.
    """
    name, why, place = _shown(service), _shown(str(reason)), _shown(host)
    if not place or len(name) + len(why) + len(place) > MAX_LINE // 2:
        return None
    return name, host_port(place, 0)[:-1], why


def _opened_json(moment: float, service: str, connection: int, local: Composed, peer: Peer) -> str:
    return (
        f'{{"time": "{_stamp(int(moment * 1000))}", "level": "info", "event": "opened", '
        f'"message": {quoted(_opened_sentence(service, peer))}, "connection": {connection}'
        f"{_parts('local', local)}{_peer_parts(peer)}"
        f', "service": {_quoted_name(service)}}}\n'
    )


def _closed_json(
    moment: float,
    service: str,
    connection: int,
    local: Composed,
    peer: Peer,
    duration: float,
    bytes_in: int,
    bytes_out: int,
    reason: Composed,
) -> str:
    text = _closed_sentence(service, peer, duration, bytes_in, bytes_out, reason)
    return (
        f'{{"time": "{_stamp(int(moment * 1000))}", "level": "info", "event": "closed", '
        f'"message": {quoted(text)}, '
        f'"bytes_in": {bytes_in}, "bytes_out": {bytes_out}, "connection": {connection}, '
        f'"duration": {duration!r}{_parts("local", local)}{_peer_parts(peer)}'
        f'{_parts("reason", reason)}, "service": {_quoted_name(service)}}}\n'
    )


def _both_json(
    opening: Opening, duration: float, bytes_in: int, bytes_out: int, reason: Composed
) -> str:
    moment, service, connection, local, peer = opening
    end = (moment + duration, service, connection, local, peer)
    return _opened_json(*opening) + _closed_json(*end, duration, bytes_in, bytes_out, reason)


_NOTHING_BEFORE: tuple[str, Any, Any, str] = ("", None, None, "")


def _many_json(waiting: Sequence[Waiting]) -> list[str]:
    lines: list[str] = []
    add, before = lines.append, _NOTHING_BEFORE
    common: tuple[str, str, str, str, str] | None = None
    for one in waiting:
        if isinstance(one, str):
            add(one)
            continue
        make, told = one
        if make is not _both_json:
            add(make(*told))
            continue
        (moment, service, number, local, peer), duration, came, left, reason = told
        now = (service, local, reason, peer.host)
        if now != before:
            before, common = now, _in_common(*now)
        if common is None or peer.via is not None:
            add(make(*told))
            continue
        name, who, fields, why, last = common
        # each number is made text once: that is most of what lines cost
        port, number, came, left = str(peer.port), str(number), str(came), str(left)
        add(
            f'{{"time": "{_stamp(int(moment * 1000))}", "level": "info", "event": "opened", '
            f'"message": "{name}: connection from {who}{port}", "connection": {number}'
            f'{fields}{port}, "service": "{name}"}}\n'
            f'{{"time": "{_stamp(int((moment + duration) * 1000))}", "level": "info", '
            f'"event": "closed", "message": "{name}: {who}{port} closed after {duration:.3f} s, '
            f'{came} bytes in, {left} bytes out: {why}", '
            f'"bytes_in": {came}, "bytes_out": {left}, "connection": {number}, '
            f'"duration": {duration!r}{fields}{port}{last}'
        )
    return lines


@lru_cache(_PARTS_KEPT)
def _in_common(
    service: str, local: Composed, reason: Composed, host: str
) -> tuple[str, str, str, str, str] | None:
    """What is the same in JSON of many connections; None where a message could be too long.

    The service, who it was for in a message, fields up to the port, the reason, what comes last.
    """
    if (shown := _shown_once(service, reason, host)) is None:
        return None
    name, who, why = (quoted(part)[1:-1] for part in shown)
    fields = f'{_parts("local", local)}, "peer_address": {quoted(_shown(host))}, "peer_port": '
    last = f'{_parts("reason", reason)}, "service": "{name}"}}\n'
    return name, who, fields, why, last


def _peer_parts(peer: Peer) -> str:
    if peer.host and peer.via is None:
        return f', "peer_address": {quoted(peer.host)}, "peer_port": {peer.port}'
    return _parts("peer", peer)


@lru_cache(_PARTS_KEPT)
def _quoted_name(service: str) -> str:
    return quoted(_shown(service))


@frozen
class Format:
    """A log format: what makes a line of an event, and of the two that are many."""

    line: Callable[[LogEvent], str]
    opened: Callable[[float, str, int, Composed, Peer], str]
    """The line of `events.opened`: the time, and the same arguments."""
    closed: Callable[[float, str, int, Composed, Peer, float, int, int, Composed], str]
    """The line of `events.closed`."""
    both: Callable[[Opening, float, int, int, Composed], str]
    """Both lines, of a connection in whose time nothing else was said."""
    many: Callable[[Sequence[Waiting]], list[str]]
    """Lines of all that waits. Raises what one of them raises."""


FORMATS = {
    "text": Format(as_text, _opened_text, _closed_text, _both_text, _many_text),
    "json": Format(as_json, _opened_json, _closed_json, _both_json, _many_json),
}
"""The log formats, by name."""
