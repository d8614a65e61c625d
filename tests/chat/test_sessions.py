"""New clients: proven by a cookie, each datagram by a MAC; doubles, another address, a restart."""

from __future__ import annotations

import pytest

from sockd.chat.ended import KEPT, SECONDS
from sockd.chat.secret import SLOT_SECONDS
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.session import Open, Opened
from sockd.formats.chat.trailer import sign
from sockd.formats.chat.window import NUMBERS, WINDOW
from tests.chat.world import MULTICAST, QUICK, STREAM, New, Old, World, hush, joined, new, old


def test_a_log_in_needs_the_cookie_of_its_own_place_and_a_fresh_one() -> None:
    world = World()
    ada, eve = New(world, b"ada", world.place()), New(world, b"ada", world.place())
    event = ada.open()
    world.send(eve.place, event)
    assert eve.heard() == [(Code.ERROR, b"say hello first")]
    world.now += 2 * SLOT_SECONDS
    world.send(ada.place, event)
    assert ada.heard() == [(Code.ERROR, b"say hello first")]
    assert ada.log_in()[0].code == Code.OPENED


def test_a_log_in_whose_answer_was_lost_is_answered_the_same_again() -> None:
    world = World()
    ada = New(world, b"ada", world.place(MULTICAST))
    event = ada.open()
    world.send(ada.place, event)
    first = world.take(ada.place)
    world.send(ada.place, event)
    again = world.take(ada.place)
    assert [data[:2] for data in first] == [pack(Code.OPENED), pack(Code.SET_MCAST_PORT)]
    assert first[0].endswith(b" 00000000")
    assert again[0] == first[0][:-8] + b"00000001"  # of what was sent in it since
    assert again[1][:6] == first[1][:6]
    assert len(world.rooms.users) == 1


def test_names_of_new_clients_are_as_unique_as_those_of_old_ones() -> None:
    world = World()
    new(world, "ada"), old(world, "bob")
    for name in (b"ADA", b"Bob"):
        assert New(world, name, world.place()).log_in() == [(Code.ERROR, b"that nickname is taken")]
    thief = Old(world, b"ada", world.place())
    assert thief.log_in() == [(Code.ERROR, b"that nickname is taken")]
    assert New(world, b"a b", world.place()).log_in()[0].code == Code.ERROR


def test_a_forged_log_off_message_or_join_is_dropped_and_counted() -> None:
    world = World()
    ada = joined(new(world, "ada"), "Pets")
    assert isinstance(ada, New)
    hush(ada)
    for code, text in (
        (Code.LOGOFF, b"ada"),
        (Code.SEND_PUBLIC, b"I am ada"),
        (Code.JOIN_REQ, b"Weather"),
        (Code.LOGIN_REQ, b"ada"),
        (Code.LOGIN_REQ, b"eve"),
    ):
        world.send(ada.place, pack(code, text))
        world.send(ada.place, sign(pack(code, text), ada.session, 99, bytes(16)))
    assert (ada.heard(), world.take(ada.place)) == ([], [])
    assert (world.desk.counts["unsigned"], world.desk.counts["forged"]) == (5, 5)
    assert [one.title for one in world.rooms.users[b"ada"].channels] == [b"Pets"]


def test_what_is_signed_but_comes_from_another_place_is_dropped() -> None:
    world = World()
    ada = joined(new(world, "ada"), "Pets")
    assert isinstance(ada, New)
    hush(ada)
    data = ada.signed(pack(Code.SEND_PUBLIC, b"x"))
    for gate in (ada.place.gate, STREAM):
        world.send(world.place(gate), data)
    assert (ada.heard(), world.boxes) == ([], {})
    world.send(ada.place, data)
    assert ada.heard() == [(Code.PUBLIC_MSG, b"Pets ada x")]


def test_a_double_is_acknowledged_and_not_repeated() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada, bob)
    assert isinstance(ada, New)
    data = ada.send(Code.SEND_PUBLIC, b"x")
    hush(ada)
    world.send(ada.place, data)
    [(event, stamp)] = ada.stamps()
    assert (event.code, stamp.number) == (Code.ACK, ada.number)
    assert bob.heard() == [(Code.PUBLIC_MSG, b"Pets ada x")]
    assert world.desk.counts["double"] == 1


def test_a_double_of_what_was_refused_is_refused_again_and_never_acknowledged() -> None:
    world = World()
    ada = new(world, "ada")
    data = ada.send(Code.SEND_PUBLIC, b"x")
    refused = ada.stamps()
    world.send(ada.place, data)
    again = ada.stamps()
    for found in (refused, again):
        [(event, stamp)] = found
        assert event == (Code.ERROR, b"you are in no channel: join one")
        assert stamp.number == ada.number
    user = world.rooms.users[b"ada"]
    for _ in range(3 * WINDOW):
        ada.send(Code.SEND_PUBLIC, b"x")
    assert user.session is not None
    assert len(user.session.refused) <= WINDOW


def test_what_comes_too_late_to_be_known_as_new_is_dropped() -> None:
    world = World(**QUICK)
    ada = joined(new(world, "ada"), "Pets")
    assert isinstance(ada, New)
    late = [ada.signed(pack(Code.SEND_PUBLIC, b"%d" % number)) for number in range(2)]
    for _ in range(WINDOW - 1):
        ada.send(Code.STILL_HERE)
    hush(ada)
    world.send(ada.place, late[0])
    assert (ada.heard(), world.desk.counts["old"]) == ([], 1)
    world.send(ada.place, late[1])
    assert ada.heard() == [(Code.PUBLIC_MSG, b"Pets ada 1")]


def test_signs_of_life_log_offs_and_questions_are_acknowledged_by_number() -> None:
    world = World()
    ada = new(world, "ada")
    for code in (Code.STILL_HERE, Code.NOTHING, Code.LOGOFF):
        ada.send(code)
        [(event, stamp)] = ada.stamps()
        assert (event.code, stamp.number) == (Code.ACK, ada.number)
    assert world.rooms.users == {}
    assert ada.ask(Code.STILL_HERE) == [(Code.ERROR, b"please log in")]


def test_a_session_is_taken_up_from_another_address_or_by_another_door_with_its_channels() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada, bob)
    assert isinstance(ada, New)
    before = ada.place
    ada.place = world.place(MULTICAST, "198.51.100.1")
    assert [event.code for event in ada.log_in()] == [Code.OPENED, Code.SET_MCAST_PORT]
    assert bob.heard() == []
    bob.send(Code.SEND_PUBLIC, b"x")
    assert ada.heard() == bob.heard()
    assert world.take(before) == []
    world.send(before, pack(Code.LOGIN_REQ, b"eve"))  # the place is free
    assert world.take(before) == [pack(Code.LOGIN_ACK, b"eve")]


def test_a_log_in_that_is_repeated_moves_nobody_back() -> None:
    world = World()
    ada = new(world, "ada")
    event = ada.open()
    world.send(ada.place, event)
    first = ada.place
    ada.place = world.place()
    ada.log_in()
    world.take(first)
    world.send(first, event)
    assert (world.take(first), world.rooms.users[b"ada"].place) == ([], ada.place)


def test_who_takes_up_a_session_at_a_place_where_somebody_is_logs_that_one_off() -> None:
    world = World()
    ada, bob = new(world, "ada"), new(world, "bob")
    ada.place = bob.place
    assert ada.log_in()[0].code == Code.OPENED
    assert list(world.rooms.users) == [b"ada"]
    assert world.gone == [(b"bob", "logged in by another name")]


def test_for_60_s_after_a_start_names_are_kept_for_those_who_had_them() -> None:
    world = World()
    ada, bob = new(world, "ada"), new(world, "bob")
    world.restart()
    for client in (Old(world, b"ADA", world.place()), New(world, b"ada", world.place())):
        why = (Code.ERROR, b"that nickname is kept for its owner")
        assert client.log_in() == [why]
        world.pass_(59 - (world.now - world.desk.began))
        assert client.log_in() == [why]
    assert ada.log_in()[0].code == Code.OPENED
    assert Old(world, b"ada", world.place()).log_in() == [(Code.ERROR, b"that nickname is taken")]
    world.pass_(1)
    assert Old(world, b"bob", world.place()).log_in() == [(Code.LOGIN_ACK, b"bob")]
    assert bob.log_in() == [(Code.ERROR, b"that nickname is taken")]


def test_a_member_that_resumes_after_a_start_causes_no_join_notice() -> None:
    world = World()
    ada, bob = new(world, "ada"), new(world, "bob")
    world.restart()
    ada.log_in(), bob.log_in()
    joined(ada, "Pets")
    joined(bob, "Pets")
    assert ada.heard() == []
    world.now += 60
    joined(bob, "Weather"), joined(ada, "Weather")
    assert bob.heard() == [(Code.USER_JOINS, b"Weather ada")]


def test_who_comes_back_though_the_server_did_not_start_anew_is_seen_to_come() -> None:
    world = World()
    ada, bob = new(world, "ada"), joined(new(world, "bob"), "Pets")
    ada.log_off()
    assert ada.heard()[-1].code == Code.ACK
    assert ada.log_in()[0].code == Code.OPENED
    joined(ada, "Pets")
    assert bob.heard() == [(Code.USER_JOINS, b"Pets ada")]


def test_a_full_server_takes_no_resumed_session_either_and_still_keeps_the_name() -> None:
    world = World(max_users=1)
    ada = new(world, "ada")
    world.restart()
    bob = old(world, "bob")
    assert ada.log_in() == [(Code.ERROR, b"the server is full")]
    bob.log_off()
    eve = Old(world, b"ada", world.place())
    assert eve.log_in() == [(Code.ERROR, b"that nickname is kept for its owner")]
    assert ada.log_in()[0].code == Code.OPENED


def test_after_a_start_what_a_session_sends_is_answered_so_that_it_logs_in_again() -> None:
    world = World()
    ada = new(world, "ada")
    world.restart()
    assert ada.ask(Code.STILL_HERE) == [(Code.ERROR, b"please log in")]


def test_what_was_sent_before_a_start_is_not_acknowledged_after_it_for_it_may_be_lost() -> None:
    world = World()
    ada = joined(new(world, "ada"), "Pets")
    assert isinstance(ada, New)
    lost = ada.signed(pack(Code.SEND_PUBLIC, b"x"))
    world.restart()
    ada.log_in()
    world.send(ada.place, lost)
    assert (ada.heard(), world.desk.counts["old"]) == ([], 1)


@pytest.mark.parametrize("has_session", [False, True], ids=["new", "resumed"])
def test_a_log_in_that_was_recorded_before_a_start_logs_nobody_in_after_it(
    has_session: bool,
) -> None:
    world = World()
    ada = New(world, b"ada", world.place())
    if has_session:
        ada.log_in()
    recorded = ada.open()
    world.send(ada.place, recorded)
    world.restart()
    hush(ada)
    world.send(ada.place, recorded)
    assert ada.heard() == [(Code.ERROR, b"say hello first")]
    assert world.rooms.users == {}


def test_a_key_that_is_not_the_sessions_takes_up_nothing() -> None:
    world = World()
    ada = new(world, "ada")
    eve = New(world, b"ada", world.place(), ada.session, bytes(16))
    assert eve.log_in() == [(Code.ERROR, b"that nickname is taken")]
    # a session is its nickname's: it opens no other one
    bob = New(world, b"bob", world.place(), ada.session, ada.key)
    assert bob.log_in()[0].code == Code.OPENED
    assert bob.session != ada.session
    assert Open.read(b"") is None


def test_who_has_moved_is_not_opened_again_where_it_once_was() -> None:
    world = World()
    ada = New(world, b"ada", world.place())
    first, event = ada.place, ada.open()
    ada.log_in()
    ada.place = world.place()
    ada.log_in()
    world.take(first)
    world.send(first, event)
    assert world.take(first) == [pack(Code.ERROR, b"that nickname is taken")]


def test_the_number_of_a_session_counts_what_is_sent_to_it_alone() -> None:
    world = World()
    ada = new(world, "ada", MULTICAST)
    world.take(ada.place)
    ada.send(Code.STILL_HERE)
    ada.send(Code.JOIN_REQ, b"Pets")
    ada.send(Code.SEND_PUBLIC, b"x")
    ada.send(Code.LIST_CHANNELS)
    world.list_on()
    stamps = ada.stamps()
    sent = [stamp.sequence for event, stamp in stamps if event.code != Code.PUBLIC_MSG]
    assert sent == list(range(2, 2 + len(sent)))  # 1 was the port of groups


def test_what_is_told_of_it_goes_round_as_it_does() -> None:
    world = World()
    ada = new(world, "ada")
    session = world.rooms.at[ada.place].session
    assert session is not None
    session.sent = NUMBERS + 5
    [event] = ada.log_in()
    opened = Opened.read(event.text)
    assert opened is not None
    assert opened.last == 5


def test_who_joins_is_told_how_far_the_numbers_of_the_channel_are() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), new(world, "bob")
    ada.send(Code.SEND_PUBLIC, b"x")
    bob.send(Code.JOIN_REQ, b"Pets")
    ada.send(Code.SEND_PUBLIC, b"y")
    (joined_, joined_at), (said, said_at) = bob.stamps()
    assert (joined_.code, joined_at.sequence, joined_at.last) == (Code.JOIN_ACK, 1, 2)
    assert (said.code, said_at.sequence) == (Code.PUBLIC_MSG, 3)


def test_members_that_resume_after_a_start_cost_one_answer_for_each_thing_that_they_ask() -> None:
    world = World(**QUICK)
    members = [joined(new(world, f"u{number}"), "Pets") for number in range(100)]
    hush(*members)
    world.restart()
    told = 0
    for member in members:
        told += len(member.log_in())
        told += len(member.ask(Code.JOIN_REQ, b"Pets"))
    told += sum(len(member.heard()) for member in members)
    assert told == 2 * len(members)


def test_what_was_recorded_of_a_session_that_has_ended_takes_it_up_no_more() -> None:
    world = World()
    ada = new(world, "ada")
    resume = ada.open()
    said = ada.signed(pack(Code.SEND_PRIVATE, b"ada x"))
    ada.log_off()
    ada.heard()
    for data in (resume, said):
        world.send(ada.place, data)
    assert (ada.heard(), world.rooms.users) == ([(Code.ERROR, b"please log in")], {})
    assert world.desk.counts["old"] == 1
    assert ada.log_in()[0].code == Code.OPENED  # it goes on with higher numbers


def test_a_log_in_that_comes_again_after_the_log_off_logs_nobody_in() -> None:
    world = World()
    ada = New(world, b"ada", world.place())
    event = ada.open()
    ada.hellos = 0
    ada.log_in()
    ada.log_off()
    ada.heard()
    world.send(ada.place, event)
    assert ada.heard() == [(Code.ERROR, b"say hello first")]
    assert world.rooms.users == {}


def test_a_session_that_was_silent_for_too_long_is_told_so_when_it_speaks() -> None:
    world = World()
    ada = new(world, "ada")
    world.pass_(1800)
    assert world.gone == [(b"ada", "silent for too long")]
    assert ada.ask(Code.STILL_HERE) == [(Code.ERROR, b"please log in")]
    assert ada.log_in()[0].code == Code.OPENED


def test_ended_sessions_are_forgotten_after_a_while_and_are_not_too_many() -> None:
    world = World(**QUICK)
    ended = world.desk.threshold.ended
    for number in range(20):
        new(world, f"u{number}").log_off()
    assert len(ended) == 20
    world.now += SECONDS
    assert ended.find(b"", world.now) is None
    assert len(ended) == 0
    user = world.rooms.users.get(b"ada") or (new(world, "ada"), world.rooms.users[b"ada"])[1]
    for number in range(KEPT + 1):
        assert user.session is not None
        user.session.id = number.to_bytes(8, "big")
        ended.add(user, world.now)
    assert len(ended) == KEPT
