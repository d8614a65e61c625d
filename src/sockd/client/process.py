"""The process of a run: the reactor, the signals, and how it ends."""

from __future__ import annotations

import resource
import signal
import sys
import time
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, ParamSpec, Protocol

from attrs import Factory, define, frozen
from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogBeginner
from twisted.python.failure import Failure
from zope.interface import provider

from sockd.client.asking import Asking
from sockd.client.ending import UNKNOWN, end, end_now, tell_fault, unwritable
from sockd.client.errors import ClientError
from sockd.client.exits import Exit
from sockd.client.net.resolve import Found
from sockd.client.report import Event
from sockd.client.targets import Target
from sockd.formats.text import readable

P = ParamSpec("P")


class Hook(Protocol):
    """Is told of bytes, and of the address where they go or come from, where that may change."""

    def __call__(self, data: bytes, address: str | None = None, /) -> None:
        """These have just been written, or have just come."""


@frozen
class Hooks:
    """What is told of bytes that go and come; None: nobody looks."""

    wrote: Hook | None = None
    read: Hook | None = None


SILENT = Hooks()


@define(eq=False)
class Run:
    """What a command works with."""

    reactor: Any
    asking: Asking
    report: Callable[[Event], None]
    """Tell what happened."""
    explain: Callable[[Target], Hooks] = lambda _: SILENT
    """What is called with the bytes that go and come (`--explain`)."""
    at_quit: Callable[[], None] = lambda: None
    """Called at SIGQUIT: tell how it stands."""
    at_interrupt: Callable[[], None] | None = None
    """Called at ^C, which then does not end the run; unless it is pressed before this was done."""
    monotonic_ns: Callable[[], int] = time.monotonic_ns
    wall_ns: Callable[[], int] = time.time_ns
    looked_up: dict[Target, Found | ClientError] = Factory(dict)
    """What the names of targets are known to be, or why not, until they are first asked."""


Body = Callable[[Run], Coroutine[Deferred[Any], Any, Exit]]


def install_reactor() -> Any:
    """sockd's own reactor where it can be had, else Twisted's default one."""
    from sockd.reactor import entry

    if "twisted.internet.reactor" not in sys.modules:
        with suppress(ImportError):  # without uvloop, or with a Twisted that it does not know
            entry.install()
    from twisted.internet import reactor

    installed: Any = reactor
    # stock reactors run timers on the wall clock: setting it would fire all of them, or none
    installed.seconds = time.monotonic
    return installed


def install_asyncio() -> None:
    """Have the reactor stand on asyncio's loop, by which a line is read that is typed."""
    import asyncio

    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # before it is installed: else what waits for it hangs
    asyncioreactor.install(loop)


def is_terminal() -> bool:
    """Whether somebody types, and looks."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def have_descriptors() -> None:
    """Take all descriptors that this process may have: each of many hosts needs some."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(OSError, ValueError):  # systems that allow less than they say
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def run_process(
    body: Body,
    asking: Asking,
    report: Callable[[Event], None],
    explain: Callable[[Target], Hooks] = lambda _: SILENT,
) -> int:
    """Run a command to its end. Returns the exit code; ends the process itself at a signal."""
    have_descriptors()
    reactor = install_reactor()
    globalLogBeginner.beginLoggingTo([_complain], redirectStandardIO=False)
    process = _Process(Run(reactor, asking, report, explain))
    process.run.report = process.telling(report)
    process.run.explain = process.explaining(explain)
    reactor.callWhenRunning(process.begin, body)
    reactor.run()
    if isinstance(process.unwritten, BrokenPipeError):
        end(Exit.ANSWERED)
    if process.failure is not None:
        raise process.failure
    if process.signal is not None and not asking.is_check:  # monitoring knows exit codes only
        end(Exit.ANSWERED, process.signal)
    if process.unwritten is not None:
        code = unwritable(process.unwritten)
        end(UNKNOWN if asking.is_check else code)
    return int(process.exit)


@define(eq=False)
class _Process:
    """One run, from the first signal that it takes to the last."""

    run: Run
    exit: Exit = Exit.ANSWERED
    signal: int | None = None
    failure: BaseException | None = None
    unwritten: OSError | None = None
    """Why what has happened could not be told."""
    _task: Deferred[Exit] | None = None
    _is_interrupting: bool = False
    """Whether `at_interrupt` is about to be called."""

    def begin(self, body: Body) -> None:
        """Begin, once the reactor runs: it has set its own handlers of signals before."""
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, self._interrupted)
        signal.signal(signal.SIGQUIT, self._asked)
        self._task = Deferred.fromCoroutine(body(self.run))
        self._task.addCallbacks(self._ended, self._failed)
        self._task.addBoth(lambda _: self.run.reactor.stop())

    def telling(self, tell: Callable[P, None]) -> Callable[P, None]:
        """`tell`, which ends the run where it cannot write, whoever calls it."""

        def told(*args: P.args, **named: P.kwargs) -> None:
            if self.unwritten is None:
                try:
                    tell(*args, **named)
                except OSError as error:
                    self.unwritten = error
                    self.run.reactor.callLater(0, self._cancel)

        return told

    def explaining(self, explain: Callable[[Target], Hooks]) -> Callable[[Target], Hooks]:
        """`explain`, whose hooks do so."""

        def explained(target: Target) -> Hooks:
            hooks = explain(target)
            return Hooks(
                None if hooks.wrote is None else self.telling(hooks.wrote),
                None if hooks.read is None else self.telling(hooks.read),
            )

        return explained

    def _ended(self, code: Exit) -> None:
        self.exit = code

    def _failed(self, failure: Failure) -> None:
        if failure.check(CancelledError) and (self.signal or self.unwritten) is not None:
            return
        error = failure.value
        if isinstance(error, ClientError):
            self.exit = error.exit
            with suppress(OSError, ValueError):  # the code tells, too
                sys.stderr.write(f"sock: {readable(str(error))}\n")
        else:
            self.failure = error

    def _interrupted(self, number: int, _: object) -> None:
        """A signal that ends: the run tells its summary first; a second one does not wait."""
        is_taken = number == signal.SIGINT and self.run.at_interrupt is not None
        if is_taken and not self._is_interrupting and self.signal is None:
            self._is_interrupting = True
            self.run.reactor.callFromThread(self._take_interrupt)
            return
        if self.signal is not None:
            if self.run.asking.is_check:
                end_now(UNKNOWN)
            end(Exit.ANSWERED, number)
        self.signal = number
        self.run.reactor.callFromThread(self._cancel)

    def _take_interrupt(self) -> None:
        self._is_interrupting = False
        if self.run.at_interrupt is not None:
            self.run.at_interrupt()

    def _cancel(self) -> None:
        if self._task is not None:
            self._task.cancel()

    def _asked(self, *_: object) -> None:
        self.run.reactor.callFromThread(self.run.at_quit)


@provider(ILogObserver)
def _complain(event: LogEvent) -> None:
    """A fault of ours: what Twisted logs as critical. All else that it logs is for daemons."""
    if event.get("log_level") is LogLevel.critical:
        failure = event.get("log_failure")
        tell_fault(failure.getTraceback() if failure is not None else formatEvent(event))
