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

VERSION = 1
"""The highest that this speaks. A client says its own, a server answers the lower one of both."""
NONCE_BYTES = 8
COOKIE_BYTES = 16
HELLO_BYTES = 200
"""Bytes of a hello: as many as the longest answer has."""
MAX_NAME = 48
"""Bytes of the longest name of a server."""
MAX_FEATURES = 64
"""Bytes of the longest list of features."""
_HELLO = re.compile(rb"HELLO [1-9][0-9]{0,2} ([0-9a-f]{16})(?!\S)")
_WELCOME = re.compile(
    rb"([1-9][0-9]{0,2}) ([0-9a-f]{16}) ([0-9a-f]{16}) ([0-9a-f]{8}) ([0-9a-f]{32})"
    rb" ([a-z0-9,-]+)(?: (\S+))?(?!\S)"
)


@frozen
class Hello:
    """What a client asks with."""

    nonce: bytes
    """Chosen by the client; the answer bears it."""

    def write(self) -> bytes:
        """The event, padded."""
        text = b"HELLO %d %s " % (VERSION, self.nonce.hex().encode())
        return pack(Code.NOTHING, text.ljust(HELLO_BYTES - 2, b"."))

    @classmethod
    def read(cls, text: bytes) -> Hello | None:
        """From the text of an event with code 0; None where it is no hello, or not padded.

        Of whatever version: a client of a later one understands the answer of this one.
        """
        if len(text) < HELLO_BYTES - 2 or not (found := _HELLO.match(text)):
            return None
        return cls(bytes.fromhex(found[1].decode()))


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
        """The event. Of features and name there is what has room, and of a name no white space
        and nothing that cannot be shown."""
        text = b"%d %s %s %08x %s %s" % (
            VERSION,
            self.nonce.hex().encode(),
            self.server.hex().encode(),
            self.epoch,
            self.cookie.hex().encode(),
            _features(self.features),
        )
        name = _name(self.name)
        return pack(Code.WELCOME, text + (b" " + name if name else b""))

    @classmethod
    def read(cls, text: bytes) -> Welcome | None:
        """None where it is none, or of a version that we have not said that we speak."""
        if not (found := _WELCOME.match(text)) or int(found[1]) > VERSION:
            return None
        nonce, server, epoch, cookie = (found[group].decode() for group in range(2, 6))
        features = frozenset(found[6].decode().split(",")) - {"-"}
        name = (found[7] or b"")[:MAX_NAME].decode("utf-8", "replace")
        return cls(
            bytes.fromhex(nonce),
            bytes.fromhex(server),
            int(epoch, 16),
            bytes.fromhex(cookie),
            features,
            name,
        )


def _features(features: Collection[str]) -> bytes:
    """As many as have room, the last of the alphabet left out first; "-" for none."""
    names = sorted(features)
    while len(found := ",".join(names).encode()) > MAX_FEATURES:
        names.pop()
    return found or b"-"


def _name(name: str) -> bytes:
    """As much as has room; no character is cut."""
    shown = "".join(one for one in name if one.isprintable() and one != " ").encode()
    return shown[:MAX_NAME].decode("utf-8", "ignore").encode()
