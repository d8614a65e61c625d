"""The bases of stream services: bounded, timed, back-pressured, the same on TCP, TLS and Unix.

A service says what to do when a connection has `opened`, when bytes are `received`, when the peer
has `finished` sending, and answers with `write`, `close` and `fail`. Everything else is here:

- back-pressure: while the peer does not read, it is not read from either (`blocked`);
- half-close: a peer that has finished sending still gets its answers;
- time: the guard sweeps once a second, so no message pays for a timeout;
- faults: an exception in a service ends that peer only.

`sockd.net.lines` has the bases for lines and whole texts.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any, ClassVar, cast

from OpenSSL import SSL
from twisted.internet import unix
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPullProducer,
    IPushProducer,
    ISystemHandle,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.protocols.tls import TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from sockd import events
from sockd.access.peer import Peer
from sockd.formats.text import escape
from sockd.net.context import Context
from sockd.net.progress import is_cut, taken

LINGER_SECONDS = 2.0
"""How long a closed peer may go on sending before it is cut off: were it cut off at once, the
kernel would reset the connection and the peer would lose the answer it has not read yet."""
LINGER_BYTES = 1024 * 1024
"""And how many bytes it may send in that time."""
ERROR_CHARACTERS = 200
"""Longest text of an `error: ` line: it may quote what the peer sent."""


def error_line(message: str) -> bytes:
    """The line that tells a peer what was wrong: `error: MESSAGE` CRLF, fit for a terminal."""
    return b"error: " + escape(message, ERROR_CHARACTERS).encode() + b"\r\n"


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer, IPullProducer)
class Stream(Protocol):
    """One connection of a stream service."""

    pulls: ClassVar[bool] = False
    """True: `more` is asked for the next piece whenever the peer has taken the last one."""
    produces: ClassVar[bool] = True
    """False for services that write once: they need not be told to wait."""
    lingers: ClassVar[bool] = True
    """False for services that speak only: closing them need not wait for what the peer sends."""
    reads_lines: ClassVar[bool] = False
    """True: `max_line` and `line_timeout` bound what the peer sends."""
    bounds_itself: ClassVar[bool] = True
    """For sockd's reactor: none writes for longer than its turn, so writes need not be counted; and
    one whose peer does not read is to hold as little as possible, so it is blocked at once."""

    wire: Any = None
    """The transport: ITCPTransport and IConsumer, or the same over TLS or a Unix socket."""

    # at first; on the class, because most connections change few of them
    bytes_in = 0
    bytes_out = 0
    is_blocked = False
    is_closing = False
    peer_finished = False
    _began = 0.0
    _is_secure = False
    _open = False
    _held = False
    _why = ""
    _seen = -1
    _active_at = 0.0
    _taken: tuple[int, int] = (-1, -1)
    _taken_at = 0.0
    _linger_until: float | None = None
    _linger_bytes = 0

    def __init__(self, context: Context, peer: Peer) -> None:
        self.context = context
        self.peer = peer

    # what a service overrides

    def opened(self) -> None:
        """The connection is there, its TLS handshake done."""

    def received(self, data: bytes) -> None:
        """Bytes from the peer, never empty, as they came."""

    def finished(self) -> None:
        """The peer has ended its half. What was written is still delivered."""
        self.close()

    def gone(self) -> None:
        """The connection has ended: cancel what runs for it."""

    def more(self) -> None:
        """Where `pulls` is set: write the next piece."""

    def unblocked(self) -> None:
        """The peer has taken what was written."""

    # what a service uses

    def write(self, data: bytes) -> None:
        """Send bytes; may set `is_blocked`."""
        self.bytes_out += len(data)
        self.wire.write(data)

    def close(self, why: str = "done") -> None:
        """End the connection once everything written is delivered. Later input is dropped."""
        if self.is_closing:
            return
        self.is_closing = True
        self._why = self._why or why
        self._active_at = self._taken_at = self.context.clock.seconds()
        if self.produces:
            self.wire.unregisterProducer()
        if self.is_blocked and not self.peer_finished:
            self.wire.resumeProducing()
        if self.lingers and not self.peer_finished and not self._is_secure:
            self._linger_until = self._active_at + LINGER_SECONDS
            self._linger_bytes = self.bytes_in + LINGER_BYTES
            self.wire.loseWriteConnection()
        else:
            self.wire.loseConnection()

    def fail(self, message: str) -> None:
        """Tell the peer what was wrong in an `error: ` line, and close."""
        if not self.is_closing:
            self.write(error_line(message))
            self.close(f"error: {message}")

    def abort(self, why: str) -> None:
        """End the connection now, whatever waits to be delivered."""
        self._why = self._why or why
        self.is_closing = True
        self.wire.abortConnection()

    def stop(self) -> None:
        """The daemon stops: deliver what is written, wait for nothing else."""
        if not self.is_closing:
            self.is_closing = True
            self._why = "the daemon stops"
            if self.produces:
                self.wire.unregisterProducer()
        self.wire.loseConnection()

    def guarded(self, call: Callable[..., Any], *args: Any) -> None:
        """Call into the service: an exception is reported and ends this peer only."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
            self._fault()

    def _fault(self) -> None:
        self.context.guard.counts["errors"] += 1
        events.crash(self.context.name, str(self.peer))
        self.abort("error in the service")

    # Twisted's side

    def connectionMade(self) -> None:
        self.wire = self.transport
        self._is_secure = isinstance(self.wire, TLSMemoryBIOProtocol)
        guard = self.context.guard
        if not self.peer.host:
            if type(self.wire) is unix.Server:
                alsoProvides(self, IFileDescriptorReceiver)
            self.peer = self._local_peer()
            if (rule := guard.refusal(self.peer)) is not None:
                guard.refuse(self.peer, rule)
                self.abort(rule)
                return
        self._began = self._active_at = self.context.clock.seconds()
        self._held = True
        guard.hold(self)
        if not self._is_secure:
            self._begin()

    def handshakeCompleted(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._open = True
        if self.context.limits.log_connections:
            events.emit("opened", service=self.context.name, peer=str(self.peer))
        if self.produces:
            self.wire.registerProducer(self, not self.pulls)
        try:
            self.opened()
        except Exception:  # noqa: BLE001 - as in `guarded`, without a call more for each connection
            self._fault()

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self.is_closing:
            if self._linger_until is not None and self.bytes_in > self._linger_bytes:
                self.wire.loseConnection()
            return
        try:
            self.received(data)
        except Exception:  # noqa: BLE001 - as in `guarded`, without a call more for each read
            self._fault()

    def readConnectionLost(self) -> None:
        self.peer_finished = True
        if self.is_closing:
            self.wire.loseConnection()
        else:
            self.guarded(self.finished)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Twisted's own Unix transport: a descriptor came along. Nothing here takes one."""
        os.close(descriptor)

    def writeConnectionLost(self) -> None:
        """Our half is closed; Twisted tells it, nothing is to be done."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._held:
            return
        self._held = False
        guard = self.context.guard
        guard.counts["bytes_in"] += self.bytes_in
        guard.counts["bytes_out"] += self.bytes_out
        if self.context.limits.log_connections:
            events.emit(
                "closed",
                service=self.context.name,
                peer=str(self.peer),
                duration=self.context.clock.seconds() - self._began,
                bytes_in=self.bytes_in,
                bytes_out=self.bytes_out,
                why=self._why or _describe(reason),
            )
        self.is_closing = True
        self.guarded(self.gone)
        guard.release(self)  # at last: a daemon that waits for this may say that it has stopped

    # back-pressure: this is the producer of its own transport

    def pauseProducing(self) -> None:
        """Twisted: too much waits to be sent."""
        self.is_blocked = True
        self._taken_at = self.context.clock.seconds()
        self.block()

    def resumeProducing(self) -> None:
        """Twisted: all of it is sent."""
        if self.pulls:
            if not self.is_closing:
                self.guarded(self.more)
            return
        self.is_blocked = False
        self.unblock()
        self.guarded(self.unblocked)

    def stopProducing(self) -> None:
        """Twisted: the connection is lost; `connectionLost` follows."""

    def block(self) -> None:
        """The peer does not read: by default it is not read from."""
        self.wire.pauseProducing()

    def unblock(self) -> None:
        """The peer reads again; it is read from, unless it has finished."""
        if not self.peer_finished:
            self.wire.resumeProducing()

    # time

    def sweep(self, now: float) -> None:
        """Once a second, from the guard: has this taken too long?"""
        self.guarded(self._sweep, now)

    def _sweep(self, now: float) -> None:
        limits = self.context.limits
        seen = self.bytes_in + self.bytes_out
        if seen != self._seen:
            self._seen = seen
            self._active_at = now
        if not self._open:
            if now - self._began >= limits.handshake_timeout:
                self.abort("handshake timeout")
        elif self.is_blocked or self.is_closing or self.pulls:
            self._sweep_stuck(now)
        elif self.peer_finished and is_cut(self._socket()):
            self.abort("closed by the peer")
        elif now - self._active_at >= limits.idle_timeout:
            self.timed_out("idle timeout")
        else:
            self.sweep_request(now)

    def _sweep_stuck(self, now: float) -> None:
        progress = (taken(self._socket()), self.bytes_out)
        if progress != self._taken:
            self._taken = progress
            self._taken_at = now
        if now - self._taken_at >= self.context.limits.write_timeout:
            self.abort("write timeout")
        elif self._linger_until is not None and now >= self._linger_until:
            self._linger_until = None
            self.wire.loseConnection()

    def sweep_request(self, now: float) -> None:
        """For framings: has one request taken too long to arrive?"""

    def timed_out(self, why: str) -> None:
        """The peer was idle: close."""
        self.close(why)

    # the socket below

    def _socket(self) -> socket.socket:
        below: Any = self.transport
        while isinstance(below, TLSMemoryBIOProtocol):
            below = below.transport
        return cast(socket.socket, cast(ISystemHandle, below).getHandle())

    def _local_peer(self) -> Peer:
        credentials = self._socket().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _ = struct.unpack("=iII", credentials)
        return Peer("", 0, pid, uid)


class Once(Stream):
    """Says one thing and closes."""

    produces = False
    lingers = False

    def text(self) -> bytes:
        """What to say, line end and all."""
        raise NotImplementedError

    def opened(self) -> None:
        self.write(self.text())
        self.close()


def _describe(reason: Failure) -> str:
    """Why a connection ended that we did not end, in a few words."""
    if reason.check(ConnectionDone):
        return "closed by the peer"
    if reason.check(ConnectionLost):
        return "connection lost"
    if reason.check(SSL.Error):
        # OpenSSL's queue of (library, function, reason)
        details = getattr(reason.value, "args", ((),))[0]
        return escape(f"TLS: {', '.join(str(one[-1]) for one in details)}", ERROR_CHARACTERS)
    return escape(reason.getErrorMessage(), ERROR_CHARACTERS)
