"""What TLS as a protocol sends: small writes together, flights whole, and no more than is taken."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from OpenSSL import SSL
from twisted.internet._producer_helpers import _PullToPush
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.protocols.tls import TLSMemoryBIOProtocol, _ProducerMembrane
from zope.interface import implementer

GATHERED_BYTES = 64 * 1024
"""Bytes of small writes that become one: a record costs as much work as a kilobyte in it."""
BIO_BYTES = 32 * 1024
"""The longest piece that is taken from OpenSSL at a time."""


@implementer(IPushProducer)
class _Outlet:
    """Told by the transport below whether it takes more: the transport pauses this."""

    __slots__ = ("_protocol",)

    def __init__(self, protocol: Sending) -> None:
        self._protocol = protocol

    def pauseProducing(self) -> None:
        """Twisted: too much waits to be sent."""
        self._protocol._filled()

    def resumeProducing(self) -> None:
        """Twisted: all of it is sent."""
        self._protocol._drained()

    def stopProducing(self) -> None:
        """Twisted: the connection is lost."""
        self._protocol._stopped()


class Sending(TLSMemoryBIOProtocol):
    """The half of `TLSProtocol` that sends. Twisted's flushes the first 32 KiB of a flight only."""

    transport: Any
    _has_said_end = False
    """Whether our close_notify is out."""
    _is_in_turn = False
    """Whether what came is being worked on: what is written meanwhile goes out at the end of it."""
    _is_full = False
    """Whether the transport takes no more."""
    _is_choked = False
    """Whether what is answered to records without data waits, too: no more of them are read."""
    _untaken = 0
    """How many such records have come since the transport took no more."""
    _has_outlet = False
    _gathered: list[bytes]
    _gathered_bytes = 0
    _gather_call: IDelayedCall | None = None

    def makeConnection(self, transport: Any) -> None:
        """Twisted: the connection is there. The handshake begins."""
        self._gathered = []
        self._has_outlet = True
        transport.registerProducer(_Outlet(self), True)
        super().makeConnection(transport)

    def write(self, data: bytes) -> None:
        """Send bytes, small ones together: at the end of a turn, or in the next pass."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if (self.disconnecting and self._producer is None) or self._lostTLSConnection:
            return
        self._gathered.append(data)
        self._gathered_bytes += len(data)
        if self._gathered_bytes > GATHERED_BYTES:
            self._flush_gathered()
        elif self._gather_call is None and not self._is_in_turn:
            self._gather_call = self.factory._clock.callLater(0, self._flush_later)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send pieces as one."""
        self.write(b"".join(iovec))

    def _flush_later(self) -> None:
        self._gather_call = None
        self._flush_gathered()

    def _flush_gathered(self) -> None:
        gathered, self._gathered = self._gathered, []
        self._gathered_bytes = 0
        if gathered:
            self._write(gathered[0] if len(gathered) == 1 else b"".join(gathered))

    def _flushSendBIO(self) -> None:
        size = BIO_BYTES
        while size == BIO_BYTES:
            try:
                data = self._tlsConnection.bio_read(BIO_BYTES)
            except SSL.WantReadError:
                return
            size = len(data)
            if not self._has_said_end:  # nothing may follow that
                self.transport.write(data)

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Twisted: something that makes data, and wants to be told when to."""
        if self._lostTLSConnection:
            producer.stopProducing()
            return
        if self._producer is not None:
            raise RuntimeError(f"{self._producer._producer} is registered, not {producer}")
        pull = None if streaming else _PullToPush(producer, self)
        self._producer = _ProducerMembrane(pull or producer)
        if pull is not None:
            pull.startStreaming()
        if self._is_full:
            self._producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """The producer is done."""
        if self._producer is None:
            return
        if isinstance(self._producer._producer, _PullToPush):
            self._producer._producer.stopStreaming()
        self._producer = None
        self._go_on_ending()

    def _filled(self) -> None:
        self._is_full = True
        if self._producer is not None:
            self._producer.pauseProducing()

    def _drained(self) -> None:
        self._is_full = self._is_choked = False
        self._untaken = 0
        if self._producer is not None:
            self._producer.resumeProducing()
        self._settle()

    def _stopped(self) -> None:
        if self._producer is not None:
            self._producer.stopProducing()

    def _close_outlet(self) -> None:
        """Nothing more is written: the transport need not say whether it could be."""
        if self._has_outlet:
            self._has_outlet = False
            self._is_full = self._is_choked = False
            self.transport.unregisterProducer()

    def _settle(self) -> None:
        """Something has changed that may hinder reading, or not any more."""

    def _go_on_ending(self) -> None:
        """Send our end, where it is wanted and nothing is in its way any more."""
