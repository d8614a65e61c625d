r"""What new peers put behind an event's text, in the same datagram: who sent it, and which it is.

A trailer begins with a newline, where the patterns of the tutorial's programs stop: they show the
text and never the trailer. A letter tells its kind; numbers are big-endian; at its end stands a MAC
of 8 bytes over all that stands before it, the event too.

- From a client, ``\nC``: its session, 8 bytes; the number of the datagram, 4 bytes, from 1 on.
- From the server, ``\nS``: its epoch, 4 bytes; the sequence number, 4 bytes, of the channel, or for
  what goes to one user of that user's session; the time, 8 bytes, milliseconds since 1970; the
  label of who said it, 4 bytes, 0 for the server; the number that the sender gave it, 4 bytes.
- With a channel's key, ``\nK``: the same, and the key, 16 bytes. It is for one user.

The MAC is keyed BLAKE2b (RFC 7693), with the session's key, or the channel's for what goes to all
in it.
"""

from __future__ import annotations

from hashlib import blake2b
from hmac import compare_digest
from struct import Struct

from attrs import frozen

KEY_BYTES = 16
SESSION_BYTES = 8
MAC_BYTES = 8
"""A forger who guesses is right once in 2^64 datagrams."""
_CLIENT = Struct("!2s8sI")
_SERVER = Struct("!2sIIQII")
_WITH_KEY = Struct("!2sIIQII16s")
_C, _S, _K = b"\nC", b"\nS", b"\nK"
CLIENT_BYTES = _CLIENT.size + MAC_BYTES
SERVER_BYTES = _SERVER.size + MAC_BYTES
WITH_KEY_BYTES = _WITH_KEY.size + MAC_BYTES
NUMBERS = 1 << 32
"""Numbers of datagrams: a session that has used them up begins anew."""


def mac(key: bytes, data: bytes) -> bytes:
    """The MAC of what is sent."""
    return blake2b(data, digest_size=MAC_BYTES, key=key).digest()


@frozen
class Signed:
    """A client's trailer, not checked yet."""

    session: bytes
    number: int


def sign(event: bytes, session: bytes, number: int, key: bytes) -> bytes:
    """A client's event with its trailer."""
    data = event + _CLIENT.pack(_C, session, number)
    return data + mac(key, data)


def signed(data: bytes) -> Signed | None:
    """The trailer that a client's datagram seems to have; `is_genuine` tells whether it has."""
    if data[-CLIENT_BYTES : 2 - CLIENT_BYTES] != _C:
        return None
    _, session, number = _CLIENT.unpack_from(data, len(data) - CLIENT_BYTES)
    return Signed(session, number)


def is_genuine(data: bytes, key: bytes) -> bool:
    """Whether the MAC at the end is that of all before it."""
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


def stamp(event: bytes, facts: Stamp, key: bytes) -> bytes:
    """A server's event with its trailer."""
    numbers = facts.epoch, facts.sequence, facts.time_ms, facts.label, facts.number
    if facts.key:
        data = event + _WITH_KEY.pack(_K, *numbers, facts.key)
    else:
        data = event + _SERVER.pack(_S, *numbers)
    return data + mac(key, data)


def stamped(data: bytes) -> tuple[bytes, Stamp] | None:
    """The event and the trailer that a server's datagram seems to have; None where it has none."""
    if data[-SERVER_BYTES : 2 - SERVER_BYTES] == _S:
        start = len(data) - SERVER_BYTES
        return data[:start], Stamp(*_SERVER.unpack_from(data, start)[1:])
    if data[-WITH_KEY_BYTES : 2 - WITH_KEY_BYTES] == _K:
        start = len(data) - WITH_KEY_BYTES
        return data[:start], Stamp(*_WITH_KEY.unpack_from(data, start)[1:])
    return None
