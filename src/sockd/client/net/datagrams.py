"""A socket for datagrams as the commands see it: batches with the kernel's stamps, or a coroutine.

Opened by `open_host`, `open_path` or `open_group`. Whoever measures gives `on_batch`, and gets what
comes as it came; whoever asks awaits `receive` or `ask`, one at a time.
"""

from __future__ import annotations

import os
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from typing import Any

from attrs import define, evolve, field
from twisted.internet.defer import Deferred
from twisted.internet.defer import TimeoutError as DeferredTimeout
from twisted.internet.interfaces import IDelayedCall

from sockd.client.asking import DEFAULT_WAIT
from sockd.client.errors import ClientError, TimedOut, Unreachable
from sockd.client.net import icmp, sockets
from sockd.client.net.arrivals import Arrival, Came, OnBatch, OnData, OnError, Sent
from sockd.client.net.clocks import carried_over
from sockd.client.net.icmp import NetworkError, NotDelivered, Origin
from sockd.client.net.interfaces import named
from sockd.client.net.sockets import DEFAULT_HOPS, Opened
from sockd.client.net.watched import MOST_READS, Handed, WatchedPort
from sockd.client.report import IcmpErrors, Timing
from sockd.formats.hostport import host_port
from sockd.reactor.ancillary import Told
from sockd.reactor.clocks import ClockReading
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address
from sockd.reactor.wire import Datagram

MOST_WAITING = 1_024
"""Datagrams that wait for `receive`: who asks takes them one by one, and a flood must not grow."""
MOST_KINDS = 64
"""Kinds of errors of the network that are counted apart: their senders can be forged."""
SEND_TRIES = 8
"""Of one datagram, while errors of earlier ones keep coming in its way."""

_UNTOLD = Told()


@define(eq=False)
class Datagrams:
    """A socket to one destination, or one that hears a group."""

    reactor: Any
    opened: Opened
    on_batch: OnBatch | None = field(default=None, kw_only=True)
    """Gets all that comes, and both clocks right after it was read. Then nothing comes to
    `receive`."""
    on_error: OnError | None = field(default=None, kw_only=True)
    """Gets each error of the network."""
    on_send: OnData | None = field(default=None, kw_only=True)
    on_receive: OnData | None = field(default=None, kw_only=True)
    """See each datagram: for `--explain`."""
    steps: Timing | None = field(default=None, kw_only=True)
    """How long it took to get here; None where nothing had to be done for that."""
    errors: Counter[tuple[str, str | None]] = field(init=False, factory=Counter)
    """Errors of the network: by their text and who sent them."""
    wrong: int = field(init=False, default=0)
    """Datagrams that came to `ask` and were no answer."""
    strangers: int = field(init=False, default=0)
    """Of those, from another address than the one that was asked."""
    stranger: Address | None = field(init=False, default=None)
    """The last of them."""
    stamps_discarded: int = field(init=False, default=0)
    """Stamps that did not fit both clocks (`receive`)."""
    refusal: ClientError | None = field(init=False, default=None)
    """Why the kernel did not take a datagram, the last time that it did not."""
    _since: int = field(init=False, factory=time.monotonic_ns)
    _port: WatchedPort = field(init=False)
    _ports: list[WatchedPort] = field(init=False, factory=list)
    _inbox: deque[Arrival] = field(init=False, factory=deque)
    _left_out: int = field(init=False, default=0)
    _waiting: deque[Deferred[Arrival]] = field(init=False, factory=deque)
    _failed: NotDelivered | None = field(init=False, default=None)
    _untold: list[NetworkError] = field(init=False, factory=list)
    _telling: IDelayedCall | None = field(init=False, default=None)
    _drops: int = field(init=False, default=0)
    _is_open: bool = field(init=False, default=True)

    def __attrs_post_init__(self) -> None:
        opened, wants = self.opened, self.opened.wants
        try:
            told = Handed(wants, self._came, self._stamped, self._take_errors)
            self._port = WatchedPort(opened.sock, told, self.reactor)
            self._ports.append(self._port)
            if opened.others is not None:
                heard = Handed(wants, self._came, self._stamped, lambda: None)
                self._ports.append(WatchedPort(opened.others, heard, self.reactor))
            for port in self._ports:
                port.startListening()
        except OSError as error:  # no descriptor is left
            opened.close()
            raise sockets.failure(error, "cannot open a socket") from None

    # what is known of it

    @property
    def address(self) -> Address:
        """Where it sends, or the group that it hears."""
        return self.opened.address

    @property
    def is_many(self) -> bool:
        """Whether several may answer."""
        return self.opened.is_many

    @property
    def receive_buffer(self) -> int:
        """Bytes that the kernel has given for what waits; 0 for a Unix socket."""
        return self.opened.receive_buffer

    @property
    def own_losses(self) -> int:
        """Datagrams that found our own receive queue full so far: no fault of the network's."""
        if self._is_open:
            told = self._port.counts["overflow"]
            self._drops = max(self._drops, told, sockets.drops(self.opened.sock))
        return self._drops + self._left_out

    def icmp(self) -> tuple[IcmpErrors, ...]:
        """Errors of the network so far, most frequent first."""
        return tuple(
            IcmpErrors(text=text, sender=sender and named(sender), count=count)
            for (text, sender), count in self.errors.most_common()
        )

    # sending

    def send(self, data: bytes) -> int:
        """Send one datagram; returns when (monotonic, just before the call).

        Raises NotSent, Unreachable, UsageFault where it is too long.
        """
        sent = self.send_batch((data,))
        if sent.refused and self.refusal is not None:
            raise self.refusal
        return sent.at_ns

    def send_batch(self, parts: Sequence[bytes]) -> Sent:
        """Send at most `BATCH` datagrams by one call. Does not raise for those that are refused.

        More would make a lie of the moment at which they are said to be sent.
        """
        if len(parts) > BATCH:
            raise ValueError(f"more than {BATCH} datagrams in a batch")
        if not self._is_open:
            raise Unreachable(f"the socket to {self.opened.name} is closed")
        at = time.monotonic_ns()
        refused = self._port.write_to(parts, self.opened.send_to)
        if refused:
            at, refused = self._again(parts, refused, at)
        if self.on_send is not None:
            for number, data in enumerate(parts):
                if number not in refused:
                    self.on_send(data, self.opened.address)
        return Sent(at, tuple(refused))

    def _again(
        self, parts: Sequence[bytes], refused: Sequence[int], at: int
    ) -> tuple[int, list[int]]:
        """Send those again that an error of an earlier one was in the way of."""
        left = []
        for number in refused:
            for _ in range(SEND_TRIES):
                self._refuse()
                if not self._take_errors():
                    left.append(number)
                    break
                if len(parts) == 1:
                    at = time.monotonic_ns()
                if not self._port.write_to((parts[number],), self.opened.send_to):
                    break
            else:
                left.append(number)
        return at, left

    @property
    def last_errno(self) -> int:
        """Why the kernel did not take what was sent last, by its number."""
        return self._port.last_errno

    def _refuse(self) -> None:
        number = self._port.last_errno
        what, error = f"cannot send to {self.opened.name}", OSError(number, os.strerror(number))
        self.refusal = sockets.failure(error, what, self.is_many)

    # receiving

    def read_now(self) -> None:
        """Hand on all that waits, before the reactor would."""
        for port in self._ports:
            port.read_all()

    async def receive(self, wait: float = DEFAULT_WAIT) -> Arrival:
        """What comes next. Raises TimedOut, and NotDelivered where the network says that nothing
        will come: from one destination, not from many.
        """
        if self._inbox:
            return self._inbox.popleft()
        if self._failed is not None:
            failed, self._failed = self._failed, None
            raise failed
        if not self._is_open:
            raise Unreachable(f"the socket to {self.opened.name} is closed")
        waiting: Deferred[Arrival] = Deferred(self._waiting.remove)
        self._waiting.append(waiting)
        waiting.addTimeout(max(0.0, wait), self.reactor)
        try:
            return await waiting
        except DeferredTimeout:
            raise TimedOut(self._silence(wait)) from None

    async def ask(
        self,
        request: bytes,
        *,
        wait: float = DEFAULT_WAIT,
        retries: int = 0,
        matches: Callable[[Arrival], bool] | None = None,
    ) -> Arrival:
        """Send, and wait for the answer; after `wait` seconds send again, `retries` times.

        What has come before is forgotten. An answer comes from the address that was asked (of a
        broadcast or a multicast, from any) and `matches`; all else is counted as `wrong`. Raises as
        `send` and `receive` do.
        """
        self._inbox.clear()
        self._failed = None
        for attempt in range(1, retries + 2):
            sent = self.send(request)
            try:
                found = await self._answer(request, sent + int(wait * 1e9), matches)
            except TimedOut:
                continue
            return evolve(found, sent_ns=sent, attempt=attempt)
        raise TimedOut(self._silence(wait * (retries + 1)))

    async def _answer(
        self, request: bytes, until_ns: int, matches: Callable[[Arrival], bool] | None
    ) -> Arrival:
        while True:
            try:
                found = await self.receive((until_ns - time.monotonic_ns()) / 1e9)
            except NotDelivered as failed:
                if failed.error.is_about(request):
                    raise
                continue
            if found.address != self.address and not self.opened.hears_anyone:
                self.strangers += 1
                self.stranger = found.address
            elif matches is None or matches(found):
                return found
            self.wrong += 1

    def _silence(self, wait: float) -> str:
        said = f"no answer from {self.opened.name} within {wait:g} s"
        if self.stranger is not None:
            said += f", but {host_port(*self.stranger)} sent something, which was not asked"
        elif self.wrong:
            said += f", but {self.wrong} that are no answers"
        return said

    def _came(self, batch: Sequence[Datagram], clocks: ClockReading) -> None:
        told = [(data, address, *(told or _UNTOLD)) for data, address, _, _, _, told in batch]
        self._stamped(told, clocks)

    def _stamped(self, came: list[Came], clocks: ClockReading) -> None:
        if self.opened.is_listener:
            group = self.opened.address[0].partition("%")[0]
            came = [one for one in came if one[4] in (group, None)]
        if self.on_receive is not None:
            for one in came:
                self.on_receive(one[0], one[1])
        if self.on_batch is not None:
            self.on_batch(came, clocks)
            return
        for one in came:
            self._hand_on(self._arrival(one, clocks))

    def _arrival(self, came: Came, clocks: ClockReading) -> Arrival:
        data, address, stamp, interface, destination = came
        at = carried_over(stamp, clocks.offset_ns, self._since, clocks.monotonic_ns)
        self.stamps_discarded += at is None and stamp is not None
        return Arrival(
            data=data,
            address=address,
            at_ns=clocks.monotonic_ns if at is None else at,
            is_kernel=at is not None,
            interface=interface,
            destination=destination,
        )

    def _hand_on(self, arrival: Arrival) -> None:
        if self._waiting:
            self._waiting.popleft().callback(arrival)
        elif len(self._inbox) < MOST_WAITING:
            self._inbox.append(arrival)
        else:
            self._left_out += 1

    # errors of the network

    def read_errors(self) -> None:
        """Tell of all that the network has said by now, before the reactor would."""
        for _ in range(MOST_READS):
            if not self._take_errors():
                break
        if self._telling is not None:
            self._telling.cancel()
            self._tell()

    def _take_errors(self) -> bool:
        """Take what is in the queue of errors, to be told of in the next turn of the reactor.

        Returns whether the network had said anything.
        """
        if self._port.is_local:
            return False
        # a datagram that is itself refused leaves an error of our own kernel, which was raised
        found = [e for e in icmp.read(self.opened.sock) if e.origin is not Origin.LOCAL]
        self._untold += found
        if self._untold and self._telling is None:
            self._telling = self.reactor.callLater(0, self._tell)
        return bool(found)

    def _tell(self) -> None:
        self._telling = None
        untold, self._untold = self._untold, []
        for error in untold:
            self._tell_of(error)

    def _tell_of(self, error: NetworkError) -> None:
        if error.sender == self.opened.source and error.host != self.opened.source:
            # our own kernel, which found no neighbour, writes it as if it came from our address
            error = evolve(error, sender=None)
        kind = (error.text, error.sender)
        if kind not in self.errors and len(self.errors) >= MOST_KINDS:
            kind = ("others", None)
        self.errors[kind] += 1
        if self.on_error is not None:
            self.on_error(error)
        if self.on_batch is not None or self.is_many or not error.means_undelivered:
            return
        failed = NotDelivered(f"{self.opened.name}: {error}", error)
        if self._waiting:
            self._waiting.popleft().errback(failed)
        else:
            self._failed = failed

    # the end

    def close(self) -> None:
        """Close the socket and remove its file, once all errors are told. Who still waits gets
        Unreachable.
        """
        if not self._is_open:
            return
        _ = self.own_losses  # while it can be asked
        self._is_open = False
        self.read_errors()
        for port in self._ports:
            port.stopListening()
        self.opened.close()
        while self._waiting:
            closed = Unreachable(f"the socket to {self.opened.name} was closed")
            self._waiting.popleft().errback(closed)


def open_host(
    reactor: Any,
    address: Address,
    *,
    interface: str = "",
    hops: int = DEFAULT_HOPS,
    has_ports: bool = False,
    on_batch: OnBatch | None = None,
    on_error: OnError | None = None,
) -> Datagrams:
    """To one address, a broadcast or a group. Raises UsageFault, Unreachable."""
    opened = sockets.to_host(address, interface=interface, hops=hops, has_ports=has_ports)
    return Datagrams(reactor, opened, on_batch=on_batch, on_error=on_error)


def open_path(reactor: Any, path: str, *, on_batch: OnBatch | None = None) -> Datagrams:
    """To a Unix socket. Raises UsageFault, Unreachable."""
    return Datagrams(reactor, sockets.to_path(path), on_batch=on_batch)


def open_group(
    reactor: Any, address: Address, *, interface: str = "", on_batch: OnBatch | None = None
) -> Datagrams:
    """Hear a multicast group. Raises UsageFault, Unreachable."""
    return Datagrams(reactor, sockets.to_group(address, interface=interface), on_batch=on_batch)
