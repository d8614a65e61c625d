"""The figures that a summary has, by name: for thresholds and for monitoring.

Each is in the base unit of its quantity, and exact: a threshold of 7 % holds for 7 of 100.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from enum import StrEnum
from fractions import Fraction

from attrs import frozen

from sockd.client.exits import Exit
from sockd.client.report import HostSummary, Spread, Summary, Timing
from sockd.formats.hostport import host_port

NANOSECONDS = 10**9


class Unit(StrEnum):
    """What a figure counts."""

    COUNT = ""
    SECONDS = "s"
    PERCENT = "%"
    BYTES = "B"
    BITS_PER_SECOND = "bit/s"
    PER_SECOND = "/s"
    DAYS = "d"


@frozen(kw_only=True)
class Metric:
    """A figure of one host."""

    name: str
    unit: Unit
    help: str
    get: Callable[[HostSummary], Fraction | None]
    """Its value; None where this run has none."""
    missing: str
    """Why it may have none, as what follows on "as"."""
    is_signed: bool = False
    """It may be below 0."""
    is_main: bool = False
    """It is told to monitoring though no threshold names it."""


@frozen(kw_only=True)
class RunMetric:
    """A figure of all hosts together."""

    name: str
    unit: Unit
    help: str
    get: Callable[[Summary], Fraction | None]
    missing: str = "the run was interrupted"
    is_signed: bool = False
    is_main: bool = True


AnyMetric = Metric | RunMetric


def _seconds(ns: int | None) -> Fraction | None:
    return None if ns is None else Fraction(ns, NANOSECONDS)


def _of_values(host: HostSummary, name: str, scale: int = 1) -> Fraction | None:
    """A number among what else is known of a host, divided by `scale`."""
    found = host.values.get(name)
    if found is None or isinstance(found, bool | str):
        return None
    if isinstance(found, float) and not math.isfinite(found):
        return None
    return Fraction(found) / scale


def _spread(
    name: str, of: Callable[[Spread], int | None], help: str, *, is_main: bool = False
) -> Metric:
    def get(host: HostSummary) -> Fraction | None:
        return None if host.rtt is None else _seconds(of(host.rtt))

    return Metric(
        name=name,
        unit=Unit.SECONDS,
        help=help,
        get=get,
        missing="no round trip was measured",
        is_main=is_main,
    )


def _percentile(number: str, *, is_main: bool = False) -> Metric:
    def get(host: HostSummary) -> Fraction | None:
        return None if host.rtt is None else _seconds(host.rtt.percentiles.get(f"p{number}"))

    return Metric(
        name=f"rtt_p{number}",
        unit=Unit.SECONDS,
        help=f"Round trip that {number} % of the answers took at most",
        get=get,
        missing="so few answers do not support it",
        is_main=is_main,
    )


def _duration(
    name: str, of: Callable[[HostSummary], int | None], help: str, missing: str, *, is_main: bool
) -> Metric:
    return Metric(
        name=name,
        unit=Unit.SECONDS,
        help=help,
        get=lambda host: _seconds(of(host)),
        missing=missing,
        is_main=is_main,
    )


def _step(name: str, of: Callable[[Timing], int | None], help: str, missing: str) -> Metric:
    return _duration(
        name,
        lambda host: None if host.timing is None else of(host.timing),
        help,
        missing,
        is_main=True,
    )


def _count(
    name: str, of: Callable[[HostSummary], int | None], help: str, unit: Unit = Unit.COUNT
) -> Metric:
    def get(host: HostSummary) -> Fraction | None:
        count = of(host)
        return None if count is None else Fraction(count)

    return Metric(name=name, unit=unit, help=help, get=get, missing=_NO_SCHEDULE)


def _loss(host: HostSummary) -> Fraction | None:
    counts = host.counts
    lost = counts.lost + counts.failed
    known = counts.received + lost
    return None if counts.loss is None else Fraction(100 * lost, known)


def _offset(host: HostSummary) -> Fraction | None:
    """The offset that is nearest to none, of those that are possible."""
    low = _of_values(host, "offset_low_ns", NANOSECONDS)
    high = _of_values(host, "offset_high_ns", NANOSECONDS)
    if low is None or high is None:
        return None
    return max(low, min(high, Fraction(0)))


def _bound(name: str, help: str) -> Metric:
    return Metric(
        name=name,
        unit=Unit.SECONDS,
        help=help,
        get=lambda host: _of_values(host, f"{name}_ns", NANOSECONDS),
        missing=_NO_CLOCK,
        is_signed=True,
    )


_NO_CLOCK = "no clock was compared"
_NO_SCHEDULE = "nothing was sent by a schedule"
_NO_CONNECTION = "no connection was made"

HOST_METRICS = (
    Metric(
        name="up",
        unit=Unit.COUNT,
        help="1 where the host has answered, else 0",
        get=lambda host: Fraction(host.exit is Exit.ANSWERED),
        missing="the run was interrupted",
    ),
    _spread("rtt_min", lambda rtt: rtt.min_ns, "Shortest round trip", is_main=True),
    _spread("rtt_avg", lambda rtt: rtt.mean_ns, "Mean round trip", is_main=True),
    _spread("rtt_max", lambda rtt: rtt.max_ns, "Longest round trip", is_main=True),
    _spread("rtt_stddev", lambda rtt: rtt.stddev_ns, "Standard deviation of round trips"),
    _percentile("50"),
    _percentile("90"),
    _percentile("99", is_main=True),
    _percentile("99.9"),
    _percentile("99.99"),
    _percentile("99.999"),
    _duration(
        "jitter",
        lambda host: host.jitter_ns,
        "Jitter of round trips (RFC 3550)",
        "two answers at least are needed",
        is_main=True,
    ),
    _duration(
        "pdv_p99",
        lambda host: host.pdv_p99_ns,
        "How much longer than the shortest round trip 99 % took at most (RFC 5481)",
        "so few answers do not support it",
        is_main=False,
    ),
    Metric(
        name="loss",
        unit=Unit.PERCENT,
        help="Part of the probes that were lost or failed, of those whose fate is known",
        get=_loss,
        missing="the fate of no probe is known",
        is_main=True,
    ),
    _count("sent", lambda host: host.counts.sent, "Probes that were sent"),
    _count("received", lambda host: host.counts.received, "Probes that were answered in time"),
    _count("lost", lambda host: host.counts.lost, "Probes that were not answered in time"),
    _count("failed", lambda host: host.counts.failed, "Probes that an error ended"),
    _count(
        "undelivered",
        lambda host: host.counts.undelivered,
        "Datagrams without an answer due that the network reported as undelivered",
    ),
    _count("in_flight", lambda host: host.counts.in_flight, "Probes whose wait was not over"),
    _count("late", lambda host: host.counts.late, "Answers after the wait was over"),
    _count("duplicates", lambda host: host.counts.duplicates, "Second and further answers"),
    _count("corrupt", lambda host: host.counts.corrupt, "Answers that were changed on the way"),
    _count("foreign", lambda host: host.counts.foreign, "Datagrams that answer no probe"),
    _count("reordered", lambda host: host.counts.reordered, "Answers out of order (RFC 4737)"),
    _count("bytes_sent", lambda host: host.counts.bytes_sent, "Bytes that were sent", Unit.BYTES),
    _count(
        "bytes_received",
        lambda host: host.counts.bytes_received,
        "Bytes of answers",
        Unit.BYTES,
    ),
    _count("own_losses", lambda host: host.own_losses, "Answers that our own full queue lost"),
    _duration(
        "lateness_max",
        lambda host: None if host.lateness is None else host.lateness.max_ns,
        "How much later than planned a probe was sent at most: our own delay",
        _NO_SCHEDULE,
        is_main=False,
    ),
    _count("missed_slots", lambda host: host.missed_slots, "Slots of the schedule that we missed"),
    Metric(
        name="answerers",
        unit=Unit.COUNT,
        help="Who answered a broadcast or a group",
        get=lambda host: Fraction(len(host.answerers)) if host.answerers else None,
        missing="it is no broadcast and no group",
    ),
    Metric(
        name="kernel_rtt",
        unit=Unit.SECONDS,
        help="Round trip of the connection as the kernel has it",
        get=lambda host: _of_values(host, "kernel_rtt_ns", NANOSECONDS),
        missing=_NO_CONNECTION,
    ),
    Metric(
        name="retransmits",
        unit=Unit.COUNT,
        help="Segments that the kernel sent again",
        get=lambda host: _of_values(host, "retransmits"),
        missing=_NO_CONNECTION,
    ),
    Metric(
        name="offset",
        unit=Unit.SECONDS,
        help="Their clock minus ours: of what is possible, the nearest to 0",
        get=_offset,
        missing=_NO_CLOCK,
        is_signed=True,
        is_main=True,
    ),
    _bound("offset_low", "Their clock minus ours, at least"),
    _bound("offset_high", "Their clock minus ours, at most"),
    Metric(
        name="rate",
        unit=Unit.BITS_PER_SECOND,
        help="Throughput of the stream, or of the datagrams",
        get=lambda host: None if host.rate_bps is None else Fraction(host.rate_bps),
        missing="no throughput was measured",
        is_main=True,
    ),
    Metric(
        name="datagram_rate",
        unit=Unit.PER_SECOND,
        help="Datagrams that came from chargen, or went where no answer is due",
        get=lambda host: None if host.datagram_rate is None else Fraction(host.datagram_rate),
        missing="no two datagrams have flowed",
        is_main=True,
    ),
    _step("resolve", lambda timing: timing.resolve_ns, "Looking up the name", "none was looked up"),
    _step("connect", lambda timing: timing.connect_ns, "Connecting", _NO_CONNECTION),
    _step("tls", lambda timing: timing.tls_ns, "Agreeing on TLS", "there was no TLS"),
    _step(
        "first_byte",
        lambda timing: timing.first_byte_ns,
        "From the ready connection to the first byte of the answer",
        _NO_CONNECTION,
    ),
    _step("total", lambda timing: timing.total_ns, "The whole conversation", _NO_CONNECTION),
    Metric(
        name="certificate_days",
        unit=Unit.DAYS,
        help="Days until the server's certificate expires",
        get=lambda host: _of_values(host, "certificate_days"),
        missing="no certificate was seen",
        is_signed=True,
        is_main=True,
    ),
)


def _answered(summary: Summary) -> int:
    return sum(host.exit is Exit.ANSWERED for host in summary.hosts)


RUN_METRICS = (
    RunMetric(
        name="hosts_answered",
        unit=Unit.COUNT,
        help="Hosts that have answered",
        get=lambda summary: Fraction(_answered(summary)),
    ),
    RunMetric(
        name="hosts_silent",
        unit=Unit.COUNT,
        help="Hosts that have not answered",
        get=lambda summary: (
            None if summary.interrupted else Fraction(len(summary.hosts) - _answered(summary))
        ),
    ),
    RunMetric(
        name="elapsed",
        unit=Unit.SECONDS,
        help="How long the run took",
        get=lambda summary: _seconds(summary.elapsed_ns),
        is_main=False,
    ),
)

METRICS: dict[str, AnyMetric] = {metric.name: metric for metric in (*HOST_METRICS, *RUN_METRICS)}
"""All, by name."""


def names(hosts: Sequence[HostSummary]) -> list[str]:
    """What to call each host so that no two are called the same, in their order.

    A target alone; where it is there twice with its port, else its address, else a number.
    """
    told = [host.target for host in hosts]
    for form in (_with_port, _with_address):
        alike = Counter(told)
        told = [
            form(host) if alike[name] > 1 else name for host, name in zip(hosts, told, strict=True)
        ]
    return distinct(told)


def distinct(texts: Sequence[str], sign: str = " #") -> list[str]:
    """The texts, those with a number that stand there again."""
    told: dict[str, None] = {}
    for text in texts:
        name, number = text, 1
        while name in told:
            number += 1
            name = f"{text}{sign}{number}"
        told[name] = None
    return list(told)


def _with_port(host: HostSummary) -> str:
    return host_port(host.target, host.port) if host.port else host.target


def _with_address(host: HostSummary) -> str:
    return f"{_with_port(host)} ({host.address})" if host.address else _with_port(host)
