"""TLS handshakes, record by record: OpenSSL would read on for as long as a peer cuts its own small.

What comes goes through OpenSSL's memory. It is looked at first, and nothing beyond the record that
ends the handshake is taken from the socket: from there on OpenSSL reads and writes that itself.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from enum import Enum, auto

from OpenSSL import SSL

from sockd.reactor import openssl
from sockd.reactor.records import HANDSHAKE_RECORDS, TURN_RECORDS, TooManyRecords

_HEADER = 5
"""Bytes before each record: its type, a version, its length (RFC 8446, 5.1)."""
_TYPES = range(20, 25)
_LONGEST = 16 * 1024 + 256
_PEEK = 16 * 1024
"""Bytes that are looked at in one go: all of an ordinary flight."""


class Next(Enum):
    """What a handshake needs."""

    READS = auto()
    WRITES = auto()
    NOTHING = auto()
    """It is over, and both sides agree."""


class Handshake:
    """One side of a handshake on a socket that does not block."""

    def __init__(self, connection: SSL.Connection, sock: socket.socket) -> None:
        self._connection = connection
        self._socket = sock
        self._has_begun = False
        self._is_agreed = False
        self._records = 0
        self._partial = b""
        """The beginning of a record, taken from the socket: the rest of it has not come."""
        self._used = 0
        """How much of what was looked at is to be taken from the socket."""
        self._unsent = b""

    def step(self) -> Next:
        """A turn of it; to be asked again when the socket can do what is needed.

        Raises SSL.Error for what is no handshake, TooManyRecords, and OSError, also for its end.
        """
        if not self._has_begun:
            self._has_begun = True
            self._shake(b"")
        if (self._unsent and not self._send()) or self._is_agreed:
            return self._next()
        try:
            data = self._socket.recv(_PEEK, socket.MSG_PEEK)
        except BlockingIOError:
            return Next.READS
        if not data:
            raise ConnectionError("the peer has ended it")
        self._used = -len(self._partial)
        try:
            self._take(self._partial + data)
        finally:  # what stays unread would have the kernel reset the connection, alert and all
            if self._used > 0:
                self._socket.recv(self._used)
        if self._unsent:
            self._send()
        return self._next()

    def _next(self) -> Next:
        if self._unsent:
            return Next.WRITES
        return Next.NOTHING if self._is_agreed else Next.READS

    def _take(self, data: bytes) -> None:
        """Have OpenSSL read the records that are there, a turn's at most."""
        self._partial, start = b"", 0
        for _ in range(TURN_RECORDS):
            end = start + _record_size(data, start)
            if end > len(data):
                self._partial = data[start:]
                self._used += len(self._partial)
                break
            self._records += 1
            if self._records > HANDSHAKE_RECORDS:
                raise TooManyRecords(HANDSHAKE_RECORDS)
            self._used += end - start
            self._shake(data[start:end])
            start = end
            if self._is_agreed:
                break

    def _shake(self, record: bytes) -> None:
        try:
            self._is_agreed = openssl.shake(self._connection, record)
        except SSL.Error:
            self._unsent += openssl.said(self._connection)
            with suppress(OSError):
                self._send()  # why, as an alert
            raise
        self._unsent += openssl.said(self._connection)

    def _send(self) -> bool:
        """Send what is to be sent; False where the socket does not take all of it."""
        try:
            sent = self._socket.send(self._unsent)
        except BlockingIOError:
            return False
        self._unsent = self._unsent[sent:]
        return not self._unsent


def _record_size(data: bytes, start: int) -> int:
    """The length of the record that begins there, with its header.

    Of what can be none it is the header's: OpenSSL says what is wrong with it.
    """
    if len(data) - start < _HEADER:
        return _HEADER
    size = int.from_bytes(data[start + 3 : start + _HEADER])
    if data[start] not in _TYPES or not 0 < size <= _LONGEST:
        return _HEADER
    return _HEADER + size
