"""`beacon`: hears a multicast group, and prints who says what."""

from __future__ import annotations

from collections.abc import Callable

import click
from attrs import define, evolve

from sockd.client.arguments import Command, asks, check_end
from sockd.client.asking import Asking
from sockd.client.errors import ClientError, TimedOut
from sockd.client.exits import Exit
from sockd.client.hosts import Hosts
from sockd.client.net.arrivals import Arrival
from sockd.client.net.datagrams import Datagrams, open_group
from sockd.client.net.interfaces import interface_name, named
from sockd.client.outputs.choose import choose
from sockd.client.process import Run, run_process
from sockd.client.report import Counts, Data, HostSummary, Interval, Outcome, Probe, Stamp
from sockd.client.start import hooks_for
from sockd.client.targets import Target, Transport
from sockd.formats import ports
from sockd.formats.hostport import host_port

MOST_SHOWN = 1024
"""Bytes of a message in its row: a screen full. JSON has all of it."""
_LONG = 86_400.0
"""Seconds to wait at a time, where there is no deadline."""
_MEANINGLESS = (
    *("interval", "wait", "retries", "family", "is_numeric", "all_addresses", "enough"),
    *("tells_timing", "over_udp"),
)


def row(address: str, message: bytes) -> bytes:
    """One line, whatever the message is: an end of a line in it is shown as a space."""
    if len(message) > MOST_SHOWN:
        message = message[:MOST_SHOWN] + b"..."
    text = message.rstrip(b"\r\n").replace(b"\r\n", b" ").replace(b"\n", b" ").replace(b"\r", b" ")
    return address.encode() + b": " + text + b"\n"


@define(eq=False)
class Listener:
    """Hears the group until there is enough."""

    run: Run
    target: Target
    deadline: float | None = None
    """Seconds."""
    opens: Callable[..., Datagrams] = open_group
    count: int = 0
    size: int = 0
    _datagrams: Datagrams | None = None

    @property
    def has_answered(self) -> bool:
        """Whether anybody has spoken."""
        return self.count > 0

    @property
    def fault(self) -> ClientError | None:
        """Nothing that `go` does not raise."""
        return None

    async def go(self) -> None:
        """Hear messages, as many as were asked for. Raises TimedOut where none came in time."""
        asking = self.run.asking
        group = (self.target.host, self.target.port)
        datagrams = self.opens(self.run.reactor, group, interface=asking.interface)
        self._datagrams = datagrams
        if (read := self.run.explain(self.target).read) is not None:
            datagrams.on_receive = lambda data, of: read(data, host_port(*of))
        begun_ns = self.run.monotonic_ns()
        try:
            while self.count < (asking.count or self.count + 1):
                left = _LONG
                if self.deadline is not None:
                    left = self.deadline - (self.run.monotonic_ns() - begun_ns) / 1e9
                try:
                    arrival = await datagrams.receive(left)
                except TimedOut:
                    if self.deadline is not None:
                        break
                else:
                    self._tell(arrival)
        finally:
            datagrams.close()
        if not self.count:
            joined = ", ".join(datagrams.opened.joined)
            raise TimedOut(
                f"nobody spoke to {self.target} within {self.deadline:g} s (listening on {joined})"
            )

    def _tell(self, arrival: Arrival) -> None:
        address, port = arrival.address
        address, interface = named(address), interface_name(arrival.interface)
        self.run.report(Data(target=self.target.name, data=row(address, arrival.data)))
        self.run.report(
            Probe(
                target=self.target.name,
                transport=self.target.transport,
                address=address,
                port=port,
                seq=self.count,
                outcome=Outcome.ANSWERED,
                stamp=Stamp.KERNEL if arrival.is_kernel else Stamp.USER,
                size=len(arrival.data),
                text=arrival.data.decode("utf-8", "surrogateescape"),
                values={"interface": interface} if interface else {},
            )
        )
        self.count += 1
        self.size += len(arrival.data)

    def summary(self, error: ClientError | None) -> HostSummary:
        """How much was heard."""
        code = error.exit if error is not None else Exit.ANSWERED
        is_silent = error is None and not self.count and self.deadline is not None
        return HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            port=self.target.port,
            counts=Counts(received=self.count, bytes_received=self.size),
            own_losses=self._datagrams.own_losses if self._datagrams is not None else 0,
            exit=Exit.TIMEOUT if is_silent else code,
            error=None if error is None else str(error),
        )

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """Nothing: there is no question whose answers could be counted."""
        return None


@click.command(cls=Command)
@click.option(
    "--group",
    default=ports.BEACON_GROUP,
    show_default=True,
    metavar="ADDRESS",
    help="The multicast group.",
)
@asks(Transport.UDP, leaves_out=_MEANINGLESS)
def beacon(asking: Asking, group: str) -> int:
    """Join a multicast group, and print who says what: one line a message.

    It listens on all interfaces that can, or on the one of -I, until -c messages came, or -w is
    over: exit 3 where there was none.
    """
    if asking.count is None and asking.deadline is None:
        check_end(asking, "-c or -w")
    target = Target(Transport.UDP, group, asking.port or ports.BEACON)
    # what -c counts here are no questions, about which there would be figures to tell
    told = evolve(asking, count=None)
    report = choose("beacon", [target.name], told, has_rows=True)

    async def body(run: Run) -> Exit:
        return await Hosts(run, "beacon", [Listener(run, target, asking.deadline)]).ask()

    return report.exit_code(
        run_process(body, evolve(asking, deadline=None), report, hooks_for("beacon", asking))
    )
