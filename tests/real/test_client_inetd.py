"""`sock` and the services that are built into openbsd-inetd and xinetd, on their real ports."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sockd.client.commands.time import PRECISE_NS
from sockd.client.exits import Exit
from sockd.client.talk.clock_offset import COARSENESS
from sockd.formats.chargen import LINE, PATTERN, RINGS
from tests.client.running import SOCK, Done
from tests.daemons import two_hosts
from tests.processes import finish
from tests.real.others import serving, xinetd
from tests.real.programs import ctimes

PORTS = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}
EVERYWHERE = [(transport, port) for transport in ("tcp", "udp") for port in PORTS.values()]
INETD = "".join(
    f"{name} stream tcp nowait root internal\n{name} dgram udp wait root internal\n"
    for name in PORTS
)
UNLIMITED = """
defaults
{
    instances = UNLIMITED
    per_source = UNLIMITED
    cps = 1000000 1
}
"""
XINETD = """
service {name}
{{
    type = INTERNAL UNLISTED
    id = {name}-{kind}
    socket_type = {kind}
    protocol = {transport}
    port = {port}
    wait = {waits}
    user = root
}}
"""
LATE = "60s"
XINETD_RING = RINGS[1]
MOST_OF_XINETD = 1024
"""Bytes of a datagram of its chargen: twice what RFC 864 allows."""
TRANSPORTS = pytest.mark.parametrize("transport", ["tcp", "udp"])


def inetd_command(folder: Path) -> list[str]:
    config = folder / "inetd.conf"
    config.write_text(INETD)
    return ["inetd", "-i", "-R", "100000", str(config)]


def xinetd_command(folder: Path) -> list[str]:
    config = folder / "xinetd.conf"
    services = [
        XINETD.format(name=name, port=port, kind=kind, transport=transport, waits=waits)
        for name, port in PORTS.items()
        for kind, transport, waits in (("stream", "tcp", "no"), ("dgram", "udp", "yes"))
    ]
    config.write_text(UNLIMITED + "".join(services))
    pidfile = str(folder / "xinetd.pid")
    return [xinetd(), "-dontfork", "-f", str(config), "-pidfile", pidfile]


@pytest.fixture(scope="module")
def inetd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The name of a host beside the one where it runs: it answers no datagrams of its own host."""
    command = inetd_command(tmp_path_factory.mktemp("inetd"))
    with ExitStack() as stack:
        host, neighbour = stack.enter_context(two_hosts())
        stack.enter_context(serving(["ip", "netns", "exec", host, *command], *EVERYWHERE))
        yield neighbour


@pytest.fixture(scope="module")
def its_sibling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The same of xinetd."""
    command = xinetd_command(tmp_path_factory.mktemp("xinetd"))
    with ExitStack() as stack:
        host, neighbour = stack.enter_context(two_hosts())
        stack.enter_context(serving(["ip", "netns", "exec", host, *command], *EVERYWHERE))
        yield neighbour


@pytest.fixture(scope="module", params=["inetd", "its_sibling"], ids=["inetd", "xinetd"])
def either(request: pytest.FixtureRequest) -> str:
    """The neighbour of each of them."""
    neighbour: str = request.getfixturevalue(request.param)
    return neighbour


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
def test_daytime_is_printed_though_it_has_a_form_of_its_own(
    its_sibling: str, transport: str
) -> None:
    begin = time.time() - COARSENESS / 1e9
    done = ask(its_sibling, "daytime", f"--{transport}", "-W", LATE)
    assert done.code == Exit.ANSWERED, done.err
    # 28 NOV 2026 20:35:37 UTC
    day, month, year, at, _ = done.out.decode().split()
    told = f"{month.title()} {int(day):2} {at} {year}".encode()
    assert told in {text[4:] for text in ctimes(begin, time.time())}


@TRANSPORTS
def test_the_clock_of_the_same_machine_does_not_differ(either: str, transport: str) -> None:
    done = ask(either, "time", f"--{transport}", "-W", LATE, "-J")
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
    assert "ring RFC 864" in done.err
    assert "note" not in done.err


@pytest.mark.parametrize(
    ("size", "ring"), [(1699, "RFC 864 or xinetd"), (1700, "xinetd"), (1_000_000, "xinetd")]
)
def test_a_pattern_of_fewer_characters_is_followed_and_named(
    its_sibling: str, size: int, ring: str
) -> None:
    done = ask(its_sibling, "chargen", "-s", str(size), "-W", LATE)
    assert (done.code, done.out == (XINETD_RING.pattern * 150)[:size]) == (0, True), done.err
    assert f"ring {ring}," in done.err
    told = "it rotates the 93 of xinetd, not the 95 characters that RFC 864 recommends"
    assert (told in done.err) == (ring == "xinetd"), done.err


def test_chargen_says_a_line_to_any_datagram(inetd: str) -> None:
    lines = {PATTERN[start : start + LINE] for start in range(0, len(PATTERN), LINE)}
    for size in ("0", "512"):
        done = ask(inetd, "chargen", "--udp", "-s", size, "-W", LATE)
        assert (done.code, done.out in lines) == (Exit.ANSWERED, True), done.err
    done = ask(inetd, "chargen", "--udp", "-c", "3", "-i", "0", "-W", LATE, "-J")
    found = summary(done)
    assert (done.code, found["counts"]["received"]) == (Exit.ANSWERED, 3), done.err
    assert found["rate_bps"] == pytest.approx(found["datagram_rate"] * LINE * 8, rel=0.001)


def test_a_datagram_of_chargen_that_is_too_long_is_refused_unless_nothing_is_checked(
    its_sibling: str,
) -> None:
    done = ask(its_sibling, "chargen", "--udp", "-W", LATE)
    assert (done.code, done.out) == (Exit.BAD_ANSWER, b""), done.err
    assert "sent 1024 bytes: RFC 864 allows 512" in done.err
    done = ask(its_sibling, "chargen", "--udp", "--unchecked", "-W", LATE)
    assert (done.code, len(done.out)) == (Exit.ANSWERED, MOST_OF_XINETD), done.err


@pytest.mark.parametrize("size", ["20", "1400"])
@TRANSPORTS
def test_round_trips_are_measured(either: str, transport: str, size: str) -> None:
    # xinetd answers a datagram and forgets what came meanwhile, the more the slower it is
    patience = ("-W", "5s", "--retries", "9") if transport == "udp" else ("-W", LATE)
    words = ("-c", "5", "-i", "10ms", "-s", size, "-J")
    done = ask(either, "echo", f"--{transport}", *words, *patience)
    counts = summary(done)["counts"]
    assert (done.code, counts["sent"], counts["received"]) == (Exit.ANSWERED, 5, 5), done.err


def test_discard_takes_all(either: str) -> None:
    done = ask(either, "discard", "-s", "2m", "-W", LATE, "-J")
    found = summary(done)
    assert (done.code, found["counts"]["bytes_sent"]) == (Exit.ANSWERED, 2 << 20), done.err
    assert found["values"]["taken_by"] == "service"


def test_discard_takes_datagrams(either: str) -> None:
    done = ask(either, "discard", "--udp", "-c", "3", "-i", "0", "-J")
    assert (done.code, summary(done)["counts"]["sent"]) == (Exit.ANSWERED, 3), done.err
    assert summary(done)["datagram_rate"] > 0
