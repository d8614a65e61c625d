"""What goes over the control socket: JSON, a line each way. Docs: docs/control.md.

A request is `{"version": 1, "command": NAME, "arguments": {...}}`, and `"follow": true` where its
answer is to go on. It is answered by `{"version": 1, "ok": true, "answer": {...}}`, or by
`{"version": 1, "ok": false, "kind": KIND, "error": TEXT}`. Before an answer with a long list come
lines `{"part": {...}}`: the items of their lists stand before those of the answer. What is followed
comes as `{"item": {...}}`, until either side closes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any, Literal

from attrs import Factory, frozen

VERSION = 1
"""Goes up when an old client could misread what it gets; what is only added does not count."""
LONGEST_REQUEST = 64 * 1024
"""Bytes of a request: a command with a list of prefixes, and then some."""
LONGEST_LINE = 16 * 1024**2
"""Bytes of a line that a client takes. Lists that may be long come in parts, of far fewer."""

Kind = Literal["usage", "refused", "failed"]
"""Whose fault an error is: the request's; nobody's, the daemon will not; the daemon's."""


class ControlError(Exception):
    """Why a command was not done, for whoever asked: one sentence or several lines."""

    def __init__(self, text: str, kind: Kind = "failed") -> None:
        super().__init__(text)
        self.kind: Kind = kind


class NotSockdError(ControlError):
    """What answers is no daemon of sockd's."""


@frozen
class Request:
    """What is asked."""

    command: str
    arguments: Mapping[str, Any] = Factory(dict)
    follow: bool = False


def request_line(request: Request) -> bytes:
    """A request, as it is sent."""
    whole: dict[str, Any] = {"version": VERSION, "command": request.command}
    if request.arguments:
        whole["arguments"] = dict(request.arguments)
    if request.follow:
        whole["follow"] = True
    return _line(whole)


def read_request(line: bytes) -> Request:
    """A request, from a line without its end. Raises ControlError."""
    whole = _object(line)
    if whole is None:
        raise ControlError("a request is a JSON object in one line", "usage")
    version = whole.get("version")
    if version != VERSION:
        raise ControlError(
            f"this daemon speaks version {VERSION} of the control socket, not {version!r}", "usage"
        )
    command, arguments = whole.get("command"), whole.get("arguments", {})
    follow = whole.get("follow", False)
    if not isinstance(command, str):
        raise ControlError("a request names its command, as a text", "usage")
    if not isinstance(arguments, dict):
        raise ControlError("the arguments of a request are an object", "usage")
    if not isinstance(follow, bool):
        raise ControlError("`follow` is true or false", "usage")
    if unknown := sorted(whole.keys() - {"version", "command", "arguments", "follow"}):
        raise ControlError(f"a request has no {', '.join(unknown)}", "usage")
    return Request(command, arguments, follow)


def answer_line(answer: Mapping[str, Any]) -> bytes:
    """What a command has brought."""
    return _line({"version": VERSION, "ok": True, "answer": dict(answer)})


def part_line(part: Mapping[str, Any]) -> bytes:
    """The beginning of a long answer, or more of it; the answer itself is the last of it."""
    return _line({"part": dict(part)})


def error_line(error: ControlError) -> bytes:
    """Why it has brought nothing."""
    return _line({"version": VERSION, "ok": False, "kind": error.kind, "error": str(error)})


def item_line(item: Mapping[str, Any]) -> bytes:
    """One of what is followed."""
    return _line({"item": dict(item)})


@frozen
class Told:
    """A line of the daemon's."""

    what: Literal["answer", "part", "item"]
    value: dict[str, Any]


def read_line(line: bytes) -> Told:
    """What a daemon's line says. Raises ControlError, the one that it tells too; NotSockdError."""
    whole = _object(line)
    if whole is None:
        raise NotSockdError("what answers there is no sockd")
    if isinstance(item := whole.get("item"), dict):
        return Told("item", item)
    if isinstance(part := whole.get("part"), dict):
        return Told("part", part)
    if whole.get("ok") is True and isinstance(answer := whole.get("answer"), dict):
        return Told("answer", answer)
    if whole.get("ok") is False and isinstance(text := whole.get("error"), str):
        kind = whole.get("kind")
        raise ControlError(text, kind if kind in ("usage", "refused") else "failed")
    raise NotSockdError("what answers there is no sockd")


def joined(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The answer that came in these parts: lists are one list, all else is as it came last."""
    whole: dict[str, Any] = {}
    for part in parts:
        for name, value in part.items():
            if isinstance(value, list) and isinstance(whole.get(name), list):
                whole[name] += value
            else:
                whole[name] = list(value) if isinstance(value, list) else value
    return whole


def _object(line: bytes) -> dict[str, Any] | None:
    try:
        whole = json.loads(line)
    except (ValueError, RecursionError):
        return None
    return whole if isinstance(whole, dict) else None


def _line(whole: Mapping[str, Any]) -> bytes:
    # ASCII: no control character and no override of direction reaches a terminal that shows it raw
    return json.dumps(whole, separators=(",", ":"), default=str).encode("ascii") + b"\n"
