"""The line that tells how it stands while a run goes on."""

from __future__ import annotations

from collections.abc import Callable

from attrs import asdict, define, field

from sockd.client.outputs.figures import amount, duration, frequency, percent, rate
from sockd.client.outputs.screen import Screen
from sockd.client.outputs.summary import comes_back
from sockd.client.report import Counts, Error, Event, Interval, Outcome, Probe, Spread, Start
from sockd.formats.text import readable

REDRAW_NS = 250_000_000
"""Four times a second: more often nobody reads, and it would disturb what is measured."""

ASKS_FOR_MORE = frozenset({"chargen"})
"""Commands to which datagrams flow."""


def _speed(count: int, size: int, elapsed_ns: int) -> list[str]:
    """Of datagrams that flow; nothing where no time has passed."""
    if not elapsed_ns:
        return []
    return [frequency(count * 1e9 / elapsed_ns), rate(size * 8 * 10**9 // elapsed_ns)]


def added(one: Counts, other: Counts) -> Counts:
    """Both together."""
    more = asdict(other)
    return Counts(**{name: value + more[name] for name, value in asdict(one).items()})


@define(eq=False)
class Live:
    """Counters of a run as one line, drawn at most four times a second."""

    screen: Screen
    now_ns: Callable[[], int]
    is_blocked: Callable[[], bool] = lambda: False
    """Whether a line of an answer stands open where it would be drawn."""
    _command: str = ""
    _names: tuple[str, ...] = ()
    _began_ns: int = 0
    _drawn_ns: int | None = None
    _counts: Counts = field(factory=Counts)
    _rtt: Spread | None = None
    _answered: set[str] = field(factory=set)
    _failed: set[str] = field(factory=set)

    def __call__(self, event: Event) -> None:
        """Something has happened."""
        if isinstance(event, Start):
            self._command, self._names = event.command, event.targets
            self._began_ns = self.now_ns()
        elif isinstance(event, Interval):
            self._counts = added(self._counts, event.counts)
            self._rtt = event.rtt or self._rtt
            if event.counts.received or event.counts.bytes_received:
                self._answered.add(event.target)
        elif isinstance(event, Probe) and event.outcome is Outcome.ANSWERED:
            self._answered.add(event.target)
        elif isinstance(event, Error) and event.target is not None:
            self._failed.add(event.target)
        self._draw()

    def _draw(self) -> None:
        now_ns = self.now_ns()
        is_early = self._drawn_ns is not None and now_ns - self._drawn_ns < REDRAW_NS
        if is_early or self.is_blocked() or not (line := self.line(now_ns)):
            return
        self._drawn_ns = now_ns
        self.screen.live(line)

    def line(self, now_ns: int) -> str:
        """How it stands; empty where there is nothing to tell."""
        counts = self._counts
        is_one = len(self._names) == 1
        size = max(counts.bytes_sent, counts.bytes_received)
        if not counts.sent and not size:
            return "" if is_one else self._progress()
        name = readable(self._names[0]) if is_one else self._progress()
        if counts.sent and not (is_one or comes_back(counts)):
            name = f"{len(self._names)} hosts"  # none of which answers
        elapsed_ns = max(0, now_ns - self._began_ns)
        head = f"{name}: {elapsed_ns / 1e9:.0f} s"
        if not counts.sent:  # a flow, which has no probes
            speed = f", {rate(size * 8 * 10**9 // elapsed_ns)}" if elapsed_ns else ""
            return f"{head}, {amount(size)}{speed}"
        parts = [head, f"{counts.sent} sent"]
        if not comes_back(counts):
            parts += _speed(counts.sent, counts.bytes_sent, elapsed_ns)
            if counts.undelivered:
                parts.append(f"{counts.undelivered} undelivered")
        else:
            if self._command in ASKS_FOR_MORE:
                parts += _speed(counts.received, counts.bytes_received, elapsed_ns)
            else:
                parts.append(f"{counts.received} received")
            parts.append(f"{percent(counts.loss)} loss")
        if self._rtt is not None:
            parts.append(f"round trip {duration(self._rtt.mean_ns, self.screen.signs)}")
        return ", ".join(parts)

    def _progress(self) -> str:
        if not self._names:
            return ""
        failed = len(self._failed - self._answered)
        text = f"{len(self._answered)} of {len(self._names)} hosts have answered"
        return f"{text}, {failed} failed" if failed else text
