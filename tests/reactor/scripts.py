"""What a connection does: a script, and the protocol and producers that act it out."""

from __future__ import annotations

import random
import socket
from collections.abc import Sequence
from typing import Any

from attrs import define, frozen
from twisted.internet.interfaces import IHalfCloseableProtocol
from twisted.internet.protocol import Protocol
from zope.interface import alsoProvides

TEXT = random.Random(5).randbytes(16_000_000)
"""What each side sends: its beginning. What is lost, doubled or out of order shows."""
BUFFER = 32_768
"""SO_SNDBUF and SO_RCVBUF, which the kernel doubles: far more than the small writes of a script,
and far less than one big one."""

Step = tuple[str, Any]
"""What is done, and with how much."""


@frozen
class Script:
    """Who does what. After each group of steps the reactor turns until it rests."""

    transport: str = "tcp"
    """tcp, tcp6, unix; "client" is TCP where the reactor connects. "tls" is Twisted's TLS as a
    protocol on both reactors, "ssl" what `listenSSL` makes, "ssl client" what `connectSSL` does."""
    half_closeable: bool = False
    made: tuple[Step, ...] = ()
    received: tuple[tuple[Step, ...], ...] = ()
    """In the first call of `dataReceived`, the second, ..."""
    read_lost: tuple[Step, ...] = ()
    write_lost: tuple[Step, ...] = ()
    lost: tuple[Step, ...] = ()
    groups: tuple[tuple[Step, ...], ...] = ()

    @property
    def is_secure(self) -> bool:
        """Whether it is in TLS."""
        return self.transport in ("tls", "ssl", "ssl client")

    @property
    def callbacks(self) -> tuple[tuple[Step, ...], ...]:
        """What is done in each callback but the last, `connectionMade` first."""
        return (self.made, *self.received, self.read_lost, self.write_lost)


class Boom(Exception):
    """A fault of a protocol."""


@define(eq=False)
class Push:
    """A push producer: writes until it is paused."""

    actor: Actor
    left: int
    piece: int
    manner: str = ""
    """It "fails" when it is resumed, or does not."""
    is_paused: bool = False

    def resumeProducing(self) -> None:
        self.actor.producer_calls.append("resume")
        if self.manner == "fails":
            raise Boom
        self.run()

    def run(self) -> None:
        self.is_paused = False
        while self.left and not self.is_paused:
            self.left -= 1
            self.actor.write(self.piece)
        if not self.left and not self.is_paused and self.actor.producer is self:
            self.actor.unregister(None)

    def pauseProducing(self) -> None:
        self.actor.producer_calls.append("pause")
        self.is_paused = True

    def stopProducing(self) -> None:
        self.actor.producer_calls.append("stop")
        self.left = 0
        self.is_paused = True


@define(eq=False)
class Pull:
    """A pull producer: writes a piece each time that it is asked to."""

    actor: Actor
    left: int
    piece: int
    manner: str = ""
    """It "fails" the second time, is "lazy" and writes every second time, or is "mute"."""
    was_asked: bool = False

    def resumeProducing(self) -> None:
        self.actor.producer_calls.append("pull")
        if not self.left:
            return  # it has more to say, but not now
        self.was_asked = not self.was_asked
        if self.manner == "fails" and not self.was_asked:
            raise Boom  # the second time: the first is within registerProducer, which then raises
        if self.manner == "mute" or (self.manner == "lazy" and self.was_asked):
            return
        self.left -= 1
        self.actor.write(self.piece)
        if not self.left:
            self.actor.unregister(None)

    def stopProducing(self) -> None:
        self.actor.producer_calls.append("stop")
        self.left = 0


class Actor(Protocol):
    """Plays the protocol's part, and keeps what it sees."""

    def __init__(self, script: Script) -> None:
        self.script = script
        self.seen: list[Any] = []
        self.received = bytearray()
        self.reads = 0
        self.is_lost = self.ends_writing = self.is_leaving = False
        self.written = 0
        self.promised: int | None = None
        """How much was written before it was first said that no more comes."""
        self.producer: Any = None
        self.producer_calls: list[str] = []
        if script.half_closeable:
            alsoProvides(self, IHalfCloseableProtocol)

    def do(self, step: Step) -> None:
        name, argument = step
        if not (self.is_lost and self.script.is_secure):  # Twisted's own raises then
            getattr(self, name)(argument)

    def run(self, steps: Sequence[Step]) -> None:
        for step in steps:
            self.do(step)

    # callbacks

    def connectionMade(self) -> None:
        self.seen.append("made")
        transport: Any = self.transport
        sock = transport.getHandle()
        if isinstance(sock, socket.socket):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, BUFFER)
            transport.setTcpNoDelay(True)
        self.run(self.script.made)

    def dataReceived(self, data: bytes) -> None:
        self.received += data
        total = ("received", len(self.received))
        if self.seen and self.seen[-1][0] == "received":
            self.seen[-1] = total
        else:
            self.seen.append(total)
        self.reads += 1
        if self.reads <= len(self.script.received):
            self.run(self.script.received[self.reads - 1])

    def readConnectionLost(self) -> None:
        self.seen.append("read lost")
        self.run(self.script.read_lost)

    def writeConnectionLost(self) -> None:
        self.seen.append("write lost")
        self.run(self.script.write_lost)

    def connectionLost(self, reason: Any = None) -> None:
        self.is_lost = True
        self.seen.append(f"lost: {reason.type.__name__}: {reason.value}")
        self.run(self.script.lost)

    # steps

    def write(self, size: int) -> None:
        data = TEXT[self.written : self.written + size]
        self.written += len(data)
        self._out.write(data)

    def write_sequence(self, sizes: Sequence[int]) -> None:
        pieces = []
        for size in sizes:
            pieces.append(TEXT[self.written : self.written + size])
            self.written += len(pieces[-1])
        self._out.writeSequence(pieces)

    def pause(self, _: object) -> None:
        self._out.pauseProducing()

    def resume(self, _: object) -> None:
        if "read lost" not in self.seen:  # it would be told again
            self._out.resumeProducing()

    def end_writing(self, _: object) -> None:
        self._promise()
        if not (self.is_lost or self.ends_writing):
            # said twice, the connection is lost, and after its end it raises
            self.ends_writing = True
            self._out.loseWriteConnection()

    def lose(self, _: object) -> None:
        self._promise()
        if self.is_leaving:
            return
        if self.ends_writing:
            # the end comes from within this call
            self.is_leaving = True
        self._out.loseConnection()

    def abort(self, _: object) -> None:
        if not self.is_leaving:
            self.is_leaving = True
            self._out.abortConnection()

    def push(self, of: tuple[int, int, str]) -> None:
        if self.producer is None and not self.is_leaving:
            self.producer = producer = Push(self, *of)
            self.producer_calls.append("new")
            self._out.registerProducer(producer, True)
            if not producer.is_paused:
                producer.run()

    def pull(self, of: tuple[int, int, str]) -> None:
        if self.producer is None and not self.is_leaving:
            self.producer = Pull(self, *of)
            self._out.registerProducer(self.producer, False)

    def unregister(self, _: object) -> None:
        if self.producer is not None:
            self.producer.left = 0
            self.producer = None
            self._out.unregisterProducer()
            is_open = not (self.is_lost or self._out._writeDisconnected)
            if self.ends_writing and is_open:
                self._out.startWriting()  # else the half never ends

    def fail(self, _: object) -> None:
        if not self.is_leaving:  # the end may have either reason
            raise Boom

    def push_later(self, _: object) -> None:
        self.producer = Push(self, 0, 0)
        self._out.registerProducer(self.producer, True)
        self.producer_calls.append("registered")
        self.write(1)

    @property
    def _out(self) -> Any:
        return self.transport

    def _promise(self) -> None:
        if self.promised is None:
            self.promised = self.written
