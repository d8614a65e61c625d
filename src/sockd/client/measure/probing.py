"""Measuring one host: probes go out by a schedule or a window, until all is known of them."""

from __future__ import annotations

from collections.abc import Callable

from attrs import define, field, frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd.client.errors import BadAnswer, ClientError, TimedOut, Unreachable
from sockd.client.exits import Exit
from sockd.client.measure.answerers import Answerers
from sockd.client.measure.budget import MOST_RUNS, NOTE, looks_like_budget
from sockd.client.measure.carriers import Carrier, Facts, Pieces
from sockd.client.measure.figures import measured
from sockd.client.measure.prober import Prober
from sockd.client.measure.schedule import Schedule, Window
from sockd.client.net.clocks import Clocks
from sockd.client.net.interfaces import named
from sockd.client.process import Run
from sockd.client.report import Answerer, Counts, HostSummary, Interval
from sockd.client.targets import Target
from sockd.formats.hostport import host_port
from sockd.reactor.mmsg import BATCH
from sockd.reactor.sockaddr import Address

REFUSED_NS = 10_000_000
"""Until the next try where the kernel takes nothing: its queue is empty by then."""
COARSE_NS = 2_000_000
"""By so much a reactor's timer may miss its time: it counts whole milliseconds."""

NO_ROOM = "not sent: too many probes wait for answers (a longer -i, or a shorter -W)"
"""Why a probe has failed that could not be watched."""


@frozen(kw_only=True)
class Plan:
    """How one host is measured."""

    count: int | None
    """Probes; None: until something ends it."""
    interval_ns: int
    window: int | None = None
    """Probes on their way at once, instead of one an interval."""


@define(eq=False)
class Probing:
    """One host that is measured."""

    run: Run
    target: Target
    carrier: Carrier
    make_prober: Callable[[bool], Prober | Answerers]
    """Told whether many may answer."""
    plan: Plan
    _prober: Prober | Answerers | None = None
    _clocks: Clocks = field()
    _schedule: Schedule | None = None
    _window: Window | None = None
    _sent: int = 0
    _over: Deferred[None] | None = None
    _timer: IDelayedCall | None = None
    _broken: ClientError | None = None
    _reason: str = ""
    """Why the network did not deliver the last that it did not."""
    _intervals: list[Counts] = field(factory=list)
    _strangers: int = 0
    """Datagrams from addresses that were not asked."""
    _stranger: Address | None = None
    """One of them."""

    @_clocks.default
    def _read_clocks(self) -> Clocks:
        return Clocks(self.run.monotonic_ns, self.run.wall_ns)

    @property
    def has_answered(self) -> bool:
        """Whether there was an answer in time."""
        return self._prober is not None and self._prober.counts.received > 0

    @property
    def prober(self) -> Prober | Answerers:
        """Who counts; before the way there is known it is one that nobody asks."""
        if self._prober is None:
            self._prober = self.make_prober(self.carrier.is_many)
        return self._prober

    @property
    def fault(self) -> ClientError | None:
        """Why there is no answer so far, where it is not silence."""
        found = self._broken or self._silence()
        return None if isinstance(found, TimedOut) else found

    async def go(self) -> None:
        """Measure until all probes are sent, and answered or lost."""
        try:
            await self.carrier.open(self)
            # whoever has looked before was shown one for a single host
            self._prober = self.make_prober(self.carrier.is_many)
            over: Deferred[None] = Deferred()
            self._over = over
            now_ns = self.run.monotonic_ns()
            if self.plan.window is None:
                self._schedule = Schedule(now_ns, self.plan.interval_ns)
            else:
                self._window = Window(self.plan.window)
            self._turn()
            await over
        finally:
            self._over = None
            if self._timer is not None and self._timer.active():
                self._timer.cancel()
            self.carrier.close()
        if not self.has_answered:
            raise self._broken or self._silence()

    # what comes

    def came(self, pieces: Pieces) -> None:
        """Answers, or what looks like some."""
        now_ns, offset_ns = self._clocks.read()
        asked = self.carrier.address
        prober = self.prober
        if isinstance(prober, Answerers):
            arrived = [(piece[0], piece[2], piece[1][0]) for piece in pieces]
            prober.received_many(arrived, now_ns, offset_ns)
        else:
            is_any = self.carrier.hears_anyone
            mine = [(piece[0], piece[2]) for piece in pieces if is_any or piece[1] == asked]
            prober.received_many(mine, now_ns, offset_ns)
            if others := len(pieces) - len(mine):
                self._strangers += others
                self._stranger = next(piece[1] for piece in pieces if piece[1] != asked)
                prober.strangers(others)
        if self._window is not None or self._is_all_sent:
            self._go_on(now_ns)

    def could_not(self, probe: bytes, reason: str) -> None:
        """A probe was not delivered."""
        prober = self.prober
        head = prober.form.head(probe)
        if head is not None and isinstance(prober, Prober):
            self._reason = reason
            prober.failed(head[0], reason)
        self._go_on(self.run.monotonic_ns())

    def broke(self, error: ClientError) -> None:
        """The connection is gone: what is on its way comes no more."""
        if self._over is None or self._over.called:
            return  # it was ours to end
        self._broken = error
        if isinstance(self.prober, Prober):
            self.prober.fail_all(str(error))
        self._end()

    # what goes

    @property
    def _is_all_sent(self) -> bool:
        return self.plan.count is not None and self._sent >= self.plan.count

    def _turn(self) -> None:
        """At a timer: see what is lost, and send what is due."""
        self._timer = None
        try:
            self._look()
        except Exception:
            if self._over is None or self._over.called:
                raise
            self._over.errback()  # the reactor would log it, and the run would wait for ever

    def _look(self) -> None:
        now_ns = self.run.monotonic_ns()
        # what came in time and waits in the socket's queue is not lost
        self.carrier.read_now()
        for seq in self.prober.expire(now_ns):
            self._send_again(seq)
        self._go_on(self.run.monotonic_ns())

    def _go_on(self, now_ns: int) -> None:
        """Send what may be sent, and end where all is known."""
        if self._over is None or self._over.called:
            return
        if self._window is not None:
            self._fill(self._window)
        elif self._schedule is not None and not self._is_all_sent:
            due_ns = self._schedule.take(now_ns)
            if due_ns is not None:
                self._send_one(due_ns)
        # of many, those that are slower than the first may answer to the end of the wait
        is_known = (
            self.prober.next_expiry_ns is None
            if self.carrier.is_many
            else not self.prober.in_flight
        )
        if self._is_all_sent and is_known:
            self._end()
        else:
            self._plan_turn()

    def _fill(self, window: Window) -> None:
        """Send until the window is full."""
        while not self._is_all_sent:
            # of many, what was answered is watched on, so there may be less room than in the window
            most = min(window.room(self.prober.in_flight), BATCH, self.prober.room)
            if self.plan.count is not None:
                most = min(most, self.plan.count - self._sent)
            if most <= 0:
                break
            sent = self.carrier.send(self.prober.payloads(most))
            self._sent += most
            if not sent.refused:
                self.prober.sent_many(most, sent.at_ns)
                continue
            for number in range(most):
                if number in sent.refused:
                    self.prober.unsent(self.carrier.refusal())
                else:
                    self.prober.sent(sent.at_ns)
            break  # the kernel takes no more now: at the next answer, or the next turn

    def _send_one(self, due_ns: int) -> None:
        self._sent += 1
        if not self.prober.room:
            self.prober.unsent(NO_ROOM)
            return
        sent = self.carrier.send(self.prober.payloads())
        if sent.refused:
            self.prober.unsent(self.carrier.refusal())
        else:
            self.prober.sent(sent.at_ns, due_ns)

    def _send_again(self, seq: int) -> None:
        prober = self.prober
        assert isinstance(prober, Prober)
        sent = self.carrier.send([prober.next_try(seq)])
        if sent.refused:
            prober.failed(seq, self.carrier.refusal())
        else:
            prober.sent_again(seq, sent.at_ns)

    def _plan_turn(self) -> None:
        """Have the next turn when something is due."""
        now_ns = self.run.monotonic_ns()
        times = [self.prober.next_expiry_ns]
        if self._schedule is not None and not self._is_all_sent:
            # timers count whole milliseconds: the rest of the way is waited turn by turn
            times.append(max(now_ns, self._schedule.due_ns - COARSE_NS))
        elif self._window is not None and not self.prober.in_flight:
            times.append(now_ns + REFUSED_NS)
        known = [at_ns for at_ns in times if at_ns is not None]
        if not known:
            return
        delay = max(0.0, (min(known) - now_ns) / 1e9)
        timer = self._timer
        if timer is None or not timer.active():
            self._timer = self.run.reactor.callLater(delay, self._turn)
        elif timer.getTime() - self.run.reactor.seconds() > delay:
            timer.reset(delay)

    def _end(self) -> None:
        if self._over is not None and not self._over.called:
            self._over.callback(None)

    # what is known

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What has happened since the last call."""
        counts, rtt = self.prober.interval()
        if len(self._intervals) < MOST_RUNS:
            self._intervals.append(counts)
        return Interval(
            target=self.target.name, from_ns=from_ns, to_ns=to_ns, counts=counts, rtt=rtt
        )

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known so far."""
        facts = self.carrier.facts()
        about = HostSummary(
            target=self.target.name,
            transport=self.target.transport,
            address=facts.address and named(facts.address),
            port=self.target.port or None,
            answerers=_answerers(self.prober),
            missed_slots=self._schedule.missed if self._schedule is not None else None,
            window=self.plan.window,
            own_losses=facts.own_losses,
            icmp=facts.icmp,
            timing=facts.timing,
            values=facts.values,
            notes=self._notes(facts),
            exit=self._exit(error),
            error=None if error is None else str(error),
        )
        return measured(self.prober, about)

    def _notes(self, facts: Facts) -> tuple[str, ...]:
        counts = self.prober.counts
        notes = []
        if self.plan.window is not None:
            notes.append(
                f"closed loop: {self.plan.window} probes at most were on their way; a slow answer "
                "held back the next ones, so round trips look better than by a schedule"
            )
        if facts.own_losses:
            notes.append(
                f"{facts.own_losses} datagrams found the receive queue of this client full: "
                "answers among them count as lost, but the network is not to blame"
            )
        if discarded := self.prober.stamps_discarded:
            notes.append(
                f"{discarded} stamps of the kernel did not fit both clocks, as where the wall "
                "clock is set: of these answers the time counts at which this client read them"
            )
        if looks_like_budget(self._intervals):
            notes.append(NOTE)
        if counts.corrupt:
            notes.append("corrupt answers are lost ones: what came was not what was sent")
        return tuple(notes)

    def _exit(self, error: ClientError | None) -> Exit:
        if self.has_answered:
            return Exit.ANSWERED
        silence = self._silence()
        if isinstance(silence, BadAnswer):
            return silence.exit  # whatever has ended it
        return (error or self._broken or silence).exit

    def _silence(self) -> ClientError:
        """Why there was no answer in time."""
        counts = self.prober.counts
        # what strangers send is no answer of who was asked
        if wrong := counts.corrupt + counts.foreign - self._strangers:
            return BadAnswer(f"{self.target} sent {wrong} answers, none of which is what was sent")
        # routers say it so often only: of most that were lost for the same reason they say nothing
        if self._reason or (counts.failed and not counts.lost):
            reason = self._reason or self.carrier.refusal() or "nothing could be sent"
            return Unreachable(f"nobody answers at {self.target}: {reason}")
        said = f"no answer from {self.target} within {self.run.asking.wait:g} s: {counts.sent} sent"
        if counts.late:
            said += f", {counts.late} answered later"
        if self._stranger is not None:
            said += f", but {host_port(*self._stranger)} sent something, which was not asked"
        return TimedOut(said)


def _answerers(prober: Prober | Answerers) -> tuple[Answerer, ...]:
    """Who answered, of many."""
    if not isinstance(prober, Answerers):
        return ()
    return tuple(
        Answerer(
            address=named(address),
            counts=prober.counts_of(address),
            rtt=one.rtt.spread(),
            jitter_ns=one.jitter.ns,
        )
        for address, one in prober.by_address.items()
    )
