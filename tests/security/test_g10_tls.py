"""G10: TLS 1.2 and later, clients that show who they are, certificates that change."""

from __future__ import annotations

import signal
import ssl
import subprocess
import sys
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from tests.processes import PATIENCE
from tests.security.hosts import Watched

NAME = "sockd.example"
AUTHORITY = trustme.CA()
CHECKED = "certificate_changed"


def write_certificate(folder: Path, *, old: bool = False) -> None:
    """A new certificate and its key, as the listener's files."""
    leaf = AUTHORITY.issue_cert(
        NAME, not_after=datetime(2001, 1, 1, tzinfo=UTC) if old else _later()
    )
    # both files change at once, as far as a look at them goes: each is replaced whole
    for name, blob in (("key.pem", leaf.private_key_pem), ("cert.pem", leaf.cert_chain_pems[0])):
        blob.write_to_path(folder / f"{name}.new")
        (folder / f"{name}.new").replace(folder / name)


def _later() -> datetime:
    return datetime.now(UTC) + timedelta(days=30)


def config(folder: Path, more: str = "", check: str = "1h") -> str:
    """echo over TLS."""
    return (
        f'[sockd]\ncertificate_check = "{check}"\n[service.echo]\nlisten = ["ssl:0:interface='
        f'127.0.0.1:privateKey={folder}/key.pem:certKey={folder}/cert.pem{more}"]\n'
    )


def client(identity: trustme.LeafCert | None = None) -> ssl.SSLContext:
    """A client that verifies the server, and shows who it is."""
    context = ssl.create_default_context()
    AUTHORITY.configure_trust(context)
    if identity is not None:
        identity.configure_cert(context)
    return context


def greet(daemon: Watched, context: ssl.SSLContext) -> ssl.SSLSocket:
    """A TLS connection that has been served. Raises ssl.SSLError where it is not."""
    sock = context.wrap_socket(daemon.connect("echo", "tls"), server_hostname=NAME)
    sock.settimeout(PATIENCE)
    try:
        # with TLS 1.3 a client hears that it is refused only after its own handshake
        sock.sendall(b"hello")
        if sock.recv(5) != b"hello":
            raise ssl.SSLError("closed")
    except BaseException:
        sock.close()
        raise
    return sock


def serial(sock: ssl.SSLSocket) -> int:
    """The serial number of the certificate that the server showed."""
    shown = sock.getpeercert(binary_form=True)
    assert shown is not None
    return x509.load_der_x509_certificate(shown).serial_number


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[Watched]:
    """echo over TLS, for everybody."""
    write_certificate(tmp_path)
    with Watched(tmp_path, config(tmp_path)) as daemon:
        yield daemon


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_tls_1_2_and_later_are_served(daemon: Watched, version: ssl.TLSVersion) -> None:
    """Each of them, with a client that speaks no other."""
    context = client()
    context.minimum_version = context.maximum_version = version
    with greet(daemon, context) as sock:
        assert sock.version() == version.name.replace("_", ".")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1])
def test_older_versions_are_refused(daemon: Watched, version: ssl.TLSVersion) -> None:
    """A client that offers nothing later is told so by an alert of the server's."""
    context = client()
    context.set_ciphers("ALL:@SECLEVEL=0")  # without it the client would not offer them at all
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        context.minimum_version = context.maximum_version = version
    with pytest.raises(ssl.SSLError) as caught:
        greet(daemon, context)
    assert caught.value.reason == "TLSV1_ALERT_PROTOCOL_VERSION"
    greet(daemon, client()).close()


def identities() -> dict[str, trustme.LeafCert | None]:
    """Clients that are not to be let in."""
    themselves = trustme.CA()
    itself = trustme.LeafCert(themselves.private_key_pem.bytes(), themselves.cert_pem.bytes(), [])
    return {
        "none": None,
        "of another authority": trustme.CA().issue_cert("client.example"),
        "expired": AUTHORITY.issue_cert(
            "client.example", not_after=datetime(2001, 1, 1, tzinfo=UTC)
        ),
        "self-signed": itself,
    }


def test_only_clients_with_a_certificate_of_the_authority_are_served(tmp_path: Path) -> None:
    """With `clientCA`, none, a foreign, an expired or a self-signed one is refused."""
    write_certificate(tmp_path)
    AUTHORITY.cert_pem.write_to_path(tmp_path / "ca.pem")
    with Watched(tmp_path, config(tmp_path, f":clientCA={tmp_path}/ca.pem")) as daemon:
        for who, identity in identities().items():
            for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
                context = client(identity)
                context.minimum_version = context.maximum_version = version
                with pytest.raises((ssl.SSLError, ConnectionResetError)):
                    greet(daemon, context)
                assert daemon.events("opened") == [], who
        greet(daemon, client(AUTHORITY.issue_cert("client.example"))).close()
        daemon.wait_for("opened")
        assert len(daemon.events("opened")) == 1


@pytest.mark.parametrize("way", ["SIGHUP", "certificate_check"])
def test_a_certificate_that_has_changed_is_used_for_new_connections(
    tmp_path: Path, way: str
) -> None:
    """After a hang-up signal or the next look; connections that are open go on."""
    write_certificate(tmp_path)
    check = "1s" if way == "certificate_check" else "1h"
    with (
        Watched(tmp_path, config(tmp_path, check=check)) as daemon,
        greet(daemon, client()) as first,
    ):
        write_certificate(tmp_path)
        if way == "SIGHUP":
            assert daemon.process is not None
            daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("certificate", reason=CHECKED)
        with greet(daemon, client()) as second:
            assert serial(first) != serial(second)
        first.sendall(b"still")
        assert first.recv(5) == b"still"


def spoil_with_rubbish(folder: Path) -> str:
    """The file says nothing that could be a certificate."""
    (folder / "cert.pem").write_text("rubbish")
    return "cert.pem"


def spoil_with_another_key(folder: Path) -> str:
    """The key is that of another certificate."""
    trustme.CA().issue_cert(NAME).private_key_pem.write_to_path(folder / "key.pem")
    return "key.pem"


def spoil_with_a_password(folder: Path) -> str:
    """The key is encrypted."""
    key = load_pem_private_key((folder / "key.pem").read_bytes(), None)
    locked = key.private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"password")
    )
    (folder / "key.pem").write_bytes(locked)
    return "key.pem"


def spoil_by_removal(folder: Path) -> str:
    """The file is not there."""
    (folder / "key.pem").unlink()
    return "key.pem"


SPOILERS = (
    spoil_with_rubbish,
    spoil_with_another_key,
    spoil_with_a_password,
    spoil_by_removal,
)


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_bad_new_certificate_keeps_the_old_and_says_so_once(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    """The event names the file; a good one afterwards is used."""
    write_certificate(tmp_path)
    with Watched(tmp_path, config(tmp_path)) as daemon:
        assert daemon.process is not None
        with greet(daemon, client()) as sock:
            before = serial(sock)
        name = str(tmp_path / spoil(tmp_path))
        daemon.process.send_signal(signal.SIGHUP)
        kept = daemon.wait_for("certificate", reason="certificate_kept")
        assert name in kept["detail"]
        daemon.process.send_signal(signal.SIGHUP)
        with greet(daemon, client()) as sock:
            assert serial(sock) == before
        write_certificate(tmp_path)
        daemon.process.send_signal(signal.SIGHUP)
        daemon.wait_for("certificate", reason=CHECKED)
        with greet(daemon, client()) as sock:
            assert serial(sock) != before
        assert [one["reason"] for one in daemon.events("certificate")] == [kept["reason"], CHECKED]


@pytest.mark.parametrize("spoil", SPOILERS)
def test_a_certificate_that_cannot_be_used_stops_the_start(
    tmp_path: Path, spoil: Callable[[Path], str]
) -> None:
    """Exit code 1 and a line that names the service and the file."""
    write_certificate(tmp_path)
    name = str(tmp_path / spoil(tmp_path))
    file = tmp_path / "sockd.toml"
    file.write_text(config(tmp_path))
    done = subprocess.run(
        [sys.executable, "-m", "sockd.cli", "run", "--config", str(file)],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    [line] = [line for line in done.stderr.splitlines() if name in line]
    assert line.startswith(f"{file}:4: service.echo.listen[0]: ")
    assert "Traceback" not in done.stderr
