"""TLS clients that others wrote: OpenSSL's own, socat, ncat, and Python's ssl module."""

from __future__ import annotations

import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import trustme

from tests.daemons import Daemon
from tests.processes import finish
from tests.real.programs import SECONDS, Session, ctimes, feed

TEXT = b"Sockets are where programs on two machines meet and talk.\n"
FILLED = b"Sockets are where programs on\r\ntwo machines meet and talk.\r\n"
VERSIONS = pytest.mark.parametrize("version", ["tls1_2", "tls1_3"])
FAMILIES = pytest.mark.parametrize("family", [0, 1], ids=["IPv4", "IPv6"])


class Site:
    """A daemon that serves TLS, and the authority that its clients trust."""

    def __init__(self, daemon: Daemon, authority: Path) -> None:
        self.daemon = daemon
        self.authority = str(authority)

    def s_client(self, service: str, *options: str, family: int = 0) -> list[str]:
        """openssl s_client, which verifies the server and stays until it closes."""
        host, port = self.daemon.address(service, "tls", family)
        return [
            *("openssl", "s_client", "-quiet", "-CAfile", self.authority, "-verify_return_error"),
            *("-verify_hostname", "localhost", "-servername", "localhost"),
            *("-connect", f"[{host}]:{port}" if family else f"{host}:{port}", *options),
        ]

    def address(self, service: str) -> tuple[str, str]:
        host, port = self.daemon.address(service, "tls")
        return host, str(port)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("openssl")
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    names = ("daytime", "reverse", "factor", "ack", "wrap", "echo", "chargen")
    listen = f'listen = ["ssl:0:privateKey={folder}/server.pem:interface=localhost"]'
    config = "\n".join(f"[service.{name}]\n{listen}" for name in names)
    with Daemon(folder, config) as running:
        yield Site(running, folder / "authority.pem")


@VERSIONS
@FAMILIES
def test_openssl_verifies_the_server_and_reads_the_time(
    site: Site, version: str, family: int
) -> None:
    begin = time.time()
    answer = feed(*site.s_client("daytime", f"-{version}", family=family))
    assert answer.removesuffix(b"\r\n") in ctimes(begin, time.time())


@VERSIONS
@pytest.mark.parametrize(
    ("service", "typed", "answer"),
    [
        ("reverse", b"stressed\n", b"desserts\r\n"),
        ("factor", b"42\n1000000016000000063\n", b"2 3 7\r\n1000000007 1000000009\r\n"),
        ("ack", b"hello\n", b"Hello client how are you\r\nOK : hello\r\n"),
    ],
)
def test_openssl_talks_with_the_line_services(
    site: Site, version: str, service: str, typed: bytes, answer: bytes
) -> None:
    with Session(*site.s_client(service, f"-{version}")) as session:
        session.type(typed)
        assert session.read(len(answer)) == answer


def test_openssl_reads_chargen_for_as_long_as_it_likes(site: Site) -> None:
    with Session(*site.s_client("chargen")) as session:
        lines = session.read(74 * 500).split(b"\r\n")[:-1]
    printable = bytes(range(32, 127)) * 2
    assert lines == [printable[n % 95 : n % 95 + 72] for n in range(500)]


@pytest.mark.parametrize("version", ["tls1", "tls1_1"])
def test_tls_before_1_2_is_refused(site: Site, version: str) -> None:
    """Its security level lowered, so that OpenSSL does offer the old version."""
    lax = ["-cipher", "DEFAULT@SECLEVEL=0"]

    def attempt(version: str) -> subprocess.CompletedProcess[bytes]:
        command = site.s_client("daytime", *lax, f"-{version}")
        return finish(command, seconds=SECONDS)

    refused = attempt(version)
    assert refused.returncode != 0
    assert refused.stdout == b""
    assert b"alert protocol version" in refused.stderr
    assert attempt("tls1_2").returncode == 0


def test_a_client_that_does_not_speak_tls_is_refused_and_harms_nobody(site: Site) -> None:
    answer = feed("nc.openbsd", "-N", *site.address("daytime"), data=b"GET / HTTP/1.0\r\n\r\n")
    assert b"20" not in answer
    begin = time.time()
    answer = feed(*site.s_client("daytime"))
    assert answer.removesuffix(b"\r\n") in ctimes(begin, time.time())


ENDS = pytest.mark.parametrize(
    ("service", "asked", "answer"),
    [
        ("wrap", TEXT, FILLED),
        ("reverse", b"stressed\nlast words", b"desserts\r\nsdrow tsal\r\n"),
        ("echo", bytes(range(256)) * 1000, bytes(range(256)) * 1000),
    ],
)


@ENDS
def test_socat_ends_its_half_of_tls_and_reads_on(
    site: Site, service: str, asked: bytes, answer: bytes
) -> None:
    """socat says close_notify where its input ends."""
    to = f"OPENSSL:{':'.join(site.address(service))},cafile={site.authority}"
    assert feed("socat", "-t30", "-", to, data=asked) == answer


@ENDS
def test_ncat_ends_its_half_of_tcp_alone_and_reads_on(
    site: Site, service: str, asked: bytes, answer: bytes
) -> None:
    """ncat says no close_notify where its input ends."""
    verify = ["--ssl-verify", "--ssl-trustfile", site.authority]
    command = ["ncat", "-4", "--ssl", *verify, "localhost", site.address(service)[1]]
    assert feed(*command, data=asked) == answer


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_pythons_ssl_says_close_notify_and_reads_on(site: Site, version: ssl.TLSVersion) -> None:
    context = ssl.create_default_context(cafile=site.authority)
    context.minimum_version = context.maximum_version = version
    host, port = site.daemon.address("wrap", "tls")
    with socket.create_connection((host, port), timeout=SECONDS) as wire:
        client = Client(context, wire)
        client.send(TEXT)
        client.end()
        assert client.receive_all() == FILLED


class Client:
    """Python's ssl between two buffers: its socket cannot read once it has said close_notify."""

    def __init__(self, context: ssl.SSLContext, wire: socket.socket) -> None:
        self.transport = wire
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = context.wrap_bio(self.incoming, self.outgoing, server_hostname="localhost")
        while True:
            try:
                self.tls.do_handshake()
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()
            else:
                self._flush()
                return

    def send(self, data: bytes) -> None:
        self.tls.write(data)
        self._flush()

    def end(self) -> None:
        """Say close_notify, and do not wait for the server's."""
        with suppress(ssl.SSLWantReadError):
            self.tls.unwrap()
        self._flush()

    def receive_all(self) -> bytes:
        """What comes until the server says close_notify."""
        parts = []
        while True:
            try:
                parts.append(self.tls.read(65536))
            except ssl.SSLWantReadError:
                self._fill()
            except ssl.SSLZeroReturnError:
                return b"".join(parts)

    def _flush(self) -> None:
        self.transport.sendall(self.outgoing.read())

    def _fill(self) -> None:
        data = self.transport.recv(65536)
        assert data, "the connection was cut"
        self.incoming.write(data)
