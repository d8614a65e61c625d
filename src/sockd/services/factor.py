"""Factor integers.

Each line is an integer; the answer is its prime factors, ascending, with multiplicity, separated by
one space. What is not an integer, is below 2 or has more digits than the option allows gets a line
that begins with `error: `. A datagram is one line.

Numbers below 2^64 are answered at once. Larger ones go to a worker process, one after the other: it
has five seconds for each, sixteen may wait, the next is told `error: busy`. Sources take turns: an
IPv4 address, an IPv6 /64, a user of this host, and all datagrams together, whose sources can be
forged. Where all places are taken, the source that has most of them gives one to a source that has
less. When a client leaves, the work for it ends; one that closes in order may still read, so its
number is worked on, but behind others of its source.

    $ sock factor 42 360
    2 3 7
    2 2 2 3 3 5
    $ sock factor one
    sock: localhost:7801 said to 'one': not an integer
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from attrs import define, frozen, validators
from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from sockd import events
from sockd.access.peer import Peer
from sockd.access.prefixes import CONNECTION_SOURCE_BITS, source_key
from sockd.access.reasons import because
from sockd.access.shares import Shares
from sockd.formats import ports
from sockd.formats.factors import SMALL, factors, parse_number
from sockd.formats.faults import error_line
from sockd.net.child import SAID_BYTES, STOP_SECONDS, Child
from sockd.net.context import Context
from sockd.net.datagram import Replies
from sockd.net.factoring import READY, SCRATCH
from sockd.net.program import Program, missing_tools
from sockd.net.progress import has_finished
from sockd.net.requests import Requests
from sockd.options.option import option
from sockd.options.units import Duration, Size
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind

WORKER_CPU_SECONDS = 365 * 24 * 3600
"""The worker is ended by its deadline, a number at a time, not by what it has used in all."""
WORKER_DESCRIPTORS = 32
"""It has three, and opens a few more while it loads its libraries."""
WORKER_FILE_BYTES = 64 * 1024 * 1024
"""It writes one file, of what it has found so far of a number: some kB in most cases, some MB in
the five seconds that it has for one."""
LOOK_SECONDS = 1.0
"""How often those who wait are looked at: has one left since?"""
DATAGRAMS = "datagrams"
"""What all datagrams are counted under: with forged sources anybody would have many shares."""


@frozen
class FactorOptions:
    """What the factor service can be told."""

    max_digits: int = option(
        40, "digits of the largest number", validator=[validators.ge(1), validators.le(4000)]
    )
    deadline: Duration = option(
        Duration(5), "time for one number of 2^64 or more", validator=validators.gt(0)
    )
    max_waiting: int = option(
        16, "numbers that may wait for the worker", validator=validators.ge(0)
    )
    memory: Size = option(
        Size(1024 * 1024 * 1024),
        "address space of the worker",
        validator=validators.ge(Size(64 * 1024 * 1024)),
    )


@define(eq=False)
class _Job:
    number: int
    answer: Deferred[bytes]
    source: str
    has_finished: Callable[[], bool]
    """Whether its client has ended its half."""
    was_open: bool = False
    has_left: bool = False
    """Its client waited, and then ended its half: it has left, most likely. One that ends its half
    behind its number waits for the answer."""

    def look(self) -> None:
        """Once in a while: is the client still there?"""
        has_finished = self.has_finished()
        self.has_left = self.was_open and has_finished
        self.was_open = self.was_open or not has_finished


class Worker(Child):
    """The worker process: a number a line in, its factors a line out."""

    starts_others = False
    is_ready = False
    """Whether it has come to the point at which it takes numbers."""

    def __init__(self, context: Context[FactorOptions, Factoring], factoring: Factoring) -> None:
        program = Program(
            argv=(sys.executable, "-B", "-m", "sockd.net.factoring"),
            cpu_seconds=WORKER_CPU_SECONDS,
            memory_bytes=context.options.memory,
            descriptors=WORKER_DESCRIPTORS,
            file_bytes=WORKER_FILE_BYTES,
        )
        super().__init__(context, "whoever asks", program)
        self._factoring = factoring
        self._line = b""
        self._left: list[Path] = []

    def ask(self, number: int) -> None:
        """Give it a number."""
        self.process.write(b"%d\n" % number)

    def kill(self) -> None:
        """End it now, with the file that it would have removed."""
        if self.pid is not None and not self._left:
            self._left = _scratch_files(self.pid)
        super().kill()

    def outReceived(self, data: bytes) -> None:
        self._line += data
        if not self.is_ready and self._line.startswith(READY):
            self.is_ready = True
            self._line = self._line.removeprefix(READY)
        if self.is_ready and self._line.endswith(b"\n"):
            line, self._line = self._line.removesuffix(b"\n"), b""
            self._factoring.done(self, line + b"\r\n")

    def errReceived(self, data: bytes) -> None:
        if self.is_ready:
            super().errReceived(data)
        else:
            self._said = (self._said + data)[-SAID_BYTES:]

    def said(self) -> str:
        # where the host has no descriptor or no memory for its libraries, it says so at length
        text = super().said()
        return text if self.is_ready else text.rpartition("\n")[2]

    def ended(self, status: str) -> None:
        for file in self._left:
            with suppress(OSError):
                file.unlink()
        why = f"the worker ended ({status})" if self.is_ready else "busy"
        self._factoring.done(self, error_line(why))
        self._factoring.reaped(self)


def _scratch_files(pid: int) -> list[Path]:
    """The files that a worker has open and would remove in the end."""
    found = []
    with suppress(OSError):
        for link in os.scandir(f"/proc/{pid}/fd"):
            with suppress(OSError):
                found.append(Path(link.path).readlink())
    return [file for file in found if str(file).startswith(SCRATCH)]


class Factoring:
    """The numbers that wait for the worker, and the worker."""

    def __init__(self, context: Context[FactorOptions, Factoring]) -> None:
        self._context = context
        factors(6)  # which loads the library: at start, and not when the first client waits
        if why := missing_tools():
            reason = because("no_worker", detail=why)
            events.warn("warning", service=context.name, reason=reason)
        self._waiting: Shares[_Job] = Shares()
        self._job: _Job | None = None
        self._worker: Worker | None = None
        self._unreaped: set[Worker] = set()
        self._all_reaped: Deferred[None] = Deferred()
        self._deadline: IDelayedCall | None = None
        self._look_call: IDelayedCall | None = None
        self._is_stopped = False

    def factor(
        self, number: int, source: str, has_finished: Callable[[], bool]
    ) -> bytes | Deferred[bytes]:
        """The answer line for a number, now or later; cancelling it ends the work."""
        if number < SMALL:
            return factors(number) + b"\r\n"
        if self._is_stopped or not self._has_place(source):
            return error_line("busy")
        job = _Job(number, Deferred(self._cancelled), source, has_finished)
        self._waiting.add(source, job)
        self._next()
        return job.answer

    def _has_place(self, source: str) -> bool:
        """Whether there is a place for one more of this source, perhaps one that is taken back."""
        if self._job is None or len(self._waiting) < self._context.options.max_waiting:
            return True
        own = self._waiting.of(source)
        greedy = self._waiting.greedy(source, self._job.source)
        if greedy is None and not any(job.has_left for job in own):
            return False
        jobs = own if greedy is None else self._waiting.of(greedy)
        job = next((job for job in reversed(jobs) if job.has_left), jobs[-1])
        self._waiting.remove(job.source, job)
        job.answer.callback(error_line("busy"))
        # what that has brought about may have taken the place
        return len(self._waiting) < self._context.options.max_waiting

    def done(self, worker: Worker, answer: bytes) -> None:
        """The worker's answer to its number, or its end."""
        if worker is not self._worker:
            return
        if not worker.is_running:
            self._worker = None
        job, self._job = self._job, None
        self._stop_clocks()
        if job is not None:
            job.answer.callback(answer)
        self._next()

    def stop(self) -> Deferred[None]:
        """End the worker; who still waits is told that it is busy, and so is who comes yet.

        Fires when it is reaped, and its file gone.
        """
        self._is_stopped = True
        jobs = [] if self._job is None else [self._job]
        jobs += self._waiting.clear()
        self._end_worker()
        for job in jobs:
            if not job.answer.called:  # what one is told may have cancelled another
                job.answer.callback(error_line("busy"))
        if not self._unreaped:
            return succeed(None)
        late = self._context.clock.callLater(STOP_SECONDS, self._all_reaped.callback, None)
        return self._all_reaped.addCallback(lambda _: late.cancel() if late.active() else None)

    def reaped(self, worker: Worker) -> None:
        """A worker is no more, and its file neither."""
        self._unreaped.discard(worker)
        if self._is_stopped and not self._unreaped and not self._all_reaped.called:
            self._all_reaped.callback(None)

    def _next(self) -> None:
        while self._job is None and len(self._waiting):
            source = self._waiting.next_source()
            jobs = self._waiting.of(source)
            job = next((job for job in jobs if not job.has_left), jobs[0])
            self._waiting.remove(source, job)
            try:
                worker = self._worker or self._start_worker()
            except OSError:
                job.answer.callback(error_line("busy"))
                continue
            self._ask(worker, job)

    def _start_worker(self) -> Worker:
        worker = Worker(self._context, self)
        worker.start({"PYTHONPATH": ":".join(path for path in sys.path if path)})
        self._worker = worker
        self._unreaped.add(worker)
        return worker

    def _ask(self, worker: Worker, job: _Job) -> None:
        self._job = job
        worker.ask(job.number)
        clock, deadline = self._context.clock, self._context.options.deadline
        self._deadline = clock.callLater(deadline, self._late)
        self._look_call = clock.callLater(LOOK_SECONDS, self._look)

    def _late(self) -> None:
        self._deadline = None
        job = self._job
        self._end_worker()
        if job is not None:
            job.answer.callback(error_line(f"not done within {self._context.options.deadline}"))
        self._next()

    def _look(self) -> None:
        """Who has left does not keep others of its source waiting."""
        self._look_call = self._context.clock.callLater(LOOK_SECONDS, self._look)
        for waiting in self._waiting:
            waiting.look()
        if (job := self._job) is None:
            return
        job.look()
        if job.has_left and not all(one.has_left for one in self._waiting.of(job.source)):
            self._end_worker()
            self._waiting.add(job.source, job)
            self._next()

    def _cancelled(self, answer: Deferred[bytes]) -> None:
        if self._job is not None and self._job.answer is answer:
            self._end_worker()
            self._context.clock.callLater(0, self._next)
            return
        for job in self._waiting:
            if job.answer is answer:
                self._waiting.remove(job.source, job)
                return

    def _end_worker(self) -> None:
        worker, self._worker, self._job = self._worker, None, None
        self._stop_clocks()
        if worker is not None:
            worker.kill()

    def _stop_clocks(self) -> None:
        for call in (self._deadline, self._look_call):
            if call is not None:
                call.cancel()
        self._deadline = self._look_call = None


def _source(peer: Peer) -> str:
    """What a client on a connection is counted under."""
    return source_key(peer.host, *CONNECTION_SOURCE_BITS) if peer.host else f"user {peer.uid}"


class FactorStream(Requests):
    """Numbers, one at a time."""

    context: Context[FactorOptions, Factoring]

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        try:
            number = parse_number(request, self.context.options.max_digits)
        except ValueError as error:
            return error_line(str(error))
        return self.context.shared.factor(number, _source(self.peer), self._has_finished)

    def _has_finished(self) -> bool:
        return self.peer_finished or has_finished(self._socket())


class FactorReplies(Replies):
    """Datagrams, each a number."""

    context: Context[FactorOptions, Factoring]

    amplifies = True

    def answer(self, data: bytes) -> bytes | Deferred[bytes]:
        try:
            number = parse_number(data, self.context.options.max_digits)
        except ValueError as error:
            return error_line(str(error))
        return self.context.shared.factor(number, DATAGRAMS, lambda: False)


kind = Kind(
    name="factor",
    doc=__doc__,
    stream=FactorStream,
    datagram=FactorReplies,
    options=FactorOptions,
    shared=Factoring,
    instances=[
        Instance(
            "factor",
            [f"tcp:{ports.FACTOR}:interface=localhost", f"udp:{ports.FACTOR}:interface=localhost"],
        )
    ],
    command="sock factor {at} 42",
    wire={
        "stream": Exchange(
            asks=(
                "The client connects, and sends lines, each an integer of 2 or more in "
                "decimal digits."
            ),
            answers=(
                "One line for each: its prime factors, ascending, as often as they divide it, "
                "one space between them; or a line that begins 'error: '."
            ),
            ends=(
                "The client ends its half when it has asked all; the service answers what it "
                "has got and closes."
            ),
        ),
        "datagram": Exchange(
            asks="Each datagram is one line, an integer of 2 or more in decimal digits.",
            answers=(
                "One datagram comes back: the prime factors on a line, or a line that begins "
                "'error: '."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
