"""TLS handshakes, record by record: OpenSSL would read on for as long as a peer cuts its own small.

What comes goes through OpenSSL's memory, not one byte beyond a record is taken from the socket, and
so OpenSSL can read and write the socket itself as soon as both sides agree.
"""

from __future__ import annotations

import socket
from contextlib import suppress
from enum import Enum, auto

from OpenSSL import SSL

from sockd.reactor.records import HANDSHAKE_RECORDS, TURN_RECORDS, TooManyRecords

_HEADER = 5
"""Bytes before each record: its type, a version, its length (RFC 8446, 5.1)."""
_TYPES = range(20, 25)
_LONGEST = 16 * 1024 + 256
_FLIGHT = 64 * 1024


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
        self._missing = _HEADER
        self._header: bytes | None = b""
        """What there is of the next record's; None while its text comes."""
        self._unsent = b""

    def step(self) -> Next:
        """A turn of it; to be asked again when the socket can do what is needed.

        Raises SSL.Error for what is no handshake, TooManyRecords, and OSError, also for its end.
        """
        if not self._has_begun:
            self._has_begun = True
            self._shake()
        for _ in range(2 * TURN_RECORDS):
            if self._unsent and not self._send():
                return Next.WRITES
            if self._is_agreed:
                return Next.NOTHING
            try:
                data = self._socket.recv(self._missing)
            except BlockingIOError:
                break
            if not data:
                raise ConnectionError("the peer has ended it")
            self._connection.bio_write(data)
            if self._is_whole(data):
                self._shake()
        return Next.READS

    def _is_whole(self, data: bytes) -> bool:
        """Whether a record is there with this, or what can be none."""
        self._missing -= len(data)
        if self._header is None:
            if self._missing:
                return False
            self._missing, self._header = _HEADER, b""
            return True
        self._header += data
        if self._missing:
            return False
        header, self._header = self._header, None
        self._missing = int.from_bytes(header[3:])
        self._records += 1
        if self._records > HANDSHAKE_RECORDS:
            raise TooManyRecords(HANDSHAKE_RECORDS)
        if header[0] in _TYPES and 0 < self._missing <= _LONGEST:
            return False
        self._missing, self._header = _HEADER, b""  # OpenSSL says what is wrong with it
        return True

    def _shake(self) -> None:
        try:
            self._connection.do_handshake()
            self._is_agreed = True
        except SSL.WantReadError:
            pass
        except SSL.Error:
            self._collect()
            with suppress(OSError):
                self._send()  # why, as an alert
            raise
        self._collect()

    def _collect(self) -> None:
        """Take what OpenSSL has to say: it is at its end when less comes than there is room for."""
        with suppress(SSL.WantReadError):
            while flight := self._connection.bio_read(_FLIGHT):
                self._unsent += flight
                if len(flight) < _FLIGHT:
                    break

    def _send(self) -> bool:
        """Send what is to be sent; False where the socket does not take all of it."""
        with suppress(BlockingIOError):
            self._unsent = self._unsent[self._socket.send(self._unsent) :]
        return not self._unsent
