"""TLS as no library sends it: OpenSSL shakes hands, and then every record is made here.

The keys are those that OpenSSL tells for debugging. With them a record can hold nothing, a byte, an
alert or any message, and be one of thousands that were made before the first is sent.
"""

from __future__ import annotations

import hmac
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from attrs import define, field
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from OpenSSL import SSL

TLS_1_2, TLS_1_3 = SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION
ALERT, HANDSHAKE, DATA = 21, 22, 23
"""What is in a record."""
HEADER = 5
"""Bytes before that."""
WARNING = 1
CLOSE_NOTIFY, USER_CANCELED, NO_RENEGOTIATION = 0, 90, 100
KEY_UPDATE = b"\x18\0\0\1"
"""A message of TLS 1.3, without its last byte: whether the other side is to do the same."""
CIPHERS = b"ECDHE-ECDSA-AES128-GCM-SHA256"


class Writer:
    """Makes the records of one direction, one after the other."""

    def alert(self, number: int) -> bytes:
        """A warning, or the end (CLOSE_NOTIFY)."""
        return self.record(ALERT, bytes([WARNING, number]))

    def data(self, data: bytes = b"") -> bytes:
        """Data of the application, or a record of it that has none."""
        return self.record(DATA, data)

    def record(self, kind: int, data: bytes) -> bytes:
        """The next record, whatever is in it."""
        raise NotImplementedError


@define(eq=False)
class Writer13(Writer):
    """TLS 1.3 (RFC 8446, sections 5 and 7)."""

    secret: bytes
    digest: str
    _key: AESGCM = field(init=False)
    _nonce: int = field(init=False)
    _count: int = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._key = AESGCM(self._expand(b"key", 16 if self.digest == "sha256" else 32))
        self._nonce = int.from_bytes(self._expand(b"iv", 12), "big")
        self._count = 0

    def _expand(self, label: bytes, size: int) -> bytes:
        label = b"tls13 " + label
        text = struct.pack("!HB", size, len(label)) + label + b"\0\1"
        return hmac.digest(self.secret, text, self.digest)[:size]

    def record(self, kind: int, data: bytes) -> bytes:
        header = struct.pack("!BHH", DATA, 0x303, len(data) + 17)
        nonce = (self._nonce ^ self._count).to_bytes(12, "big")
        self._count += 1
        return header + self._key.encrypt(nonce, data + bytes([kind]), header)

    def key_update(self, requested: bool = True) -> bytes:
        """New keys from here on, and perhaps for the other direction too."""
        told = self.record(HANDSHAKE, KEY_UPDATE + bytes([requested]))
        self.secret = self._expand(b"traffic upd", len(self.secret))
        self._begin()
        return told


@define(eq=False)
class Writer12(Writer):
    """TLS 1.2 with AES-GCM (RFC 5246, RFC 5288)."""

    _key: AESGCM
    _salt: bytes
    _count: int = 1  # the client's Finished was the first

    def record(self, kind: int, data: bytes) -> bytes:
        number = struct.pack("!Q", self._count)
        self._count += 1
        text = number + struct.pack("!BHH", kind, 0x303, len(data))
        sealed = number + self._key.encrypt(self._salt + number, data, text)
        return struct.pack("!BHH", kind, 0x303, len(sealed)) + sealed


def _keys_12(master: bytes, seed: bytes) -> Writer12:
    """The client's direction of the key block (RFC 5246, sections 5 and 6.3)."""
    seed = b"key expansion" + seed
    block, chained = b"", seed
    while len(block) < 40:
        chained = hmac.digest(master, chained, "sha256")
        block += hmac.digest(master, chained + seed, "sha256")
    return Writer12(AESGCM(block[:16]), block[32:36])


@define(eq=False)
class TLSPeer:
    """A client of TLS on a connected socket, whose handshake is done, and who obeys nobody."""

    wire: socket.socket
    version: int = TLS_1_3
    writer: Writer = field(init=False)
    _tls: SSL.Connection = field(init=False)
    _secrets: dict[str, bytes] = field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self._tls = SSL.Connection(self._context(), None)
        self._tls.set_connect_state()
        self._wait_for(self._tls.do_handshake)
        if self.version == TLS_1_2:
            randoms = (self._tls.server_random(), self._tls.client_random())
            seed = b"".join(one for one in randoms if one)
            self.writer = _keys_12(self._secrets["CLIENT_RANDOM"], seed)
        else:
            digest = (self._tls.get_cipher_name() or "").rpartition("_")[2].lower()
            self.writer = Writer13(self._secrets["CLIENT_TRAFFIC_SECRET_0"], digest)

    def _context(self) -> SSL.Context:
        context = SSL.Context(SSL.TLS_CLIENT_METHOD)
        context.set_min_proto_version(self.version)
        context.set_max_proto_version(self.version)
        context.set_cipher_list(CIPHERS)
        context.set_keylog_callback(self._note)
        return context

    def _note(self, _: SSL.Connection, line: bytes) -> None:
        name, _random, secret = line.split()
        self._secrets[name.decode()] = bytes.fromhex(secret.decode())

    def _wait_for(self, step: Callable[[], object]) -> None:
        while True:
            try:
                step()
            except SSL.WantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return

    def _flush(self) -> None:
        with _nothing():
            while True:
                self.wire.sendall(self._tls.bio_read(65_536))

    def _fill(self) -> None:
        data = self.wire.recv(65_536)
        if not data:
            raise ConnectionResetError("the connection was cut")
        self._tls.bio_write(data)

    @property
    def writer13(self) -> Writer13:
        """The records, which are those of TLS 1.3."""
        assert isinstance(self.writer, Writer13)
        return self.writer

    def send(self, *records: bytes) -> None:
        """Send what was made."""
        self.wire.sendall(b"".join(records))

    def receive(self) -> bytes:
        """What comes next in TLS; nothing once the other side has said its end."""
        while True:
            try:
                return self._tls.recv(65_536)
            except SSL.WantReadError:
                self._fill()
            except SSL.ZeroReturnError:
                return b""

    def receive_all(self) -> bytes:
        """What comes in TLS until its end."""
        return b"".join(iter(self.receive, b""))


@contextmanager
def _nothing() -> Iterator[None]:
    """Nothing is left to send."""
    try:
        yield
    except SSL.WantReadError:
        return


def client_hello(version: int = TLS_1_3) -> bytes:
    """The first record of a client."""
    context = SSL.Context(SSL.TLS_CLIENT_METHOD)
    context.set_min_proto_version(version)
    context.set_max_proto_version(version)
    tls = SSL.Connection(context, None)
    tls.set_connect_state()
    try:
        tls.do_handshake()
    except SSL.WantReadError:
        return tls.bio_read(65_536)
    raise AssertionError("a handshake of one side")
