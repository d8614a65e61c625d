"""Clients in TLS that begin or end as no honest one does, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path
from random import Random
from socket import SHUT_WR, socket
from ssl import CERT_NONE, PROTOCOL_TLS_CLIENT, SSLContext, TLSVersion
from struct import unpack
from typing import Any

import pytest
import trustme
from attrs import frozen

from tests.processes import PATIENCE, wait_until
from tests.security.hosts import Watched, most_memory, reset
from tests.security.tls_records import (
    ALERT,
    CLOSE_NOTIFY,
    DATA,
    HANDSHAKE,
    HEADER,
    TLS_1_2,
    TLS_1_3,
    TLSPeer,
    client_hello,
)

HELLO = client_hello()
SERVICES = ("echo", "daytime", "reverse")
SLACK = 30.0
"""Seconds beyond a time that a busy machine may need."""
HANDSHAKE_SECONDS = 2
AFTER_END = 32 * 1024 * 1024
"""Bytes that no finished connection takes: a megabyte, and what the kernel has room for."""
MOST_PER_CLIENT = 256 * 1024
VERSIONS = pytest.mark.parametrize("version", [TLS_1_2, TLS_1_3], ids=["1.2", "1.3"])


def config(certificate: Path) -> str:
    """Services over TLS, and echo in the clear."""
    where = f"ssl:0:interface=127.0.0.1:privateKey={certificate}"
    return f'[defaults]\nhandshake_timeout = "{HANDSHAKE_SECONDS}s"\n' + "".join(
        f'[service.{name}]\nlisten = ["{where}", "tcp:0:interface=127.0.0.1"]\n'
        for name in SERVICES
    )


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watched]:
    """A daemon that all of them try."""
    folder = tmp_path_factory.mktemp("ends")
    file = folder / "server.pem"
    trustme.CA().issue_cert("sockd.example").private_key_and_cert_chain_pem.write_to_path(file)
    with Watched(folder, config(file)) as daemon:
        yield daemon


@frozen
class Visit:
    """A connection to a service in TLS, and what the log says of it."""

    daemon: Watched
    sock: socket
    port: int
    before: int
    """Events that were there already: ports are used again."""

    def told(self, name: str) -> list[dict[str, Any]]:
        """The events of this name that are about it."""
        events = self.daemon.events()[self.before :]
        return [one for one in events if (one["event"], one.get("peer_port")) == (name, self.port)]

    def ended(self, seconds: float = PATIENCE) -> dict[str, Any]:
        """How it has ended."""
        return wait_until(lambda: self.told("closed"), "it is ended", seconds)[0]


@contextmanager
def visit(daemon: Watched, service: str) -> Iterator[Visit]:
    """Connect to a service in TLS."""
    before = len(daemon.events())
    with daemon.connect(service, "tls") as sock:
        yield Visit(daemon, sock, sock.getsockname()[1], before)


def assert_serves(daemon: Watched) -> None:
    """Others are served, in TLS and without."""
    with daemon.connect("echo") as sock:
        sock.sendall(b"?")
        assert sock.recv(1) == b"?"
    with daemon.connect("echo", "tls") as sock:
        peer = TLSPeer(sock)
        peer.send(peer.writer.data(b"?"))
        assert peer.receive() == b"?"


# before the handshake is done

BEGINNINGS = {"nothing": b"", "half of a hello": HELLO[:100], "a hello": HELLO}


def half_close(sock: socket) -> None:
    """Send no more, and wait."""
    sock.shutdown(SHUT_WR)


@pytest.mark.parametrize("leave", [half_close, reset])
@pytest.mark.parametrize("beginning", BEGINNINGS)
def test_who_leaves_before_the_handshake_is_done_has_an_ended_handshake_in_the_log(
    daemon: Watched, beginning: str, leave: Callable[[socket], None]
) -> None:
    """At once: it was never there, and no service has said all that it had to say."""
    with visit(daemon, "echo") as one:
        one.sock.sendall(BEGINNINGS[beginning])
        leave(one.sock)
        assert one.ended()["reason"] == "handshake_ended"
        assert not one.told("opened")


def test_a_handshake_that_goes_on_for_too_long_is_ended(daemon: Watched) -> None:
    """Whatever has come of it, and though a byte comes now and then."""
    with ExitStack() as stack:
        visits = {text: stack.enter_context(visit(daemon, "echo")) for text in BEGINNINGS.values()}
        sent = count()

        def drip() -> bool:
            at = next(sent)
            for text, one in visits.items():
                with suppress(OSError):
                    one.sock.sendall(text[at : at + 1] if at < len(text) - 1 else b"")
            return all(one.told("closed") for one in visits.values())

        wait_until(drip, "all are ended", HANDSHAKE_SECONDS + SLACK)
        for one in visits.values():
            assert one.ended()["reason"] == "handshake_timeout"
            assert one.ended()["duration"] >= HANDSHAKE_SECONDS


@pytest.mark.uvloop
def test_a_hundred_beginnings_of_the_longest_hello_cost_little(daemon: Watched) -> None:
    """OpenSSL takes messages of 128 KiB before it has looked at one.

    Around that, TLS as a protocol has buffers of its own, which come to 300 kB at most.
    """
    record = b"\x16\x03\x01\x40\x00"
    hello = record + b"\x01\x01\xff\xff" + bytes(16_380) + (record + bytes(16_384)) * 6
    with ExitStack() as stack:
        before = daemon.memory()
        for _ in range(100):
            sock = stack.enter_context(daemon.connect("echo", "tls"))
            sock.settimeout(1)
            with suppress(OSError):
                sock.sendall(hello)
        cost = (most_memory(daemon, 0.3) - before) // 100
        print(f"{cost} bytes a client")  # noqa: T201 - what a reader of a failure wants
    assert cost <= MOST_PER_CLIENT


NO_HELLO = {
    "a request of HTTP": b"GET / HTTP/1.0\r\n\r\n",
    "zeros": bytes(5000),
    "anything": Random(1).randbytes(5000),
    "a record that is too long": b"\x16\x03\x01\xff\xff" + bytes(70_000),
    "an alert": b"\x15\x03\x01\0\2\2\x28",
    "data": b"\x17\x03\x03\0\x20" + bytes(32),
    "changes of ciphers": b"\x14\x03\x03\0\1\1" * 40,
    "empty records": b"\x16\x03\x01\0\0" * 100,
    "a message that is too long": b"\x16\x03\x01\0\x04\1\xff\xff\xff",
    "another message": b"\x16\x03\x01\0\x04\x14\0\0\0",
}


@pytest.mark.parametrize("garbage", NO_HELLO)
def test_garbage_instead_of_a_hello_ends_the_connection(daemon: Watched, garbage: str) -> None:
    """It is TLS's fault that the log tells, and nobody else's trouble."""
    with visit(daemon, "echo") as one:
        one.sock.sendall(NO_HELLO[garbage])
        assert one.ended()["reason"] == "tls_error"
        assert not one.told("opened")
    assert_serves(daemon)


# between records


def tampered(peer: TLSPeer) -> bytes:
    """A record of which one bit is another."""
    record = peer.writer.data(b"hello")
    return record[:-1] + bytes([record[-1] ^ 1])


def cut_short(peer: TLSPeer) -> bytes:
    """A record without its end, and behind it another."""
    return peer.writer.data(b"hello")[:-4] + peer.writer.data(b"hello") * 2


def twice(peer: TLSPeer) -> bytes:
    """A record that has been there already."""
    return peer.writer.data(b"hello") * 2


GARBAGE: dict[str, Callable[[TLSPeer], bytes]] = {
    "text": lambda _: b"HELP\r\n" * 20,
    "zeros": lambda _: bytes(100),
    "a record that is too long": lambda _: b"\x17\x03\x03\x48\1" + bytes(20_000),
    "data in the clear": lambda _: b"\x17\x03\x03\0\x05hello",
    "an alert in the clear": lambda _: b"\x15\x03\x03\0\2\1\0",
    "a record that was tampered with": tampered,
    "a record cut short": cut_short,
    "a record twice": twice,
    "an unknown kind of record": lambda peer: peer.writer.record(99, b"hello"),
    "half of an alert": lambda peer: peer.writer.record(ALERT, b"\1"),
    "a fatal alert": lambda peer: peer.writer.record(ALERT, b"\2\x28"),
    "a message that is too long": lambda peer: b"".join(
        [peer.writer.record(HANDSHAKE, b"\1\xff\xff\xff" + bytes(16_000))]
        + [peer.writer.record(HANDSHAKE, bytes(16_384)) for _ in range(20)]
    ),
    "a message that a server sends": lambda peer: peer.writer.record(HANDSHAKE, b"\2\0\0\1\0"),
    "more than a record holds": lambda peer: peer.writer.record(DATA, bytes(16_640)),
}


@VERSIONS
@pytest.mark.parametrize("garbage", GARBAGE)
def test_garbage_between_records_ends_the_connection(
    daemon: Watched, garbage: str, version: int
) -> None:
    """What was said before it is answered, and what comes after it is not."""
    with visit(daemon, "echo") as one:
        peer = TLSPeer(one.sock, version)
        peer.send(peer.writer.data(b"hello"))
        assert peer.receive() == b"hello"
        with suppress(OSError):
            peer.send(GARBAGE[garbage](peer), peer.writer.data(b"more"))
        assert one.ended()["reason"] == "tls_error"
        assert one.told("opened")
    assert_serves(daemon)


@VERSIONS
def test_a_second_handshake_in_tls_1_2_is_refused(daemon: Watched, version: int) -> None:
    """TLS 1.3 has none; in 1.2 one attempt is no fault, and changes nothing."""
    with visit(daemon, "echo") as one:
        peer = TLSPeer(one.sock, version)
        again = client_hello(version)[HEADER:]
        peer.send(peer.writer.record(HANDSHAKE, again), peer.writer.data(b"more"))
        if version == TLS_1_3:
            assert one.ended()["reason"] == "tls_error"
        else:
            assert kinds_of_records(one.sock, 2) == [ALERT, DATA]


def kinds_of_records(sock: socket, number: int) -> list[int]:
    """What is in each of the next records."""
    found = []
    with sock.makefile("rb") as stream:
        for _ in range(number):
            kind, _, size = unpack("!BHH", stream.read(HEADER))
            stream.read(size)
            found.append(kind)
    return found


# ends


@VERSIONS
def test_what_comes_after_close_notify_is_nobodys(daemon: Watched, version: int) -> None:
    """Neither data nor garbage; what came before is answered, to its end."""
    with visit(daemon, "reverse") as one:
        peer = TLSPeer(one.sock, version)
        first = (peer.writer.data(b"olleh"), peer.writer.alert(CLOSE_NOTIFY))
        peer.send(*first, peer.writer.data(b" dna\n"), b"garbage")
        assert peer.receive_all() == b"hello\r\n"
        event = one.ended()
    assert event["reason"] == "done"
    assert event["bytes_in"] == 5


@VERSIONS
def test_a_record_that_tcp_ends_within_is_no_data(daemon: Watched, version: int) -> None:
    """What came whole is answered."""
    with visit(daemon, "reverse") as one:
        peer = TLSPeer(one.sock, version)
        peer.send(peer.writer.data(b"olleh"), peer.writer.data(b" dna")[:-3])
        one.sock.shutdown(SHUT_WR)
        with suppress(OSError):
            assert peer.receive_all() == b"hello\r\n"
        assert one.ended()["bytes_in"] == 5


def data(peer: TLSPeer) -> bytes:
    """As much as a record holds."""
    return peer.writer.data(bytes(16_384))


def updates(peer: TLSPeer) -> bytes:
    """Many new keys."""
    return b"".join(peer.writer13.key_update() for _ in range(600))


@pytest.mark.parametrize("make", [data, updates])
def test_a_finished_connection_takes_little_more(
    daemon: Watched, make: Callable[[TLSPeer], bytes]
) -> None:
    """A client that sends on and on after the service's end is cut off after a megabyte or 2 s."""
    with visit(daemon, "daytime") as one:
        peer = TLSPeer(one.sock)
        assert len(peer.receive_all()) == 26
        sent = 0
        with suppress(OSError):
            while sent < AFTER_END:
                record = make(peer)
                peer.send(record)
                sent += len(record)
        event = one.ended()
    print(f"{sent} bytes, {event['duration']} s")  # noqa: T201 - what a reader of a failure wants
    assert sent < AFTER_END
    assert event["duration"] < SLACK


@VERSIONS
def test_a_finished_connection_does_not_wait_long_for_its_client(
    daemon: Watched, version: int
) -> None:
    """Who neither ends nor leaves is left, whether it says something now and then or not."""
    with visit(daemon, "daytime") as silent, visit(daemon, "daytime") as dripping:
        peers = [TLSPeer(one.sock, version) for one in (silent, dripping)]
        for peer in peers:
            assert len(peer.receive_all()) == 26

        def are_over() -> bool:
            with suppress(OSError):
                peers[1].send(peers[1].writer.data(b"x"))
            return bool(silent.told("closed") and dripping.told("closed"))

        wait_until(are_over, "both are over", 2 + SLACK)
        for one in (silent, dripping):
            assert one.ended()["reason"] == "done"


# a long way to the client's Finished


@pytest.mark.parametrize("version", [TLSVersion.TLSv1_2, TLSVersion.TLSv1_3])
def test_a_chain_of_110_certificates_is_sent_whole(tmp_path: Path, version: TLSVersion) -> None:
    """A flight of more than 32 KiB, to a client whose kernel takes little at once."""
    file = tmp_path / "server.pem"
    leaf = trustme.CA().issue_cert("sockd.example")
    chain = [trustme.CA().cert_pem.bytes() for _ in range(109)]
    file.write_bytes(
        leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes() + b"".join(chain)
    )
    context = SSLContext(PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, CERT_NONE
    context.minimum_version = context.maximum_version = version
    with (
        Watched(tmp_path, config(file)) as daemon,
        daemon.connect("echo", "tls") as sock,
        context.wrap_socket(sock) as tls,
    ):
        tls.sendall(b"hello")
        assert tls.recv(5) == b"hello"
