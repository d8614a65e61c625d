"""What a conversation says of servers that do not keep to the protocol."""

from __future__ import annotations

import pytest

from sockd.client.errors import BadAnswer, ClientError, Refused, TimedOut, Unreachable
from sockd.client.travesty.conversation import MOST_LINE, Conversation, State
from sockd.client.travesty.told import Broken
from tests.client.travesty.talks import Talk, begun, generating, uploading


def broken(talk: Talk, kind: type[ClientError]) -> str:
    """Why it is over, and that it is."""
    assert type(talk.error) is kind
    assert talk.conversation.state is State.OVER
    assert talk.outcomes == []
    before = talk.error
    talk.hear(b"200 more\r\n")
    talk.conversation.ended(None)
    talk.conversation.stop()
    talk.mark()
    assert talk.error is before
    assert talk.said() == b""
    return str(talk.error)


def ready() -> Talk:
    """One that waits to be greeted."""
    talk = Talk(Conversation("it:2007", True, 4.0))
    talk.conversation.begin()
    talk.look()
    return talk


def test_a_greeting_that_is_another_services_is_told() -> None:
    talk = ready()
    talk.hear(b"220 mail.example.org ESMTP\r\n")
    said = broken(talk, BadAnswer)
    assert said == "it:2007 greets as no travesty service: '220 mail.example.org ESMTP'"


def test_a_server_that_is_full_says_so() -> None:
    talk = ready()
    talk.hear(b"500 too many connections\r\n")
    assert broken(talk, Refused) == "it:2007 said: 500 too many connections"


@pytest.mark.parametrize("line", [b"hello", b"", b"20", b"2055 x", b"205x", b"abc d"])
def test_a_line_that_is_no_answer_is_told(line: bytes) -> None:
    talk = begun()
    talk.conversation.reset()
    talk.look()
    talk.said()
    talk.hear(line + b"\r\n")
    assert broken(talk, BadAnswer) == f"it:2007 said '{line.decode()}' to RESET"


def test_an_answer_to_another_question_is_told() -> None:
    talk = begun()
    talk.conversation.generate(5)
    talk.look()
    talk.said()
    talk.hear(b"202 5 words\r\n")
    assert broken(talk, BadAnswer) == "it:2007 said '202 5 words' to GENERATE"


def test_an_answer_that_nobody_asked_for_is_told() -> None:
    talk = begun()
    talk.hear(b"421 I am tired\r\n")
    assert broken(talk, BadAnswer) == "it:2007 said '421 I am tired', which nobody asked"


def test_a_long_line_is_told_in_part_and_an_endless_one_ends() -> None:
    talk = begun()
    talk.hear(b"x" * MOST_LINE + b"\r\n")
    said = broken(talk, BadAnswer)
    assert said == f"it:2007 said '{'x' * 60}'..., which nobody asked"
    talk = begun()
    talk.hear(b"x" * (MOST_LINE + 1))
    assert broken(talk, BadAnswer) == "it:2007 said a line of more than 4096 bytes"


def test_silence_is_told_with_what_has_no_answer() -> None:
    talk = ready()
    talk.late()
    said = broken(talk, TimedOut)
    assert said == "it:2007 has not answered our call within 4 s"
    talk = uploading()
    talk.conversation.upload(b"")
    talk.look()
    talk.said()
    talk.late()
    said = broken(talk, TimedOut)
    assert said == "it:2007 has not answered the end of a text within 4 s"


def test_an_abort_that_is_not_answered_is_told() -> None:
    talk = generating(can_urge=False)
    talk.stop()
    talk.said()
    talk.hear(b"more\r\n" * 100)
    talk.late()
    assert broken(talk, TimedOut) == "it:2007 has not answered ABORT within 4 s"


def test_an_end_is_told_with_what_has_no_answer() -> None:
    talk = generating()
    talk.said()
    talk.conversation.ended(None)
    talk.look()
    said = broken(talk, Unreachable)
    assert said == "it:2007 has ended the connection before it had answered GENERATE to its end"
    talk = begun()
    talk.conversation.ended(None)
    talk.look()
    assert broken(talk, Unreachable) == "it:2007 has ended the connection"


def test_an_error_is_told_as_it_is() -> None:
    talk = uploading()
    talk.conversation.ended(Unreachable("it has reset the connection"))
    assert Broken in map(type, talk.conversation.take())
