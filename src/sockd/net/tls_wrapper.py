"""TLS as a protocol around a service's, for what is not a socket, and for Twisted's own reactors.

Twisted's wrapper decrypts all that has come in one go, knows no half-close, and flushes the first
32 KiB of a flight only. Here OpenSSL is fed a turn's worth (`sockd.reactor.records`); what is left
waits, still encrypted, for a later pass of the loop, and nothing more is read until it is done.
So a pause of the service's stops decryption too. To a service it is what TLS on the socket is
(`sockd.reactor.secure`): halves are told and ended as without TLS.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from OpenSSL import SSL
from twisted.internet.error import ConnectionLost
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.protocols.policies import ProtocolWrapper
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.net.tls_records import Records
from sockd.net.tls_sending import BIO_BYTES, Sending
from sockd.reactor.records import EMPTY_RECORDS, TURN_BYTES, TURN_RECORDS, TooManyRecords

LIGHT_BYTES = 128
"""What has come is decrypted at once up to this: it costs little more than to read it. More has to
wait for a turn, as all work has that others wait for."""
HANDSHAKE_BYTES = 16 * 1024
"""Bytes that are read, and fed to OpenSSL, at a time before the handshake is done: it keeps a
message of 128 KiB until that is whole, and the most room that it ever needed for what it was fed.
"""
AFTER_END_BYTES = 1024 * 1024
"""Bytes that a peer may send after we have ended, while its own end is waited for."""


@implementer(IHalfCloseableProtocol)
class TLSProtocol(Sending):
    """TLS around one protocol, whose transport it is."""

    factory: Any

    _peer_finished = False
    """Whether the peer has ended its half: nothing is read any more."""
    _is_half = False
    """Whether only our half is to end: what comes is still handed on."""
    _is_at_once = False
    """Whether the peer's end is not waited for."""
    _dropped = 0
    """Bytes that came after the end."""

    _rest = b""
    """What has come and waits for a turn, from `_rest_at` on."""
    _rest_at = 0
    _owed = 0
    """Records in OpenSSL that have given nothing yet."""
    _is_whole = True
    """Whether what OpenSSL has ends with a record."""
    _is_behind = False
    """Whether OpenSSL may have data that was not asked for, because of a pause."""
    _empty = 0
    """Records without data, beyond those with."""
    _cut_waits = False
    """Whether TCP's end has come behind what waits."""

    _is_reading = True
    _is_paused = False
    """By the service."""

    def makeConnection(self, transport: Any) -> None:
        """Twisted: the connection is there. The handshake begins."""
        self._records = Records()
        transport.bufferSize = HANDSHAKE_BYTES  # of Twisted's: what is read at a time
        super().makeConnection(transport)

    # what comes

    def dataReceived(self, data: bytes) -> None:
        """Twisted: bytes of TLS. After the end of it they are nobody's."""
        if self._is_deaf:
            return
        if self._rest or self._is_behind or self._is_in_turn:
            self._rest = self._rest[self._rest_at :] + data
            self._rest_at = 0
            self._settle()
            return
        self._rest = data
        if len(data) <= LIGHT_BYTES:
            self._turn()
        elif not self.factory.turns.take(self):
            self._settle()

    @property
    def _is_deaf(self) -> bool:
        return self._peer_finished or self._lostTLSConnection or self._aborted

    def _turn(self) -> None:
        """Decrypt as much as one turn may, and hand it on."""
        self._is_in_turn = True
        try:
            if not self._handshakeDone:
                self._shake_hands()
            elif not self._is_behind:
                self._feed(TURN_BYTES)
            if self._handshakeDone and not self._is_deaf:
                if self._appSendBuffer:
                    self._unbufferPendingWrites()
                self._flushReceiveBIO()
        finally:
            self._is_in_turn = False
        self._settle()

    def _shake_hands(self) -> None:
        self._feed(HANDSHAKE_BYTES)
        self._owed, self._is_whole = 0, False  # handshakes are no records without data
        self._checkHandshakeStatus()
        if self._handshakeDone:
            self.transport.bufferSize = TURN_BYTES

    def _feed(self, most: int) -> None:
        data, start = self._rest, self._rest_at
        stop = min(len(data), start + most)
        end, ended = self._records.advance(data, start, stop, TURN_RECORDS)
        is_all = end == len(data)
        self._tlsConnection.bio_write(data if is_all and not start else memoryview(data)[start:end])
        self._rest, self._rest_at = (b"", 0) if is_all else (data, end)
        self._owed += ended
        self._is_whole = self._records.are_whole

    def _flushReceiveBIO(self) -> None:
        self._is_behind = False
        while not self._is_deaf:
            if self._is_whole and not self._owed:
                return  # there is nothing: to be told so costs as much as a record
            if self._is_paused:
                self._is_behind = True
                return
            try:
                data = self._tlsConnection.recv(BIO_BYTES)
            except SSL.WantReadError:
                self._count_empty()
                break
            except SSL.ZeroReturnError:
                self._finished()
                break
            except SSL.Error:
                self._tlsShutdownFinished(Failure())
                return
            self._owed -= 1
            if self._empty:
                self._empty -= 1
            self._deliver(data)
        if not (self._lostTLSConnection or self._aborted):
            self._flushSendBIO()

    def _count_empty(self) -> None:
        """OpenSSL wants more: what it still owed were records without data."""
        if self._owed > 0:
            self._empty += self._owed
            if self._empty > EMPTY_RECORDS:
                self._tlsShutdownFinished(Failure(TooManyRecords(EMPTY_RECORDS)))
            elif self._is_full:
                # with data between them they are no fault, but their answers wait, too
                self._untaken += self._owed
                self._is_choked = self._untaken > EMPTY_RECORDS
        self._owed = 0

    def _deliver(self, data: bytes) -> None:
        if not self.disconnecting or self._is_half:
            self.wrappedProtocol.dataReceived(data)
            return
        self._dropped += len(data)
        if self._dropped > AFTER_END_BYTES:
            self._end()

    def _settle(self) -> None:
        """After whatever has changed: send, plan the next turn, and read or do not."""
        if self._gathered and not self._is_in_turn:
            self._flush_gathered()
        if self._lostTLSConnection or self._aborted or not self.connected:
            return
        waits = bool(self._rest) or self._is_behind
        is_held = self._is_paused or self._is_choked
        if waits and not (is_held or self._is_in_turn):
            self.factory.turns.wait(self)
        elif self._cut_waits and not waits:
            self._cut_waits = False
            self.readConnectionLost()
            return
        is_ending = self.disconnecting and not (self._is_half or self._has_said_end)
        wants = not (waits or is_held or is_ending or self._peer_finished)
        if wants is not self._is_reading:
            self._is_reading = wants
            if wants:
                self.transport.resumeProducing()
            else:
                self.transport.pauseProducing()

    def turn(self, until: float) -> None:
        """From `Turns`: decrypt what waits. A turn is so many records, however long they take."""
        waits = bool(self._rest) or self._is_behind
        if waits and not (self._is_deaf or self._is_paused or self._is_choked):
            self._turn()

    def contain(self, call: Callable[..., Any], *args: Any) -> None:
        """From `Turns`: as a reactor does with what `dataReceived` raises."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - whatever a protocol raises, the others do not notice
            self._reason = Failure()
            Logger().failure("Unhandled Error", self._reason)
            self.abortConnection()

    def pauseProducing(self) -> None:
        """The service wants nothing more for now."""
        self._is_paused = True
        self._settle()

    def resumeProducing(self) -> None:
        """The service takes more."""
        self._is_paused = False
        self._settle()

    # the peer's end

    def _finished(self) -> None:
        """The peer has ended its half. What else it sends stays with the kernel, bounded."""
        self._peer_finished = True
        self._rest, self._rest_at, self._is_behind = b"", 0, False
        inner = self.wrappedProtocol
        if self.disconnecting and not self._is_half:
            if self._has_said_end:
                self._end()
        elif IHalfCloseableProtocol.providedBy(inner):
            inner.readConnectionLost()
        else:
            self.loseConnection()

    def readConnectionLost(self) -> None:
        """Twisted: TCP has ended, without TLS's own end before it, or behind it.

        Somebody on the way can cut a text short so. A protocol with a true attribute `takes_cut`
        is told as of an orderly end: what these services answer to a cut text harms nobody, and a
        client that waits for its answer gets it.
        """
        self._is_reading = False
        if self._rest or self._is_behind:
            self._cut_waits = True
        elif not self._is_deaf:
            takes_cut = getattr(self.wrappedProtocol, "takes_cut", False)
            if self._handshakeDone and (takes_cut or self.disconnecting):
                self._finished()
                self._settle()
            else:
                self._tlsShutdownFinished(Failure(ConnectionLost()))

    def writeConnectionLost(self) -> None:
        """Twisted: our half is closed."""

    def _tlsShutdownFinished(self, reason: Failure | None) -> None:
        if self._lostTLSConnection:
            return
        self._reason = self._reason or reason
        self._flushSendBIO()  # the alert that says why
        self._lostTLSConnection = True
        if reason is not None and (self._is_full or reason.check(TooManyRecords)):
            self.transport.abortConnection()
        else:
            self._end()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """Twisted: the connection is over."""
        self.factory.turns.leave(self)
        if self._gather_call is not None:
            self._gather_call.cancel()
            self._gather_call = None
        self._lostTLSConnection = True
        self._rest = b""
        self._gathered = []
        self.connected = False
        reason, self._reason = self._reason or reason, None
        if not self._has_outlet:
            self._stopped()  # the transport does not know of it any more
        try:
            ProtocolWrapper.connectionLost(self, reason)
        finally:
            self._tlsConnection: Any = None

    # our end

    def loseWriteConnection(self) -> None:
        """End our half once what was written is delivered. Reading goes on."""
        if self.disconnecting or not self.connected:
            return
        self._is_half = True
        self._begin_ending()

    def loseConnection(self) -> None:
        """End it once what was written is delivered.

        The peer's end is waited for, and what comes is dropped, unless our half has ended before.
        """
        if not self.connected:
            return
        if self.disconnecting:
            self._is_at_once = self._is_at_once or self._is_half
            self._is_half = False
            if self._is_at_once and self._has_said_end:
                self._end()
            return
        self._is_paused = False  # the peer's end has to be heard
        self._begin_ending()

    def _begin_ending(self) -> None:
        if not self._handshakeDone and not (self._appSendBuffer or self._gathered):
            self.abortConnection()
            return
        self._flush_gathered()
        self.disconnecting = True
        self._go_on_ending()

    def _go_on_ending(self) -> None:
        if self.disconnecting and not (self._appSendBuffer or self._producer):
            self._flush_gathered()
            self._shutdownTLS()
        self._settle()

    def _shutdownTLS(self) -> None:
        if self._has_said_end or self._lostTLSConnection:
            return
        with suppress(SSL.Error):  # where it is not what it should be any more, TCP's end says it
            self._tlsConnection.shutdown()
        self._flushSendBIO()
        self._has_said_end = True
        if self._peer_finished or self._is_at_once:
            self._end()
        else:
            self._close_outlet()
            if self._is_half:
                self.transport.loseWriteConnection()

    def _end(self) -> None:
        """End TCP, once what waits is sent."""
        self._lostTLSConnection = True
        self._close_outlet()
        self.transport.loseConnection()

    def abortConnection(self) -> None:
        """End it now, whatever waits."""
        self._aborted = True
        self.disconnecting = True
        self.transport.abortConnection()
