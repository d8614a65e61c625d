"""Urgent data of a socket: how much stands before a byte that was told of."""

from __future__ import annotations

import socket

from sockd.net.urgent import UrgentSocket
from tests.net.urgent_wires import await_bytes, connected


def test_what_stands_before_a_byte_is_known_until_it_is_read() -> None:
    told: list[int] = []
    with connected() as (near, far):
        far.setblocking(False)
        urgent = UrgentSocket(far, lambda _: told.append(urgent.ahead))
        assert urgent.ahead == 0
        near.send(b"before!", socket.MSG_OOB)
        near.send(b"after")
        await_bytes(far, 12)
        urgent.look()
        assert (told, urgent.ahead) == ([6], 6)
        assert urgent.read(4) == b"befo"
        assert urgent.ahead == 2
        assert urgent.read(100) in (b"re", b"reafter")
        assert urgent.ahead == 0


def test_urgent_bytes_that_were_told_of_are_not_among_what_stands_before_another() -> None:
    with connected() as (near, far):
        far.setblocking(False)
        urgent = UrgentSocket(far, lambda _: None)
        for number, data in enumerate((b"ab!", b"cd?")):
            near.send(data, socket.MSG_OOB)
            await_bytes(far, 3 * number + 3)
            assert urgent.look()
        assert urgent.ahead == 4


def test_what_stands_before_a_byte_can_be_seen_and_is_still_read() -> None:
    with connected() as (near, far):
        far.setblocking(False)
        urgent = UrgentSocket(far, lambda _: None)
        near.send(b"before")
        await_bytes(far, 6)
        assert urgent.peek(100) == b""  # no byte was told of
        near.send(b"!", socket.MSG_OOB)
        near.send(b"after")
        await_bytes(far, 12)
        assert urgent.look()
        assert urgent.peek(3) == b"bef"
        assert urgent.peek(100) == b"before"
        assert urgent.read(100) in (b"before", b"beforeafter")
        assert urgent.peek(100) == b""
