"""Whenever ^C is pressed, and however bytes and marks come, both sides stay in step."""

from __future__ import annotations

from collections import deque

from attrs import define, field
from hypothesis import given, settings
from hypothesis import strategies as st

from sockd.client.travesty.conversation import Conversation
from sockd.client.travesty.told import Broken, Done, Outcome, Patience, Send, Text, Urge, Wait

MARK = None
"""An urgent byte in a stream."""
Stream = deque[int | None]
PIECES = 5
"""Of which a text is made, each of them a line."""


@define(eq=False)
class Server:
    """What a server of ours does with what comes, in memory."""

    has_abort: bool
    heeds: bool
    """Whether urgent bytes come as such, and not as a part of the stream."""
    coming: Stream = field(factory=deque)
    going: Stream = field(factory=deque)
    line: bytes = b""
    is_upload: bool = False
    left: int = 0
    """Pieces of a text that have not gone."""
    owes_mark: bool = False

    def say(self, data: bytes) -> None:
        """Send it."""
        self.going.extend(data)

    def notice(self) -> None:
        """An urgent byte is on its way, or has come: it is told of ahead."""
        if MARK not in self.coming:
            return
        if not (self.is_upload or self.left or self.owes_mark):
            self.coming.remove(MARK)
            return
        while self.coming.popleft() is not MARK:
            pass
        self.line = b""
        if self.is_upload:
            self.is_upload = False
            self.say(b"202 learnt: 5 words\r\n")
        else:
            self.left, self.owes_mark = 0, False
            self.going.append(MARK)

    def work(self) -> None:
        """A turn: a piece of a text, or a byte of what has come."""
        if self.left:
            self._abort_in_text()
        if self.left:
            self.left -= 1
            self.say(b"207 words\r\n" if self.left else b"202 5 words\r\n.\r\n")
            self.owes_mark = not self.left
        elif self.coming:
            byte = self.coming.popleft()
            if byte is not MARK:
                self.line += bytes([byte])
            if self.line.endswith(b"\r\n"):
                line, self.line = self.line[:-2], b""
                self._text(line) if self.is_upload else self._command(line)

    def _abort_in_text(self) -> None:
        data = bytes(byte for byte in self.coming if byte is not MARK)
        if self.has_abort and (at := (b"\n" + data).find(b"\nABORT\r\n")) >= 0:
            for _ in range(at + 7):
                self.coming.popleft()
            self.left = 0
            self.say(b".\r\n207 now\r\n")

    def _text(self, line: bytes) -> None:
        if line == b"." or (line == b"ABORT" and self.has_abort):
            self.is_upload = False
            self.say(b"202 learnt: 5 words\r\n" + b"207 now\r\n" * (line == b"ABORT"))

    def _command(self, line: bytes) -> None:
        self.owes_mark = False
        if line == b"DATA":
            self.is_upload = True
            self.say(b"201 go on\r\n")
        elif line == b"GENERATE 5":
            self.left = PIECES
            self.say(b"203 here\r\n")
        else:
            known = {b"RESET": b"205 gone", b"FEATURES": b"206 ABORT" if self.has_abort else b""}
            known[b"ABORT"] = b"207 now" if self.has_abort else b""
            self.say((known.get(line) or b"500 what?") + b"\r\n")


@define(eq=False)
class Both:
    """Both sides, and the streams between them."""

    server: Server
    conversation: Conversation
    outcomes: list[Outcome] = field(factory=list)
    text: bytearray = field(factory=bytearray)
    patience: Patience = Patience.ANY

    def look(self) -> None:
        """What the client does goes to the server."""
        for effect in self.conversation.take():
            match effect:
                case Send(data):
                    self.server.coming.extend(data)
                case Urge():
                    self.server.coming.append(MARK if self.server.heeds else ord("!"))
                case Text(data):
                    self.text += data
                case Done(outcome):
                    self.outcomes.append(outcome)
                case Wait(patience):
                    self.patience = patience
                case Broken(error):
                    raise AssertionError(str(error))

    def hear(self, count: int) -> None:
        """So many bytes come to the client; none beyond a mark that it has not been told of."""
        data = bytearray()
        going = self.server.going
        while going and len(data) < count and going[0] is not MARK:
            data.append(going.popleft() or 0)
        if data:
            self.conversation.received(bytes(data))
        elif going and going[0] is MARK:
            self.told()
        self.look()

    def told(self) -> None:
        """The client is told of a mark, ahead of what was sent before it."""
        going = self.server.going
        if MARK not in going:
            return
        if not self.conversation.wants_mark:
            going.remove(MARK)
            return
        count = going.index(MARK)
        for _ in range(count + 1):
            going.popleft()
        self.conversation.mark(count)
        self.look()

    def take(self, step: str | int) -> None:
        """Something happens: to the server, to the client, or between them."""
        match step:
            case "stop":
                self.conversation.stop()
            case "work":
                self.server.work()
            case "notice":
                self.server.notice()
            case "told":
                self.told()
            case "upload":
                self.conversation.upload(b"some words\n.\nABORT\n")
            case "end":
                self.conversation.upload(b"")
            case "late" if self.patience is Patience.MARK and self.server.has_abort:
                # one that heeds it is in time, if it does not know ABORT
                self.conversation.late()
            case int(count):
                self.hear(count)
        self.look()

    def settle(self) -> Outcome:
        """Until the command has ended; what is late is late once nothing more happens."""
        for _ in range(10_000):
            if self.outcomes:
                return self.outcomes.pop()
            self.server.notice()
            busy = self.server.left or self.server.coming or self.server.going
            if not busy:
                assert self.patience is Patience.MARK
                self.conversation.late()
                self.look()
            self.server.work()
            self.hear(10)
        raise AssertionError("it never ends")


STEPS = st.lists(
    st.one_of(
        st.sampled_from(["stop", "work", "work", "notice", "told", "upload", "end", "late"]),
        st.integers(1, 60),
    ),
    max_size=60,
)


@given(STEPS, st.booleans(), st.booleans(), st.booleans(), st.booleans())
@settings(max_examples=600)
def test_the_next_command_has_its_own_answer(
    steps: list[str | int], is_upload: bool, can_urge: bool, has_abort: bool, heeds: bool
) -> None:
    # who neither heeds urgent bytes nor knows ABORT cannot be stopped
    server = Server(has_abort, heeds or not has_abort)
    both = Both(server, Conversation("it", can_urge, 4.0))
    server.say(b"100 hello\r\n")
    both.conversation.begin()
    both.settle()
    if is_upload:
        both.conversation.analyze()
    else:
        both.conversation.generate(5)
    both.look()
    for step in steps:
        both.take(step)
    for _ in range(200):  # what the server has said by now, and does by itself
        server.work()
        both.hear(100)
    both.conversation.upload(b"")
    both.look()
    outcome = both.settle()
    assert (outcome.words == 5) == is_upload
    whole = b"207 words\n" * (PIECES - 1) + b"202 5 words\n"
    assert whole.startswith(both.text)
    assert is_upload or outcome.is_stopped or both.text == whole
    both.told()
    both.conversation.reset()
    both.look()
    assert both.settle() == Outcome()
    assert not any((server.left, server.is_upload, server.coming, server.going))
