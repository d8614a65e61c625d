"""Twisted's stream transports on uvloop's own: the contract is Twisted's, the work libuv's.

Twisted's transports arm and disarm a writer for each message, which costs more than the message.
uvloop's write at once and read in C. `Connection` is a Twisted transport to its protocol and an
asyncio protocol to uvloop. Sources: twisted.internet.interfaces, and twisted.internet.tcp for what
the interfaces leave open.

A connection is made in two steps. While `connectionMade` runs there is the socket alone, and what
is written goes straight to it: a service that says one thing and closes needs nothing else. If the
connection is to go on, uvloop takes the socket over in the next turn of the loop.
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable
from contextlib import suppress
from functools import cache
from typing import Any

from twisted.internet import _newtls, tcp
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import (
    ConnectionAborted,
    ConnectionDone,
    ConnectionLost,
    FileDescriptorOverrun,
)
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    ILoggingContext,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
    ITLSTransport,
    IUNIXTransport,
)
from twisted.logger import Logger
from twisted.python import context
from twisted.python.failure import Failure
from twisted.python.log import ILogContext
from zope.interface import implementer

HIGH_WATER = 65_536
"""Bytes waiting to be sent above which a push producer is paused, as in Twisted's transports. It is
resumed once all of them are sent."""
LONGEST_READ = 256_000
"""Bytes of one read where `bufferSize` is left alone: uvloop's own buffer."""
MAX_DESCRIPTORS = 64
"""Descriptors waiting to be sent above which a push producer is paused, as in Twisted's."""
_OF_TLS = ("loseConnection", "registerProducer", "unregisterProducer", "write", "writeSequence")
"""What is TLS's to do, where it has been started."""
_RESET = struct.pack("ii", 1, 0)
"""SO_LINGER: closing throws away what waits, and tells the peer with a reset."""
_AT_FIRST = socket.MSG_DONTWAIT | getattr(socket, "MSG_MORE", 0)
"""How to send while `connectionMade` runs: what is said leaves together with the end that may
follow, in one segment. If none follows, uvloop sets TCP_NODELAY, and that sends it."""
_DONE = Failure(ConnectionDone())
_LOST = Failure(ConnectionLost())
_log = Logger()


def _drop(data: bytes) -> None:
    """Write to a connection that takes no more."""


@cache
def _read_buffer(size: int) -> memoryview:
    """A buffer for reads of all connections: what is read is copied before the next read."""
    return memoryview(bytearray(size))


@implementer(IConsumer, ILoggingContext, IPushProducer, ISystemHandle, ITCPTransport, ITLSTransport)
class Connection:
    """A TCP connection; the arguments are those of `twisted.internet.tcp.Server`."""

    TLS = False
    _tlsClientDefault = False
    connected = True
    disconnected = False
    disconnecting = False
    producer: Any = None
    streamingProducer = False
    producerPaused = False

    _native: Any = None
    """uvloop's transport, once it has taken the socket over."""
    _coroutine: Any = None
    """What makes it, while that is not done."""
    _buffer_size = LONGEST_READ
    _view: memoryview
    _reading = True
    _peer_ended = False
    _aborting = False
    _ends_writing = False
    _has_ended_writing = False
    _why: Failure | None = None
    """What `connectionLost` will be told, where uvloop does not know it."""
    _unsent: bytes = b""
    """What the socket did not take before uvloop had it."""
    _high_water = HIGH_WATER
    _counts_writes = False
    _written = 0
    """Bytes since a push producer last had to let the others have their turn."""
    _pull_is_due = False
    """Whether something was written since a pull producer was last asked for more."""
    _held: bytes = b""
    """What was read after reading was paused, in the one turn in which uvloop cannot be paused."""
    _end_held = False
    _last_name = ""
    """What the protocol was called, once it is gone."""
    _descriptors: tuple[int, ...] = ()
    """Descriptors to be sent over a Unix socket, each with a byte of what waits."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        self.socket = sock
        self.protocol = protocol
        self.client = client
        self.server = server
        self.sessionno = sessionno
        self.reactor = reactor
        self._contexts: list[Any] = reactor.log_contexts
        reactor.connections.add(self)

    # ITransport

    def write(self, data: bytes) -> None:
        """Send bytes. Shadowed by uvloop's own `write`, unless that must be counted."""
        self._raw_write(data)
        if not (self._counts_writes and data) or self._raw_write is _drop:
            return
        if self._is_pulled:
            self._pull_is_due = True
            if self._native is not None:
                self.reactor.loop.call_soon(self._pull)
        else:
            self._written += len(data)
            rests = self._written > min(HIGH_WATER, self._buffer_size)
            if rests or self._waiting > self._high_water:
                self._written = 0
                self.pause_writing()
                self.reactor.loop.call_soon(self._end_rest)

    def writeSequence(self, iovec: Iterable[bytes]) -> None:
        """Send pieces as one."""
        try:
            data = b"".join(iovec)
        except TypeError:
            raise TypeError("Data must be bytes") from None
        Connection.write(self, data)  # not TLS's, which writes with this

    def loseConnection(self) -> None:
        """Close, once what is written is sent and a pull producer has said that it is done."""
        if self.disconnecting or not self.connected:
            return
        self.disconnecting = True
        self.stopReading()
        self._end_soon()

    def abortConnection(self) -> None:
        """Close now; the peer gets a reset."""
        if self._aborting or not self.connected:
            return
        self._aborting = True
        self.disconnecting = True
        with suppress(OSError):  # the peer's reset was quicker
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        self._fail(Failure(ConnectionAborted()))

    def loseWriteConnection(self) -> None:
        """Close our half, once what is written is sent."""
        if self._ends_writing or not self.connected:
            return
        self._ends_writing = True
        self._end_soon()

    def getHost(self) -> Any:
        """Our address."""
        return address_of(tcp._getsockname(self.socket))

    def getPeer(self) -> Any:
        """The peer's address."""
        return address_of(self.client)

    def getHandle(self) -> socket.socket:
        """The socket: for options and its descriptor. uvloop reads from it and writes to it."""
        return self.socket

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self.socket.fileno()

    # ITCPTransport

    def getTcpNoDelay(self) -> bool:
        """Whether small writes go out at once: they do, unless it is switched off."""
        return bool(self.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Whether small writes go out at once."""
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the kernel looks after an idle peer."""
        return bool(self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Whether the kernel looks after an idle peer."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    # ITLSTransport

    def startTLS(self, contextFactory: Any, normal: bool = True) -> None:
        """Go on in TLS, Twisted's own, on top of this connection."""
        producer, streaming = self.producer, self.streamingProducer
        if producer is not None:
            self.unregisterProducer()
        _newtls.startTLS(self, contextFactory, normal, Connection)
        secure = self.protocol
        for name in _OF_TLS:
            setattr(self, name, getattr(secure, name))
        if producer is not None:
            secure.registerProducer(producer, streaming)

    @property
    def bufferSize(self) -> int:
        """Bytes that one read brings at most."""
        return self._buffer_size

    @bufferSize.setter
    def bufferSize(self, size: int) -> None:
        self._buffer_size = size
        self._view = view = _read_buffer(size)
        # a protocol that has this has uvloop read into what it returns
        self.get_buffer = lambda _: view
        if self._native is not None:
            self._native.set_protocol(self)

    # IPushProducer

    def pauseProducing(self) -> None:
        """Read no more."""
        self.stopReading()

    def resumeProducing(self) -> None:
        """Read again."""
        if self.connected and not self.disconnecting:
            self.startReading()

    def stopProducing(self) -> None:
        """Close."""
        self.loseConnection()

    def stopReading(self) -> None:
        """Read no more."""
        self._reading = False
        if self._native is not None:
            self._native.pause_reading()

    def startReading(self) -> None:
        """Read again, unless the peer has ended its half."""
        if self._reading or self._peer_ended:
            return
        self._reading = True
        if "data_received" in self.__dict__ or self._end_held:
            self.reactor.loop.call_soon(self._take_held)
        elif self._native is not None:
            self._native.resume_reading()

    # IConsumer

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have a producer paused and resumed (streaming), or asked each time all is sent.

        A push producer may write until it is paused, and a peer may read as fast as that: it rests
        for a turn after `HIGH_WATER` bytes. One with a true attribute `bounds_itself` does not, and
        is paused as soon as anything waits.
        """
        if self.producer is not None:
            raise RuntimeError(
                f"there is a producer already: {self.producer!r}; {producer!r} must wait until "
                "it is unregistered"
            )
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer = producer
        self.streamingProducer = streaming
        self.producerPaused = False
        bounds_itself = getattr(producer, "bounds_itself", False)
        self._set_high_water(HIGH_WATER if streaming and not bounds_itself else 0)
        self._count_writes(not (streaming and bounds_itself))
        if streaming:
            # others are paused when they write: the one that TLS registers cannot be paused yet
            if bounds_itself and self._waiting > self._high_water:
                self.pause_writing()
        else:
            # once more in the next turn: what was written before may all be sent already
            self._pull_is_due = True
            self.guarded(producer.resumeProducing)
            if self._native is not None:
                self.reactor.loop.call_soon(self._pull)

    def unregisterProducer(self) -> None:
        """The producer is done."""
        self.producer = None
        self._count_writes(False)
        self._set_high_water(HIGH_WATER)
        self._end_soon()

    def stopConsuming(self) -> None:
        """No producer any more, and close."""
        self.unregisterProducer()
        self.loseConnection()

    # ILoggingContext

    def logPrefix(self) -> str:
        """Whose log lines these are."""
        return self.logstr

    @property
    def logstr(self) -> str:
        """`PROTOCOL,NUMBER,HOST`."""
        return f"{self._protocol_name},{self.sessionno},{self.hostname}"

    @property
    def _protocol_name(self) -> str:
        return self._last_name or _name(self.protocol)

    @property
    def hostname(self) -> Any:
        """The peer's host."""
        return self.client[0]

    def __repr__(self) -> str:
        if self.disconnected:
            return f"<{type(self).__name__} #{self.sessionno}, lost>"
        local = self.socket.getsockname()
        where = repr(local) if self.socket.family == socket.AF_UNIX else local[1]
        return f"<{type(self.protocol).__name__} #{self.sessionno} on {where}>"

    # before uvloop has the socket

    def _raw_write(self, data: bytes) -> None:
        """To the socket; shadowed by uvloop's `write`, and in the end by `_drop`."""
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        if not self._unsent:
            try:
                data = data[self.socket.send(data, _AT_FIRST) :]
            except BlockingIOError:
                pass
            except OSError:
                self._fail(_LOST)
                return
        self._unsent += data
        if len(self._unsent) > self._high_water:
            self.pause_writing()

    def begin(self) -> None:
        """`connectionMade` is over: the end already, or the beginning of what uvloop does."""
        if self.disconnected:
            return
        if self._why is not None or self.socket.fileno() < 0:
            # not in this turn: a client in this process would see no connection, but its reset
            self.reactor.loop.call_soon(self.connection_lost, ConnectionError())
        elif self.disconnecting and not self._has_more:
            self._ended(_DONE)
        else:
            coroutine = self.reactor.loop.connect_accepted_socket(lambda: self, self.socket)
            try:
                coroutine.send(None)
            except Exception:  # noqa: BLE001 - the kernel does not let the descriptor be watched
                _log.failure("uvloop cannot serve {connection}", connection=self)
                self._ended(_LOST)
            else:
                # kept until it is done: were it collected, it would close the connection
                self._coroutine = coroutine

    def _finish_making(self) -> None:
        coroutine, self._coroutine = self._coroutine, None
        with suppress(StopIteration):
            coroutine.send(None)
        if not self._reading:
            self._native.pause_reading()

    # an asyncio protocol, for uvloop

    def connection_made(self, native: Any) -> None:
        """uvloop has the socket, and reads from now on, whatever it is told in this turn."""
        self.reactor.loop.call_soon(self._finish_making)
        self._native = native
        if self._why is not None or self.disconnected:
            native.abort()
            return
        if not self._reading:
            self.data_received = self._hold  # type: ignore[method-assign]
            native.set_protocol(self)
        native.set_write_buffer_limits(self._high_water, 0)
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """uvloop: bytes from the peer."""
        contexts = self._contexts
        contexts.append(self)
        try:
            self.protocol.dataReceived(data)
        except BaseException:  # noqa: BLE001 - as Twisted: any fault of a protocol ends it
            self._fault()
        finally:
            contexts.pop()
        if len(data) == self._buffer_size:
            self._let_others()

    def buffer_updated(self, count: int) -> None:
        """uvloop: bytes from the peer, in the buffer."""
        self.data_received(self._view[:count].tobytes())

    def eof_received(self) -> bool:
        """uvloop: the peer has ended its half. True: this decides what follows."""
        if self._reading:
            self._end_reading()
        else:
            self._end_held = True
        return True

    def pause_writing(self) -> None:
        """uvloop: more than the high-water mark waits to be sent."""
        if self.producer is not None and self.streamingProducer and not self.producerPaused:
            self.producerPaused = True
            self.guarded(self.producer.pauseProducing)

    def resume_writing(self) -> None:
        """uvloop: all is sent."""
        if self._is_pulled:
            self._pull_is_due = True
            self._pull()
            return
        if self._is_paused:
            self.producerPaused = False
            self.guarded(self.producer.resumeProducing)
        self._end_soon()

    def connection_lost(self, error: BaseException | None) -> None:
        """uvloop: the connection is over; the descriptor is closed after this."""
        if not self.disconnected:
            self._ended(self._why or (_DONE if error is None else _LOST))

    # for the reactor

    @property
    def is_reading(self) -> bool:
        """Whether what the peer sends is read."""
        return self._reading and not self._peer_ended

    @property
    def is_writing(self) -> bool:
        """Whether something waits to be sent."""
        return self._waiting > 0

    def connectionLost(self, reason: Failure) -> None:
        """End at once, without the peer: the reactor stops."""
        self._ended(reason)
        if self._native is not None:
            self._native.abort()

    # a context of Twisted's log while a protocol runs: whose line it is, made out only when asked

    def copy(self) -> dict[Any, Any]:
        """As a dict's."""
        base = context.defaultContextDict
        return {**base, ILogContext: {**base[ILogContext], "system": self.logPrefix()}}

    def __getitem__(self, key: Any) -> Any:
        return self.copy()[key]

    def guarded(self, call: Callable[..., object], *args: Any) -> None:
        """Call a protocol or a producer: a fault of it is logged, and ends the connection."""
        self._contexts.append(self)
        try:
            call(*args)
        except BaseException:  # noqa: BLE001 - as in `data_received`
            self._fault()
        finally:
            self._contexts.pop()

    # the pieces

    @property
    def _waiting(self) -> int:
        """Bytes that wait to be sent."""
        buffered: int = 0 if self._native is None else self._native.get_write_buffer_size()
        return len(self._unsent) + buffered

    @property
    def _is_pulled(self) -> bool:
        return self.producer is not None and not self.streamingProducer

    @property
    def _is_paused(self) -> bool:
        return self.producer is not None and self.producerPaused

    def _take_writes(self, write: Callable[[bytes], None]) -> None:
        self._raw_write = write  # type: ignore[assignment, method-assign]
        self._count_writes(self._counts_writes)

    def _set_high_water(self, size: int) -> None:
        if size != self._high_water:
            self._high_water = size
            if self._native is not None and not self.disconnected:
                self._native.set_write_buffer_limits(size, 0)

    def _count_writes(self, counts: bool) -> None:
        self._counts_writes = counts
        if self.TLS:
            return  # its own `write` is there
        if counts:
            self.__dict__.pop("write", None)
        else:
            self.write = self._raw_write  # type: ignore[method-assign]

    def _end_rest(self) -> None:
        if self.producerPaused and not self.disconnected and self._waiting <= self._high_water:
            self.resume_writing()

    def _fault(self) -> None:
        why = Failure()
        _log.failure("error in {protocol}", failure=why, protocol=self._protocol_name)
        if self.connected:
            self._fail(why)

    def _fail(self, why: Failure) -> None:
        """End at once. What waits to be sent is lost."""
        if self._why is None:
            self._why = why
        self._reading = False
        self._take_writes(_drop)
        if self._native is not None:
            self._native.abort()

    def _hand_over(self) -> None:
        """Give uvloop what waits to be sent, and all that follows."""
        self._take_writes(self._native.write)
        unsent, self._unsent = self._unsent, b""
        if unsent:
            self._pull_is_due = True
            self._native.write(unsent)

    def _go_on(self) -> None:
        """uvloop sends from now on; what waited for that can happen."""
        self._hand_over()
        self._pull()
        self._end_rest()
        self._end_soon()

    def _end_soon(self) -> None:
        """End what is to end, when all is sent: also what is still written in this turn."""
        if self._native is not None and self.connected:
            if self.disconnecting:
                self.reactor.loop.call_soon(self._close)
            elif self._ends_writing:
                self.reactor.loop.call_soon(self._end_writing)

    @property
    def _has_more(self) -> bool:
        """Whether something waits that is not uvloop's to send yet, or a producer has more."""
        waits = self._unsent or self._descriptors or self._is_pulled or self._is_paused
        return bool(waits) and not self._has_ended_writing

    def _all_is_sent(self) -> bool:
        """Whether nothing is left to be sent, to a peer that is there."""
        if self._native.get_write_buffer_size():
            self._set_high_water(0)  # `resume_writing` comes when all is sent
            return False
        try:
            self.socket.send(b"", socket.MSG_DONTWAIT)
        except OSError:  # the peer has gone, which only who reads has been told
            self._fail(_LOST)
            return False
        return True

    def _close(self) -> None:
        if self.disconnected or self._has_more or self._native.is_closing():
            return
        if self._has_ended_writing or self._all_is_sent():
            self._native.close()

    def _end_writing(self) -> None:
        if self._has_ended_writing or self._has_more or self._native.is_closing():
            return
        if self.disconnecting or self.disconnected or not self._all_is_sent():
            return
        self._has_ended_writing = True
        self._take_writes(_drop)
        self._native.write_eof()
        half_closeable: Any = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is not None:
            self.guarded(half_closeable.writeConnectionLost)

    def _end_reading(self) -> None:
        self._peer_ended = True
        half_closeable: Any = IHalfCloseableProtocol(self.protocol, None)
        if half_closeable is None:
            self._fail(_DONE)
        else:
            self.guarded(half_closeable.readConnectionLost)

    def _hold(self, data: bytes) -> None:
        self._held += data
        self._native.pause_reading()

    def _let_others(self) -> None:
        """A read has filled the buffer: libuv would go on reading, 32 times before the others."""
        if self.is_reading and self.connected:
            self._native.pause_reading()
            self.reactor.loop.call_soon(self._read_on)

    def _take_held(self) -> None:
        if self.disconnected or not self._reading:
            return
        if "data_received" in self.__dict__:
            del self.data_received
            self._native.set_protocol(self)
        held, self._held = self._held, b""
        if held:
            self.data_received(held)
        self._read_on()

    def _read_on(self) -> None:
        if self.disconnected or not self._reading:
            return
        if self._end_held:
            self._end_held = False
            self._end_reading()
        else:
            self._native.resume_reading()

    def _pull(self) -> None:
        """Ask a pull producer for more, once what it wrote is sent."""
        if self._waiting or self._raw_write is _drop:
            return
        if self._pull_is_due and self._is_pulled:
            self._pull_is_due = False
            self.guarded(self.producer.resumeProducing)

    def _ended(self, why: Failure) -> None:
        """The connection is over: close what can be closed here, and tell."""
        self.connected = False
        self.disconnected = True
        self.reactor.connections.discard(self)
        self._take_writes(_drop)
        if self.producer is not None:
            producer, self.producer = self.producer, None
            self.guarded(producer.stopProducing)
        if not self._aborting:
            # closing alone resets a peer that has sent what nobody reads, and it may lose what was
            # sent to it
            try:  # noqa: SIM105 - `suppress` takes as long as all else here
                self.socket.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has gone
                pass
        if self._native is None:
            self.socket.close()
        self.guarded(self.protocol.connectionLost, why)
        self.guarded(self._told, why)
        # what refers back here would have to wait for the garbage collector
        self._last_name = type(self.protocol).__name__
        del self.protocol
        self.__dict__.pop("data_received", None)
        for name in _OF_TLS if self.TLS else ():
            del self.__dict__[name]

    def _told(self, why: Failure) -> None:
        """The protocol knows that the connection is lost."""


def _name(protocol: Any) -> str:
    """What a protocol is called in the log."""
    named = ILoggingContext.providedBy(protocol)
    return str(protocol.logPrefix()) if named else type(protocol).__name__


def address_of(name: Any) -> IPv4Address | IPv6Address:
    """The address of a TCP socket's name: (host, port) or (host, port, flow, scope)."""
    return IPv4Address("TCP", *name) if len(name) == 2 else IPv6Address("TCP", *name)


@implementer(IUNIXTransport)
class LocalConnection(Connection):
    """A connection over a Unix socket. It can send descriptors; any that come are dropped."""

    _spare: socket.socket | None = None
    """A duplicate of the socket, to learn from that it takes more: uvloop watches its own alone."""

    def __init__(
        self,
        sock: socket.socket,
        protocol: Any,
        client: Any,
        server: Any,
        sessionno: int,
        reactor: Any,
    ) -> None:
        super().__init__(sock, protocol, (client, None), server, sessionno, reactor)

    def getHost(self) -> Any:
        """Our address: a path, or a name outside the file system."""
        return UNIXAddress(self.socket.getsockname() or None)

    def getPeer(self) -> Any:
        """The peer's address: most have no name."""
        return UNIXAddress(self.hostname or None)

    def getTcpNoDelay(self) -> bool:
        """False: there is nothing to delay."""
        return False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing: there is nothing to delay."""

    def sendFileDescriptor(self, fileno: int) -> None:
        """Send a descriptor with the next byte that is written; one must be written."""
        if not self.connected:
            return
        if not self._descriptors:
            self._take_writes(self._write_beside)
            self.reactor.loop.call_soon(self._send_descriptors)
        self._descriptors += (fileno,)
        if len(self._descriptors) > MAX_DESCRIPTORS:
            self.pause_writing()

    def resume_writing(self) -> None:
        if self._descriptors:
            self._send_descriptors()
        else:
            super().resume_writing()

    def _hand_over(self) -> None:
        if self._descriptors:
            self._send_descriptors()
        else:
            super()._hand_over()

    def _write_beside(self, data: bytes) -> None:
        if not isinstance(data, bytes):
            raise TypeError("Data must be bytes")
        self._unsent += data
        if len(self._unsent) > self._high_water:
            self.pause_writing()

    def _send_descriptors(self) -> None:
        if self._native is None or self._native.is_closing() or self._why is not None:
            return
        if self._native.get_write_buffer_size():
            self._native.set_write_buffer_limits(0, 0)  # `resume_writing` comes when all is sent
            return
        if len(self._descriptors) > len(self._unsent):
            self._fail(Failure(FileDescriptorOverrun()))
            return
        try:
            while self._descriptors:
                socket.send_fds(self.socket, [self._unsent[:1]], self._descriptors[:1])
                self._unsent = self._unsent[1:]
                self._descriptors = self._descriptors[1:]
        except BlockingIOError:
            self._wait_for_room()
        except OSError:
            self._fail(_LOST)
        else:
            self._forget_spare()
            self._native.set_write_buffer_limits(self._high_water, 0)
            self._go_on()

    def _wait_for_room(self) -> None:
        try:
            self._spare = self._spare or self.socket.dup()
        except OSError:  # descriptors have run out
            self._fail(_LOST)
        else:
            self.reactor.loop.add_writer(self._spare, self._send_descriptors)

    def _forget_spare(self) -> None:
        if self._spare is not None:
            self.reactor.loop.remove_writer(self._spare)
            self._spare.close()
            self._spare = None

    def _told(self, why: Failure) -> None:
        self._forget_spare()


class ClientConnection(Connection):
    """A TCP connection that was made from here; its connector is told of its end."""

    _tlsClientDefault = True

    def __init__(
        self, sock: socket.socket, protocol: Any, peer: Any, connector: Any, reactor: Any
    ) -> None:
        super().__init__(sock, protocol, peer, None, 0, reactor)
        self.addr = peer
        self.connector = connector

    def __repr__(self) -> str:
        return f"<{type(self)} to {self.addr} at {id(self):x}>"

    @property
    def logstr(self) -> str:
        """`PROTOCOL,client`."""
        return f"{self._protocol_name},client"

    def _told(self, why: Failure) -> None:
        self.connector.connectionLost(why)
