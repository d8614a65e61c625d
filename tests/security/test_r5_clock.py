"""R5: the clock on the wall is set; no timer fires early or stalls, and the new time is told."""

from __future__ import annotations

import select
import socket
import struct
import subprocess
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tests.daemons import ask, namespace
from tests.processes import wait_until
from tests.security.hosts import Watched, closed_at, connect, on

HOUR, DAY = 3600, 24 * 3600
CHANGES = (-HOUR, HOUR, DAY, -DAY)
NOON = datetime(2026, 3, 4, 12, 0, 0, tzinfo=UTC).timestamp()
"""What the daemon's clock says at first."""
GROUP = "224.225.226.227"
IDLE = 1.0
SLACK = 30.0
CONFIG = f"""
[defaults]
idle_timeout = "10m"
[service.echo]
listen = ["tcp:7001:interface=127.0.0.1"]
[service.brief]
kind = "reverse"
idle_timeout = "{IDLE:g}s"
listen = ["tcp:7002:interface=127.0.0.1"]
[service.daytime]
listen = ["tcp:7003:interface=127.0.0.1"]
[service.time]
listen = ["tcp:7004:interface=127.0.0.1"]
[service.beacon]
period = "1s"
listen = ["multicast:{GROUP}:2070:interface=127.0.0.1"]
"""


def libfaketime() -> str:
    """The library that tells a program another time, where its package has it."""
    files = subprocess.run(
        ["dpkg", "-L", "libfaketime"], capture_output=True, text=True, check=True
    ).stdout.splitlines()
    [library] = [file for file in files if file.endswith("/libfaketime.so.1")]
    return library


class Wall:
    """The clock on the wall of one process: it goes, and it can be set."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self.offset = 0.0
        self.set(NOON)
        self.environment = {
            "LD_PRELOAD": libfaketime(),
            "FAKETIME_TIMESTAMP_FILE": str(file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
            "TZ": "UTC",
        }

    def now(self) -> float:
        """Unix time, as that process sees it."""
        return time.time() + self.offset

    def set(self, moment: float) -> None:
        """Set it, all at once."""
        self.offset = moment - time.time()
        new = self._file.with_suffix(".new")
        new.write_text(f"{self.offset:+.3f}\n")
        new.replace(self._file)


Place = tuple[str, Watched, Wall, socket.socket]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    """A daemon on a host of its own, a clock that can be set, and an idle connection."""
    folder = tmp_path_factory.mktemp("clock")
    wall = Wall(folder / "clock")
    with (
        namespace() as host,
        Watched(folder, CONFIG, namespace=host, environment=wall.environment) as daemon,
        connect(host, ("127.0.0.1", 7001)) as idle,
    ):
        yield host, daemon, wall, idle


def listener(host: str) -> socket.socket:
    """A member of the beacon's group."""

    def make() -> socket.socket:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        sock.bind((GROUP, 2070))
        member = socket.inet_aton(GROUP) + socket.inet_aton("127.0.0.1")
        sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, member)
        sock.settimeout(SLACK)
        return sock

    return on(host, make)


def parse(ctime: bytes) -> float:
    """Unix time of a ctime in UTC."""
    moment = datetime.strptime(ctime.decode().strip(), "%a %b %d %H:%M:%S %Y")
    return moment.replace(tzinfo=UTC).timestamp()


def is_now(moment: float, wall: Wall) -> bool:
    """Whether this was the time a moment ago."""
    return -2 <= wall.now() - moment <= SLACK


def check_time_services(host: str, wall: Wall) -> None:
    """daytime and time tell what the clock on the wall says."""
    assert is_now(parse(ask(connect(host, ("127.0.0.1", 7003)), b"")), wall)
    [seconds] = struct.unpack("!I", ask(connect(host, ("127.0.0.1", 7004)), b""))
    assert is_now(seconds - 2_208_988_800, wall)


@pytest.mark.parametrize("change", CHANGES)
def test_the_clock_is_set_while_connections_are_open(place: Place, change: int) -> None:
    """An hour, a day, forward or back: timers count real seconds, clocks the new ones."""
    host, daemon, wall, idle = place
    check_time_services(host, wall)
    with connect(host, ("127.0.0.1", 7002)) as brief, listener(host) as beacon:
        start = time.monotonic()
        wall.set(wall.now() + change)
        check_time_services(host, wall)
        # a timer does not fire early, and does not stall
        closed_at(brief, IDLE + SLACK)
        assert time.monotonic() - start >= IDLE * 0.9
        # the beacon goes on, on its beat, with the new time; what was on its way may be old
        until = time.monotonic() + SLACK
        while not is_now(said := parse(beacon.recv(1000).partition(b"/")[0]), wall):
            assert time.monotonic() < until, said
        # nobody was cut off by a clock that is set
        assert select.select([idle], [], [], 0)[0] == []
    assert [one for one in daemon.events("closed") if one["duration"] < 0] == []


def test_the_daemons_own_timers_are_in_real_seconds(place: Place) -> None:
    """After all of that, the durations in its log are those of the connections."""
    _, daemon, _, still_open = place
    assert ask(still_open, b"still here") == b"still here"

    def idle() -> list[Any]:
        return [one for one in daemon.events("closed") if one["reason"] == "idle_timeout"]

    wait_until(lambda: len(idle()) == len(CHANGES), "the end of each is in the log")
    assert all(IDLE * 0.9 <= one["duration"] <= IDLE + SLACK for one in idle())
