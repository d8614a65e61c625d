"""The bans of a daemon: they hold at once, and over a start."""

from __future__ import annotations

import math
import os
import sqlite3
from pathlib import Path
from typing import Any

import pytest
from attrs import define, field
from twisted.internet.defer import Deferred

from sockd.access.bans import Ban, Bans, NotBanned, make_ban
from sockd.access.prefixes import parse_prefix
from sockd.ops.ban_file import read
from sockd.ops.bans import RETRY_SECONDS, BanKeeper
from tests.helpers import LogRecorder
from tests.ops.inline import InlineReactor

DAY = 86_400.0


@define
class Host:
    """A host with a file, on which daemons are started one after the other."""

    path: Path
    wall: float = 1_700_000_000.0
    loop: InlineReactor = field(factory=InlineReactor)
    keeper: BanKeeper = field(init=False)

    def start(self) -> BanKeeper:
        self.keeper = BanKeeper(Bans(), str(self.path), self.loop, lambda: self.wall)
        self.keeper.load()
        return self.keeper

    def wait(self, seconds: float) -> None:
        self.wall += seconds
        self.loop.advance(seconds)

    def ban(self, text: str, seconds: float = math.inf, **others: Any) -> list[str]:
        return told(self.keeper.ban([self.made(text, seconds, **others)]))

    def made(self, text: str, seconds: float = math.inf, **others: Any) -> Ban:
        return make_ban(text, self.loop.seconds(), seconds, **others)

    @property
    def banned(self) -> list[str]:
        return [str(ban.prefix) for ban in self.keeper.bans.now(self.loop.seconds())]


def told(done: Deferred[str]) -> list[str]:
    """What it was told; nothing while it waits."""
    found: list[str] = []
    done.addCallback(found.append)
    return found


@pytest.fixture
def host(tmp_path: Path) -> Host:
    made = Host(tmp_path / "bans.sqlite3")
    made.start()
    return made


def test_a_ban_holds_over_a_start_for_the_time_that_is_left(host: Host) -> None:
    assert host.ban("192.0.2.7", 60, note="why") == [""]
    assert host.ban("2001:db8::/32", scope="chat") == [""]
    host.wait(20)
    host.start()
    ban = host.keeper.bans.find("192.0.2.7", host.loop.seconds())
    assert ban is not None
    assert ban.note == "why"
    assert ban.until - host.loop.seconds() == pytest.approx(40)
    assert host.loop.seconds() - ban.since == pytest.approx(20)
    host.wait(39)
    assert host.banned == ["192.0.2.7/32", "2001:db8::/32"]
    host.wait(1.1)
    assert host.banned == ["2001:db8::/32"]
    host.wait(1e9)
    host.start()
    assert host.banned == ["2001:db8::/32"]


def test_what_is_taken_back_does_not_come_back_with_a_start(host: Host) -> None:
    host.ban("192.0.2.7")
    host.ban("192.0.2.8")
    assert told(host.keeper.unban([parse_prefix("192.0.2.7")])) == [""]
    host.start()
    assert host.banned == ["192.0.2.8/32"]


def test_of_several_all_are_taken_back_or_none(host: Host) -> None:
    host.ban("192.0.2.7")
    with pytest.raises(NotBanned, match=r"192\.0\.2\.8 is not banned"):
        host.keeper.unban([parse_prefix("192.0.2.7"), parse_prefix("192.0.2.8")])
    assert host.banned == ["192.0.2.7/32"]


@pytest.mark.parametrize("shift", [-DAY, DAY / 2])
def test_a_clock_that_is_set_while_the_daemon_runs_ends_no_ban_and_keeps_none(
    host: Host, shift: float
) -> None:
    host.ban("192.0.2.7", DAY)
    host.wall += shift
    host.wait(DAY - 1)
    assert host.banned
    host.wait(1)
    assert not host.banned


def test_a_clock_that_stands_back_at_a_start_makes_no_ban_longer_than_it_was_to_be(
    host: Host,
) -> None:
    host.ban("192.0.2.7", 60)
    host.wall = 0.0  # a host without a battery
    host.start()
    assert host.banned
    host.wait(60)
    assert not host.banned


def test_a_ban_and_its_end_are_told_in_the_log(host: Host, log: LogRecorder) -> None:
    host.ban("192.0.2.7", 3600, note="x")
    host.ban("192.0.2.8", scope="chat")
    host.keeper.unban([parse_prefix("192.0.2.7")])
    assert log.lines() == [
        "sockd: 192.0.2.7/32 is banned for 1h",
        "chat: 192.0.2.8/32 is banned until it is taken back",
        "sockd: 192.0.2.7/32 is not banned any more",
    ]


def test_what_comes_while_the_disk_is_busy_is_written_together(host: Host) -> None:
    host.loop.is_busy = True
    first, *others = [host.ban(f"192.0.2.{number}") for number in range(1, 100)]
    assert len(host.banned) == 99  # at once, whatever the disk does
    assert not any([first, *others])
    host.loop.is_busy = False
    host.loop.work()
    assert [first, *others] == [[""]] * 99
    assert len(read(host.path)) == 99


def test_a_disk_that_fails_is_told_once_and_what_is_not_kept_is_tried_again(
    host: Host, log: LogRecorder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(sqlite3, "connect", full)
        why = f"{host.path}: database or disk is full"
        assert host.ban("192.0.2.7") == [why]
        assert host.ban("192.0.2.8") == [why]
        assert len(host.banned) == 2
        host.wait(RETRY_SECONDS)
    warnings = [str(event["reason"]) for event in log.events("warning")]
    assert warnings == [f"bans are not kept over a start: {why}"]
    host.wait(RETRY_SECONDS)
    assert len(read(host.path)) == 2
    assert host.loop.getDelayedCalls() == []


def test_a_broken_file_is_told_and_set_aside_and_the_start_goes_on(
    host: Host, log: LogRecorder
) -> None:
    host.path.write_bytes(b"no database " * 1000)
    host.start()
    [warning] = log.events("warning")
    assert str(warning["reason"]).startswith(f"the file of bans is broken: {host.path}: ")
    assert host.path.with_name("bans.sqlite3.broken").exists()
    assert host.ban("192.0.2.7") == [""]


def test_a_file_that_breaks_while_the_daemon_runs_is_made_anew_with_all_that_hold(
    host: Host, log: LogRecorder
) -> None:
    host.ban("192.0.2.7")
    host.path.write_bytes(b"no database " * 1000)
    assert host.ban("192.0.2.8") == [""]
    assert len(log.events("warning")) == 1
    host.start()
    assert host.banned == ["192.0.2.7/32", "192.0.2.8/32"]


def test_a_file_that_cannot_be_read_is_told_and_the_start_goes_on(
    host: Host, log: LogRecorder
) -> None:
    host.path.mkdir()
    host.start()
    [warning] = log.events("warning")
    assert str(warning["reason"]).startswith(f"bans are not read: {host.path}: ")


def test_where_bans_are_not_kept_it_is_said_and_they_hold(host: Host) -> None:
    host.path = Path()
    host.keeper = BanKeeper(Bans(), "", host.loop, lambda: host.wall)
    host.keeper.load()
    assert host.ban("192.0.2.7") == ['bans are not kept: `bans` is "off"']
    assert host.banned == ["192.0.2.7/32"]
    assert told(host.keeper.stop()) == [""]


def test_an_end_waits_until_what_was_asked_for_is_written(host: Host) -> None:
    host.loop.is_busy = True
    host.ban("192.0.2.7")
    host.ban("192.0.2.8")
    ended = told(host.keeper.stop())
    assert not ended
    host.loop.is_busy = False
    host.loop.work()
    assert ended == [""]
    assert len(read(host.path)) == 2


def test_a_daemon_that_gives_up_root_makes_the_file_and_its_directory_the_users(
    tmp_path: Path,
) -> None:
    state = tmp_path / "state"
    host = Host(state / "bans.sqlite3")
    host.start().give(12_345, 12_345, str(state))
    assert (state.stat().st_uid, state.stat().st_mode & 0o777) == (12_345, 0o755)
    os.chown(state, 0, 0)
    assert host.ban("192.0.2.7") == [""]
    host.keeper.give(12_345, 12_345, str(state))
    assert [one.stat().st_uid for one in (state, host.path)] == [12_345, 12_345]
    host.keeper.give(54_321, 54_321, str(state))  # it is not root's to give any more
    assert [one.stat().st_uid for one in (state, host.path)] == [12_345, 12_345]


def test_a_directory_that_is_not_for_this_alone_is_given_to_nobody(tmp_path: Path) -> None:
    host = Host(tmp_path / "bans.sqlite3")
    host.start()
    host.ban("192.0.2.7")
    host.keeper.give(12_345, 12_345, str(tmp_path / "state"))
    assert (tmp_path.stat().st_uid, host.path.stat().st_uid) == (0, 12_345)
    host.path.unlink()
    host.path.symlink_to("/etc/hostname")
    host.keeper.give(12_345, 12_345, str(tmp_path / "state"))
    assert Path("/etc/hostname").stat().st_uid == 0
