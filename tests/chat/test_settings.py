"""Settings that change while users are in."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

from attrs import evolve

from sockd.chat.legacy import Legacy
from sockd.chat.members import Gate
from sockd.chat.settings import ChannelSettings
from sockd.chat.words import OFF_LINK
from sockd.formats.chat.events import Code, pack
from tests.chat.world import (
    CHANNELS,
    MULTICAST,
    TITLES,
    Old,
    World,
    hush,
    joined,
    new,
    old,
    settings,
)

ROSES = ChannelSettings("Roses", "All about roses", IPv4Address("225.1.0.9"))


def test_a_channel_that_is_there_no_more_is_parted_from_and_the_next_one_is_current() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Weather"), joined(new(world, "bob"), "Pets")
    joined(ada, "Pets")
    hush(ada, bob)
    world.apply(settings(channels=[*CHANNELS[:4], ROSES]))
    assert ada.heard() == [
        (Code.PART_ACK, b"Pets 0 All about Pets"),
        (Code.JOIN_ACK, b"Weather 1 All about Weather"),
    ]
    assert bob.heard() == [(Code.PART_ACK, b"Pets 1 All about Pets")]
    assert ada.ask(Code.JOIN_REQ, b"Pets") == [(Code.ERROR, b"there is no channel Pets")]
    joined(bob, "roses")
    assert bob.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Roses bob x")]


def test_a_channel_that_goes_costs_one_datagram_a_member() -> None:
    world = World()
    clients = [joined(new(world, f"u{number}"), "Pets") for number in range(50)]
    hush(*clients)
    world.apply(settings(channels=CHANNELS[:4]))
    assert [len(client.heard()) for client in clients] == [1] * 50


def test_a_channel_that_stays_keeps_its_members_and_has_its_new_description_and_spelling() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(new(world, "bob"), "Pets")
    hush(ada, bob)
    channel = world.channel("Pets")
    world.apply(settings(channels=[ChannelSettings("PETS", "Dogs", CHANNELS[4].group)]))
    assert (ada.heard(), bob.heard()) == ([], [])
    assert world.channel("Pets") is channel
    assert ada.ask(Code.JOIN_REQ, b"pets") == [(Code.JOIN_ACK, b"PETS 2 Dogs")]
    ada.send(Code.SEND_PUBLIC, b"x")
    assert ada.heard() == [(Code.PUBLIC_MSG, b"PETS ada x")]


def test_who_hears_a_group_that_is_another_now_leaves_the_old_one_and_joins_the_new_one() -> None:
    world = World()
    ada, bob = joined(old(world, "ada", MULTICAST), "Pets"), joined(old(world, "bob"), "Pets")
    joined(ada, "Weather")
    hush(ada, bob)
    pets = ChannelSettings("Pets", "All about Pets", IPv4Address("225.1.0.9"))
    world.apply(settings(channels=[*CHANNELS[:4], pets]))
    assert ada.heard() == [
        (Code.PART_ACK, b"Pets 2 225.1.0.5 All about Pets"),
        (Code.JOIN_ACK, b"Pets 2 225.1.0.9 All about Pets"),
        (Code.JOIN_ACK, b"Weather 1 225.1.0.2 All about Weather"),  # it is still the current one
    ]
    assert bob.heard() == []
    world.group_sent.clear()
    bob.send(Code.SEND_PUBLIC, b"x")
    assert [str(sent.group) for sent in world.group_sent] == ["225.1.0.9"]


def test_old_groups_are_left_before_new_ones_are_joined_for_two_channels_may_swap_them() -> None:
    world = World()
    ada = joined(old(world, "ada", MULTICAST), "Weather")
    joined(ada, "Pets")
    _, weather, *_, pets = CHANNELS
    swapped = [evolve(weather, group=pets.group), evolve(pets, group=weather.group)]
    world.apply(settings(channels=swapped))
    assert [(code, *text.split()[:3:2]) for code, text in ada.heard()] == [
        (Code.PART_ACK, b"Weather", b"225.1.0.2"),
        (Code.PART_ACK, b"Pets", b"225.1.0.5"),
        (Code.JOIN_ACK, b"Weather", b"225.1.0.5"),
        (Code.JOIN_ACK, b"Pets", b"225.1.0.2"),
    ]


def test_channels_are_listed_in_the_order_of_the_new_configuration() -> None:
    world = World()
    ada = old(world, "ada")
    world.apply(settings(channels=[ROSES, *reversed(CHANNELS)]))
    ada.send(Code.LIST_CHANNELS)
    world.list_on()
    titles = [event.text.split()[0].decode() for event in ada.heard()]
    assert titles == ["Roses", *reversed(TITLES)]


def test_other_limits_hold_from_now_on() -> None:
    world = World()
    ada, bob = old(world, "ada"), old(world, "bob")
    world.apply(settings(patience=10.0, long_patience=20.0, max_channels=1, old_sessions=1))
    ada.send(Code.STILL_HERE)
    joined(ada, "Pets")
    assert ada.ask(Code.JOIN_REQ, b"Weather") == [(Code.ERROR, b"you are in 1 channels already")]
    cyd = Old(world, b"cyd", world.place())
    assert cyd.log_in() == [(Code.ERROR, b"1 old clients at your address are enough")]
    world.pass_(10)
    assert sorted(world.rooms.users) == [b"bob"]
    world.pass_(10)
    assert world.rooms.users == {}
    hush(bob)


def test_groups_are_of_the_family_of_the_control_port() -> None:
    world = World()
    six = ChannelSettings("Pets", "x", IPv4Address("225.1.0.5"), IPv6Address("ff15::5"))
    world.apply(settings(channels=[six]))
    ada = old(world, "ada", Gate("six", 2028, 6))
    assert ada.ask(Code.JOIN_REQ, b"Pets") == [(Code.JOIN_ACK, b"Pets 1 ff15::5 x")]


def test_a_reload_that_changes_nothing_gives_no_address_its_budget_again() -> None:
    world = World()
    ada = old(world, "ada")
    user = world.rooms.at[ada.place]
    assert world.desk.may_send(user, 64_000, world.now)
    world.apply(settings())
    assert not world.desk.may_send(user, 1000, world.now)
    world.apply(settings(old_bytes=70_000))
    assert world.desk.may_send(user, 70_000, world.now)


def test_old_clients_log_off_as_they_have_logged_in_though_the_server_is_strict_only_since() -> (
    None
):
    world = World()
    ada = old(world, "ada")
    world.apply(settings(is_strict=True))
    bob = Old(world, b"bob", world.place())
    bob.name = bob.log_in()[0].text.removeprefix(b"log in as ")
    assert bob.log_in() == [(Code.LOGIN_ACK, bob.name)]
    ada.log_off()
    assert list(world.rooms.users) == [b"bob"]
    world.apply(settings(is_strict=False))
    bob.send(Code.LOGOFF, b"bob")
    assert list(world.rooms.users) == [b"bob"]
    bob.log_off()
    assert world.rooms.users == {}


def test_no_old_client_may_be_allowed_at_an_address() -> None:
    world = World(old_sessions=0)
    ada = Old(world, b"ada", world.place())
    assert ada.log_in() == [(Code.ERROR, b"0 old clients at your address are enough")]


def test_old_clients_off_the_link_go_where_they_are_not_served_any_more() -> None:
    world = World(legacy=Legacy.EVERYWHERE)
    near = old(world, "ada")
    far = Old(world, b"bob", world.place(host="203.0.113.9"))
    world.send(far.place, pack(Code.LOGIN_REQ, far.name), is_on_link=False)
    hush(near, far)
    world.apply(settings(legacy=Legacy.ON_LINK))
    assert (near.heard(), far.heard()) == ([], [(Code.ERROR, OFF_LINK)])
    assert list(world.rooms.users) == [b"ada"]


def test_new_clients_are_told_where_heartbeats_are_when_that_is_another_group() -> None:
    first, second = IPv4Address("225.1.0.6"), IPv4Address("225.1.0.7")
    world = World(heartbeat=first)
    ada, cyd = new(world, "ada", MULTICAST), new(world, "cyd")
    bob = old(world, "bob", MULTICAST)
    hush(ada, bob, cyd)
    world.apply(settings(heartbeat=first))
    assert (ada.heard(), bob.heard(), cyd.heard()) == ([], [], [])
    # a channel more has the group that heartbeats had: old clients are to hear none there
    more = ChannelSettings("Roses", "All about roses", first)
    world.apply(settings(channels=[*CHANNELS, more], heartbeat=second))
    assert ada.heard() == [(Code.HEARTBEAT_AT, b"225.1.0.7 10")]
    assert (bob.heard(), cyd.heard()) == ([], [])


def test_who_logs_in_at_a_door_of_groups_is_told_its_port_and_then_where_heartbeats_are() -> None:
    world = World(heartbeat6=IPv6Address("ff12::5:6"))
    ada = new(world, "ada", Gate("six", 2028, 6))
    assert ada.session
    ada.place = world.place(Gate("six", 2028, 6))
    assert [code for code, _ in ada.log_in()] == [
        Code.OPENED,
        Code.SET_MCAST_PORT,
        Code.HEARTBEAT_AT,
    ]
    ada.place = world.place(Gate("four", 2028, 4))  # which has no group left for them
    assert [code for code, _ in ada.log_in()] == [Code.OPENED, Code.SET_MCAST_PORT]
