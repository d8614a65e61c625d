"""The datagram port on real sockets: what comes through, and where an answer leaves from."""

from __future__ import annotations

import socket
import struct
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from tests.daemons import give, namespace, socket_on
from tests.reactor.ports import (
    BOTH_WAYS,
    LONGEST_UDP,
    Listens,
    ScriptedSocket,
    bound,
    hear,
    listening,
)

FAMILIES = {"udp": socket.AF_INET, "udp6": socket.AF_INET6, "unixgram": socket.AF_UNIX}
LENGTHS = st.integers(0, 40) | st.integers(0, LONGEST_UDP) | st.just(LONGEST_UDP)
PAYLOADS = st.lists(st.tuples(LENGTHS, st.binary(min_size=1, max_size=300)), max_size=40)
"""How long a datagram is, and what is repeated in it."""


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_any_sequence_of_datagrams_comes_through_in_order_and_whole(
    family: socket.AddressFamily, in_batches: bool, tmp_path: Path
) -> None:
    places: tuple[Any, Any] = (("127.0.0.1", 0), ("127.0.0.1", 0))
    if family == socket.AF_INET6:
        places = (("::1", 0), ("::1", 0))
    elif family == socket.AF_UNIX:
        places = (str(tmp_path / "port"), str(tmp_path / "asker"))
    # so much a buffer holds everywhere; of UDP that is more than a turn takes
    room, most = (32_768, 10) if family == socket.AF_UNIX else (150_000, 40)
    protocol = Listens()
    sock, asker = bound(places[0], family), bound(places[1], family)
    with listening(sock, protocol, in_batches) as port, asker:

        @given(PAYLOADS)
        def check(drawn: list[tuple[int, bytes]]) -> None:
            payloads = [(part * (length // len(part) + 1))[:length] for length, part in drawn]
            protocol.heard.clear()
            waiting = 0
            for sent, data in enumerate(payloads):
                if waiting + len(data) > room or sent - len(protocol.heard) == most:
                    hear(port, protocol, sent)
                    waiting = 0
                asker.sendto(data, sock.getsockname())
                waiting += len(data)
            hear(port, protocol, len(payloads))
            assert [one.data for one in protocol.heard] == payloads
            name = asker.getsockname()
            here = (name, 0) if family == socket.AF_UNIX else name[:2]
            assert {one.sender for one in protocol.heard} <= {here}

        check()
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_wildcard_port_answers_from_the_address_that_was_asked(in_batches: bool) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with listening(bound(("0.0.0.0", 0)), protocol, in_batches) as port:
        number = port.socket.getsockname()[1]
        for asked in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            with bound(("127.0.0.1", 0)) as asker:
                asker.sendto(asked.encode(), (asked, number))
                hear(port, protocol, len(protocol.heard) + 1)
                assert asker.recvfrom(100) == (asked.encode(), (asked, number))
                assert port.asked is None
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize(
    ("family", "hosts"),
    [
        (socket.AF_INET, [f"127.0.0.{number}" for number in range(1, 8)]),
        (socket.AF_INET6, ["::1", "fd00::1", "fd00::2"]),
    ],
    ids=["udp", "udp6"],
)
def test_each_answer_of_a_batch_leaves_from_the_address_that_was_asked(
    family: socket.AddressFamily, hosts: list[str], in_batches: bool
) -> None:
    def answer(data: bytes, addr: Any) -> None:
        assert port.write(data, addr)
        assert port.write(b"to another", other.getsockname()[:2])

    with namespace() as name:
        if family == socket.AF_INET6:
            for host in hosts[1:]:
                give(name, f"{host}/128", "lo")
        sock, asker, other = (socket_on(name, family, socket.SOCK_DGRAM) for _ in range(3))
        sock.bind(("", 0))
        asker.bind((hosts[0], 0))
        other.bind((hosts[0], 0))
        protocol = Listens(answer)
        with asker, other, listening(sock, protocol, in_batches) as port:
            number = sock.getsockname()[1]
            asked = [hosts[index % len(hosts)] for index in range(30)]
            for host in asked:
                asker.sendto(host.encode(), (host, number))
            hear(port, protocol, 30)
            for host in asked:
                data, sender = asker.recvfrom(100)
                assert (data, sender[:2]) == (host.encode(), (host, number))
            # who has not asked is not answered: its datagrams leave from where they always do
            senders = {other.recvfrom(100)[1][0] for _ in asked}
            assert senders == {hosts[0]}
        assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("place", ["::", "fe80::7"])
def test_a_peer_on_the_link_is_known_with_its_interface(place: str, in_batches: bool) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with namespace() as name:
        give(name, "fe80::7/64", "lo")
        sock, asker = (socket_on(name, socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(2))
        loopback = 1
        sock.bind((place, 0, 0, loopback if place != "::" else 0))
        asker.bind(("fe80::7", 0, 0, loopback))
        with asker, listening(sock, protocol, in_batches) as port:
            for data in (b"first", b"second"):
                asker.sendto(data, ("fe80::7", sock.getsockname()[1], 0, loopback))
            hear(port, protocol, 2)
            assert [asker.recv(100) for _ in "12"] == [b"first", b"second"]
            assert port.write_many(b"more", [protocol.heard[0].sender] * 3) == 3
            assert [asker.recv(100) for _ in "123"] == [b"more"] * 3
        assert {one.sender[0] for one in protocol.heard} == {"fe80::7%1"}
        assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_later_answer_leaves_from_the_address_that_was_asked_then(in_batches: bool) -> None:
    protocol = Listens()
    with (
        listening(bound(("0.0.0.0", 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as first,
        bound(("127.0.0.1", 0)) as second,
    ):
        number = port.socket.getsockname()[1]
        first.sendto(b"first", ("127.0.0.2", number))
        hear(port, protocol, 1)
        second.sendto(b"second", ("127.0.0.3", number))
        hear(port, protocol, 2)
        for one in protocol.heard:
            assert port.write(b"answer", one.sender, source=one.asked)
        assert first.recvfrom(100) == (b"answer", ("127.0.0.2", number))
        assert second.recvfrom(100) == (b"answer", ("127.0.0.3", number))


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_port_on_one_address_is_told_of_none(in_batches: bool) -> None:
    protocol = Listens()
    with (
        listening(bound(("127.0.0.2", 0)), protocol, in_batches) as port,
        bound(("127.0.0.1", 0)) as asker,
    ):
        asker.sendto(b"", port.socket.getsockname())
        hear(port, protocol, 1)
        assert port.write(b"answer", protocol.heard[0].sender)
        assert asker.recvfrom(100) == (b"answer", port.socket.getsockname())
    assert [one.asked for one in protocol.heard] == [None]


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
@pytest.mark.parametrize("host", ["::", "::1"])
def test_ipv6_is_answered_from_the_address_that_was_asked(host: str, in_batches: bool) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with (
        listening(bound((host, 0), socket.AF_INET6), protocol, in_batches) as port,
        bound(("::1", 0), socket.AF_INET6) as asker,
    ):
        number = port.socket.getsockname()[1]
        asker.sendto(b"question", ("::1", number))
        hear(port, protocol, 1)
        assert asker.recvfrom(100)[:2] == (b"question", ("::1", number, 0, 0))
        [one] = protocol.heard
        assert one.sender == asker.getsockname()[:2]
        assert (one.asked is not None) == (host == "::")
        assert port.write(b"later", one.sender, source=one.asked)
        assert asker.recvfrom(100)[:2] == (b"later", ("::1", number, 0, 0))
    assert not port.counts


@pytest.mark.parametrize("in_batches", BOTH_WAYS)
def test_a_socket_of_both_families_answers_from_the_address_that_was_asked(
    in_batches: bool,
) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    sock = bound(("::", 0), socket.AF_INET6, v6_only=False)
    with listening(sock, protocol, in_batches) as port, bound(("127.0.0.1", 0)) as asker:
        number = sock.getsockname()[1]
        asker.sendto(b"question", ("127.0.0.2", number))
        hear(port, protocol, 1)
        assert asker.recvfrom(100) == (b"question", ("127.0.0.2", number))
        assert port.write_many(b"to many", [protocol.heard[0].sender] * 2) == 2
        assert [asker.recv(100) for _ in "12"] == [b"to many"] * 2
    assert protocol.heard[0].sender == ("::ffff:127.0.0.1", protocol.heard[0].sender[1])
    assert not port.counts


def test_a_port_tells_where_it_listens(tmp_path: Path) -> None:
    path = str(tmp_path / "port")
    for sock, kind in (
        (bound(("127.0.0.1", 0)), IPv4Address),
        (bound(("::1", 0), socket.AF_INET6), IPv6Address),
    ):
        with listening(sock, Listens()) as port:
            assert port.getHost() == kind("UDP", *sock.getsockname()[:2])
            assert port.getHandle() is sock
            assert port.fileno() == sock.fileno()
            assert port.logPrefix() == "Listens"
    with listening(bound(path, socket.AF_UNIX), Listens()) as port:
        assert port.getHost() == UNIXAddress(path)


def test_what_an_ipv6_group_was_asked_is_answered_from_the_interface_of_the_question() -> None:
    sock, protocol = ScriptedSocket("::"), Listens(lambda data, addr: port.write(data, addr))
    with listening(sock, protocol, False) as port:
        for asked, answered_from in (("ff02::1", "::"), ("2001:db8::7", "2001:db8::7")):
            sock.beside = [pktinfo(asked)]
            sock.arriving.append(b"question")
            port.doRead()
            assert sock.sent_beside == [pktinfo(answered_from)]


def pktinfo(address: str) -> tuple[int, int, bytes]:
    """What the kernel tells of a datagram to this address, over the third interface."""
    kind = 50  # IPV6_PKTINFO (linux/in6.h)
    data = socket.inet_pton(socket.AF_INET6, address) + struct.pack("=I", 3)
    return (socket.IPPROTO_IPV6, kind, data)
