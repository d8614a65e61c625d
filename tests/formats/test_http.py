"""HTTP as a service reads and answers it: the heads of requests, and nothing that is not one."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.formats.http import (
    MAX_FIELDS,
    MAX_HEAD,
    PHRASES,
    BadRequest,
    HeadBuffer,
    Request,
    Response,
    pack,
    parse_head,
    plain,
)

NOON = 961_265_174.0
HEADS = st.lists(
    st.sampled_from(
        [
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"GET /metrics?x=1 HTTP/1.0\r\n\r\n",
            b"HEAD /metrics HTTP/1.1\nHost: a\n\n",
            b"POST / HTTP/1.1\r\nA: b\r\n\r\n",
            b"nonsense\r\n\r\n",
        ]
    ),
    max_size=6,
)


def take_all(buffer: HeadBuffer) -> list[bytes]:
    found = []
    while buffer.has_request:
        found.append(buffer.take())
    return found


@given(HEADS, st.lists(st.integers(0, 300), max_size=8))
def test_however_the_bytes_are_cut_the_heads_are_the_same(
    heads: list[bytes], cuts: list[int]
) -> None:
    whole = b"".join(heads)
    places = sorted(min(cut, len(whole)) for cut in cuts)
    buffer, found = HeadBuffer(), []
    for start, end in pairwise([0, *places, len(whole)]):
        buffer.feed(whole[start:end])
        found += take_all(buffer)
    assert found == heads
    assert (buffer.fault, len(buffer), buffer.is_partial) == ("", 0, False)


@given(st.binary(max_size=300), st.integers(1, 40))
def test_whatever_comes_in_whatever_pieces_no_more_is_held_than_a_head(
    data: bytes, size: int
) -> None:
    buffer = HeadBuffer(64)
    for start in range(0, len(data), size):
        buffer.feed(data[start : start + size])
        for head in take_all(buffer):
            assert len(head) <= 64
        assert len(buffer) < 64


@given(st.one_of(st.binary(), st.builds(b"GET / HTTP/1.1\r\n%b\r\n\r\n".__mod__, st.binary())))
def test_whatever_comes_it_is_a_request_or_it_is_told_what_is_wrong(data: bytes) -> None:
    try:
        path, status = parse_head(data).path, 200
    except BadRequest as error:
        path, status = "", error.status
    assert status in PHRASES
    assert path.isascii()
    assert path.isprintable()


def test_a_head_of_the_greatest_length_is_taken_and_a_longer_one_is_not() -> None:
    begin, end = b"GET / HTTP/1.1\r\nHost: a\r\nX: ", b"\r\n\r\n"
    fits = begin + b"x" * (MAX_HEAD - len(begin) - len(end)) + end
    buffer = HeadBuffer()
    buffer.feed(fits)
    assert buffer.take() == fits
    buffer.feed(fits.replace(b"x", b"xx", 1))
    assert (buffer.has_request, buffer.fault, len(buffer)) == (False, "max_head", 0)
    buffer.feed(fits)
    assert not buffer.has_request


def test_empty_lines_before_a_request_are_nothing() -> None:
    buffer = HeadBuffer()
    buffer.feed(b"\r\n\r\n")
    assert (buffer.is_partial, len(buffer)) == (False, 0)
    buffer.feed(b"GET / HTTP/1.1\r\n")
    assert (buffer.is_partial, len(buffer)) == (True, 16)
    buffer.feed(b"Host: a\r\n\r\n")
    assert buffer.take() == b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"


def head(first: str, *fields: str) -> bytes:
    return "".join(f"{line}\r\n" for line in [first, *fields, ""]).encode("latin-1")


@pytest.mark.parametrize(
    ("first", "fields", "expected"),
    [
        ("GET / HTTP/1.1", ["Host: a"], Request("GET", "/", {"host": "a"})),
        (
            "HEAD /metrics?name=x HTTP/1.1",
            ["host:  a ", "Accept: text/plain", "ACCEPT: */*"],
            Request("HEAD", "/metrics", {"host": "a", "accept": "text/plain, */*"}),
        ),
        ("GET http://a/b HTTP/1.1", ["Host: a"], Request("GET", "/b", {"host": "a"})),
        ("GET HTTPS://a HTTP/1.1", ["Host: a"], Request("GET", "/", {"host": "a"})),
        (
            "GET / HTTP/1.1",
            ["Host: a", "Connection: te, Close"],
            Request("GET", "/", {"host": "a", "connection": "te, Close"}, keeps_open=False),
        ),
        ("GET / HTTP/1.0", [], Request("GET", "/", {}, keeps_open=False, is_old=True)),
        (
            "GET / HTTP/1.0",
            ["Connection: keep-alive"],
            Request("GET", "/", {"connection": "keep-alive"}, is_old=True),
        ),
        (
            "GET / HTTP/1.1",
            ["Host: a", "Content-Length: 0"],
            Request("GET", "/", {"host": "a", "content-length": "0"}),
        ),
    ],
)
def test_a_head_says_what_is_asked_for(first: str, fields: list[str], expected: Request) -> None:
    assert parse_head(head(first, *fields)) == expected


@pytest.mark.parametrize(
    ("first", "fields", "status"),
    [
        ("GET / HTTP/2.0", ["Host: a"], 505),
        ("GET /", [], 400),
        ("GET  / HTTP/1.1", ["Host: a"], 400),
        ("GET /a b HTTP/1.1", ["Host: a"], 400),
        ("GET /\x00 HTTP/1.1", ["Host: a"], 400),
        ("GET /\xe4 HTTP/1.1", ["Host: a"], 400),
        ("GET / HTTP/1.1", [], 400),
        ("GET / HTTP/1.1", ["Host: a", "Host: b"], 400),
        ("GET / HTTP/1.1", ["Host : a"], 400),
        ("GET / HTTP/1.1", ["Host: a", " folded"], 400),
        ("GET / HTTP/1.1", ["Host: a", "X: \x1b[31m"], 400),
        ("GET / HTTP/1.1", ["Host: a", "X: a\rb"], 400),
        ("GET / HTTP/1.1", ["Host: a", "Content-Length: 5"], 413),
        ("GET / HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], 413),
        ("POST / HTTP/1.1", ["Host: a", "Transfer-Encoding: chunked"], 405),
        ("GET / HTTP/1.1", ["Host: a", *["X: y"] * MAX_FIELDS], 431),
    ],
)
def test_what_is_no_request_of_ours_is_told_so(first: str, fields: list[str], status: int) -> None:
    with pytest.raises(BadRequest, match=PHRASES[status]) as raised:
        parse_head(head(first, *fields))
    assert raised.value.status == status


def test_an_answer_is_a_status_fields_and_a_body() -> None:
    asked = Request("GET", "/", {})
    assert pack(Response(200, b"yes\n"), NOON, asked) == (
        b"HTTP/1.1 200 OK\r\nDate: Sat, 17 Jun 2000 18:06:14 GMT\r\n"
        b"Content-Type: text/plain; charset=utf-8\r\nContent-Length: 4\r\n"
        b"X-Content-Type-Options: nosniff\r\n\r\nyes\n"
    )


def test_a_head_is_answered_as_a_get_without_the_body() -> None:
    answer = pack(Response(200, b"yes\n"), NOON, Request("GET", "/", {}))
    assert pack(Response(200, b"yes\n"), NOON, Request("HEAD", "/", {})) == answer[:-4]


def test_who_is_not_kept_is_told_so_and_who_is_old_and_kept_is_told_that() -> None:
    last = Request("GET", "/", {}, keeps_open=False)
    assert b"\r\nConnection: close\r\n" in pack(plain(200), NOON, last)
    assert b"\r\nConnection: close\r\n" in pack(plain(400), NOON)
    old = Request("GET", "/", {}, is_old=True)
    assert b"\r\nConnection: keep-alive\r\n" in pack(plain(200), NOON, old)
    assert b"Connection" not in pack(plain(200), NOON, Request("GET", "/", {}))


def test_who_asks_by_another_method_is_told_which_there_are() -> None:
    assert b"\r\nAllow: GET, HEAD\r\n" in pack(plain(405), NOON, Request("POST", "/", {}))
