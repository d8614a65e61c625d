"""TLS on real sockets: every end is bounded and in the log, in whichever way TLS is spoken."""

from __future__ import annotations

import signal
import socket
import ssl
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import pytest
import trustme
from attrs import frozen

from sockd.net.stream import LINGER_BYTES
from tests.processes import PATIENCE, finish, wait_until
from tests.security.hosts import Watched
from tests.security.tls_records import client_hello

CLIENT = ssl.create_default_context()
CLIENT.check_hostname = False
CLIENT.verify_mode = ssl.CERT_NONE
HEADER = b"PROXY TCP4 192.0.2.9 127.0.0.1 50000 7\r\n"
KERNEL_BYTES = 8 * 1024 * 1024
"""More than the kernel holds of what nobody reads."""


def config(folder: Path, file: Path) -> str:
    """Services over TLS, at an address of their own and behind a proxy."""
    tls = f"ssl:0:interface=127.0.0.1:privateKey={file}"
    listen = f'listen = ["{tls}", "haproxy:{tls}:proxies=127.0.0.1"]'
    return "".join(f"[service.{name}]\n{listen}\n" for name in ("echo", "daytime", "chargen"))


@frozen
class Door:
    """A way to the services of a daemon."""

    daemon: Watched
    is_proxied: bool

    def knock(self, service: str) -> socket.socket:
        """A connection before its handshake."""
        sock = socket.create_connection(
            self.daemon.address(service, "tls", int(self.is_proxied)), PATIENCE
        )
        if self.is_proxied:
            sock.sendall(HEADER)
        return sock

    def enter(self, service: str) -> ssl.SSLSocket:
        """A connection over TLS."""
        return CLIENT.wrap_socket(self.knock(service), suppress_ragged_eofs=False)


def make_file(folder: Path, extra: int = 0) -> Path:
    """A key, its certificate, and more certificates behind it."""
    authority = trustme.CA(key_type=trustme.KeyType.ECDSA)
    leaf = authority.issue_cert("localhost", key_type=trustme.KeyType.ECDSA)
    more = b"".join(trustme.CA().cert_pem.bytes() for _ in range(extra))
    file = folder / "server.pem"
    file.write_bytes(leaf.private_key_and_cert_chain_pem.bytes() + more)
    return file


@pytest.fixture(params=[False, True], ids=["direct", "proxied"])
def door(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Door]:
    """A daemon that speaks TLS."""
    with Watched(tmp_path, config(tmp_path, make_file(tmp_path))) as daemon:
        yield Door(daemon, request.param)


HANDSHAKES: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "half a header": lambda: client_hello()[:3],
    "half a record": lambda: client_hello()[:40],
    "a first flight": client_hello,
}
LEAVING: dict[str, Callable[[socket.socket], None]] = {
    "half-closes": lambda sock: sock.shutdown(socket.SHUT_WR),
    "closes": lambda sock: sock.close(),
}


def test_who_leaves_in_the_handshake_is_in_the_log(door: Door) -> None:
    count = 0
    for begin, leave in product(HANDSHAKES.values(), LEAVING.values()):
        with door.knock("echo") as sock:
            sock.sendall(begin())
            leave(sock)
            count += 1
            wait_until(lambda: len(door.daemon.events("closed")) == count, "its end is told")  # noqa: B023
    assert {one["reason"] for one in door.daemon.events("closed")} == {"handshake_ended"}
    assert door.daemon.events("opened") == []


def test_a_finished_connection_is_not_held_by_who_stays(door: Door) -> None:
    """It says its end to a service that had its say, and then waits: the service does not."""
    with door.enter("daytime") as client:
        assert client.recv(100)
        assert client.recv(100) == b""
        assert door.daemon.wait_for("closed")["reason"] == "done"


def test_a_finished_connection_reads_a_megabyte_at_most(door: Door) -> None:
    """Whoever goes on sending is cut off: what was sent beyond that is not even decrypted."""
    with door.enter("daytime") as client:
        assert client.recv(100)
        assert client.recv(100) == b""
        with pytest.raises(OSError):  # noqa: PT011 - a reset, however it is put
            client.sendall(bytes(LINGER_BYTES + KERNEL_BYTES))
        closed = door.daemon.wait_for("closed")
    assert closed["bytes_in"] <= LINGER_BYTES + 65_536


def test_a_stop_ends_tls_and_waits_for_nobody(door: Door) -> None:
    with door.enter("echo") as client:
        client.sendall(b"hello")
        assert client.recv(5) == b"hello"
        process = door.daemon.process
        assert process is not None
        process.send_signal(signal.SIGTERM)
        assert client.recv(1) == b""  # an end in order
        assert process.wait(PATIENCE) == 0
        assert door.daemon.wait_for("closed")["reason"] == "daemon_stops"


def test_a_chain_of_110_certificates_is_sent_and_found_good(tmp_path: Path) -> None:
    """A flight beyond 32 KiB, by which every handshake would have to wait for ever."""
    file = make_file(tmp_path, 109)
    with Watched(tmp_path, config(tmp_path, file)) as daemon:
        for is_proxied in (False, True):
            with Door(daemon, is_proxied).enter("echo") as client:
                client.sendall(b"hello")
                assert client.recv(5) == b"hello"
    done = finish([*daemon.command[:3], "check", str(tmp_path / "sockd.toml")])
    assert done.returncode == 0, done.stderr
