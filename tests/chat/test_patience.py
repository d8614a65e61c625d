"""How long a user may be silent, and how fast it may speak."""

from __future__ import annotations

import pytest

from sockd.chat.rooms import SILENT_AT_ONCE
from sockd.formats.chat.events import Code
from tests.chat.world import QUICK, STREAM, UNICAST, Maker, World, hush, joined, new, old


def here(world: World) -> list[bytes]:
    """Who is logged in."""
    return sorted(world.rooms.users)


def test_who_has_ever_sent_still_here_and_then_nothing_for_120_s_is_logged_out_by_a_timer() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob", STREAM), "Pets")
    world.pass_(300)
    ada.send(Code.STILL_HERE)
    hush(ada, bob)
    world.pass_(119.9)
    assert here(world) == [b"ada", b"bob"]
    world.pass_(0.1)
    assert here(world) == [b"bob"]
    assert bob.heard() == [(Code.USER_PARTS, b"Pets ada")]
    assert world.gone == [(b"ada", "silent for too long")]
    assert ada.ask(Code.STILL_HERE) == [(Code.ERROR, b"please log in")]


def test_who_never_sent_still_here_is_logged_out_after_30_minutes() -> None:
    world = World()
    old(world, "ada")
    world.pass_(1799)
    assert here(world) == [b"ada"]
    world.pass_(1)
    assert here(world) == []


@pytest.mark.parametrize("make", [old, new], ids=["old", "new"])
@pytest.mark.parametrize(
    "code",
    [Code.JOIN_REQ, Code.PART_REQ, Code.SEND_PUBLIC, Code.SEND_PRIVATE, Code.LIST_USERS, 4711],
)
def test_any_event_is_a_sign_of_life(make: Maker, code: int) -> None:
    world = World()
    client = make(world, "ada")
    client.send(Code.STILL_HERE)
    for _ in range(5):
        world.pass_(100)
        client.send(code, b"x")
    assert here(world) == [b"ada"]
    world.pass_(120)
    assert here(world) == []


def test_so_is_a_double_a_log_in_that_is_repeated_and_what_comes_too_fast() -> None:
    world = World()
    ada, bob = new(world, "ada"), old(world, "bob")
    data = ada.send(Code.STILL_HERE)
    bob.send(Code.STILL_HERE)
    for _ in range(5):
        world.pass_(100)
        world.send(ada.place, data)
        bob.log_in()
    assert here(world) == [b"ada", b"bob"]


def test_what_is_forged_is_no_sign_of_life() -> None:
    world = World()
    ada = new(world, "ada")
    data = ada.send(Code.STILL_HERE)
    world.pass_(100)
    world.send(ada.place, data[:-1] + bytes([data[-1] ^ 1]))
    world.send(world.place(), data)
    world.pass_(20)
    assert here(world) == []


def test_an_error_of_the_network_shortens_a_sessions_time_and_never_ends_it() -> None:
    world = World()
    ada, bob = old(world, "ada"), new(world, "bob")
    bob.send(Code.STILL_HERE)
    world.rooms.suspect(ada.place, world.now)
    world.rooms.suspect(bob.place, world.now)
    world.pass_(44.9)
    assert here(world) == [b"ada", b"bob"]
    world.rooms.suspect(ada.place, world.now)  # once more changes nothing
    world.pass_(0.1)
    assert here(world) == []


def test_who_was_silent_for_long_has_what_was_left_when_it_becomes_suspect_and_never_more() -> None:
    world = World()
    ada, bob = old(world, "ada"), old(world, "bob")
    ada.send(Code.STILL_HERE)
    world.pass_(100)
    world.rooms.suspect(ada.place, world.now)
    world.rooms.suspect(bob.place, world.now)
    world.pass_(19.9)
    assert here(world) == [b"ada", b"bob"]
    world.pass_(0.1)
    assert here(world) == [b"bob"]
    world.pass_(25)
    assert here(world) == []


def test_who_sends_signs_of_life_is_not_logged_out_by_forged_errors_though_one_is_late() -> None:
    world = World()
    ada = new(world, "ada")
    for _ in range(5):
        ada.send(Code.STILL_HERE)
        world.rooms.suspect(ada.place, world.now)
        world.pass_(30)
        world.pass_(4.5)  # sent four times
    assert here(world) == [b"ada"]


def test_who_is_heard_again_is_suspect_no_more_and_has_the_patience_that_it_had() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), old(world, "bob")
    bob.send(Code.STILL_HERE)
    for client in (ada, bob):
        world.rooms.suspect(client.place, world.now)
        client.send(Code.SEND_PUBLIC, b"x")
    world.pass_(119.9)
    assert here(world) == [b"ada", b"bob"]
    world.pass_(0.1)
    assert here(world) == [b"ada"]
    world.pass_(1679.9)
    assert here(world) == [b"ada"]
    world.pass_(0.1)
    assert here(world) == []


def test_nobody_is_suspect_where_nobody_is() -> None:
    world = World()
    world.rooms.suspect(world.place(UNICAST), world.now)
    assert here(world) == []


@pytest.mark.parametrize("make", [old, new], ids=["old", "new"])
def test_5_events_at_once_and_then_2_a_second(make: Maker) -> None:
    world = World()
    client = make(world, "ada")
    joined(client, "Pets")
    for _ in range(4):
        assert client.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Pets ada x")]
    too_fast = [(Code.ERROR, b"too fast: 5 at once, then 2 a second")]
    assert client.ask(Code.SEND_PUBLIC, b"x") == too_fast
    client.send(Code.STILL_HERE)  # is not counted
    hush(client)
    world.now += 0.5
    assert client.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Pets ada x")]
    assert client.ask(Code.LIST_USERS) == too_fast
    assert world.desk.counts["too_fast"] == 2
    world.now += 60
    assert [client.ask(Code.SEND_PUBLIC, b"x")[0].code for _ in range(6)] == [
        *[Code.PUBLIC_MSG] * 5,
        Code.ERROR,
    ]


def test_a_flood_of_one_user_costs_another_one_nothing() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    for _ in range(1000):
        ada.send(Code.SEND_PUBLIC, b"x")
    assert len(bob.heard()) == 4
    assert bob.ask(Code.SEND_PUBLIC, b"y") == [(Code.PUBLIC_MSG, b"Pets bob y")]


def test_who_talks_keeps_nobody_else_logged_in() -> None:
    world = World()
    ada, bob = old(world, "ada"), old(world, "bob")
    for client in (ada, bob):
        client.send(Code.STILL_HERE)
    world.pass_(60)
    ada.send(Code.STILL_HERE)
    world.pass_(60)
    assert here(world) == [b"ada"]


def test_a_network_that_goes_takes_only_so_many_with_it_at_once() -> None:
    world = World(**QUICK, quiet_above=0)
    for number in range(SILENT_AT_ONCE + 10):
        new(world, f"u{number}")
    world.pass_(1800)
    assert len(world.rooms.users) == 10
    world.pass_(1)
    assert world.rooms.users == {}
