"""Conversations of a travesty client in memory, and all that comes out of them."""

from __future__ import annotations

from attrs import define, field

from sockd.client.errors import ClientError
from sockd.client.travesty.conversation import Conversation
from sockd.client.travesty.told import Broken, Done, Outcome, Patience, Send, Text, Urge, Wait


@define(eq=False)
class Talk:
    """A conversation, and all that has come out of it."""

    conversation: Conversation
    sent: bytearray = field(factory=bytearray)
    """An urgent byte is a `^`."""
    text: bytearray = field(factory=bytearray)
    outcomes: list[Outcome] = field(factory=list)
    error: ClientError | None = None
    patience: Patience = Patience.ANY

    def look(self) -> None:
        """Do what is to be done."""
        for effect in self.conversation.take():
            match effect:
                case Send(data):
                    self.sent += data
                case Urge():
                    self.sent += b"^"
                case Text(data):
                    self.text += data
                case Done(outcome):
                    self.outcomes.append(outcome)
                case Broken(error):
                    self.error = error
                case Wait(patience):
                    self.patience = patience

    def hear(self, data: bytes) -> None:
        """The server says this, in one piece or byte by byte: that is the same."""
        for at in range(len(data)):
            self.conversation.received(data[at : at + 1])
        self.look()

    def late(self) -> None:
        """Nothing came in time."""
        self.conversation.late()
        self.look()

    def mark(self, count: int = 0) -> None:
        """An urgent byte has come, before which so much was dropped."""
        self.conversation.mark(count)
        self.look()

    def stop(self) -> bytes:
        """The user presses ^C; what was sent for that."""
        before = len(self.sent)
        self.conversation.stop()
        self.look()
        return bytes(self.sent[before:])

    def said(self) -> bytes:
        """What was sent since the last time."""
        sent, self.sent = bytes(self.sent), bytearray()
        return sent

    def outcome(self) -> Outcome:
        """Of the only command that has ended since the last time."""
        [outcome] = self.outcomes
        self.outcomes.clear()
        assert self.conversation.is_idle
        assert self.patience is Patience.ANY
        return outcome


def begun(*, can_urge: bool = True, has_abort: bool = True) -> Talk:
    """One that has been greeted."""
    talk = Talk(Conversation("it:2007", can_urge, 4.0))
    talk.conversation.begin()
    talk.hear(b"100 hello\r\n")
    assert talk.said() == b"FEATURES\r\n"
    assert talk.patience is Patience.ANSWER
    talk.hear(b"206 ABORT\r\n" if has_abort else b"500 what?\r\n")
    assert talk.outcome() == Outcome()
    assert talk.conversation.has_abort is has_abort
    return talk


def uploading(**options: bool) -> Talk:
    """One in the middle of an upload."""
    talk = begun(**options)
    talk.conversation.analyze()
    talk.look()
    talk.hear(b"201 go on\r\n")
    assert talk.conversation.is_uploading
    talk.conversation.upload(b"some words\n")
    talk.look()
    assert talk.said() == b"DATA\r\nsome words\r\n"
    assert talk.patience is Patience.ANY
    return talk


def generating(**options: bool) -> Talk:
    """One in the middle of a text."""
    talk = begun(**options)
    talk.conversation.generate(10)
    talk.look()
    talk.hear(b"203 here\r\none two\r\nthr")
    assert talk.said() == b"GENERATE 10\r\n"
    assert bytes(talk.text) == b"one two\nthr"
    return talk


def reset(talk: Talk) -> None:
    """It is in step: the next command gets its own answer."""
    talk.said()
    talk.conversation.reset()
    talk.look()
    assert talk.said() == b"RESET\r\n"
    talk.hear(b"205 gone\r\n")
    assert talk.outcome() == Outcome()
