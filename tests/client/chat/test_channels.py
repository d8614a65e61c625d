"""The channels that a client is in."""

from __future__ import annotations

from ipaddress import IPv4Address

from sockd.client.chat.channels import MOST_CHANNELS, Channels
from sockd.client.chat.heard import PATIENCE
from sockd.client.chat.told import Joined, JoinGroup, LeaveGroup, Lost, Parted
from sockd.formats.chat.texts import ChannelText

GROUP, OTHER = IPv4Address("225.1.0.1"), IPv4Address("225.1.0.2")


def text(title: bytes, group: IPv4Address | None = None) -> ChannelText:
    """What a server tells of a channel."""
    return ChannelText(title, 2, b"about", group)


def test_the_one_joined_last_is_the_current_one_and_case_does_not_matter() -> None:
    channels = Channels()
    channels.joined(text(b"Weather"), b"k", 0, 0.0)
    channels.joined(text(b"Pets"), b"k", 0, 0.0)
    assert [one.title for one in channels.here] == [b"Pets", b"Weather"]
    assert channels.joined(text(b"WEATHER"), b"k", 0, 0.0) == [Joined("Weather", 2, is_new=False)]
    assert [one.title for one in channels.here] == [b"Weather", b"Pets"]
    assert channels.find(b"pETS") is channels.here[1]
    assert channels.parted(b"pets") == [Parted("Pets")]
    assert channels.parted(b"pets") == []
    assert channels.parted(b"") == [Parted("Weather")]
    assert channels.parted(b"") == []


def test_a_group_is_heard_from_the_join_to_the_part() -> None:
    channels = Channels()
    assert channels.joined(text(b"Pets", GROUP), b"k", 0, 0.0)[0] == JoinGroup(GROUP)
    assert channels.joined(text(b"Pets", OTHER), b"k", 0, 0.0)[:2] == [
        LeaveGroup(GROUP),
        JoinGroup(OTHER),
    ]
    assert channels.parted(b"Pets")[0] == LeaveGroup(OTHER)


def test_all_that_is_said_after_the_join_is_awaited() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k", 5, 0.0)
    assert not channels.here[0].arrive(5, 0.0)
    assert channels.here[0].arrive(7, 0.0)
    assert channels.lost(PATIENCE) == [Lost("Pets", 1)]


def test_a_later_answer_tells_of_what_was_said_last_and_did_not_come() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k", 5, 0.0)
    channels.joined(text(b"Pets"), b"k", 7, 10.0)
    assert channels.here[0].arrive(7, 10.5)
    assert channels.lost(10.0 + PATIENCE) == [Lost("Pets", 1)]


def test_what_was_missed_between_is_told_when_the_server_has_not_started_anew() -> None:
    channels = Channels()
    channels.joined(text(b"Pets", GROUP), b"k", 5, 0.0)
    assert channels.leave_all() == [LeaveGroup(GROUP)]
    assert channels.here == []
    channels.joined(text(b"Pets", GROUP), b"k", 7, 10.0)
    assert channels.next_at == 11.0
    assert channels.lost(11.0) == [Lost("Pets", 2)]


def test_after_a_start_all_that_was_said_since_counts() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k", 5, 0.0)
    channels.leave_all()
    channels.joined(text(b"Pets"), b"other", 2, 10.0)
    channels.here[0].arrive(4, 10.0)
    assert channels.lost(11.0) + channels.lost(12.0) == [Lost("Pets", 2), Lost("Pets", 1)]


def test_another_key_without_a_log_in_is_a_start_too() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k", 5, 0.0)
    channels.joined(text(b"Pets"), b"other", 0, 1.0)
    assert channels.here[0].key == b"other"
    assert channels.here[0].arrive(1, 1.0)


def test_who_comes_as_somebody_else_has_missed_nothing() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k", 5, 0.0)
    channels.leave_all()
    channels.forget()
    channels.joined(text(b"Pets"), b"k", 50, 10.0)
    assert channels.lost(99.0) == []


def test_a_server_that_lets_us_into_ever_more_channels_is_not_followed() -> None:
    channels = Channels()
    for _ in range(3):
        for number in range(MOST_CHANNELS + 1):
            channels.joined(text(b"%d of many" % number), b"k", 0, 0.0)
        assert len(channels.here) == MOST_CHANNELS
        channels.leave_all()
    for number in range(1000):
        channels.joined(text(b"%d" % number), b"k", 0, 0.0)
        channels.leave_all()
    assert len(channels._former) == MOST_CHANNELS


def test_a_group_that_two_channels_have_is_heard_until_both_are_left() -> None:
    channels = Channels()
    assert JoinGroup(GROUP) in channels.joined(text(b"Pets", GROUP), b"k", 0, 0.0)
    assert JoinGroup(GROUP) not in channels.joined(text(b"Weather", GROUP), b"k", 0, 0.0)
    assert channels.parted(b"Pets") == [Parted("Pets")]
    assert channels.parted(b"Weather") == [LeaveGroup(GROUP), Parted("Weather")]
