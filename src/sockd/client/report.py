"""What happens in a run, as values: each way to tell of it (`outputs`) is fed these, in order.

A run is one `Start`, then `Data`, `Probe`, `Interval` and `Error` as they come, and at the end one
`Summary`, whatever ended it. Times are nanoseconds; `None` is "not known" or "does not apply".
Texts are as the network gave them: whoever shows them escapes them.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from attrs import field, frozen

from sockd.client.exits import Exit

SCHEMA = 1
"""The version of the JSON that is made of these. Fields may come; none changes its meaning."""

Value = int | float | str | bool
"""What stands beside an answer: a number or a text with a name."""


class Outcome(StrEnum):
    """What became of one probe, or what a datagram turned out to be."""

    ANSWERED = "answered"
    LOST = "lost"
    """No answer within the wait of its own send."""
    LATE = "late"
    """Its answer came after it had been counted as lost."""
    DUPLICATE = "duplicate"
    """Another answer to a probe that had one."""
    CORRUPT = "corrupt"
    """Ours by its token, but not what was sent."""
    FOREIGN = "foreign"
    """Nothing that this run has sent."""
    FAILED = "failed"
    """It could not be sent, or an error came back instead of an answer."""


class Stamp(StrEnum):
    """Who said when an answer came."""

    KERNEL = "kernel"
    USER = "user"
    MIXED = "mixed"


@frozen(kw_only=True)
class Start:
    """What is about to be asked, of whom."""

    command: str
    targets: tuple[str, ...]
    at_ns: int
    """Since 1970, by the wall clock."""
    options: Mapping[str, Value] = field(factory=dict)
    """Those that were given, by their long names."""


@frozen(kw_only=True)
class Timing:
    """How long each step took; one that was not taken is None. Datagrams have the first alone."""

    resolve_ns: int | None = None
    connect_ns: int | None = None
    tls_ns: int | None = None
    first_byte_ns: int | None = None
    """From the moment that the connection was ready to the first byte of the answer."""
    total_ns: int | None = None


@frozen(kw_only=True)
class Probe:
    """One question and what became of it."""

    target: str
    """As the user named it; with `--all-addresses` the name, and the address in brackets."""
    transport: str
    address: str | None = None
    """Who was asked, or who answered."""
    port: int | None = None
    seq: int = 0
    attempt: int = 1
    outcome: Outcome
    rtt_ns: int | None = None
    late_ns: int | None = None
    """How much later than planned it was sent: the instrument's own delay."""
    stamp: Stamp | None = None
    size: int | None = None
    """Bytes of the answer."""
    text: str | None = None
    """The answer, where it is a text for a reader; bytes that are no UTF-8 as surrogates."""
    values: Mapping[str, Value] = field(factory=dict)
    """What the answer says, by name; durations end in `_ns`."""
    timing: Timing | None = None
    reason: str | None = None
    """Why there was no answer, in a sentence."""


@frozen(kw_only=True)
class Spread:
    """How a duration is spread over `count` samples."""

    count: int
    min_ns: int
    mean_ns: int
    max_ns: int
    stddev_ns: int
    percentiles: Mapping[str, int]
    """By name, as `p50` and `p99.9`; by nearest rank, and none that `count` does not support."""


@frozen(kw_only=True)
class Counts:
    """What became of the probes to one host; `received` are those that were answered in time."""

    sent: int = 0
    received: int = 0
    lost: int = 0
    in_flight: int = 0
    """Not answered, and their wait is not over."""
    late: int = 0
    duplicates: int = 0
    corrupt: int = 0
    foreign: int = 0
    reordered: int = 0
    failed: int = 0
    undelivered: int = 0
    """Of what no answer is due to: all that is known of its fate."""
    bytes_sent: int = 0
    bytes_received: int = 0

    @property
    def loss(self) -> float | None:
        """The part that was lost of those whose fate is known; None where none is.

        Where nothing was sent, what was received are no answers, of which some may lack.
        """
        gone = self.lost + self.failed
        known = self.received + gone
        return gone / known if known and (self.sent or gone) else None


@frozen(kw_only=True)
class Interval:
    """What happened in one second or so of a run, to one host."""

    target: str
    from_ns: int
    """Since the start of the run."""
    to_ns: int
    counts: Counts
    """In this interval alone."""
    rtt: Spread | None = None


@frozen(kw_only=True)
class IcmpErrors:
    """Errors of the network of one kind, from one sender."""

    text: str
    sender: str | None
    """Who sent it: a router on the way, the host itself, or our own kernel (None)."""
    count: int


@frozen(kw_only=True)
class Answerer:
    """One of those that answered probes to a broadcast or a group."""

    address: str
    counts: Counts
    """A probe is lost here that this address did not answer in time."""
    rtt: Spread | None = None
    jitter_ns: int | None = None


@frozen(kw_only=True)
class HostSummary:
    """All that is known of one host at the end."""

    target: str
    """As in its probes."""
    name: str | None = None
    """Of one of the addresses of a name (`--all-addresses`): the name."""
    transport: str
    address: str | None = None
    port: int | None = None
    counts: Counts = Counts()
    """Of a broadcast or a group, a probe is received that anybody answered in time."""
    answerers: tuple[Answerer, ...] = ()
    """Of a broadcast or a group: who answered."""
    rtt: Spread | None = None
    histogram: tuple[tuple[int, int, int], ...] = ()
    """Bins of round trips: from (ns), to before (ns), how many."""
    jitter_ns: int | None = None
    """RFC 3550's, of round trips."""
    pdv_p99_ns: int | None = None
    """RFC 5481: how much longer than the shortest round trip 99 of 100 took at most."""
    lateness: Spread | None = None
    """How much later than planned probes were sent: the instrument's own delay."""
    missed_slots: int | None = None
    """Of the schedule: nothing was sent, as the instrument was late by more than an interval."""
    window: int | None = None
    """Probes on their way at once, in a closed loop; None where they were sent by a schedule."""
    stamps: Stamp | None = None
    stamps_discarded: int = 0
    """Stamps of the kernel that did not fit both clocks: the wall clock was set meanwhile."""
    own_losses: int = 0
    """Datagrams that found the client's own receive queue full: no fault of the network."""
    icmp: tuple[IcmpErrors, ...] = ()
    timing: Timing | None = None
    """Of the last connection; of datagrams, which need none, what came before the first."""
    rate_bps: int | None = None
    """Bits a second of what flows: of a stream that comes or goes, or of datagrams."""
    datagram_rate: float | None = None
    """Datagrams a second, where it is datagrams that flow."""
    values: Mapping[str, Value] = field(factory=dict)
    """What else is known, by name; durations end in `_ns`."""
    notes: tuple[str, ...] = ()
    """What a reader should know to judge the figures, a sentence each."""
    exit: Exit = Exit.ANSWERED
    error: str | None = None
    """Why it was not answered, in a sentence."""


@frozen(kw_only=True)
class Summary:
    """The end of a run, whatever ended it."""

    command: str
    elapsed_ns: int
    hosts: tuple[HostSummary, ...]
    exit: Exit
    interrupted: bool = False
    is_final: bool = True
    """False for a summary that was asked for on the way (SIGQUIT)."""


@frozen(kw_only=True)
class Error:
    """Something that failed, of one host or of the run."""

    target: str | None
    reason: str
    """A stable name for programs (`errors.ClientError.reason`)."""
    message: str
    exit: Exit


@frozen(kw_only=True)
class Data:
    """Bytes of an answer, as they come. They are no lines and no characters yet."""

    target: str
    data: bytes


Event = Start | Data | Probe | Interval | Error | Summary
