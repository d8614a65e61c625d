"""The daemon's log: which events become lines, and when the lines are written."""

from __future__ import annotations

import atexit
import re
import signal
from collections import Counter
from collections.abc import Callable
from functools import partial
from threading import get_ident
from time import monotonic, time
from typing import Any

from attrs import Factory, define, field
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from zope.interface import implementer

from sockd import events
from sockd.access.reasons import because
from sockd.events import Composed, Peer
from sockd.ops.log_drain import Drain
from sockd.ops.log_file import LogFile, Sink
from sockd.ops.log_lines import Format, Waiting, failure_of, is_ours
from sockd.ops.log_rates import TRACEBACK_LINES, Rates

FLUSH_SECONDS = 0.01
"""How long a line may wait for others to be written with: a write for each would cost as much as
the connection that it tells of."""
LINES_COLLECTED = 500
"""Lines that wait at most: some 64 kB, so that memory does not grow with the log."""
SUPPRESSED_SECONDS = 1.0
"""Between two reports of lines that were too many."""
DESCRIPTORS_SECONDS = 1.0
"""Least time between two lines that say that descriptors have run out: each refused connection
would be one otherwise."""

_INFO = LogLevel.info
_NOISE = re.compile(
    # what our own events say better: Twisted's ports, beginning and ending
    r"(Connection|Control)Factory starting on |\((TCP|UNIX) Port .* Closed\)$|\(Port .* Closed\)$"
    # a cache of plugins beside the plugins is not missed where it may not be written
    r"|Unable to write to plugin cache "
)
_DESCRIPTORS = re.compile(
    r"EMFILE |Re-reserving EMFILE |Could not accept new connection \((EMFILE|ENFILE)\)"
)


_IN_TABLE = ("control", "listening", "started")
"""What the table above the log shows, or need not."""

_NOTHING: tuple[Any, tuple[()]] = (None, ())


@implementer(ILogObserver)
@define(eq=False)
class LogWriter:
    """Writes events to a file. Behind a `Drain` no file, however it fails, stops the daemon.

    Each line is written at once, until a reactor runs (`collect`): then lines wait for each other,
    but none waits behind one that somebody should look at.
    """

    file: Sink
    format: Format
    is_below_a_table: bool = False
    """True where a table has told what runs and where it listens."""
    rates: Rates = Factory(Rates)
    """How many lines are written; `unwritten` in it has those that wait to be reported."""
    clock: Callable[[], float] = monotonic
    """Seconds that nobody sets, for the rates."""
    lines_suppressed: int = 0
    """All lines that were too many."""
    _least: LogLevel = LogLevel.debug
    _is_quiet: bool = False
    """Whether connections are not told: they are below the least level."""
    _is_report_due: bool = False
    _descriptors_at: float = 0.0
    _opened: Callable[..., str] = field(init=False)
    _lines: list[Waiting] = Factory(list)
    _is_due: bool = False
    """Whether the reactor will call `_flush_due`."""
    _reactor: Any = None
    """The reactor while it runs, whose thread is `_thread`."""
    _thread: int = 0

    def __attrs_post_init__(self) -> None:
        self._opened = self.format.opened
        if isinstance(self.file, Drain):
            self.file.report, self.file.report_lost = self._dropped, self._lost
        if (file := self.log_file) is not None:
            file.report = self._is_not_rotated

    @property
    def log_file(self) -> LogFile | None:
        """The file that is written to, where it is one of its own."""
        file = self.file.sink if isinstance(self.file, Drain) else self.file
        return file if isinstance(file, LogFile) else None

    @property
    def lines_lost(self) -> int:
        """All lines that could not be written, or were not read in time."""
        return self.file.lines_lost if isinstance(self.file, Drain) else 0

    @property
    def level(self) -> LogLevel:
        """The least level that is written."""
        return self._least

    @level.setter
    def level(self, least: LogLevel) -> None:
        self._least, self._is_quiet = least, least > _INFO

    def say(self, text: str) -> None:
        """Write lines that are no events."""
        self._add(text)

    def __call__(self, event: LogEvent) -> None:
        if self._reactor is not None and get_ident() != self._thread:
            self._reactor.callFromThread(self, event)
            return
        level = event.get("log_level", _INFO)
        if level < self._least:
            return
        if not is_ours(event):
            text = formatEvent(event)
            if _NOISE.match(text):
                return
            if _DESCRIPTORS.match(text):
                event = self._descriptors(event)
                if not event:
                    return
        elif self.is_below_a_table and event["event"] in _IN_TABLE:
            # what listens later, after a reload, the table does not show
            self.is_below_a_table = event["event"] != "started"
            return
        if not self.rates.is_off and not self._may_write(event, is_info=level is _INFO):
            return
        self._add(self._line(self.format.line, (event,)))
        if level is not _INFO:
            self.flush()

    def opened(self, service: str, connection: int, local: Composed, peer: Peer) -> None:
        """As `events.opened`, which calls this where nobody else hears."""
        if self._is_quiet:
            return
        # made when it is written: many in a row take half the time of as many one by one
        self._lines.append((self._opened, (time(), service, connection, local, peer)))
        if not self._is_due:
            self._wait()

    def closed(
        self,
        service: str,
        connection: int,
        local: Composed,
        peer: Peer,
        duration: float,
        bytes_in: int,
        bytes_out: int,
        reason: Composed,
    ) -> None:
        """As `events.closed`. It joins the line before it where that is of the same connection."""
        if self._is_quiet:
            return
        lines = self._lines
        make, opening = lines[-1] if lines and not isinstance(lines[-1], str) else _NOTHING
        if make is self._opened and opening[2] == connection:
            lines[-1] = (self.format.both, (opening, duration, bytes_in, bytes_out, reason))
        else:
            who = (service, connection, local, peer)
            end = (time(), *who, duration, bytes_in, bytes_out, reason)
            lines.append((self.format.closed, end))
        if not self._is_due or len(self._lines) >= LINES_COLLECTED:
            self._wait()

    def _add(self, line: str) -> None:
        self._lines.append(line)
        self._wait()

    def _wait(self) -> None:
        """Have what waits written: now, where nothing more is waited for, or together and soon."""
        if self._reactor is None or len(self._lines) >= LINES_COLLECTED:
            self.flush()
        elif not self._is_due:
            self._is_due = True
            self._reactor.callLater(FLUSH_SECONDS, self._flush_due)

    def collect(self, reactor: Any) -> None:
        """Write lines together while this reactor runs; none is left when it or Python ends."""
        reactor.callWhenRunning(self._begin, reactor)
        reactor.addSystemEventTrigger("after", "shutdown", self._end)
        atexit.register(self.flush)

    def reopen_at_signal(self, reactor: Any) -> None:
        """Have SIGUSR1 call `reopen`."""
        # a handler, and not SIG_IGN, which programs that are started would inherit
        signal.signal(signal.SIGUSR1, lambda *_: reactor.callFromThread(self.reopen))

    def reopen(self) -> None:
        """Go on in the file that is at the log's path now, a new one where it was moved away.

        What was said before goes to the old one.
        """
        self.flush()
        if isinstance(self.file, Drain):
            self.file.call(self._reopen)
        else:
            self._reopen()

    def _reopen(self) -> None:
        if (file := self.log_file) is None:
            self._tell(events.emit, "log-kept", reason=because("no_log_file"))
            return
        try:
            file.reopen()
        except OSError as error:
            reason = because("log_error", path=file.path, detail=error.strerror)
            self._tell(events.warn, "log-kept", reason=reason)
        else:
            self._tell(events.emit, "log-reopened", path=file.path)

    def _tell(self, tell: Callable[..., None], event: str, **fields: Any) -> None:
        """Report an event, in the thread of the reactor."""
        if self._reactor is not None and get_ident() != self._thread:
            self._reactor.callFromThread(partial(tell, event, **fields))
        else:
            tell(event, **fields)

    def flush(self) -> None:
        """Write what waits."""
        waiting, self._lines = self._lines, []
        if not self.rates.is_off:
            waiting = self._within_rates(waiting)
        if not waiting:
            return
        try:
            lines = self.format.many(waiting)
        except Exception:  # noqa: BLE001 - whatever it is: one cannot be made, and the others can
            lines = [line for one in waiting for line in self._made(one)]
        self.file.write("".join(lines))
        self.file.flush()

    def _made(self, one: Waiting) -> list[str]:
        return [one] if isinstance(one, str) else [self._line(self._alone, (one,))]

    def _alone(self, one: Waiting) -> str:
        return "".join(self.format.many([one]))

    # what is too much

    def _may_write(self, event: LogEvent, *, is_info: bool) -> bool:
        """Whether there is room for a line of it; else it is counted, and told soon."""
        is_own = is_ours(event)
        kind = event["event"] if is_own else "log"
        who = str(event.get("service" if is_own else "log_namespace", "sockd"))
        lines = 1 if failure_of(event) is None else TRACEBACK_LINES
        if self.rates.take(kind, who, self.clock(), lines, is_info=is_info):
            return True
        self._suppress(lines)
        return False

    def _within_rates(self, waiting: list[Waiting]) -> list[Waiting]:
        """What of it is written: of connections no more than there is room for."""
        both = self.format.both
        sizes = [
            (one[1][0][1], 2) if one[0] is both else (one[1][1], 1)
            for one in waiting
            if not isinstance(one, str)
        ]
        if not sizes:
            return waiting
        wanted: Counter[str] = Counter()
        for service, size in sizes:
            wanted[service] += size
        left = self.rates.take_connections(wanted, self.clock())
        if left == wanted:
            return waiting
        kept: list[Waiting] = []
        of_connections = iter(sizes)
        for one in waiting:
            if not isinstance(one, str):
                service, size = next(of_connections)
                if left[service] < size:
                    self.rates.leave_out(service, size)
                    self._suppress(size)
                    continue
                left[service] -= size
            kept.append(one)
        for service, lines in left.items():
            self.rates.give_back(service, lines)
        return kept

    def _suppress(self, lines: int) -> None:
        self.lines_suppressed += lines
        if self._reactor is not None and not self._is_report_due:
            self._is_report_due = True
            self._reactor.callLater(SUPPRESSED_SECONDS, self._tell_suppressed)

    def _tell_suppressed(self) -> None:
        self._is_report_due = False
        for kind, service, count in self.rates.told():
            lines = events.Lines(count)
            fields = {"kind": kind, "service": service, "lines": lines}
            self._add(self._line(self.format.line, (_event("log-suppressed", time(), **fields),)))

    def _line(self, make: Callable[..., str], args: tuple[Any, ...]) -> str:
        """A line; where it cannot be made, one that says so: the others are not lost with it."""
        try:
            return make(*args)
        except Exception as error:  # noqa: BLE001 - whatever is logged, who logs goes on
            return self.format.line(
                {
                    "log_time": time(),
                    "log_level": LogLevel.error,
                    "log_format": "an event cannot be written: {why}",
                    "why": type(error).__name__,
                }
            )

    def _begin(self, reactor: Any) -> None:
        if isinstance(self.file, Drain):
            self.file.be_patient(is_patient=False)
        self._thread, self._reactor = get_ident(), reactor
        events.use_connection_log(self)

    def _end(self) -> None:
        events.use_connection_log(None)
        self._reactor = None
        if isinstance(self.file, Drain):
            self.file.be_patient(is_patient=True)
        self.flush()
        self._tell_suppressed()

    def _flush_due(self) -> None:
        self._is_due = False
        self.flush()

    def _dropped(self, lines: int) -> str:
        return self.format.line(_event("log-dropped", time(), lines=events.Lines(lines)))

    def _lost(self, lines: int, why: str) -> str:
        reason = because("log_unwritten", detail=why)
        event = _event("log-lost", time(), lines=events.Lines(lines), reason=reason)
        return self.format.line(event)

    def _is_not_rotated(self, error: OSError) -> None:
        assert self.log_file is not None
        reason = because("log_error", path=self.log_file.path, detail=error.strerror)
        self._tell(events.warn, "log-kept", reason=reason)

    def _descriptors(self, event: LogEvent) -> LogEvent:
        now: float = event["log_time"]
        if 0 <= now - self._descriptors_at < DESCRIPTORS_SECONDS:
            return {}
        self._descriptors_at = now
        return _event("descriptors", now)


def _event(name: str, moment: float, **fields: Any) -> LogEvent:
    """An event that somebody should look at, which nobody but this log hears of."""
    return {
        "log_time": moment,
        "log_level": LogLevel.warn,
        "log_format": events.SENTENCES[name],
        "log_namespace": "sockd",
        "event": name,
        **fields,
    }
