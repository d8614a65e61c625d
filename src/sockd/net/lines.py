"""Framing for stream services: lines in batches, lines one at a time, a whole text.

Lines end in LF or CRLF; one that the peer's end of file cuts off is a line too. A line longer than
`max_line`, or one whose end does not come within `line_timeout`, gets an `error: ` line and the
connection is closed: nothing after it can be understood.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from sockd.access.peer import Peer
from sockd.net.context import Context
from sockd.net.progress import is_cut
from sockd.net.stream import Stream, error_line

BATCH_BYTES = 8 * 1024
"""Bytes of lines that are answered with one write: the answers to a read full of one-byte lines do
not become one huge answer, and a peer that does not read is noticed between two of them."""
SHORT_LINE = 512
"""Bytes of an ASCII line that is answered at once if it comes alone: it costs little more than to
read it, and so it need not wait for a turn. Other letters can cost more."""
LINES_PER_TURN = 100
"""Lines that a service works through one at a time before the others have their turn."""
PIECES_PER_WRITE = 64
"""Pieces of a long answer that are written at once."""


@frozen
class Cut:
    """What bytes came to: whole lines with their ends, what is left, and if a line is too long.

    After a line that is too long nothing more is cut.
    """

    block: bytes
    partial: bytes
    too_long: bool

    @property
    def lines(self) -> list[bytes]:
        """The whole lines, without their ends."""
        return split_lines(self.block)


def cut(data: bytes, max_line: int) -> Cut:
    """Cut bytes that begin at the start of a line behind their last whole line."""
    end = data.rfind(b"\n") + 1
    block, partial = (data, b"") if end == len(data) else (data[:end], data[end:])
    if len(data) > max_line:
        short = _end_of_short_lines(block, max_line)
        if short < len(block):
            return Cut(block[:short], b"", True)
        if len(partial) > max_line + partial.endswith(b"\r"):
            return Cut(block, b"", True)
    return Cut(block, partial, False)


def _end_of_short_lines(block: bytes, max_line: int) -> int:
    """Where the first line that is too long begins; a look each `max_line` bytes, not each line."""
    start, size = 0, len(block)
    while start < size:
        # the end of a line of the greatest length is CRLF, or LF
        end = block.rfind(b"\n", start, start + max_line + 1) + 1
        if not end:
            end = start + max_line + 2
            if block[end - 2 : end] != b"\r\n":
                return start
        start = end
    return start


def split_lines(block: bytes) -> list[bytes]:
    """The lines of a block of whole lines, without their ends."""
    if b"\r" not in block:
        lines = block.split(b"\n")
    else:
        lines = block.split(b"\r\n")
        if len(lines) <= block.count(b"\n"):
            # some end in LF, some in CRLF: the way that is always right takes twice as long
            lines = block.replace(b"\r\n", b"\n").split(b"\n")
    lines.pop()
    return lines


def _batch_end(block: bytes, start: int, size: int) -> int:
    """The end of at most so many bytes of whole lines that start there: one line at least."""
    limit = start + size
    if len(block) <= limit:
        return len(block)
    return block.rfind(b"\n", start, limit) + 1 or block.index(b"\n", limit) + 1


class Framed(Stream):
    """Cuts what comes into lines and hands them on: to `lines`, then to `ended` at end of file."""

    reads_lines = True

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._partial = b""
        self._deaf = False
        # None: since the last look
        self._partial_since: float | None = None

    def whole_lines(self, block: bytes) -> None:
        """Whole lines with their ends, at least one."""
        self.lines(split_lines(block))

    def lines(self, lines: list[bytes]) -> None:
        """Whole lines without their ends, at least one."""

    def ended(self, last_words: bytes = b"") -> None:
        """No more lines come: answer what there is, then say the last words and close."""
        if last_words:
            self.write(last_words)
        self.close()

    def received(self, data: bytes) -> None:
        if self._deaf:
            return
        limit = self.context.limits.max_line
        found = cut(self._partial + data if self._partial else data, limit)
        self._partial = found.partial
        if found.block:
            self._partial_since = None
            self.whole_lines(found.block)
        if found.too_long and not self.is_closing:
            self._deafen(f"line longer than {int(limit)} bytes")

    def finished(self) -> None:
        if self._deaf:
            return
        if self._partial:
            last, self._partial = self._partial + b"\n", b""
            self.whole_lines(last)
        if not self.is_closing:
            self._deaf = True
            self.ended()

    def _deafen(self, message: str) -> None:
        self._deaf = True
        self._partial = b""
        self._why = self._why or f"error: {message}"
        self.ended(error_line(message))

    def sweep_request(self, now: float) -> None:
        if not self._partial:
            return
        if self._partial_since is None:
            self._partial_since = now
        elif now - self._partial_since >= self.context.limits.line_timeout:
            self._deafen(f"no end of line within {self.context.limits.line_timeout}")


class Queued(Framed):
    """Answers lines in turns; while some of them wait, no more are read."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._block = b""
        # how much of the block is done: cutting that off each time would copy the rest each time
        self._start = 0
        self._resting = False
        self._awaited: Deferred[bytes] | None = None
        self._last_words: bytes | None = None

    def work(self, until: float) -> None:
        """Answer lines, at least one, until the clock shows so many seconds or none are left."""
        raise NotImplementedError

    def take_lines(self, size: int) -> bytes:
        """The next lines, with their ends: at most so many bytes, but one line at least."""
        block, start = self._block, self._start
        end = _batch_end(block, start, size)
        self._block, self._start = (block, end) if end < len(block) else (b"", 0)
        return block[start:end]

    def whole_lines(self, block: bytes) -> None:
        self._block = self._block[self._start :] + block if self._block else block
        self._start = 0
        if not (self._resting or self.is_blocked):
            self._ask()

    def ended(self, last_words: bytes = b"") -> None:
        self._last_words = last_words
        self._end_if_done()

    def unblock(self) -> None:
        if not self._resting:
            super().unblock()

    def unblocked(self) -> None:
        if self._block and self._awaited is None:
            self._ask()

    def gone(self) -> None:
        self._block = b""
        self.context.host.turns.leave(self)

    def turn(self, until: float) -> None:
        """From `Turns`: work until then."""
        if self._block and not (self.is_blocked or self.is_closing):
            self.work(until)
        if self.is_closing:
            return
        if self._awaited is not None:
            self._rest()
        elif self._block:
            self._rest()
            if not self.is_blocked:
                self.context.host.turns.wait(self)
        else:
            self._read_on()
            self._end_if_done()

    def sweep_request(self, now: float) -> None:
        if not self._resting:
            super().sweep_request(now)
        elif is_cut(self._socket()):
            # nothing is read, so nothing else would tell; what is worked on for it can be ended
            self.abort("closed by the peer")

    def _ask(self) -> None:
        if not self.context.host.turns.take(self):
            self._rest()

    def _rest(self) -> None:
        """Read no more until the lines that are here are answered."""
        if not self._resting:
            self._resting = True
            self.block()

    def _read_on(self) -> None:
        if self._resting:
            self._resting = False
            if not self.is_blocked:
                self.unblock()

    def _end_if_done(self) -> None:
        done = not self._block and self._awaited is None
        if done and self._last_words is not None and not self.is_closing:
            super().ended(self._last_words)


class Lines(Queued):
    """Answers lines in batches: one call and one write for all that came at once."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._short = min(SHORT_LINE, int(context.limits.max_line))
        self._batch = min(BATCH_BYTES, int(context.limits.max_line))

    def answer(self, lines: list[bytes]) -> bytes:
        """The answers to these lines, in order, with their line ends."""
        raise NotImplementedError

    def answer_block(self, block: bytes) -> bytes:
        """The same for lines that still have their ends, where that is quicker."""
        return self.answer(split_lines(block))

    def received(self, data: bytes) -> None:
        size = len(data)
        if size > self._batch or self._partial or self._resting or self.is_blocked:
            super().received(data)
        elif size <= self._short and data.find(b"\n") + 1 == size and data.isascii():
            self.write(self.answer_block(data))
        elif data.endswith(b"\n") and (turns := self.context.host.turns).are_free:
            seconds = self.context.clock.seconds
            start = seconds()
            self.write(self.answer_block(data))
            turns.charge(seconds() - start)
        else:
            super().received(data)

    def work(self, until: float) -> None:
        clock = self.context.clock
        while True:
            self.write(self.answer_block(self.take_lines(BATCH_BYTES)))
            if not self._block or self.is_blocked or self.is_closing or clock.seconds() >= until:
                return


class EachLine(Queued):
    """Answers lines one at a time, in order; an answer may come later."""

    def answer(self, line: bytes) -> bytes | Deferred[bytes]:
        """The answer to this line, with its line end, or a Deferred that brings it."""
        raise NotImplementedError

    def gone(self) -> None:
        super().gone()
        if self._awaited is not None:
            self._awaited.cancel()

    def work(self, until: float) -> None:
        clock = self.context.clock
        answers: list[bytes] = []
        for _ in range(LINES_PER_TURN):
            answer = self.answer(self.take_lines(1).removesuffix(b"\n").removesuffix(b"\r"))
            if isinstance(answer, Deferred):
                self._say(answers)
                self._await(answer)
                return
            answers.append(answer)
            if not self._block or self.is_closing or clock.seconds() >= until:
                break
        self._say(answers)

    def _say(self, answers: list[bytes]) -> None:
        # one write a turn: a piece of a few bytes costs the transport ten times its length
        if answers:
            self.write(b"".join(answers))

    def _await(self, answer: Deferred[bytes]) -> None:
        self._awaited = answer
        answer.addCallbacks(self._answered, self._unanswered)

    def _answered(self, answer: bytes) -> None:
        self._awaited = None
        if not self.is_closing:
            self.write(answer)
            # a turn of its own: an answer that was there at once must not recurse
            self.context.host.turns.wait(self)

    def _unanswered(self, failure: Failure) -> None:
        self._awaited = None
        if not self.is_closing:
            self.guarded(failure.raiseException)


class Text(Stream):
    """Reads a whole text, to end of file, and answers it in pieces."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        # not a list of chunks: a peer can send them a byte at a time
        self._text = bytearray()
        self._pieces: Iterator[bytes] | None = None

    @property
    def max_text(self) -> int:
        """Bytes of the longest text."""
        raise NotImplementedError

    def answer(self, text: bytes) -> Iterator[bytes]:
        """The pieces of the answer, each of them a small amount of work."""
        raise NotImplementedError

    def received(self, data: bytes) -> None:
        if self.bytes_in > self.max_text:
            self._text.clear()
            self.fail(f"text longer than {self.max_text} bytes")
        else:
            self._text += data

    def finished(self) -> None:
        text = bytes(self._text)
        self._text.clear()
        self._pieces = self.answer(text)
        self.context.host.turns.take(self)

    def unblocked(self) -> None:
        if self._pieces is not None:
            self.context.host.turns.take(self)

    def gone(self) -> None:
        self.context.host.turns.leave(self)

    def turn(self, until: float) -> None:
        """From `Turns`: write pieces until then."""
        clock, pieces = self.context.clock, self._pieces
        while not (pieces is None or self.is_blocked or self.is_closing):
            found, is_late = [], False
            for piece in islice(pieces, PIECES_PER_WRITE):
                found.append(piece)
                if is_late := clock.seconds() >= until:
                    break
            self.write(b"".join(found))
            if is_late:
                self.context.host.turns.wait(self)
                return
            if len(found) < PIECES_PER_WRITE:
                self.close()
