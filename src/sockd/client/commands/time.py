"""`time`: how far the clocks of hosts are from ours (RFC 868)."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Sequence
from functools import cache

import click
from attrs import define, evolve, field
from twisted.internet.defer import CancelledError

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, ConversationHost, Speech, Talk
from sockd.client.errors import BadAnswer, ClientError, TimedOut, UsageFault
from sockd.client.exits import worst
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.outputs.figures import fill
from sockd.client.process import Run
from sockd.client.report import Data, HostSummary, Interval, Value
from sockd.client.start import run_hosts, targets
from sockd.client.talk.clock_offset import Bounds, ClockWasSet, Estimate, Exchange, Reading
from sockd.client.targets import Target, Transport
from sockd.client.waiting import sleep
from sockd.formats import ports
from sockd.formats.clock import local_ctime
from sockd.formats.text import readable
from sockd.formats.time import SIZE, unix_time

TCP, UDP, TLS = Transport.TCP, Transport.UDP, Transport.TLS
PORTS = dict.fromkeys((TCP, UDP, TLS), ports.TIME)
PRECISE_NS = 5_000_000
"""Width of an interval that is narrow enough: less is hardly more than what a server's reading of
its clock, and the two ways that a packet takes, let one know."""
PRECISE_ASKS = 40
"""Questions at most: each halves the interval, so that ten do unless answers are lost or late."""
PRECISE_GAP = 0.1
"""Seconds between two questions, at least: whoever is asked serves others too."""
OFFSET_COLUMNS = 21
"""Columns of a row: two numbers of seconds below a day, with their signs."""
INDENT = "    "
MOST_NAME = 40
"""Columns of a host's name: a longer one moves what follows in its own row."""


@define(eq=False)
class ClockHost:
    """One host whose clock is compared with ours: once, or until it is known precisely."""

    run: Run
    target: Target
    is_precise: bool = False
    gap: float = PRECISE_GAP
    """Seconds between two questions then, at least."""
    columns: Callable[[], int] = lambda: 0
    """Of the names in a row; known once all hosts are."""
    width: int | None = None
    """Of the terminal; None: there is none."""
    has_heading: bool = False
    """Whether our own clock has a row, before this one's."""
    _asked: ConversationHost = field(init=False)
    _exchange: Exchange | None = None
    """The last one."""
    _estimate: Estimate | None = None
    _error: ClientError | None = None
    _was_set: bool = False

    def __attrs_post_init__(self) -> None:
        speech = Speech(name="time", kind="time", stream=self._listen, datagram=self._ask)
        self._asked = ConversationHost(self.run, speech, self.target)

    # how it is asked

    @property
    def has_answered(self) -> bool:
        """Whether its clock is known."""
        return self._estimate is not None and self._error is None

    @property
    def fault(self) -> ClientError | None:
        """Why its clock is not known so far, where it is not silence."""
        return self._asked.fault

    async def go(self) -> None:
        """Ask until all is asked. Raises ClientError where its clock is not known then."""
        if self.has_heading:
            ours = local_ctime(self.run.wall_ns() / 1e9)
            self._say(row("localhost", "0 s", ours, self.columns()))
        try:
            await (self._narrow() if self.is_precise else self._repeat())
        except ClientError as error:
            self._error = error
            self._say_row("-", str(error), self.width)
            raise
        except CancelledError:  # the deadline, an interrupt, or others have answered
            if self._estimate is None:
                self._say_row("-", str(self.fault or "no answer when the run ended"))
            elif self.is_precise:
                self._say_clock()
            raise
        finally:
            self._asked.close()

    async def _repeat(self) -> None:
        """As many times as the options say; a row each."""
        failed: ClientError | None = None
        for seq in self.run.asking.turns():
            await self._asked.due()
            error = await self._asked.ask(seq)
            failed = error or failed
            if isinstance(error, UsageFault):
                break  # it would be no other the next time
            if error is None:
                self._say_clock()
        if failed is not None and self._estimate is None:
            raise failed

    async def _narrow(self) -> None:
        """Near the other clock's tick, until the interval is narrow; one row."""
        run, asking = self.run, self.run.asking
        gap_ns = round(self.gap * 1e9)
        earliest = run.monotonic_ns()
        for seq in range(asking.count or PRECISE_ASKS):
            due = earliest if self._estimate is None else self._estimate.next_ask(earliest)
            await sleep(run.reactor, (due - run.monotonic_ns()) / 1e9)
            earliest = run.monotonic_ns() + gap_ns
            failed = await self._asked.ask(seq)
            if failed is not None and (self._estimate is None or isinstance(failed, BadAnswer)):
                raise failed
            if self._was_set:
                raise BadAnswer(
                    f"the clock of {self.target} was set while it was asked, or tells nonsense: "
                    "no difference fits all answers"
                )
            if self._estimate is not None and self._estimate.is_precise(PRECISE_NS):
                break
        self._say_clock()

    # what it says

    async def _listen(self, stream: Stream, talk: Talk) -> Answer:
        number = await stream.read_exactly(SIZE, talk.asking.wait)
        try:  # the client may be the one to close, so that there need be no end
            more = await stream.read(0)
        except TimedOut:
            more = b""
        if more:
            raise BadAnswer(f"{self.target} sent more than {SIZE} bytes")
        assert stream.first_byte_ns is not None
        sent_ns = stream.began_ns + (stream.steps.resolve_ns or 0)
        values = self._learn(number, sent_ns, stream.first_byte_ns)
        talk.size = len(number)
        return Answer(text=self._ctime(), values=values)

    async def _ask(self, datagrams: Datagrams, talk: Talk) -> Answer:
        came = await datagrams.ask(b"", wait=talk.asking.wait)
        assert came.sent_ns is not None
        values = self._learn(came.data, came.sent_ns, came.at_ns)
        talk.size = len(came.data)
        return Answer(
            text=self._ctime(), values=values, rtt_ns=came.rtt_ns, is_kernel=came.is_kernel
        )

    def _learn(self, number: bytes, sent_ns: int, received_ns: int) -> dict[str, Value]:
        """What one answer says. Raises BadAnswer."""
        try:
            seconds = unix_time(number, self.run.wall_ns() / 1e9)
        except ValueError as error:
            raise BadAnswer(f"{self.target}: {error}") from None
        self._exchange = exchange = Exchange(seconds, sent_ns, received_ns)
        try:
            known = self._estimate
            self._estimate = known.narrowed(exchange) if known else Estimate.of(exchange)
        except ClockWasSet:
            self._was_set, self._estimate = True, Estimate.of(exchange)
        return self._values(exchange.allows)

    # how it is told

    def _values(self, bounds: Bounds) -> dict[str, Value]:
        assert self._exchange is not None
        offset = read_clocks(self.run).offset(bounds)
        return {
            "offset_low_ns": offset.low,
            "offset_high_ns": offset.high,
            "their_time": self._exchange.seconds,
        }

    def _ctime(self) -> str:
        assert self._exchange is not None
        return local_ctime(self._exchange.seconds)

    def _say_clock(self) -> None:
        if self._estimate is not None:
            offset = read_clocks(self.run).offset(self._estimate.at(self.run.monotonic_ns()))
            self._say_row(interval_text(offset), self._ctime())

    def _say_row(self, offset: str, rest: str, width: int | None = None) -> None:
        self._say(row(self.target.name, offset, rest, self.columns(), width))

    def _say(self, text: str) -> None:
        self.run.report(Data(target=self.target.name, data=f"{text}\n".encode()))

    def interval(self, from_ns: int, to_ns: int) -> Interval | None:
        """What has happened since the last call."""
        return self._asked.interval(from_ns, to_ns)

    def summary(self, error: ClientError | None) -> HostSummary:
        """What is known of its clock so far."""
        found = self._asked.summary(error)
        if self._estimate is None:
            return found
        exits = [found.exit] if error is None else [found.exit, error.exit]
        return evolve(
            found,
            values=self._values(self._estimate.at(self.run.monotonic_ns())),
            notes=self._notes(),
            exit=worst(exits),
        )

    def _notes(self) -> tuple[str, ...]:
        notes = []
        if self._was_set and not self.is_precise:
            notes.append("its clock was set meanwhile: what it said before does not count")
        if self._estimate is not None and self._estimate.is_coarse:
            notes.append("it reads its clock at its kernel's ticks, up to 10 ms late")
        return tuple(notes)


def read_clocks(run: Run) -> Reading:
    """Our clocks, read side by side: of some tries the one that took least."""
    tries = [Reading(run.monotonic_ns(), run.wall_ns(), run.monotonic_ns()) for _ in range(3)]
    return min(tries, key=lambda reading: reading.after_ns - reading.before_ns)


def interval_text(offset: Bounds) -> str:
    """`-0.41..+0.60 s`: rounded outwards, with as many places as its width gives sense to."""
    places = 2 if offset.width > 500_000_000 else 3 if offset.width > 50_000_000 else 4
    unit = 10 ** (9 - places)
    low, high = offset.low // unit, -(-offset.high // unit)
    return "..".join(_fixed(number, places) for number in (low, high)) + " s"


def _fixed(number: int, places: int) -> str:
    whole, part = divmod(abs(number), 10**places)
    return f"{'-' if number < 0 else '+'}{whole}.{part:0{places}}"


def row(name: str, offset: str, rest: str, columns: int, width: int | None = None) -> str:
    """A row of the table. Where it is wider than `width`, what comes last has lines of its own."""
    head, rest = f"{readable(name):<{columns}}  {offset:>{OFFSET_COLUMNS}}", readable(rest)
    if width is None or len(head) + 2 + len(rest) <= width:
        return f"{head}  {rest}"
    lines = fill(rest.split(" "), max(1, width - len(INDENT)))
    return "\n".join([head, *(f"{INDENT}{line}" for line in lines)])


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@click.option(
    "--precise",
    "is_precise",
    is_flag=True,
    help="Ask near the tick, until 5 ms are left open; -i is the least gap then.",
)
@asks(TCP, UDP, TLS, Transport.UNIX, Transport.UNIXGRAM)
def time(asking: Asking, hosts: tuple[str, ...], is_precise: bool) -> int:
    """Compare the clocks of hosts with ours (RFC 868).

    A row a host: its name, its clock minus ours, and its time in our zone. It tells whole seconds,
    so that the difference is an interval: a second wide, and wider by the time that the answer
    took. More questions (-c) narrow it; --precise asks when a second of theirs begins.

    The first row is our own clock, unless localhost is asked.
    """
    found = sorted(targets(hosts, asking, PORTS), key=lambda target: target.host != "localhost")
    asked: list[Target] = []  # with --all-addresses others than were found
    columns = cache(lambda: column_width(asked))
    width = shutil.get_terminal_size().columns if sys.stdout.isatty() else None
    interval, options = asking.interval, asking.given()
    if is_precise:  # its questions are as many as it needs, however far apart
        asking = evolve(asking, interval=None)

    def make(run: Run, target: Target) -> ClockHost:
        asked.append(target)
        gap = max(PRECISE_GAP, interval or 0.0)
        host = ClockHost(run, target, is_precise, gap, columns=columns, width=width)
        if len(asked) == 1 and not (target.path or asking.is_quiet):
            host.has_heading = "localhost" not in (target.host, target.known_as)
        return host

    return run_hosts("time", found, asking, make, has_rows=True, kind="time", options=options)


def column_width(found: Sequence[Target]) -> int:
    """Columns for the names of hosts."""
    return min(
        MOST_NAME, max(len(readable(name)) for name in ("localhost", *(t.name for t in found)))
    )
