"""rdate, the client that sets clocks: here it only prints, and prints the right time."""

from __future__ import annotations

import calendar
import re
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.daemons import Daemon
from tests.processes import run
from tests.real.programs import SECONDS

CONFIG = """
[service.time]
listen = ["tcp:0:interface=localhost", "udp:0:interface=localhost"]
"""
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])
WRAPPED = "2037-06-17 18:06:14"
"""A time of day after February 2036, when the 32 bits of RFC 868 begin again at zero."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("rdate"), CONFIG) as running:
        yield running


def rdate(daemon: Daemon, transport: str, family: int, *options: str) -> str:
    """What rdate prints and nothing set (-p), in UTC."""
    host, port = daemon.address("time", transport, family)
    over_udp = ["-u"] if transport == "udp" else []
    environment = {"PATH": "/usr/bin:/usr/sbin:/bin:/sbin", "TZ": "UTC0", "LC_ALL": "C"}
    argv = ["rdate", "-p", *over_udp, *options, "-o", str(port), host]
    done = run(*argv, environment=environment, seconds=SECONDS)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def seconds(printed: str) -> int:
    """The Unix time of a line such as `Sat Jun 17 18:06:14 UTC 2000`."""
    return calendar.timegm(time.strptime(printed.strip(), "%a %b %d %H:%M:%S UTC %Y"))


@FAMILIES
@TRANSPORTS
def test_rdate_prints_this_hosts_time_and_sets_nothing(
    daemon: Daemon, transport: str, family: int
) -> None:
    least, most = clock_ahead()
    begin = int(time.time())
    told = seconds(rdate(daemon, transport, family))
    assert begin <= told <= time.time()
    least_after, most_after = clock_ahead()
    assert least - 0.5 < most_after
    assert least_after < most + 0.5


def clock_ahead() -> tuple[float, float]:
    """How far the clock on the wall is ahead of the one that nobody sets: at least, at most."""
    before = time.monotonic()
    now = time.time()
    return now - time.monotonic(), now - before


@TRANSPORTS
def test_rdate_finds_nothing_to_adjust(daemon: Daemon, transport: str) -> None:
    begin = time.monotonic()
    found = re.search(r"adjust local clock by (-?\d+) seconds", rdate(daemon, transport, 0, "-v"))
    on_its_way = time.monotonic() - begin
    assert found
    assert -2 - on_its_way <= int(found[1]) <= 2


@TRANSPORTS
def test_rdate_understands_a_time_after_the_format_has_wrapped(
    tmp_path: Path, transport: str
) -> None:
    fake = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "TZ": "UTC0"}
    prefix = ["faketime", "-f", f"@{WRAPPED}"]
    begin = time.monotonic()
    with Daemon(tmp_path, CONFIG, prefix=prefix, environment=fake) as running:
        told = seconds(rdate(running, transport, 0))
    started = calendar.timegm(time.strptime(WRAPPED, "%Y-%m-%d %H:%M:%S"))
    assert 0 <= told - started <= time.monotonic() - begin + 1
