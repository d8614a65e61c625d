"""How a new client logs in: what it sends, and what it gets.

A client that had a session already signs its log-in with it (`sockd.formats.chat.trailer`): so it
takes up the session from another address or by another door, or after the server has started anew.
"""

from __future__ import annotations

import re

from attrs import frozen

from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.hello import COOKIE_BYTES, NONCE_BYTES
from sockd.formats.chat.trailer import KEY_BYTES, SESSION_BYTES


def _hex(count: int) -> bytes:
    return b"([0-9a-f]{%d})" % (2 * count)


_OPEN = re.compile(rb"(\S{1,64}) %s %s(?!\S)" % (_hex(COOKIE_BYTES), _hex(NONCE_BYTES)))
_OPENED = re.compile(
    rb"(\S{1,64}) %s (?:-|%s) ([0-9a-f]{8})(?: %s(?: ([0-9a-f]{8}))?)?(?!\S)"
    % (_hex(SESSION_BYTES), _hex(KEY_BYTES), _hex(NONCE_BYTES))
)


def _bytes(text: bytes | None) -> bytes:
    return bytes.fromhex((text or b"").decode())


@frozen
class Open:
    """A log-in: a nickname, and the cookie and the nonce of a hello."""

    nickname: bytes
    cookie: bytes
    nonce: bytes

    def write(self) -> bytes:
        """The event."""
        text = b"%s %s %s" % (self.nickname, self.cookie.hex().encode(), self.nonce.hex().encode())
        return pack(Code.OPEN, text)

    @classmethod
    def read(cls, text: bytes) -> Open | None:
        """None where it is none."""
        if not (found := _OPEN.match(text)):
            return None
        return cls(found[1], _bytes(found[2]), _bytes(found[3]))


@frozen
class Opened:
    """The answer: a session. Who can read the wire can read its key, unless it went over TLS."""

    nickname: bytes
    session: bytes
    key: bytes
    """Nothing where the client has it: it has signed its log-in."""
    label: int
    """Stands in trailers for who has said something; never 0, which stands for the server."""
    nonce: bytes = b""
    """That of the log-in: whoever has not seen that cannot forge the answer."""
    last: int = 0
    """The sequence number of what the session was sent last."""

    def write(self) -> bytes:
        """The event."""
        text = b"%s %s %s %08x" % (
            self.nickname,
            self.session.hex().encode(),
            self.key.hex().encode() or b"-",
            self.label,
        )
        if self.nonce:
            text += b" %s %08x" % (self.nonce.hex().encode(), self.last)
        return pack(Code.OPENED, text)

    @classmethod
    def read(cls, text: bytes) -> Opened | None:
        """None where it is none."""
        if not (found := _OPENED.match(text)) or not (label := int(found[4], 16)):
            return None
        session, key, nonce = (_bytes(found[group]) for group in (2, 3, 5))
        return cls(found[1], session, key, label, nonce, int(found[6] or b"0", 16))
