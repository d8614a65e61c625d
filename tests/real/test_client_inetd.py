"""`sock` and the services that are built into openbsd-inetd, on their real ports."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from sockd.client.commands.time import PRECISE_NS
from sockd.client.exits import Exit
from sockd.client.talk.clock_offset import COARSENESS
from sockd.formats.chargen import LINE, PATTERN
from tests.client.running import SOCK, Done
from tests.daemons import two_hosts
from tests.processes import PATIENCE, finish, wait_until
from tests.real.programs import ctimes

PORTS = {"discard": 9, "daytime": 13, "chargen": 19, "time": 37}
CONFIG = "".join(
    f"{name} stream tcp nowait root internal\n{name} dgram udp wait root internal\n"
    for name in PORTS
)
LATE = "60s"
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])


@pytest.fixture(scope="module")
def inetd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a host beside the one where it runs: it answers no datagrams of its own host."""
    config = tmp_path_factory.mktemp("inetd") / "inetd.conf"
    config.write_text(CONFIG)
    with ExitStack() as stack:
        host, neighbour = stack.enter_context(two_hosts())
        process = subprocess.Popen(
            ["ip", "netns", "exec", host, "inetd", "-i", "-R", "100000", str(config)]
        )
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)
        # the last one in its configuration
        wait_until(lambda: ask(neighbour, "time", "--udp").code == Exit.ANSWERED, "inetd serves")
        yield neighbour


def ask(neighbour: str, command: str, *arguments: str) -> Done:
    """Ask the service of this name at its real port."""
    argv = [SOCK, command, "10.77.0.1", "--port", str(PORTS[command]), *arguments]
    done = finish(["ip", "netns", "exec", neighbour, *argv])
    return Done(done.returncode, done.stdout, done.stderr.decode())


def summary(done: Done) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])["hosts"][0]
    return found


@TRANSPORTS
def test_daytime_is_printed(inetd: str, transport: str) -> None:
    # its clock, the kernel's for time(), is up to a tick late
    begin = time.time() - COARSENESS / 1e9
    done = ask(inetd, "daytime", f"--{transport}", "-W", LATE)
    assert done.code == Exit.ANSWERED, done.err
    assert done.out.removesuffix(b"\r\n") in ctimes(begin, time.time())


@TRANSPORTS
def test_the_clock_of_the_same_machine_does_not_differ(inetd: str, transport: str) -> None:
    done = ask(inetd, "time", f"--{transport}", "-W", LATE, "-J")
    values = summary(done)["values"]
    assert done.code == Exit.ANSWERED, done.err
    assert values["offset_low_ns"] <= 0 < values["offset_high_ns"] + COARSENESS


@TRANSPORTS
def test_the_clock_is_known_precisely_though_it_is_read_at_ticks(
    inetd: str, transport: str
) -> None:
    done = ask(inetd, "time", "--precise", f"--{transport}", "-W", LATE, "-J")
    found = summary(done)
    assert done.code == Exit.ANSWERED, done.err
    # some readings are late and some are not: what is told is right up to that
    assert found["values"]["offset_low_ns"] <= 0
    assert found["values"]["offset_high_ns"] > -COARSENESS
    width = found["values"]["offset_high_ns"] - found["values"]["offset_low_ns"]
    slow = 2 * found["timing"]["total_ns"] if found["timing"] else 2 * found["rtt"]["max_ns"]
    assert width <= PRECISE_NS + 2 * COARSENESS + slow


@pytest.mark.parametrize("size", [1, LINE, 100_000])
def test_chargen_streams_the_pattern(inetd: str, size: int) -> None:
    done = ask(inetd, "chargen", "-s", str(size), "-W", LATE)
    assert (done.code, done.out == (PATTERN * 15)[:size]) == (Exit.ANSWERED, True), done.err


def test_chargen_says_a_line_to_any_datagram(inetd: str) -> None:
    lines = {PATTERN[start : start + LINE] for start in range(0, len(PATTERN), LINE)}
    for size in ("0", "512"):
        done = ask(inetd, "chargen", "--udp", "-s", size, "-W", LATE)
        assert (done.code, done.out in lines) == (Exit.ANSWERED, True), done.err


def test_discard_takes_all(inetd: str) -> None:
    done = ask(inetd, "discard", "-s", "2m", "-W", LATE, "-J")
    found = summary(done)
    assert (done.code, found["counts"]["bytes_sent"]) == (Exit.ANSWERED, 2 << 20), done.err
    assert found["values"]["taken_by"] == "service"


def test_discard_takes_datagrams(inetd: str) -> None:
    done = ask(inetd, "discard", "--udp", "-c", "3", "-i", "0", "-J")
    assert (done.code, summary(done)["counts"]["sent"]) == (Exit.ANSWERED, 3), done.err
