"""Connections to services: names, RFC 8305, TLS, and what went wrong in one sentence."""

from __future__ import annotations

import errno
import socket
import time
from functools import cached_property
from typing import NoReturn, cast

from attrs import define, evolve, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime

from sockd.client.asking import Asking
from sockd.client.errors import ClientError, TimedOut, Unreachable, UsageFault
from sockd.client.net import interfaces
from sockd.client.net.channels import Channel, SocketChannel
from sockd.client.net.connect import connect_to, connect_to_path
from sockd.client.net.interfaces import Way
from sockd.client.net.loop import Reactor
from sockd.client.net.race import AllFailed, Race, interleave
from sockd.client.net.resolve import LOOKUPS, Address, Found, Lookups, look_up
from sockd.client.net.streams import Hook, Stream
from sockd.client.net.system import words
from sockd.client.report import Timing
from sockd.client.targets import Target, Transport

_NO_ANSWER = "no answer"


async def dial(
    reactor: Reactor,
    target: Target,
    asking: Asking,
    *,
    on_write: Hook | None = None,
    on_read: Hook | None = None,
    lookups: Lookups = LOOKUPS,
    found: Found | None = None,
    has_urgent: bool = False,
) -> Stream:
    """Connect, by an `UrgentChannel` where there can be one and it `has_urgent`.

    All takes `asking.wait` seconds at most, from its name's turn to be looked up, if it is not
    `found`. Raises NameNotFound, Unreachable, TimedOut, BadCertificate; UsageFault for options.
    """
    if target.transport is Transport.TLS:
        # here, because it takes long to load; and first, because files at fault connect to nobody
        from sockd.client.net.trust import load

        load(asking.ca, asking.certificate, asking.is_insecure)
    dialling = _Dialling(reactor, target, asking, lookups, found)
    reached = await dialling.reach()
    timing, channel = reached.timing, _channel(reactor, reached.sock, target, has_urgent)
    if target.transport is Transport.TLS:
        channel, timing = await dialling.secure(channel, timing)
    stream = Stream(
        timers=reactor,
        channel=channel,
        name=str(target),
        peer=reached.peer,
        port=None if target.path else target.port,
        wait=asking.wait,
        steps=timing,
        began_ns=dialling.began_ns,
        on_write=on_write,
        on_read=on_read,
    )
    channel.resume()
    return stream


def _channel(reactor: Reactor, sock: socket.socket, target: Target, has_urgent: bool) -> Channel:
    if has_urgent and target.transport is Transport.TCP:
        from sockd.client.net.urgent import IS_HERE, UrgentChannel

        if IS_HERE:
            return UrgentChannel(reactor, sock, str(target))
    return SocketChannel(reactor, sock, str(target))


@frozen
class _Reached:
    sock: socket.socket
    peer: str
    timing: Timing


@define(eq=False)
class _Dialling:
    """The way to one target."""

    reactor: Reactor
    target: Target
    asking: Asking
    lookups: Lookups
    found: Found | None
    began_ns: int = field(init=False)
    _end: float = field(init=False)
    """By the reactor's clock."""

    def __attrs_post_init__(self) -> None:
        self._begin()

    def _begin(self, took_ns: int = 0) -> None:
        """The wait begins now, or began so long ago."""
        self.began_ns = time.monotonic_ns() - took_ns
        self._end = self.reactor.seconds() + self.asking.wait - took_ns / 1e9

    def left(self) -> float:
        """Seconds of the wait."""
        return max(0.0, self._end - self.reactor.seconds())

    async def reach(self) -> _Reached:
        """A connected socket, before TLS."""
        if self.target.path:
            return await self._reach_path()
        found = self.found or await look_up(self.reactor, self.target, self.asking, self.lookups)
        self._begin(found.took_ns or 0)
        addresses = self._from_here(found.addresses)
        resolved_ns = time.monotonic_ns()

        def connect(address: Address) -> Deferred[socket.socket]:
            return Deferred.fromCoroutine(connect_to(self.reactor, address, self.way))

        race = Race(self.reactor, connect, interleave(addresses), self.left())
        try:
            address, sock = await race.run()
        except AllFailed as error:
            raise self._all_failed(error.failures) from None
        connected_ns = time.monotonic_ns()
        return _Reached(
            sock,
            address.host,
            Timing(resolve_ns=found.took_ns, connect_ns=connected_ns - resolved_ns),
        )

    async def secure(self, channel: Channel, timing: Timing) -> tuple[Channel, Timing]:
        """TLS over what has been reached, and how long it took."""
        from sockd.client.net.trust import secure

        began_ns = time.monotonic_ns()
        try:
            tls = await secure(self.reactor, channel, self.target, self.asking, self.left())
        except BaseException:  # a cancellation too
            channel.close()
            raise
        return tls, evolve(timing, tls_ns=time.monotonic_ns() - began_ns)

    async def _reach_path(self) -> _Reached:
        began_ns = time.monotonic_ns()
        path = self.target.path
        connecting = Deferred.fromCoroutine(connect_to_path(self.reactor, path))
        late = TimedOut(self._late(f"at {path}"))
        connecting.addTimeout(
            self.left(), cast(IReactorTime, self.reactor), lambda *_: _raise(late)
        )
        try:
            sock = await connecting
        except (OSError, ValueError) as error:
            raise Unreachable(f"nobody answers at {path}: {_words(error)}") from None
        return _Reached(sock, path, Timing(connect_ns=time.monotonic_ns() - began_ns))

    @cached_property
    def way(self) -> Way:
        """From where: what `-I` says."""
        wanted = self.asking.interface
        return interfaces.way(wanted, interfaces.read() if wanted else ())

    def _from_here(self, addresses: list[Address]) -> list[Address]:
        """Those that can be reached from the address that `-I` names."""
        version = self.way.version
        if not version:
            return addresses
        family = socket.AF_INET6 if version == 6 else socket.AF_INET
        kept = [address for address in addresses if address.family == family]
        if not kept:
            interfaces.refuse_family(self.asking.interface, version)
        return kept

    def _late(self, where: str) -> str:
        return f"nobody answers {where} within {self.asking.wait:g} s"

    def _all_failed(self, failures: dict[Address, Exception | None]) -> ClientError:
        for failure in failures.values():
            if isinstance(failure, UsageFault):
                return failure
        if len(failures) == 1 and next(iter(failures)).host == self.target.host:
            told = _words(*failures.values())
        else:
            told = "; ".join(
                f"{_bracketed(address.host)}: {_words(failure)}"
                for address, failure in failures.items()
            )
        if any(_is_late(failure) for failure in failures.values()):
            late = self._late(f"at {self.target}")
            return TimedOut(late if told == _NO_ANSWER else f"{late}: {told}")
        return Unreachable(f"nobody answers at {self.target}: {told}")


def _is_late(failure: Exception | None) -> bool:
    if isinstance(failure, OSError):
        return failure.errno == errno.ETIMEDOUT
    return failure is None


def _words(failure: Exception | None) -> str:
    if failure is None:
        return _NO_ANSWER
    if isinstance(failure, OSError):
        return words(failure)
    return str(failure)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _raise(error: Exception) -> NoReturn:
    raise error
