"""TCP urgent data: a byte that is told of ahead of what was sent before it, and the mark it leaves.

Here alone are `MSG_OOB`, `SO_OOBINLINE`, `SIOCATMARK` and `EPOLLPRI`. Linux, TCP without TLS: RFC
6093 says what is left of the mechanism, and why nothing new should need it.

An `UrgentSocket` knows what the kernel does with the byte. An `UrgentWatch`, one for a loop, is
woken when one has come. On both stands `sockd.net.urgent_transport`, for connections of Twisted's.

- A read stops at the mark; but where the mark comes first, it skips the urgent byte in silence.
  With SO_OOBINLINE it skips nothing: this is on, and what was told of is left out here.
- It is off for a look: FIONREAD then counts to the mark, and MSG_OOB has the byte, at which we only
  peek. That is safe while something stands before the mark.
- The kernel may have the byte before it has all that was sent before it, and may know of it still
  earlier (EAGAIN), from a peer that asks for room. It is told of when it has its place.
- There is one mark. When another comes before it was read, its byte is ordinary data from then on,
  unless it was told of.
- `recv` takes a broken connection's error with it: only the read that tells of it may do so.
"""

from __future__ import annotations

import errno
import select
import socket
import struct
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Protocol

from twisted.internet.interfaces import IReadDescriptor
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

try:
    from fcntl import ioctl
    from termios import FIONREAD
except ImportError:  # Windows: nothing of this is there
    IS_HERE = False
else:
    IS_HERE = hasattr(select, "epoll")

BYTE = b"!"
"""What is sent where it does not matter which byte it is."""
MOST_EVENTS = 64
"""Connections that are told of an urgent byte before the others of the loop have their turn."""
MOST_TOLD = 100
"""Urgent bytes that were told of and are unread. Of more, as in a flood, we tell after a read."""
MOST_DROPPED = 2**20
"""Bytes that are dropped at once: at most 2.5 ms of the kernel, if they came one by one."""
_SIOCATMARK = 0x8905
"""linux/sockios.h"""
_nowhere = bytearray(64 * 1024)
_log = Logger()

Told = Callable[[bytes], object]


class UrgentSocket:
    """A non-blocking TCP socket whose urgent bytes are told of: each once, to `told`.

    All reading must be done here. With `in_place` a byte is told of when all before it was read.
    """

    def __init__(self, sock: socket.socket, told: Told, *, in_place: bool = False) -> None:
        self.sock = sock
        self.told = told
        self._in_place = in_place
        self._read_so_far = 0
        self._told: deque[int] = deque()
        """Where those bytes stand that are unread, counted as `_read_so_far`."""
        self._end = 0
        """Where what follows the last byte that was told of begins."""
        self._drop_to = 0
        """Where that ends which is to be dropped."""
        self._is_telling = False
        self._poll = select.poll()
        self._poll.register(sock, select.POLLPRI)
        self._set_inline(True)

    def look(self) -> bool:
        """Tell of an urgent byte if one has come. Whether there was one."""
        if not self._has_mark() or not (unread := self._unread()):
            return False
        if self.is_at_mark:
            if self._end > self._read_so_far:
                return False  # it was told of
            self._read_so_far += 1
            self._tell(self.sock.recv(1))
            return True
        if self._in_place or len(self._told) >= MOST_TOLD:
            return False
        byte, ahead = self._ahead()
        place = self._read_so_far + ahead
        if not byte or ahead >= unread or place < self._end:
            return False
        self._told.append(place)
        self._end = place + 1
        self._tell(byte)
        return True

    def read(self, most: int) -> bytes | None:
        """At most so many ordinary bytes; b"" at the end. None: an urgent byte was told of or left
        out, or something dropped; ask again.

        Raises BlockingIOError where nothing has come, OSError where the connection broke.
        """
        if not self._unread():
            # what comes from now on may be urgent, and must be looked at before it is read
            return None if self.sock.recv(1, socket.MSG_PEEK) else b""
        # there is something, so it stands before a mark that comes after this look
        if self.look() or self._drop():
            return None
        data = self.sock.recv(most)
        start = self._read_so_far
        self._read_so_far += len(data)
        if not self._told:
            return data
        kept, begin = bytearray(), 0
        while self._told and self._told[0] < self._read_so_far:
            place = self._told.popleft() - start
            kept += data[begin:place]
            begin = place + 1
        return bytes(kept + data[begin:]) or None

    def discard(self) -> int:
        """Drop what was sent before the last urgent byte that was told of, if it is still unread.
        Else, outside of `told`, while a byte `is_coming`: drop what there is, to make room for it;
        it is told of when it has come, and then there may be more to drop.

        How many ordinary bytes that are. Of many, the rest is dropped when it would be read.
        """
        if self.sock.fileno() < 0:
            return 0
        coming = 0
        if self._end <= self._read_so_far and not self._is_telling:
            coming = self._coming()
        self._drop_to = max(self._end, self._read_so_far + coming)
        dropped = self._ordinary(self._drop_to)
        self._drop()
        return dropped

    @property
    def ahead(self) -> int:
        """Ordinary bytes that are unread before the last urgent byte that was told of."""
        return self._ordinary(self._end)

    def peek(self, most: int) -> bytes:
        """So many bytes at most of what stands there, other urgent ones with it."""
        size = min(most, self._end - 1 - self._read_so_far)
        return self.sock.recv(size, socket.MSG_PEEK) if size > 0 else b""

    def send(self, byte: bytes) -> bool:
        """Send an urgent byte. False where there is no room. Raises OSError."""
        try:
            return self.sock.send(byte, socket.MSG_OOB) == 1
        except OSError as error:
            if error.errno in (errno.EWOULDBLOCK, errno.ENOBUFS):
                return False
            raise

    @property
    def is_at_mark(self) -> bool:
        """Whether everything before the urgent byte was read, and nothing after it."""
        return self._ask(_SIOCATMARK) != 0

    @property
    def is_coming(self) -> bool:
        """Whether an urgent byte is announced, for which there may be no room before a read."""
        return self.sock.fileno() >= 0 and self._coming() > 0

    def stop(self) -> None:
        """Have the kernel do what it did before."""
        with suppress(OSError):  # it is closed
            self._set_inline(False)

    def _tell(self, byte: bytes) -> None:
        self._is_telling = True
        try:
            self.told(byte)
        finally:
            self._is_telling = False

    def _ordinary(self, end: int) -> int:
        """How many ordinary bytes are unread before there."""
        return max(0, end - self._read_so_far) - sum(place < end for place in self._told)

    def _coming(self) -> int:
        """Bytes that stand before an urgent byte which has not come, if there is one."""
        unread = self._unread()
        byte, ahead = self._ahead() if unread and not self.is_at_mark else (None, 0)
        return unread if byte is not None and ahead >= unread else 0

    def _ahead(self) -> tuple[bytes | None, int]:
        """An urgent byte (b"": announced, None: none), and bytes before it or all that are here.

        Only while something stands before the mark.
        """
        self._set_inline(False)
        before = self._unread()
        try:  # what is empty: the stream ended before the byte
            byte = self.sock.recv(1, socket.MSG_OOB | socket.MSG_PEEK) or None
            if before != self._unread():
                byte = b""  # another mark took its place meanwhile
        except BlockingIOError:
            byte = b""
        except OSError:  # EINVAL: none; ENOTCONN: it was reset, and tells when it is read up to
            byte = None
        self._set_inline(True)
        return byte, before

    def _has_mark(self) -> bool:
        """Whether an urgent byte has come, told of or not, whose mark was not read."""
        # the number that the poll knows may be another's by now
        found = self.sock.fileno() >= 0 and self._poll.poll(0)
        return bool(found and found[0][1] & select.POLLPRI)

    def _drop(self) -> bool:
        """Drop what is to be dropped, but not too much at once. Whether there was something."""
        left = min(self._drop_to - self._read_so_far, MOST_DROPPED)
        if left <= 0:
            return False
        self._read_so_far += left
        while left > 0:  # MSG_TRUNC: the kernel copies nothing
            left -= self.sock.recv_into(_nowhere, min(left, len(_nowhere)), socket.MSG_TRUNC)
        while self._told and self._told[0] < self._read_so_far:
            self._told.popleft()
        return True

    def _set_inline(self, is_inline: bool) -> None:
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, is_inline)

    def _unread(self) -> int:
        """Bytes that have come; without SO_OOBINLINE, those before the mark only."""
        return self._ask(FIONREAD)

    def _ask(self, request: int) -> int:
        (answer,) = struct.unpack("i", ioctl(self.sock, request, bytes(4)))
        return int(answer)


class Watched(Protocol):
    """What an `UrgentWatch` wakes."""

    descriptor: int

    def look(self) -> None:
        """An urgent byte may have come."""


def set_inline(sock: socket.socket) -> None:
    """Have urgent bytes come as ordinary ones, in their place.

    Connections inherit it from what listens. Set later, also by an `Urgent`, it comes too late for
    urgent bytes that came in a row as the first thing: the kernel has kept the last one alone.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, True)


@implementer(IReadDescriptor)
class UrgentWatch:
    """Wakes connections when an urgent byte has come, also those that are not read from.

    Reactors do not ask for this. An epoll is readable when it has events, so any reactor can watch
    one that does. What the kernel cannot watch is noticed when the connection is read from.
    """

    def __init__(self, reactor: Any) -> None:
        self._reactor = reactor
        self._epoll: Any = None
        self._watched: dict[int, Watched] = {}
        self._has_warned = False

    def add(self, urgent: Watched) -> None:
        """Wake it from now on; at once, if its byte is there."""
        try:
            if self._epoll is None:
                self._epoll = select.epoll()
                self._reactor.addReader(self)
            self._epoll.register(urgent.descriptor, select.EPOLLPRI | select.EPOLLET)
        except OSError as error:
            if not self._has_warned:
                self._has_warned = True
                _log.warn("urgent data may be noticed late: {error}", error=error)
            self._close_unused()
        else:
            self._watched[urgent.descriptor] = urgent

    def remove(self, urgent: Watched) -> None:
        """Wake it no more. Its descriptor may be closed, and be another's by now."""
        if self._watched.get(urgent.descriptor) is urgent:
            del self._watched[urgent.descriptor]
            with suppress(OSError):
                self._epoll.unregister(urgent.descriptor)
            self._close_unused()

    def _close_unused(self) -> None:
        if self._epoll is not None and not self._watched:
            self._reactor.removeReader(self)
            self._epoll.close()
            self._epoll = None

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
        self._watched.clear()
        self._close_unused()
