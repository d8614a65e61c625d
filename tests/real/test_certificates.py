"""Certificates change while the daemon runs, and clients may have to have one."""

from __future__ import annotations

import os
import signal
import socket
import ssl
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme
from cryptography import x509

from sockd.ops.control.client import ControlClient
from tests.daemons import Daemon

CONFIG = """
[service.ack]
listen = ["ssl:0:privateKey={folder}/server.pem:interface=127.0.0.1"]
[service.said]
listen = ["ssl:0:privateKey={folder}/server.pem:clientCA={folder}/ca.pem:interface=127.0.0.1"]
"""
SECONDS = 30.0


@pytest.fixture
def authority(tmp_path: Path) -> trustme.CA:
    made = trustme.CA()
    made.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    return made


@pytest.fixture
def daemon(tmp_path: Path, authority: trustme.CA) -> Iterator[Daemon]:
    renew(tmp_path, authority)
    with Daemon(tmp_path, CONFIG.format(folder=tmp_path)) as running:
        yield running


def renew(folder: Path, authority: trustme.CA) -> int:
    """Put a new certificate and its key in place at once; returns its serial number."""
    issued = authority.issue_cert("localhost", "127.0.0.1")
    new = folder / "new.pem"
    issued.private_key_and_cert_chain_pem.write_to_path(str(new))
    new.replace(folder / "server.pem")
    return x509.load_pem_x509_certificate(issued.cert_chain_pems[0].bytes()).serial_number


def connect(daemon: Daemon, service: str, context: ssl.SSLContext) -> ssl.SSLSocket:
    plain = socket.create_connection(daemon.address(service, "tls"), timeout=SECONDS)
    return context.wrap_socket(plain, server_hostname="localhost")


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


def serial_of(sock: ssl.SSLSocket) -> int:
    certificate = sock.getpeercert(binary_form=True)
    assert certificate is not None
    return x509.load_der_x509_certificate(certificate).serial_number


def acknowledges(sock: ssl.SSLSocket) -> bool:
    sock.sendall(b"hello\n")
    heard = b""  # which begins with a greeting
    while not heard.endswith(b"OK : hello\r\n") and (part := sock.recv(100)):
        heard += part
    return heard.endswith(b"OK : hello\r\n")


def test_new_connections_get_the_new_certificate_and_open_ones_go_on(
    daemon: Daemon, authority: trustme.CA
) -> None:
    with connect(daemon, "ack", trusting(authority)) as before:
        new = renew(daemon.folder, authority)
        assert serial_of(before) != new
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("certificate", service="ack")
        daemon.wait_for("certificates", looked_at=2, changed=2, unusable=0)
        with connect(daemon, "ack", trusting(authority)) as after:
            assert serial_of(after) == new
            assert acknowledges(after)
        os.kill(daemon.pid, signal.SIGHUP)
        daemon.wait_for("certificates", looked_at=2, changed=0, unusable=0)
        assert acknowledges(before)


def test_a_new_certificate_is_found_without_a_signal(tmp_path: Path, authority: trustme.CA) -> None:
    renew(tmp_path, authority)
    config = '[sockd]\ncertificate_check = "1s"\n' + CONFIG.format(folder=tmp_path)
    with Daemon(tmp_path, config) as daemon:
        new = renew(tmp_path, authority)
        daemon.wait_for("certificate", SECONDS, service="ack")
        with connect(daemon, "ack", trusting(authority)) as after:
            assert serial_of(after) == new


def test_whoever_reloads_is_told_what_has_come_of_the_certificates(
    tmp_path: Path, authority: trustme.CA
) -> None:
    renew(tmp_path, authority)
    config = '[sockd]\ncertificate_check = "1h"\n' + CONFIG.format(folder=tmp_path)
    with (
        Daemon(tmp_path, config) as daemon,
        ControlClient(str(daemon.runtime / "control.sock"), SECONDS) as client,
    ):
        assert client.ask("reload")["steps"] == []
        renew(tmp_path, authority)
        assert client.ask("reload")["steps"] == ["certificates: 2 renewed, for new connections"]
        assert client.ask("reload")["steps"] == []


def test_a_bad_new_certificate_is_told_and_the_old_one_stays(
    daemon: Daemon, authority: trustme.CA
) -> None:
    with connect(daemon, "ack", trusting(authority)) as before:
        old = serial_of(before)
    (daemon.folder / "server.pem").write_text("not a certificate")
    os.kill(daemon.pid, signal.SIGHUP)
    told = daemon.wait_for("certificate")  # once, though two services have it
    assert "server.pem" in told["message"]
    assert "the old certificate stays in use" in told["message"]
    daemon.wait_for("certificates", changed=0, unusable=2)
    with connect(daemon, "ack", trusting(authority)) as after:
        assert serial_of(after) == old


def assert_refused(daemon: Daemon, context: ssl.SSLContext) -> None:
    # TLS 1.3 tells a client only with what it reads after the handshake
    with (
        pytest.raises((ssl.SSLError, ConnectionError)),
        connect(daemon, "said", context) as sock,
    ):
        sock.recv(100)


def test_a_client_without_a_certificate_that_is_asked_for_is_refused(
    daemon: Daemon, authority: trustme.CA
) -> None:
    assert_refused(daemon, trusting(authority))


def test_a_client_with_a_certificate_of_another_authority_is_refused(
    daemon: Daemon, authority: trustme.CA
) -> None:
    stranger = trusting(authority)
    trustme.CA().issue_cert("client").configure_cert(stranger)
    assert_refused(daemon, stranger)


def test_a_client_with_a_certificate_of_the_authority_is_served(
    daemon: Daemon, authority: trustme.CA
) -> None:
    context = trusting(authority)
    authority.issue_cert("client").configure_cert(context)
    with connect(daemon, "said", context) as sock:
        sock.sendall(b"hello\n")
        assert sock.recv(100) == b"You said:hello\r\n"
