"""What the chat's options may be together, and the groups that channels get of them."""

from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Any

import pytest

from sockd.options.option import OptionError
from sockd.services.chat import MOST_DESCRIPTION, ChatOptions, channels, check

TWO = {"Weather": "Rain and sun", "Pets": "Animals at home"}


def test_each_channel_has_the_next_group_that_is_nobodys_and_heartbeats_the_one_behind() -> None:
    options = ChatOptions(
        channels={**TWO, "Lab": "Trials", "Lobby": "All else"},
        groups={"Pets": "225.1.0.2", "Lab": "FF12::5:1"},  # by whatever name
    )
    check(options)
    found, heartbeat, heartbeat6 = channels(options)
    assert [str(one.group) for one in found] == [
        "225.1.0.1",
        "225.1.0.2",
        "225.1.0.3",
        "225.1.0.4",
    ]
    assert [str(one.group6) for one in found] == [
        "ff12::5:2",
        "ff12::5:3",
        "ff12::5:1",
        "ff12::5:4",
    ]
    assert heartbeat == IPv4Address("225.1.0.5")
    assert heartbeat6 == IPv6Address("ff12::5:5")


LAST6 = str(ip_address((1 << 128) - 1))
NO_ADDRESS = "is no address: one of the interface, not its name"
FEW = "there are not as many groups behind it as channels"


@pytest.mark.parametrize(
    ("table", "name", "why"),
    [
        ({"channels": {}}, "channels", "there must be one at least"),
        ({"channels": {"a": "x", "A": "y"}}, "channels", "a and A are the same but for case"),
        ({"channels": {"a b": "x"}}, "channels", "a title has no white space"),
        ({"channels": {"a": " "}}, "channels", "a needs a description"),
        ({"channels": {"a": "x\ny"}}, "channels", "a needs a description"),
        ({"channels": {"a": "x" * (MOST_DESCRIPTION + 1)}}, "channels", "a needs a description"),
        ({"groups": {"Pets": "192.0.2.1"}}, "groups", "'192.0.2.1' is no multicast group"),
        ({"groups": {"Nowhere": "225.1.0.9"}}, "groups", "there is no channel Nowhere"),
        ({"first_group": "ff12::1"}, "first_group", "'ff12::1' is no multicast group of IPv4"),
        ({"first_group6": "225.1.0.1"}, "first_group6", "is no multicast group of IPv6"),
        ({"group_interface": "eth0"}, "group_interface", f"'eth0' {NO_ADDRESS}"),
        ({"first_group": "239.255.255.255"}, "first_group", FEW),
        ({"first_group6": LAST6}, "first_group6", FEW),
    ],
)
def test_what_does_not_go_together_is_refused_in_words(
    table: dict[str, Any], name: str, why: str
) -> None:
    with pytest.raises(OptionError) as error:
        check(ChatOptions(**{"channels": TWO, **table}))
    [(at, what)] = error.value.mistakes
    assert at == name
    assert why in what


def test_groups_can_be_sent_to_by_an_address_that_is_on_one_interface() -> None:
    check(ChatOptions(channels=TWO, group_interface="fe80::1%eth0"))


def test_the_longest_list_of_groups_that_there_is_is_enough() -> None:
    check(ChatOptions(channels=TWO, first_group="239.255.255.254"))
    found, heartbeat, _ = channels(ChatOptions(channels=TWO, first_group="239.255.255.254"))
    assert [str(one.group) for one in found] == ["239.255.255.254", "239.255.255.255"]
    assert heartbeat is None
