"""What joins and starts cost: counted in datagrams, on a gate that sends each member its own."""

from __future__ import annotations

from typing import Any

import pytest

from sockd.chat.rooms import MANY_LISTS, MOST_LISTS
from sockd.formats.chat.events import Code
from tests.chat.world import UNICAST, New, World, hush, joined, new, settings

FREE: dict[str, Any] = {"burst": 10_000, "rate": 10_000.0, "users_per_address": 10_000}
"""Whoever is counted here does more than five things a second, and all are at one address."""
LOUD = 100_000
"""Members up to which a channel tells who comes and goes: more than there are."""
EACH = 2
"""Datagrams that a resume and a join are answered with: OPENED and JOIN_ACK."""


def counted(world: World) -> int:
    """Datagrams that were sent since this was last asked."""
    count = sum(map(len, world.boxes.values()))
    world.boxes.clear()
    return count


def crowd(world: World, count: int) -> list[New]:
    """So many, in one channel; what came to them is of no interest."""
    clients = [new(world, f"user{number}", UNICAST) for number in range(count)]
    for client in clients:
        joined(client, "Weather")
    world.boxes.clear()
    return clients


@pytest.mark.parametrize("members", [1, 10, 100, 1000])
def test_a_join_costs_a_datagram_for_each_member_and_an_answer(members: int) -> None:
    world = World(settings(quiet_above=LOUD, **FREE))
    crowd(world, members)
    late = new(world, "late", UNICAST)
    world.boxes.clear()
    late.send(Code.JOIN_REQ, b"Weather")
    assert counted(world) == members + 1


@pytest.mark.parametrize("members", [1, 10, 100, 1000])
def test_so_does_leaving(members: int) -> None:
    world = World(settings(quiet_above=LOUD, **FREE))
    client, *_ = crowd(world, members + 1)
    client.send(Code.PART_REQ, b"Weather")
    assert counted(world) == members + 1


def test_where_many_are_a_join_costs_one_answer() -> None:
    world = World(settings(**FREE))
    crowd(world, world.settings.quiet_above + 1)
    late = new(world, "late", UNICAST)
    world.boxes.clear()
    late.send(Code.JOIN_REQ, b"Weather")
    assert counted(world) == 1


def test_to_join_again_costs_one_answer() -> None:
    world = World(settings(quiet_above=LOUD, **FREE))
    client, *_ = crowd(world, 100)
    client.send(Code.JOIN_REQ, b"Weather")
    assert counted(world) == 1


@pytest.mark.parametrize("quiet_above", [200, LOUD])
@pytest.mark.parametrize("members", [10, 100, 1000])
def test_members_who_come_back_after_a_start_cost_a_few_datagrams_each(
    members: int, quiet_above: int
) -> None:
    world = World(settings(quiet_above=quiet_above, **FREE))
    clients = crowd(world, members)
    world.restart()
    for client in clients:
        resume = client.open()  # it has said hello, which was answered
        world.boxes.clear()
        world.send(client.place, resume)
        client.send(Code.JOIN_REQ, b"Weather")
        assert counted(world) == EACH
    assert len(world.channel("Weather").members) == members


def test_so_many_lists_are_on_their_way_at_once_and_more_when_those_have_come() -> None:
    world = World(**FREE, quiet_above=0)
    users = crowd(world, MOST_LISTS + 1)
    hush(*users)
    *first, late = users
    for user in first:
        assert user.ask(Code.LIST_USERS) == [(Code.ACK, b"")]
    assert late.ask(Code.LIST_USERS) == [(Code.ERROR, MANY_LISTS)]
    first[0].log_off()
    assert late.ask(Code.LIST_USERS) == [(Code.ACK, b"")]
    world.list_on()
    assert world.rooms._lists == 0
