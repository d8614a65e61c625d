"""Events of runs that never were, for tests of outputs."""

from __future__ import annotations

from collections.abc import Sequence

from sockd.client.exits import Exit
from sockd.client.report import (
    Answerer,
    Counts,
    Error,
    HostSummary,
    IcmpErrors,
    Outcome,
    Probe,
    Spread,
    Stamp,
    Start,
    Summary,
    Timing,
)

US = 1_000
MS = 1_000_000
S = 1_000_000_000

SPREAD = Spread(
    count=998,
    min_ns=41_230,
    mean_ns=55_010,
    max_ns=1_204_000,
    stddev_ns=20_120,
    percentiles={"p50": 50_130, "p90": 63_400, "p99": 140_000, "p99.9": 1_204_000},
)
HISTOGRAM = (
    (40 * US, 44 * US, 12),
    (44 * US, 48 * US, 300),
    (48 * US, 52 * US, 480),
    (52 * US, 60 * US, 201),
    (120 * US, 160 * US, 4),
    (1_200 * US, 1_300 * US, 1),
)
TIMING = Timing(
    resolve_ns=310 * US,
    connect_ns=1_230 * US,
    tls_ns=None,
    first_byte_ns=12_300 * US,
    total_ns=14 * MS,
)
MEASURED = HostSummary(
    target="localhost",
    transport="udp",
    address="127.0.0.1",
    port=10007,
    counts=Counts(sent=1000, received=998, lost=1, failed=1, late=3, duplicates=2, reordered=1),
    rtt=SPREAD,
    histogram=HISTOGRAM,
    jitter_ns=3_100,
    pdv_p99_ns=98_770,
    lateness=Spread(
        count=1000, min_ns=0, mean_ns=20 * US, max_ns=1100 * US, stddev_ns=9_000, percentiles={}
    ),
    missed_slots=0,
    stamps=Stamp.KERNEL,
    stamps_discarded=2,
    own_losses=7,
    icmp=(IcmpErrors(text="host unreachable", sender="192.0.2.1", count=12),),
    timing=TIMING,
    values={"kernel_rtt_ns": 38_000, "retransmits": 0},
    notes=(
        "About one answer in ten is missing at a steady pace: the server may have a budget for "
        "one source, which looks like loss.",
    ),
)
FLOW = HostSummary(
    target="localhost",
    transport="tcp",
    address="127.0.0.1",
    port=10019,
    counts=Counts(sent=1, received=1, bytes_received=335_000_000),
    rate_bps=2_680_000_000,
    values={"took_ns": 1 * S},
)
ASKED = HostSummary(
    target="localhost",
    transport="udp",
    address="127.0.0.1",
    port=10019,
    counts=Counts(sent=1000, received=998, lost=2, bytes_sent=512_000, bytes_received=73_852),
    rate_bps=590_000,
    datagram_rate=997.4,
)
"""chargen by datagrams: less comes than was sent to ask for it."""
SENT = HostSummary(
    target="localhost",
    transport="udp",
    address="127.0.0.1",
    port=10009,
    counts=Counts(sent=1000, bytes_sent=64_000),
    rate_bps=51_200,
    datagram_rate=100.0,
    notes=("what has arrived is not known",),
)
"""discard by datagrams."""
BROADCAST = HostSummary(
    target="192.0.2.255",
    transport="udp",
    port=10007,
    counts=Counts(sent=10, received=10),
    answerers=(
        Answerer(address="192.0.2.1", counts=Counts(sent=10, received=10), rtt=SPREAD),
        Answerer(address="192.0.2.2\x1b[2J", counts=Counts(sent=10, received=9, lost=1)),
    ),
)
SILENT = HostSummary(
    target="2001:db8:1234:5678:9abc:def0:1234:5678",
    transport="udp",
    address="2001:db8:1234:5678:9abc:def0:1234:5678",
    port=10007,
    counts=Counts(sent=1000, lost=1000),
    exit=Exit.TIMEOUT,
    error="no answer in 3 s",
)


def start(*targets: str, command: str = "echo", **options: int | float | str | bool) -> Start:
    """The beginning of a run."""
    return Start(command=command, targets=targets or ("localhost",), at_ns=0, options=options)


def summary(
    hosts: Sequence[HostSummary] = (MEASURED,),
    *,
    command: str = "echo",
    interrupted: bool = False,
    is_final: bool = True,
) -> Summary:
    """The end of a run."""
    return Summary(
        command=command,
        elapsed_ns=12 * S,
        hosts=tuple(hosts),
        exit=Exit.ANSWERED,
        interrupted=interrupted,
        is_final=is_final,
    )


def probe(outcome: Outcome = Outcome.ANSWERED, *, target: str = "localhost", seq: int = 3) -> Probe:
    """What became of one probe."""
    return Probe(
        target=target,
        transport="udp",
        address="127.0.0.1",
        port=10007,
        seq=seq,
        outcome=outcome,
        rtt_ns=123_000 if outcome not in (Outcome.LOST, Outcome.FAILED) else None,
        stamp=Stamp.KERNEL if outcome not in (Outcome.LOST, Outcome.FAILED) else None,
        size=64 if outcome not in (Outcome.LOST, Outcome.FAILED) else None,
    )


def error(target: str | None = "localhost", message: str = "refused") -> Error:
    """Something that failed."""
    return Error(target=target, reason="unreachable", message=message, exit=Exit.UNREACHABLE)
