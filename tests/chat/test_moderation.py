"""What an administrator may do: mute, kick, ban, close."""

from __future__ import annotations

import pytest

from sockd.access.bans import make_ban
from sockd.access.prefixes import parse_prefix
from sockd.chat.ended import AGAIN_SECONDS, SECONDS
from sockd.chat.moderation import NotHere, Seen
from sockd.formats.chat.events import MAX_TEXT, Code, pack
from tests.chat.world import STREAM, New, Old, World, hush, joined, new, old


def test_who_is_muted_says_nothing_in_channels_or_to_users_until_it_is_unmuted() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada, bob)
    world.moderation.mute("ADA")
    assert world.moderation.muted == ["ada"]
    assert ada.ask(Code.SEND_PUBLIC, b"x") == [(Code.ERROR, b"you are muted")]
    assert ada.ask(Code.SEND_PRIVATE, b"bob x") == [(Code.ERROR, b"you are muted")]
    assert bob.heard() == []
    world.moderation.unmute("ada")
    assert ada.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Pets ada x")]
    with pytest.raises(NotHere):
        world.moderation.unmute("ada")


def test_who_is_kicked_is_told_why_and_the_others_that_it_is_gone() -> None:
    world = World()
    ada, bob = joined(new(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    world.carry_out(world.moderation.kick("Ada", world.moment, "be\nnice"))
    assert ada.heard() == [(Code.LOGOFF, rb"be\x0anice")]
    assert bob.heard() == [(Code.USER_PARTS, b"Pets ada")]
    world.carry_out(world.moderation.kick("bob", world.moment))
    assert bob.heard() == [(Code.ERROR, b"you were sent away")]
    assert (world.rooms.users, world.desk.names) == ({}, [])
    for name, why in (("ada", ""), ("nobody", "")):
        with pytest.raises(NotHere):
            world.moderation.kick(name, world.moment, why)
    assert isinstance(ada, New)
    ada.session = b""
    assert ada.log_in()[0].code == Code.OPENED
    with pytest.raises(ValueError, match="no room"):
        world.moderation.kick("ada", world.moment, "x" * (MAX_TEXT + 1))
    assert list(world.rooms.users) == [b"ada"]


def test_from_a_banned_prefix_nobody_comes_and_who_is_there_goes() -> None:
    world = World()
    ada, bob = old(world, "ada"), new(world, "bob", STREAM)
    cyd, dan = new(world, "cyd", host="192.0.3.1"), old(world, "dan", STREAM, "")
    world.ban("192.0.2.0/24")
    world.ban("192.0.2.0/24")
    assert sorted(world.rooms.users) == [b"cyd", b"dan"]
    banned = (Code.ERROR, b"your address is banned")
    assert (ada.heard(), bob.heard()[-1].code) == ([banned], Code.LOGOFF)
    assert (ada.log_in(), bob.log_in()) == ([banned], [banned])
    bob.place = world.place(host="192.0.3.2")
    assert bob.log_in()[0].code == Code.OPENED
    bob.place = world.place()
    assert bob.log_in() == [banned]  # nor by moving
    world.bans.remove(parse_prefix("192.0.2.0/24"), "chat")
    assert ada.log_in() == [(Code.LOGIN_ACK, b"ada")]
    hush(cyd, dan)


def test_a_ban_ends_by_its_time() -> None:
    world = World()
    ada = old(world, "ada")
    world.bans.add(world.now, make_ban("192.0.2.1", world.now, 60, scope="chat"))
    world.bans.add(world.now, make_ban("192.0.3.1", world.now, scope="talk"))
    world.carry_out(world.moderation.kick("ada", world.moment))
    hush(ada)
    assert ada.log_in() == [(Code.ERROR, b"your address is banned")]
    world.now += 60
    assert ada.log_in() == [(Code.LOGIN_ACK, b"ada")]
    assert old(world, "bob", host="192.0.3.1").place.host == "192.0.3.1"  # banned from another chat


def test_a_closed_channel_takes_nobody_new_and_keeps_who_is_in_it() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), old(world, "bob")
    world.moderation.close("pets")
    assert world.moderation.closed == ["Pets"]
    assert bob.ask(Code.JOIN_REQ, b"Pets") == [(Code.ERROR, b"Pets is closed")]
    assert ada.ask(Code.JOIN_REQ, b"Pets")[0].code == Code.JOIN_ACK
    assert ada.ask(Code.SEND_PUBLIC, b"x")[0].code == Code.PUBLIC_MSG
    world.apply(world.settings)
    assert world.moderation.closed == ["Pets"]
    world.moderation.open("Pets")
    assert bob.ask(Code.JOIN_REQ, b"Pets")[0].code == Code.JOIN_ACK
    with pytest.raises(NotHere):
        world.moderation.close("Nowhere")


def test_a_ban_is_no_way_to_learn_who_is_there() -> None:
    world = World()
    old(world, "ada", host="192.0.3.1")
    world.ban("192.0.2.1")
    for client in (Old(world, b"ada", world.place()), New(world, b"ada", world.place())):
        assert client.log_in() == [(Code.ERROR, b"your address is banned")]


def test_who_was_sent_away_and_has_not_heard_it_hears_it_again_and_does_not_come_back() -> None:
    world = World()
    ada = joined(new(world, "ada"), "Pets")
    assert isinstance(ada, New)
    world.carry_out(world.moderation.kick("ada", world.moment, "be nice"))
    world.take(ada.place)  # it is lost
    assert ada.ask(Code.STILL_HERE) == [(Code.LOGOFF, b"be nice")]
    assert ada.ask(Code.STILL_HERE) == []  # not for each of a flood
    world.now += AGAIN_SECONDS
    assert ada.log_in() == [(Code.LOGOFF, b"be nice")]
    assert world.rooms.users == {}
    for place, data in (
        (world.place(), ada.signed(pack(Code.STILL_HERE))),
        (ada.place, ada.signed(pack(Code.STILL_HERE))[:-1] + b"x"),
    ):
        world.now += AGAIN_SECONDS
        world.send(place, data)
        assert world.take(place) == []
    ada.session = b""
    assert ada.log_in()[0].code == Code.OPENED  # somebody has typed it


def test_two_minutes_after_it_was_sent_away_a_session_is_one_like_any_other() -> None:
    world = World()
    ada = new(world, "ada")
    world.carry_out(world.moderation.kick("ada", world.moment))
    ada.heard()
    world.now += SECONDS
    assert ada.ask(Code.STILL_HERE) == [(Code.ERROR, b"please log in")]
    assert ada.log_in()[0].code == Code.OPENED


@pytest.mark.parametrize("name", ["", "a b", "x" * 33, "\x1b[2J", "\xe9"])
def test_what_is_no_nickname_is_not_muted(name: str) -> None:
    world = World()
    with pytest.raises(ValueError, match="nickname"):
        world.moderation.mute(name)
    assert world.moderation.muted == []


def test_who_is_here_is_listed_by_name() -> None:
    world = World()
    joined(joined(new(world, "bob", STREAM), "Pets"), "Weather")
    world.now += 5
    old(world, "Ada")
    world.moderation.mute("bob")
    world.now += 2
    assert world.moderation.users(world.moment) == [
        Seen("Ada", "192.0.2.1", "unicast", 2, 2, [], False, False),
        Seen("bob", "192.0.2.1", "stream", 7, 7, ["Weather", "Pets"], True, True),
    ]
