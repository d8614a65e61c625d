"""A real daemon whose services listen over every transport that they have."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.daemons import Daemon

STREAMS = ("tcp", "tls", "unix")
DATAGRAMS = ("udp", "unixgram")
PATIENT = ("-W", "30")
"""For answers that come: a later `-W` is for those that do not."""


@contextmanager
def served(
    folder: Path, tls_files: tuple[Path, Path, Path], services: Mapping[str, Sequence[str]]
) -> Iterator[Daemon]:
    """A daemon of these services, each over these transports; lines of options may be among them.

    Socket files are `NAME.sock` and `NAME.datagrams` of its runtime directory.
    """
    certificate, key, _ = tls_files
    where = {
        "tcp": "tcp:0:interface=127.0.0.1",
        "tls": f"tls:0:interface=127.0.0.1:privateKey={key}:certKey={certificate}",
        "udp": "udp:0:interface=127.0.0.1",
    }
    lines = []
    for name, words in services.items():
        where["unix"] = f"unix:${{RUNTIME}}/{name}.sock"
        where["unixgram"] = f"unixgram:${{RUNTIME}}/{name}.datagrams"
        listens = [f'"{where[word]}"' for word in words if word in where]
        lines += [f"[service.{name}]", f"listen = [{', '.join(listens)}]"]
        lines += [word for word in words if word not in where]
    with Daemon(folder, "\n".join(lines)) as daemon:
        yield daemon


def way(
    daemon: Daemon, service: str, transport: str, tls_files: tuple[Path, Path, Path]
) -> list[str]:
    """The options by which `sock` gets to a service of it, and a wait for the slowest machine."""
    return [*PATIENT, *_way(daemon, service, transport, tls_files)]


def _way(
    daemon: Daemon, service: str, transport: str, tls_files: tuple[Path, Path, Path]
) -> list[str]:
    if transport == "unix":
        return ["--unix", str(daemon.runtime / f"{service}.sock")]
    if transport == "unixgram":
        return ["--udp", "--unix", str(daemon.runtime / f"{service}.datagrams")]
    options = ["--port", str(daemon.address(service, transport)[1])]
    if transport == "udp":
        options.append("--udp")
    if transport == "tls":
        options += ["--tls", "--ca", str(tls_files[2])]
    return options
