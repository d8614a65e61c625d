"""Addresses as the kernel has them: they are what the standard library makes of them."""

from __future__ import annotations

import errno
import socket
import struct
from ipaddress import IPv4Address, IPv6Address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.reactor import sockaddr
from sockd.reactor.mmsg import incoming, outgoing
from tests.reactor.ports import bound, delivered

PORTS = st.integers(0, 65_535)
HOSTS = st.ip_addresses(v=4).map(str)
HOSTS6 = st.ip_addresses(v=6).map(str)
SCOPES = st.integers(0, 2**32 - 1)


@given(HOSTS, PORTS)
def test_an_ipv4_address_is_written_and_read(host: str, port: int) -> None:
    raw = sockaddr.WRITE[socket.AF_INET]((host, port))
    # sockaddr_in: family, port in network order, address, padding (ip(7))
    assert raw == struct.pack("=H", socket.AF_INET) + struct.pack("!H", port) + (
        IPv4Address(host).packed + bytes(8)
    )
    assert sockaddr.READ[socket.AF_INET](raw) == (host, port)
    assert len(raw) == sockaddr.SIZE[socket.AF_INET] == 16


@given(HOSTS6, PORTS, SCOPES)
def test_an_ipv6_address_is_written_and_read(host: str, port: int, scope: int) -> None:
    name = f"{host}%{scope}" if scope else host
    raw = sockaddr.WRITE[socket.AF_INET6]((name, port))
    # sockaddr_in6: family, port in network order, flow, address, scope (ipv6(7))
    assert raw == struct.pack("=H", socket.AF_INET6) + struct.pack("!HI", port, 0) + (
        IPv6Address(host).packed + struct.pack("=I", scope)
    )
    text = socket.inet_ntop(socket.AF_INET6, IPv6Address(host).packed)
    assert sockaddr.READ[socket.AF_INET6](raw) == (f"{text}%{scope}" if scope else text, port)
    assert len(raw) == sockaddr.SIZE[socket.AF_INET6] == 28


@given(st.integers(0, 2**32 - 1), HOSTS6, PORTS)
def test_the_flow_of_an_ipv6_address_is_no_part_of_it(flow: int, host: str, port: int) -> None:
    raw = sockaddr.WRITE[socket.AF_INET6]((host, port))
    labelled = raw[:4] + struct.pack("!I", flow) + raw[8:]
    assert sockaddr.READ[socket.AF_INET6](labelled) == sockaddr.READ[socket.AF_INET6](raw)


def test_an_interface_can_be_named() -> None:
    name, number = socket.if_indextoname(1), 1
    by_name = sockaddr.WRITE[socket.AF_INET6]((f"fe80::1%{name}", 9))
    assert by_name == sockaddr.WRITE[socket.AF_INET6]((f"fe80::1%{number}", 9))


@pytest.mark.parametrize(
    ("family", "address"),
    [
        (socket.AF_INET, ("localhost", 9)),
        (socket.AF_INET, ("", 9)),
        (socket.AF_INET, ("::1", 9)),
        (socket.AF_INET, ("127.0.0.1", -1)),
        (socket.AF_INET, ("127.0.0.1", 65_536)),
        (socket.AF_INET6, ("127.0.0.1", 9)),
        (socket.AF_INET6, ("localhost", 9)),
        (socket.AF_INET6, ("::1", 65_536)),
        (socket.AF_INET6, ("fe80::1%", 65_536)),
    ],
)
def test_what_is_no_address_is_an_error_of_the_system(family: int, address: Any) -> None:
    with pytest.raises(OSError, match="Invalid argument") as caught:
        sockaddr.WRITE[family](address)
    assert caught.value.errno == errno.EINVAL


@pytest.mark.parametrize("scope", ["nowhere", "-1", str(2**32)])
def test_an_interface_that_there_is_not_is_an_error_of_the_system(scope: str) -> None:
    with pytest.raises(OSError, match="Invalid argument"):
        sockaddr.WRITE[socket.AF_INET6]((f"fe80::1%{scope}", 9))


@given(st.integers(0, 100), st.integers(0, 100), st.binary(max_size=60))
def test_a_control_message_is_written_and_read(level: int, kind: int, data: bytes) -> None:
    one = sockaddr.write_ancillary(level, kind, data)
    assert len(one) == socket.CMSG_SPACE(len(data))
    assert list(sockaddr.read_ancillary(one)) == [(level, kind, data)]
    assert list(sockaddr.read_ancillary(one * 3)) == [(level, kind, data)] * 3


def test_no_control_messages_are_none() -> None:
    assert list(sockaddr.read_ancillary(b"")) == []


FAMILIES = {socket.AF_INET: "127.0.0.1", socket.AF_INET6: "::1"}


@pytest.mark.parametrize("family", FAMILIES, ids=["udp", "udp6"])
def test_a_batch_is_what_the_standard_library_sends_and_receives(
    family: socket.AddressFamily,
) -> None:
    place = (FAMILIES[family], 0)
    with bound(place, family) as one, bound(place, family) as other:
        raw, raw_other = (sockaddr.WRITE[family](sock.getsockname()[:2]) for sock in (one, other))
        sent = [b"", b"a" * 9000, b"c"]
        outgoing().put_data(sent)
        outgoing().put_names([raw_other] * 3)
        assert outgoing().send(one.fileno(), 0, 3) == 3
        assert outgoing().send(one.fileno(), 1, 2) == 1
        sent.append(sent[1])
        assert [other.recvfrom(9001) for _ in sent] == [(data, one.getsockname()) for data in sent]
        for data in sent:
            one.sendto(data, other.getsockname())
        delivered()
        received = incoming().receive(other.fileno(), len(raw), True)
        assert list(map(list, received)) == [sent, [raw] * 4, [b""] * 4]
        with pytest.raises(BlockingIOError):
            incoming().receive(other.fileno(), len(raw), True)
