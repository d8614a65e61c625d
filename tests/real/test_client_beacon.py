"""A beacon between three hosts, as `sock beacon` hears it."""

from __future__ import annotations

import re
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.lan import Lan, events_of, lan
from tests.daemons import Daemon, run
from tests.processes import finish, running, wait_until

GROUP, GROUP_6 = "224.225.226.227", "ff15::2070"
BEACON = 2070


@pytest.fixture(scope="module")
def silent() -> Iterator[Lan]:
    """Three hosts without a service."""
    with lan() as hosts:
        yield hosts


def listeners(host: str) -> int:
    """How many sockets of a host are bound to the beacon's port; they have joined before."""
    tables = run("ip", "netns", "exec", host, "cat", "/proc/net/udp", "/proc/net/udp6")
    return len(re.findall(rf":{BEACON:04X} ", tables))


def wait_listening(host: str, count: int = 1) -> None:
    wait_until(lambda: listeners(host) == count, f"{count} to listen")


def test_beacon_prints_who_says_what_on_every_network(silent: Lan) -> None:
    with running(silent.sock("beacon", "-c", "3")) as child:
        wait_listening(silent.alpha)
        for device, message in (("red", b"one"), ("blue", b"two\r\n"), ("red", b"a\n10.0.0.9: b")):
            with silent.aimed(silent.beta, device) as sock:
                sock.sendto(message, (GROUP, BEACON))
            child.wait_for(message[:1].decode())
        assert child.wait() == 0
    assert child.text() == "10.78.1.2: one\n10.78.2.2: two\n10.78.1.2: a 10.0.0.9: b\n"


def test_beacon_explains_each_datagram_and_ends_by_a_signal(silent: Lan) -> None:
    with running(silent.sock("beacon", "--explain")) as child:
        wait_listening(silent.alpha)
        with silent.aimed(silent.beta, "red") as sock:
            sock.sendto(b"one", (GROUP, BEACON))
        child.wait_for("^10.78.1.2: one$")
        assert child.stop(signal.SIGINT) == -signal.SIGINT
    assert re.search(rf"datagram from {GROUP}:{BEACON} at 10\.78\.1\.2:\d+ ", child.text())


def test_several_beacons_on_one_host_hear_the_same(silent: Lan) -> None:
    with (
        running(silent.sock("beacon", "-c", "2")) as first,
        running(silent.sock("beacon", "-c", "2", "-J")) as second,
        silent.aimed(silent.gamma, "red") as sock,
    ):
        wait_listening(silent.alpha, 2)
        for message in ("hello", "again"):
            sock.sendto(message.encode(), (GROUP, BEACON))
            for child in (first, second):
                child.wait_for(message)
        assert first.wait() == second.wait() == 0
    assert first.text() == "10.78.1.3: hello\n10.78.1.3: again\n"
    probes = events_of(second, "probe")
    assert [probe["text"] for probe in probes] == ["hello", "again"]
    assert {probe["address"] for probe in probes} == {"10.78.1.3"}
    # what comes to a socket that has just been made may bear no interface
    assert probes[1]["values"] == {"interface": "red"}


@pytest.mark.parametrize("way", ["blue", "10.78.2.1"])
def test_beacon_hears_one_network_alone(silent: Lan, way: str) -> None:
    with running(silent.sock("beacon", "-c", "1", "-I", way)) as child:
        wait_listening(silent.alpha)
        for device in ("red", "blue"):
            with silent.aimed(silent.beta, device) as sock:
                sock.sendto(device.encode(), (GROUP, BEACON))
        assert child.wait() == 0
    assert child.text() == "10.78.2.2: blue\n"


def test_beacon_hears_a_group_of_ipv6(silent: Lan) -> None:
    with running(silent.sock("beacon", "-c", "1", "--group", GROUP_6)) as child:
        wait_listening(silent.alpha)
        with silent.aimed(silent.beta, "red", socket.AF_INET6) as sock:
            sock.bind(("fd78:1::2", 0))
            sock.sendto(b"six", (GROUP_6, BEACON))
        assert child.wait() == 0
    assert child.text() == "fd78:1::2: six\n"


def test_beacon_hears_the_beacon_of_its_own_host(silent: Lan, tmp_path: Path) -> None:
    """A daemon that was not configured speaks to its own loopback."""
    config = (
        f'[service.beacon]\nlisten = ["multicast:{GROUP}:{BEACON}:interface=127.0.0.1"]\n'
        'period = "1s"\n'
    )
    with (
        Daemon(tmp_path, config, namespace=silent.alpha),
        running(silent.sock("beacon", "-c", "1")) as child,
    ):
        assert child.wait() == 0
    assert re.fullmatch(rf"127\.0\.0\.1: .*/{re.escape(socket.gethostname())}\n", child.text())


def test_beacon_says_that_nobody_spoke(silent: Lan) -> None:
    done = finish(silent.sock("beacon", "-w", "0.1"))
    assert (done.returncode, done.stdout) == (3, b"")
    said = f"sock: nobody spoke to {GROUP}:{BEACON} within 0.1 s (listening on red, blue, lo)\n"
    assert done.stderr.decode() == said
