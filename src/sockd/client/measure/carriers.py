"""What carries probes: datagrams or a connection, the same to whoever measures."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Protocol

from attrs import Factory, define, field

from sockd.client.errors import ClientError
from sockd.client.net.arrivals import Came, Sent
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.icmp import NetworkError
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.reach import connect, reach
from sockd.client.report import IcmpErrors, Timing, Value
from sockd.client.targets import Target
from sockd.client.waiting import watch
from sockd.formats.probe import ProbeStream
from sockd.reactor.sockaddr import Address

MOST_UNSENT = 1024 * 1024
"""Bytes that wait for a connection to take them: with more, no probe is sent. A server that reads
nothing would have them pile up, and probes that wait here measure nothing but this client."""

Pieces = Sequence[Came]
"""Probes that came."""


class Listener(Protocol):
    """Who measures."""

    def came(self, pieces: Pieces) -> None:
        """Answers, or what looks like some; they have just been read."""

    def could_not(self, probe: bytes, reason: str) -> None:
        """The network says that what begins with these bytes was not delivered."""

    def broke(self, error: ClientError) -> None:
        """Nothing can be carried any more."""


@define(kw_only=True)
class Facts:
    """What a carrier knows besides."""

    address: str | None = None
    own_losses: int = 0
    icmp: tuple[IcmpErrors, ...] = ()
    timing: Timing | None = None
    values: Mapping[str, Value] = Factory(dict)


class Carrier(Protocol):
    """A way for probes."""

    is_many: bool
    """Whether several may answer."""
    hears_anyone: bool
    """Whether an answer need not come from `address`."""
    address: Address
    """Who is asked, once it is open."""

    async def open(self, listener: Listener) -> None:
        """Get there. Raises ClientError."""

    def send(self, probes: Sequence[bytes]) -> Sent:
        """Send probes, at most `BATCH`, by one call."""

    def refusal(self) -> str:
        """Why the last was refused."""

    def read_now(self) -> None:
        """Hand on all that waits to be read."""

    def facts(self) -> Facts:
        """What is known by now."""

    def close(self) -> None:
        """Leave."""


@define(eq=False)
class DatagramCarrier:
    """A datagram a probe."""

    run: Run
    target: Target
    is_many: bool = False
    hears_anyone: bool = False
    address: Address = ("", 0)
    _opened: Datagrams | None = None

    async def open(self, listener: Listener) -> None:
        """Find the address, and open a socket to it."""
        self._opened = opened = await reach(self.run, self.target)
        self.is_many, self.address = opened.is_many, opened.address
        self.hears_anyone = opened.opened.hears_anyone

        def came(batch: list[Came], _: object) -> None:
            listener.came(batch)

        def failed(error: NetworkError) -> None:
            if error.means_undelivered:
                listener.could_not(error.payload, str(error))

        opened.on_batch, opened.on_error = came, failed

    def send(self, probes: Sequence[bytes]) -> Sent:
        """By one call of the kernel."""
        assert self._opened is not None
        return self._opened.send_batch(probes)

    def refusal(self) -> str:
        """As the kernel has it."""
        return "" if self._opened is None else str(self._opened.refusal or "")

    def read_now(self) -> None:
        """Read until nothing waits."""
        if self._opened is not None:
            self._opened.read_now()

    def facts(self) -> Facts:
        """Losses of our own queue, errors of the network, and how long the look-up took."""
        opened = self._opened
        if opened is None:
            return Facts()
        return Facts(
            address=opened.address[0],
            own_losses=opened.own_losses,
            icmp=opened.icmp(),
            timing=opened.steps,
        )

    def close(self) -> None:
        """Close the socket; what is known of it stays."""
        if self._opened is not None:
            self._opened.close()


@define(eq=False)
class StreamCarrier:
    """Probes of one size after each other on a connection, and the same back."""

    run: Run
    target: Target
    size: int
    is_many: bool = False
    hears_anyone: bool = True
    address: Address = ("", 0)
    _stream: Stream | None = None
    _probes: ProbeStream = field()
    _facts: Facts = Factory(Facts)

    @_probes.default
    def _framed(self) -> ProbeStream:
        return ProbeStream(self.size)

    async def open(self, listener: Listener) -> None:
        """Connect."""
        self._stream = stream = await connect(self.run, self.target)
        self.address = (stream.peer, self.target.port)

        def came(data: bytes) -> None:
            address = self.address
            probes: list[Came] = [
                (probe, address, None, None, None) for probe in self._probes.feed(data)
            ]
            if probes:
                listener.came(probes)

        stream.listen(came)
        watch(stream.ended(), listener.broke, f"{self.target} has closed the connection")

    def send(self, probes: Sequence[bytes]) -> Sent:
        """Written at once, and without waiting for more (TCP_NODELAY)."""
        assert self._stream is not None
        at_ns = time.monotonic_ns()
        if self._stream.waiting > MOST_UNSENT:
            return Sent(at_ns, tuple(range(len(probes))))
        self._stream.write(b"".join(probes))
        return Sent(at_ns)

    def refusal(self) -> str:
        """Nothing is refused but for one reason."""
        return f"{self.target} takes nothing more: {MOST_UNSENT} bytes wait to be sent"

    def read_now(self) -> None:
        """What waits is handed on by the reactor."""

    def facts(self) -> Facts:
        """The steps of the connection, and what the kernel measured itself."""
        stream = self._stream
        if stream is None:
            return self._facts
        values: dict[str, Value] = {}
        if (info := stream.tcp_info()) is not None:
            values = {
                "kernel_rtt_ns": info.rtt_us * 1000,
                "kernel_rtt_var_ns": info.rttvar_us * 1000,
                "retransmits": info.retransmits,
            }
        self._facts = Facts(
            address=stream.peer, timing=stream.timing, values=values or self._facts.values
        )
        return self._facts

    def close(self) -> None:
        """End the connection; what is known of it stays."""
        if self._stream is not None:
            self.facts()
            self._stream.close()
