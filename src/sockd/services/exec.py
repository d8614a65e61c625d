"""Run a program for each connection, which is its input and output.

As inetd's `nowait`: what the client sends is the program's input, what the program prints is sent
to the client. Programs run side by side, each in a session of its own, in a clean environment; when
the client leaves, or the program takes nothing of its input for `write_timeout`, the program and
what it started are ended. It ends by itself when it has left and nothing that it started holds its
output any more; what it started otherwise ends with it, in its group or not. Its environment has
`REMOTE_ADDR`, `REMOTE_PORT` and `SOCKD_SERVICE`, and `SOCKD_PROGRAM`, by which we find what it
started. What it prints on standard error goes to the log.

With `socket = true` the connection itself is its input, its output and its standard error: programs
that were written for inetd may ask it who the peer is, or expect urgent data. The connection ends
when the program has ended, whatever it has closed. With `cache = "1s"` one run is for all who come
while it runs and within a second after it: for what costs much and tells all the same.

A program has bounds on its time, memory, descriptors and files. It runs without any capability, and
cannot gain one: not through setuid programs either, such as `sudo`. A program that runs as root has
root's files, and none of root's other powers; so give it a `user`, or say `privileged` where it
needs those powers, as `sshd -i` does. A daemon that is killed takes its programs with it, though
not what they have started. The host needs `setsid`, `prlimit` and `setpriv` of util-linux, and
`env` of coreutils, which prepare a program.

`fortune` is an instance of it: a greeting, then the output of fortune with its line ends turned
into CRLF. Where the host has no such program, a quotation of a small set is sent.

    $ sock get localhost 2346
    Hello there, localhost, it's now Sat Jun 17 18:06:14 2000
    ...
"""

from __future__ import annotations

import math
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from twisted.python.failure import Failure
from zope.interface import implementer

from sockd import events
from sockd.access.reasons import Reason, because
from sockd.formats import ports
from sockd.formats.crlf import CrlfEnds
from sockd.formats.quotes import builtin_quotes
from sockd.net.cached import Cache, Outcome
from sockd.net.child import STOP_SECONDS, Child
from sockd.net.children import why_not
from sockd.net.commands import (
    NEEDS_ROOT,
    QUOTE,
    ExecOptions,
    check,
    check_listen,
    located,
    program_of,
)
from sockd.net.context import Context
from sockd.net.handing import hand_over, take_back
from sockd.net.program import Program
from sockd.net.progress import traffic
from sockd.net.states import NO_HOLD, Hold, Overdue
from sockd.net.stream import Stream
from sockd.service import Exchange, Instance, Kind


class Programs:
    """The program of one instance and how many of it run."""

    def __init__(self, context: Context[ExecOptions, Programs]) -> None:
        options = context.options
        check(options)  # again: a program may have gone, and root too
        if options.user is not None and context.world.gives_up_root:
            raise ValueError(NEEDS_ROOT)
        self.running: set[ClientProgram] = set()
        self._clock = context.clock
        self._children = context.world.children
        self._reaped: Deferred[None] | None = None
        self.quotes: tuple[bytes, ...] = ()
        path = located(options)
        self.program = program_of(path or "", options)
        is_cached = options.cache > 0
        self.cache = Cache(context, self.program, self._rest) if is_cached else None
        warnings = list(self.program.weaknesses()) if not context.world.gives_up_root else []
        if why := why_not():
            warnings.append(because("runaways", detail=why))
        if path is None:
            why = f"there is no program {options.command[0]!r}"
            warnings = [because("no_program", detail=why)]
            self.quotes = builtin_quotes()
        for reason in warnings:
            events.warn("warning", service=context.name, reason=reason)

    def stop(self) -> Deferred[None]:
        """End every program that still runs. Fires when they are reaped and that is reported."""
        for child in tuple(self.running):
            child.kill()
        if self.cache is not None:
            self.cache.stop()
        if self._reaped is None:
            self._reaped = Deferred()
            late = self._clock.callLater(STOP_SECONDS, self._reaped.callback, None)
            self._reaped.addCallback(lambda _: late.cancel() if late.active() else None)
            self._rest()
        return self._reaped

    def ended(self, child: ClientProgram) -> None:
        """A program has been reaped."""
        self.running.discard(child)
        self._rest()

    def _rest(self) -> None:
        is_running = bool(self.running) or (self.cache is not None and self.cache.run is not None)
        if not is_running and self._reaped is not None:
            self._children.when_buried().addCallback(self._over)

    def _over(self, _: None) -> None:
        if self._reaped is not None and not self._reaped.called:
            self._reaped.callback(None)


@implementer(IPushProducer)
class _Input:
    """The client, seen from the program's input: it is not read from while the pipe is full."""

    def __init__(self, stream: ExecStream) -> None:
        self._stream = stream

    def pauseProducing(self) -> None:
        self._stream.hold(Hold.CHILD)

    def resumeProducing(self) -> None:
        self._stream.release(Hold.CHILD)

    def stopProducing(self) -> None:
        """The program has closed its input: what still comes is read and dropped."""
        self._stream.release(Hold.CHILD)


class ClientProgram(Child):
    """The program of one connection."""

    def __init__(self, stream: ExecStream, program: Program) -> None:
        super().__init__(stream.context, stream.peer, program)
        self._stream = stream
        self._ends = CrlfEnds()

    def connectionMade(self) -> None:
        super().connectionMade()
        if 0 in self.process.pipes:
            self.process.registerProducer(_Input(self._stream), True)

    def outReceived(self, data: bytes) -> None:
        if self._stream.is_closing:
            return  # nobody is to get it, and nothing else would bound what waits
        self._stream.write(self._ends.convert(data) if self.context.options.crlf else data)

    def pipe_failed(self, error: OSError) -> None:
        self._stream.fail(because("no_process", detail=error.strerror))
        super().pipe_failed(error)

    def ended(self, status: str) -> None:
        self.context.shared.ended(self)
        self._stream.program_ended(self._ends.rest(), status)


class ExecStream(Stream):
    """A connection and its program."""

    context: Context[ExecOptions, Programs]
    is_working = True
    """The client waits for its program, in silence too."""
    _child: ClientProgram | None = None
    _early = b""
    _time: IDelayedCall | None = None
    _is_handed_over = False
    """The socket is the program's: nothing is read from it or written to it here."""
    _is_waiting = False
    """For a run that is for others too."""

    def opened(self) -> None:
        # nothing is read until the program is there to take it
        self.hold(Hold.CHILD)
        template = self.context.options.greeting
        if template:
            greeting = self.context.greeting(template, self.peer)
            greeting.addCallbacks(partial(self.contain, self._run), self._no_greeting)
        else:
            self._run(b"")

    def received(self, data: bytes) -> None:
        if self._child is None:
            if not self.context.options.cache:
                self._early += data
        elif self._child.is_running:
            self.requests += 1  # progress: so much of its input it has had
            self._child.process.write(data)

    def finished(self) -> None:
        if self._child is not None and self._child.is_running and 0 in self._child.process.pipes:
            self._child.process.unregisterProducer()
            self._child.process.closeStdin()

    def gone(self) -> None:
        if self._time is not None:
            self._time.cancel()
            self._time = None
        if self._child is not None:
            self._child.end()
        if (cache := self.context.shared.cache) is not None:
            cache.leave(self)

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._child is not None and 1 in self._child.process.pipes:
            self._child.process.pipes[1].pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._child is not None and 1 in self._child.process.pipes:
            self._child.process.pipes[1].resumeProducing()

    @property
    def answer_timeout(self) -> float:
        """None of its own while the program runs, which has `max_time`, and takes its input."""
        if self._is_handed_over or self._is_waiting:
            return math.inf
        if self._child is None:
            return super().answer_timeout
        # the client may have left: its end stands behind what is not read
        return self.context.limits.write_timeout if Hold.CHILD in self.holds else math.inf

    def timed_out(self, overdue: Overdue) -> None:
        """It has taken nothing of its input, nor said anything, or no program is there."""
        if self._child is None or overdue.reason.name != "answer_timeout":
            super().timed_out(overdue)
        else:
            self._end(because("input_timeout", **overdue.reason.values))

    def _sweep(self, now: float) -> None:
        if self._is_handed_over:  # for whoever looks at it
            self.bytes_in, self.bytes_out = traffic(self._socket())
        super()._sweep(now)

    def _begin_to_close(self, reason: Reason) -> None:
        self._take_back()
        super()._begin_to_close(reason)

    def program_ended(self, rest: bytes, status: str) -> None:
        """The program is reaped and its output is at its end."""
        if not self.is_closing:
            if rest:
                self.write(rest)
            self.close(because("program_ended", status=status))

    def _run(self, greeting: bytes) -> None:
        if self.is_closing:
            return
        programs = self.context.shared
        # not before: others may have come while the greeting's name was looked up
        if len(programs.running) >= self.context.options.max_children:
            self.fail(because("max_children"))
            return
        if greeting:
            self.write(greeting)
        if programs.quotes:
            self.write(self.context.world.random.choice(programs.quotes))
            self.close()
            return
        try:
            if programs.cache is not None:
                self.release(Hold.CHILD)
                self._is_waiting = True
                programs.cache.ask(self, partial(self.contain, self._take))
            else:
                self._start(programs)
        except OSError as error:
            self._take_back()
            self.fail(because("no_process", detail=error.strerror))

    def _start(self, programs: Programs) -> None:
        child = ClientProgram(self, programs.program)
        if self.context.options.socket:
            self._hand_over(child)
        else:
            self.release(Hold.CHILD)
        child.start(self._environment())
        self._child = child
        programs.running.add(child)
        if (max_time := self.context.options.max_time) != math.inf:
            self._time = self.context.clock.callLater(max_time, self._too_long)
        if self._early:
            child.process.write(self._early)
        if self.peer_finished:
            self.finished()

    def _hand_over(self, child: ClientProgram) -> None:
        child.descriptors = hand_over(self._socket())
        self._is_handed_over = True
        self.lingers = False  # type: ignore[misc]  # of this connection: lingering is reading

    def _take_back(self) -> None:
        if self._is_handed_over:
            self._is_handed_over = False
            self.holds = NO_HOLD  # it is not read again
            sock = self._socket()
            self.bytes_in, self.bytes_out = traffic(sock)
            take_back(sock)

    def _take(self, outcome: Outcome) -> None:
        """What the run for all has printed."""
        self._is_waiting = False
        if self.is_closing:
            return
        if outcome.has_failed:
            self.fail(outcome.reason)
        else:
            self.write(outcome.output)
            self.close(outcome.reason)

    def _no_greeting(self, failure: Failure) -> None:
        if not self.is_closing:
            self.contain(failure.raiseException)

    def _too_long(self) -> None:
        self._time = None
        self._end(because("max_time"))

    def _end(self, reason: Reason) -> None:
        self.close(reason)
        if self._child is not None:
            self._child.end()

    def _environment(self) -> dict[str, Any]:
        return {
            "REMOTE_ADDR": self.peer.host,
            "REMOTE_PORT": str(self.peer.port),
            "SOCKD_SERVICE": self.context.name,
            **self.context.options.environment,
        }


kind = Kind(
    name="exec",
    doc=__doc__,
    stream=ExecStream,
    options=ExecOptions,
    check=check,
    check_listen=check_listen,
    shared=Programs,
    ends=[
        "program_ended",
        "max_time",
        "max_output",
        "input_timeout",
        "max_children",
        "no_process",
    ],
    instances=[
        Instance(
            "fortune",
            [f"tcp:{ports.FORTUNE}:interface=localhost"],
            {
                "command": ["/usr/games/fortune"],
                "otherwise": QUOTE,
                "greeting": "Hello there, {name}, it's now {time}",
                "crlf": True,
            },
        )
    ],
    wire={
        "stream": Exchange(
            asks="What the client sends is the standard input of a program, started for it.",
            answers="A greeting if that is set, then what the program prints.",
            ends="The service closes when the program has ended; a client may leave before.",
        )
    },
)
