"""A connected socket on a reactor: what comes is handed on, what does not go yet waits.

It is no transport of Twisted's: a write that fails does not end the reading, so the answer of a
server that has closed early is still read, and the moments of calls are known.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
from typing import Protocol

from attrs import define, field
from twisted.internet.interfaces import IReadWriteDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.client.errors import ClientError, Unreachable
from sockd.client.net.loop import Reactor
from sockd.client.net.system import words

MOST_READ = 64 * 1024
"""Bytes of one read. Room for more would be mapped anew by the allocator for each of them."""
MOST_READS = 4
"""Reads in one turn: a fast sender must not keep the others from theirs."""
_LINGER_NOT = struct.pack("ii", 1, 0)
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)
"""A socket that is reset is no closed pipe of standard output's: it does not end the process."""
_LATER = (BlockingIOError, InterruptedError)


class Receiver(Protocol):
    """Who is told what happens on a channel. None of it is called after `close`."""

    def received(self, data: bytes) -> None:
        """Bytes have come."""

    def finished(self, is_cut: bool) -> None:
        """The other side has finished sending; `is_cut`: TLS was not told so."""

    def failed(self, error: ClientError) -> None:
        """Nothing more comes, and not because the other side has finished."""

    def sent(self) -> None:
        """Nothing waits to be sent any more, or nothing can be sent any more."""


class Channel(Protocol):
    """A way to send and receive bytes."""

    receiver: Receiver

    @property
    def socket(self) -> socket.socket:
        """The socket beneath it."""

    @property
    def waiting(self) -> int:
        """Bytes that were written and wait for the kernel."""

    @property
    def expires(self) -> float | None:
        """When the other side's certificate ends to hold, in Unix time; None without TLS."""

    @property
    def write_error(self) -> ClientError | None:
        """Why nothing can be sent any more."""

    def write(self, data: bytes) -> None:
        """Send it, now as far as there is room."""

    def finish(self) -> None:
        """Say that nothing more is sent, after what waits; reading goes on."""

    def pause(self) -> None:
        """Read no more for now."""

    def resume(self) -> None:
        """Read again."""

    def close(self) -> None:
        """End it now; what waits is not sent."""

    def abort(self) -> None:
        """End it now, with a reset."""


@implementer(IReadWriteDescriptor)
@define(eq=False)
class SocketChannel:
    """A channel over a connected socket, which is its own from now on. Reads after `resume`."""

    reactor: Reactor
    socket: socket.socket
    name: str
    """Of the other side, for messages."""
    receiver: Receiver = field(init=False)
    expires: float | None = field(default=None, init=False)
    write_error: ClientError | None = field(default=None, init=False)
    _unsent: bytearray = field(factory=bytearray, init=False)
    _is_finishing: bool = field(default=False, init=False)
    _reads: bool = field(default=False, init=False)
    _is_read_out: bool = field(default=False, init=False)
    """Whether nothing more can be read."""
    _is_reset: bool = field(default=False, init=False)
    """Whether a write was told that the other side has reset the connection."""
    _is_closed: bool = field(default=False, init=False)

    # what a reactor asks and tells

    def fileno(self) -> int:
        """The descriptor; -1 once it is closed."""
        return self.socket.fileno()

    def logPrefix(self) -> str:
        """Twisted: whose log lines these are."""
        return "sock"

    def doRead(self) -> None:
        """There is something to read, or an end.

        It is read until there is no more: libuv watches a socket that has failed no longer, and
        tells it once, when what came before the failure may still be there to read.
        """
        for _ in range(MOST_READS):
            if not self._reads or not self._read():
                return
        self.pause()
        self.resume()  # others have their turn; it is watched anew

    def _read(self) -> bool:
        """Read once; whether there may be more."""
        if self._is_closed or self._is_read_out:
            return False
        try:
            data = self._receive()
        except _LATER:
            return False
        except BrokenPipeError:  # reset, but after its end had come
            data = b""
        except OSError as error:
            self._read_out()
            self.receiver.failed(self._fault(error))
            return False
        if data is None:
            return True
        if data:
            self.receiver.received(data)
            return True
        self._read_out()
        if self._is_reset and self.write_error is not None:
            # the kernel tells of a reset once, and a write was told
            self.receiver.failed(self.write_error)
        else:
            self.receiver.finished(False)
        return False

    def _receive(self) -> bytes | None:
        """What has come; b"" at the end. None: ask again. Raises OSError."""
        return self.socket.recv(MOST_READ)

    def doWrite(self) -> None:
        """There is room to write."""
        if self._is_closed:
            return
        self._send()
        if not self._unsent:
            self.reactor.removeWriter(self)
            self._shut()
            self.receiver.sent()

    def connectionLost(self, reason: Failure) -> None:
        """A reactor tells of an error or an end of both sides; it watches the socket no more."""
        if self._is_closed:
            return
        was_reading, self._reads = self._reads, False
        if self._unsent:
            number = self.socket.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) or errno.EPIPE
            self._unwritable(OSError(number, os.strerror(number)))
            self.receiver.sent()
        # what has come before it is read, up to the end that the kernel tells
        if was_reading and not self._is_closed:
            self.resume()

    # what the client asks

    @property
    def waiting(self) -> int:
        """Bytes that were written and wait for the kernel."""
        return len(self._unsent)

    def write(self, data: bytes) -> None:
        """Send it, now as far as there is room."""
        if self._is_closed or self._is_finishing or self.write_error is not None:
            return
        waited = bool(self._unsent)
        self._unsent += data
        if waited:
            return
        self._send()
        if self._unsent:
            self.reactor.addWriter(self)

    def finish(self) -> None:
        """Say that nothing more is sent, after what waits; reading goes on."""
        if not (self._is_closed or self._is_finishing):
            self._is_finishing = True
            if not self._unsent:
                self._shut()

    def pause(self) -> None:
        """Read no more for now."""
        if self._reads:
            self._reads = False
            self.reactor.removeReader(self)

    def resume(self) -> None:
        """Read again."""
        if not (self._reads or self._is_closed or self._is_read_out):
            self._reads = True
            self.reactor.addReader(self)

    def close(self) -> None:
        """End it now; what waits is not sent."""
        if self._is_closed:
            return
        self._is_closed = True
        self._unsent.clear()
        self.reactor.removeReader(self)
        self.reactor.removeWriter(self)
        self.socket.close()

    def abort(self) -> None:
        """End it now, with a reset."""
        if not self._is_closed and self.socket.family != socket.AF_UNIX:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
        self.close()

    def _send(self) -> None:
        try:
            while self._unsent:
                del self._unsent[: self._send_some()]
        except _LATER:
            pass
        except OSError as error:
            self._unwritable(error)

    def _send_some(self) -> int:
        """Send from the beginning of what waits; how much went. Raises OSError."""
        with memoryview(self._unsent) as view:
            return self.socket.send(view, NO_SIGNAL)

    def _unwritable(self, error: OSError) -> None:
        self.write_error = self._fault(error)
        self._is_reset = error.errno == errno.ECONNRESET
        self._unsent.clear()

    def _shut(self) -> None:
        if self._is_finishing and not self._is_closed:
            try:
                self.socket.shutdown(socket.SHUT_WR)
            except OSError as error:  # it is over already
                self._unwritable(error)

    def _read_out(self) -> None:
        self.pause()
        self._is_read_out = True

    def _fault(self, error: OSError) -> ClientError:
        if error.errno in (errno.ECONNRESET, errno.EPIPE, errno.ENOTCONN):
            return Unreachable(f"{self.name} has reset the connection")
        return Unreachable(f"the connection to {self.name} broke: {words(error)}")
