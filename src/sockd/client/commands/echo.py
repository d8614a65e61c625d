"""`echo`: measures round trips."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import click
from attrs import define, evolve, frozen

from sockd.client.arguments import Command, asks
from sockd.client.asking import LARGEST_SIZE, MOST_WINDOW, Asking
from sockd.client.measure.answerers import Answerers
from sockd.client.measure.carriers import Carrier, DatagramCarrier, StreamCarrier
from sockd.client.measure.prober import Prober
from sockd.client.measure.probing import Plan, Probing
from sockd.client.measure.undisturbed import undisturbed
from sockd.client.net.interfaces import named
from sockd.client.process import Run
from sockd.client.report import Outcome, Probe
from sockd.client.start import run_hosts, targets
from sockd.client.targets import Target, Transport
from sockd.formats import ports
from sockd.formats.probe import SEQUENCES, SMALLEST, TOKEN_BYTES, ProbeFormat

INTERVAL = 0.1
"""Seconds between two probes: ten a second harm no network, and 100 in 10 s tell a p99."""
SIZE = 64
"""Bytes of a probe, as of ping."""
COUNT_OF_CHECK = 10
"""Probes of a run for monitoring: a second, if nothing else is said."""
ODD = frozenset({Outcome.CORRUPT, Outcome.DUPLICATE, Outcome.FOREIGN, Outcome.LATE})
MOST_ODD = 100
"""Outcomes a second that others can bring on without a probe of ours, and that are told one by one:
a server that floods would fill a disk with rows. All of them are counted."""
TOLD_FROM = 0.01
"""Seconds between probes from which on each is told: more often nobody could read them."""


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@click.option(
    "--window",
    type=click.IntRange(1, MOST_WINDOW),
    metavar="N",
    help="A closed loop: N probes on their way, instead of one an interval.",
)
@click.option(
    "--first",
    type=click.IntRange(0, SEQUENCES - 1),
    default=0,
    metavar="N",
    help="The first sequence number; after 2^64 - 1 comes 0.",
)
@asks(
    Transport.UDP,
    Transport.TCP,
    Transport.TLS,
    Transport.UNIX,
    Transport.UNIXGRAM,
    has_size=True,
)
def echo(asking: Asking, hosts: tuple[str, ...], window: int | None, first: int) -> int:
    """Measure round trips to echo services (RFC 862), until ^C or as often as -c says.

    A HOST may be a broadcast or a multicast address: then it is told who answered. Loss, order,
    duplicates and the spread of round trips are told at the end; --explain says what they mean.
    Ten probes of 64 bytes a second, if nothing else is said.
    """
    asking = evolve(asking, size=_size(asking), count=_count(asking))
    interval = _interval(asking, window)
    measuring = Measuring(
        plan=Plan(count=asking.count, interval_ns=round(interval * 1e9), window=window),
        token=secrets.token_bytes(TOKEN_BYTES),
        first=first,
        is_told=(window is None and interval >= TOLD_FROM) or asking.verbosity > 0,
    )
    found = targets(hosts, asking, dict.fromkeys(Transport, ports.ECHO))
    with undisturbed():
        return run_hosts(
            "echo",
            found,
            asking,
            measuring.host,
            kind="echo",
            options={} if window is None else {"window": window},
        )


def _size(asking: Asking) -> int:
    """Bytes of a probe. Raises UsageError."""
    size = SIZE if asking.size is None else asking.size
    if not SMALLEST <= size <= LARGEST_SIZE:
        raise click.UsageError(f"-s {size}: a probe has {SMALLEST} to {LARGEST_SIZE} bytes")
    return size


def _count(asking: Asking) -> int | None:
    """Probes; a plugin of monitoring has to come to an end."""
    if asking.is_check and asking.count is None and asking.deadline is None:
        return COUNT_OF_CHECK
    return asking.count


def _interval(asking: Asking, window: int | None) -> float:
    """Seconds between two probes. Raises UsageError."""
    if window is not None and asking.interval is not None:
        raise click.UsageError("--window sends when an answer comes, -i by the clock: choose one")
    interval = INTERVAL if asking.interval is None else asking.interval
    if not round(interval * 1e9):
        raise click.UsageError("-i 0 is no schedule: for as fast as it goes there is --window")
    return interval


@define
class PerSecond:
    """A bound on how many of something there are in a second."""

    most: int
    _second: int = 0
    _count: int = 0

    def takes(self, now_ns: int) -> bool:
        """Whether one more is within it."""
        second = now_ns // 1_000_000_000
        self._count = self._count + 1 if second == self._second else 1
        self._second = second
        return self._count <= self.most


@frozen(kw_only=True)
class Measuring:
    """What all hosts of a run are measured by."""

    plan: Plan
    token: bytes
    first: int
    is_told: bool
    """Whether each outcome is told."""

    def host(self, run: Run, target: Target) -> Probing:
        """One host of it."""
        carrier = self._carrier(run, target)
        return Probing(run, target, carrier, self._prober(run, target, carrier), self.plan)

    def _carrier(self, run: Run, target: Target) -> Carrier:
        if target.transport.is_stream:
            return StreamCarrier(run, target, run.asking.size or SIZE)
        return DatagramCarrier(run, target)

    def _prober(
        self, run: Run, target: Target, carrier: Carrier
    ) -> Callable[[bool], Prober | Answerers]:
        asking = run.asking
        form, wait_ns = ProbeFormat(self.token, asking.size or SIZE), round(asking.wait * 1e9)

        odd = PerSecond(MOST_ODD)

        def tell(probe: Probe) -> None:
            if probe.outcome in ODD and not odd.takes(run.monotonic_ns()):
                return
            address = probe.address or carrier.address[0] or None
            address = address and named(address)
            run.report(evolve(probe, address=address, port=target.port or None))

        def make(is_many: bool) -> Prober | Answerers:
            about: dict[str, Any] = {
                "first": self.first,
                "target": target.name,
                "transport": target.transport,
                "tell": tell if self.is_told else None,
            }
            if is_many:
                return Answerers(form, wait_ns, **about)
            return Prober(form, wait_ns, attempts=asking.retries + 1, **about)

        return make
