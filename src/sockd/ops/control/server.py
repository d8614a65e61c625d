"""The daemon's end of the control socket: who may ask, one request after the other, answers."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IHalfCloseableProtocol, IPushProducer
from twisted.internet.protocol import Factory, connectionDone
from twisted.internet.task import deferLater
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd import events
from sockd.access.peer import Peer
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
    part_line,
    read_request,
)

if TYPE_CHECKING:
    from sockd.ops.operations import Operations

MOST_CONNECTIONS = 32
"""Who may ask at once: administrators, a health check, a dashboard or two."""
ROOTS_PLACES = 8
"""Of these, places that only root gets: a program that runs as the daemon's own user cannot take
them all, and keep the administrator out."""
_log = Logger(namespace="sockd")


@implementer(IHalfCloseableProtocol, IPushProducer)
class ControlProtocol(LineOnlyReceiver):
    """One who asks. Requests are answered in their order, the next after the one before."""

    delimiter = b"\n"
    MAX_LENGTH = LONGEST_REQUEST
    transport: Any
    factory: Any

    def __init__(self) -> None:
        self.peer = Peer("", 0)
        self._may_ask = False
        self._has_finished = False
        self._is_busy = False
        self._waiting: deque[bytes] = deque()
        self._is_paused = False
        self._room: Deferred[None] | None = None
        self._missed = 0
        self._end: Callable[[], None] | None = None

    def connectionMade(self) -> None:
        self.transport.registerProducer(self, True)
        self.peer = peer_of(self.transport.socket)
        if self.peer.uid not in (0, os.geteuid()):
            why = f"user {self.peer.uid} may not: root and the daemon's user may"
            self._give_up(ControlError(why, "refused"))
        elif (count := len(self.factory.open)) >= self._most:
            why = f"{count} connections to the control socket are open already"
            self._give_up(ControlError(why, "refused"))
        else:
            self._may_ask = True
            self.factory.open.add(self)

    @property
    def _most(self) -> int:
        """How many may be open when this one comes."""
        return MOST_CONNECTIONS if self.peer.uid == 0 else MOST_CONNECTIONS - ROOTS_PLACES

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.factory.open.discard(self)
        self._may_ask = False
        self._waiting.clear()
        self.resumeProducing()
        end, self._end = self._end, None
        if end is not None:
            end()

    def readConnectionLost(self) -> None:
        """Twisted: it asks for nothing more. What it has asked for is answered."""
        self._has_finished = True
        if not self._is_busy:
            self.end()

    def writeConnectionLost(self) -> None:
        """Twisted: our half is closed, by us."""

    def lineReceived(self, line: bytes) -> None:
        if not self._may_ask or self._end is not None:
            return  # who follows has nothing more to say
        self._waiting.append(line)
        if not self._is_busy:
            Deferred.fromCoroutine(self._work())

    def lineLengthExceeded(self, line: bytes) -> None:
        self._give_up(ControlError(f"a request has {LONGEST_REQUEST} bytes at most", "usage"))

    def end(self) -> None:
        """Say no more than was said."""
        self._may_ask = False
        self._waiting.clear()
        self.transport.unregisterProducer()
        self.transport.loseConnection()

    def _give_up(self, error: ControlError) -> None:
        self.transport.write(error_line(error))
        self.end()

    async def _work(self) -> None:
        """Answer what waits, one after the other. Nothing more is read meanwhile."""
        self._is_busy = True
        self.transport.pauseProducing()
        while self._waiting:
            line = await self._line(self._waiting.popleft())
            if self._may_ask:
                self.transport.write(line)
                await self._has_room()
        self._is_busy = False
        if self._has_finished:
            self.end()
        elif self._may_ask:
            self.transport.resumeProducing()

    async def _line(self, line: bytes) -> bytes:
        """The last line of an answer; those before it are written."""
        try:
            answer = await self._answer(read_request(line))
        except ControlError as error:
            return error_line(error)
        except Exception as error:  # noqa: BLE001 - whatever a command raises, the others go on
            _log.failure("a command of the control socket has failed", Failure())
            why = f"the command has a fault: {type(error).__name__}; the log has more"
            return error_line(ControlError(why))
        return b"" if answer is None else answer_line(answer)

    async def _answer(self, request: Request) -> Answer | None:
        """What a command says; nothing where it is followed from now on."""
        command = self.factory.command(request)
        operations, arguments = self.factory.operations, Arguments(request.arguments)
        if request.follow:
            if command.follow is None:
                raise ControlError(f"there is nothing to follow in `{request.command}`", "usage")
            self._end = command.follow(operations, arguments, self)
            self._waiting.clear()
            return None
        if command.changes:
            given = json.dumps(dict(request.arguments))
            events.emit("command", command=request.command, arguments=given, peer=self.peer)
        answer = command.run(operations, arguments)
        if isinstance(answer, Deferred):
            found: Answer = await answer
            return found
        return await self._last_of(answer) if isinstance(answer, Iterator) else answer

    async def _last_of(self, parts: Iterator[Answer]) -> Answer:
        """Write a long answer but for its last part: one in a turn, as quickly as it is read."""
        last = next(parts)
        for part in parts:
            self.transport.write(part_line(last))
            await self._has_room()
            await deferLater(self.factory.operations.daemon.world.reactor, 0)
            if not self._may_ask:
                break
            last = part
        return last

    async def _has_room(self) -> None:
        if self._is_paused:
            self._room = Deferred()
            await self._room

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
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """Twisted: it is gone; `connectionLost` follows."""


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


def peer_of(sock: socket.socket) -> Peer:
    """The process at the other end of a Unix socket, by the kernel's word (SO_PEERCRED)."""
    size = struct.calcsize("=iII")
    credentials = sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, size)
    pid, uid, _ = struct.unpack("=iII", credentials)
    return Peer("", 0, pid, uid)
