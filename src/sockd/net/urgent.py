"""TCP urgent data: a byte that is told of ahead of what was sent before it, and the mark it leaves.

Here alone are `MSG_OOB`, `SO_OOBINLINE`, `SIOCATMARK` and `EPOLLPRI`. Linux, TCP without TLS: RFC
6093 says what is left of the mechanism, and why nothing new should need it.

An `UrgentSocket` knows what the kernel does with the byte; `Urgent` stands on it for a transport of
Twisted's, on any reactor; an `UrgentWatch`, one for a loop, is woken when an urgent byte has come.

What the kernel does, and what follows from it:

- A read stops at the mark. Where the mark is the *first* thing to read, it is skipped in silence,
  the urgent byte lost: so the byte is asked for before each read.
- The byte can be taken ahead of what was sent before it, as soon as it is there. It may be
  announced before that (EAGAIN), where there is no room for it until something is read.
- There is one mark. When another urgent byte comes before the mark of the last one was read, that
  one's byte becomes ordinary data, though it may have been taken.
- At the end of the stream a read tells the end, and the byte is lost unless it was taken before.
"""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from twisted.internet import main, tcp
from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

try:
    from fcntl import ioctl
    from termios import FIONREAD
except ImportError:  # Windows: nothing of this is there
    IS_HERE = False
else:
    IS_HERE = hasattr(select, "epoll")
    """Whether this system has all that is needed."""

BYTE = b"!"
"""What is sent where it does not matter which byte it is."""
MOST_EVENTS = 64
"""Connections that are told of an urgent byte before the others of the loop have their turn."""
MOST_MARKS = 100
"""Urgent bytes that were taken and stand in what is unread. Of more, some are handed out again as
ordinary bytes: who sends them as a flood is not remembered for it."""
_SIOCATMARK = 0x8905
"""linux/sockios.h"""
_DROPPED_AT_ONCE = 64 * 1024
_nowhere = bytearray(_DROPPED_AT_ONCE)

Told = Callable[[bytes], object]
"""Gets an urgent byte."""


class UrgentSocket:
    """A non-blocking TCP socket whose urgent bytes are taken; `told` gets each.

    All reading must be done here. In `told` what was sent before the byte may be dropped.
    """

    def __init__(self, sock: socket.socket, told: Told) -> None:
        self.sock = sock
        self.told = told
        self._mark = 0
        """Bytes to read up to the last byte that was taken; 0 if there are none, or unknown."""
        self._marks_before: list[int] = []
        """The same of those before it: the kernel hands them out as ordinary bytes."""

    def look(self) -> bool:
        """Take an urgent byte if one has come, and tell of it. Whether there was one."""
        ahead = self._unread()
        try:
            byte = self.sock.recv(1, socket.MSG_OOB)
        except OSError:  # EINVAL: none; EAGAIN: it is announced. What is wrong a read will tell
            return False
        if not byte:
            return False
        if self._mark and len(self._marks_before) < MOST_MARKS:
            self._marks_before.append(self._mark)
        # another mark may have come meanwhile: then its place is unknown, and it is left in
        self._mark = ahead if ahead == self._unread() else 0
        self.told(byte)
        return True

    def read(self, most: int) -> bytes | None:
        """At most so many ordinary bytes (one more at times); b"" at the end. None: an urgent byte
        was told of, or left out; ask again.

        Raises BlockingIOError where nothing has come, OSError where the connection broke.
        """
        try:
            self.sock.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            if self.look():
                return None
            raise
        # in this order: what was seen stands before a mark that comes from now on
        if self.look():
            return None
        # never up to a mark: the byte there is left out by the kernel, or is ordinary by now
        data = self.sock.recv(most + (most == self._mark))
        if not (data and (self._mark or self._marks_before)):
            return data
        return self._without_taken(data) or None

    def _without_taken(self, data: bytes) -> bytes:
        """What was read without bytes that were told of as urgent."""
        size = len(data)
        taken = [mark for mark in self._marks_before if mark < size]
        self._marks_before = [mark - size for mark in self._marks_before if mark >= size]
        if 0 < self._mark < size:
            taken.append(self._mark)
        self._mark = max(0, self._mark - size)
        ends = [*taken, size]
        starts = [0, *(mark + 1 for mark in taken)]
        return b"".join(data[start:end] for start, end in zip(starts, ends, strict=True))

    def discard(self) -> int:
        """Drop what was sent before the urgent byte: when told of it, or while it `is_coming`.
        How many bytes that were.

        Takes as long as it takes to drop what the kernel has buffered.
        """
        self._mark = 0
        self._marks_before.clear()
        dropped = 0
        with suppress(OSError):  # nothing is there, or a read will tell what is wrong
            while self.sock.recv(1, socket.MSG_PEEK) and not self.is_at_mark:
                # MSG_TRUNC: the kernel copies nothing
                dropped += self.sock.recv_into(_nowhere, _DROPPED_AT_ONCE, socket.MSG_TRUNC)
        return dropped

    def send(self, byte: bytes) -> bool:
        """Send an urgent byte. False where there is no room. Raises OSError."""
        try:
            return self.sock.send(byte, socket.MSG_OOB) == 1
        except BlockingIOError:
            return False

    @property
    def is_at_mark(self) -> bool:
        """Whether everything before the urgent byte was read, and nothing after it."""
        return self._ask(_SIOCATMARK) != 0

    @property
    def is_coming(self) -> bool:
        """Whether an urgent byte is announced for which there is no room yet."""
        try:
            self.sock.recv(1, socket.MSG_OOB | socket.MSG_PEEK)
        except BlockingIOError:
            return True
        except OSError:
            pass
        return False

    def _unread(self) -> int:
        """Bytes that have come, those before the mark only."""
        return self._ask(FIONREAD)

    def _ask(self, request: int) -> int:
        (answer,) = struct.unpack("i", ioctl(self.sock, request, bytes(4)))
        return int(answer)


def works_on(transport: Any) -> bool:
    """Whether a transport of Twisted's can have urgent data: TCP without TLS, on Linux."""
    return (
        IS_HERE
        and isinstance(transport, tcp.Connection)
        and not transport.TLS
        and transport.getHandle().family in (socket.AF_INET, socket.AF_INET6)
    )


class Urgent:
    """Urgent data of a connection: where `works_on` says so, from `connectionMade` to its end."""

    def __init__(self, transport: Any, watch: UrgentWatch, told: Told) -> None:
        self._transport = transport
        self._watch = watch
        self._socket = UrgentSocket(transport.getHandle(), told)
        self._marks: list[int] = []
        """Bytes that wait before each urgent byte that waits, those bytes with them."""
        self.descriptor = transport.fileno()
        transport.doRead = self._read
        watch.add(self)

    def stop(self) -> None:
        """Notice no more. Once `connectionLost` has been called at the latest."""
        self._watch.remove(self)
        for name in ("doRead", "writeSomeData"):
            vars(self._transport).pop(name, None)

    def look(self) -> None:
        """From the watch: an urgent byte may have come."""
        self._socket.look()

    def discard(self) -> int:
        """See `UrgentSocket.discard`."""
        return self._socket.discard()

    @property
    def is_coming(self) -> bool:
        """See `UrgentSocket.is_coming`. Nothing wakes us for this: who does not read looks."""
        return self._socket.is_coming

    def send(self, byte: bytes = BYTE) -> None:
        """Send an urgent byte behind all that was written."""
        transport = self._transport
        if not self._waiting:
            try:
                if self._socket.send(byte):
                    return
            except OSError:
                return  # a read will tell
        getattr(transport, "keep", transport.write)(byte)
        if waiting := self._waiting:
            self._marks.append(waiting)
            transport.writeSomeData = self._write_some

    @property
    def _waiting(self) -> int:
        transport = self._transport
        return int(len(transport.dataBuffer) - transport.offset + transport._tempDataLen)

    def _read(self) -> Any:
        """In place of the transport's `doRead`."""
        transport = self._transport
        try:
            data = self._socket.read(transport.bufferSize)
        except BlockingIOError:
            return None
        except OSError:
            return main.CONNECTION_LOST
        if data is None:
            return None
        if not data:
            return main.CONNECTION_DONE
        transport.protocol.dataReceived(data)
        return None

    def _write_some(self, data: Any) -> Any:
        """In place of the transport's `writeSomeData`, while an urgent byte waits."""
        before = self._marks[0] - 1
        if before:
            sent = type(self._transport).writeSomeData(self._transport, data[:before])
            if not isinstance(sent, int) or sent < 0:
                return sent
        else:
            try:
                sent = int(self._socket.send(bytes(data[:1])))
            except OSError:
                return main.CONNECTION_LOST
        self._marks = [left for mark in self._marks if (left := mark - sent)]
        if not self._marks:
            del self._transport.writeSomeData
        return sent


@implementer(IReadDescriptor)
class UrgentWatch:
    """Wakes connections when an urgent byte has come, also those that are not read from.

    Reactors do not ask for this. An epoll is readable when it has events, so any reactor can watch
    one that does.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll: Any = None
        self._watched: dict[int, Urgent] = {}

    def add(self, urgent: Urgent) -> None:
        """Wake it from now on; at once, if its byte is there."""
        if self._epoll is None:
            self._epoll = select.epoll()
            self._reactor.addReader(self)
        self._watched[urgent.descriptor] = urgent
        self._epoll.register(urgent.descriptor, select.EPOLLPRI | select.EPOLLET)

    def remove(self, urgent: Urgent) -> None:
        """Wake it no more. Its descriptor may be closed."""
        if self._watched.get(urgent.descriptor) is not urgent:
            return
        del self._watched[urgent.descriptor]
        with suppress(OSError):
            self._epoll.unregister(urgent.descriptor)
        if not self._watched:
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

    # what a reactor asks and tells

    def fileno(self) -> int:
        """Readable while an urgent byte has come."""
        return -1 if self._epoll is None else int(self._epoll.fileno())

    def logPrefix(self) -> str:
        """Twisted: whose log lines these are."""
        return "urgent"

    def doRead(self) -> None:
        """Urgent bytes have come."""
        for descriptor, _ in self._epoll.poll(0, MOST_EVENTS):
            if (urgent := self._watched.get(descriptor)) is not None:
                urgent.look()

    def connectionLost(self, reason: Failure) -> None:
        """Twisted: the reactor stops."""
