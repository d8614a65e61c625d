"""What the measures mean, once: `--explain` prints it, docs/clients.md says the same."""

from __future__ import annotations

from sockd.client.measure.definitions import DEFINITIONS as OF_PROBES

ROUND_TRIP = "round trip"
THROUGHPUT = "throughput"
OFFSET = "clock offset"

DEFINITIONS = {
    **OF_PROBES,
    OFFSET: (
        "How far another clock is before or behind ours. RFC 868 gives whole seconds, so it is "
        "told as an interval: as wide as a second and the round trip."
    ),
    THROUGHPUT: (
        "Bits of the answer, or of what was sent, in a second, as the program saw them: without "
        "the headers of TCP and below (RFC 6349)."
    ),
}
"""By name: a few sentences, with the RFC's number where one defines it."""

_OF_KINDS = {
    "chargen": (THROUGHPUT,),
    "discard": (THROUGHPUT,),
    "time": (ROUND_TRIP, OFFSET),
}
"""Measures of kinds of service that have their own, where they are asked once."""
_OF_QUESTIONS = ("sent", "received", "lost", "loss", "failed", ROUND_TRIP, "percentile", "stddev")
"""Measures of a command that asks several times."""


def measures(kind: str, *, is_repeated: bool) -> tuple[str, ...]:
    """The names of what is told of a service of this kind, in order.

    `is_repeated` says that it is asked again and again. echo is measured, whatever it is asked.
    """
    if kind == "echo":
        return tuple(OF_PROBES)
    own = _OF_KINDS.get(kind, (ROUND_TRIP,))
    return tuple(dict.fromkeys((*_OF_QUESTIONS, *own))) if is_repeated else own
