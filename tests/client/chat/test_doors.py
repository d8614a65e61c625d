"""Groups, and whether they come; ways to the server that end, and others that follow."""

from __future__ import annotations

from ipaddress import IPv4Address

import pytest

from sockd.chat import heartbeat
from sockd.client.chat.hearing import NOT_HEARD
from sockd.client.chat.pulse import MISSED, NO_GROUPS
from sockd.client.chat.signs import ALIVE_SECONDS
from sockd.client.chat.told import (
    Joined,
    LeaveGroup,
    Listen,
    LoggedIn,
    Lost,
    Notice,
)
from sockd.formats.chat.events import Code
from tests.client.chat.net import HEARTBEATS, Network, Wire, two

CUT = Wire(loss=1.0)


def test_another_name_is_had_in_the_same_channels() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.rename("carl", network.now))
    network.run(3.0)
    assert network.members("weather") == {"bert", "carl"}
    assert network.gone == ["anna"]
    assert anna.of(Lost) == []


def test_who_was_silent_for_too_long_comes_back_and_the_numbers_of_its_session_begin_anew() -> None:
    network, anna, bert = two()
    for _ in range(5):
        network.do(bert, bert.conversation.whisper("anna", "psst", network.now))
        network.run(1.0)
    network.run(ALIVE_SECONDS)  # whoever has sent a sign of life has to send more
    network.wire = CUT
    network.run(200.0)
    assert set(network.gone) == {"anna", "bert"}
    network.wire = Wire()
    network.run(60.0)
    network.do(bert, bert.conversation.whisper("anna", "again", network.now))
    network.run(2.0)
    assert anna.texts()[-1] == "again"
    assert {one.channel for one in anna.of(Lost)} <= {"Weather"}  # that others came and went


def test_who_comes_back_by_another_way_is_told_of_what_it_missed_and_of_nothing_else() -> None:
    network, anna, bert = two()
    network.wire = CUT
    network.do(anna, anna.conversation.disconnected(network.now))
    network.wire = Wire()
    network.loses[Code.PRIVATE_MSG] = 2
    for _ in range(2):
        network.do(bert, bert.conversation.whisper("anna", "psst", network.now))
        network.run(1.0)
    network.do(anna, anna.conversation.connected(network.now))
    network.run(5.0)
    assert anna.of(Lost) == [Lost("", 2)]


def test_what_overtakes_the_answer_to_a_log_in_is_not_lost() -> None:
    for seed in range(50):
        network = Network(seed, Wire(delay=0.1), group_port=2028)
        anna = network.join("anna", "weather")
        network.run(5.0)
        assert network.to_server[Code.OPEN] == 1
        assert anna.groups == {HEARTBEATS, IPv4Address("225.1.0.1")}
        assert anna.of(Lost) == []


def test_a_gap_right_after_joining_is_told() -> None:
    network = Network(1)
    anna = network.join("anna", "weather")
    network.run(1.0)
    bert = network.join("bert", "weather")
    network.run(1.0)
    network.desk.rooms.channels[b"weather"].sequence += 1  # the first that bert should hear
    network.say(anna, "hi")
    network.run(3.0)
    assert bert.texts() == ["hi"]
    assert bert.of(Lost) == [Lost("Weather", 1)]


@pytest.mark.parametrize(("family", "groups"), [(4, 2), (None, 2), (6, 0)])
def test_a_group_of_another_family_than_that_of_the_way_to_the_server_is_not_joined(
    family: int | None, groups: int
) -> None:
    network = Network(1, group_port=2028)
    anna = network.join("anna", family=family)
    network.do(anna, anna.conversation.join("weather", network.now))
    network.run(2.0)
    assert len(anna.groups) == groups
    assert [one.title for one in anna.conversation.channels] == [b"Weather"]


def test_who_is_not_reached_by_groups_notices_two_messages_and_is_sent_its_own() -> None:
    network, anna, _ = two(group_port=2028)
    network.groups_work = False
    for expected in (0, 0, 1):
        assert network.to_server[Code.UNICAST] == expected
        network.say(anna, "hi")
        network.run(2.0)
    assert anna.of(Notice) == [NO_GROUPS]
    assert anna.texts() == ["hi"] * 3
    assert anna.not_sent() == set()
    assert network.to_server[Code.SEND_PUBLIC] == 3 + 2  # the third came back at once


def test_who_says_nothing_notices_by_the_heartbeats_that_do_not_come() -> None:
    network, anna, bert = two(group_port=2028)
    network.run(60.0)
    assert network.to_server[Code.UNICAST] == 0
    network.groups_work = False
    network.run(heartbeat.SECONDS * MISSED + 1.0)
    assert anna.of(Notice) == bert.of(Notice) == [NO_GROUPS]
    network.say(anna, "hi")
    network.run(1.0)
    assert bert.texts() == ["hi"]


def test_a_server_that_has_started_anew_is_told_at_once_that_groups_do_not_come() -> None:
    network, anna, _ = two(group_port=2028)
    network.groups_work = False
    network.run(heartbeat.SECONDS * MISSED + 1.0)
    network.boot()
    network.run(ALIVE_SECONDS + 10.0)
    assert network.desk.rooms.at[anna.place].by_unicast
    assert anna.of(Notice).count(NO_GROUPS) == 1


def test_a_server_that_is_down_is_not_taken_for_groups_that_do_not_come() -> None:
    network, anna, _ = two(group_port=2028)
    network.is_up = False
    network.run(120.0)
    network.boot()
    network.run(60.0)
    assert NO_GROUPS not in anna.of(Notice)


def test_what_is_said_and_never_comes_back_by_whatever_way_is_told_once() -> None:
    network, anna, _ = two(group_port=2028)
    network.groups_work = False
    network.is_mute = True
    for _ in range(10):
        network.say(anna, "hi")
        network.run(2.0)
    assert anna.of(Notice) == [NO_GROUPS, NOT_HEARD]


def test_who_comes_back_is_in_the_same_channel_though_coming_back_was_cut_short() -> None:
    network, anna, _ = two()
    network.do(anna, anna.conversation.join("pets", network.now))
    network.run(1.0)
    network.do(anna, anna.conversation.disconnected(network.now))
    network.do(anna, anna.conversation.connected(network.now))
    joins = network.to_server[Code.JOIN_REQ]
    while network.to_server[Code.JOIN_REQ] < joins + 2:
        network.run(0.001)
    network.wire = CUT
    network.do(anna, anna.conversation.disconnected(network.now))
    network.wire = Wire()
    network.do(anna, anna.conversation.connected(network.now))
    network.run(5.0)
    network.say(anna, "hi")
    network.run(1.0)
    assert network.spoken == [(1, "Pets", "hi")]


def test_the_port_of_groups_that_comes_late_is_taken() -> None:
    network = Network(1, group_port=2028)
    network.wire = Wire(delay=0.0)
    anna = network.join("anna", "weather")
    network.loses[Code.SET_MCAST_PORT] = 1
    while not anna.of(Joined):
        network.run(0.001)
    assert HEARTBEATS in anna.groups
    assert anna.port is None
    user = network.desk.rooms.at[anna.place]
    late = network.desk.rooms.answer(user, Code.SET_MCAST_PORT, b"2028", network.moment)
    network.hear(anna, late.data)
    network.run(5.0)
    assert {one.port for one in anna.of(Listen)} == {2028}
    assert anna.groups == {HEARTBEATS, IPv4Address("225.1.0.1")}
    assert len(anna.of(LoggedIn)) == 1


@pytest.mark.parametrize("code", [Code.SET_MCAST_PORT, Code.HEARTBEAT_AT])
def test_where_groups_are_is_asked_once_more_where_it_did_not_come(code: Code) -> None:
    network = Network(1, Wire(delay=0.0), group_port=2028)
    anna = network.join("anna", "weather")
    network.loses[code] = 1
    network.run(5.0)
    assert network.to_server[Code.OPEN] == 2
    assert anna.groups == {HEARTBEATS, IPv4Address("225.1.0.1")}
    assert anna.port == 2028
    assert len(anna.of(LoggedIn)) == 1


def test_parting_leaves_the_group_and_so_does_another_door() -> None:
    network, anna, _ = two(group_port=2028)
    network.do(anna, anna.conversation.join("pets", network.now))
    network.run(1.0)
    network.do(anna, anna.conversation.part("weather", network.now))
    network.run(1.0)
    assert anna.of(LeaveGroup) == [LeaveGroup(IPv4Address("225.1.0.1"))]
    network.do(anna, anna.conversation.disconnected(network.now))
    network.do(anna, anna.conversation.connected(network.now))
    assert anna.groups == set()


def test_where_a_group_cannot_be_heard_the_server_is_asked_once_for_our_own() -> None:
    network, anna, bert = two(group_port=2028)
    for _ in range(2):
        network.do(anna, anna.conversation.deaf("no such device", network.now))
    network.say(bert, "hi")
    network.run(2.0)
    assert network.to_server[Code.UNICAST] == 1
    assert [user.by_unicast for user in network.desk.rooms.users.values()] == [True, False]
    assert anna.texts() == ["hi"]
