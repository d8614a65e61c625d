"""Behind a proxy: the header first; it names the client, and only a listed proxy is believed."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
from pathlib import Path
from typing import Any

import pytest
import trustme
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred

from sockd.access.peer import Peer
from sockd.access.prefixes import parse_address
from sockd.access.reasons import because
from sockd.net.context import Context
from sockd.net.entry import ConnectionFactory
from sockd.net.proxy import V1_LONGEST, read_header
from tests.daemons import Daemon
from tests.helpers import ENTRANCE, FOUND, LogRecorder, make_context
from tests.memory import Client

PROXY = ("192.0.2.1", 40_001)
LISTED = ("192.0.2.0/24",)
V2 = b"\r\n\r\n\0\r\nQUIT\n"
HELLO = {"template": "hello {address} {port}"}


def v1(source: str = "203.0.113.7", port: int = 50_007, family: str = "TCP4") -> bytes:
    destination = "::1" if family == "TCP6" else "192.0.2.9"
    return f"PROXY {family} {source} {destination} {port} 7\r\n".encode()


def v2(source: str = "203.0.113.7", port: int = 50_007, command: int = 0x21) -> bytes:
    family = socket.AF_INET6 if ":" in source else socket.AF_INET
    destination = socket.inet_pton(family, "::1" if ":" in source else "192.0.2.9")
    addresses = socket.inet_pton(family, source) + destination + struct.pack("!HH", port, 7)
    return v2_of(0x21 if ":" in source else 0x11, addresses, command)


def v2_of(kind: int, addresses: bytes, command: int = 0x21) -> bytes:
    return V2 + struct.pack("!BBH", command, kind, len(addresses)) + addresses


def arrive(kind: str, context: Context[Any, Any], proxy: tuple[str, int] = PROXY) -> Client | None:
    """A connection from a proxy."""
    stream: Any = FOUND.kinds[kind].stream
    protocol = ConnectionFactory(context, stream, ENTRANCE, proxies=LISTED).buildProtocol(
        IPv4Address("TCP", *proxy)
    )
    return None if protocol is None else Client(context.world.reactor, protocol)


def has_fired(waited: Deferred[None]) -> bool:
    return bool(waited.called)


def through_proxy(kind: str, **settings: Any) -> Client:
    client = arrive(kind, make_context(kind, **settings))
    assert client is not None
    return client


CLIENTS = [
    (v1(), "203.0.113.7:50007"),
    (v1("2001:db8::7", family="TCP6"), "[2001:db8::7]:50007"),
    (v1("::ffff:203.0.113.7", family="TCP6"), "203.0.113.7:50007"),
    (v2(), "203.0.113.7:50007"),
    (v2("2001:db8::7"), "[2001:db8::7]:50007"),
    (v2("::ffff:203.0.113.7"), "203.0.113.7:50007"),
    # what follows the addresses in a header of version 2 (TLVs) is skipped
    (v2_of(0x11, v2()[16:] + b"\x04\x00\x03abc"), "203.0.113.7:50007"),
]
THE_PROXY_ITSELF = [
    b"PROXY UNKNOWN\r\n",
    b"PROXY UNKNOWN ffff::1 ffff::2 65535 65535\r\n",
    v2(command=0x20),
    v2_of(0x00, b""),
    v2_of(0x00, b"", command=0x20),
    v2_of(0x31, b"/client".ljust(108, b"\0") + b"/here".ljust(108, b"\0")),
]


@pytest.mark.parametrize(("header", "peer"), CLIENTS)
def test_the_service_and_the_log_see_the_client_of_the_header(
    header: bytes, peer: str, log: LogRecorder
) -> None:
    client = through_proxy("greet", **HELLO)
    client.send(header)
    host, _, port = peer.rpartition(":")
    assert client.received == f"hello {host.strip('[]')} {port}\r\n".encode()
    assert [str(event["peer"]) for event in log.events("opened")] == [peer]


@pytest.mark.parametrize("header", THE_PROXY_ITSELF)
def test_a_proxy_that_names_no_client_is_the_client_itself(header: bytes, log: LogRecorder) -> None:
    client = through_proxy("greet", **HELLO)
    client.send(header)
    assert client.received == b"hello 192.0.2.1 40001\r\n"
    assert [str(event["peer"]) for event in log.events("opened")] == ["192.0.2.1:40001"]


@pytest.mark.parametrize("header", [v1(), v2(), *THE_PROXY_ITSELF])
def test_a_header_can_come_in_pieces_and_what_follows_it_is_the_services(header: bytes) -> None:
    whole = through_proxy("said")
    whole.send(header + b"hi\nmore")
    assert whole.received == b"You said:hi\r\n"
    bytewise = through_proxy("said")
    bytewise.send(*(bytes([one]) for one in header + b"hi\n"))
    assert bytewise.received == b"You said:hi\r\n"


@pytest.mark.parametrize("header", [v1(), v2()])
def test_a_server_that_speaks_first_waits_for_the_header(header: bytes, log: LogRecorder) -> None:
    client = through_proxy("greet", **HELLO)
    client.send(header[:-1])
    assert client.received == b""
    assert log.events("opened") == []
    client.send(header[-1:])
    assert client.received == b"hello 203.0.113.7 50007\r\n"


def test_the_half_close_of_a_client_reaches_the_service() -> None:
    client = through_proxy("wrap")
    client.send(v1() + b"a  text\n")
    assert client.received == b""
    client.end()
    assert client.received == b"a text\r\n"


# who may come


def test_access_rules_are_for_the_client_and_not_for_the_proxy(log: LogRecorder) -> None:
    settings: dict[str, Any] = {"deny": ["203.0.113.0/24"], **HELLO}
    denied = through_proxy("greet", **settings)
    denied.send(v1())
    assert (denied.received, denied.is_closed) == (b"", True)
    [event] = log.events("refused")
    assert event["peer"] == Peer("203.0.113.7", 50_007, via=Peer(*PROXY))
    assert event["reason"] == because("deny", prefix="203.0.113.0/24")
    assert event["local"] == ENTRANCE
    allowed = through_proxy("greet", **settings)
    allowed.send(v1("198.51.100.7"))
    assert allowed.received == b"hello 198.51.100.7 50007\r\n"


def test_a_proxy_that_names_no_client_is_judged_as_itself(log: LogRecorder) -> None:
    for header in THE_PROXY_ITSELF:
        client = through_proxy("greet", deny=["192.0.2.1"], **HELLO)
        client.send(header)
        assert (client.received, client.is_closed) == (b"", True)
    assert {str(event["reason"]) for event in log.events("refused")} == {"deny 192.0.2.1/32"}


def test_limits_of_a_source_are_counted_for_the_client() -> None:
    context = make_context("echo", max_connections_per_source=1)
    answers = []
    for source in ("203.0.113.7", "203.0.113.7", "203.0.113.8"):
        client = arrive("echo", context)
        assert client is not None
        client.send(v1(source) + b"hi")
        answers.append(client.received)
    assert answers == [b"hi", b"", b"hi"]


def test_only_a_listed_proxy_is_let_in(log: LogRecorder) -> None:
    assert arrive("greet", make_context("greet"), ("198.51.100.1", 40_001)) is None
    [event] = log.events("refused")
    assert (str(event["peer"]), str(event["reason"])) == (
        "198.51.100.1:40001",
        "not one of the listed proxies",
    )


# what is not a header

GARBAGE = [
    b"\0",
    b"GET / HTTP/1.0\r\n\r\n",
    b"PROXY\r\n",
    b"PROXY \r\n",
    b"PROXY TCP5 1.2.3.4 1.2.3.4 5 5\r\n",
    b"PROXY UNKNOWNS\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 5\r\n",
    b"PROXY TCP4 somebody 1.2.3.4 5 5\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 five 5\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 -5 5\r\n",
    b"PROXY TCP4 1.2.3.4 1.2.3.4 65536 5\r\n",
    b"PROXY TCP4 1.2.3.\xff 1.2.3.4 5 5\r\n",
    b"PROXY TCP4 1.2.3.4\x1b[2J 1.2.3.4 5 5\r\n",
    b"PROXY TCP4 ".ljust(V1_LONGEST, b"1"),
    b"PROXY UNKNOWN ".ljust(V1_LONGEST + 50, b"x") + b"\r\n",
    V2[:-1] + b"X",
    v2(command=0x11),
    v2(command=0x22),
    v2_of(0x11, b"short"),
    v2_of(0x51, b"x" * 36),
]


@pytest.mark.parametrize("data", GARBAGE)
def test_what_is_not_a_header_is_refused_and_the_connection_closed(
    data: bytes, log: LogRecorder
) -> None:
    client = through_proxy("greet", **HELLO)
    client.send(data)
    assert (client.received, client.is_closed) == (b"", True)
    [event] = log.events("refused")
    assert (str(event["peer"]), str(event["reason"])) == ("192.0.2.1:40001", "not a PROXY header")
    assert log.events("opened") == []


@given(
    st.one_of(
        st.binary(max_size=200),
        st.binary(max_size=120).map(lambda rest: b"PROXY " + rest),
        st.binary(max_size=120).map(lambda rest: b"PROXY TCP4 " + rest + b"\r\n"),
        st.binary(max_size=300).map(lambda rest: V2 + rest),
        st.builds(v2_of, st.integers(0, 255), st.binary(max_size=300), st.integers(0, 255)),
    )
)
def test_any_bytes_are_a_header_the_beginning_of_one_or_a_value_error(data: bytes) -> None:
    with contextlib.suppress(ValueError):
        found = read_header(data)
        if found is not None:
            client, rest = found
            assert data.endswith(rest)
            if client is not None:
                assert client == Peer(str(parse_address(client.host)), client.port)
                assert 0 <= client.port <= 65535


def test_a_header_has_to_come_within_the_handshakes_time(log: LogRecorder) -> None:
    client = through_proxy("greet", handshake_timeout="3s", **HELLO)
    client.send(v1()[:-1])
    client.loop.advance(2.9)
    assert not client.is_closed
    client.loop.advance(0.2)
    assert (client.received, client.is_closed) == (b"", True)
    [event] = log.events("refused")
    assert event["peer"] == Peer(*PROXY)
    assert event["reason"] == because("proxy_timeout", limit="3s")


def test_a_header_in_time_ends_the_wait_for_it(log: LogRecorder) -> None:
    client = through_proxy("echo", handshake_timeout="3s")
    client.send(v1())
    client.loop.advance(10)
    client.send(b"hi")
    assert client.received == b"hi"
    assert log.events("refused") == []


@pytest.mark.parametrize("data", [b"", b"PRO", v2()[:-1]])
def test_a_proxy_that_leaves_before_its_header_leaves_nothing(
    data: bytes, log: LogRecorder
) -> None:
    for leave in (Client.end, Client.vanish):
        client = through_proxy("greet", **HELLO)
        client.send(data)
        leave(client)
        assert (client.received, client.is_closed) == (b"", True)
    assert log.events("opened") == log.events("closed") == []


def waits_for_a_header() -> tuple[Context[Any, Any], ConnectionFactory, Client]:
    """What lets peers in, and a proxy whose header is not complete."""
    settings: dict[str, Any] = HELLO
    context, stream = make_context("greet", **settings), FOUND.kinds["greet"].stream
    factory = ConnectionFactory(context, stream, ENTRANCE, proxies=LISTED)  # type: ignore[arg-type]
    assert factory.when_entered().called
    client = Client(context.world.reactor, factory.buildProtocol(IPv4Address("TCP", *PROXY)))
    client.send(v1()[:-1])
    return context, factory, client


def test_once_nobody_is_let_in_any_more_who_waits_and_who_comes_is_closed() -> None:
    _, factory, client = waits_for_a_header()
    entered = factory.when_entered()
    assert not has_fired(entered)
    factory.turn_away()
    assert has_fired(entered)
    client.protocol.dataReceived(v1()[-1:])  # it had come by then
    client.loop.settle()
    assert (client.received, client.is_closed) == (b"", True)
    assert factory.buildProtocol(IPv4Address("TCP", *PROXY)) is None


def test_whose_header_has_come_is_a_session_before_the_wait_for_it_is_over() -> None:
    context, factory, client = waits_for_a_header()
    found: list[int] = []
    factory.when_entered().addCallback(lambda _: found.append(len(context.guard.sessions)))
    client.send(v1()[-1:])
    assert found == [1]


# a whole daemon


def test_a_daemon_behind_a_proxy_speaks_to_the_client_over_tcp_and_tls(tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = tmp_path / "server.pem"
    authority.issue_cert("localhost").private_key_and_cert_chain_pem.write_to_path(certificate)
    trust = ssl.create_default_context()
    authority.configure_trust(trust)
    text = f"""
[service.greet]
template = "hello {{address}} {{port}}"
listen = [
  "haproxy:tcp:0:interface=127.0.0.1:proxies=127.0.0.1",
  "haproxy:ssl:0:privateKey={certificate}:interface=127.0.0.1:proxies=127.0.0.1",
]
"""
    with Daemon(tmp_path, text) as daemon:
        with daemon.connect("greet", "tcp") as plain:
            plain.sendall(v1())
            assert plain.recv(100) == b"hello 203.0.113.7 50007\r\n"
        with daemon.connect("greet", "tls") as below:
            below.sendall(v2("2001:db8::7"))
            with trust.wrap_socket(below, server_hostname="localhost") as secure:
                assert secure.recv(100) == b"hello 2001:db8::7 50007\r\n"
        daemon.wait_for("closed", peer_address="203.0.113.7", peer_port=50007)
        daemon.wait_for("closed", peer_address="2001:db8::7", peer_port=50007)
