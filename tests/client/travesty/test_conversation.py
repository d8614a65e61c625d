"""The client's half of a conversation with a travesty service: what is said when."""

from __future__ import annotations

import pytest

from sockd.client.errors import BadAnswer
from sockd.client.travesty.conversation import Conversation, State
from sockd.client.travesty.told import Outcome, Patience
from tests.client.travesty.talks import Talk, begun, generating, reset, uploading

# in order


@pytest.mark.parametrize("greeting", [b"100 hello\r\n", b"200 hello\n", b"100\r\n"])
def test_both_greetings_are_known(greeting: bytes) -> None:
    talk = Talk(Conversation("it:2007", True, 4.0))
    talk.hear(greeting)
    assert talk.said() == b"FEATURES\r\n"


def test_features_are_named_by_words() -> None:
    talk = Talk(Conversation("it:2007", True, 4.0))
    talk.hear(b"100 hello\r\n206 MORE ABORT\r\n")
    assert talk.conversation.has_abort
    other = Talk(Conversation("it:2007", True, 4.0))
    other.hear(b"100 hello\r\n206 ABORTS\r\n")
    assert not other.conversation.has_abort


def test_a_text_is_sent_to_its_end_and_its_words_are_told() -> None:
    talk = uploading()
    talk.conversation.upload(b".\nlast")
    talk.conversation.upload(b"")
    talk.look()
    assert talk.said() == b" .\r\nlast\r\n.\r\n"
    assert talk.patience is Patience.ANSWER
    talk.hear(b"202 learnt: 1234 words that differ\r\n")
    assert talk.outcome() == Outcome(words=1234)
    talk.conversation.upload(b"too late")
    talk.look()
    assert talk.said() == b""
    reset(talk)


@pytest.mark.parametrize("said", [b"done", b"9" * 4_000 + b" words"])
def test_an_end_without_a_number_is_one(said: bytes) -> None:
    talk = uploading()
    talk.conversation.upload(b"")
    talk.hear(b"202 " + said + b"\r\n")
    assert talk.outcome() == Outcome()


def test_a_text_comes_to_its_end() -> None:
    talk = generating()
    assert talk.patience is Patience.ANSWER
    talk.hear(b"ee\r\n202 5 words\r\n.\r\n")
    assert bytes(talk.text) == b"one two\nthree\n202 5 words\n"
    assert talk.outcome() == Outcome()
    reset(talk)


def test_an_answer_of_several_lines_is_one() -> None:
    talk = begun()
    talk.conversation.reset()
    talk.hear(b"205-so\r\n205-and so\r\n205 on\r\n")
    assert talk.outcome() == Outcome()


def test_at_goodbye_all_is_over() -> None:
    talk = begun()
    talk.conversation.bye()
    talk.look()
    assert talk.said() == b"BYE\r\n"
    talk.hear(b"204 bye\r\n")
    assert talk.outcomes == [Outcome()]
    talk.conversation.ended(None)
    talk.look()
    assert talk.error is None
    assert talk.conversation.state is State.OVER


def test_an_end_is_an_answer_to_goodbye() -> None:
    talk = begun()
    talk.conversation.bye()
    talk.conversation.ended(None)
    talk.look()
    assert (talk.outcomes, talk.error) == ([Outcome()], None)


# refusals


@pytest.mark.parametrize("command", ["analyze", "reset"])
def test_a_refusal_is_told_and_it_goes_on(command: str) -> None:
    talk = begun()
    getattr(talk.conversation, command)()
    talk.hear(b"500 no\r\n")
    assert talk.outcome() == Outcome(refusal="500 no")
    reset(talk)


def test_a_text_that_is_refused_is_none() -> None:
    talk = begun()
    talk.conversation.generate(5)
    talk.hear(b"500 no words are known\r\n")
    assert talk.outcome() == Outcome(refusal="500 no words are known")


def test_a_limit_that_was_reached_is_told_at_the_end() -> None:
    talk = uploading()
    talk.conversation.upload(b"")
    talk.hear(b"552 too long\r\n")
    assert talk.outcome() == Outcome(refusal="552 too long")
    reset(talk)


@pytest.mark.parametrize("more", [b"", b"202 5 words\r\n", b"500 what?\r\n500 what?\r\n"])
def test_a_refusal_within_an_upload_ends_it_and_abort_finds_the_step(more: bytes) -> None:
    talk = uploading()
    talk.hear(b"552 too long\r\n")
    assert not talk.conversation.is_uploading
    assert talk.said() == b"ABORT\r\n"
    talk.hear(more + b"207 now\r\n")
    assert talk.outcome() == Outcome(refusal="552 too long")
    reset(talk)


@pytest.mark.parametrize("more", [b"", b"202 5 words\r\n", b"500 what?\r\n"])
def test_without_abort_it_may_have_one_more_answer(more: bytes) -> None:
    talk = uploading(has_abort=False)
    talk.hear(b"552 too long\r\n")
    assert talk.said() == b".\r\n"
    assert talk.patience is Patience.MARK
    if more:
        talk.hear(more)
    else:
        talk.late()
    assert talk.outcome() == Outcome(refusal="552 too long")
    reset(talk)


# an upload is stopped


def test_an_urgent_byte_stops_an_upload() -> None:
    talk = uploading()
    assert talk.stop() == b"^"
    assert talk.patience is Patience.MARK
    talk.conversation.upload(b"more")
    assert talk.stop() == b""
    talk.mark()  # means nothing here
    talk.hear(b"202 learnt: 5 words that differ\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)
    reset(talk)


def test_abort_stops_an_upload_where_there_is_no_urgent_data() -> None:
    talk = uploading(can_urge=False)
    assert talk.stop() == b"ABORT\r\n"
    talk.hear(b"202 5 words\r\n207 aborted\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)
    reset(talk)


def test_abort_is_a_line_of_its_own() -> None:
    talk = uploading(can_urge=False)
    talk.conversation.upload(b"x" * 100_000)
    talk.look()
    assert talk.stop() == b"\r\nABORT\r\n"


def test_where_there_is_neither_the_upload_ends_early() -> None:
    talk = uploading(can_urge=False, has_abort=False)
    assert talk.stop() == b".\r\n"
    talk.hear(b"202 5 words\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)


def test_it_counts_as_an_upload_until_its_answer_has_come() -> None:
    talk = uploading(has_abort=False)
    talk.conversation.upload(b"")
    talk.look()
    assert talk.stop() == b"^"
    talk.hear(b"202 5 words\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)
    reset(talk)


def test_an_urgent_byte_behind_the_end_of_a_text_is_followed_by_abort() -> None:
    """One that was not taken for urgent would be a part of the next command."""
    talk = uploading()
    talk.conversation.upload(b"")
    talk.look()
    talk.stop()
    talk.said()
    talk.hear(b"202 5 words\r\n")
    assert talk.said() == b"\r\nABORT\r\n"
    talk.hear(b"500 what?\r\n207 now\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)
    reset(talk)


@pytest.mark.parametrize("has_abort", [True, False])
def test_without_urgent_data_the_answer_to_an_end_is_waited_for(has_abort: bool) -> None:
    talk = uploading(can_urge=False, has_abort=has_abort)
    talk.conversation.upload(b"")
    assert talk.conversation.is_transferring
    talk.look()
    assert talk.stop() == b""
    talk.hear(b"202 5 words\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)


def test_an_upload_that_has_not_begun_is_stopped_once_it_has() -> None:
    talk = begun()
    talk.conversation.analyze()
    talk.look()
    assert talk.said() == b"DATA\r\n"
    assert talk.stop() == b""
    talk.hear(b"201 go on\r\n")
    assert talk.said() == b".\r\n"
    talk.hear(b"202 0 words\r\n")
    assert talk.outcome() == Outcome(words=0, is_stopped=True)
    reset(talk)


def test_an_upload_that_never_began_needs_no_stop() -> None:
    talk = begun()
    talk.conversation.analyze()
    talk.stop()
    talk.hear(b"500 no\r\n")
    assert talk.outcome() == Outcome(refusal="500 no", is_stopped=True)
    reset(talk)


def test_an_urgent_byte_that_nobody_heeds_in_an_upload_is_followed_by_abort() -> None:
    talk = uploading()
    talk.stop()
    talk.said()
    talk.late()
    # the byte may have become one of the text
    assert talk.said() == b"\r\nABORT\r\n"
    assert talk.patience is Patience.ANSWER
    talk.hear(b"202 5 words\r\n500 what?\r\n207 now\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)
    reset(talk)


def test_without_abort_the_answer_to_an_upload_is_waited_for_longer() -> None:
    talk = uploading(has_abort=False)
    talk.stop()
    talk.late()
    assert talk.patience is Patience.ANSWER
    talk.hear(b"202 5 words\r\n")
    assert talk.outcome() == Outcome(words=5, is_stopped=True)


# a text is stopped


def test_an_urgent_byte_stops_a_text_and_all_is_dropped_to_the_mark() -> None:
    talk = generating()
    assert talk.stop() == b"^"
    assert talk.patience is Patience.MARK
    talk.hear(b"ee\r\nfour")
    assert talk.conversation.wants_mark
    talk.mark(100)
    assert bytes(talk.text) == b"one two\nthr"
    assert talk.outcome() == Outcome(is_stopped=True, discarded=108)
    reset(talk)


def test_the_end_of_a_text_may_come_before_the_mark() -> None:
    talk = generating()
    talk.stop()
    talk.hear(b"ee\r\n.\r\n")
    assert talk.outcomes == []
    talk.mark()
    assert talk.outcome() == Outcome(is_stopped=True, discarded=7)
    reset(talk)


def test_a_server_that_had_ended_may_send_no_mark() -> None:
    talk = generating(has_abort=False)
    talk.stop()
    talk.hear(b"ee\r\n.\r\n")
    talk.late()
    assert talk.outcome() == Outcome(is_stopped=True, discarded=7)
    reset(talk)


def test_one_that_knows_abort_is_asked_where_it_sends_no_mark() -> None:
    talk = generating()
    talk.stop()
    talk.said()
    talk.hear(b"ee\r\n.\r\n")
    talk.late()
    assert talk.said() == b"\r\nABORT\r\n"
    talk.hear(b"500 what?\r\n207 now\r\n")
    assert talk.outcome() == Outcome(is_stopped=True, discarded=7)
    reset(talk)


def test_an_urgent_byte_that_nobody_heeds_is_followed_by_abort() -> None:
    talk = generating()
    talk.stop()
    talk.said()
    talk.hear(b"ee\r\n")
    talk.late()
    assert talk.said() == b"\r\nABORT\r\n"
    talk.hear(b"207 is a word of the text\r\n202 too\r\n.\r\n500 what?\r\n207 now\r\n")
    assert talk.outcome() == Outcome(is_stopped=True, discarded=43)
    reset(talk)


def test_a_mark_that_comes_late_is_one() -> None:
    talk = generating()
    talk.stop()
    talk.late()
    talk.hear(b"ee\r\n207 is text")
    talk.mark(10)
    talk.hear(b"500 what?\r\n207 now\r\n")
    assert talk.outcome() == Outcome(is_stopped=True, discarded=25)
    reset(talk)


def test_without_abort_the_connection_is_out_of_step() -> None:
    talk = generating(has_abort=False)
    talk.stop()
    talk.late()
    assert isinstance(talk.error, BadAnswer)
    assert str(talk.error) == "it:2007 sent no urgent byte back: the connection is out of step"


def test_abort_stops_a_text_where_there_is_no_urgent_data() -> None:
    talk = generating(can_urge=False)
    assert talk.stop() == b"ABORT\r\n"
    talk.hear(b"ee\r\n207 words\r\n.\r\n207 now\r\n")
    assert talk.outcome() == Outcome(is_stopped=True, discarded=18)
    reset(talk)


def test_where_there_is_neither_the_rest_of_the_text_is_dropped() -> None:
    talk = generating(can_urge=False, has_abort=False)
    assert talk.stop() == b""
    talk.hear(b"ee\r\n.\r\n")
    assert talk.outcome() == Outcome(is_stopped=True, discarded=7)
    assert bytes(talk.text) == b"one two\nthr"


def test_a_text_that_has_not_begun_is_stopped_once_it_has() -> None:
    talk = begun()
    talk.conversation.generate(5)
    talk.look()
    assert talk.said() == b"GENERATE 5\r\n"
    assert talk.stop() == b""
    talk.hear(b"203 here\r\n")
    assert talk.said() == b"^"
    talk.mark(7)
    assert talk.outcome() == Outcome(is_stopped=True, discarded=7)
    assert talk.text == b""


def test_between_commands_there_is_nothing_to_stop() -> None:
    talk = begun()
    assert talk.stop() == b""
    talk.mark()
    talk.conversation.reset()
    talk.look()
    assert talk.stop() == b""
    talk.mark()
    talk.hear(b"205 gone\r\n")
    assert talk.outcome() == Outcome()


def test_a_mark_in_the_middle_of_a_text_means_nothing() -> None:
    talk = generating()
    assert not talk.conversation.wants_mark
    talk.mark(100)
    talk.hear(b"ee\r\n.\r\n")
    assert bytes(talk.text) == b"one two\nthree\n"
    assert talk.outcome() == Outcome()
