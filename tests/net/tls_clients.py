"""Clients of TLS in memory, polite ones and others."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import evolve
from OpenSSL import SSL
from twisted.internet.address import IPv4Address
from twisted.internet.interfaces import IProtocol

from sockd.listen.strings import parse
from sockd.net import tls
from sockd.net.entry import ConnectionFactory
from sockd.service import Kind
from tests.helpers import ENTRANCE, FOUND, make_context
from tests.memory import ASKER, Client, Loop
from tests.security.tls_records import Writer13

Files = tuple[Path, ...]


def factory_of(tls_files: Files, loop: Any) -> tls.TLSFactory:
    """What puts TLS around protocols, with a certificate and its key."""
    certificate, key, *_ = tls_files
    listen = parse(f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}")
    return tls.TLSFactory(tls.Connections(tls.load(listen.terms)), loop)


class WireClient(Client):
    """A client whose bytes go through TLS; `take` says how many encrypted ones it reads."""

    def __init__(self, loop: Loop, protocol: Any) -> None:
        super().__init__(loop, protocol)
        self._secrets: dict[str, bytes] = {}
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_keylog_callback(self._note)
        self.tls = SSL.Connection(context, None)
        self.tls.set_connect_state()
        self.text = b""
        self.ended = False
        self._fed = 0

    def _note(self, _: SSL.Connection, line: bytes) -> None:
        name, _random, secret = line.split()
        self._secrets[name.decode()] = bytes.fromhex(secret.decode())

    def shake_hands(self) -> None:
        """Complete the handshake."""
        done = False
        while not done:
            with suppress(SSL.WantReadError):
                self.tls.do_handshake()
                done = True
            self.carry()

    def writer(self) -> Writer13:
        """Makes records that no library makes; after the handshake, before anything was said."""
        digest = (self.tls.get_cipher_name() or "").rpartition("_")[2].lower()
        return Writer13(self._secrets["CLIENT_TRAFFIC_SECRET_0"], digest)

    def say(self, data: bytes) -> None:
        """Send a text of any length."""
        for start in range(0, len(data), 16_384):
            self.tls.send(data[start : start + 16_384])
            self.carry()

    def said_in_records(self, data: bytes) -> bytes:
        """A text as it would be sent, in records of a byte."""
        for at in range(len(data)):
            self.tls.send(data[at : at + 1])
        return self.tls.bio_read(1 << 24)

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

    @property
    def is_read_from(self) -> bool:
        """Whether the daemon would read what this sends."""
        return self.transport in self.loop._readers


class TLSClient(WireClient):
    """A client of a service."""

    def __init__(self, kind: Kind | str, tls_files: Files, **table: Any) -> None:
        context = make_context(kind, **table)
        self.guard = context.guard
        stream: Any = (FOUND.kinds[kind] if isinstance(kind, str) else kind).stream
        wrap = factory_of(tls_files, context.clock).wrap
        door = ConnectionFactory(context, stream, evolve(ENTRANCE, transport="tls"), wrap)
        address = IPv4Address("TCP", *ASKER)
        super().__init__(context.world.reactor, door.buildProtocol(address))
        self.stream: Any = self.protocol.wrappedProtocol


def wrapped(tls_files: Files, protocol: IProtocol) -> WireClient:
    """A client of any protocol, its handshake done."""
    loop = Loop()
    client = WireClient(loop, factory_of(tls_files, loop).wrap(protocol))
    client.shake_hands()
    return client
