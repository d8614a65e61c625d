"""Outcomes of probes, told one by one to whoever wants to know."""

from __future__ import annotations

from collections.abc import Callable

from attrs import asdict, evolve

from sockd.client.report import Counts, Outcome, Probe, Stamp
from sockd.formats.probe import SEQUENCES

Tell = Callable[[Probe], None]


class Outcomes:
    """Puts outcomes down as they become known, and tells them once all counts are right.

    Without somebody to tell them to nothing is made: an event costs more than all the counting.
    """

    __slots__ = ("_events", "_first", "_lateness", "_target", "_tell", "_transport")

    def __init__(self, tell: Tell | None, target: str, transport: str, first: int) -> None:
        self._tell = tell
        self._target = target
        self._transport = transport
        self._first = first
        self._events: list[Probe] = []
        self._lateness: dict[int, int] = {}
        """Of what is in flight."""

    def __bool__(self) -> bool:
        """Whether anybody wants to know."""
        return self._tell is not None

    def sent_late(self, n: int, late_ns: int) -> None:
        """How much later than due a probe was sent, to be told with its outcome."""
        if self._tell:
            self._lateness[n] = late_ns

    def add(
        self,
        outcome: Outcome,
        n: int | None = None,
        attempt: int = 1,
        rtt_ns: int | None = None,
        by_kernel: bool = False,
        *,
        size: int | None = None,
        reason: str | None = None,
        address: str | None = None,
    ) -> None:
        """Put down one; `n` is the probe's number, where it is known which one it is."""
        if not self._tell:
            return
        stamp = Stamp.KERNEL if by_kernel else Stamp.USER
        self._events.append(
            Probe(
                target=self._target,
                transport=self._transport,
                address=address,
                seq=0 if n is None else (self._first + n) % SEQUENCES,
                attempt=attempt,
                outcome=outcome,
                rtt_ns=rtt_ns,
                late_ns=None if n is None else self._lateness.pop(n, None),
                stamp=None if rtt_ns is None else stamp,
                size=size,
                reason=reason,
            )
        )

    def tell(self) -> None:
        """Tell what was put down."""
        if self._events and self._tell:
            events, self._events = self._events, []
            for event in events:
                self._tell(event)


def difference(counts: Counts, before: Counts) -> Counts:
    """What came to the counts since; `in_flight` is what it is now."""
    earlier = asdict(before)
    changes = {name: value - earlier[name] for name, value in asdict(counts).items()}
    return evolve(counts, **{**changes, "in_flight": counts.in_flight})


def stamps_of(received: int, by_kernel: int) -> Stamp | None:
    """Who said when answers came; None before there was one."""
    if not received:
        return None
    if not by_kernel:
        return Stamp.USER
    return Stamp.KERNEL if by_kernel >= received else Stamp.MIXED
