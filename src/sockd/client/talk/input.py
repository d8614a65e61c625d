"""Standard input for coroutines: read by a thread, as a file or a terminal can only be waited for.

The thread reads a piece when one is wanted, and holds up no exit.
"""

from __future__ import annotations

import os
import select
import threading
from collections import deque
from contextlib import suppress
from typing import Protocol

from attrs import define, field
from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from sockd.client.errors import UsageFault
from sockd.client.net.loop import Reactor
from sockd.client.net.system import words

PIECE = 64 * 1024
"""Bytes that are read at once: what a pipe holds. No more than a piece is read ahead."""
STANDARD_INPUT = 0


class Source(Protocol):
    """Something to be read, piece by piece, by one coroutine."""

    async def read(self) -> bytes:
        """The next bytes, as soon as there are any; b"" at the end. Raises UsageFault."""

    def close(self) -> None:
        """Nobody reads it any more."""


@define(eq=False)
class Given:
    """Bytes that are there already."""

    _data: bytes

    async def read(self) -> bytes:
        """The next piece."""
        piece, self._data = self._data[:PIECE], self._data[PIECE:]
        return piece

    def close(self) -> None:
        """Forget the rest."""
        self._data = b""


@define(eq=False)
class Input:
    """What a descriptor gives. What a cancelled `read` would have got, the next one gets."""

    reactor: Reactor
    descriptor: int = STANDARD_INPUT
    name: str = "standard input"
    """For messages."""
    is_owned: bool = False
    """Whether the descriptor is closed with it."""
    _wanted: threading.Semaphore = field(factory=lambda: threading.Semaphore(0), init=False)
    _is_wanted: bool = field(default=False, init=False)
    _thread: threading.Thread | None = field(default=None, init=False)
    _ready: bytes | None = field(default=None, init=False)
    _fault: UsageFault | None = field(default=None, init=False)
    _is_closed: bool = field(default=False, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    async def read(self) -> bytes:
        """The next bytes, as soon as there are any; b"" at the end."""
        while self._ready is None and self._fault is None and not self._is_closed:
            self._want()
            self._waiting = Deferred()
            try:
                await self._waiting
            finally:
                self._waiting = None
        if self._fault is not None:
            raise self._fault
        ready = self._ready or b""
        if ready:
            self._ready = None
        return ready

    def close(self) -> None:
        """Nobody reads it any more: a thread that waits for a piece ends once it has got it."""
        if not self._is_closed and self._thread is None:
            self._let_go()
        self._is_closed = True
        if self._thread is not None:
            self._wanted.release()

    def _let_go(self) -> None:
        if self.is_owned:
            os.close(self.descriptor)

    def _want(self) -> None:
        if not self._is_wanted:
            self._is_wanted = True
            self._wanted.release()
        if self._thread is None:
            self._thread = threading.Thread(target=self._work, name="input", daemon=True)
            self._thread.start()

    def _work(self) -> None:
        """In the thread."""
        try:
            self._read_on()
        finally:  # here, for nobody else knows when it is not read from
            self._let_go()

    def _read_on(self) -> None:
        while True:
            self._wanted.acquire()
            if self.is_owned:
                self._wait_for_writer()
            if self._is_closed:
                return
            try:
                data, fault = os.read(self.descriptor, PIECE), None
            except OSError as error:
                data, fault = b"", UsageFault(f"cannot read {self.name}: {words(error)}")
            with suppress(RuntimeError):  # the reactor has ended meanwhile
                self.reactor.callFromThread(self._came, data, fault)
            if not data:
                return

    def _wait_for_writer(self) -> None:
        """A named pipe that nobody has opened yet to write to it seems to be at its end."""
        poll = select.poll()
        poll.register(self.descriptor, select.POLLIN)
        poll.poll()

    def _came(self, data: bytes, fault: UsageFault | None) -> None:
        self._is_wanted = False
        self._ready, self._fault = data, fault
        if self._waiting is not None:
            self._waiting.callback(None)


@define(eq=False)
class Tee:
    """One source for several readers: the next piece is read when all have taken the last one.

    So the slowest sets the pace, and no more than a piece waits for each.
    """

    source: Source
    _readers: list[TeeReader] = field(factory=list, init=False)
    _reading: Deferred[bytes] | None = field(default=None, init=False)
    _is_over: bool = field(default=False, init=False)

    def reader(self) -> TeeReader:
        """One more: all of them are made before the first reads."""
        made = TeeReader(self)
        self._readers.append(made)
        return made

    def pull(self) -> None:
        """From a reader: it wants more, or has left."""
        if not self._readers:
            if self._reading is not None:
                self._reading.cancel()
            self.source.close()
        elif self._reading is None and not any(reader.has_piece for reader in self._readers):
            self._reading = Deferred.fromCoroutine(self.source.read())
            self._reading.addCallbacks(self._came, self._failed)

    def leave(self, reader: TeeReader) -> None:
        """From a reader: it reads no more."""
        if reader in self._readers:
            self._readers.remove(reader)
            if not self._is_over:
                self.pull()

    def _came(self, data: bytes) -> None:
        self._reading, self._is_over = None, not data
        for reader in list(self._readers):
            reader.take(data)

    def _failed(self, failure: Failure) -> None:
        self._reading, self._is_over = None, True
        if not failure.check(CancelledError):
            for reader in list(self._readers):
                reader.fail(failure)


@define(eq=False)
class TeeReader:
    """One reader of a tee."""

    _tee: Tee
    _pieces: deque[bytes] = field(factory=deque, init=False)
    _is_over: bool = field(default=False, init=False)
    _failure: Failure | None = field(default=None, init=False)
    _waiting: Deferred[None] | None = field(default=None, init=False)

    @property
    def has_piece(self) -> bool:
        """Whether it has not taken the last piece."""
        return bool(self._pieces)

    async def read(self) -> bytes:
        """The next piece; b"" at the end."""
        while not self._pieces:
            if self._failure is not None:
                self._failure.raiseException()
            if self._is_over:
                return b""
            self._waiting = Deferred()
            self._tee.pull()
            try:
                await self._waiting
            finally:
                self._waiting = None
        return self._pieces.popleft()

    def close(self) -> None:
        """Read no more: the others need not wait for it."""
        self._is_over = True
        self._pieces.clear()
        self._tee.leave(self)

    def take(self, data: bytes) -> None:
        """From the tee: a piece, or the end."""
        if data:
            self._pieces.append(data)
        else:
            self._is_over = True
        self._tell()

    def fail(self, failure: Failure) -> None:
        """From the tee: it cannot be read."""
        self._failure = failure
        self._tell()

    def _tell(self) -> None:
        if self._waiting is not None:
            self._waiting.callback(None)
