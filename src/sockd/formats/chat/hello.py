"""Hello, and the answer: one round trip finds a server, tells what it is, and proves the address.

A hello is code 0 with a text, which an old server answers with ERROR as any other code 0. It is
padded to more than its answer takes, so nobody has a longer answer sent to an address that is not
theirs.
"""

from __future__ import annotations

import re
from collections.abc import Collection

from attrs import frozen

from sockd.formats.chat.events import Code, pack

VERSION = b"1"
NONCE_BYTES = 8
COOKIE_BYTES = 16
HELLO_BYTES = 200
"""Bytes of a hello: as many as the longest answer has."""
MAX_NAME = 48
"""Bytes of the longest name of a server."""
MAX_FEATURES = 64
"""Bytes of the longest list of features."""
_HELLO = re.compile(rb"HELLO (\d{1,3}) ([0-9a-f]{16})(?: |$)")
_WELCOME = re.compile(
    rb"(\d{1,3}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{32}) ([a-z0-9,-]{1,64})"
    rb"(?: ([^\s]{1,48}))?"
)


@frozen
class Hello:
    """What a client asks with."""

    nonce: bytes
    """Chosen by the client; the answer bears it."""

    def write(self) -> bytes:
        """The event, padded."""
        text = b"HELLO %s %s " % (VERSION, self.nonce.hex().encode())
        return pack(Code.NOTHING, text.ljust(HELLO_BYTES - 2, b"."))

    @classmethod
    def read(cls, text: bytes) -> Hello | None:
        """From the text of an event with code 0; None where it is no hello, or not padded."""
        if len(text) < HELLO_BYTES - 2 or not (found := _HELLO.match(text)):
            return None
        return cls(bytes.fromhex(found[2].decode()))


@frozen
class Welcome:
    """What a new server answers."""

    nonce: bytes
    server: bytes
    """8 bytes that tell this server from others, as long as it has its state."""
    epoch: int
    """Another one after each start of the server: what it knew before, it has forgotten."""
    cookie: bytes
    """Proves, in a log-in, that the client has had this."""
    features: Collection[str]
    name: str = ""
    """The server's name for people, without white space."""

    def write(self) -> bytes:
        """The event."""
        features = ",".join(sorted(self.features)).encode()[:MAX_FEATURES] or b"-"
        text = b"%s %s %s %08x %s %s" % (
            VERSION,
            self.nonce.hex().encode(),
            self.server.hex().encode(),
            self.epoch,
            self.cookie.hex().encode(),
            features,
        )
        name = self.name.encode()[:MAX_NAME]
        return pack(Code.WELCOME, text + (b" " + name if name else b""))

    @classmethod
    def read(cls, text: bytes) -> Welcome | None:
        """None where it is none."""
        if not (found := _WELCOME.match(text)):
            return None
        nonce, server, epoch, cookie = (found[group].decode() for group in range(2, 6))
        features = frozenset(found[6].decode().split(",")) - {"-"}
        name = (found[7] or b"").decode("utf-8", "replace")
        return cls(
            bytes.fromhex(nonce),
            bytes.fromhex(server),
            int(epoch, 16),
            bytes.fromhex(cookie),
            features,
            name,
        )
