"""Run a program for each connection, with the connection as its standard input and output.

As inetd's `nowait`: what the client sends is the program's input, what the program prints is sent
to the client. Programs run side by side, at most 40 of them, each in a session of its own with a
clean environment and limits on its time and memory; when the client leaves, the program and what
it started are ended. Its environment has `REMOTE_ADDR`, `REMOTE_PORT` and `SOCKD_SERVICE`. What it
prints on standard error goes to the log.

`fortune` is an instance of it: a greeting, then the output of fortune with its line ends turned
into CRLF. Where the host has no such program, a quotation of a small set is sent.

    $ nc 127.0.0.1 2346
    Hello there, localhost, it's now Sat Jun 17 18:06:14 2000
    ...
"""

from __future__ import annotations

import math
import os
import pwd
import shutil
from collections.abc import Mapping
from functools import partial
from typing import Any

from attrs import frozen, validators
from twisted.internet.interfaces import IDelayedCall, IPushProducer
from zope.interface import implementer

from sockd import events
from sockd.access.reasons import because
from sockd.formats.crlf import CrlfEnds
from sockd.formats.quotes import builtin_quotes
from sockd.formats.template import Template
from sockd.net.child import PATH, Child, Program
from sockd.net.context import Context
from sockd.net.states import Hold
from sockd.net.stream import Stream
from sockd.options.option import option
from sockd.options.units import Duration, Size
from sockd.options.user import User
from sockd.service import Instance, Kind

QUOTE = "quote"
"""What can be sent where the program is not there."""


@frozen
class ExecOptions:
    """What the exec service can be told."""

    command: tuple[str, ...] = option(
        (), "the program and its arguments; no shell looks at them; must be given"
    )
    otherwise: str = option(
        "",
        'where there is no such program: "quote" sends a built-in quotation; empty: do not start',
        validator=validators.in_(["", QUOTE]),
    )
    greeting: Template = option(
        Template(""), "a line before the output, with the fields of greet's template; empty: none"
    )
    crlf: bool = option(False, "turn the line ends of the output into CRLF")
    environment: Mapping[str, str] = option({}, "more variables for the program")
    user: User | None = option(None, "run it as this user (needs root)")
    max_children: int = option(40, "programs running at once", validator=validators.ge(1))
    cpu: Duration = option(
        Duration(10), "CPU time of one program, in whole seconds", validator=validators.ge(1)
    )
    memory: Size = option(
        Size(256 * 1024 * 1024),
        "address space of one program",
        validator=validators.ge(Size(16 * 1024 * 1024)),
    )
    max_time: Duration = option(
        Duration(120), "time until a program is ended", validator=validators.gt(0)
    )


def check(options: ExecOptions) -> None:
    """What a value alone does not show to be wrong. Raises ValueError."""
    if not options.command:
        raise ValueError('exec needs a command, such as ["/usr/games/fortune"]')
    if "/" in options.command[0] and not options.command[0].startswith("/"):
        raise ValueError(
            f"the command must be absolute or a name to look for, not {options.command[0]!r}"
        )
    if any("\0" in word for word in (*options.command, *options.environment.values())):
        raise ValueError("a command and its environment hold no NUL")
    for name in options.environment:
        if not name or "=" in name or "\0" in name:
            raise ValueError(f"{name!r} cannot be the name of an environment variable")
    if options.user is not None:
        _group(options.user)
    if _path(options) is None and options.otherwise != QUOTE:
        raise ValueError(_no_program(options))


def _path(options: ExecOptions) -> str | None:
    return shutil.which(options.command[0], path=PATH)


def _no_program(options: ExecOptions) -> str:
    return f"there is no program {options.command[0]!r}"


def _group(uid: int) -> int:
    try:
        return pwd.getpwuid(uid).pw_gid
    except KeyError:
        raise ValueError(f"there is no user {uid} on this host") from None


class Programs:
    """The program of one instance and how many of it run."""

    def __init__(self, context: Context[ExecOptions, Programs]) -> None:
        options = context.options
        self.running: set[ClientProgram] = set()
        self.quotes: tuple[bytes, ...] = ()
        path = _path(options)
        if path is None:
            why = _no_program(options)
            if options.otherwise != QUOTE:
                raise ValueError(why)
            reason = because("no_program", detail=why)
            events.warn("warning", service=context.name, reason=reason)
            self.quotes = builtin_quotes()
        uid, gid = options.user, None
        if uid is not None:
            if os.geteuid() != 0 or context.host.gives_up_root:
                raise ValueError("running a program as another user needs root, also later")
            gid = _group(uid)
        self.program = Program(
            (path or "", *options.command[1:]), int(options.cpu), options.memory, uid, gid
        )

    def stop(self) -> None:
        """End every program that still runs."""
        for child in tuple(self.running):
            child.kill()


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
        self.process.registerProducer(_Input(self._stream), True)

    def outReceived(self, data: bytes) -> None:
        self._stream.write(self._ends.convert(data) if self.context.options.crlf else data)

    def ended(self, status: str) -> None:
        self.context.shared.running.discard(self)
        self._stream.program_ended(self._ends.rest(), status)


class ExecStream(Stream):
    """A connection and its program."""

    context: Context[ExecOptions, Programs]
    is_working = True
    """The client waits for its program, in silence too."""
    answer_timeout = math.inf
    """The program has `max_time`."""
    _child: ClientProgram | None = None
    _early = b""
    _time: IDelayedCall | None = None

    def opened(self) -> None:
        # nothing is read until the program is there to take it
        self.hold(Hold.CHILD)
        template = self.context.options.greeting
        if template:
            greeting = self.context.greeting(template, self.peer)
            greeting.addCallback(partial(self.contain, self._run))
        else:
            self._run(b"")

    def received(self, data: bytes) -> None:
        if self._child is None:
            self._early += data
        elif self._child.is_running:
            self._child.process.write(data)

    def finished(self) -> None:
        if self._child is not None and self._child.is_running:
            self._child.process.unregisterProducer()
            self._child.process.closeStdin()

    def gone(self) -> None:
        if self._time is not None:
            self._time.cancel()
            self._time = None
        if self._child is not None:
            self._child.end()

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._child is not None and 1 in self._child.process.pipes:
            self._child.process.pipes[1].pauseProducing()

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._child is not None and 1 in self._child.process.pipes:
            self._child.process.pipes[1].resumeProducing()

    def program_ended(self, rest: bytes, status: str) -> None:
        """The program is reaped and its output is at its end."""
        if not self.is_closing:
            if rest:
                self.write(rest)
            self.close(because("program_ended", status=status))

    def _run(self, greeting: bytes) -> None:
        if self.is_closing:
            return
        self.release(Hold.CHILD)
        programs = self.context.shared
        # not before: others may have come while the greeting's name was looked up
        if len(programs.running) >= self.context.options.max_children:
            self.fail(because("max_children"))
            return
        if greeting:
            self.write(greeting)
        if programs.quotes:
            self.write(self.context.host.random.choice(programs.quotes))
            self.close()
            return
        child = ClientProgram(self, programs.program)
        try:
            child.start(self._environment())
        except OSError as error:
            self.fail(because("no_process", detail=error.strerror))
            return
        self._child = child
        programs.running.add(child)
        self._time = self.context.clock.callLater(self.context.options.max_time, self._too_long)
        if self._early:
            child.process.write(self._early)
        if self.peer_finished:
            self.finished()

    def _too_long(self) -> None:
        self._time = None
        self.close(because("max_time"))
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
    shared=Programs,
    instances=[
        Instance(
            "fortune",
            ["tcp:2346:interface=localhost"],
            {
                "command": ["/usr/games/fortune"],
                "otherwise": QUOTE,
                "greeting": "Hello there, {name}, it's now {time}",
                "crlf": True,
            },
        )
    ],
)
