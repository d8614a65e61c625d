"""TLS handshakes, record by record, against OpenSSL's other half in memory."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache

import pytest
from cryptography.x509 import load_pem_x509_certificate
from hypothesis import given
from hypothesis import strategies as st
from OpenSSL import SSL

from sockd.reactor.handshake import Handshake, Next
from sockd.reactor.records import HANDSHAKE_RECORDS, TURN_RECORDS, TooManyRecords
from tests.reactor.twins import authority

HANDSHAKE = b"\x16\x03\x01"
"""How a record of a hello begins: its type and the version that all of them name."""


@cache
def context() -> SSL.Context:
    """A server's side."""
    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    authority().issue_cert("localhost").configure_cert(made)
    return made


class Both:
    """A server's half on a socket, and a client's in memory."""

    def __init__(self, ours: socket.socket, peer: socket.socket, names: int = 1) -> None:
        self.ours, self.peer = ours, peer
        self.server = SSL.Connection(context(), None)
        self.server.set_accept_state()
        self.handshake = Handshake(self.server, ours)
        self.client = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.client.set_alpn_protos([b"protocol %d" % number for number in range(names)])
        self.client.set_connect_state()

    def says(self) -> bytes:
        """What the client has to say next."""
        with suppress(SSL.WantReadError):
            self.client.do_handshake()
        said = b""
        with suppress(SSL.WantReadError):
            while part := self.client.bio_read(65_536):
                said += part
        return said

    def hears(self) -> None:
        """The client gets what has been sent to it."""
        with suppress(BlockingIOError):
            while data := self.peer.recv(65_536):
                self.client.bio_write(data)


@contextmanager
def both(names: int = 1) -> Iterator[Both]:
    ours, peer = socket.socketpair()
    with ours, peer:
        ours.setblocking(False)
        peer.setblocking(False)
        yield Both(ours, peer, names)


def cut(hello: bytes, sizes: list[int]) -> bytes:
    """The same message in records of these lengths, again and again."""
    message, records, number = hello[5:], b"", 0
    while message:
        part = message[: sizes[number % len(sizes)]]
        records += HANDSHAKE + len(part).to_bytes(2) + part
        message, number = message[len(part) :], number + 1
    return records


def go_on(pair: Both) -> None:
    """To the end, which comes."""
    while pair.handshake.step() is not Next.NOTHING:
        pair.hears()
        pair.peer.send(pair.says())


@given(st.lists(st.integers(2, 400), min_size=1, max_size=5), st.integers(1, 2000))
def test_a_hello_may_be_cut_anywhere_and_come_in_any_pieces(sizes: list[int], piece: int) -> None:
    with both() as pair:
        hello = cut(pair.says(), sizes)
        for start in range(0, len(hello), piece):
            pair.peer.send(hello[start : start + piece])
            assert pair.handshake.step() is Next.READS
        go_on(pair)


def test_nothing_is_taken_of_what_comes_behind_it() -> None:
    with both() as pair:
        pair.peer.send(pair.says())
        pair.handshake.step()
        pair.hears()
        last = pair.says()
        pair.client.send(b"text")
        behind = pair.client.bio_read(65_536)
        pair.peer.send(last + behind)
        assert pair.handshake.step() is Next.NOTHING
        assert pair.ours.recv(65_536) == behind


def test_a_turn_takes_so_many_records_and_not_one_more() -> None:
    with both(names=100) as pair:
        hello = cut(pair.says(), [1])
        pair.peer.send(hello)
        assert pair.handshake.step() is Next.READS
        assert len(pair.ours.recv(len(hello))) == len(hello) - 6 * TURN_RECORDS


def test_who_sends_more_records_than_any_handshake_has_is_ended() -> None:
    with both(names=150) as pair:
        hello = cut(pair.says(), [1])
        assert len(hello) > 6 * HANDSHAKE_RECORDS
        pair.peer.send(hello)
        for _ in range(HANDSHAKE_RECORDS // TURN_RECORDS):
            assert pair.handshake.step() is Next.READS
        with pytest.raises(TooManyRecords):
            pair.handshake.step()


def test_nor_if_the_last_of_them_comes_in_two_pieces() -> None:
    with both(names=150) as pair:
        hello = cut(pair.says(), [1])
        whole = 6 * HANDSHAKE_RECORDS
        pair.peer.send(hello[: whole + 3])
        for _ in range(HANDSHAKE_RECORDS // TURN_RECORDS + 1):
            assert pair.handshake.step() is Next.READS
        pair.peer.send(hello[whole + 3 : whole + 6])
        with pytest.raises(TooManyRecords):
            pair.handshake.step()


def test_a_flight_that_the_socket_does_not_take_is_sent_when_it_does() -> None:
    with both() as pair:
        pair.ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        sent = 0
        with suppress(BlockingIOError):
            while True:
                sent += pair.ours.send(b"x")
        pair.peer.send(pair.says())
        assert pair.handshake.step() is Next.WRITES
        assert pair.handshake.step() is Next.WRITES
        while sent:
            sent -= len(pair.peer.recv(sent))
        go_on(pair)


@pytest.mark.parametrize(
    "junk", [b"GET / HTTP/1.1\r\n", b"\x16\x03\x01\xff\xff", b"\x17\x03\x03\x00\x00"]
)
def test_what_is_no_handshake_is_told_by_its_header(junk: bytes) -> None:
    """Without waiting for as much as it seems to announce."""
    with both() as pair:
        pair.peer.send(junk[:5])
        with pytest.raises(SSL.Error):
            pair.handshake.step()


def test_why_it_has_failed_is_sent_to_the_peer() -> None:
    with both() as pair:
        pair.peer.send(HANDSHAKE + b"\x00\x04\xff\x00\x00\x00")
        with pytest.raises(SSL.Error):
            pair.handshake.step()
        assert pair.peer.recv(100)[0] == 21  # an alert


def test_an_end_within_it_is_an_error_of_the_socket() -> None:
    with both() as pair:
        pair.peer.send(pair.says()[:100])
        pair.peer.shutdown(socket.SHUT_WR)
        assert pair.handshake.step() is Next.READS
        with pytest.raises(ConnectionError):
            pair.handshake.step()


def test_a_flight_may_be_longer_than_what_is_taken_of_openssl_in_one_go() -> None:
    long = SSL.Context(SSL.TLS_SERVER_METHOD)
    made = authority().issue_cert("localhost")
    made.configure_cert(long)
    one = load_pem_x509_certificate(made.cert_chain_pems[0].bytes())
    for _ in range(20):
        long.add_extra_chain_cert(one)
    with both() as pair:
        pair.server.set_context(long)
        pair.peer.send(pair.says())
        assert pair.handshake.step() is Next.READS
        assert len(pair.peer.recv(65_536)) > 10_000


def test_what_a_callback_raises_is_told_where_the_handshake_does_not_fail_of_it() -> None:
    """A client that verifies nothing asks its callback, and goes on whatever that says."""

    def verify(*_: object) -> bool:
        raise LookupError("no certificate")

    careless = SSL.Context(SSL.TLS_CLIENT_METHOD)
    careless.set_verify(SSL.VERIFY_NONE, verify)
    with both() as pair:
        ours = SSL.Connection(careless, None)
        ours.set_connect_state()
        handshake = Handshake(ours, pair.ours)
        assert handshake.step() is Next.READS
        pair.server.bio_write(pair.peer.recv(65_536))
        with suppress(SSL.WantReadError):
            pair.server.do_handshake()
        pair.peer.send(pair.server.bio_read(65_536))
        with pytest.raises(LookupError):
            handshake.step()


def test_nothing_of_what_it_fails_of_stays_unread() -> None:
    """Else the kernel would reset the connection, and the alert be lost."""
    with both() as pair:
        pair.peer.send(HANDSHAKE + b"\x00\x04\xff\x00\x00\x00")
        with pytest.raises(SSL.Error):
            pair.handshake.step()
        with pytest.raises(BlockingIOError):
            pair.ours.recv(100)


def test_a_record_of_which_a_part_has_come_leaves_nothing_to_be_looked_at_again() -> None:
    """Else a poller would wake for it without end."""
    with both() as pair:
        pair.peer.send(pair.says()[:100])
        assert pair.handshake.step() is Next.READS
        with pytest.raises(BlockingIOError):
            pair.ours.recv(100)


def test_what_a_callback_raises_is_told() -> None:
    def choose(connection: SSL.Connection, names: list[bytes]) -> bytes:
        raise LookupError("no protocol")

    made = SSL.Context(SSL.TLS_SERVER_METHOD)
    authority().issue_cert("localhost").configure_cert(made)
    made.set_alpn_select_callback(choose)
    with both() as pair:
        pair.server.set_context(made)
        pair.peer.send(pair.says())
        with pytest.raises(LookupError):
            go_on(pair)
