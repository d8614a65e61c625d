"""`echo`: measures round trips."""

from __future__ import annotations

import secrets
from typing import Any

import click
from attrs import evolve

from sockd.client.arguments import Command, asks
from sockd.client.asking import MOST_WINDOW, Asking
from sockd.client.measure.answerers import Answerers
from sockd.client.measure.carriers import Carrier, DatagramCarrier, StreamCarrier
from sockd.client.measure.prober import Prober
from sockd.client.measure.probing import Plan, Probing
from sockd.client.measure.undisturbed import undisturbed
from sockd.client.process import Run
from sockd.client.start import run_hosts, targets
from sockd.client.targets import Target, Transport
from sockd.formats import ports
from sockd.formats.probe import LARGEST, SEQUENCES, SMALLEST, TOKEN_BYTES, ProbeFormat

INTERVAL = 0.1
"""Seconds between two probes: ten a second harm no network, and 100 in 10 s tell a p99."""
SIZE = 64
"""Bytes of a probe, as of ping."""
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
    "--first", type=click.IntRange(0, SEQUENCES - 1), default=0, help="The first sequence number."
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
    """
    size = SIZE if asking.size is None else asking.size
    if not SMALLEST <= size <= LARGEST:
        raise click.UsageError(
            f"-s {size}: a probe has {SMALLEST} bytes at least, to tell what it answers"
        )
    if window is not None and asking.interval is not None:
        raise click.UsageError("--window sends when an answer comes, -i by the clock: choose one")
    interval = INTERVAL if asking.interval is None else asking.interval
    if not interval:
        raise click.UsageError("-i 0 is no schedule: for as fast as it goes there is --window")
    plan = Plan(count=asking.count, interval_ns=round(interval * 1e9), window=window)
    token = secrets.token_bytes(TOKEN_BYTES)
    is_told = (window is None and interval >= TOLD_FROM) or asking.verbosity > 0

    def make(run: Run, target: Target) -> Probing:
        def make_prober(is_many: bool) -> Prober | Answerers:
            form, wait_ns = ProbeFormat(token, size), round(asking.wait * 1e9)
            about: dict[str, Any] = {
                "first": first,
                "target": target.name,
                "transport": target.transport,
                "tell": run.report if is_told else None,
            }
            if is_many:
                return Answerers(form, wait_ns, **about)
            return Prober(form, wait_ns, attempts=asking.retries + 1, **about)

        return Probing(run, target, _carrier(run, target, size), make_prober, plan)

    asking = evolve(asking, size=size)
    with undisturbed():
        return run_hosts(
            "echo",
            targets(hosts, asking, dict.fromkeys(Transport, ports.ECHO)),
            asking,
            make,
            kind="echo",
        )


def _carrier(run: Run, target: Target, size: int) -> Carrier:
    if target.transport.is_stream:
        return StreamCarrier(run, target, size)
    return DatagramCarrier(run, target)
