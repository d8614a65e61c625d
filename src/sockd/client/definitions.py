"""What the measures mean, once: `--explain` prints it, docs/clients.md says the same."""

from __future__ import annotations

ROUND_TRIP = "round trip"
THROUGHPUT = "throughput"
OFFSET = "clock offset"
UNDELIVERED = "undelivered"

OF_PROBES: dict[str, str] = {
    "sent": "Probes that were handed to the kernel or could not be; always received + lost + "
    "failed + in flight, where answers are due.",
    "received": "Probes that were answered within the wait of their own send.",
    "lost": "No answer came within the wait of the probe's own send. What is in flight, its wait "
    "not over, is neither lost nor received.",
    "loss": "Lost and failed ones as part of those whose fate is known: received, lost and failed.",
    "late": "An answer that came after its probe was counted as lost or failed, or after the wait "
    "of its try. The probe stays what it was counted as.",
    "duplicate": "A further answer to a probe that had one, in time or late (RFC 5560). It never "
    "raises received.",
    "corrupt": "An answer with this session's token which is not byte for byte what was sent, or "
    "bears a number that was not sent yet. Its probe goes on waiting.",
    "foreign": "What has another token or none: the answers of another session, or no answers.",
    "failed": "A probe that could not be sent, or for which an error of the network came back.",
    "reordered": "An answer in time whose number is smaller than the greatest that was answered "
    "before it (RFC 4737, type-P-reordered, of the round trip).",
    "round trip": "From just before the probe was handed to the kernel to the kernel's stamp of "
    "the answer; where there is none, or it does not fit both clocks, to when the client read it. "
    "Tries are told apart by their number, so it is always the answer's own try that is measured. "
    "Of a connection that is asked once: from when it was ready to the first byte.",
    "percentile": "By nearest rank: the smallest round trip that so many of 100 do not exceed. "
    "Given where at least one round trip lies above that rank: p50 from 2 on, p90 from 10, p99 "
    "from 100, p99.9 from 1,000. Exact to 1,000,000 round trips; beyond, of bins, within 1/256.",
    "stddev": "The standard deviation of the round trips that were measured (divided by their "
    "count).",
    "jitter": "RFC 3550's: J += (|D| - J) / 16, where D is the difference between a round trip "
    "and that of the answer before. Both ways and the server's time are in it.",
    "PDV p99": "RFC 5481's packet delay variation: the 99th percentile of round trips less the "
    "shortest one.",
    "lateness": "How much later than due a probe was sent: the instrument's own delay, which is "
    "in no round trip.",
    "missed slots": "Times at which a probe was due and none was sent, as the instrument was late "
    "by a whole interval. They are left out, not caught up.",
    "window": "A closed loop: a probe is sent when one before it was answered, lost or failed. A "
    "slow answer holds back probes that would have been slow as well, so round trips look better "
    "than those by a schedule.",
}
"""What is told of probes."""

DEFINITIONS = {
    **OF_PROBES,
    UNDELIVERED: (
        "Datagrams to which no answer is due, and which the network reports as not delivered. What "
        "became of the others is not known, so there is no loss."
    ),
    OFFSET: (
        "How far another clock is before or behind ours. RFC 868 gives whole seconds, so it is "
        "told as an interval: as wide as a second and the round trip."
    ),
    THROUGHPUT: (
        "Bits of the answer, or of what was sent, in a second, as the program saw them: without "
        "the headers of TCP and below (RFC 6349). Of datagrams: those after the first, by the "
        "time from the first to the last, as they came from chargen, or as the kernel took them "
        "where no answer is due: how many of these arrived is not known."
    ),
}
"""By name: a few sentences, with the RFC's number where one defines it."""

_OF_KINDS = {
    "beacon": (),
    "chargen": (THROUGHPUT,),
    "discard": (THROUGHPUT,),
    "time": (ROUND_TRIP, OFFSET),
}
"""Measures of kinds of service that have their own, where they are asked once."""
_OF_QUESTIONS = ("sent", "received", "lost", "loss", "failed", ROUND_TRIP, "percentile", "stddev")
"""Measures of a command that asks several times."""
_ONE_WAY = ("sent", UNDELIVERED, THROUGHPUT)
"""Measures of datagrams to which no answer is due."""


def measures(kind: str, *, is_repeated: bool, is_one_way: bool = False) -> tuple[str, ...]:
    """The names of what is told of a service of this kind, in order.

    `is_repeated` says that it is asked again and again, `is_one_way` that no answer is due. echo is
    measured, whatever it is asked.
    """
    if is_repeated and (is_one_way or kind == "discard"):
        return _ONE_WAY
    if is_one_way:
        return ()
    if kind == "echo":
        return tuple(OF_PROBES)
    own = _OF_KINDS.get(kind, (ROUND_TRIP,))
    return tuple(dict.fromkeys((*_OF_QUESTIONS, *own))) if is_repeated else own
