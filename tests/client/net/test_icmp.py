"""Errors of the network: what lies in the queue, and who is said to have sent it."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.net.icmp import MOST_ERRORS, NetworkError, Origin, listen, parse, read
from sockd.reactor.sockaddr import Address, Ancillary
from tests.processes import wait_until

NO_INTERFACE = 2**31 - 1
"""The number of none: addresses bear the names of those that there are."""
ASKED: Address = ("10.0.0.7", 7)
NONE = b"\0" * 16


def inet(host: str) -> bytes:
    return struct.pack("=HH4s8x", socket.AF_INET, 0, socket.inet_aton(host))


def inet6(host: str, scope: int = 0) -> bytes:
    raw = socket.inet_pton(socket.AF_INET6, host)
    return struct.pack("=HHI16sI", socket.AF_INET6, 0, 0, raw, scope)


def message(
    number: int, origin: int, type_: int, code: int, info: int = 0, sender: bytes = NONE
) -> Ancillary:
    data = struct.pack("=IBBBBII", number, origin, type_, code, 0, info, 0) + sender
    return (41, 25, data) if origin == 3 else (0, 11, data)


@pytest.mark.parametrize(
    ("beside", "said", "undelivered"),
    [
        (
            message(errno.ECONNREFUSED, 2, 3, 3, 0, inet("10.0.0.1")),
            "port unreachable, said by 10.0.0.1",
            True,
        ),
        (
            message(errno.EHOSTUNREACH, 2, 11, 0, 0, inet("10.0.0.1")),
            "too many hops, said by 10.0.0.1",
            True,
        ),
        (
            message(errno.EMSGSIZE, 2, 3, 4, 1400, inet("10.0.0.1")),
            "too long to be sent on in one piece: 1400 bytes are most there, said by 10.0.0.1",
            False,
        ),
        (
            message(errno.ECONNREFUSED, 3, 1, 4, 0, inet6("fd77::1")),
            "port unreachable, said by fd77::1",
            True,
        ),
        (
            message(errno.EHOSTUNREACH, 3, 1, 3, 0, inet6("fe80::1", NO_INTERFACE)),
            f"address unreachable, said by fe80::1%{NO_INTERFACE}",
            True,
        ),
        (
            message(errno.EMSGSIZE, 3, 2, 0, 1280, inet6("fd77::1")),
            "too long to be sent on in one piece: 1280 bytes are most there, said by fd77::1",
            False,
        ),
        (message(errno.EMSGSIZE, 1, 0, 0), "message too long, said by our own kernel", False),
        (
            message(errno.EPROTO, 2, 12, 1, 0, inet("10.0.0.1")),
            "protocol error (ICMP 12/1), said by 10.0.0.1",
            False,
        ),
        (
            message(errno.EHOSTUNREACH, 2, 3, 99, 0, inet("10.0.0.1")),
            "no route to host (ICMP 3/99), said by 10.0.0.1",
            True,
        ),
    ],
)
def test_an_error_says_what_is_wrong_and_who_says_so(
    beside: Ancillary, said: str, undelivered: bool
) -> None:
    error = parse(b"what was sent", [(1, 35, b"\0" * 16), beside], ASKED)
    assert error is not None
    assert str(error) == said
    assert error.means_undelivered is undelivered
    assert (error.destination, error.payload) == (ASKED, b"what was sent")


@pytest.mark.parametrize(
    "beside",
    [
        (0, 11, b""),
        (0, 11, b"\0" * 15),
        (0, 8, message(errno.ECONNREFUSED, 2, 3, 3)[2]),
        message(0, 4, 0, 0),  # a stamp of what was sent
        message(0, 5, 0, 0),
    ],
)
def test_what_is_no_error_of_the_network_is_none(beside: Ancillary) -> None:
    assert parse(b"", [beside], ASKED) is None


@given(st.sampled_from([(0, 11), (41, 25), (1, 35)]), st.binary(max_size=80), st.binary())
def test_nothing_that_can_lie_there_makes_it_fail(
    kind: tuple[int, int], data: bytes, payload: bytes
) -> None:
    error = parse(payload, [(*kind, data)], None)
    assert error is None or str(error)


@given(
    st.sampled_from(Origin),
    st.integers(0, 255),
    st.integers(0, 255),
    st.integers(0, 2**32 - 1),
    st.sampled_from(["10.0.0.1", "192.0.2.255", "fd77::1", "fe80::1"]),
)
def test_what_the_kernel_writes_is_read_as_it_was(
    origin: Origin, type_: int, code: int, info: int, host: str
) -> None:
    sender = inet6(host) if ":" in host else inet(host)
    beside = message(errno.ENETUNREACH, origin.value, type_, code, info, sender)
    assert parse(b"data", [beside], ASKED) == NetworkError(
        errno=errno.ENETUNREACH,
        origin=origin,
        type=type_,
        code=code,
        info=info,
        sender=host,
        destination=ASKED,
        payload=b"data",
    )


@pytest.mark.parametrize(
    ("family", "host"), [(socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")]
)
def test_the_queue_is_read_a_bounded_number_at_a_time(family: int, host: str) -> None:
    with socket.socket(family, socket.SOCK_DGRAM) as gone:
        gone.bind((host, 0))
        nobody = gone.getsockname()[:2]
    with socket.socket(family, socket.SOCK_DGRAM) as sock:
        listen(sock)
        sent = 0
        while sent < MOST_ERRORS + 5:
            try:
                sock.sendto(b"%d" % sent, nobody)
            except ConnectionRefusedError:  # of an earlier one
                continue
            sent += 1
        found: list[NetworkError] = []
        sizes = []

        def all_are_here() -> bool:
            sizes.append(len(part := read(sock)))
            found.extend(part)
            return len(found) == sent

        wait_until(all_are_here, lambda: f"{sent} errors, not {len(found)}")
        assert max(sizes) <= MOST_ERRORS
        assert [error.payload for error in found] == [b"%d" % number for number in range(sent)]
        assert {(error.sender, error.destination) for error in found} == {(host, nobody)}
        assert read(sock) == []
