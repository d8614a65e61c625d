"""The rules of users and channels, in the words of the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.chat.rooms import SHOWN
from sockd.formats.chat.events import MAX_EVENT, MAX_TEXT, Code
from sockd.formats.chat.trailer import SERVER_BYTES
from tests.chat.world import (
    MULTICAST,
    QUICK,
    STREAM,
    TITLES,
    UNICAST,
    Client,
    Maker,
    World,
    hush,
    joined,
    new,
    old,
)

BOTH = pytest.mark.parametrize("make", [old, new], ids=["old", "new"])


def test_a_message_goes_to_every_member_the_sender_too_and_to_nobody_else() -> None:
    world = World()
    ada, bob, eve = old(world, "ada"), new(world, "bob", STREAM), new(world, "eve", MULTICAST)
    for client in (ada, bob):
        joined(client, "Weather")
    joined(eve, "Pets")
    hush(ada, bob, eve)
    ada.send(Code.SEND_PUBLIC, b"it rains")
    assert ada.heard() == bob.heard() == [(Code.PUBLIC_MSG, b"Weather ada it rains")]
    assert eve.heard() == []


def test_what_goes_to_a_channel_is_sent_once_to_its_group_whoever_said_it_by_whatever_door() -> (
    None
):
    world = World()
    members: list[Client] = [new(world, "ada", MULTICAST), old(world, "bob", MULTICAST)]
    members += [old(world, "cyd"), new(world, "dan", STREAM)]
    for client in members:
        joined(client, "Pets")
    hush(*members)
    world.group_sent.clear()
    members[2].send(Code.SEND_PUBLIC, b"woof")
    assert [str(sent.group) for sent in world.group_sent] == ["225.1.0.5"]
    for client in members:
        assert client.heard() == [(Code.PUBLIC_MSG, b"Pets cyd woof")]


def test_no_group_is_sent_to_where_no_member_came_by_the_multicast_door() -> None:
    world = World()
    ada = joined(old(world, "ada"), "Pets")
    joined(old(world, "bob", MULTICAST), "Weather")
    world.group_sent.clear()
    ada.send(Code.SEND_PUBLIC, b"woof")
    assert world.group_sent == []


@BOTH
def test_titles_match_without_regard_to_case(make: Maker) -> None:
    client = make(World(), "ada")
    assert client.ask(Code.JOIN_REQ, b"wEATHER") == [
        (Code.JOIN_ACK, b"Weather 1 All about Weather")
    ]


def test_by_the_multicast_door_the_group_stands_between_count_and_description() -> None:
    ada = old(World(), "ada", MULTICAST)
    text = b"Weather 1 225.1.0.2 All about Weather"
    assert ada.ask(Code.JOIN_REQ, b"Weather") == [(Code.JOIN_ACK, text)]
    assert ada.ask(Code.PART_REQ, b"") == [(Code.PART_ACK, text.replace(b"1", b"0", 1))]


def test_members_already_there_are_told_who_joins_and_the_joiner_is_not() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), old(world, "bob")
    assert bob.ask(Code.JOIN_REQ, b"Pets") == [(Code.JOIN_ACK, b"Pets 2 All about Pets")]
    assert ada.heard() == [(Code.USER_JOINS, b"Pets bob")]


def test_members_that_remain_are_told_who_parts_and_who_logs_off() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    assert bob.ask(Code.PART_REQ) == [(Code.PART_ACK, b"Pets 1 All about Pets")]
    assert ada.heard() == [(Code.USER_PARTS, b"Pets bob")]
    joined(bob, "Pets")
    hush(ada)
    bob.log_off()
    assert (ada.heard(), bob.heard()) == ([(Code.USER_PARTS, b"Pets bob")], [])


def test_joining_again_makes_a_channel_current_and_tells_nobody() -> None:
    world = World(**QUICK)
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    joined(ada, "Weather")
    hush(ada, bob)
    assert ada.ask(Code.JOIN_REQ, b"pets") == [(Code.JOIN_ACK, b"Pets 2 All about Pets")]
    assert bob.heard() == []
    ada.send(Code.SEND_PUBLIC, b"x")
    assert bob.heard() == [(Code.PUBLIC_MSG, b"Pets ada x")]


def test_parting_from_the_current_channel_makes_the_next_most_recent_one_current() -> None:
    ada = old(World(**QUICK), "ada")
    for title in ("Pets", "Weather", "Hobbies", "Pets"):
        joined(ada, title)
    assert ada.ask(Code.PART_REQ) == [
        (Code.PART_ACK, b"Pets 0 All about Pets"),
        (Code.JOIN_ACK, b"Hobbies 1 All about Hobbies"),
    ]
    # another than the current one: the current one stays
    assert ada.ask(Code.PART_REQ, b"Weather") == [(Code.PART_ACK, b"Weather 0 All about Weather")]
    assert ada.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Hobbies ada x")]
    assert ada.ask(Code.PART_REQ, b"Hobbies") == [(Code.PART_ACK, b"Hobbies 0 All about Hobbies")]


def test_a_private_message_goes_to_one_user_alone_and_needs_no_channel() -> None:
    world = World()
    ada, bob, eve = new(world, "ada"), old(world, "bob", MULTICAST), old(world, "eve")
    assert ada.ask(Code.SEND_PRIVATE, b"BOB come here") == [(Code.ACK, b"")]
    assert bob.heard() == [(Code.PRIVATE_MSG, b"ada come here")]
    ada.send(Code.SEND_PRIVATE, b"bob now")
    assert bob.heard() == [(Code.PRIVATE_MSG, b"ada now")]
    assert eve.heard() == []


@BOTH
def test_each_error_has_words_of_its_own(make: Maker) -> None:
    world = World(**QUICK)
    client = make(world, "ada")
    asked = [
        (Code.JOIN_REQ, b"Nowhere"),
        (Code.PART_REQ, b"Weather"),
        (Code.PART_REQ, b"Nowhere at all"),
        (Code.PART_REQ, b""),
        (Code.SEND_PRIVATE, b"nobody hello"),
        (Code.SEND_PRIVATE, b""),
        (4711, b""),
    ]
    errors = []
    for code, text in asked:
        [error] = client.ask(code, text)
        assert error.code == Code.ERROR
        errors.append(error.text)
    assert len(set(errors)) == len(asked)
    for code in (Code.SEND_PUBLIC, Code.LIST_USERS):
        assert client.ask(code, b"x") == [(Code.ERROR, b"you are in no channel: join one")]


def test_a_name_that_nobody_has_is_shown_in_the_error_no_longer_than_can_be_seen() -> None:
    ada = new(World(), "ada")
    [error] = ada.ask(Code.JOIN_REQ, b"\xff" * 900)
    shown = error.text.removeprefix(b"there is no channel ")
    assert shown == rb"\xff" * 15 + b"..."
    assert len(shown) <= SHOWN


def test_lists_of_channels_have_one_event_a_channel_in_the_order_of_the_configuration() -> None:
    world = World()
    ada = old(world, "ada", MULTICAST)
    ada.send(Code.LIST_CHANNELS)
    world.list_on()
    assert ada.heard() == [
        (Code.CHANNEL_ITEM, b"%s 0 225.1.0.%d All about %s" % (title.encode(), n, title.encode()))
        for n, title in enumerate(TITLES, 1)
    ]


def test_lists_of_users_are_of_the_current_channel_with_seconds_online_and_channels() -> None:
    world = World()
    ada = joined(joined(old(world, "ada"), "Pets"), "Weather")
    world.now += 61.9
    joined(old(world, "bob"), "Weather")
    joined(old(world, "cyd"), "Pets")
    hush(ada)
    ada.send(Code.LIST_USERS)
    world.list_on()
    assert ada.heard() == [
        (Code.USER_ITEM, b"ada 61 Weather Pets"),
        (Code.USER_ITEM, b"bob 0 Weather"),
    ]


def test_one_list_at_a_time_is_on_its_way_to_a_user() -> None:
    world = World()
    ada = old(world, "ada")
    assert ada.ask(Code.LIST_CHANNELS) == []
    assert ada.ask(Code.LIST_CHANNELS) == [(Code.ERROR, b"a list is on its way")]
    world.list_on()
    assert len(ada.heard()) == len(TITLES)
    assert ada.ask(Code.LIST_CHANNELS) == []


def test_a_list_ends_with_its_user_and_another_one_may_be_asked_for_after_the_next_log_in() -> None:
    world = World()
    ada = old(world, "ada")
    user = world.rooms.at[ada.place]
    ada.send(Code.LIST_CHANNELS)
    ada.log_off()
    assert (world.listings, user.is_listing) == ({}, False)
    ada.log_in()
    assert ada.ask(Code.LIST_CHANNELS) == []


def test_who_leaves_while_a_list_is_on_its_way_is_not_in_the_rest_of_it() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    ada.send(Code.LIST_USERS)
    bob.log_off()
    hush(ada)
    world.list_on()
    assert ada.heard() == [(Code.USER_ITEM, b"ada 0 Pets")]


def test_a_text_too_long_for_an_event_is_refused_and_never_cut() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    longest = MAX_TEXT - len("Pets ada ")
    ada.send(Code.SEND_PUBLIC, b"x" * longest)
    [data] = world.take(bob.place)
    assert len(data) == MAX_TEXT + 2 + SERVER_BYTES <= MAX_EVENT
    hush(ada)
    for code, text in (
        (Code.SEND_PUBLIC, b"x" * (longest + 1)),
        (Code.SEND_PRIVATE, b"bob " + b"x" * (MAX_TEXT - len("ada ") + 1)),
        (Code.SEND_PUBLIC, b"\x1b" * 300),  # each becomes four
    ):
        [error] = ada.ask(code, text)
        assert error.text.startswith(b"too long: ")
        assert bob.heard() == []


@given(st.binary(max_size=200))
def test_no_text_of_a_user_has_a_newline_or_a_control_character_when_it_goes_out(
    text: bytes,
) -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob", STREAM), "Pets")
    hush(ada, bob)
    ada.send(Code.SEND_PUBLIC, text)
    for data in world.take(bob.place):
        assert data[2:-SERVER_BYTES].decode().replace("\t", "").isprintable()


def test_a_channel_above_200_members_tells_nobody_who_comes_and_goes() -> None:
    world = World(**QUICK)
    members = [joined(new(world, f"u{number}"), "Pets") for number in range(200)]
    hush(*members)
    last = new(world, "last")
    joined(last, "Pets")
    assert members[0].heard() == [(Code.USER_JOINS, b"Pets last")]  # there were 200
    joined(new(world, "more"), "Pets")
    assert members[0].heard() == []
    last.log_off()
    assert members[0].heard() == []  # there are 201
    members[1].log_off()
    assert members[0].heard() == [(Code.USER_PARTS, b"Pets u1")]


def test_a_user_is_in_32_channels_at_most() -> None:
    world = World(**QUICK, max_channels=2)
    ada = joined(joined(old(world, "ada"), "Pets"), "Weather")
    assert ada.ask(Code.JOIN_REQ, b"Hobbies") == [(Code.ERROR, b"you are in 2 channels already")]
    assert ada.ask(Code.JOIN_REQ, b"Pets")[0].code == Code.JOIN_ACK
    ada.send(Code.PART_REQ)
    assert ada.ask(Code.JOIN_REQ, b"Hobbies")[-1].code == Code.JOIN_ACK
    assert World().settings.max_channels == 32


def test_what_a_channel_is_sent_is_numbered_without_gaps_and_bears_who_said_it() -> None:
    world = World()
    ada, bob = new(world, "ada"), new(world, "bob", MULTICAST)
    joined(ada, "Pets"), joined(bob, "Pets")
    hush(ada, bob)
    ada.send(Code.SEND_PUBLIC, b"1")
    bob.send(Code.SEND_PUBLIC, b"2")
    old(world, "cyd").send(Code.JOIN_REQ, b"Pets")
    stamps = [stamp for _, stamp in bob.stamps()]
    first = stamps[0].sequence
    assert [stamp.sequence for stamp in stamps] == [first, first + 1, first + 2]
    labels = [world.rooms.at[client.place].label for client in (ada, bob)]
    assert [stamp.label for stamp in stamps] == [*labels, 0]
    assert [stamp.number for stamp in stamps] == [ada.number, bob.number, 0]
    assert {stamp.epoch for stamp in stamps} == {world.epoch}


def test_a_join_tells_a_new_client_the_key_of_the_channel_and_an_old_one_nothing() -> None:
    world = World()
    ada, bob = new(world, "ada"), old(world, "bob")
    ada.send(Code.JOIN_REQ, b"Pets")
    assert [stamp.key for _, stamp in ada.stamps()] == [world.channel("Pets").key]
    bob.send(Code.JOIN_REQ, b"Pets")
    assert world.take(bob.place) == [b"\0\x3cPets 2 All about Pets"]


def test_one_place_holds_one_user_and_one_name_is_one_users() -> None:
    world = World()
    ada = old(world, "ada", UNICAST)
    other = old(world, "bob", STREAM)
    assert world.rooms.at == {
        ada.place: world.rooms.users[b"ada"],
        other.place: world.rooms.users[b"bob"],
    }
