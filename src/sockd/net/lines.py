"""Framing for stream services: lines in batches, lines one at a time, a whole text.

Lines end in LF or CRLF; one that the peer's end of file cuts off is a line too. A line longer than
`max_line`, or one whose end does not come within `line_timeout`, gets an `error: ` line and the
connection is closed: nothing after it can be understood.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from itertools import islice
from typing import ClassVar

from attrs import frozen
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.python.failure import Failure

from sockd.net.context import Context
from sockd.net.peer import Peer
from sockd.net.progress import is_cut
from sockd.net.stream import Stream, error_line

BATCH_BYTES = 8 * 1024
"""Bytes of lines that are answered with one write: the answers to a read full of one-byte lines do
not become one huge answer, and a peer that does not read is noticed between two of them."""
TURN_SECONDS = 0.002
"""After this the others have their turn, before the next batch: some lines cost more than most."""
LINES_PER_TURN = 100
"""Lines that a service works through one at a time before the others have their turn."""
PIECES_PER_TURN = 64
"""Pieces of a long answer that are written before the others have their turn."""


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


def _batch_end(block: bytes, start: int) -> int:
    """The end of the batch of whole lines that starts there: one line at least."""
    limit = start + BATCH_BYTES
    if len(block) <= limit:
        return len(block)
    return block.rfind(b"\n", start, limit) + 1 or block.index(b"\n", limit) + 1


class Framed(Stream):
    """Cuts what comes into lines and hands them on: to `lines`, then to `ended` at end of file."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._partial = b""
        self._deaf = False
        self._partial_number = -1
        self._partial_since = 0.0
        self._chunks_with_ends = 0

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
            self._chunks_with_ends += 1
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
        if self._partial_number != self._chunks_with_ends:
            self._partial_number = self._chunks_with_ends
            self._partial_since = now
        elif now - self._partial_since >= self.context.limits.line_timeout:
            self._deafen(f"no end of line within {self.context.limits.line_timeout}")


class Lines(Framed):
    """Answers lines in batches: one call and one write for all that came at once."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._waiting = b""
        self._next_turn: IDelayedCall | None = None
        self._last_words: bytes | None = None

    def answer(self, lines: list[bytes]) -> bytes:
        """The answers to these lines, in order, with their line ends."""
        raise NotImplementedError

    def answer_block(self, block: bytes) -> bytes:
        """The same for lines that still have their ends, where that is quicker."""
        return self.answer(split_lines(block))

    def whole_lines(self, block: bytes) -> None:
        self._waiting += block
        if self._next_turn is None:
            self._work()

    def unblocked(self) -> None:
        if self._next_turn is None:
            self._work()
            self._end_if_done()

    def unblock(self) -> None:
        if self._next_turn is None:
            super().unblock()

    def gone(self) -> None:
        self._waiting = b""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _work(self) -> None:
        self._next_turn = None
        clock = self.context.clock
        until = clock.seconds() + TURN_SECONDS
        block, start = self._waiting, 0
        while start < len(block) and not self.is_blocked and not self.is_closing:
            if start and clock.seconds() >= until:
                self.block()
                self._next_turn = clock.callLater(0, self.guarded, self._take_turn)
                break
            end = _batch_end(block, start)
            self.write(self.answer_block(block[start:end]))
            start = end
        self._waiting = block[start:]

    def _take_turn(self) -> None:
        self._work()
        if self._next_turn is None and not self.is_blocked and not self.is_closing:
            self.unblock()
        self._end_if_done()

    def _end_if_done(self) -> None:
        if not self._waiting and self._last_words is not None and not self.is_closing:
            super().ended(self._last_words)

    def ended(self, last_words: bytes = b"") -> None:
        self._last_words = last_words
        self._end_if_done()


class EachLine(Framed):
    """Answers lines one at a time, in order; an answer may come later."""

    lines_per_turn: ClassVar[int] = LINES_PER_TURN

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        self._queue: deque[bytes] = deque()
        self._waiting = b""
        self._awaited: Deferred[bytes] | None = None
        self._next_turn: IDelayedCall | None = None
        self._resting = False
        self._last_words: bytes | None = None

    def answer(self, line: bytes) -> bytes | Deferred[bytes]:
        """The answer to this line, with its line end, or a Deferred that brings it."""
        raise NotImplementedError

    def whole_lines(self, block: bytes) -> None:
        self._waiting += block
        if self._next_turn is None and self._awaited is None:
            self._turn()

    def ended(self, last_words: bytes = b"") -> None:
        self._last_words = last_words
        self._end_if_done()

    def unblocked(self) -> None:
        if self._next_turn is None and self._awaited is None:
            self._turn()

    def gone(self) -> None:
        self._queue.clear()
        self._waiting = b""
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None
        if self._awaited is not None:
            self._awaited.cancel()

    def _turn(self) -> None:
        self._next_turn = None
        answers: list[bytes] = []
        for _ in range(self.lines_per_turn):
            if self.is_blocked or self.is_closing:
                break
            if not self._queue:
                self._take_lines()
            if not self._queue:
                break
            answer = self.answer(self._queue.popleft())
            if isinstance(answer, Deferred):
                self._say(answers)
                self._await(answer)
                return
            answers.append(answer)
        else:
            self._say(answers)
            self._rest()
            self._next_turn = self.context.clock.callLater(0, self.guarded, self._turn)
            return
        self._say(answers)
        if self._resting and not self.is_blocked and not self.is_closing:
            self._resting = False
            self.unblock()
        self._end_if_done()

    def _take_lines(self) -> None:
        *lines, self._waiting = self._waiting.split(b"\n", self.lines_per_turn)
        self._queue.extend(line.removesuffix(b"\r") for line in lines)

    def _say(self, answers: list[bytes]) -> None:
        # one write a turn: a piece of a few bytes costs the transport ten times its length
        if answers:
            self.write(b"".join(answers))

    def unblock(self) -> None:
        if not self._resting:
            super().unblock()

    def sweep_request(self, now: float) -> None:
        if not self._resting:
            super().sweep_request(now)
        elif is_cut(self._socket()):
            # nothing is read, so nothing else would tell; what is worked on for it can be ended
            self.abort("closed by the peer")

    def _rest(self) -> None:
        """Read no more until the lines that are here are answered."""
        self._resting = True
        self.block()

    def _await(self, answer: Deferred[bytes]) -> None:
        self._awaited = answer
        self._rest()
        answer.addCallbacks(self._answered, self._unanswered)

    def _answered(self, answer: bytes) -> None:
        self._awaited = None
        if not self.is_closing:
            self.write(answer)
            # a turn of its own: an answer that was there at once must not recurse
            self._next_turn = self.context.clock.callLater(0, self.guarded, self._turn)

    def _unanswered(self, failure: Failure) -> None:
        self._awaited = None
        if not self.is_closing:
            self.guarded(failure.raiseException)

    def _end_if_done(self) -> None:
        done = not (self._queue or self._waiting or self._awaited or self._next_turn)
        if done and self._last_words is not None and not self.is_closing:
            super().ended(self._last_words)


class Text(Stream):
    """Reads a whole text, to end of file, and answers it in pieces."""

    def __init__(self, context: Context, peer: Peer) -> None:
        super().__init__(context, peer)
        # not a list of chunks: a peer can send them a byte at a time
        self._text = bytearray()
        self._pieces: Iterator[bytes] | None = None
        self._next_turn: IDelayedCall | None = None

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
        self._turn()

    def unblocked(self) -> None:
        if self._pieces is not None and self._next_turn is None:
            self._turn()

    def gone(self) -> None:
        if self._next_turn is not None:
            self._next_turn.cancel()
            self._next_turn = None

    def _turn(self) -> None:
        self._next_turn = None
        pieces = self._pieces
        if self.is_blocked or self.is_closing or pieces is None:
            return
        found = list(islice(pieces, PIECES_PER_TURN))
        self.write(b"".join(found))
        if len(found) < PIECES_PER_TURN:
            self.close()
            return
        self._next_turn = self.context.clock.callLater(0, self.guarded, self._turn)
