"""The daemon's end of the control socket: who may ask, one request after the other, answers."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.interfaces import IAddress, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd.formats.nearest import near_miss
from sockd.ops.control.arguments import Arguments
from sockd.ops.control.command import Answer, Command
from sockd.ops.control.frames import (
    LONGEST_REQUEST,
    ControlError,
    Request,
    answer_line,
    error_line,
    item_line,
    read_request,
)

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

MOST_CONNECTIONS = 32
"""Who may ask at once: administrators, a health check, a dashboard or two."""
_log = Logger(namespace="sockd")


@implementer(IPushProducer)
class ControlProtocol(LineOnlyReceiver):
    """One who asks. Requests are answered in their order, the next after the one before."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST
    transport: Any
    factory: Any

    def __init__(self) -> None:
        self._is_paused = False
        self._missed = 0
        self._end: Callable[[], None] | None = None
        self._waiting: list[bytes] = []
        self._is_busy = False

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.factory.open.add(self)
        uid = peer_user(self.transport.socket)
        if uid not in (0, os.geteuid()):
            error = ControlError(f"user {uid} may not: root and the daemon's user may", "refused")
            self.transport.write(error_line(error))
            self.transport.loseConnection()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.open.discard(self)
        self._waiting.clear()
        if self._end is not None:
            self._end()
            self._end = None

    def lineReceived(self, line: bytes) -> None:
        if self._end is not None:
            return  # who follows has nothing more to say
        self._waiting.append(line)
        self.transport.pauseProducing()  # one that is answered at once is enough
        self._next()

    def lineLengthExceeded(self, line: bytes) -> None:
        error = ControlError(f"a request has {LONGEST_REQUEST} bytes at most", "usage")
        self.transport.write(error_line(error))
        self.transport.loseConnection()

    def _next(self) -> None:
        if self._is_busy:
            return
        if not self._waiting:
            self.transport.resumeProducing()
            return
        self._is_busy = True
        done: Deferred[Any] = maybeDeferred(self._handle, self._waiting.pop(0))
        done.addErrback(self._failed).addCallback(self._answered)

    def _handle(self, line: bytes) -> Any:
        request = read_request(line)
        command = self.factory.command(request)
        arguments = Arguments(request.arguments)
        if not request.follow:
            return command.run(self.factory.operations, arguments)
        if command.follow is None:
            raise ControlError(f"there is nothing to follow in `{request.command}`", "usage")
        self._end = command.follow(self.factory.operations, arguments, self)
        return None

    def _failed(self, failure: Failure) -> ControlError:
        error = failure.value
        if isinstance(error, ControlError):
            return error
        _log.failure("a command of the control socket has failed", failure)
        return ControlError(f"the command has a fault: {type(error).__name__}; the log has more")

    def _answered(self, answer: Answer | ControlError | None) -> None:
        self._is_busy = False
        if not self.connected:
            return
        if isinstance(answer, ControlError):
            self.transport.write(error_line(answer))
        elif answer is not None:
            self.transport.write(answer_line(answer))
        self._next()

    def send(self, item: Answer) -> None:
        """To who follows: one more. What it does not read in time is counted and told."""
        if self._is_paused:
            self._missed += 1
            return
        if self._missed:
            missed, self._missed = self._missed, 0
            self.transport.write(item_line({"missed": missed}))
        self.transport.write(item_line(item))

    def pauseProducing(self) -> None:
        """Twisted: it does not read."""
        self._is_paused = True

    def resumeProducing(self) -> None:
        """Twisted: it does again."""
        self._is_paused = False

    def stopProducing(self) -> None:
        """Twisted: it is gone."""
        self._is_paused = True


class ControlFactory(Factory):
    """Lets root and the daemon's own user ask."""

    noisy = False
    protocol: Any = ControlProtocol

    def __init__(self, operations: Operations, commands: Mapping[str, Command]) -> None:
        self.operations = operations
        self.open: set[ControlProtocol] = set()
        self._commands = commands

    def command(self, request: Request) -> Command:
        """The command that is asked for. Raises ControlError."""
        found = self._commands.get(request.command)
        if found is None:
            miss = near_miss(request.command, self._commands, or_all=True)
            raise ControlError(f"there is no command {request.command!r:.100}{miss}", "usage")
        return found

    def buildProtocol(self, addr: IAddress | None) -> Any:
        return super().buildProtocol(addr) if len(self.open) < MOST_CONNECTIONS else None


def peer_user(sock: socket.socket) -> int:
    """The user at the other end of a Unix socket, by the kernel's word (SO_PEERCRED)."""
    size = struct.calcsize("3i")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    uid: int = struct.unpack("3i", credentials)[1]
    return uid
