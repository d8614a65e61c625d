"""Events of runs: a few that are typical, and any that there can be."""

from __future__ import annotations

from io import BytesIO

from hypothesis import strategies as st

from sockd.client.errors import ClientError
from sockd.client.exits import Exit
from sockd.client.report import (
    Answerer,
    Counts,
    Error,
    HostSummary,
    IcmpErrors,
    Interval,
    Outcome,
    Probe,
    Spread,
    Stamp,
    Start,
    Summary,
    Timing,
    Value,
)

MS = 1_000_000
SPREAD = Spread(
    count=10,
    min_ns=1 * MS,
    mean_ns=120 * MS,
    max_ns=300 * MS,
    stddev_ns=50 * MS,
    percentiles={"p50": 100 * MS, "p90": 200 * MS},
)


def host(target: str = "example", **fields: object) -> HostSummary:
    """A host that has answered ten probes."""
    given: dict[str, object] = {
        "transport": "udp",
        "address": "192.0.2.1",
        "port": 7,
        "counts": Counts(sent=10, received=10, bytes_sent=640, bytes_received=640),
        "rtt": SPREAD,
        "jitter_ns": 3 * MS,
    }
    return HostSummary(target=target, **(given | fields))  # type: ignore[arg-type]


def silent(target: str = "nobody", **fields: object) -> HostSummary:
    """A host that has not answered in time."""
    given: dict[str, object] = {
        "counts": Counts(sent=1, lost=1),
        "rtt": None,
        "jitter_ns": None,
        "exit": Exit.TIMEOUT,
        "error": f"{target} does not answer within 3s",
    }
    return host(target, **(given | fields))


def summary(*hosts: HostSummary, **fields: object) -> Summary:
    """The end of a run that asked these."""
    given: dict[str, object] = {
        "command": "echo",
        "elapsed_ns": 1500 * MS,
        "exit": max((of.exit for of in hosts), default=Exit.TIMEOUT),
    }
    return Summary(hosts=hosts, **(given | fields))  # type: ignore[arg-type]


class ClosedPipe(BytesIO):
    """Nobody reads from it any more."""

    def write(self, _: object) -> int:
        """Nothing can be written."""
        raise BrokenPipeError


ANY_TEXT = st.text(
    st.one_of(
        st.characters(exclude_categories=()),
        st.integers(0xDC80, 0xDCFF).map(chr),
        st.sampled_from("|'\"=;\\\n\r\t\x00\x1b\x7f\x85\u2028\u202e%~@: "),
    ),
    max_size=20,
)
NS = st.integers(0, 10**19)
ANY_VALUE: st.SearchStrategy[Value] = st.one_of(st.integers(), st.floats(), st.booleans(), ANY_TEXT)
VALUES = st.builds(
    lambda free, offsets, days: {**free, **offsets, **days},
    st.dictionaries(ANY_TEXT.filter(lambda name: not name.endswith("_ns")), ANY_VALUE, max_size=2),
    st.dictionaries(
        st.sampled_from(["offset_low_ns", "offset_high_ns"]),
        st.integers(-(10**19), 10**19) | st.floats(),
    ),
    st.dictionaries(st.just("certificate_days"), st.integers(-(10**6), 10**6) | st.floats()),
)
COUNTS = st.builds(
    Counts,
    **{name: st.integers(0, 10**9) for name in ("sent", "received", "lost", "failed", "late")},
)
SPREADS = st.builds(
    Spread,
    count=st.integers(1),
    min_ns=NS,
    mean_ns=NS,
    max_ns=NS,
    stddev_ns=NS,
    percentiles=st.dictionaries(st.sampled_from(["p50", "p90", "p95", "p99", "p99.9"]), NS),
)
NAMES = st.sampled_from(["a", "b", "::1", "a'b", "a=b", "a b"]) | ANY_TEXT
PORTS = st.none() | st.integers(0, 65_535)
TIMINGS = st.builds(Timing, resolve_ns=st.none() | NS, connect_ns=st.none() | NS)
EXITS = st.sampled_from(Exit)
HOSTS = st.builds(
    HostSummary,
    target=NAMES,
    transport=ANY_TEXT,
    address=st.none() | ANY_TEXT,
    port=PORTS,
    counts=COUNTS,
    answerers=st.lists(
        st.builds(Answerer, address=ANY_TEXT, counts=COUNTS, rtt=st.none() | SPREADS), max_size=2
    ).map(tuple),
    rtt=st.none() | SPREADS,
    lateness=st.none() | SPREADS,
    histogram=st.lists(st.tuples(NS, NS, st.integers(0)), max_size=2).map(tuple),
    stamps=st.none() | st.sampled_from(Stamp),
    icmp=st.lists(
        st.builds(IcmpErrors, text=ANY_TEXT, sender=st.none() | ANY_TEXT, count=st.integers(1)),
        max_size=2,
    ).map(tuple),
    timing=st.none() | TIMINGS,
    rate_bps=st.none() | NS,
    datagram_rate=st.none() | st.floats(0, 1e12),
    values=VALUES,
    notes=st.lists(ANY_TEXT, max_size=2).map(tuple),
    exit=EXITS,
    error=st.none() | ANY_TEXT,
)
SUMMARIES = st.builds(
    Summary,
    command=ANY_TEXT,
    elapsed_ns=NS,
    hosts=st.lists(HOSTS, max_size=3).map(tuple),
    exit=EXITS,
    interrupted=st.booleans(),
    is_final=st.just(True),
)
EVENTS = st.one_of(
    st.builds(
        Start,
        command=ANY_TEXT,
        targets=st.lists(ANY_TEXT, max_size=2).map(tuple),
        at_ns=NS,
        options=VALUES,
    ),
    st.builds(
        Probe,
        target=ANY_TEXT,
        transport=ANY_TEXT,
        port=PORTS,
        outcome=st.sampled_from(Outcome),
        stamp=st.none() | st.sampled_from(Stamp),
        text=st.none() | ANY_TEXT,
        values=VALUES,
        timing=st.none() | TIMINGS,
        reason=st.none() | ANY_TEXT,
    ),
    st.builds(Interval, target=ANY_TEXT, from_ns=NS, to_ns=NS, counts=COUNTS, rtt=SPREADS),
    st.builds(
        Error,
        target=st.none() | ANY_TEXT,
        reason=st.sampled_from([of.reason for of in ClientError.__subclasses__()]),
        message=ANY_TEXT,
        exit=EXITS,
    ),
    SUMMARIES,
)
