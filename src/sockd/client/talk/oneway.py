"""Datagrams that nobody answers: sent by a schedule, and what the network says of them."""

from __future__ import annotations

from attrs import define, field

from sockd.client.errors import BadAnswer, ClientError, TimedOut
from sockd.client.exits import Exit
from sockd.client.measure.pace import Pace
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.icmp import NetworkError, NotDelivered
from sockd.client.process import Run
from sockd.client.reach import reach
from sockd.client.report import Counts, HostSummary, IcmpErrors, Interval
from sockd.client.targets import Target
from sockd.client.waiting import sleep

INTERVAL = 0.1
"""Seconds between two datagrams if nothing else is said: as for all that is sent over UDP."""
MOST_BEHIND = 1.0
"""Seconds of its schedule that are made up for: a run that was stopped for an hour, and goes on,
does not send all of that at once."""
GRACE = 1.0
"""Seconds after the last datagram for what the network reports: a way there and back, at most."""


@define(eq=False)
class OneWayHost:
    """One host that datagrams are sent to."""

    run: Run
    target: Target
    data: bytes
    """In each of them."""
    every: float = INTERVAL
    """Seconds between two, if nothing else is said."""
    listens: bool = True
    """Whether there is a time in which the network may report, and nobody may answer."""
    _sent: int = 0
    _pace: Pace = field(factory=Pace)
    _undelivered: int = 0
    _failed: ClientError | None = None
    _told: Counts = field(factory=Counts)
    _datagrams: Datagrams | None = None
    _icmp: tuple[IcmpErrors, ...] = ()

    @property
    def has_answered(self) -> bool:
        """Whether something was sent and nothing was reported: no more can be known."""
        return self._sent > 0 and not self._undelivered

    @property
    def fault(self) -> ClientError | None:
        """The last that the network has reported."""
        return self._failed

    async def go(self) -> None:
        """Send all. Raises Unreachable where the network reports that it does not arrive."""
        run, asking = self.run, self.run.asking
        datagrams = self._datagrams = await reach(run, self.target)
        datagrams.on_error = self._reported
        every = self.every if asking.interval is None else asking.interval
        due = run.monotonic_ns() / 1e9
        try:
            for _ in asking.turns():
                await sleep(run.reactor, due - run.monotonic_ns() / 1e9)
                due = max(due, run.monotonic_ns() / 1e9 - MOST_BEHIND) + every
                self._pace.add(len(self.data), datagrams.send(self.data))
                self._sent += 1
            await self._listen(datagrams)
        finally:
            self._icmp = datagrams.icmp()
            datagrams.close()

    async def _listen(self, datagrams: Datagrams) -> None:
        """For what the network reports, and for an answer, which there must not be."""
        datagrams.read_now()  # what is known already, for which nobody has to wait
        try:
            came = await datagrams.receive(min(GRACE, self.run.asking.wait) * self.listens)
        except TimedOut:
            return
        if not self.listens:
            return
        raise BadAnswer(
            f"{self.target} answered with {len(came.data)} bytes: a service that discards is silent"
        )

    def _reported(self, error: NetworkError) -> None:
        if error.means_undelivered:
            self._undelivered += 1
            self._failed = NotDelivered(f"{self.target}: {error}", error)

    def _counts(self) -> Counts:
        return Counts(
            sent=self._sent,
            failed=min(self._undelivered, self._sent),
            bytes_sent=self._sent * len(self.data),
        )

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What was sent since the last call."""
        now, before = self._counts(), self._told
        self._told = now
        return Interval(
            target=self.target.name,
            from_ns=from_ns,
            to_ns=to_ns,
            counts=Counts(
                sent=now.sent - before.sent,
                failed=now.failed - before.failed,
                bytes_sent=now.bytes_sent - before.bytes_sent,
            ),
        )

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of it so far."""
        datagrams, why = self._datagrams, error or self._failed
        return HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            address=datagrams.address[0] if datagrams else None,
            port=self.target.port or None,
            counts=self._counts(),
            icmp=self._icmp or (datagrams.icmp() if datagrams else ()),
            timing=datagrams.steps if datagrams else None,
            rate_bps=self._pace.bps,
            datagram_rate=self._pace.datagrams,
            notes=("nothing comes back: this is what was sent, what has arrived is not known",)
            * self.listens,
            exit=why.exit if why else Exit.ANSWERED if self._sent else Exit.TIMEOUT,
            error=None if why is None else str(why),
        )
