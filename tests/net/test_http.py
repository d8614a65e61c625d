"""The base of services that answer HTTP."""

from __future__ import annotations

import pytest
from twisted.internet.defer import Deferred

from sockd.formats.http import MAX_HEAD, Request, Response, pack, plain
from sockd.net.http import Http
from sockd.service import Kind
from sockd.testing import NOON, Client, LogRecorder, connect, make_context

OWED: list[Deferred[Response]] = []


class Pages(Http):
    """Tells what was asked for, at once or later."""

    def respond(self, request: Request) -> Response | Deferred[Response]:
        if request.path == "/fault":
            raise RuntimeError("on purpose")
        if request.path == "/later":
            OWED.append(Deferred())
            return OWED[-1]
        return Response(200, request.path.encode())


PAGES = Kind(name="pages", doc="Pages.", stream=Pages)


def visit(**table: str) -> Client:
    OWED.clear()
    return connect(PAGES, make_context(PAGES, None, **table))


def get(path: str, *fields: str, method: str = "GET", version: str = "1.1") -> bytes:
    lines = [f"{method} {path} HTTP/{version}", "Host: localhost", *fields, ""]
    return "".join(f"{line}\r\n" for line in lines).encode()


def page(path: str, asked: Request | None = None) -> bytes:
    return pack(Response(200, path.encode()), NOON, asked or Request("GET", path))


def test_requests_are_answered_in_order_on_one_connection() -> None:
    client = visit()
    client.send(get("/one"))
    assert client.received == page("/one")
    client.send(get("/two") + get("/three", method="HEAD") + get("/four")[:10])
    bare = page("/three").removesuffix(b"/three")
    assert client.received == page("/one") + page("/two") + bare
    client.send(get("/four")[10:])
    assert client.received.endswith(bare + page("/four"))
    assert not client.is_closed
    client.end()
    assert client.is_closed


@pytest.mark.parametrize(
    ("sent", "asked"),
    [
        (get("/a", "Connection: close"), Request("GET", "/a", keeps_open=False)),
        (get("/a", version="1.0"), Request("GET", "/a", keeps_open=False, is_old=True)),
    ],
)
def test_after_the_last_request_the_connection_is_closed(sent: bytes, asked: Request) -> None:
    client = visit()
    client.send(sent + get("/never"))
    assert client.received == page("/a", asked)
    assert client.socket.write_ended


def test_an_answer_that_comes_later_holds_up_those_behind_it() -> None:
    client = visit()
    client.send(get("/later") + get("/two"))
    assert client.received == b""
    OWED[0].callback(Response(200, b"/later"))
    client.loop.settle()
    assert client.received == page("/later") + page("/two")


def test_an_answer_that_takes_too_long_is_a_503() -> None:
    client = visit(answer_timeout="5s")
    client.send(get("/later"))
    client.loop.advance(7)
    assert client.received == pack(plain(503), NOON)
    assert client.socket.write_ended


@pytest.mark.parametrize(
    ("sent", "status"),
    [
        (b"hello there\r\n\r\n", 400),
        (get("/", "Content-Length: 5") + b"hello", 413),
        (get("/", "Content-Length: 5").replace(b"GET", b"POST") + b"hello", 405),
        (b"GET / HTTP/1.1\r\nX: " + b"x" * MAX_HEAD, 431),
        (get("/", version="9.9"), 505),
    ],
)
def test_what_is_wrong_is_told_by_its_status_and_nothing_more_is_heard(
    sent: bytes, status: int
) -> None:
    client = visit()
    client.send(sent + get("/never"))
    assert client.received == pack(plain(status), NOON)
    assert client.socket.write_ended


def test_a_head_that_is_too_long_is_the_reason_of_the_end(log: LogRecorder) -> None:
    client = visit()
    client.send(b"x" * MAX_HEAD)
    client.end()
    assert [event["reason"].name for event in log.events("closed")] == ["max_head"]


def test_a_head_that_does_not_end_in_time_ends_the_connection(log: LogRecorder) -> None:
    client = visit(line_timeout="5s", idle_timeout="1m")
    client.send(get("/")[:-1])
    client.loop.advance(10)
    assert client.is_closed
    assert [event["reason"].name for event in log.events("closed")] == ["frame_timeout"]


def test_another_method_is_refused_and_the_connection_goes_on() -> None:
    client = visit()
    client.send(get("/", method="DELETE") + get("/a"))
    refused = pack(plain(405), NOON, Request("DELETE", "/"))
    assert client.received == refused + page("/a")


def test_a_fault_ends_that_client_only(log: LogRecorder) -> None:
    context = make_context(PAGES)
    client, other = connect(PAGES, context), connect(PAGES, context)
    client.send(get("/fault"))
    assert client.is_closed
    assert len(log.flush_faults()) == 1
    other.send(get("/a"))
    assert other.received == page("/a")
