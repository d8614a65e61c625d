"""Datagrams that nobody answers: sent by a schedule, and what the network says of them."""

from __future__ import annotations

from contextlib import suppress

from attrs import define, field

from sockd.client.errors import BadAnswer, ClientError, TimedOut
from sockd.client.exits import Exit
from sockd.client.measure.pace import Pace
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.icmp import NetworkError, NotDelivered
from sockd.client.process import Run
from sockd.client.reach import reach
from sockd.client.report import Counts, HostSummary, Interval
from sockd.client.targets import Target
from sockd.client.waiting import beside, sleep

INTERVAL = 0.1
"""Seconds between two datagrams if nothing else is said: as for all that is sent over UDP."""
MOST_BEHIND = 1.0
"""Seconds of its schedule that are made up for: a run that was stopped for an hour, and goes on,
does not send all of that at once."""
GRACE = 1.0
"""Seconds after the last datagram for what the network reports: a way there and back, at most."""
HOLDS = 2.0
"""Seconds of sending for which a report holds: of a host that takes nothing there may be one a
second and no more (Linux), so a longer silence means that it takes what is sent by now."""
NOTE = "nothing comes back: this is what was sent, what has arrived is not known"


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
    _sent_ns: int = 0
    """When the last one was."""
    _pace: Pace = field(factory=Pace)
    _undelivered: int = 0
    _reported_ns: int = 0
    """When the network has reported the last time."""
    _failed: ClientError | None = None
    """What it has reported then."""
    _told: Counts = field(factory=Counts)
    _datagrams: Datagrams | None = None

    @property
    def has_answered(self) -> bool:
        """Whether something was sent and there is no fault: no more can be known."""
        return self._sent > 0 and self.fault is None

    @property
    def fault(self) -> ClientError | None:
        """The last that the network has reported by now, where that is of most or of the last."""
        if self._datagrams is not None:
            self._datagrams.read_errors()
        is_last = self._reported_ns > self._sent_ns - HOLDS * 1e9
        return self._failed if is_last or self._undelivered * 2 >= self._sent else None

    async def go(self) -> None:
        """Send all. Raises Unreachable where the network reports that it does not arrive."""
        datagrams = self._datagrams = await reach(self.run, self.target)
        datagrams.on_error = self._reported
        try:
            if self.listens:
                await beside(self._send(datagrams), self._listen(datagrams))
                datagrams.read_now()  # this process may have stood still meanwhile
                await self._hear(datagrams, 0.0)
            else:
                await self._send(datagrams)
            if (fault := self.fault) is not None:
                raise fault
        finally:
            datagrams.close()

    async def _send(self, datagrams: Datagrams) -> None:
        """Each in its turn, and then the time for what is said of the last."""
        run, asking = self.run, self.run.asking
        every = self.every if asking.interval is None else asking.interval
        due = run.monotonic_ns() / 1e9
        for _ in asking.turns():
            await sleep(run.reactor, due - run.monotonic_ns() / 1e9)
            due = max(due, run.monotonic_ns() / 1e9 - MOST_BEHIND) + every
            self._pace.add(len(self.data), datagrams.send(self.data))
            self._sent, self._sent_ns = self._sent + 1, run.monotonic_ns()
        if self.listens:
            await sleep(run.reactor, min(GRACE, asking.wait))

    async def _listen(self, datagrams: Datagrams) -> None:
        """Hear to the end."""
        while True:
            await self._hear(datagrams, GRACE)

    async def _hear(self, datagrams: Datagrams, seconds: float) -> None:
        """What comes next. Raises BadAnswer where that is an answer, which there must not be."""
        with suppress(TimedOut, NotDelivered):  # of that `_reported` is told
            came = await datagrams.receive(seconds)
            raise BadAnswer(
                f"{datagrams.opened.name} answered with {len(came.data)} bytes: "
                "a service that discards is silent"
            )

    def _reported(self, error: NetworkError) -> None:
        if error.means_undelivered and self._datagrams is not None:
            self._undelivered += 1
            self._reported_ns = self.run.monotonic_ns()
            self._failed = NotDelivered(f"{self._datagrams.opened.name}: {error}", error)

    def _counts(self) -> Counts:
        return Counts(
            sent=self._sent,
            undelivered=min(self._undelivered, self._sent),
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
                undelivered=now.undelivered - before.undelivered,
                bytes_sent=now.bytes_sent - before.bytes_sent,
            ),
        )

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of it so far."""
        datagrams, why = self._datagrams, error or self.fault
        has_note = self.listens and self._sent > 0 and why is None
        return HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            address=datagrams.address[0] if datagrams else None,
            port=self.target.port or None,
            counts=self._counts(),
            icmp=datagrams.icmp() if datagrams else (),
            timing=datagrams.steps if datagrams else None,
            rate_bps=self._pace.bps,
            datagram_rate=self._pace.datagrams,
            notes=(NOTE,) * has_note,
            exit=why.exit if why else Exit.ANSWERED if self._sent else Exit.TIMEOUT,
            error=None if why is None else str(why),
        )
