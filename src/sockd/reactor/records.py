"""What TLS may cost: how much of it is decrypted in a turn, and what a peer sends for nothing."""

from __future__ import annotations

TURN_BYTES = 64 * 1024
"""Bytes that one connection has decrypted in one turn: as much as a plain one reads."""
TURN_RECORDS = 32
"""Records in one turn: one of a byte costs as much work as one of a kilobyte."""
EMPTY_RECORDS = 64
"""Records without data (key updates, warnings, attempts to renegotiate) that a peer may send beyond
those with data; on the socket our answers to them count, too. An ordinary one updates its key once
in many gigabytes."""

HANDSHAKE_RECORDS = 1024
"""Records of a handshake. Ordinary ones have ten; one with the longest chain of certificates that
OpenSSL takes (100 kB), in the shortest records that may be asked for (512 bytes), 200."""


class TooManyRecords(Exception):
    """A peer has sent more records without data than an ordinary one does."""

    def __init__(self, limit: int) -> None:
        super().__init__(f"more than {limit} TLS records without data")
        self.limit = limit
