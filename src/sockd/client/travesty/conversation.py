"""The client's half of a conversation with a travesty service, without sockets and clocks.

It is told what comes, what the user wants, and when what it has waited for is late; what is to be
done stands in `take`. One command is under way at a time: `done` says whether there is none.

A transfer is ended in one of two ways. An urgent byte: the server drops what it has not read of us,
and marks the end of a text by an urgent byte of its own. Or a line that is `ABORT`, for a server
that has named it: the answer to it comes last, whatever had ended before. Where the server has not
yet said that a transfer begins, it is ended once it has: so no urgent byte comes between commands.
"""

from __future__ import annotations

from enum import Enum

from attrs import define, evolve, field

from sockd.client.errors import BadAnswer, ClientError, Refused, TimedOut, Unreachable
from sockd.client.travesty.text import Incoming, Outgoing
from sockd.client.travesty.told import (
    Broken,
    Done,
    Effect,
    Outcome,
    Patience,
    Send,
    Text,
    Urge,
    Wait,
)
from sockd.formats import travesty as codes
from sockd.formats.travesty import code_of, words_of

MOST_LINE = 4096
"""Bytes of an answer: a code and some words. An endless one must end."""
SHOWN = 60
"""Characters of an answer that messages show."""
LEAST_REFUSAL = 400
"""Codes from this one on say that it is not done, or not all of it."""


class State(Enum):
    """What is under way: the value is what has no answer yet, in messages."""

    GREETING = "our call"
    FEATURES = "FEATURES"
    IDLE = "nothing"
    RESET = "RESET"
    BYE = "BYE"
    DATA = "DATA"
    """201 is due."""
    UPLOAD = "a text"
    """Its lines go out."""
    UPLOADED = "the end of a text"
    """202 is due, once."""
    SETTLING = "that"
    """The server has ended an upload by itself. It may say more at its end, or not."""
    GENERATE = "GENERATE"
    """203 is due."""
    TEXT = "GENERATE to its end"
    """The text comes in."""
    MARK = "an urgent byte"
    """The text has ended, and an urgent byte is due: from a server that has noticed ours."""
    ABORTED = "ABORT"
    """The answer to that is due, after all others."""
    OVER = "all"


_TRANSFERS = frozenset({State.DATA, State.UPLOAD, State.UPLOADED, State.GENERATE, State.TEXT})
_GOOD = {
    State.RESET: codes.FORGOTTEN,
    State.DATA: codes.SEND_TEXT,
    State.UPLOADED: codes.ANALYZED,
    State.GENERATE: codes.TEXT_FOLLOWS,
}
"""The code that each command wants."""


@define(eq=False)
class Conversation:
    """One connection, from the greeting on."""

    name: str
    """Of the server, for messages."""
    can_urge: bool
    """Whether an urgent byte can be sent."""
    wait: float
    """Seconds of `Patience.ANSWER`, for messages."""
    state: State = field(default=State.GREETING, init=False)
    has_abort: bool = field(default=False, init=False)
    """Whether the server knows ABORT."""
    is_stopping: bool = field(default=False, init=False)
    """Whether the user has stopped what is under way."""
    _is_urged: bool = field(default=False, init=False)
    """Whether an urgent byte was sent for that."""
    _is_unsure: bool = field(default=False, init=False)
    """Whether that may stand between commands, where a server that does not see it as urgent takes
    it for a part of the next one."""
    _patience: Patience = field(default=Patience.ANY, init=False)
    _outcome: Outcome = field(factory=Outcome, init=False)
    _effects: list[Effect] = field(factory=list, init=False)
    _data: bytes = field(default=b"", init=False)
    """What has come and is not understood yet."""
    _outgoing: Outgoing = field(factory=lambda: Outgoing(False), init=False)
    _incoming: Incoming | None = field(default=None, init=False)
    """While a text comes."""
    _is_answered: bool = field(default=False, init=False)
    """Whether the one answer to an upload has come: what else comes is not it."""

    def take(self) -> list[Effect]:
        """What is to be done, in this order; once."""
        effects, self._effects = self._effects, []
        return effects

    # what the user wants

    @property
    def is_idle(self) -> bool:
        """Whether a command may be given."""
        return self.state is State.IDLE

    @property
    def is_uploading(self) -> bool:
        """Whether more of the text may be given."""
        return self.state is State.UPLOAD

    @property
    def is_transferring(self) -> bool:
        """Whether there is something to be stopped."""
        return self.state in _TRANSFERS

    @property
    def wants_mark(self) -> bool:
        """Whether what was sent before an urgent byte that comes is to be dropped."""
        return self.is_stopping and (self._incoming is not None or self.state is State.MARK)

    def begin(self) -> None:
        """Wait to be greeted."""
        self._wait(Patience.ANSWER)

    def analyze(self) -> None:
        """Begin an upload: `upload` is next, once `is_uploading`."""
        self._outgoing = Outgoing(self.has_abort)
        self._ask(State.DATA, b"DATA")

    def upload(self, data: bytes) -> None:
        """A part of the text, or b"" for its end. Nothing where the upload has ended."""
        if self.state is State.UPLOAD and data:
            self._send(self._outgoing.feed(data))
        elif self.state is State.UPLOAD:
            self._send(self._outgoing.end())
            self._end_upload(State.UPLOADED)

    def generate(self, words: int) -> None:
        """Have so many words."""
        self._ask(State.GENERATE, b"GENERATE %d" % words)

    def reset(self) -> None:
        """Have the text forgotten."""
        self._ask(State.RESET, b"RESET")

    def bye(self) -> None:
        """Take leave."""
        self._ask(State.BYE, b"BYE")

    def stop(self) -> None:
        """End the transfer that is under way: it is `Done` when the server has ended it."""
        if self.is_transferring and not self.is_stopping:
            self.is_stopping = True
            self._outcome = evolve(self._outcome, is_stopped=True)
            self._stop()

    def _stop(self) -> None:
        """Whatever the server may say meanwhile, one end comes."""
        if self.state in (State.DATA, State.GENERATE):
            return  # once it has begun
        if self.can_urge:
            self._is_urged = True
            self._effects.append(Urge())
            self._is_unsure = self.state is State.UPLOADED
            if self.state is State.UPLOAD:
                self.state = State.UPLOADED
            self._wait(Patience.MARK)
        elif self.has_abort and self.state is not State.UPLOADED:
            self._abort()
        elif self.state is State.UPLOAD:
            self._end_upload(State.UPLOADED)

    # what happens

    def late(self) -> None:
        """What was waited for has not come in time."""
        if self._patience is Patience.ANSWER:
            # no answer may ever come, and what comes would not be the next one's
            late = f"{self.name} has not answered {self.state.value} within {self.wait:g} s"
            self._break(TimedOut(late))
        elif self.state is State.SETTLING:
            self._done()  # nothing more comes
        elif self.has_abort:
            self._abort()
        elif self.state is State.MARK:
            self._done()  # the server had ended before it could notice
        elif self.state is State.UPLOADED:
            self._wait(Patience.ANSWER)
        else:
            self._break(
                BadAnswer(f"{self.name} sent no urgent byte back: the connection is out of step")
            )

    def ended(self, error: ClientError | None) -> None:
        """Nothing more comes: the server has ended it, or it broke."""
        if self.state is State.BYE:
            self._done()
        elif self.state is not State.OVER:
            on = "" if self.is_idle else f" before it had answered {self.state.value}"
            self._break(error or Unreachable(f"{self.name} has ended the connection{on}"))

    def mark(self, discarded: int) -> None:
        """An urgent byte has come; so much of what was sent before it was dropped unread."""
        if not self.wants_mark:
            return
        self._drop(len(self._data) + discarded)
        self._data, self._incoming = b"", None
        if self.state is not State.ABORTED:
            self._done()

    def received(self, data: bytes) -> None:
        """Bytes have come."""
        self._data += data
        while self._data and self.state is not State.OVER:
            if self._incoming is not None:
                self._take_text(self._incoming)
            elif not self._take_line():
                return

    def _take_text(self, incoming: Incoming) -> None:
        text, after = incoming.feed(self._data)
        size, self._data = len(self._data) - len(after or b""), after or b""
        if self.is_stopping:
            self._drop(size)
        else:
            self._effects += [Text(text)] if text else []
            self._wait(Patience.ANSWER)
        if after is None:
            return
        self._incoming = None
        if self.state is State.TEXT and self._is_urged:
            self.state = State.MARK
        elif self.state is State.TEXT:
            self._done()

    def _take_line(self) -> bool:
        """Whether there was one."""
        line, end, rest = self._data.partition(b"\n")
        line = line.removesuffix(b"\r")
        if len(line) > MOST_LINE:
            self._break(BadAnswer(f"{self.name} said a line of more than {MOST_LINE} bytes"))
            return True
        if not end:
            return False
        self._data = rest
        if line[3:4] != b"-" or not code_of(line):  # else more of it follows
            self._answer(line, code_of(line))
        return True

    def _answer(self, line: bytes, code: int) -> None:
        if self.state is State.ABORTED:
            self._abort_answer(line, code)
        elif self.state is State.GREETING:
            self._greeting(line, code)
        elif self.state is State.FEATURES and (code == codes.FEATURES or code >= LEAST_REFUSAL):
            self.has_abort = code == codes.FEATURES and codes.ABORT in line.split()[1:]
            self._done()
        elif self.state is State.UPLOAD and (code == codes.ANALYZED or code >= LEAST_REFUSAL):
            self._upload_answer(line, code)
            if self.has_abort:
                self._abort()
            else:
                self._end_upload(State.SETTLING)
        elif self.state in _GOOD and (code == _GOOD[self.state] or code >= LEAST_REFUSAL):
            self._command_answer(line, code)
        elif (self.state is State.SETTLING and code) or self.state is State.BYE:
            self._done()
        else:
            to = ", which nobody asked" if self.is_idle else f" to {self.state.value}"
            self._break(BadAnswer(f"{self.name} said {_shown(line)}{to}"))

    def _greeting(self, line: bytes, code: int) -> None:
        if code >= LEAST_REFUSAL:
            self._break(Refused(f"{self.name} said: {_text(line)}"))
        elif code in codes.GREETINGS:
            self._ask(State.FEATURES, b"FEATURES")
        else:
            self._break(BadAnswer(f"{self.name} greets as no travesty service: {_shown(line)}"))

    def _command_answer(self, line: bytes, code: int) -> None:
        """What was wanted, or a refusal."""
        if self.state is State.UPLOADED:
            self._upload_answer(line, code)
            if self._is_unsure and self.has_abort:
                self._abort()
            else:
                self._done()
        elif code >= LEAST_REFUSAL:
            self._outcome = evolve(self._outcome, refusal=_text(line))
            self._done()
        elif self.state is State.DATA:
            self.state = State.UPLOAD
            self._wait(Patience.ANY)
            if self.is_stopping:
                self._end_upload(State.UPLOADED)
        elif self.state is State.GENERATE:
            self.state, self._incoming = State.TEXT, Incoming()
            self._wait(Patience.ANSWER)
            if self.is_stopping:
                self._stop()
        else:
            self._done()

    def _upload_answer(self, line: bytes, code: int) -> None:
        """The one answer to an upload."""
        self._is_answered = True
        if code == codes.ANALYZED:
            self._outcome = evolve(self._outcome, words=words_of(line))
        else:
            self._outcome = evolve(self._outcome, refusal=_text(line))

    def _abort_answer(self, line: bytes, code: int) -> None:
        if code == codes.ABORTED:
            self._done()
        elif not self._is_answered and (code == codes.ANALYZED or code >= LEAST_REFUSAL):
            self._upload_answer(line, code)

    # what is done

    def _ask(self, state: State, command: bytes) -> None:
        self.state = state
        self._send(command + b"\r\n")
        self._wait(Patience.ANSWER)

    def _send(self, data: bytes) -> None:
        if data:
            self._effects.append(Send(data))

    def _wait(self, patience: Patience) -> None:
        self._patience = patience
        self._effects.append(Wait(patience))

    def _end_upload(self, state: State) -> None:
        self.state = state
        self._send(self._outgoing.end_line() + codes.END + b"\r\n")
        self._wait(Patience.MARK if state is State.SETTLING else Patience.ANSWER)

    def _abort(self) -> None:
        # an urgent byte may have become one of the text, or of a line of its own
        before = b"\r\n" if self._is_urged else self._outgoing.end_line()
        self._is_answered |= self._incoming is not None or self.state is State.MARK
        self.state = State.ABORTED
        self._send(before + codes.ABORT + b"\r\n")
        self._wait(Patience.ANSWER)

    def _drop(self, size: int) -> None:
        self._outcome = evolve(self._outcome, discarded=self._outcome.discarded + size)

    def _done(self) -> None:
        outcome, self._outcome = self._outcome, Outcome()
        self.state = State.OVER if self.state is State.BYE else State.IDLE
        self.is_stopping = self._is_urged = self._is_unsure = self._is_answered = False
        self._wait(Patience.ANY)
        self._effects.append(Done(outcome))

    def _break(self, error: ClientError) -> None:
        self.state = State.OVER
        self._wait(Patience.ANY)
        self._effects.append(Broken(error))


def _text(line: bytes) -> str:
    return line.decode("utf-8", "surrogateescape")


def _shown(line: bytes) -> str:
    """A beginning of what was said, for a message, in which it will be escaped."""
    text = _text(line[: SHOWN * 4])
    return f"'{text}'" if len(text) <= SHOWN else f"'{text[:SHOWN]}'..."
