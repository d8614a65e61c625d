"""What the measures mean, once: `--explain` prints it, docs/clients.md says the same."""

from __future__ import annotations

ROUND_TRIP = "round trip"
THROUGHPUT = "throughput"
OFFSET = "clock offset"

DEFINITIONS = {
    ROUND_TRIP: (
        "The time from just before a probe is handed to the kernel to the moment its answer comes, "
        "by the kernel's stamp where it gives one (RFC 2681)."
    ),
    "loss": (
        "A probe is lost when no answer has come within --wait of its own send (RFC 6673). The "
        "loss is lost and failed probes over all whose fate is known: what is in flight is not "
        "counted."
    ),
    "late": (
        "An answer is late when it comes after its probe was counted as lost. The probe stays lost."
    ),
    "duplicate": (
        "A duplicate is another answer to a probe that has one (RFC 5560). It never raises the "
        "number received."
    ),
    "reordered": (
        "An answer is reordered when one to a later probe came before it (RFC 4737). This is of "
        "the round trip: which way changed the order is not known."
    ),
    "jitter": (
        "How much the round trip changes from one answer to the next, smoothed: each change moves "
        "the figure by a sixteenth of the difference (RFC 3550)."
    ),
    "PDV": (
        "How much longer a round trip is than the shortest of the run (RFC 5481). PDV p99 is what "
        "99 of 100 answers do not exceed."
    ),
    "percentile": (
        "p99 is the shortest of the round trips that 99 of 100 do not exceed: nearest rank, no "
        "interpolation (RFC 2330). None is told that the number of answers does not support."
    ),
    OFFSET: (
        "How far another clock is before or behind ours. RFC 868 gives whole seconds, so it is "
        "told as an interval: as wide as a second and the round trip."
    ),
    THROUGHPUT: (
        "Bits of the answer, or of what was sent, in a second, as the program saw them: without "
        "the headers of TCP and below (RFC 6349)."
    ),
}
"""By name: one or two sentences, with the RFC's number where one defines it."""

_OF_KINDS = {
    "chargen": (THROUGHPUT,),
    "discard": (THROUGHPUT,),
    "time": (ROUND_TRIP, OFFSET),
}
"""Measures of kinds of service that have their own, where they are asked once."""
_OF_PROBES = tuple(name for name in DEFINITIONS if name not in (THROUGHPUT, OFFSET))


def measures(kind: str, *, is_measured: bool) -> tuple[str, ...]:
    """The names of what is told of a service of this kind, in order.

    `is_measured` says that it is asked again and again.
    """
    own = _OF_KINDS.get(kind, (ROUND_TRIP,))
    return tuple(dict.fromkeys((*_OF_PROBES, *own))) if is_measured else own
