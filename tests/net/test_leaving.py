"""An address that is let go of is read on for as long as somebody may come, and no longer."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from sockd.listen.leaving import has_waiting, turn_away
from sockd.listen.listen import Listen
from sockd.listen.sockets import ListenError, bound_file
from sockd.listen.strings import parse
from sockd.net.leaving import LOOK_SECONDS, ReadingOn
from sockd.net.waiting import within
from tests.processes import PATIENCE

INET, INET6 = socket.AF_INET, socket.AF_INET6
MANY = 40
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


class Waiting:
    """Whether something waits: the test says so."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.is_empty = True
        self.one = ReadingOn(self.clock, lambda: self.is_empty)

    def advance(self, seconds: float) -> None:
        self.clock.pump([LOOK_SECONDS] * round(seconds / LOOK_SECONDS))


def is_over(waited: Deferred[Any]) -> bool:
    return bool(waited.called)


def test_where_nobody_is_on_the_way_and_nothing_waits_it_is_over_at_the_first_look() -> None:
    waiting = Waiting()
    over = waiting.one.wait(0, 10)
    waiting.advance(LOOK_SECONDS)
    assert is_over(over)
    assert not waiting.clock.getDelayedCalls()


def test_what_waits_is_waited_for() -> None:
    waiting = Waiting()
    waiting.is_empty = False
    over = waiting.one.wait(0, 10)
    waiting.advance(9)
    assert not is_over(over)
    waiting.is_empty = True
    waiting.advance(LOOK_SECONDS)
    assert is_over(over)
    assert not waiting.clock.getDelayedCalls()


def test_who_never_ends_to_come_is_waited_for_no_longer_than_that() -> None:
    waiting = Waiting()
    waiting.is_empty = False
    over = waiting.one.wait(3, 10)
    waiting.advance(9.9)
    assert not is_over(over)
    waiting.advance(0.2)
    assert is_over(over)


def test_who_is_on_the_way_is_waited_for_though_nothing_waits() -> None:
    waiting = Waiting()
    over = waiting.one.wait(3, 10)
    waiting.advance(2.9)
    assert not is_over(over)
    waiting.advance(0.2)
    assert is_over(over)


def test_it_can_be_hastened_and_that_twice() -> None:
    waiting = Waiting()
    over = waiting.one.wait(3, 10)
    waiting.one.hasten()
    waiting.one.hasten()
    assert is_over(over)
    assert not waiting.clock.getDelayedCalls()


def bound(family: socket.AddressFamily, kind: socket.SocketKind, host: str) -> socket.socket:
    sock = socket.socket(family, kind)
    sock.settimeout(PATIENCE)
    sock.bind((host, 0))
    if kind == STREAM:
        sock.listen()
    return sock


def knock(sock: socket.socket, where: tuple[str, int]) -> None:
    sock.connect(where)
    sock.send(b"late")  # of datagrams the refusal comes back
    sock.recv(100)


@pytest.mark.parametrize("kind", [STREAM, DATAGRAM], ids=["connections", "datagrams"])
@pytest.mark.parametrize(
    ("family", "host"),
    [(INET, "127.0.0.1"), (INET, "0.0.0.0"), (INET6, "::1"), (INET6, "::")],
)
def test_who_has_come_to_a_socket_stays_and_nobody_else_comes(
    family: socket.AddressFamily, host: str, kind: socket.SocketKind
) -> None:
    loopback = "127.0.0.1" if family == INET else "::1"
    with (
        bound(family, kind, host) as sock,
        socket.socket(family, kind) as early,
        socket.socket(family, kind) as late,
    ):
        where = (loopback, sock.getsockname()[1])
        early.connect(where)
        early.send(b"early")
        assert turn_away(sock)
        late.settimeout(PATIENCE)
        with pytest.raises(ConnectionRefusedError):
            knock(late, where)
        assert has_waiting(sock)
        if kind == STREAM:
            with sock.accept()[0] as accepted:
                assert accepted.recv(100) == b"early"
                accepted.send(b"answer")
        else:
            data, sender = sock.recvfrom(100)
            assert data == b"early"
            sock.sendto(b"answer", sender)
        early.settimeout(PATIENCE)
        assert early.recv(100) == b"answer"
        assert not has_waiting(sock)


def place(host: str, port: int) -> Listen:
    return parse(f"udp:{port}:interface={f'[{host}]' if ':' in host else host}")


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ("127.0.0.1", "127.0.0.1"),
        ("127.0.0.1", "0.0.0.0"),
        ("0.0.0.0", "127.0.0.1"),
        ("0.0.0.0", "0.0.0.0"),
        ("::1", "::1"),
        ("::", "::"),
    ],
)
def test_who_still_holds_one_for_datagrams_keeps_us_from_its_port_no_more_and_gets_nothing(
    host: str, wanted: str
) -> None:
    family = INET6 if ":" in host else INET
    with bound(family, DATAGRAM, host) as sock, sock.dup() as held:
        port = sock.getsockname()[1]
        with pytest.raises(ListenError, match="address in use"):
            bound_file(place(wanted, port), is_left=True)  # it is in use
        assert turn_away(sock)
        sock.close()
        with pytest.raises(ListenError, match="address in use"):
            bound_file(place(wanted, port))  # nobody has said that it was ours
        with bound_file(place(wanted, port), is_left=True)[0] as new:
            where = ("127.0.0.1" if family == INET else "::1", port)
            for number in range(MANY):
                with socket.socket(family, DATAGRAM) as client:
                    client.sendto(bytes([number]), where)
            assert [new.recv(100)[0] for _ in range(MANY)] == [*range(MANY)]
            assert not has_waiting(held)


def test_a_unix_socket_is_left_as_it_is() -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        assert not turn_away(sock)


def test_what_is_waited_for_is_waited_for_no_longer_than_that() -> None:
    clock = Clock()
    waited: Deferred[None] = Deferred()
    over = within(5, waited, clock)
    clock.advance(4.9)
    assert not is_over(over)
    clock.advance(0.1)
    assert is_over(over)
    waited.callback(None)  # too late, and no error
    again: Deferred[None] = Deferred()
    over = within(5, again, clock)
    again.callback(None)
    assert is_over(over)
    assert not clock.getDelayedCalls()
