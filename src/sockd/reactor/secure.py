"""TLS straight on the socket: OpenSSL reads and writes the descriptor, which the poller watches.

Twisted's TLS decrypts whatever has come in one go, and copies every byte twice more. Here a
connection is its own ISSLTransport: what is not read yet stays with the kernel, encrypted, so that
a pause, a turn and an end hold for TLS as they do without it. A turn decrypts at most what
`sockd.reactor.records` says.

What can be noticed beside Twisted's TLS: a protocol that knows halves (IHalfCloseableProtocol) is
told of the peer's close_notify as of TCP's end, and `loseWriteConnection` sends ours.
`sockd.reactor.openssl` has what of pyOpenSSL must be as it is.
"""

from __future__ import annotations

from collections.abc import Iterable
from select import EPOLLIN, EPOLLOUT
from typing import Any, cast

from OpenSSL import SSL
from twisted.internet import main, tcp
from twisted.internet.interfaces import (
    IHalfCloseableProtocol,
    IHandshakeListener,
    INegotiated,
    ISSLTransport,
)
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.reactor import openssl
from sockd.reactor.handshake import Handshake, Next
from sockd.reactor.openssl import (
    RECORD_BYTES,
    WANTS_READ,
    WANTS_WRITE,
    ZERO_RETURN,
    SSL_get_error,
    SSL_read,
    SSL_shutdown,
    SSL_write,
    from_buffer,
    unpack,
)
from sockd.reactor.polled import Polled
from sockd.reactor.records import EMPTY_RECORDS, TURN_BYTES, TURN_RECORDS, TooManyRecords
from sockd.reactor.stream import Client, Connection

AFTER_END_BYTES = 1024 * 1024
"""Bytes that a peer may send after we have ended, while its own end is waited for."""
PROBES = 8
"""After so many reads it is tried whether more than one record waits: a system call..."""
MOST_PROBES = 128
"""...and after twice as many each time that none did, up to so many."""


class Secure(Polled):
    """What a connection does differently once it speaks TLS. It goes before all other classes."""

    factory: Any = None
    """The TLS factory it was made by, as a TLS protocol of Twisted's has it."""
    _tls: Any = None
    """The SSL.Connection; None once the connection is over."""
    _ssl: Any = None
    """OpenSSL's own part of that."""
    _handshake: Handshake | None = None
    """Until that is over."""
    _is_established = False
    _gathers = False
    """Whether what is written goes out in the next pass, joined."""
    _wants_write = False
    """Whether OpenSSL has to write before it can go on."""
    _peer_finished = False
    _has_begun_end = False
    """Whether close_notify is on its way, or sent."""
    _has_said_end = False
    _room: Any = None
    """Where a record is decrypted to, for a moment: one for all connections."""
    _probe_after = PROBES
    _until_probe = PROBES
    """So many reads more, the last of which tries whether there are more records."""
    _empty = 0
    """Records without data, beyond those with."""
    _dropped = 0
    """Bytes that came after the end."""
    _verdict: Failure | None = None
    """Why the peer's certificate was refused."""

    def _secure(self, factory: Any) -> None:
        """Speak TLS from now on. Raises what the factory raises, and OSError."""
        self.factory = factory
        self._gathers = getattr(factory, "gathers", False)
        self._tls = factory._creatorCallable(self)
        self._ssl = self._tls._ssl
        self._handshake = Handshake(self._tls, self.socket)
        self._room = self.reactor.poller.room
        self._sends_at_once = False

    # ISSLTransport, INegotiated, ISystemHandle

    def getHandle(self) -> Any:
        """The SSL.Connection, for `twisted.internet.ssl.Certificate.peerFromTransport`."""
        return self._tls

    def getPeerCertificate(self) -> Any:
        """The peer's certificate, an X509; None where it has none."""
        return self._tls.get_peer_certificate()

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What ALPN has come to."""
        name = None if self._tls is None else self._tls.get_alpn_proto_negotiated()
        return name or None

    def failVerification(self, reason: Failure) -> None:
        """From a verify callback: the peer is not who it should be."""
        self._verdict = reason
        self.abortConnection()

    # reading

    def doRead(self) -> Any:
        """From the poller: a turn of this connection. Returns why it is over, if it is."""
        if not self._is_established:
            return self._shake_hands()
        room = self._room
        count = SSL_read(self._ssl, room, RECORD_BYTES)
        if count <= 0:
            return self._without_data(count)
        data, why = unpack(room, count), None
        self._until_probe -= 1
        if not self._until_probe or count == RECORD_BYTES:
            data, why = self._more(data)
        if self._empty:
            self._empty -= 1
        if self.disconnecting:
            self._dropped += len(data)
            return why or (main.CONNECTION_DONE if self._dropped > AFTER_END_BYTES else None)
        self.protocol.dataReceived(data)
        if why is None or not self.connected or self._aborting:
            return None
        return why

    def _more(self, data: bytes) -> tuple[bytes, Any]:
        """Read on, up to a turn; returns all of it, and why the connection is over, if it is."""
        room, why = self._room, None
        parts, size = [data], len(data)
        while len(parts) < TURN_RECORDS and size <= TURN_BYTES - RECORD_BYTES:
            count = SSL_read(self._ssl, room, RECORD_BYTES)
            if count <= 0:
                why = self._without_data(count)
                break
            parts.append(unpack(room, count))
            size += count
        if len(parts) == 1:
            self._until_probe = self._probe_after
            self._probe_after = min(2 * self._probe_after, MOST_PROBES)
            return data, why
        self._until_probe, self._probe_after = 1, PROBES
        return b"".join(parts), why

    def _without_data(self, count: int) -> Any:
        """A read that gave nothing. Returns why the connection is over, if it is."""
        error = SSL_get_error(self._ssl, count)
        if openssl.has_stirred(self._ssl):
            self._empty += 1
            if self._empty > EMPTY_RECORDS:
                return TooManyRecords(EMPTY_RECORDS)
        if error == WANTS_READ:
            return None
        if error == WANTS_WRITE:  # a key update is to be answered
            self._wants_write = True
            self._want(self.wanted)
            return None
        if error == ZERO_RETURN:
            self._peer_finished = True
            return main.CONNECTION_DONE
        return _reported(openssl.fault(self._tls, count))

    def readConnectionLost(self, reason: Failure) -> None:
        """The peer has finished."""
        if self.disconnecting:
            if self._has_said_end or not self._is_established:
                self.connectionLost(reason)
            return
        if IHalfCloseableProtocol.providedBy(self.protocol):
            super().readConnectionLost(reason)
        elif self._waits() and self.producer is None:
            self.loseConnection()
        else:
            self._say_end()
            self.connectionLost(reason)

    # the handshake

    def _shake_hands(self) -> Any:
        """A turn of it. Returns why the connection is over, if it is."""
        try:
            needs = cast(Handshake, self._handshake).step()
        except SSL.Error as error:
            return None if self._aborting else _reported(openssl.fault_of(error))
        except (OSError, TooManyRecords) as error:
            return None if self._aborting else _reported(error)
        if self._aborting:
            return None
        if needs is Next.NOTHING:
            return self._established()
        self._wants_write = needs is Next.WRITES
        self._want(self.wanted)
        return None

    def _established(self) -> None:
        openssl.on_socket(self._tls, self.socket)
        self._is_established, self._handshake, self._wants_write = True, None, False
        openssl.established(self._tls, getattr(self.protocol, "takes_cut", False))
        self._want(self.wanted)
        self._decide()
        if IHandshakeListener.providedBy(self.protocol):
            self.protocol.handshakeCompleted()
        if self.connected and (self._waits() or self.disconnecting or self._writeDisconnecting):
            self.startWriting()

    # writing

    def write(self, data: bytes) -> None:
        """Send bytes. What the kernel does not take now is kept."""
        if not self._sends_at_once:
            if not self.disconnecting or self.producer is not None:
                super().write(data)
            return
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        size = len(data)
        sent = SSL_write(self._ssl, data, size) if 0 < size <= RECORD_BYTES else 0
        if sent != size and (sent := self._encrypt(data, max(sent, 0))) != size:
            self._keep(data[sent:])
            return
        if self._is_counted:
            self._count(sent)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send pieces as one."""
        if self._sends_at_once or not self.disconnecting or self.producer is not None:
            super().writeSequence(iovec)

    def writeSomeData(self, data: Any) -> Any:
        """Twisted: send what waits."""
        sent = self._encrypt(data[:TURN_BYTES])
        return main.CONNECTION_LOST if self._has_failed else sent

    def _encrypt(self, data: Any, sent: int = 0) -> int:
        """Give bytes to OpenSSL, record by record; returns how many the kernel has taken.

        The first `sent` of them it has already.

        A record that it has taken in part is OpenSSL's: it must be given the same bytes again,
        and more behind them at most, which is so, since they are the first that wait.
        """
        size = len(data)
        if not size:
            return 0
        view = from_buffer(data)
        while sent < size:
            count = SSL_write(self._ssl, view + sent, min(size - sent, RECORD_BYTES))
            if count <= 0:
                if SSL_get_error(self._ssl, count) not in (WANTS_WRITE, WANTS_READ):
                    openssl.forget_errors()
                    self._has_failed = True
                break
            sent += count
        return sent

    def doWrite(self) -> Any:
        """From the poller: the socket takes something. Returns why it is over, if it is."""
        if not self._is_established:
            return self._shake_hands()
        if self._wants_write:
            self._wants_write = False
            try:
                self._tls.do_handshake()
            except SSL.WantReadError:
                pass
            except SSL.WantWriteError:
                self._wants_write = True
            except SSL.Error as error:
                return _reported(openssl.fault_of(error))
            self._want(self.wanted)
            return None
        return super().doWrite()

    def _waits(self) -> bool:
        return bool(self.dataBuffer or self._tempDataLen)

    def _decide(self) -> None:
        super()._decide()
        ends = self.disconnecting or self._has_begun_end
        is_open = self._is_established and not (ends or self._gathers)
        self._sends_at_once = self._sends_at_once and is_open

    # ends

    def loseConnection(self) -> None:
        """End it: what was written, our end, and the peer's, which is waited for."""
        if self._is_established or not self.connected or self.disconnecting:
            super().loseConnection()
            self._sends_at_once = False  # what is said after it is nobody's
        elif self._waits():
            self.disconnecting = 1  # after the handshake
            self.startReading()
        else:
            self.abortConnection()

    def _postLoseConnection(self) -> Any:
        if self.producer is not None:
            return None  # it may say more, until it is unregistered
        if not self._say_end():
            self.startWriting()
            return None
        if self._peer_finished:
            return main.CONNECTION_DONE
        self.startReading()
        return None

    def _closeWriteConnection(self) -> None:
        if self._say_end():
            super()._closeWriteConnection()
        else:
            self._writeDisconnected = False
            self.startWriting()

    def _say_end(self) -> bool:
        """Send close_notify; False where the socket does not take it now."""
        self._sends_at_once = False
        self._has_begun_end = True
        if not self._has_said_end:
            result = SSL_shutdown(self._ssl)
            if result < 0 and SSL_get_error(self._ssl, result) == WANTS_WRITE:
                return False
            openssl.forget_errors()
            self._has_said_end = True
        return True

    def connectionLost(self, reason: Failure) -> None:
        """The connection is over."""
        if self.disconnected:
            return
        verdict, self._verdict = self._verdict, None
        try:
            super().connectionLost(verdict or reason)
        finally:
            self._tls = self._ssl = self._room = self._handshake = self.factory = None

    def _closeSocket(self, orderly: bool) -> None:
        openssl.let_go(self._tls)  # the descriptor is another connection's soon
        super()._closeSocket(orderly)

    def _want(self, wanted: int) -> None:
        """As without TLS, but for what OpenSSL has to do first."""
        self.wanted = wanted
        if not self._may_be_watched:
            return
        if self._tls is None:  # it is not connected yet
            pass
        elif self._wants_write:
            wanted = EPOLLOUT
        elif not self._is_established:
            wanted &= EPOLLIN
        elif self._peer_finished:
            wanted &= ~EPOLLIN
        if wanted != self.watched_for:
            self.reactor.poller.watch(self, wanted)
            self.watched_for = wanted


def _reported(fault: Exception) -> Exception:
    """As Twisted has it."""
    return main.CONNECTION_LOST if isinstance(fault, OSError) else fault


@implementer(ISSLTransport, INegotiated)
class SecureConnection(Secure, Connection):
    """A TCP connection that a port has accepted, and that speaks TLS."""


@implementer(ISSLTransport, INegotiated)
class SecureClient(Secure, Client):
    """A TCP connection that is made from here, and that speaks TLS."""

    def _connectDone(self) -> None:
        self._secure(self.factory)
        self.setTcpNoDelay(True)
        tcp.Client._connectDone(self)
        if self.connected and (why := self._shake_hands()):
            self.ends(why, True)
