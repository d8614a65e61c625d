"""Urgent data of a socket, and what the network does: bytes that are late, broken connections."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from sockd.net.urgent import UrgentSocket
from tests.daemons import namespace, socket_on
from tests.net.urgent_wires import (
    WHOLE,
    Ends,
    await_bytes,
    bytes_come,
    connected,
    ends,
    is_urgent,
    reset,
)
from tests.processes import PATIENCE, succeed, wait_until

MEGABYTE = 2**20
TIMESTAMPED = 20 + 32
"""Bytes of a segment besides its data."""
LOSES = """
table inet filter {
    chain input {
        type filter hook input priority 0; policy accept;
        RULE
    }
}
"""


# announced before it has come


def fill(there: Ends, count: int) -> None:
    """Send so many bytes and an urgent one, more than there is room for."""
    there.near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, MEGABYTE)
    there.near.sendall(bytes(count))
    there.near.send(b"!", socket.MSG_OOB)
    there.near.sendall(b"after")


@pytest.mark.parametrize("count", [10_000, 50_000])
def test_a_byte_for_which_there_is_no_room_comes_when_what_there_is_is_dropped(count: int) -> None:
    with ends(buffer=4096) as there:
        fill(there, count)
        # the peer says so when it asks whether there is room
        wait_until(lambda: there.urgent.is_coming, "the urgent byte is announced")
        assert not there.urgent.look()
        assert not is_urgent(there.far)
        wait_until(lambda: (there.urgent.discard(), there.urgent.look())[1], "the urgent byte")
        assert there.told == [b"!"]
        there.urgent.discard()
        assert not there.urgent.is_coming
        await_bytes(there.far, count + 6)
        assert there.data() == b"after"


@pytest.mark.parametrize("count", [20_000, 200_000])
def test_a_byte_for_which_there_is_no_room_comes_when_what_there_is_is_read(count: int) -> None:
    """One that stands farther than 64 KB behind what there is room for is not even announced."""
    with ends(buffer=4096) as there:
        fill(there, count)
        got = b""

        def read() -> bool:
            nonlocal got
            got += there.data()
            return len(got) == count + 5

        wait_until(read, "everything")
        assert got == bytes(count) + b"after"
        assert there.told == [b"!"]


def test_nothing_is_announced_while_nothing_is_urgent() -> None:
    with ends() as there:
        assert not there.urgent.is_coming
        there.send(b"ab")
        assert not there.urgent.is_coming
        there.send("!")
        assert not there.urgent.is_coming
        there.urgent.look()
        assert not there.urgent.is_coming


# lost on the way


@contextmanager
def losing(size: int) -> Iterator[tuple[Ends, str]]:
    """A host on which segments with so many bytes are lost, and a connection there."""
    rule = f"ip length {TIMESTAMPED + size} tcp dport 7 drop"
    with namespace() as host, socket_on(host, socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind(("127.0.0.1", 7))
        server.listen()
        succeed("ip", "netns", "exec", host, "nft", LOSES.replace("RULE", rule))
        with socket_on(host, socket.AF_INET, socket.SOCK_STREAM) as near:
            near.connect(("127.0.0.1", 7))
            near.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            far, _ = server.accept()
            with far:
                yield Ends(near, far), host


def test_a_byte_before_which_something_was_lost_is_told_of_when_that_has_come_again() -> None:
    with losing(len(b"before")) as (there, host):
        there.send(b"x")
        there.near.send(b"before")
        there.near.send(b"!", socket.MSG_OOB)
        there.near.send(b"and after")
        assert is_urgent(there.far, PATIENCE)
        # the kernel has it, and cannot say where it stands
        assert not there.urgent.look()
        assert there.urgent.is_coming
        succeed("ip", "netns", "exec", host, "nft", "flush ruleset")
        await_bytes(there.far, len(b"xbefore!and after"))
        assert there.data() == b"xbeforeand after"
        assert there.told == [b"!"]


def test_who_drops_when_told_drops_nothing_before_another_byte_that_is_announced_by_then() -> None:
    with losing(len(b"before")) as (there, host):

        def drop() -> None:
            if there.told == [b"!"]:
                there.send(b"between")
                there.near.send(b"before")
                there.near.send(b"?", socket.MSG_OOB)
                wait_until(lambda: there.urgent.is_coming, "the next one is announced")
                there.urgent.discard()

        there.do = drop
        there.send("!")
        assert there.read() == [None, b"between"]
        succeed("ip", "netns", "exec", host, "nft", "flush ruleset")
        await_bytes(there.far, len(b"!betweenbefore?"))
        assert there.data() == b"before"
        assert there.told == [b"!", b"?"]


# the end


def test_a_connection_that_was_reset_has_broken_and_is_not_at_its_end() -> None:
    with ends() as there:
        there.send("ab!", b"cd")
        reset(there.near)
        wait_until(lambda: _is_broken(there.far), "the reset")
        # it cannot be told ahead any more
        assert [there.urgent.read(WHOLE) for _ in range(3)] == [b"ab", None, b"cd"]
        assert there.told == [b"!"]
        with pytest.raises(ConnectionResetError):
            there.urgent.read(WHOLE)


def test_a_look_keeps_nothing_of_the_error_of_a_broken_connection_to_itself() -> None:
    with ends() as there:
        reset(there.near)
        wait_until(lambda: _is_broken(there.far), "the reset")
        assert not there.urgent.look()
        assert not there.urgent.is_coming
        there.urgent.discard()
        with pytest.raises(ConnectionResetError):
            there.urgent.read(WHOLE)


def _is_broken(sock: socket.socket) -> bool:
    """Whether the other end has reset it; its state is TCP_CLOSE."""
    return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1) == b"\x07"


def test_of_a_closed_socket_nothing_is_told_though_another_has_its_number() -> None:
    with ends() as there, connected() as (near, far):
        number = there.far.fileno()
        there.far.close()
        taken = socket.fromfd(far.fileno(), socket.AF_INET, socket.SOCK_STREAM)
        with taken:
            assert taken.fileno() == number
            near.send(b"!", socket.MSG_OOB)
            assert is_urgent(taken, PATIENCE)
            assert not there.urgent.look()
            assert not there.urgent.is_coming
            there.urgent.discard()
            there.urgent.stop()


def test_what_is_raised_when_a_byte_is_told_of_is_raised_by_the_look_and_it_is_told_of() -> None:
    def fail() -> None:
        raise ZeroDivisionError

    with ends() as there:
        there.send("ab!", b"cd")
        there.do = fail
        with pytest.raises(ZeroDivisionError):
            there.urgent.read(WHOLE)
        assert there.data() == b"abcd"


def test_when_it_stops_the_kernel_leaves_urgent_bytes_out_again() -> None:
    with ends() as there:
        there.urgent.stop()
        there.send("ab!", b"cd")
        assert [there.far.recv(9), there.far.recv(9)] == [b"ab", b"cd"]


# sending


def test_an_urgent_byte_is_sent_in_its_place() -> None:
    with connected() as (near, far):
        there = Ends(far, near)
        sender = UrgentSocket(far, print)
        far.send(b"ab")
        assert sender.send(b"!")
        far.send(b"cd")
        await_bytes(near, 5)
        assert there.urgent.look()
        assert there.told == [b"!"]
        assert there.read() == [b"ab", b"cd"]


def test_there_may_be_no_room_to_send_an_urgent_byte() -> None:
    with ends() as there:
        there.near.setblocking(False)
        sender = UrgentSocket(there.near, print)
        with suppress(BlockingIOError):
            while True:
                there.near.send(bytes(WHOLE))
        # what is on its way makes room once more
        wait_until(lambda: not _fill(there.near) and not sender.send(b"!"), "it is full")
        assert bytes_come(there.far)


def _fill(sock: socket.socket) -> int:
    try:
        return sock.send(bytes(WHOLE))
    except BlockingIOError:
        return 0


def test_an_urgent_byte_for_a_connection_that_is_over_is_an_error() -> None:
    with ends() as there:
        sender = UrgentSocket(there.near, print)
        there.near.shutdown(socket.SHUT_WR)
        with pytest.raises(BrokenPipeError):
            sender.send(b"!")
