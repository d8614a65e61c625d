"""What the service manager is told, as sd_notify(3) has it, and its watchdog.

A message is a datagram of `KEY=VALUE` lines. None holds up the daemon: where the manager's queue is
full, messages wait here, in their order. A watchdog is told that all is well only while the loop
comes round in time, so a daemon that is stuck, or so slow that it is of no use, is started anew.
"""

from __future__ import annotations

import array
import os
import socket
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any

from twisted.internet.interfaces import IDelayedCall

AGAIN_SECONDS = 0.05
"""Until a manager whose queue is full is tried again: it reads hundreds of messages meanwhile."""
LAST_SECONDS = 0.5
"""How long an end waits for room for what is left: where a manager reads, there is some at once."""
WAITING = 4096
"""Messages that wait at most, a few for each descriptor that is kept; then the oldest are lost."""
TICKS = 4
"""Signs of life in the watchdog's time. A tick that comes later than it should by one more of them
is left out: a loop that is late all the time loses every one."""
LONGEST_STATUS = 300
"""Characters of a status line: `systemctl status` shows one line."""
_FAMILIES = "/@"


def address_of(environment: Mapping[str, str]) -> str:
    """Where the manager listens, as the kernel names it; empty where there is none."""
    given = environment.get("NOTIFY_SOCKET", "")
    if given[:1] not in _FAMILIES or len(given) < 2:
        return ""
    return f"\0{given[1:]}" if given[0] == "@" else given


def watchdog_seconds(environment: Mapping[str, str], pid: int) -> float:
    """How long the manager waits for a sign of life from this process; 0 where it does not."""
    with suppress(ValueError):
        if int(environment.get("WATCHDOG_PID") or pid) == pid:
            return max(0, int(environment.get("WATCHDOG_USEC", "0"))) / 1e6
    return 0.0


def message(*fields: str) -> bytes:
    """Fields as they are sent. A line of a status must not look like another field."""
    return "\n".join(" ".join(field.split("\n")) for field in fields).encode("utf-8", "replace")


class Notifier:
    """Tells the manager. Without one it does nothing."""

    def __init__(self, reactor: Any, address: str = "", watchdog: float = 0.0) -> None:
        self._reactor = reactor
        self._address = address
        self._tick = watchdog / TICKS
        self._waiting: deque[tuple[bytes, tuple[int, ...]]] = deque()
        self._socket: socket.socket | None = None
        self._again: IDelayedCall | None = None
        self._next: IDelayedCall | None = None
        self._due = 0.0

    @property
    def is_told(self) -> bool:
        """Whether there is somebody to tell."""
        return bool(self._address)

    def ready(self, status: str) -> None:
        """All that is required serves, or goes on as it was after a reload that failed."""
        self.tell("READY=1", _status(status))
        if self._tick and self._next is None:
            self._plan()

    def reloading(self, status: str) -> None:
        """It is about to change. The moment is of the clock that the manager compares with."""
        moment = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        self.tell("RELOADING=1", f"MONOTONIC_USEC={moment}", _status(status))

    def stopping(self, status: str) -> None:
        """It ends."""
        self.tell("STOPPING=1", _status(status))

    def status(self, text: str) -> None:
        """What it does, in a line for people."""
        self.tell(_status(text))

    def keep(self, name: str, sock: socket.socket) -> bool:
        """Have the manager hold a socket for whoever is started next; whether it was told to."""
        # not watched where errors come by themselves: the manager lets go of what has one
        polled = ["FDPOLL=0"] if sock.type == socket.SOCK_DGRAM else []
        try:
            held = os.dup(sock.fileno())
        except OSError:  # no descriptor is left
            return False
        self.tell("FDSTORE=1", f"FDNAME={name}", *polled, descriptors=(held,))
        return True

    def forget(self, name: str) -> None:
        """Have the manager let go of what it holds by this name."""
        self.tell("FDSTOREREMOVE=1", f"FDNAME={name}")

    def tell(self, *fields: str, descriptors: Sequence[int] = ()) -> None:
        """Send a message, now or when there is room, and with it descriptors, which are closed."""
        if not self._address:
            _close(descriptors)
            return
        self._waiting.append((message(*fields), tuple(descriptors)))
        while len(self._waiting) > WAITING:
            _close(self._waiting.popleft()[1])
        if self._again is None:
            self._send()

    def close(self) -> None:
        """Tell nothing more. What waits, as that it ends, is told if there is room soon."""
        for call in (self._again, self._next):
            if call is not None and call.active():
                call.cancel()
        self._again = self._next = None
        self._tick = 0.0
        if self._socket is not None:
            self._send_last(self._socket)
        self._address = ""
        while self._waiting:
            _close(self._waiting.popleft()[1])
        if self._socket is not None:
            self._socket.close()
            self._socket = None

    def _send(self) -> None:
        self._again = None
        while self._waiting:
            data, descriptors = self._waiting[0]
            try:
                self._send_one(data, descriptors)
            except BlockingIOError:
                self._again = self._reactor.callLater(AGAIN_SECONDS, self._send)
                return
            except OSError:
                pass  # a manager that is gone, or that is being started anew, needs to know nothing
            self._waiting.popleft()
            _close(descriptors)

    def _send_last(self, sock: socket.socket) -> None:
        until = time.monotonic() + LAST_SECONDS
        with suppress(OSError):
            for data, descriptors in self._waiting:
                sock.settimeout(max(0.0, until - time.monotonic()))
                self._send_one(data, descriptors)

    def _send_one(self, data: bytes, descriptors: Sequence[int]) -> None:
        if self._socket is None:
            self._socket = socket.socket(
                socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK | socket.SOCK_CLOEXEC
            )
        rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", descriptors))
        self._socket.sendmsg([data], [rights] if descriptors else [], 0, self._address)

    def _plan(self) -> None:
        self._due = self._reactor.seconds() + self._tick
        self._next = self._reactor.callLater(self._tick, self._tell_alive)

    def _tell_alive(self) -> None:
        late = self._reactor.seconds() - self._due
        if late <= self._tick and not self._waiting:  # else it does not read, and needs no more
            self.tell("WATCHDOG=1")
        self._plan()


def notifier(reactor: Any, environment: Mapping[str, str], pid: int) -> Notifier:
    """The one of a process with this environment."""
    return Notifier(reactor, address_of(environment), watchdog_seconds(environment, pid))


def _status(text: str) -> str:
    return f"STATUS={text[:LONGEST_STATUS]}"


def _close(descriptors: Sequence[int]) -> None:
    for one in descriptors:
        with suppress(OSError):
            os.close(one)
