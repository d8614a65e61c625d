"""The beacon, heard on the next host by socat, by tcpdump and by a plain socket."""

from __future__ import annotations

import re
import socket
import struct
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.daemons import Daemon, ask, inside, join, run, socket_on, two_hosts
from tests.processes import PATIENCE
from tests.real.programs import Session

GROUP, GROUP_6 = "224.225.226.227", "ff15::2070"
PERIOD = 2
CONFIG = f"""
[service.beacon]
listen = ["multicast:{GROUP}:2070:ttl=7:interface=10.77.0.1"]
period = "{PERIOD}s"
[service.beacon6]
kind = "beacon"
listen = ["multicast:[{GROUP_6}]:2070:ttl=9:interface=[fd77::1]"]
period = "1s"
[service.echo]
listen = ["tcp:7:interface=127.0.0.1"]
"""
LATE = 10.0
"""Seconds that a message may be on its way from its beat to the group: the daemon may wait, too."""


IP_RECVTTL = 12  # linux/in.h


class Cable:
    """Two hosts, the daemon on the first; a cable between them that can be pulled."""

    def __init__(self, first: str, second: str, daemon: Daemon) -> None:
        self.first = first
        self.second = second
        self.daemon = daemon

    @property
    def ends(self) -> tuple[str, str]:
        """The interfaces of the two hosts that are not loopback."""
        found = []
        for host in (self.first, self.second):
            links = run("ip", "-n", host, "-o", "link")
            found += re.findall(r"^\d+: (\w+)@", links, re.MULTILINE)
        first, second = found
        return first, second

    def listener(self, family: socket.AddressFamily) -> socket.socket:
        """A member of the group on the second host, told each datagram's time to live."""
        sock = socket_on(self.second, family, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        sock.bind(("", 2070))
        if family == socket.AF_INET:
            request = socket.inet_aton(GROUP) + socket.inet_aton("10.77.0.2")
            sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
            sock.setsockopt(socket.IPPROTO_IP, IP_RECVTTL, 1)
        else:
            links = run("ip", "-n", self.second, "-o", "link", "show", self.ends[1])
            request = socket.inet_pton(family, GROUP_6) + struct.pack(
                "@I", int(links.split(":")[0])
            )
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, request)
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        return sock

    def inside_second(self, *command: str) -> list[str]:
        return ["ip", "netns", "exec", self.second, *command]


@contextmanager
def cabled(folder: Path) -> Iterator[Cable]:
    with two_hosts() as (first, second), Daemon(folder, CONFIG, namespace=first) as daemon:
        yield Cable(first, second, daemon)


@pytest.fixture(scope="module")
def cable(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cable]:
    with cabled(tmp_path_factory.mktemp("multicast")) as made:
        yield made


def beat(message: bytes, period: int) -> float:
    """Check a message: ctime, `/`, the host's name, on a beat. Returns its Unix time."""
    told, _, name = message.decode().partition("/")
    assert name == socket.gethostname()
    moment = time.mktime(time.strptime(told, "%a %b %d %H:%M:%S %Y"))
    assert time.ctime(moment) == told
    assert moment % period == 0
    return moment


def check_beats(output: bytes, count: int, period: int) -> None:
    """Check messages that came one after the other, without anything between them."""
    size = len(output) // count
    beats = [beat(output[size * n : size * (n + 1)], period) for n in range(count)]
    assert beats == sorted(set(beats))


MESSAGE = len(f"Sat Jun 17 18:06:14 2000/{socket.gethostname()}")


def test_socat_hears_the_beacon_on_its_beat(cable: Cable) -> None:
    source = f"UDP4-RECV:2070,ip-add-membership={GROUP}:10.77.0.2"
    with Session(*cable.inside_second("socat", "-u", source, "-")) as session:
        check_beats(session.read(2 * MESSAGE), 2, PERIOD)


def test_socat_hears_the_beacon_of_an_ipv6_group(cable: Cable) -> None:
    source = f"UDP6-RECV:2070,ipv6-join-group=[{GROUP_6}]:{cable.ends[1]}"
    with Session(*cable.inside_second("socat", "-u", source, "-")) as session:
        check_beats(session.read(2 * MESSAGE), 2, 1)


@pytest.mark.parametrize(
    ("family", "period", "hops"), [(socket.AF_INET, PERIOD, 7), (socket.AF_INET6, 1, 9)]
)
def test_a_message_comes_when_it_says_and_may_go_as_far_as_configured(
    cable: Cable, family: socket.AddressFamily, period: int, hops: int
) -> None:
    begin = time.time()
    with cable.listener(family) as sock:
        message, ancillary, _, (host, *_) = sock.recvmsg(1024, 256)
        now = time.time()
    assert host == ("10.77.0.1" if family == socket.AF_INET else "fd77::1")
    assert begin - LATE < beat(message, period) <= now
    (told,) = [struct.unpack("@i", data)[0] for _, _, data in ancillary]
    assert told == hops


@pytest.mark.parametrize(("ip", "field"), [("ip", "ttl 7,"), ("ip6", "hlim 9,")])
def test_tcpdump_sees_the_time_to_live(cable: Cable, ip: str, field: str) -> None:
    filters = f"{ip} and udp dst port 2070"
    packet = inside(cable.second, "tcpdump", "-nv", "-c1", filters).decode()
    assert field in packet


def test_an_interface_that_goes_and_comes_back_costs_one_warning(tmp_path: Path) -> None:
    """Services on other interfaces go on; the beacon is heard again once its interface is back."""
    with cabled(tmp_path) as cable:
        with cable.listener(socket.AF_INET) as sock:
            beat(sock.recv(1024), PERIOD)
        run("ip", "-n", cable.first, "link", "del", cable.ends[0])
        for service in ("beacon", "beacon6"):
            cable.daemon.wait_for("failed", service=service, seconds=PATIENCE)
        gone = time.monotonic()
        while time.monotonic() < gone + 1.5 * PERIOD:
            echo = socket_on(cable.first, socket.AF_INET, socket.SOCK_STREAM)
            echo.connect(("127.0.0.1", 7))
            assert ask(echo, b"still here") == b"still here"
        join(cable.first, cable.second)
        for family, period in ((socket.AF_INET, PERIOD), (socket.AF_INET6, 1)):
            with cable.listener(family) as sock:
                beat(sock.recv(1024), period)
        for service in ("beacon", "beacon6"):
            # which it says once the message has been sent
            cable.daemon.wait_for("failed", service=service, reason="sends_again")
            reports = [
                event["reason"]
                for event in cable.daemon.events("failed")
                if event["service"] == service
            ]
            assert len(reports) == 2
            assert reports[0] == "cannot_send"
            assert reports[1] == "sends_again"
