"""Our own server, over every transport, for `sock` as a user runs it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import trustme
from attrs import frozen

from tests.daemons import Daemon

TRANSPORTS = ("tcp", "tls", "udp", "unix", "unixgram")
STREAMS = ("tcp", "tls", "unix")


@frozen
class Site:
    """A daemon, and how `sock` is told to get there."""

    daemon: Daemon
    folder: Path

    def to(self, service: str, transport: str) -> list[str]:
        """The arguments that lead to a service by a transport."""
        if transport == "unix":
            return ["--unix", str(self.folder / f"{service}.stream")]
        if transport == "unixgram":
            return ["--unix", str(self.folder / f"{service}.datagram"), "--udp"]
        host, port = self.daemon.address(service, transport)
        more = ["--ca", str(self.folder / "authority.pem")] if transport == "tls" else []
        return [f"{host}:{port}", f"--{transport}", *more]

    def port(self, service: str, transport: str = "tcp") -> int:
        """Where a service listens on 127.0.0.1."""
        return self.daemon.address(service, transport)[1]


def certify(folder: Path) -> tuple[Path, Path]:
    """An authority's certificate, and a server's key with its certificate, for this machine."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(folder / "authority.pem"))
    server = authority.issue_cert("localhost", "127.0.0.1", "::1")
    server.private_key_and_cert_chain_pem.write_to_path(str(folder / "server.pem"))
    return folder / "authority.pem", folder / "server.pem"


@contextmanager
def served(
    folder: Path, services: Sequence[str], prefix: Sequence[str] = (), *, more: str = ""
) -> Iterator[Site]:
    """These services over every transport that they have, on free ports of 127.0.0.1."""
    _, key = certify(folder)
    config = more
    for name in services:
        listens = [
            "tcp:0:interface=127.0.0.1",
            f"ssl:0:privateKey={key}:interface=127.0.0.1",
            f"unix:{folder}/{name}.stream",
        ]
        if name != "greet":
            listens += ["udp:0:interface=127.0.0.1", f"unixgram:{folder}/{name}.datagram"]
        config += f"[service.{name}]\nlisten = {listens}\n"
    with Daemon(folder, config, prefix=prefix) as daemon:
        yield Site(daemon, folder)
