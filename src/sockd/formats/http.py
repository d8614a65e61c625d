"""HTTP/1.1 (RFC 9110, RFC 9112), as little of it as it takes to answer who reads: GET and HEAD.

A request is its head: who sends a body has come to the wrong place, and is told so. Nothing of what
a client has sent comes back to it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import formatdate

from attrs import Factory, frozen

MAX_HEAD = 8 * 1024
"""Bytes of the longest head of a request: what RFC 9112 has everybody take of its first line."""
MAX_FIELDS = 100
"""Fields of a head: no client that reads figures has as many."""
METHODS = ("GET", "HEAD")
PHRASES = {
    200: "OK",
    400: "Bad Request",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    413: "Content Too Large",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
    505: "HTTP Version Not Supported",
}
"""What we answer with."""
TEXT = "text/plain; charset=utf-8"

_TOKEN = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_FIRST = re.compile(rf"({_TOKEN}) ([!-~]+) HTTP/(\d)\.(\d)")
_FIELD = re.compile(rf"({_TOKEN}):[ \t]*([\t\x20-\x7e\x80-\xff]*?)[ \t]*")
_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)
_END = re.compile(rb"\r?\n\r?\n")


class BadRequest(Exception):
    """What is wrong with a request, as a status."""

    def __init__(self, status: int) -> None:
        super().__init__(PHRASES[status])
        self.status = status


@frozen
class Request:
    """The head of a request."""

    method: str
    path: str
    """What is asked for, as it was sent, without the query."""
    fields: Mapping[str, str] = Factory(dict)
    """By their names in small letters; of those that come several times, joined by commas."""
    keeps_open: bool = True
    """Whether the client wants to ask more."""
    is_old: bool = False
    """Whether it speaks HTTP/1.0, which closes unless both sides say otherwise."""


@frozen
class Response:
    """What is answered."""

    status: int = 200
    body: bytes = b""
    type: str = TEXT


class HeadBuffer:
    """Heads of requests out of bytes that come in any pieces; a longer one is a fault."""

    __slots__ = ("_data", "_end", "fault", "limit")

    def __init__(self, limit: int = MAX_HEAD) -> None:
        self.limit = limit
        self.fault = ""
        """`max_head` after a head that was too long."""
        self._data = b""
        self._end = 0
        """Where the first head ends; 0 while its end has not come."""

    def __len__(self) -> int:
        """Bytes that are held."""
        return len(self._data)

    @property
    def has_request(self) -> bool:
        """Whether there is a whole head to take."""
        return self._end > 0

    @property
    def is_partial(self) -> bool:
        """Whether a head has begun whose end has not come."""
        return bool(self._data) and not self._end

    def feed(self, data: bytes) -> None:
        """Bytes that have come. Whoever takes slower than they come must not feed for a while."""
        if not self.fault:
            before = len(self._data)
            self._data += data
            if not self._end:
                self._look(max(0, before - 3))

    def end(self) -> None:
        """No more bytes come: a head without its end is none."""
        if not self._end:
            self._data = b""

    def take(self) -> bytes:
        """The next head, with the empty line that ends it."""
        head, self._data = self._data[: self._end], self._data[self._end :]
        self._look()
        return head

    def clear(self) -> None:
        """Forget what is held."""
        self._data = b""
        self._end = 0

    def _look(self, start: int = 0) -> None:
        """Look for the end of the first head, which is not before `start`."""
        # an empty line or two before a request are nobody's (RFC 9112, 2.2)
        self._data = self._data.lstrip(b"\r\n")
        found = _END.search(self._data, start, self.limit)
        self._end = found.end() if found else 0
        if not found and len(self._data) >= self.limit:
            self.fault = "max_head"
            self.clear()


def parse_head(head: bytes) -> Request:
    """What a head says. Raises BadRequest."""
    first, *lines = head.decode("latin-1").rstrip("\r\n").replace("\r\n", "\n").split("\n")
    found = _FIRST.fullmatch(first)
    if found is None or len(lines) > MAX_FIELDS:
        raise BadRequest(400 if found is None else 431)
    method, target, major, minor = found.groups()
    if major != "1":
        raise BadRequest(505)
    fields = _fields(lines)
    is_old = minor == "0"
    if ("host" not in fields and not is_old) or "," in fields.get("host", ""):
        raise BadRequest(400)
    if "transfer-encoding" in fields or fields.get("content-length", "0").strip("0"):
        raise BadRequest(413 if method in METHODS else 405)
    options = {word.strip().lower() for word in fields.get("connection", "").split(",")}
    path = _ABSOLUTE.sub("", target, count=1).partition("?")[0]
    return Request(
        method,
        path or "/",
        fields,
        keeps_open="keep-alive" in options if is_old else "close" not in options,
        is_old=is_old,
    )


def _fields(lines: list[str]) -> dict[str, str]:
    fields: dict[str, str] = {}
    for line in lines:
        found = _FIELD.fullmatch(line)
        if found is None:
            raise BadRequest(400)
        name = found[1].lower()
        fields[name] = f"{fields[name]}, {found[2]}" if name in fields else found[2]
    return fields


def plain(status: int) -> Response:
    """A response that says no more than its status."""
    return Response(status, f"{PHRASES[status]}\n".encode())


def pack(response: Response, now: float, request: Request | None = None) -> bytes:
    """A response as it is sent at this Unix time; without a request the connection ends with it."""
    lines = [
        f"HTTP/1.1 {response.status} {PHRASES[response.status]}",
        f"Date: {formatdate(now, usegmt=True)}",
        f"Content-Type: {response.type}",
        f"Content-Length: {len(response.body)}",
        "X-Content-Type-Options: nosniff",
    ]
    if response.status == 405:
        lines.append(f"Allow: {', '.join(METHODS)}")
    if request is None or not request.keeps_open:
        lines.append("Connection: close")
    elif request.is_old:
        lines.append("Connection: keep-alive")
    head = "".join(f"{line}\r\n" for line in lines) + "\r\n"
    is_bare = request is not None and request.method == "HEAD"
    return head.encode("latin-1") + (b"" if is_bare else response.body)
