"""Talking to a server that the tutorial's programs are made for."""

from __future__ import annotations

import pytest
from attrs import evolve

from sockd.client.chat.conversation import Phase
from sockd.client.chat.heard import TWICE_SECONDS
from sockd.client.chat.hearing import NOT_HEARD
from sockd.client.chat.login import HELLO_WAITS, LOGIN_SECONDS, LOGIN_TRIES
from sockd.client.chat.outbox import UNANSWERED
from sockd.client.chat.sending import OLD_RETRIES
from sockd.client.chat.signs import ALIVE_SECONDS
from sockd.client.chat.told import (
    ChannelRow,
    Ended,
    Joined,
    JoinGroup,
    LeaveGroup,
    Level,
    Listen,
    LoggedIn,
    Message,
    Notice,
    NotSent,
    Parted,
    Presence,
    Refused,
    UserRow,
)
from sockd.formats import ports
from sockd.formats.chat.events import Code, pack
from tests.client.chat.old import OldServer, Talk


def talk(title: str = "weather", **facts: object) -> Talk:
    """One that is in a channel."""
    found = Talk(OldServer(**facts))  # type: ignore[arg-type]
    found.do(found.conversation.join(title, found.now))
    return found


def test_it_says_hello_first_and_logs_in_the_old_way_on_an_error() -> None:
    found = Talk(OldServer())
    assert [code for code, _ in found.server.had] == [Code.NOTHING, Code.LOGIN_REQ]
    assert found.of(LoggedIn) == [LoggedIn("anna", "", is_again=False)]


def test_a_server_that_is_not_there_is_told_after_the_last_hello() -> None:
    server = OldServer()
    server.is_deaf = True
    found = Talk(server)
    found.run(sum(HELLO_WAITS))
    assert len(server.had) == len(HELLO_WAITS)
    assert found.shown == [Ended("the server does not answer")]
    assert found.conversation.next_at is None


def test_a_log_in_is_tried_five_times_six_seconds_apart() -> None:
    server = OldServer()
    server.loses = {Code.LOGIN_ACK}
    found = Talk(server)
    server.is_deaf = True
    for tries in range(1, LOGIN_TRIES):
        found.run(LOGIN_SECONDS - 0.1)
        assert len(found.had(Code.LOGIN_REQ)) == tries
        found.run(0.1)
    found.run(LOGIN_SECONDS)
    assert len(found.had(Code.LOGIN_REQ)) == LOGIN_TRIES == 5
    assert LOGIN_SECONDS == 6
    assert found.shown == [Ended("the server does not answer")]


def test_a_log_in_whose_answer_was_lost_is_not_taken_for_a_name_that_is_taken() -> None:
    server = OldServer()
    server.loses = {Code.LOGIN_ACK}
    found = Talk(server)
    found.run(LOGIN_SECONDS)
    assert found.conversation.phase is Phase.IN
    assert found.of(Refused) == []


def test_a_name_that_is_taken_is_told_once_and_another_one_can_be_had() -> None:
    server = OldServer()
    server.taken = {b"anna"}
    found = Talk(server)
    for text in (b"nickname already in use", b"please log in"):
        found.hear(pack(Code.ERROR, text))
    assert found.shown == [Refused("nickname already in use")]
    found.do(found.conversation.rename("bert", found.now))
    assert found.of(LoggedIn) == [LoggedIn("bert", "", is_again=False)]


def test_a_second_answer_to_the_hello_is_not_a_refusal() -> None:
    server = OldServer()
    server.loses = {Code.LOGIN_ACK}
    found = Talk(server)
    found.hear(pack(Code.ERROR, b"please log in"))
    assert found.of(Refused) == []


def test_a_sign_of_life_goes_out_every_30_seconds_whatever_else_is_said() -> None:
    found = talk()
    for _ in range(9):
        found.run(10.0)
        found.do(found.conversation.say("hi", found.now))
    found.run(0.1)
    assert len(found.had(Code.STILL_HERE)) == 3
    assert ALIVE_SECONDS == 30


def test_that_it_knows_no_signs_of_life_is_not_shown_again_and_again() -> None:
    found = talk(knows_signs=False)
    found.run(100.0)
    assert found.of(Notice) == []
    assert len(found.had(Code.STILL_HERE)) == 3


def test_a_server_that_has_started_anew_is_entered_again_with_all_channels() -> None:
    found = talk()
    found.do(found.conversation.join("pets", found.now))
    found.run(10.0)
    found.server.forget()
    found.run(2 * ALIVE_SECONDS)
    assert found.server.channels == ["Pets", "Weather"]
    assert found.of(LoggedIn)[1:] == [LoggedIn("anna", "", is_again=True, has_missed=True)]


def test_what_does_not_come_back_is_told_as_not_sent() -> None:
    found = talk()
    found.server.loses = {Code.PUBLIC_MSG}
    found.do(found.conversation.say("hi", found.now))
    assert not found.conversation.is_idle
    found.run(3.0)
    assert found.of(NotSent) == [NotSent("hi")]
    assert found.conversation.phase is Phase.IN


def test_two_equal_messages_need_two_echoes() -> None:
    found = talk()
    found.do(found.conversation.say("hi", found.now))
    found.server.is_deaf = True
    found.do(found.conversation.say("hi", found.now))
    found.run(3.0)
    assert found.of(NotSent) == [NotSent("hi")]


def test_when_nothing_comes_back_it_is_looked_for_and_found_without_a_log_in() -> None:
    found = talk()
    found.server.is_deaf = True
    for text in ("one", "two"):
        found.do(found.conversation.say(text, found.now))
    found.run(3.0)
    assert [one.level for one in found.of(Notice)] == [Level.WARNING]
    found.server.is_deaf = False
    found.run(20.0)
    assert found.conversation.phase is Phase.IN
    assert len(found.had(Code.LOGIN_REQ)) == 1


def test_its_groups_are_heard_at_the_port_that_it_tells() -> None:
    found = talk(group="225.1.0.2")
    assert [one.port for one in found.of(Listen)] == [2028]
    assert [str(one.group) for one in found.of(JoinGroup)] == ["225.1.0.2"]


def test_its_groups_are_heard_at_their_usual_port_where_it_tells_none() -> None:
    found = talk(group="225.1.0.2", tells_port=False)
    assert [one.port for one in found.of(Listen)] == [ports.CHAT_GROUPS]
    assert [str(one.group) for one in found.of(JoinGroup)] == ["225.1.0.2"]
    found.do(found.conversation.list_channels(found.now))
    assert {one.description for one in found.of(ChannelRow)} == {"about Weather", "about Pets"}
    found.do(found.conversation.part("", found.now))
    assert [str(one.group) for one in found.of(LeaveGroup)] == ["225.1.0.2"]


def test_groups_that_bring_nothing_are_told_once() -> None:
    found = talk(group="225.1.0.2")
    found.server.loses = {Code.PUBLIC_MSG}
    for _ in range(4):
        found.do(found.conversation.say("hi", found.now))
        found.run(4.0)
    assert found.of(Notice) == [NOT_HEARD]
    assert found.conversation.phase is Phase.IN


@pytest.mark.parametrize(
    ("code", "text"),
    [
        (Code.PUBLIC_MSG, b"Pets bert hi"),
        (Code.USER_JOINS, b"Pets bert"),
        (Code.USER_PARTS, b"Pets bert"),
    ],
)
def test_an_event_of_a_channel_that_another_client_on_this_host_joined_is_dropped(
    code: Code, text: bytes
) -> None:
    found = talk()
    before = len(found.shown)
    found.hear(pack(code, text))
    assert len(found.shown) == before


def test_its_events_are_shown_as_they_are() -> None:
    found = talk()
    del found.shown[:]
    for code, text in (
        (Code.PUBLIC_MSG, b"Weather bert hi there"),
        (Code.PUBLIC_MSG, b"wEATHER bert hi there"),
        (Code.PRIVATE_MSG, b"bert psst"),
        (Code.USER_JOINS, b"Weather carl"),
        (Code.USER_PARTS, b"Weather carl"),
        (Code.ERROR, b"dave: not logged in"),
    ):
        found.hear(pack(code, text))
    assert found.shown[0] == Message("bert", "hi there", "Weather")
    assert found.shown[2:5] == [
        Message("bert", "psst"),
        Presence("Weather", "carl", True),
        Presence("Weather", "carl", False),
    ]
    assert [one.text for one in found.of(Notice)] == ["dave: not logged in"]


def test_all_that_can_be_asked_is_answered() -> None:
    found = talk()
    talking = found.conversation
    for done in (
        talking.list_channels(found.now),
        talking.list_users(found.now),
        talking.whisper("bert", "psst", found.now),
        talking.part("weather", found.now),
    ):
        found.do(done)
    found.run(5.0)
    assert [one.channel for one in found.of(ChannelRow)] == [
        "Weather",
        "Pets",
    ]
    assert found.of(UserRow) == [UserRow("anna", 5, ["Weather"])]
    assert Message("anna", "psst", is_own=True, to="bert") in found.shown
    assert talking.channels == []
    assert found.had(Code.SEND_PRIVATE) == [b"bert psst"]


@pytest.mark.parametrize("data", [b"", b"\0", b"\0\x64", b"\xff\xff", b"\0\x3c", b"\0\x64a b"])
def test_what_means_nothing_does_nothing(data: bytes) -> None:
    found = talk()
    before = len(found.shown)
    found.hear(data)
    assert len(found.shown) == before


def test_to_quit_is_to_log_off_once_and_to_be_gone() -> None:
    found = talk()
    found.do(found.conversation.quit(found.now))
    assert found.had(Code.LOGOFF) == [b"anna"]
    assert found.shown[-1] == Ended()
    assert found.conversation.quit(found.now) == []


@pytest.mark.parametrize("nickname", ["", " ", "an na", "anna\n"])
def test_a_nickname_that_no_server_takes_is_refused_at_once(nickname: str) -> None:
    found = Talk(OldServer(), nickname)
    assert len(found.of(Refused)) == 1
    assert found.server.had == []


def test_a_change_of_channels_that_is_not_answered_is_asked_for_again() -> None:
    found = Talk(OldServer())
    found.server.loses = {Code.JOIN_ACK}
    found.do(found.conversation.join("weather", found.now))
    found.do(found.conversation.say("hi", found.now))
    found.server.loses = {Code.PART_ACK}
    found.run(1.0)
    assert found.had(Code.JOIN_REQ) == [b"weather"] * 2
    assert found.had(Code.SEND_PUBLIC) == [b"hi"]
    found.do(found.conversation.part("", found.now))
    found.run(5.0)
    assert found.had(Code.PART_REQ) == [b"Weather"] * 2
    assert found.of(Parted) == [Parted("Weather")]  # the second try is refused: it was in vain
    assert found.of(Notice) == []


def test_a_change_of_channels_that_is_never_answered_is_told_and_holds_up_nothing() -> None:
    found = talk()
    found.server.loses = {Code.JOIN_ACK}
    found.do(found.conversation.join("pets", found.now))
    found.do(found.conversation.say("hi", found.now))
    found.run(20.0)
    assert found.had(Code.JOIN_REQ).count(b"pets") == 1 + len(OLD_RETRIES)
    assert found.of(Notice)[0].text == UNANSWERED % "pets"
    assert found.had(Code.SEND_PUBLIC) == [b"hi"]
    assert found.conversation.phase is Phase.IN


def test_what_is_doubled_on_the_way_is_shown_once_and_what_is_said_twice_is_shown_twice() -> None:
    found = talk()
    said = pack(Code.PUBLIC_MSG, b"Weather bert hi")
    found.hear(said)
    found.hear(said)
    found.run(TWICE_SECONDS)
    found.hear(said)
    for _ in range(2):
        found.do(found.conversation.say("hi", found.now))
    found.hear(pack(Code.PUBLIC_MSG, b"Weather anna hi"))
    assert [one.user for one in found.of(Message)] == ["bert", "bert", "anna", "anna"]
    assert found.of(NotSent) == []


def test_a_join_that_is_answered_twice_is_told_once_and_one_that_is_asked_twice_twice() -> None:
    found = talk()
    pets = Joined("Pets", 1, is_new=True)
    found.do(found.conversation.join("pets", found.now))
    assert found.of(Joined)[1:] == [pets]
    for again in found.server.answers(pack(Code.JOIN_REQ, b"pets")):
        found.hear(again)
    assert found.of(Joined)[1:] == [pets]
    found.do(found.conversation.join("pets", found.now))
    assert found.of(Joined)[1:] == [pets, evolve(pets, is_new=False)]


def test_where_we_are_after_we_have_left_another_channel_is_told_unasked() -> None:
    found = Talk(OldServer())
    for channel in ("pets", "weather"):
        found.do(found.conversation.join(channel, found.now))
    [weather] = found.server.answers(pack(Code.JOIN_REQ, b"weather"))
    found.do(found.conversation.part("pets", found.now))
    found.hear(weather)
    assert [one.channel for one in found.of(Joined)] == ["Pets", "Weather", "Weather"]


def test_nobody_can_log_us_off_at_a_server_that_cannot_prove_who_it_is() -> None:
    found = talk()
    found.hear(pack(Code.LOGOFF, b"be gone"))
    assert found.conversation.phase is Phase.IN


def test_by_a_group_is_heard_what_the_server_sends_and_nobody_else() -> None:
    found = talk(group="225.1.0.2")
    heard = found.conversation.heard
    said = pack(Code.PUBLIC_MSG, b"Weather bert hi")
    assert heard(said, found.now, is_servers=False) == []
    assert heard(pack(Code.PRIVATE_MSG, b"bert hi"), found.now, is_servers=True) == []
    assert heard(said, found.now, is_servers=True) == [Message("bert", "hi", "Weather")]


def test_a_port_of_groups_is_taken_once_a_log_in() -> None:
    found = talk(group="225.1.0.2")
    for port in (b"5353", b"2029"):
        found.hear(pack(Code.SET_MCAST_PORT, port))
    assert found.of(Listen) == [Listen(2028)]
    found.server.forget()
    found.run(2 * ALIVE_SECONDS)
    assert found.of(Listen) == [Listen(2028)] * 2
