"""The base of services that answer requests: a greeting, then an answer to each request, in order.

A request is what the connection's buffer makes of the bytes: a line, unless a service says
otherwise. An answer is bytes, pieces of it one after the other, or a Deferred that brings either.
Answering is done in turns that all connections share (`sockd.net.turns`); while requests wait, are
answered, or answers are not taken, no more are read.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from typing import Any, ClassVar, Protocol

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.formats.lines import LineBuffer
from sockd.net.context import Context
from sockd.net.states import NO_HOLD, Hold
from sockd.net.stream import DONE, Stream

Pieces = Iterator[bytes]
Answer = bytes | Pieces | Deferred[bytes] | Deferred[Pieces]

BATCH_BYTES = 8 * 1024
"""Bytes of lines that are answered with one call, and of answers that are written at once: a peer
that does not read is noticed between two of them."""
SHORT_LINE = 512
"""Bytes of an ASCII line that is answered at once if it comes alone: it costs little more than to
read it, and so it need not wait for a turn. Other letters can cost more."""
REQUESTS_PER_TURN = 100
"""Requests that are answered one at a time before the others have their turn."""
BYTES_PER_TURN = 64 * 1024
"""Bytes of answers that are written before the others have their turn."""


class Buffer(Protocol):
    """What makes requests of bytes: see `sockd.formats.lines`, `.whole` and `.frames`."""

    limit: int
    fault: str
    """The name of the reason for which it hears nothing more, if it does not."""

    @property
    def has_request(self) -> bool:
        """Whether there is a whole request to take."""

    @property
    def is_partial(self) -> bool:
        """Whether a request has begun that must be whole within `line_timeout`."""

    def feed(self, data: bytes) -> None:
        """Bytes that have come."""

    def end(self) -> None:
        """No more bytes come."""

    def take(self) -> bytes:
        """The next request."""

    def clear(self) -> None:
        """Forget what is held."""


class Deaf:
    """The buffer of who hears nothing."""

    limit = 0
    fault = ""
    has_request = is_partial = False

    def feed(self, data: bytes) -> None:
        """Nothing is kept."""

    def end(self) -> None:
        """Nothing is here."""

    def take(self) -> bytes:
        """Nothing is here."""
        return b""

    def clear(self) -> None:
        """Nothing is here."""


_DEAF = Deaf()


class Requests(Stream):
    """One connection of a service that answers requests."""

    buffer: Buffer = _DEAF
    _pieces: Pieces | None = None
    """What is left of the answer that is being written."""
    _awaited: Deferred[Any] | None = None
    """The answer that is to come."""
    _made: list[bytes] | None = None
    """While a turn runs: what is answered in it and not written yet, to be written as one."""
    _has_ended = False
    """Whether no more requests come: the peer has finished, or nothing more is understood."""
    _in_batches: ClassVar[bool] = False
    _short = SHORT_LINE
    _batch = BATCH_BYTES

    def __init_subclass__(cls) -> None:
        cls._in_batches = cls.answer_block is not Requests.answer_block
        if "reads_lines" not in vars(cls):
            cls.reads_lines = cls.hears and cls.make_buffer is Requests.make_buffer

    def __init__(self, context: Context[Any, Any], peer: Peer, entrance: Entrance) -> None:
        super().__init__(context, peer, entrance)
        self.requests = 0
        self.holds = NO_HOLD
        self._made = None
        self.buffer = self.make_buffer()
        if (limit := self.buffer.limit) < BATCH_BYTES:
            self._short, self._batch = min(SHORT_LINE, limit), limit

    # what a service overrides

    def make_buffer(self) -> Buffer:
        """What makes requests of bytes: lines of at most `max_line`."""
        return LineBuffer(int(self.context.limits.max_line))

    def greeting(self) -> Answer:
        """What is said first."""
        return b""

    def answer(self, request: bytes) -> Answer:
        """The answer to a request, with its line end. A line comes without its own."""
        raise NotImplementedError

    def answer_block(self, block: bytes) -> bytes:
        """In place of `answer`, where it is quicker: the answers to many lines at once, in order.

        The lines have their ends; `split_lines` takes them off.
        """
        raise NotImplementedError

    # what a service uses

    def hear_no_more(self) -> None:
        """Drop what else was asked, and what will be; close once the present answer is given."""
        self.buffer = _DEAF
        self._has_ended = True
        if self._made is None:
            self._go_on()

    def drop(self) -> None:
        """Forget what is buffered, being answered, or waits for its turn, and go on in step.

        Answers that are made already are still sent.
        """
        self.buffer.clear()
        self.context.world.turns.leave(self)
        pieces, self._pieces = self._pieces, None
        if isinstance(pieces, Generator):
            pieces.close()
        awaited, self._awaited = self._awaited, None
        if awaited is not None:
            awaited.addErrback(_nobodys)  # within a turn nobody has heard of it yet
            awaited.cancel()
        if self._made is None:
            self._go_on()

    # from `Stream`

    def opened(self) -> None:
        self._say(self.greeting())

    def received(self, data: bytes) -> None:
        if self._in_batches and not (self.buffer.is_partial or self.holds or self._has_ended):
            size = len(data)
            if size <= self._short and data.find(b"\n") + 1 == size and data.isascii():
                answer = self.answer_block(data)
                if not self.is_closing:  # as in `_give`, without a call more for each line
                    self.bytes_out += len(answer)
                    self.transport.write(answer)
                return
            turns = self.context.world.turns
            if size <= self._batch and data.endswith(b"\n") and turns.are_free:
                seconds = self.context.clock.seconds
                start = seconds()
                self._give(self.answer_block(data))
                turns.charge(seconds() - start)
                return
        if not self._has_ended:
            self.buffer.feed(data)
            self._go_on()

    def finished(self) -> None:
        self.buffer.end()
        self._has_ended = True
        self._go_on()

    def gone(self) -> None:
        if self._pieces is not None or self._awaited is not None:
            self.drop()
        else:
            self.context.world.turns.leave(self)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        self.contain(self._go_on)

    @property
    def is_partial(self) -> bool:
        """A request has begun and is not whole."""
        return self.buffer.is_partial

    @property
    def text(self) -> int:  # type: ignore[override]  # a number on the class of who reads none
        """Which text it is that has begun and is not whole; 0: none, as without texts."""
        return int(getattr(self.buffer, "text", 0))

    @property
    def is_working(self) -> bool:
        """The peer waits for us."""
        return self._awaited is not None or self._has_work

    # turns

    @property
    def _has_work(self) -> bool:
        return self._pieces is not None or self.buffer.has_request

    def _go_on(self) -> None:
        """Have a turn now or wait for one, where there is something to do and it can be done."""
        if self.is_closing:
            return
        if (
            not self._has_work
            or self._awaited is not None
            or self.is_blocked
            or not self.context.world.turns.take(self)
        ):
            self._rest_or_end()

    def turn(self, until: float) -> None:
        """From `Turns`: answer until then, in seconds of the clock."""
        seconds = self.context.clock.seconds
        made = self._made = []
        waiting = written = 0
        last = self.requests + REQUESTS_PER_TURN
        try:
            while self._has_work and self._awaited is None and not self._is_stuck:
                if piece := self._next_piece():
                    made.append(piece)
                    waiting += len(piece)
                is_over = self.requests == last or seconds() >= until
                if waiting >= BATCH_BYTES or is_over:
                    self._write_made()
                    written, waiting = written + waiting, 0
                if is_over or written >= BYTES_PER_TURN:
                    break
        finally:
            self._write_made()
            self._made = None
        if self._awaited is not None:
            self._await(self._awaited)
        if not self.is_closing:
            self._rest_or_end()

    @property
    def _is_stuck(self) -> bool:
        return self.is_closing or self.is_blocked

    def _write_made(self) -> None:
        # one write for many: a piece of a few bytes costs the transport ten times its length
        if made := self._made:
            data = b"".join(made)
            made.clear()
            self._give(data)

    def _give(self, data: bytes) -> None:
        """Write an answer, unless making it has closed the connection."""
        if not self.is_closing:
            Stream.write(self, data)

    def write(self, data: bytes) -> None:
        self._write_made()
        super().write(data)

    def close(self, reason: Reason = DONE) -> None:
        self._write_made()
        super().close(reason)

    def _next_piece(self) -> bytes:
        """The next piece of the answer that is being written, or the beginning of the next one."""
        if self._pieces is not None:
            piece = next(self._pieces, None)
            if piece is None:
                self._pieces = None
                return b""
            return piece
        self.requests += 1
        if self._in_batches:
            assert isinstance(self.buffer, LineBuffer)
            return self.answer_block(self.buffer.take_block(self._batch))
        return self._take_up(self.answer(self.buffer.take()))

    def _take_up(self, answer: Answer) -> bytes:
        """Take an answer up; returns what of it can be written now."""
        if isinstance(answer, bytes):
            return answer
        if isinstance(answer, Deferred):
            self._awaited = answer
        elif isinstance(answer, Iterator):
            self._pieces = answer
            self.produce()
        else:
            raise TypeError(f"an answer is bytes, an iterator or a Deferred, not {answer!r}")
        return b""

    def _say(self, answer: Answer) -> None:
        """Give an answer that no turn is given to yet."""
        if now := self._take_up(answer):
            self.write(now)
        if self._awaited is not None:
            self._await(self._awaited)
        self._go_on()

    def _await(self, awaited: Deferred[Any]) -> None:
        """Not before all that comes first is written: the answer may be there already."""
        if not self._is_counted:
            self.drop()  # it was lost while it asked
            return
        awaited.addCallbacks(
            self._answered, self._unanswered, callbackArgs=(awaited,), errbackArgs=(awaited,)
        )

    def _answered(self, answer: bytes | Pieces, awaited: Deferred[Any]) -> None:
        if self._awaited is awaited:
            self._awaited = None
            self.contain(self._take_answer, answer)

    def _take_answer(self, answer: bytes | Pieces) -> None:
        if self.is_closing:
            return
        if now := self._take_up(answer):
            self.write(now)
        # a turn of its own: an answer that was there at once must not recurse
        self.context.world.turns.wait(self)

    def _unanswered(self, failure: Failure, awaited: Deferred[Any]) -> None:
        if self._awaited is awaited:
            self._awaited = None
            if not self.is_closing:
                self.fault(failure)

    def _rest_or_end(self) -> None:
        """What follows from what is left to do: wait for a turn, read on, or end."""
        if self.is_working:
            self.hold(Hold.WORK)
            if self._awaited is None and not self.is_blocked:
                self.context.world.turns.wait(self)
            return
        self.release(Hold.WORK)
        if self.buffer.fault:
            self.fail(because(self.buffer.fault, limit=self.buffer.limit))
        elif self._has_ended:
            self.close()


def _nobodys(_: Failure) -> None:
    """What became of an answer that nobody waits for."""


class Once(Requests):
    """Says its greeting and closes. What the peer sends is dropped."""

    produces = False
    lingers = False
    hears = False
    _has_ended = True

    # not that of `Requests`: there is no buffer to make
    __init__ = Stream.__init__

    def opened(self) -> None:
        text = self.greeting()
        if isinstance(text, bytes):
            Stream.write(self, text)
            Stream.close(self)
        else:
            self._say(text)
