"""Names of hosts to addresses, in the system's order of preference (RFC 6724)."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from attrs import define, field, frozen
from twisted.internet.defer import Deferred

from sockd.client.errors import ClientError, NameNotFound
from sockd.client.net.loop import Reactor

MOST_LOOKUPS = 16
"""Threads that ask for names at once: one whose name server hangs keeps its thread for long, and a
run of a thousand hosts needs no thousand threads."""
MOST_ADDRESSES = 64
"""Of one name: whoever holds a name can give it any number."""
FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_NOBODY_KNOWS = {socket.EAI_AGAIN: "no name server answers", socket.EAI_FAIL: "a name server fails"}
_NO_SUCH_FAMILY = {socket.EAI_FAMILY, getattr(socket, "EAI_ADDRFAMILY", socket.EAI_FAMILY)}
_Info = tuple[int, int, int, str, tuple[str | int | bytes, ...]]
_Infos = Sequence[_Info]


@frozen
class Address:
    """Where a socket sends or connects to."""

    family: socket.AddressFamily
    sockaddr: tuple[str, int] | tuple[str, int, int, int]
    """As the calls of `socket` take it: with the scope as a number for IPv6."""

    @property
    def host(self) -> str:
        """The address as a text, with the interface that it means something on."""
        if len(self.sockaddr) == 2 or not self.sockaddr[3]:
            return self.sockaddr[0]
        try:
            return f"{self.sockaddr[0]}%{socket.if_indextoname(self.sockaddr[3])}"
        except OSError:
            return f"{self.sockaddr[0]}%{self.sockaddr[3]}"

    @property
    def port(self) -> int:
        """Its port."""
        return self.sockaddr[1]


def is_address(host: str) -> bool:
    """Whether it is an address, with or without a scope, and no name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


@define(eq=False)
class _Lookup:
    """One question to the system, and who waits for the answer."""

    reactor: Reactor
    look: Callable[[], _Infos]
    answer: Deferred[_Infos]
    is_over: bool = False

    def succeed(self, found: _Infos) -> None:
        """In the reactor's thread: hand on the answer, if anybody still waits."""
        if not self.is_over:
            self.is_over = True
            self.answer.callback(found)

    def fail(self, error: Exception) -> None:
        """In the reactor's thread: the same with an error."""
        if not self.is_over:
            self.is_over = True
            self.answer.errback(error)


@define(eq=False)
class Lookups:
    """Threads for questions that may hang; they hold up no exit, as the reactor's own would."""

    most: int = MOST_LOOKUPS
    getaddrinfo: Callable[[str, int, int, int], _Infos] = socket.getaddrinfo
    _running: int = field(default=0, init=False)
    _waiting: deque[_Lookup] = field(factory=deque, init=False)
    _lock: threading.Lock = field(factory=threading.Lock, init=False)

    async def ask(
        self, reactor: Reactor, host: str, look: Callable[[], _Infos], wait: float
    ) -> _Infos:
        """What `look` returns or raises in a thread. Raises NameNotFound after `wait` seconds."""

        def cancel(_: Deferred[_Infos]) -> None:
            lookup.is_over = True

        lookup = _Lookup(reactor, look, Deferred(cancel))
        timer = reactor.callLater(
            max(0.0, wait),
            lambda: lookup.fail(NameNotFound(f"nobody told within {wait:.3g} s who '{host}' is")),
        )
        self._begin(lookup)
        try:
            return await lookup.answer
        finally:
            if timer.active():
                timer.cancel()

    def _begin(self, lookup: _Lookup) -> None:
        with self._lock:
            if self._running >= self.most:
                self._waiting.append(lookup)
                return
            self._running += 1
        threading.Thread(target=self._work, args=(lookup,), name="names", daemon=True).start()

    def _work(self, lookup: _Lookup | None) -> None:
        while lookup is not None:
            if not lookup.is_over:
                _answer(lookup)
            with self._lock:
                lookup = self._waiting.popleft() if self._waiting else None
                if lookup is None:
                    self._running -= 1


def _answer(lookup: _Lookup) -> None:
    """In a thread: ask, and have the reactor told."""
    tell: Callable[[], None]
    try:
        tell = partial(lookup.succeed, lookup.look())
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked
        tell = partial(lookup.fail, error)
    with suppress(RuntimeError):  # the reactor is gone, and with it who asked
        lookup.reactor.callFromThread(tell)


LOOKUPS = Lookups()
"""The process's own."""


async def resolve(
    reactor: Reactor,
    host: str,
    port: int,
    *,
    kind: socket.SocketKind,
    family: int,
    is_numeric: bool,
    wait: float,
    lookups: Lookups = LOOKUPS,
) -> list[Address]:
    """The addresses of a host, the best first; at least one.

    `family` is 4 or 6, or 0 for both. With `is_numeric` nobody is asked: the host is an address.
    Raises NameNotFound.
    """
    wanted = FAMILIES[family]
    try:
        return _read(socket.getaddrinfo(host, port, wanted, kind, 0, socket.AI_NUMERICHOST), host)
    except (socket.gaierror, ValueError) as error:
        if is_numeric or isinstance(error, ValueError) or not host:
            raise _not_found(host, family, error, is_numeric) from None

    look = partial(lookups.getaddrinfo, host, port, wanted, kind)
    try:
        return _read(await lookups.ask(reactor, host, look, wait), host)
    except (OSError, ValueError) as error:  # gaierror is an OSError
        raise _not_found(host, family, error, False) from None


def _read(found: _Infos, host: str) -> list[Address]:
    addresses: dict[Address, None] = {}  # in order, each once
    for family, _, _, _, sockaddr in found:
        if family not in (socket.AF_INET, socket.AF_INET6):
            continue
        name = str(sockaddr[0]).partition("%")[0]
        numbers = tuple(int(part) for part in sockaddr[1:])
        kind = socket.AddressFamily(family)
        if len(numbers) == 3:
            addresses[Address(kind, (name, numbers[0], numbers[1], numbers[2]))] = None
        else:
            addresses[Address(kind, (name, numbers[0]))] = None
    if not addresses:
        raise NameNotFound(f"there is no address of '{host}'")
    return list(addresses)[:MOST_ADDRESSES]


def _not_found(host: str, family: int, error: Exception, is_numeric: bool) -> ClientError:
    code = error.errno if isinstance(error, socket.gaierror) else None
    if not host:
        return NameNotFound("the name of the host is empty")
    if code in _NO_SUCH_FAMILY:
        return NameNotFound(f"'{host}' has no address of IPv{family}")
    if is_numeric:
        kind = f" of IPv{family}" if family else ""
        return NameNotFound(f"'{host}' is no address{kind}, and no name server is to be asked")
    if code in _NOBODY_KNOWS:
        return NameNotFound(f"nobody can tell who '{host}' is ({_NOBODY_KNOWS[code]})")
    if isinstance(error, ValueError):
        return NameNotFound(f"there is no host '{host}' (it is not the form of a name)")
    why = f"no address of IPv{family}" if family else error.args[-1]
    return NameNotFound(f"there is no host '{host}' ({why})")
