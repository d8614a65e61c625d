"""Names of hosts to addresses, in the system's order of preference (RFC 6724)."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, NameNotFound, TimedOut, Unreachable
from sockd.client.net.loop import Reactor
from sockd.client.targets import Target

MOST_LOOKUPS = 16
"""Names that are asked for at once: a run of a thousand hosts needs no thousand threads."""
MOST_THREADS = 256
"""With those of names whose wait is over, in whose place others are asked for: a thread is free
when the system's resolver gives up, half a minute later, and the usual wait is a tenth of that."""
MOST_ADDRESSES = 64
"""Of one name: whoever holds a name can give it any number."""
FAMILIES = {0: socket.AF_UNSPEC, 4: socket.AF_INET, 6: socket.AF_INET6}
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}
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


@frozen
class Found:
    """What a name has been looked up to."""

    addresses: list[Address]
    """The best first; at least one."""
    took_ns: int | None = None
    """How long the look-up took, without the wait for its turn; None where nobody was asked."""


@define(eq=False)
class _Lookup:
    """One question to the system, and who waits for the answer."""

    reactor: Reactor
    host: str
    look: Callable[[], _Infos]
    wait: float
    answer: Deferred[tuple[_Infos, int]] = field(factory=Deferred, init=False)
    """Has been called where nobody waits any more, too."""
    timer: IDelayedCall | None = field(default=None, init=False)
    is_late: bool = field(default=False, init=False)
    """Whether its wait was over before its thread came back."""


@define(eq=False)
class Lookups:
    """Threads for questions that may hang; they hold up no exit, as the reactor's own would.

    All but the questions themselves happens in the reactor's thread.
    """

    most: int = MOST_LOOKUPS
    getaddrinfo: Callable[[str, int, int, int], _Infos] = socket.getaddrinfo
    most_threads: int = MOST_THREADS
    _threads: int = field(default=0, init=False)
    _late: int = field(default=0, init=False)
    """Threads whose questions nobody waits for any more: others have their turn meanwhile."""
    _waiting: deque[_Lookup] = field(factory=deque, init=False)

    async def ask(
        self, reactor: Reactor, host: str, look: Callable[[], _Infos], wait: float
    ) -> tuple[_Infos, int]:
        """What `look` returns or raises in a thread, and how long it took (ns).

        The wait begins when its turn has come: for many names that is later than now. Raises
        TimedOut after it, and where all threads there may be hang.
        """
        lookup = _Lookup(reactor, host, look, wait)
        self._waiting.append(lookup)
        self._go_on()
        try:
            return await lookup.answer
        finally:
            if lookup.timer is not None and lookup.timer.active():
                lookup.timer.cancel()

    def _go_on(self) -> None:
        """Begin as many as may be asked at once."""
        while self._waiting and self._threads < min(self.most + self._late, self.most_threads):
            lookup = self._waiting.popleft()
            if lookup.answer.called:
                continue
            thread = threading.Thread(target=self._work, args=(lookup,), name="names", daemon=True)
            try:
                thread.start()
            except RuntimeError as error:  # the system gives no more
                if self._threads > self._late:  # until one has come back, or is late too
                    self._waiting.appendleft(lookup)
                    return
                lookup.answer.errback(Unreachable(f"cannot look up {lookup.host}: {error}"))
            else:
                self._threads += 1
                lookup.timer = lookup.reactor.callLater(lookup.wait, partial(self._expire, lookup))
        while self._waiting and self._late >= self.most_threads:
            # all hang, and none of them has an end that is known
            lookup = self._waiting.popleft()
            if not lookup.answer.called:
                hung = f"no look-up is free: {self._late} names have had no answer"
                told = f"no answer from the name service for {lookup.host}: {hung}"
                lookup.answer.errback(TimedOut(told))

    def _work(self, lookup: _Lookup) -> None:
        """In a thread: ask, and have the reactor told."""
        tell: Callable[[], None]
        began_ns = time.monotonic_ns()
        try:
            found = lookup.look()
        except Exception as error:  # noqa: BLE001 - whatever it is, it is told to who asked
            tell = partial(lookup.answer.errback, error)
        else:
            tell = partial(lookup.answer.callback, (found, time.monotonic_ns() - began_ns))
        with suppress(RuntimeError):  # the reactor is gone, and with it who asked
            lookup.reactor.callFromThread(self._returned, lookup, tell)

    def _returned(self, lookup: _Lookup, tell: Callable[[], None]) -> None:
        self._threads -= 1
        self._late -= lookup.is_late
        self._go_on()
        if not lookup.answer.called:
            tell()

    def _expire(self, lookup: _Lookup) -> None:
        lookup.is_late = True
        self._late += 1
        self._go_on()
        told = f"no answer from the name service for {lookup.host} within {lookup.wait:g} s"
        lookup.answer.errback(TimedOut(told))


LOOKUPS = Lookups()
"""The process's own."""


async def look_up(
    reactor: Reactor, target: Target, asking: Asking, lookups: Lookups = LOOKUPS
) -> Found:
    """The addresses of a target's host, as a run asks for them. Raises as `resolve`."""
    return await resolve(
        reactor,
        target.host,
        target.port,
        kind=socket.SOCK_STREAM if target.transport.is_stream else socket.SOCK_DGRAM,
        family=asking.family,
        is_numeric=asking.is_numeric,
        wait=asking.wait,
        lookups=lookups,
    )


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
) -> Found:
    """The addresses of a host.

    `family` is 4 or 6, or 0 for both. With `is_numeric` nobody is asked: the host is an address.
    `wait` is for the look-up, from its turn on. Raises NameNotFound, TimedOut and Unreachable.
    """
    wanted = FAMILIES[family]
    try:
        numeric = socket.getaddrinfo(host, port, wanted, kind, 0, socket.AI_NUMERICHOST)
        return Found(_read(numeric, host))
    except (socket.gaierror, ValueError) as error:
        if is_numeric or isinstance(error, ValueError) or not host:
            raise _fault(host, family, error, is_numeric) from None

    look = partial(lookups.getaddrinfo, host, port, wanted, kind)
    try:
        found, took_ns = await lookups.ask(reactor, host, look, wait)
        return Found(_read(found, host), took_ns)
    except (OSError, ValueError) as error:  # gaierror is an OSError
        raise _fault(host, family, error, False) from None


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


def _fault(host: str, family: int, error: Exception, is_numeric: bool) -> ClientError:
    code = error.errno if isinstance(error, socket.gaierror) else None
    if not host:
        return NameNotFound("the name of the host is empty")
    if code in _NO_SUCH_FAMILY:
        return NameNotFound(f"'{host}' has no address of IPv{family}")
    if is_numeric:
        kind = f" of IPv{family}" if family else ""
        return NameNotFound(f"'{host}' is no address{kind}, and no name server is to be asked")
    if isinstance(error, ValueError):
        return NameNotFound(f"there is no host '{host}' (it is not the form of a name)")
    if code in _NO_SUCH_NAME:
        why = f"no address of IPv{family}" if family else error.args[-1]
        return NameNotFound(f"there is no host '{host}' ({why})")
    if code == socket.EAI_AGAIN:  # the system waits for name servers no longer than it wants itself
        return TimedOut(f"no answer from the name service for {host} ({error.args[-1]})")
    return Unreachable(f"the name service fails for {host} ({error.args[-1]})")
