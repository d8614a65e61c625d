"""G10: what is offered over TLS: a certificate for each host, versions and ciphers as set."""

from __future__ import annotations

import signal
import ssl
from pathlib import Path

import pytest
import trustme

from tests.processes import PATIENCE, wait_until
from tests.security.hosts import Watched

AUTHORITY = trustme.CA()
NAMES = {
    "first": ["first.example", "also.example"],
    "second": ["second.example", "*.wild.example"],
    "third": ["third.example", "second.example"],
}


def issue(folder: Path, name: str) -> None:
    """A certificate and its key in one file."""
    leaf = AUTHORITY.issue_cert(*NAMES[name])
    new = folder / f"{name}.new"
    new.write_bytes(leaf.private_key_pem.bytes() + leaf.cert_chain_pems[0].bytes())
    new.replace(folder / f"{name}.pem")


def write_config(folder: Path, names: list[str], settings: str = "", more: str = "") -> str:
    """echo over TLS with these certificates."""
    keys = "".join(f":privateKey={folder}/{name}.pem" for name in names)
    listen = f'listen = ["ssl:0:interface=127.0.0.1{keys}{more}"]'
    return f'[sockd]\ncertificate_check = "1h"\n[service.echo]\n{settings}\n{listen}\n'


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with all certificates."""
    for name in NAMES:
        issue(tmp_path, name)
    return tmp_path


def client(identity: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that trusts the authority, whatever the name is."""
    context = ssl.create_default_context()
    context.check_hostname = False
    AUTHORITY.configure_trust(context)
    if identity is not None:
        identity.configure_cert(context)
    return context


def greet(
    daemon: Watched, host: str | None, context: ssl.SSLContext | None = None
) -> ssl.SSLSocket:
    """A connection that asks for a host, and has been served. Raises OSError where it is not."""
    sock = (context or client()).wrap_socket(daemon.connect("echo", "tls"), server_hostname=host)
    sock.settimeout(PATIENCE)
    try:
        sock.sendall(b"hello")
        if sock.recv(5) != b"hello":
            raise ssl.SSLError("closed")
    except BaseException:
        sock.close()
        raise
    return sock


def shown(daemon: Watched, host: str | None, context: ssl.SSLContext | None = None) -> str:
    """The first name in the certificate that a client gets which asks for a host."""
    with greet(daemon, host, context) as sock:
        found = sock.getpeercert()
    assert found is not None
    return str(found["subjectAltName"][0][1])


def test_a_client_gets_the_certificate_of_the_host_that_it_asks_for(folder: Path) -> None:
    """The first where it asks for none, or for one that there is not; of two the earlier one."""
    with Watched(folder, write_config(folder, list(NAMES))) as daemon:
        for host in (None, "first.example", "also.example", "nobody.example", "wild.example"):
            assert shown(daemon, host) == "first.example", host
        for host in ("second.example", "SECOND.Example", "a.wild.example"):
            assert shown(daemon, host) == "second.example", host
        assert shown(daemon, "a.b.wild.example") == "first.example"
        assert shown(daemon, "third.example") == "third.example"


def test_who_may_come_is_the_same_for_every_host(folder: Path) -> None:
    """`clientCA` is of the address: no name gets a client in without a certificate."""
    authority = folder / "ca.pem"
    AUTHORITY.cert_pem.write_to_path(authority)
    text = write_config(folder, list(NAMES), more=f":clientCA={authority}")
    with Watched(folder, text) as daemon:
        for host in ("first.example", "second.example"):
            with pytest.raises(OSError, match=r"."):
                greet(daemon, host)
            known = client(AUTHORITY.issue_cert("client.example"))
            assert shown(daemon, host, known) == host


def test_each_certificate_that_has_changed_is_used(folder: Path) -> None:
    """At a hang-up signal, the second one too; connections that are open go on."""
    with Watched(folder, write_config(folder, list(NAMES))) as daemon:
        assert daemon.process is not None
        with greet(daemon, "second.example") as before:
            issue(folder, "second")
            daemon.process.send_signal(signal.SIGHUP)
            daemon.wait_for("certificate", reason="certificate_changed")
            with greet(daemon, "second.example") as after:
                assert before.getpeercert() != after.getpeercert()
            before.sendall(b"still")
            assert before.recv(5) == b"still"


def test_versions_are_those_that_are_set(folder: Path) -> None:
    """The others are refused; a reload changes it for new connections."""
    versions = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}

    def speaks(daemon: Watched, version: str) -> bool:
        context = client()
        context.minimum_version = context.maximum_version = versions[version]
        try:
            with greet(daemon, "first.example", context) as sock:
                return sock.version() == f"TLSv{version}"
        except OSError:
            return False

    text = write_config(folder, ["first", "second"])
    with Watched(folder, text) as daemon:
        assert daemon.process is not None
        assert [speaks(daemon, version) for version in versions] == [True, True]
        for turn, (version, found) in enumerate(
            (("1.2", [True, False]), ("1.3", [False, True])), 1
        ):
            setting = f'tls_versions = ["{version}"]'
            (folder / "sockd.toml").write_text(
                write_config(folder, ["first", "second"], setting), "utf-8"
            )
            daemon.process.send_signal(signal.SIGHUP)
            wait_until(lambda turn=turn: len(daemon.events("reloaded")) == turn, "it holds")  # type: ignore[misc]
            assert [speaks(daemon, one) for one in versions] == found


def test_ciphers_are_those_that_are_set(folder: Path) -> None:
    """Of each version; for a host by its name too."""
    setting = 'tls_ciphers = "ECDHE-ECDSA-AES256-GCM-SHA384:TLS_CHACHA20_POLY1305_SHA256"'
    with Watched(folder, write_config(folder, ["first", "second"], setting)) as daemon:
        for host in ("first.example", "second.example"):
            with greet(daemon, host) as sock:
                assert (sock.cipher() or ("",))[0] == "TLS_CHACHA20_POLY1305_SHA256"
            old = client()
            old.maximum_version = ssl.TLSVersion.TLSv1_2
            with greet(daemon, host, old) as sock:
                assert (sock.cipher() or ("",))[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
            old.set_ciphers("ECDHE-ECDSA-AES128-GCM-SHA256")
            with pytest.raises(OSError, match=r"."):
                greet(daemon, host, old)
