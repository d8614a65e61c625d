"""Talking to a server that has sessions, on a network without faults unless a test makes one."""

from __future__ import annotations

import pytest

from sockd.client.chat.conversation import (
    LEAVE_SECONDS,
    MOST_WAITING,
    Phase,
)
from sockd.client.chat.login import REFUSED_AGAIN, silent
from sockd.client.chat.outbox import NO_CHANNEL, TOO_LONG
from sockd.client.chat.sending import GIVES_UP, RETRIES
from sockd.client.chat.signs import ALIVE_SECONDS
from sockd.client.chat.told import (
    ChannelRow,
    Ended,
    Joined,
    LoggedIn,
    Lost,
    Message,
    Notice,
    NotSent,
    Parted,
    Presence,
    Refused,
    UserRow,
)
from sockd.client.chat.wishes import MOST
from sockd.formats.chat.events import MAX_TEXT, Code, pack
from tests.client.chat.net import Client, Network, Wire, two

CUT = Wire(loss=1.0)


def phase(client: Client) -> Phase:
    """Where it stands now."""
    return client.phase


def test_it_logs_in_and_names_the_server() -> None:
    _, anna, bert = two()
    assert anna.shown[:2] == [
        LoggedIn("anna", "server", is_again=False),
        Joined("Weather", 1, is_new=True),
    ]
    assert anna.of(Presence) == [Presence("Weather", "bert", True)]
    assert phase(bert) is Phase.IN


def test_all_commands_have_their_answers() -> None:
    network, anna, bert = two()
    talk = anna.conversation
    network.do(anna, talk.list_channels(network.now))
    network.do(anna, talk.list_users(network.now))
    network.do(anna, talk.whisper("BERT", "psst", network.now))
    network.run(2.0)
    network.do(anna, talk.part("", network.now))
    network.run(1.0)
    assert [one.channel for one in anna.of(ChannelRow)] == [
        "Weather",
        "Pets",
        "Gardening",
    ]
    assert {one.user for one in anna.of(UserRow)} == {
        "anna",
        "bert",
    }
    assert bert.texts() == ["psst"]
    assert [(one.text, one.to) for one in anna.of(Message)] == [("psst", "BERT")]
    assert anna.of(Parted) == [Parted("Weather")]
    assert anna.of(Notice) == []


def test_a_sign_of_life_goes_out_every_30_seconds_whatever_else_is_said() -> None:
    network, anna, bert = two()
    bert.conversation.quit(network.now)
    for _ in range(10):
        network.say(anna, "hi")
        network.run(9.0)
    assert network.to_server[Code.STILL_HERE] == 3


def test_what_is_not_confirmed_is_sent_again_at_the_moments_promised_and_then_told() -> None:
    network, anna, _ = two()
    network.wire = CUT
    began = network.now
    network.say(anna, "hi")
    moments = []
    while network.now < began + GIVES_UP - 0.01:
        before = network.to_server[Code.SEND_PUBLIC]
        network.run(0.05)
        if network.to_server[Code.SEND_PUBLIC] > before:
            moments.append(network.now - began)
    assert moments == pytest.approx(RETRIES, abs=0.06)
    assert RETRIES == (0.3, 1.0, 3.0)
    network.run(0.1)
    assert anna.of(Notice) == [silent()]
    assert anna.not_sent() == {"hi"}
    assert phase(anna) is Phase.AWAY


def test_what_the_server_refuses_is_not_sent() -> None:
    network, anna, _ = two()
    network.desk.rooms.muted.add(b"anna")
    network.say(anna, "hi")
    network.run(1.0)
    assert anna.not_sent() == {"hi"}
    assert [one.text for one in anna.of(Notice)] == ["you are muted"]


def test_what_is_too_long_for_an_event_is_never_sent_nor_cut() -> None:
    network, anna, _ = two()
    network.say(anna, "x" * (MAX_TEXT + 1))
    assert anna.of(Notice)[0].text == TOO_LONG
    assert anna.not_sent() == {"x" * (MAX_TEXT + 1)}
    assert network.to_server[Code.SEND_PUBLIC] == 0


def test_what_is_said_in_no_channel_is_told_as_not_sent() -> None:
    network = Network(1)
    anna = network.join("anna")
    network.run(1.0)
    network.say(anna, "hi")
    assert anna.of(Notice)[0].text == NO_CHANNEL
    assert anna.not_sent() == {"hi"}


def test_more_than_can_wait_is_told_as_not_sent() -> None:
    network = Network(1)
    network.is_up = False
    anna = network.join("anna")
    for number in range(MOST + 1):
        network.say(anna, str(number))
        assert anna.conversation.has_room == (number + 1 < MOST_WAITING)
    assert anna.not_sent() == {str(MOST)}
    assert not anna.conversation.is_idle


def test_a_name_that_is_taken_is_refused_once_and_another_is_taken() -> None:
    network, _, _ = two()
    third = network.join("ANNA")
    network.run(1.0)
    assert third.of(Refused) == [Refused("that nickname is taken")]
    assert network.to_server[Code.OPEN] == 2 + REFUSED_AGAIN
    network.run(100.0)
    assert len(third.shown) == 1
    network.do(third, third.conversation.rename("carl", network.now))
    network.run(1.0)
    assert phase(third) is Phase.IN


def test_to_quit_is_to_log_off_though_the_first_try_is_lost() -> None:
    network, anna, _ = two()
    network.wire = CUT
    network.do(anna, anna.conversation.quit(network.now))
    assert phase(anna) is Phase.LEAVING
    network.wire = Wire()
    network.run(LEAVE_SECONDS)
    assert anna.shown[-1] == Ended()
    assert network.gone == ["anna"]


def test_to_quit_takes_two_seconds_at_most() -> None:
    network, anna, _ = two()
    network.is_up = False
    network.do(anna, anna.conversation.quit(network.now))
    network.run(LEAVE_SECONDS - 0.1)
    assert phase(anna) is Phase.LEAVING
    network.run(0.1)
    assert phase(anna) is Phase.OVER
    assert anna.conversation.next_at is None
    assert LEAVE_SECONDS == 2


def test_who_is_kicked_is_told_why_and_does_not_come_back() -> None:
    network, anna, _ = two()
    network.kick("anna")
    network.run(300.0)
    assert anna.shown[-1] == Ended("be gone")
    assert network.members("weather") == {"bert"}


def test_what_waits_when_the_server_ends_it_is_told_as_not_sent() -> None:
    network, anna, _ = two()
    said = [f"line {number}" for number in range(12)]
    for text in said:
        network.say(anna, text)
    network.kick("anna")
    network.run(5.0)
    assert phase(anna) is Phase.OVER
    assert [one for one in said if one not in anna.texts()] == [
        one.text for one in anna.of(NotSent)
    ]
    assert anna.of(NotSent)


@pytest.mark.parametrize("does_speak", [False, True])
def test_who_is_kicked_and_does_not_hear_it_hears_it_when_it_sends_something(
    does_speak: bool,
) -> None:
    network, anna, bert = two()
    network.loses[Code.LOGOFF] = 1
    network.kick("anna")
    if does_speak:
        network.say(anna, "hi")
    network.run(2 * ALIVE_SECONDS)
    assert anna.shown[-1] == Ended("be gone")
    assert len(anna.of(LoggedIn)) == 1
    assert network.members("weather") == {"bert"}
    assert bert.texts() == []


def test_a_late_error_is_no_refusal_to_who_comes_back() -> None:
    network, anna, _ = two()
    network.boot()
    network.do(anna, anna.conversation.disconnected(network.now))
    network.do(anna, anna.conversation.connected(network.now))
    while phase(anna) is not Phase.OPEN:
        network.run(0.001)
    for text in (b"please log in", b"say hello first"):
        network.hear(anna, pack(Code.ERROR, text))
    for _ in range(REFUSED_AGAIN - 1):
        network.hear(anna, pack(Code.ERROR, b"that nickname is taken"))
    network.run(3.0)
    assert phase(anna) is Phase.IN
    assert network.members("weather") == {"anna"}


def test_a_server_that_was_forgotten_by_is_known_again_within_seconds_of_speaking() -> None:
    network, anna, _ = two()
    network.boot()
    network.say(anna, "lost")
    network.run(10.0)
    assert phase(anna) is Phase.IN
    assert anna.not_sent() == {"lost"}


def test_members_that_come_back_after_a_restart_are_no_news() -> None:
    network, anna, bert = two()
    network.boot()
    network.run(2 * ALIVE_SECONDS)
    assert network.members("weather") == {"anna", "bert"}
    assert bert.of(Presence) == []
    assert anna.of(Presence) == [Presence("Weather", "bert", True)]  # of the very first time


def test_many_who_come_back_do_not_all_come_at_once() -> None:
    network = Network(1)
    clients = [network.join(f"user{number}", "weather") for number in range(50)]
    network.run(5.0)
    network.is_up = False
    for client in clients:
        network.say(client, "hi")
    network.run(GIVES_UP + 0.1)
    moments = [client.conversation.next_at for client in clients]
    assert len(set(moments)) == 50


def test_a_connection_that_ends_leads_to_another_and_back_into_the_channels() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.disconnected(network.now))
    assert phase(anna) is Phase.AWAY
    assert anna.conversation.next_at is None
    assert anna.conversation.disconnected(network.now) == []
    network.desk.left(anna.place, network.moment)
    network.run(5.0)
    network.do(anna, anna.conversation.connected(network.now))
    network.run(3.0)
    assert phase(anna) is Phase.IN
    assert network.members("weather") == {"anna", "bert"}
    network.say(anna, "here again")
    network.run(1.0)
    assert anna.texts()[-1] == "here again"


def test_a_connection_that_ends_while_leaving_is_the_end() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.quit(network.now))
    network.do(anna, anna.conversation.disconnected(network.now))
    assert anna.shown[-1] == Ended()
    assert anna.conversation.disconnected(network.now) == []


def test_a_private_message_that_was_lost_is_told_at_the_next_sign_of_life() -> None:
    network, anna, bert = two()
    network.loses[Code.PRIVATE_MSG] = 1
    network.do(anna, anna.conversation.whisper("bert", "psst", network.now))
    network.run(ALIVE_SECONDS + 2.0)
    assert bert.of(Lost) == [Lost("", 1)]
    assert anna.of(Lost) == []


@pytest.mark.parametrize("code", [Code.JOIN_ACK, Code.PART_ACK, Code.ACK])
def test_an_answer_that_was_lost_is_asked_for_again_and_nothing_is_told_as_lost(
    code: Code,
) -> None:
    network, anna, bert = two()
    network.loses[code] = 1
    talk = anna.conversation
    network.do(anna, talk.join("pets", network.now))
    network.do(anna, talk.part("weather", network.now))
    network.do(anna, talk.whisper("bert", "psst", network.now))
    network.run(2 * ALIVE_SECONDS)
    assert [one.title for one in talk.channels] == [b"Pets"]
    assert network.members("weather") == {"bert"}
    assert bert.texts() == ["psst"]
    assert anna.texts() == ["psst"]
    assert anna.of(Lost) == []
    assert anna.of(Notice) == []


def test_another_name_waits_for_a_connection() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.disconnected(network.now))
    network.do(anna, anna.conversation.rename("carl", network.now))
    network.run(100.0)
    assert anna.phase is Phase.AWAY
    network.do(anna, anna.conversation.connected(network.now))
    network.run(3.0)
    assert b"carl" in network.desk.names
    assert network.members("weather") == {"bert", "carl"}


def test_what_was_too_fast_for_the_server_is_sent_later() -> None:
    network, anna, _ = two()
    network.desk.rooms.at[anna.place].tokens = -6.0
    network.say(anna, "hi")
    network.run(5.0)
    assert anna.texts() == ["hi"]
    assert anna.of(Notice) == []
    assert network.desk.counts["too_fast"] > 0
