"""Make a text that is like another one.

A client uploads a text. The service learns which words follow each pair of words, and how often,
and makes up a new text from that: as long as one likes, in the manner of the old one, and without
sense. Words are what stands between white space. Each connection has a text of its own; with
`preload` all of them have one to begin with.

    $ echo 'the cat sat and the cat ran and the dog sat' | sock travesty --generate 5 -
        ...

A transfer is stopped at once by an urgent byte of TCP, which `sock travesty` sends at ^C. In an
upload what has not been read yet is dropped, up to the byte; what was learnt is kept. In a text
that is sent, an urgent byte comes back where it was cut off. Over TLS, Unix sockets, and where a
network takes the urgent flag away, a line `ABORT` does the same for a client that has asked for
`FEATURES`.

The protocol can be typed, as far as it needs no urgent byte:

    $ (echo DATA; echo a cat or a dog; echo .; echo GENERATE 6; echo BYE) | sock send localhost 2007
    100 sockd travesty: DATA, GENERATE n, RESET, BYE
    201 send a text, and a line that is "." alone
    202 learnt: 4 words that differ
    203 the text follows, and a line that is "." alone
        ...
    .
    204 goodbye

RESET is answered by 205, and forgets what was preloaded as well; so does DATA. FEATURES is answered
by 206. Behind ABORT comes the end of what it ends, as it would come by itself, 202 or a line that
is `.` alone, and then 207: at once where nothing was under way. 500 says what is wrong with a
command, 552 that there is no room for all of a text, and how much is known of it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Any

from twisted.internet.defer import Deferred

from sockd import events
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.access.reasons import Reason, because
from sockd.formats import ports
from sockd.formats import travesty as wire
from sockd.net import urgent
from sockd.net.context import Context
from sockd.net.requests import Answer, Requests
from sockd.net.states import Hold
from sockd.net.urgent_ahead import UrgentAhead
from sockd.net.urgent_transport import works_on
from sockd.service import Exchange, Instance, Kind
from sockd.travesty.desk import Desk, TravestyOptions
from sockd.travesty.uploads import Uploads

LARGEST_COUNT = 10**12
"""Words of a text that may be asked for: nobody waits for more."""
WELCOME = wire.answer(wire.READY, "sockd travesty: DATA, GENERATE n, RESET, BYE")
SEND_TEXT = wire.answer(wire.SEND_TEXT, 'send a text, and a line that is "." alone')
TEXT_FOLLOWS = wire.answer(wire.TEXT_FOLLOWS, 'the text follows, and a line that is "." alone')
END = wire.END + b"\r\n"
ABORTED = wire.answer(wire.ABORTED, "nothing is under way any more")
MOST_UNHEARD = 64 * 1024
"""Bytes that are looked through for `ABORT` while a text is sent; then no more are read."""
MOST_PEEKED = 1024
"""Bytes that are looked through for a command that asks for a text to come or to go: a client waits
for answers, so there are few."""
_BEHIND_MARKS = urgent.BYTE + b"\xf2"
"""What may stand before a command: urgent bytes whose mark another one has taken, and the data mark
that telnet sends behind its own."""
_TRANSFER = re.compile(rb"^[!\xf2]*(?:DATA|GENERATE)\b", re.IGNORECASE | re.MULTILINE)


class Stage(Enum):
    """What a connection does."""

    COMMANDS = "waits for commands"
    UPLOAD = "upload"
    SORTING = "sorting"
    TEXT = "text"


class TravestyStream(Requests):
    """A connection: commands, and texts in both directions."""

    context: Context[TravestyOptions, Desk]
    buffer: Uploads
    reads_lines = reads_texts = True

    def __init__(self, context: Context[Any, Any], peer: Peer, entrance: Entrance) -> None:
        super().__init__(context, peer, entrance)
        self._travesty = self.context.shared.preloaded or self.context.shared.new()
        self._has_room = True
        self._stage = Stage.COMMANDS
        self._owes_mark = False
        """Whether the client may still think that a text comes: it was sent whole, and no command
        has come since."""
        self._urgent: UrgentAhead | None = None
        self._mark = 0
        """How many bytes come before an urgent byte that was told of while nothing was under way:
        it is meant for a transfer that was asked for before it."""
        self._awaits_byte = False
        """Whether a transfer was stopped by an urgent byte that was announced and is to come."""

    @classmethod
    def prepare(cls, context: Context[Any, Any], sock: object, entrance: Entrance) -> None:
        if entrance.transport != "tcp" or not urgent.IS_HERE:
            reason = because("no_urgent_data", where=str(entrance))
            events.warn("warning", service=context.name, reason=reason)

    def make_buffer(self) -> Uploads:
        return Uploads(int(self.context.limits.max_line))

    def opened(self) -> None:
        if works_on(self.transport):
            self._urgent = UrgentAhead(self.transport, self.context.world.urgent, self._told)
        super().opened()

    def gone(self) -> None:
        super().gone()
        if self._urgent is not None:
            self._urgent.stop()
        self._forget()  # not when the collector comes: it is large

    def greeting(self) -> bytes:
        return WELCOME

    def answer(self, request: bytes) -> Answer:
        if self._stage is Stage.UPLOAD:
            return self._learn(request)
        self._owes_mark = False
        name, *rest = request.split(None, 1) or [b""]
        command = COMMANDS.get(name.upper(), TravestyStream._unknown)
        return command(self, b"".join(rest).rstrip())

    def fail(self, reason: Reason) -> None:
        if not self.is_closing:
            self.write(wire.answer(wire.REFUSED, str(reason).removeprefix("error: ")))
            self.close(reason)

    # commands

    def _data(self, rest: bytes) -> Answer:
        if rest:
            return self._refuse("DATA stands alone on its line")
        self._forget()
        if self._is_stopped:
            self._report_stop(Stage.UPLOAD, self._drop_to_mark())
            return self._finish(SEND_TEXT)
        self._stage = Stage.UPLOAD
        self.buffer.begin_text()
        return SEND_TEXT

    def _generate(self, rest: bytes) -> Answer:
        count = int(rest) if rest.isdigit() and len(rest) <= len(str(LARGEST_COUNT)) else 0
        if not 1 <= count <= LARGEST_COUNT:
            return self._refuse(f"GENERATE n, a number of words from 1 to {LARGEST_COUNT}")
        try:
            shared = self.context.shared
            pieces = self._travesty.generate(count, self.context.world.random, shared)
        except ValueError as error:
            return self._refuse(f"{error}: send a text with DATA first")
        if self._is_stopped:
            self._report_stop(Stage.TEXT, self._drop_to_mark())
            return self._send_mark()
        self._stage = Stage.TEXT
        if self.buffer.may_abort:
            self.release(Hold.WORK)
        return self._send(pieces)

    def _reset(self, rest: bytes) -> Answer:
        if rest:
            return self._refuse("RESET stands alone on its line")
        self._forget()
        return wire.answer(wire.FORGOTTEN, "forgotten")

    def _features(self, rest: bytes) -> Answer:
        self.buffer.may_abort = True
        return wire.answer(wire.FEATURES, wire.ABORT.decode())

    def _bye(self, rest: bytes) -> Answer:
        self.hear_no_more()
        return wire.answer(wire.GOODBYE, "goodbye")

    def _abort(self, rest: bytes) -> Answer:
        return ABORTED if self.buffer.may_abort else self._unknown(rest)

    def _unknown(self, _: bytes) -> Answer:
        return self._refuse(f"commands: {NAMES}")

    def _refuse(self, why: str) -> bytes:
        return wire.answer(wire.REFUSED, why)

    # a text that comes

    def _learn(self, block: bytes) -> Answer:
        if block == wire.END:
            return self._finish()
        if block == wire.ABORT:
            self._report_stop(Stage.UPLOAD, how="ABORT")
            return self._finish(more=ABORTED)
        if self._has_room and not self._travesty.is_full:  # a text has no holes
            self._has_room = self.context.shared.learn(self._travesty, block)
        return b""

    def _finish(self, before: bytes = b"", more: bytes = b"") -> Deferred[bytes]:
        """Answer an upload, whole or not, once it is sorted."""
        self._stage = Stage.SORTING

        def told(_: object) -> bytes:
            self._stage = Stage.COMMANDS
            return before + self._learnt() + more

        return self.context.shared.finish(self._travesty).addCallback(told)

    def _learnt(self) -> bytes:
        known = f"{self._travesty.unique} words that differ"
        if self._travesty.is_full:
            options = self.context.options
            limits = f"max_words = {options.max_words}, max_memory = {options.max_memory}"
            return wire.answer(wire.TOO_MUCH, f"too long ({limits}); kept: {known}")
        if not self._has_room:
            return wire.answer(wire.TOO_MUCH, f"no room beside the texts of others; kept: {known}")
        return wire.answer(wire.ANALYZED, f"learnt: {known}")

    def _forget(self) -> None:
        # another one, for that of others may be the one to begin with, and a thread may sort it
        self.context.shared.forget(self._travesty)
        self._travesty = self.context.shared.new()
        self._has_room = True

    # a text that goes

    def _send(self, pieces: Iterator[bytes]) -> Iterator[bytes]:
        yield TEXT_FOLLOWS
        for piece in pieces:
            if self.buffer.may_abort and self.buffer.drop_to_abort():
                self._stage = Stage.COMMANDS
                self._report_stop(Stage.TEXT, how="ABORT")
                yield END + ABORTED
                return
            yield piece
        self._stage = Stage.COMMANDS
        self._owes_mark = True
        yield END

    def received(self, data: bytes) -> None:
        if self._awaits_byte:
            return  # it was sent before the byte
        if self._stage is not Stage.UPLOAD and not len(self.buffer):
            # no command begins like that
            size = len(data)
            data = data.lstrip(_BEHIND_MARKS)
            self.buffer.taken += size - len(data)
        if data:
            super().received(data)
        if self._stage is Stage.TEXT and len(self.buffer) > MOST_UNHEARD:
            super().hold(Hold.WORK)

    def hold(self, why: Hold) -> None:
        if why is Hold.WORK and self._stage is Stage.TEXT and self.buffer.may_abort:
            return  # it may say so at any time
        super().hold(why)

    # urgent data

    def _told(self, byte: bytes) -> None:
        self.contain(self._stop_transfer)

    def sweep(self, now: float) -> None:
        if self.holds and self._urgent is not None and self._urgent.is_coming:
            # it cannot come before there is room for it
            self.contain(self._stop_transfer, True)
        super().sweep(now)

    def _stop_transfer(self, is_coming: bool = False) -> None:
        """An urgent byte has come, or is announced: ^C at the client."""
        assert self._urgent is not None
        stage = self._stage
        if self.is_closing:
            return
        is_over = stage is Stage.COMMANDS and (not self._owes_mark or self._is_for_next)
        if is_over and not self._awaits_byte:
            self._mark = self.buffer.taken + len(self.buffer) + self._urgent.ahead
            return
        self._mark = 0
        dropped = len(self.buffer) + self._urgent.discard()
        is_told = self._awaits_byte
        self._awaits_byte = is_coming
        if stage is Stage.SORTING:
            self.buffer.clear()  # its answer comes
        elif stage is Stage.UPLOAD:
            self.buffer.clear()
            self._say(self._finish())
        elif not is_over:
            self._stage, self._owes_mark = Stage.COMMANDS, False
            self.bytes_out -= self._urgent.send_instead()
            self.drop()
        if not (is_over or is_told):
            self._report_stop(stage, dropped)

    @property
    def _is_for_next(self) -> bool:
        """Whether another transfer is asked for before the urgent byte that was told of."""
        assert self._urgent is not None
        return _TRANSFER.search(self.buffer.held + self._urgent.peek(MOST_PEEKED)) is not None

    @property
    def _is_stopped(self) -> bool:
        """Whether an urgent byte is known that was sent behind what was taken."""
        return self.buffer.taken <= self._mark

    def _drop_to_mark(self) -> int:
        """Drop what was sent before that byte."""
        assert self._urgent is not None
        size = min(len(self.buffer), self._mark - self.buffer.taken)
        self.buffer.drop(size)
        self._mark = 0
        return size + self._urgent.discard()

    def _send_mark(self) -> Iterator[bytes]:
        """A text that was stopped before it has begun."""
        assert self._urgent is not None
        yield TEXT_FOLLOWS
        self._write_made()
        self._urgent.send()

    def _report_stop(self, stage: Stage, dropped: int = 0, how: str = "urgent byte") -> None:
        self.context.shared.report(self.peer, stage.value, how, dropped)


COMMANDS: dict[bytes, Callable[[TravestyStream, bytes], Answer]] = {
    b"DATA": TravestyStream._data,
    b"GENERATE": TravestyStream._generate,
    b"RESET": TravestyStream._reset,
    b"BYE": TravestyStream._bye,
    b"FEATURES": TravestyStream._features,
    wire.ABORT: TravestyStream._abort,
}
NAMES = "DATA, GENERATE n, RESET, BYE, FEATURES"


kind = Kind(
    name="travesty",
    doc=__doc__,
    stream=TravestyStream,
    options=TravestyOptions,
    shared=Desk,
    instances=[Instance("travesty", [f"tcp:{ports.TRAVESTY}:interface=localhost"])],
    command="sock travesty {to}",
    wire={
        "stream": Exchange(
            asks=(
                "Lines: DATA, then a text and a line that is '.' alone; GENERATE and a number of "
                "words; RESET; BYE. An urgent byte stops a text that comes or goes."
            ),
            answers=(
                "A line for each that begins with three digits; 203 is followed by a text and a "
                "line that is '.' alone, or, where it was stopped, by an urgent byte."
            ),
            ends="The client says BYE, or closes.",
        )
    },
)
