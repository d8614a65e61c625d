"""Streams over TLS, in memory: the same limits hold as without it."""

from __future__ import annotations

import gc
import tracemalloc
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve
from OpenSSL import SSL
from twisted.internet.address import IPv4Address

from sockd.listen.strings import parse
from sockd.net import tls
from sockd.net.entry import ConnectionFactory
from sockd.net.stream import Stream
from sockd.service import Kind
from tests.helpers import ENTRANCE, FOUND, LogRecorder, make_context
from tests.memory import ASKER, Client

LIMIT = 256 * 1024


class TLSClient(Client):
    """A client whose bytes go through TLS; `take` says how many encrypted ones it reads."""

    def __init__(self, kind: Kind | str, tls_files: tuple[Path, ...], **table: Any) -> None:
        certificate, key, _ = tls_files
        listen = parse(f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}")
        context = make_context(kind, **table)
        factory = tls.TLSFactory(tls.Connections(tls.load(listen.terms)), context.clock)
        self.guard = context.guard
        stream: Any = (FOUND.kinds[kind] if isinstance(kind, str) else kind).stream
        door = ConnectionFactory(context, stream, evolve(ENTRANCE, transport="tls"), factory.wrap)
        address = IPv4Address("TCP", *ASKER)
        super().__init__(context.world.reactor, door.buildProtocol(address))
        self.tls = SSL.Connection(SSL.Context(SSL.TLS_CLIENT_METHOD), None)
        self.tls.set_connect_state()
        self.text = b""
        self.ended = False
        self._fed = 0

    def shake_hands(self) -> None:
        """Complete the handshake."""
        done = False
        while not done:
            with suppress(SSL.WantReadError):
                self.tls.do_handshake()
                done = True
            self.carry()

    def say(self, data: bytes) -> None:
        """Send a text of any length."""
        for start in range(0, len(data), 16_384):
            self.tls.send(data[start : start + 16_384])
            self.carry()

    def finish(self) -> None:
        """End our half of TLS."""
        self.tls.shutdown()
        self.carry()

    def carry(self) -> None:
        """Carry what there is, in both directions, until nothing moves."""
        while True:
            with suppress(SSL.WantReadError):
                self.send(self.tls.bio_read(1 << 20))
            self.loop.settle()
            new = self.received[self._fed :]
            if not new:
                return
            self._fed += len(new)
            self.tls.bio_write(new)
            self._read()

    def _read(self) -> None:
        try:
            while part := self.tls.recv(65_536):
                self.text += part
        except SSL.WantReadError:
            return
        except SSL.ZeroReturnError:
            self.ended = True


def test_a_connection_is_open_once_its_handshake_is_done(
    tls_files: tuple[Path, ...], log: LogRecorder
) -> None:
    client = TLSClient("echo", tls_files)
    assert (log.events("opened"), len(client.guard.sessions)) == ([], 1)
    client.shake_hands()
    assert len(log.events("opened")) == 1
    client.say(b"hello")
    assert client.text == b"hello"


def test_a_client_that_has_finished_sending_gets_its_answer_and_an_end(
    tls_files: tuple[Path, ...],
) -> None:
    client = TLSClient("wrap", tls_files)
    client.shake_hands()
    client.say(b"some words " * 1000)
    client.finish()
    assert b" ".join(client.text.split()) == (b"some words " * 1000).strip()
    assert client.ended
    assert client.is_closed


def test_a_client_that_does_not_read_costs_no_more_than_without_tls(
    tls_files: tuple[Path, ...],
) -> None:
    warm_up = TLSClient("echo", tls_files)
    warm_up.shake_hands()
    warm_up.say(b"hello")
    flood = b"x" * 65_536
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    gc.collect()
    tracemalloc.start()
    try:
        for _ in range(64):
            client.say(flood)
        gc.collect()
        waiting = sum(map(len, client.socket.inbox))
        held = tracemalloc.get_traced_memory()[0] - waiting
    finally:
        tracemalloc.stop()
    assert waiting > 3_500_000
    assert held <= LIMIT, f"{held} bytes"
    client.take()
    client.carry()
    assert client.text == flood * 64


def test_a_client_that_takes_nothing_for_a_minute_is_cut_off(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.take(0)
    client.say(b"x" * 300_000)
    client.loop.advance(58)
    assert client.guard.sessions
    client.loop.advance(4)
    assert client.is_closed


def test_an_idle_client_is_closed_after_two_minutes(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient("echo", tls_files)
    client.shake_hands()
    client.loop.advance(122)
    client.carry()
    assert client.ended


def test_a_peer_that_does_not_answer_the_end_of_tls_is_not_waited_for_for_ever(
    tls_files: tuple[Path, ...],
) -> None:
    client = TLSClient("daytime", tls_files)
    client.shake_hands()
    assert client.ended
    client.loop.advance(62)
    assert client.is_closed


class Patient(Stream):
    """Has something to say, but not yet."""

    def finished(self) -> None:
        """Wait."""


def test_what_a_peer_sends_after_its_end_of_tls_is_not_kept(tls_files: tuple[Path, ...]) -> None:
    client = TLSClient(Kind(name="patient", doc="Waits.", stream=Patient), tls_files)
    client.shake_hands()
    client.finish()
    for _ in range(64):
        client.send(b"x" * 65_536)
    read = 64 * 65_536 - sum(map(len, client.socket.inbox))
    assert read <= LIMIT, f"{read} bytes"
    client.protocol.wrappedProtocol.write(b"at last")
    client.loop.advance(1)
    client.carry()
    assert client.text == b"at last"
    client.protocol.wrappedProtocol.close()
    client.loop.settle()
    assert client.is_closed
