"""The base of stream services: bounded, timed, back-pressured, the same on TCP, TLS and Unix.

A service says what to do when a connection has `opened`, when bytes are `received`, when the peer
has `finished` sending, and answers with `write`, `close` and `fail`. Everything else is here:

- back-pressure: while there is a reason to `hold` it, the peer is not read from;
- half-close: a peer that has finished sending still gets its answers;
- time: how long each state of a connection may last is a table (`sockd.net.states`);
- faults: an exception in a service ends that peer only.

Services that answer requests stand on `sockd.net.requests`, which stands on this.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable
from typing import Any, ClassVar, cast

from twisted.internet import unix
from twisted.internet.interfaces import (
    IFileDescriptorReceiver,
    IHalfCloseableProtocol,
    IHandshakeListener,
    IPushProducer,
)
from twisted.internet.protocol import Protocol, connectionDone
from twisted.python.failure import Failure
from zope.interface import alsoProvides, implementer

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.formats.faults import error_line
from sockd.net.context import Context
from sockd.net.ended import PEER_CLOSED, why_ended
from sockd.net.progress import ask_for_life, delivered, has_finished, is_lost, taken
from sockd.net.states import NO_HOLD, Hold, Overdue, Times

LINGER_SECONDS = 2.0
"""How long a closed peer may go on sending before it is cut off: were it cut off at once, the
kernel would reset the connection and the peer would lose the answer it has not read yet."""
LINGER_BYTES = 1024 * 1024
"""And how many bytes it may send in that time."""

TRANSPORTS = ("tcp", "tls", "unix")
"""What streams go over."""

DONE = because("done")
SERVICE_ERROR = because("service_error")
DAEMON_STOPS = because("daemon_stops")


@implementer(IHalfCloseableProtocol, IHandshakeListener, IPushProducer)
class Stream(Protocol):
    """One connection of a stream service. It is the producer of its own transport."""

    transports: ClassVar[tuple[str, ...]] = TRANSPORTS
    """What it works over: fewer where it needs what others do not have."""
    produces: ClassVar[bool] = True
    """False for services that write once: they need not be told to wait."""
    lingers: ClassVar[bool] = True
    """False for services that speak only: closing them need not wait for what the peer sends. Over
    TLS it does: the peer's end of TLS would meet a closed socket, and take the answer with it."""
    takes_cut: ClassVar[bool] = True
    """For TLS: TCP's end without TLS's own before it is a peer that has finished, too."""
    reads_lines: ClassVar[bool] = False
    """True: `max_line` and `line_timeout` bound what the peer sends. `Requests` sets it."""
    reads_frames: ClassVar[bool] = False
    """True: `line_timeout` bounds messages that are no lines."""
    reads_texts: ClassVar[bool] = False
    """True: `text_timeout` bounds what the peer sends."""
    hears: ClassVar[bool] = True
    """False for services that drop whatever comes: there is never a reason not to read."""
    bounds_itself: ClassVar[bool] = True
    """For sockd's reactor: none writes for longer than its turn, so writes need not be counted; and
    one whose peer does not read is to hold as little as possible, so it is blocked at once."""

    context: Context[Any, Any]
    transport: Any = None
    """The transport: ITCPTransport and IConsumer, or the same over TLS or a Unix socket."""

    # at first; on the class, because most connections change few of them
    number = 0
    """Its number in this daemon: log lines and sessions bear it."""
    since = 0.0
    """When it began, in seconds of the reactor's clock."""
    bytes_in: int
    bytes_out: int
    requests = 0
    text = 0
    """Which text it is that has begun and is not whole, counted from 1; 0: none."""
    is_open = False
    is_closing = False
    peer_finished = False
    holds: frozenset[Hold] = NO_HOLD
    """Why the peer is not read from now."""
    reason: Reason | None = None
    """Why it has ended or will end, where we know."""
    _is_secure = False
    _is_counted = False
    _times: Times | None
    _linger_until: float | None = None
    _linger_bytes = 0

    def __init__(self, context: Context[Any, Any], peer: Peer, entrance: Entrance) -> None:
        self.context = context
        self.peer = peer
        self.entrance = entrance
        # Python gives an object that gets an attribute late a dictionary of 800 bytes
        self.bytes_in = self.bytes_out = 0
        self.traffic = context.guard.counts.traffic(entrance)
        self._times = None

    @classmethod
    def prepare(cls, context: Context[Any, Any], sock: socket.socket, entrance: Entrance) -> None:
        """A socket is about to listen: set what its connections are to have from the beginning, say
        what they will not have."""

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

    # what a service uses

    def write(self, data: bytes) -> None:
        """Send bytes; may set `is_blocked`."""
        self.bytes_out += len(data)
        self.transport.write(data)

    def close(self, reason: Reason = DONE) -> None:
        """End the connection once everything written is delivered. Later input is dropped."""
        if self.is_closing:
            return
        self._begin_to_close(reason)
        if (self.lingers or self._is_secure) and self.is_open and not self.peer_finished:
            self._linger_until = self.context.clock.seconds() + LINGER_SECONDS
            self._linger_bytes = self.bytes_in + LINGER_BYTES
            self.transport.loseWriteConnection()
        else:
            self.transport.loseConnection()

    def fail(self, reason: Reason) -> None:
        """Tell the peer what was wrong in a line, the reason's sentence, and close."""
        if not self.is_closing:
            self.write(error_line(str(reason).removeprefix("error: ")))
            self.close(reason)

    def abort(self, reason: Reason) -> None:
        """End the connection now, whatever waits to be delivered."""
        self.reason = self.reason or reason
        self.is_closing = True
        self.transport.abortConnection()

    def stop(self, reason: Reason = DAEMON_STOPS) -> None:
        """Deliver what is written, and end; wait for nothing else."""
        if not self.is_closing:
            self._begin_to_close(reason)
            if self._is_secure and self.is_open:
                # its end after ours, which TLS would wait for, is not
                self.transport.loseWriteConnection()
        self.transport.loseConnection()

    def _begin_to_close(self, reason: Reason) -> None:
        self.is_closing = True
        self.reason = self.reason or reason
        if self.produces:
            self.transport.unregisterProducer()
        if self.holds:
            # what still comes is read and dropped: the peer's end has to be heard
            self.holds = NO_HOLD
            if not self.peer_finished:
                self.transport.resumeProducing()

    def hold(self, why: Hold) -> None:
        """Read no more, until this reason and every other one is gone."""
        if self.hears and not (self.holds or self.is_closing):
            self.transport.pauseProducing()
        self.holds |= {why}

    def release(self, why: Hold) -> None:
        """This is no reason any more; where it was the last one, reading goes on."""
        if why in self.holds:
            self.holds -= {why}
            if self.hears and not (self.holds or self.is_closing or self.peer_finished):
                self.transport.resumeProducing()

    def produce(self) -> None:
        """Be told when the peer does not take what is written: for who writes more than once."""
        if not self.produces:
            self.produces = True  # type: ignore[misc]  # of this connection
            self.transport.registerProducer(self, True)

    def contain(self, call: Callable[..., Any], *args: Any) -> None:
        """Call into the service: an exception is reported and ends this peer only."""
        try:
            call(*args)
        except Exception:  # noqa: BLE001 - whatever a service raises, the others do not notice
            self.fault()

    def fault(self, failure: Failure | None = None) -> None:
        """Report what has failed in the service, or the exception that is being handled."""
        self.traffic.errors += 1
        events.crash(self.context.name, self.peer, failure)
        self.abort(SERVICE_ERROR)

    @property
    def is_blocked(self) -> bool:
        """Whether the peer does not take what it was sent."""
        return Hold.PEER in self.holds

    @property
    def is_working(self) -> bool:
        """Whether the peer waits for us."""
        return False

    @property
    def is_partial(self) -> bool:
        """Whether a request has begun and is not whole."""
        return False

    @property
    def answer_timeout(self) -> float:
        """Seconds that the peer may wait for us, for services that know no better."""
        return self.context.limits.answer_timeout

    # Twisted's side

    def connectionMade(self) -> None:
        self._is_secure = self.entrance.transport == "tls"
        guard = self.context.guard
        if not self.peer.host:
            if type(self.transport) is unix.Server:
                alsoProvides(self, IFileDescriptorReceiver)
            self.peer = self._local_peer()
            if (rule := guard.refusal(self.peer)) is not None:
                guard.refuse(self.peer, rule, self.entrance)
                self.abort(rule)
                return
        self.since = self.context.clock.seconds()
        self._is_counted = True
        self.traffic.connections += 1
        guard.admit(self)
        if not self._is_secure:
            self._begin()

    def handshakeCompleted(self) -> None:
        self.traffic.handshakes += 1
        self._begin()

    def _begin(self) -> None:
        self.is_open = True
        if self.context.guard.limits.log_connections:
            events.opened(self.context.name, self.number, self.entrance, self.peer)
        if self.produces:
            self.transport.registerProducer(self, True)
        try:
            self.opened()
        except Exception:  # noqa: BLE001 - as in `contain`, without a call more for each connection
            self.fault()

    def dataReceived(self, data: bytes) -> None:
        self.bytes_in += len(data)
        if self.is_closing:
            if self._linger_until is not None and self.bytes_in > self._linger_bytes:
                self.transport.loseConnection()
            return
        try:
            self.received(data)
        except Exception:  # noqa: BLE001 - as in `contain`, without a call more for each read
            self.fault()

    def readConnectionLost(self) -> None:
        self.peer_finished = True
        if self.is_closing:
            self.transport.loseConnection()
        else:
            self.contain(self.finished)

    def fileDescriptorReceived(self, descriptor: int) -> None:
        """Twisted's own Unix transport: a descriptor came along. Nothing here takes one."""
        os.close(descriptor)

    def writeConnectionLost(self) -> None:
        """Our half is closed; Twisted tells it, nothing is to be done."""

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._is_counted:
            return
        self._is_counted = False
        self.is_closing = True
        guard = self.context.guard
        try:
            why = self.reason or why_ended(reason, is_open=self.is_open)
            duration = self.context.clock.seconds() - self.since
            self.traffic.ended(why.name, duration, self.bytes_in, self.bytes_out)
            if not self.is_open:
                self.traffic.handshakes_failed += 1
            if guard.limits.log_connections:
                events.closed(
                    self.context.name,
                    self.number,
                    self.entrance,
                    self.peer,
                    duration,
                    self.bytes_in,
                    self.bytes_out,
                    why,
                )
            self.contain(self.gone)
        finally:  # and at last: a daemon that waits for this may say that it has stopped
            guard.leave(self)

    def pauseProducing(self) -> None:
        """Twisted: too much waits to be sent."""
        self.hold(Hold.PEER)

    def resumeProducing(self) -> None:
        """Twisted: all of it is sent."""
        self.release(Hold.PEER)

    def stopProducing(self) -> None:
        """Twisted: the connection is lost; `connectionLost` follows."""

    # time

    def sweep(self, now: float) -> None:
        """Once a second, from the guard: has its state lasted too long?"""
        self.contain(self._sweep, now)

    def _sweep(self, now: float) -> None:
        times = self._times
        if times is None:  # most connections end before it is asked for
            times = self._times = Times(self.since)
        overdue = times.overdue(self, self.context.limits, now)
        if overdue is not None:
            self.timed_out(overdue)
        elif self._linger_until is not None and now >= self._linger_until:
            self._linger_until = None
            self.transport.loseConnection()
        elif (self.peer_finished or self.holds) and not self.is_closing:
            # nothing is read, so nothing else would tell
            sock = self._socket()
            if is_lost(sock):
                self.abort(PEER_CLOSED)
            elif self.peer_finished or has_finished(sock):
                ask_for_life(sock)

    def idle(self, now: float) -> float:
        """Seconds since a byte came or was sent, exact to a sweep."""
        return 0.0 if self._times is None else self._times.idle(self, now)

    def timed_out(self, overdue: Overdue) -> None:
        """Its time is over, in one way or another."""
        if overdue.is_abrupt:
            self.abort(overdue.reason)
        elif overdue.is_told:
            self.fail(overdue.reason)
        else:
            self.close(overdue.reason)

    @property
    def moved(self) -> int:
        """Bytes that were received, or taken by the peer, so far."""
        return self.bytes_in + delivered(self._socket(), self.bytes_out)

    @property
    def transferred(self) -> int:
        """Bytes that were sent or received so far."""
        return self.bytes_in + self.bytes_out

    @property
    def taken(self) -> tuple[int, int]:
        """What changes while the peer takes what it was sent."""
        return taken(self._socket()), self.bytes_out

    # the socket below

    def _socket(self) -> socket.socket:
        # not `getHandle`, which is OpenSSL's part where TLS is spoken
        return cast(socket.socket, self.transport.socket)

    def _local_peer(self) -> Peer:
        credentials = self._socket().getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12)
        pid, uid, _ = struct.unpack("=iII", credentials)
        return Peer("", 0, pid, uid)
