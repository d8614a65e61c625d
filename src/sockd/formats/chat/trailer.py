r"""What new peers put behind an event's text, in the same datagram: who sent it, and which it is.

A trailer begins with a newline, where the patterns of the tutorial's programs stop: they show the
text and never the trailer. Numbers follow, big-endian, then a letter for its kind, and at its end a
MAC of 8 bytes over all that stands before it, the event too. It is read from its end, where the
letter always has the same place: so nothing can be read as two kinds, whatever a text, a time or a
key may look like, and what a client has sent is never taken for what a server sends.

- From a client, ``C``: its session, 8 bytes; the number of the datagram, 4 bytes, from 1 on.
- From the server, ``S``: its epoch, 4 bytes; the sequence number, 4 bytes, of the channel, or for
  what goes to one user of that user's session; the time, 8 bytes, milliseconds since 1970; the
  label of who said it, 4 bytes, 0 for the server; the number that the sender gave it, 4 bytes.
- With a channel's key, ``K``: the same, the key, 16 bytes, and the sequence number of the channel's
  last event, 4 bytes: what has a higher one is awaited. It is for one user.

The MAC is keyed BLAKE2b (RFC 7693), with the session's key, or the channel's for what goes to all
in it.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from struct import Struct

from attrs import frozen

from sockd.formats.chat.events import CODE_BYTES
from sockd.formats.chat.window import NUMBERS

KEY_BYTES = 16
SESSION_BYTES = 8
MAC_BYTES = 8
"""A forger who guesses is right once in 2^64 datagrams."""
_CLIENT = Struct("!c8sIc")
_SERVER = Struct("!cIIQIIc")
_WITH_KEY = Struct("!cIIQII16sIc")
_BEGIN, _C, _S, _K = b"\n", b"C", b"S", b"K"
CLIENT_BYTES = _CLIENT.size + MAC_BYTES
SERVER_BYTES = _SERVER.size + MAC_BYTES
WITH_KEY_BYTES = _WITH_KEY.size + MAC_BYTES
LAST_MS = 253_402_214_400_000
"""The last day of the year 9999: calendars end there, in every time zone."""


def mac(key: bytes, data: bytes) -> bytes:
    """The MAC of what is sent."""
    return blake2b(data, digest_size=MAC_BYTES, key=key).digest()


@frozen
class Signed:
    """A client's trailer, not checked yet."""

    session: bytes
    number: int


def sign(event: bytes, session: bytes, number: int, key: bytes) -> bytes:
    """A client's event with its trailer. Raises ValueError after 2^32 - 1 datagrams of a session,
    which then begins anew: if numbers came again, so could what was sent with them."""
    if not 0 < number < NUMBERS:
        raise ValueError(f"a session has numbers from 1 to {NUMBERS - 1}, not {number}")
    data = event + _CLIENT.pack(_BEGIN, session, number, _C)
    return data + mac(key, data)


def signed(data: bytes) -> Signed | None:
    """The trailer that a client's datagram seems to have; `is_genuine` tells whether it has."""
    if _kind(data) != _C or (start := _start(data, CLIENT_BYTES)) is None or start < CODE_BYTES:
        return None
    _, session, number, _ = _CLIENT.unpack_from(data, start)
    return Signed(session, number)


def is_genuine(data: bytes, key: bytes) -> bool:
    """Whether the MAC at the end is that of all before it. Nothing is without a key: that of no
    key at all anybody can compute."""
    if len(key) != KEY_BYTES:
        return False
    return compare_digest(data[-MAC_BYTES:], mac(key, data[:-MAC_BYTES]))


@frozen
class Stamp:
    """A server's trailer."""

    epoch: int
    sequence: int
    time_ms: int
    label: int = 0
    number: int = 0
    key: bytes = b""
    """The channel's, where it is handed out; else nothing."""
    last: int = 0
    """With a key: the sequence number of the channel's last event."""


def stamp(event: bytes, facts: Stamp, key: bytes) -> bytes:
    """A server's event with its trailer. Sequence numbers go round."""
    time_ms = min(max(facts.time_ms, 0), LAST_MS)
    numbers = facts.epoch, facts.sequence % NUMBERS, time_ms, facts.label, facts.number
    if facts.key:
        data = event + _WITH_KEY.pack(_BEGIN, *numbers, facts.key, facts.last % NUMBERS, _K)
    else:
        data = event + _SERVER.pack(_BEGIN, *numbers, _S)
    return data + mac(key, data)


def stamped(data: bytes) -> tuple[bytes, Stamp] | None:
    """The event and the trailer that a server's datagram seems to have; None where it has none.

    The event may be too short to be one. A time that is in no calendar is the last that is.
    """
    kind = _kind(data)
    if kind not in (_S, _K):
        return None
    layout = _SERVER if kind == _S else _WITH_KEY
    if (start := _start(data, layout.size + MAC_BYTES)) is None:
        return None
    _, epoch, sequence, time_ms, label, number, *more, _ = layout.unpack_from(data, start)
    return data[:start], Stamp(epoch, sequence, min(time_ms, LAST_MS), label, number, *more)


def _kind(data: bytes) -> bytes:
    return data[-MAC_BYTES - 1 : -MAC_BYTES]


def _start(data: bytes, size: int) -> int | None:
    """Where a trailer of so many bytes begins; None where it does not."""
    start = len(data) - size
    return start if start >= 0 and data[start : start + 1] == _BEGIN else None
