"""A daemon on link-local addresses, and clients on the next host that ask it there."""

from __future__ import annotations

import socket
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from tests.daemons import Daemon, give, inside, join, namespace, socket_on
from tests.processes import PATIENCE, finish

HERE, THERE = "fe80::71", "fe80::72"
SOCK = str(Path(sys.executable).with_name("sock"))


@frozen
class Link:
    """The next host, the interface there, the daemon, and its interface."""

    host: str
    card: str
    daemon: Daemon
    own_card: str

    @property
    def to(self) -> str:
        """The daemon's address, as the next host calls it."""
        return f"{HERE}%{self.card}"


def config(card: str) -> str:
    at = f"interface=[{HERE}%{card}]"
    return f"""
[service.echo]
listen = ["tcp:7:{at}", "udp:7:{at}"]
[service.chat]
listen = ["udp:2027:{at}"]
listen_multicast = ["udp:2029:{at}"]
[service.beacon]
listen = ["multicast:[ff02::4242]:2070:{at}", "multicast:[ff02::4243%{card}]:2070:{at}"]
period = "1s"
"""


@pytest.fixture(scope="module")
def link(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Link]:
    with namespace() as here, namespace() as there:
        one, other = join(here, there)
        give(here, f"{HERE}/64", one)
        give(there, f"{THERE}/64", other)
        with Daemon(tmp_path_factory.mktemp("scoped"), config(one), namespace=here) as daemon:
            yield Link(there, other, daemon, one)


def test_the_log_and_the_entrance_say_which_interface_it_is(link: Link) -> None:
    listening = link.daemon.events("listening")
    places = {(one["transport"], one["local_address"]) for one in listening}
    own = f"{HERE}%{link.own_card}"
    assert {("tcp", own), ("udp", own)} <= places


@pytest.mark.parametrize("transport", ["--tcp", "--udp"])
def test_sock_asks_a_scoped_address(link: Link, transport: str) -> None:
    enter = ("ip", "netns", "exec", link.host)
    asked = finish([*enter, SOCK, "echo", "-c1", transport, f"[{link.to}]:7"])
    assert "1 sent, 1 received" in asked.stderr.decode()


def test_other_programs_do_as_well(link: Link) -> None:
    target = f"TCP6:[{link.to}]:7"
    assert inside(link.host, "socat", "-", target, data=b"hello\n") == b"hello\n"


@pytest.mark.parametrize("port", [2027, 2029])
def test_the_chat_serves_a_link(link: Link, port: int) -> None:
    to = f"[{link.to}]:{port}"
    command = (SOCK, "chat", "--nick", f"rufus{port}", "--join", "Weather", to)
    assert b"rufus%d: hello" % port in inside(link.host, *command, data=b"hello\n")


@pytest.mark.parametrize("group", ["ff02::4242", "ff02::4243"])
def test_groups_of_the_link_are_sent_to(link: Link, group: str) -> None:
    with socket_on(link.host, socket.AF_INET6, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        number = int(inside(link.host, "cat", f"/sys/class/net/{link.card}/ifindex"))
        sock.bind((group, 2070, 0, number))
        wish = socket.inet_pton(socket.AF_INET6, group) + struct.pack("@I", number)
        sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, wish)
        message, (host, *_) = sock.recvfrom(1024)
    assert message.endswith(socket.gethostname().encode())
    assert host.partition("%")[0] == HERE
