"""Lines that are asked and the answers to them, on a connection or by datagrams.

On a connection lines go out while answers come in, and what waits is bounded: no more lines are
read while `MOST_WAITING` bytes of them have no answer. Datagrams go one at a time, so that an
answer is known by its question and the order stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable

from attrs import define, field, frozen
from twisted.internet.defer import Deferred

from sockd.client.asks import Answer, Talk
from sockd.client.errors import BadAnswer, Refused, TimedOut, Unreachable, UsageFault
from sockd.client.net.arrivals import Arrival
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.report import Value
from sockd.client.talk.input import Source
from sockd.client.talk.refusing import tell_refusal
from sockd.client.waiting import beside, wake
from sockd.formats.faults import error_in
from sockd.formats.lines import LineBuffer, split_lines

MOST_LINE = 1024 * 1024
"""Bytes of a line: the longest that a daemon can be told to take. Longer ones are not sent."""
MOST_ANSWER = MOST_LINE + 1024
"""Bytes of an answer line: no service here says more to a line than it and a few words."""
MOST_WAITING = 256 * 1024
"""Bytes of lines that wait for their answers: several round trips' worth on a fast network, and no
more than a server's buffers take, so that neither side waits for the other for ever."""
BLOCK = 16 * 1024
"""Bytes of lines that are sent at once: a slow network carries them within the wait."""
GRACE = 1.0
"""Seconds at most for the server to end after the last answer: it may not be one that ends."""
MOST_LATE = 16
"""Questions whose answers are known when they come a second time, after a try that was repeated."""
SHOWN = 60
"""Characters of a line or an answer that messages show."""


@frozen(kw_only=True)
class Form:
    """What the answers of a service look like."""

    name: str
    fits: Callable[[bytes, bytes], bool]
    """Whether an answer fits a line; both without their ends."""
    has_greeting: bool = False
    """Whether a line may come first on a connection that answers nothing."""
    question: Callable[[int, bytes], bytes] = lambda number, line: line
    """The datagram that asks a line, by its number from 1 on."""
    text: Callable[[int, bytes], bytes] = lambda number, data: data
    """The answer in a datagram; the datagram itself where it is none to this number."""


def shown(data: bytes) -> str:
    """A beginning of what was said, for a message, in which it will be escaped."""
    text = data[: SHOWN * 4].decode("utf-8", "surrogateescape")
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}'..."


@define(eq=False)
class Tally:
    """Which lines wait for their answers, and what came of the others."""

    form: Form
    talk: Talk
    asked: int = 0
    answered: int = 0
    refused: int = 0
    refusal: Refused | None = None
    """The last of those."""
    waiting: deque[bytes] = field(factory=deque)
    size: int = 0
    """Bytes of them."""
    greeting: bytes | None = None
    is_refused: bool = False
    """Whether the last that the server said is an error."""

    def ask(self, lines: list[bytes]) -> None:
        """These are being sent."""
        self.asked += len(lines)
        self.waiting.extend(lines)
        self.size += sum(map(len, lines)) + len(lines)

    def answer(self, answer: bytes) -> bytes | None:
        """What there is to print of an answer line; None of an error, which is told.

        Raises BadAnswer where it fits no question.
        """
        line = self.waiting[0] if self.waiting else None
        if line is not None and self.form.fits(line, answer):
            self._take()
            self.answered += 1
            self.is_refused = False
            return answer
        if (message := error_in(answer)) is not None:
            self._refuse(line, message)
            return None
        if self.form.has_greeting and self.greeting is None and not self.answered + self.refused:
            self.greeting = answer
            return answer if self.talk.asking.verbosity else None
        if line is None:
            raise BadAnswer(f"{self.talk.target} said {shown(answer)}, which nobody asked")
        raise BadAnswer(f"{self.talk.target} answered {shown(answer)} to {shown(line)}")

    def _take(self) -> None:
        self.size -= len(self.waiting.popleft()) + 1

    def _refuse(self, line: bytes | None, message: bytes) -> None:
        self.refused += 1
        self.is_refused = True
        if line is not None:
            self._take()
        self.refusal = tell_refusal(self.talk, "" if line is None else shown(line), message)

    def ended(self) -> None:
        """The server has finished. Raises BadAnswer where it owes answers."""
        # after an error that ends the connection the lines that followed are not answered
        if self.waiting and not self.is_refused:
            said = "" if self.greeting is None else f", and said {shown(self.greeting)}"
            count = f"{self.answered + self.refused} answers to {self.asked} lines"
            raise BadAnswer(f"{self.talk.target} ended after {count}{said}")

    def result(self, rtt_ns: int | None = None, *, is_kernel: bool = False) -> Answer:
        """What it came to."""
        values: dict[str, Value] = {"lines": self.asked, "answers": self.answered}
        if self.refused:
            values["refused"] = self.refused
        if self.greeting is not None:
            values["greeting"] = self.greeting.decode("utf-8", "surrogateescape")
        return Answer(
            values=values,
            rtt_ns=rtt_ns,
            is_kernel=is_kernel,
            refusal=self.refusal,
        )


async def over_stream(form: Form, source: Source, stream: Stream, talk: Talk) -> Answer:
    """Ask all lines on a connection, and print the answers as they come."""
    conversation = _Conversation(source, stream, talk, Tally(form, talk))
    return await beside(conversation.receive(), conversation.send())


@define(eq=False)
class _Conversation:
    source: Source
    stream: Stream
    talk: Talk
    tally: Tally
    _is_all: bool = False
    """Whether every line has been sent."""
    _since_ns: int = 0
    """When the answer that is due began to be waited for."""
    _first_ns: int | None = None
    """How long the first answer took."""
    _room: Deferred[None] | None = None

    async def send(self) -> None:
        """Send the lines, as fast as they are answered."""
        buffer = LineBuffer(MOST_LINE)
        try:
            while data := await self.source.read():
                buffer.feed(data)
                await self._send_lines(buffer)
                if buffer.fault:
                    raise _too_long(self.tally.asked + 1)
            buffer.end()
            await self._send_lines(buffer)
            self._is_all = True
            self.stream.finish()
        except Unreachable:
            return  # what the server said before is there to read, and says more

    async def _send_lines(self, buffer: LineBuffer) -> None:
        while buffer.has_request:
            while self.tally.size > MOST_WAITING:
                self._room = Deferred()
                await self._room
            lines = split_lines(buffer.take_block(BLOCK))
            if not self.tally.waiting:
                self._since_ns = self.talk.run.monotonic_ns()
            self.tally.ask(lines)
            self.stream.write(b"\n".join(lines) + b"\n")
            await self.stream.drained()

    async def receive(self) -> Answer:
        """Take the answers, to the end or until there are all."""
        buffer = LineBuffer(MOST_ANSWER)
        try:
            while data := await self._read():
                buffer.feed(data)
                self._take(buffer)
                if buffer.fault:
                    said = f"a line of more than {MOST_ANSWER} bytes"
                    raise BadAnswer(f"{self.talk.target} said {said}")
        except Unreachable:
            if not self.tally.is_refused:  # it has said why it leaves
                raise
        else:
            if data is not None:
                self._end(buffer)
        return self.tally.result(self._first_ns)

    def _end(self, buffer: LineBuffer) -> None:
        """The server has finished."""
        buffer.end()
        self._take(buffer)
        self.tally.ended()
        if not self._is_all and not self.tally.is_refused:
            raise Unreachable(f"{self.talk.target} ended before all lines were sent")

    async def _read(self) -> bytes | None:
        """What comes next; None where all is answered and the server does not end."""
        wait = self.talk.asking.wait
        while True:
            is_done = self._is_all and not self.tally.waiting
            left = wait - (self.talk.run.monotonic_ns() - self._since_ns) / 1e9
            try:
                if is_done:
                    return await self.stream.read(min(wait, GRACE))
                return await self.stream.read(left if self.tally.waiting and left > 0 else wait)
            except TimedOut:
                if is_done:
                    return None
                if self.tally.waiting and self._waited() >= wait:
                    raise self._late() from None

    def _waited(self) -> float:
        return (self.talk.run.monotonic_ns() - self._since_ns) / 1e9

    def _late(self) -> TimedOut:
        line = shown(self.tally.waiting[0])
        return TimedOut(
            f"no answer from {self.talk.target} to {line} within {self.talk.asking.wait:g} s"
        )

    def _take(self, buffer: LineBuffer) -> None:
        if not buffer.has_request:
            return
        answers: list[bytes] = []
        try:
            while buffer.has_request:
                for line in split_lines(buffer.take_block(BLOCK)):
                    if error_in(line) is not None:  # what came before it is told before it
                        self._print(answers)
                    if (answer := self.tally.answer(line)) is not None:
                        answers.append(answer)
        finally:  # what came before one that is wrong is printed
            if self._first_ns is None and self.tally.answered + self.tally.refused:
                self._first_ns = self.talk.run.monotonic_ns() - self._since_ns
            self._print(answers)
            # who reads what is printed may have taken his time
            self._since_ns = self.talk.run.monotonic_ns()
            room, self._room = self._room, None
            if room is not None:
                wake(self.talk.run.reactor, room)

    def _print(self, answers: list[bytes]) -> None:
        if answers:
            self.talk.out(b"\n".join(answers) + b"\n")
            answers.clear()


def _too_long(number: int) -> UsageFault:
    return UsageFault(f"line {number} of the input has more than {MOST_LINE} bytes")


async def over_datagrams(form: Form, source: Source, datagrams: Datagrams, talk: Talk) -> Answer:
    """Ask the lines one by one, each by a datagram, which is sent again as `--retries` says."""
    tally = Tally(form, talk, greeting=b"")  # no datagram is greeted
    buffer = LineBuffer(MOST_LINE)
    late: deque[bytes] = deque(maxlen=MOST_LATE)
    first: Arrival | None = None
    is_over = False
    while not is_over:
        data = await source.read()
        is_over = not data
        buffer.end() if is_over else buffer.feed(data)
        while buffer.has_request:
            line = buffer.take()
            came = await _ask(form, datagrams, tally, line, late)
            first = first or came
        if buffer.fault:
            raise _too_long(tally.asked + 1)
    tally.greeting = None
    if first is None:
        return tally.result()
    return tally.result(first.rtt_ns, is_kernel=first.is_kernel)


async def _ask(
    form: Form, datagrams: Datagrams, tally: Tally, line: bytes, late: deque[bytes]
) -> Arrival:
    """Ask one line. An answer to an earlier one, of which two tries were answered, is not its."""
    talk = tally.talk
    number = tally.asked + 1

    def answer_of(data: bytes) -> bytes:
        text = form.text(number, data)
        return text if form.fits(line, text) else text.removesuffix(b"\n").removesuffix(b"\r")

    def is_for_it(came: Arrival) -> bool:
        return form.fits(line, answer_of(came.data)) or came.data not in late

    tally.ask([line])
    try:
        came = await datagrams.ask(
            form.question(number, line),
            wait=talk.asking.wait,
            retries=talk.asking.retries,
            matches=is_for_it,
        )
    except TimedOut as error:
        raise TimedOut(f"{error} (line {number}: {shown(line)})") from None
    late.append(came.data)
    answer = tally.answer(answer_of(came.data))
    if answer is not None:
        talk.out(answer + b"\n")
    return came
