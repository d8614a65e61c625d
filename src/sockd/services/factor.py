"""Factor integers.

Each line is an integer; the answer is its prime factors, ascending, with multiplicity, separated by
one space. What is not an integer, is below 2 or has more digits than the option allows gets a line
that begins with `error: `. A datagram is one line.

Numbers below 2^64 are answered at once. Larger ones go to a worker process, one after the other: it
has five seconds for each, sixteen may wait, the next is told `error: busy`. When a client leaves,
the work for it ends.

    $ sock factor 42 360
    2 3 7
    2 2 2 3 3 5
    $ sock factor one
    sock: localhost:7801 said to 'one': not an integer
"""

from __future__ import annotations

import sys
from collections import deque

from attrs import define, frozen, validators
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from sockd import events
from sockd.access.reasons import because
from sockd.formats import ports
from sockd.formats.factors import SMALL, factors, parse_number
from sockd.formats.faults import error_line
from sockd.net.child import Child
from sockd.net.context import Context
from sockd.net.datagram import Replies
from sockd.net.program import Program, missing_tools
from sockd.net.requests import Requests
from sockd.options.option import option
from sockd.options.units import Duration, Size
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind

WORKER_CPU_SECONDS = 365 * 24 * 3600
"""The worker is ended by its deadline, a number at a time, not by what it has used in all."""
WORKER_DESCRIPTORS = 32
"""It has three, and opens a few more while it loads its libraries."""
WORKER_FILE_BYTES = 0
"""It writes no file, not even what Python would keep of its modules."""


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


class Worker(Child):
    """The worker process: a number a line in, its factors a line out."""

    def __init__(self, context: Context[FactorOptions, Factoring], factoring: Factoring) -> None:
        program = Program(
            argv=(sys.executable, "-B", "-m", "sockd.formats.factors"),
            cpu_seconds=WORKER_CPU_SECONDS,
            memory_bytes=context.options.memory,
            descriptors=WORKER_DESCRIPTORS,
            file_bytes=WORKER_FILE_BYTES,
        )
        super().__init__(context, "whoever asks", program)
        self._factoring = factoring
        self._line = b""

    def ask(self, number: int) -> None:
        """Give it a number."""
        self.process.write(b"%d\n" % number)

    def outReceived(self, data: bytes) -> None:
        self._line += data
        if self._line.endswith(b"\n"):
            line, self._line = self._line.removesuffix(b"\n"), b""
            self._factoring.done(self, line + b"\r\n")

    def ended(self, status: str) -> None:
        self._factoring.done(self, error_line(f"the worker ended ({status})"))


class Factoring:
    """The numbers that wait for the worker, and the worker."""

    def __init__(self, context: Context[FactorOptions, Factoring]) -> None:
        self._context = context
        factors(6)  # which loads the library: at start, and not when the first client waits
        if why := missing_tools():
            reason = because("no_worker", detail=why)
            events.warn("warning", service=context.name, reason=reason)
        self._waiting: deque[_Job] = deque()
        self._job: _Job | None = None
        self._worker: Worker | None = None
        self._deadline: IDelayedCall | None = None
        self._is_stopped = False

    def factor(self, number: int) -> bytes | Deferred[bytes]:
        """The answer line for a number, now or later; cancelling it ends the work."""
        if number < SMALL:
            return factors(number) + b"\r\n"
        is_full = len(self._waiting) >= self._context.options.max_waiting
        if self._is_stopped or (self._job is not None and is_full):
            return error_line("busy")
        job = _Job(number, Deferred(self._cancelled))
        self._waiting.append(job)
        self._next()
        return job.answer

    def done(self, worker: Worker, answer: bytes) -> None:
        """The worker's answer to its number, or its end."""
        if worker is not self._worker:
            return
        if not worker.is_running:
            self._worker = None
        job, self._job = self._job, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if job is not None:
            job.answer.callback(answer)
        self._next()

    def stop(self) -> None:
        """End the worker; who still waits is told that it is busy, and so is who comes yet."""
        self._is_stopped = True
        jobs = [] if self._job is None else [self._job]
        jobs += self._waiting
        self._waiting.clear()
        self._end_worker()
        for job in jobs:
            if not job.answer.called:  # what one is told may have cancelled another
                job.answer.callback(error_line("busy"))

    def _next(self) -> None:
        while self._job is None and self._waiting:
            job = self._waiting.popleft()
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
        return worker

    def _ask(self, worker: Worker, job: _Job) -> None:
        self._job = job
        worker.ask(job.number)
        deadline = self._context.options.deadline
        self._deadline = self._context.clock.callLater(deadline, self._late)

    def _late(self) -> None:
        self._deadline = None
        job = self._job
        self._end_worker()
        if job is not None:
            job.answer.callback(error_line(f"not done within {self._context.options.deadline}"))
        self._next()

    def _cancelled(self, answer: Deferred[bytes]) -> None:
        if self._job is not None and self._job.answer is answer:
            self._end_worker()
            self._context.clock.callLater(0, self._next)
        else:
            self._waiting = deque(job for job in self._waiting if job.answer is not answer)

    def _end_worker(self) -> None:
        worker, self._worker, self._job = self._worker, None, None
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if worker is not None:
            worker.kill()


def answer(context: Context[FactorOptions, Factoring], line: bytes) -> bytes | Deferred[bytes]:
    """The answer to a line that comes without its end."""
    try:
        number = parse_number(line, context.options.max_digits)
    except ValueError as error:
        return error_line(str(error))
    return context.shared.factor(number)


class FactorStream(Requests):
    """Numbers, one at a time."""

    context: Context[FactorOptions, Factoring]

    def answer(self, request: bytes) -> bytes | Deferred[bytes]:
        return answer(self.context, request)


class FactorReplies(Replies):
    """Datagrams, each a number."""

    context: Context[FactorOptions, Factoring]

    amplifies = True

    def answer(self, data: bytes) -> bytes | Deferred[bytes]:
        return answer(self.context, data)


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
