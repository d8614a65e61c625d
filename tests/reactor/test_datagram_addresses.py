"""The datagram port on real sockets: what comes through, and where an answer leaves from."""

from __future__ import annotations

import socket
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress

from tests.reactor.ports import LONGEST_UDP, Listens, bound, hear, listening

FAMILIES = {"udp": socket.AF_INET, "udp6": socket.AF_INET6, "unixgram": socket.AF_UNIX}
LENGTHS = st.integers(0, 40) | st.integers(0, LONGEST_UDP) | st.just(LONGEST_UDP)
PAYLOADS = st.lists(st.tuples(LENGTHS, st.binary(min_size=1, max_size=300)), max_size=40)
"""How long a datagram is, and what is repeated in it."""


@pytest.mark.parametrize("family", FAMILIES.values(), ids=FAMILIES)
def test_any_sequence_of_datagrams_comes_through_in_order_and_whole(
    family: socket.AddressFamily, tmp_path: Path
) -> None:
    places: tuple[Any, Any] = (("127.0.0.1", 0), ("127.0.0.1", 0))
    if family == socket.AF_INET6:
        places = (("::1", 0), ("::1", 0))
    elif family == socket.AF_UNIX:
        places = (str(tmp_path / "port"), str(tmp_path / "asker"))
    protocol = Listens()
    sock, asker = bound(places[0], family), bound(places[1], family)
    with listening(sock, protocol) as port, asker:

        @given(PAYLOADS)
        def check(drawn: list[tuple[int, bytes]]) -> None:
            payloads = [(part * (length // len(part) + 1))[:length] for length, part in drawn]
            protocol.heard.clear()
            waiting = 0
            for sent, data in enumerate(payloads):
                # a socket's buffer holds so much everywhere, and ten datagrams of a local one
                if waiting + len(data) > 32_768 or sent - len(protocol.heard) == 10:
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


def test_a_wildcard_port_answers_from_the_address_that_was_asked() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with listening(bound(("0.0.0.0", 0)), protocol) as port:
        number = port.socket.getsockname()[1]
        for asked in ("127.0.0.1", "127.0.0.2", "127.0.0.3"):
            with bound(("127.0.0.1", 0)) as asker:
                asker.sendto(asked.encode(), (asked, number))
                hear(port, protocol, len(protocol.heard) + 1)
                assert asker.recvfrom(100) == (asked.encode(), (asked, number))
                assert port.asked is None
    assert not port.counts


def test_a_later_answer_leaves_from_the_address_that_was_asked_then() -> None:
    protocol = Listens()
    with (
        listening(bound(("0.0.0.0", 0)), protocol) as port,
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


def test_a_port_on_one_address_is_told_of_none() -> None:
    protocol = Listens()
    with listening(bound(("127.0.0.2", 0)), protocol) as port, bound(("127.0.0.1", 0)) as asker:
        asker.sendto(b"", port.socket.getsockname())
        hear(port, protocol, 1)
        assert port.write(b"answer", protocol.heard[0].sender)
        assert asker.recvfrom(100) == (b"answer", port.socket.getsockname())
    assert [one.asked for one in protocol.heard] == [None]


@pytest.mark.parametrize("host", ["::", "::1"])
def test_ipv6_is_answered_from_the_address_that_was_asked(host: str) -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    with (
        listening(bound((host, 0), socket.AF_INET6), protocol) as port,
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


def test_a_socket_of_both_families_answers_from_the_address_that_was_asked() -> None:
    protocol = Listens(lambda data, addr: port.write(data, addr))
    sock = bound(("::", 0), socket.AF_INET6, v6_only=False)
    with listening(sock, protocol) as port, bound(("127.0.0.1", 0)) as asker:
        number = sock.getsockname()[1]
        asker.sendto(b"question", ("127.0.0.2", number))
        hear(port, protocol, 1)
        assert asker.recvfrom(100) == (b"question", ("127.0.0.2", number))
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
