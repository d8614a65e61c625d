"""The channels that a client is in."""

from __future__ import annotations

from ipaddress import IPv4Address

from sockd.client.chat.channels import Channels
from sockd.client.chat.told import Joined, JoinGroup, LeaveGroup, Lost, Parted
from sockd.formats.chat.texts import ChannelText

GROUP, OTHER = IPv4Address("225.1.0.1"), IPv4Address("225.1.0.2")


def text(title: bytes, group: IPv4Address | None = None) -> ChannelText:
    """What a server tells of a channel."""
    return ChannelText(title, 2, b"about", group)


def test_the_one_joined_last_is_the_current_one_and_case_does_not_matter() -> None:
    channels = Channels()
    channels.joined(text(b"Weather"), b"k")
    channels.joined(text(b"Pets"), b"k")
    assert [one.title for one in channels.here] == [b"Pets", b"Weather"]
    assert channels.joined(text(b"WEATHER"), b"k") == [Joined("Weather", 2, is_new=False)]
    assert [one.title for one in channels.here] == [b"Weather", b"Pets"]
    assert channels.find(b"pETS") is channels.here[1]
    assert channels.parted(b"pets") == [Parted("Pets")]
    assert channels.parted(b"pets") == []
    assert channels.parted(b"") == [Parted("Weather")]
    assert channels.parted(b"") == []


def test_a_group_is_heard_from_the_join_to_the_part() -> None:
    channels = Channels()
    assert channels.joined(text(b"Pets", GROUP), b"k")[0] == JoinGroup(GROUP)
    assert channels.joined(text(b"Pets", OTHER), b"k")[:2] == [LeaveGroup(GROUP), JoinGroup(OTHER)]
    assert channels.parted(b"Pets")[0] == LeaveGroup(OTHER)


def test_what_was_missed_between_is_told_when_the_server_has_not_started_anew() -> None:
    channels = Channels()
    channels.joined(text(b"Pets", GROUP), b"k")
    channels.here[0].arrive(5, 0.0)
    assert channels.leave_all() == [LeaveGroup(GROUP)]
    assert channels.here == []
    channels.joined(text(b"Pets", GROUP), b"k")
    channels.here[0].arrive(8, 10.0)
    assert channels.next_at == 11.0
    assert channels.lost(11.0) == [Lost("Pets", 2)]


def test_after_a_start_all_that_was_said_since_counts() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k")
    channels.here[0].arrive(5, 0.0)
    channels.leave_all()
    channels.joined(text(b"Pets"), b"other")
    channels.here[0].arrive(3, 10.0)
    assert channels.lost(11.0) == [Lost("Pets", 2)]


def test_another_key_without_a_log_in_is_a_start_too() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k")
    channels.here[0].arrive(5, 0.0)
    channels.joined(text(b"Pets"), b"other")
    assert channels.here[0].key == b"other"
    assert channels.here[0].arrive(1, 1.0)


def test_who_comes_as_somebody_else_has_missed_nothing() -> None:
    channels = Channels()
    channels.joined(text(b"Pets"), b"k")
    channels.here[0].arrive(5, 0.0)
    channels.leave_all()
    channels.forget()
    channels.joined(text(b"Pets"), b"k")
    channels.here[0].arrive(50, 10.0)
    assert channels.lost(99.0) == []
