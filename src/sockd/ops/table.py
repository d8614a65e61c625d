"""The table that a start prints: what serves where, and what to type to try it."""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path

from attrs import frozen

from sockd.config.settings import InstanceSettings
from sockd.daemon.instance import RunningInstance
from sockd.formats.columns import columns
from sockd.listen.strings import Listen
from sockd.net.listener import Listener

ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "localhost"}
"""Where to try what listens on every address."""
TOGETHER = {
    frozenset(("127.0.0.1", "::1")): "localhost",
    frozenset(("0.0.0.0", "::")): "*",
}
"""What a listen string calls an address of each family."""

OPENBSD_NC = "nc.openbsd"
"""What Debian calls the netcat that the commands are for."""


@frozen
class Row:
    """One line: a service, how it is reached, where, and what to type."""

    service: str
    transport: str
    address: str
    command: str


def all_rows(
    instances: Iterable[tuple[InstanceSettings, RunningInstance]],
) -> list[Row]:
    """The rows of what a daemon runs."""
    return [row for settings, instance in instances for row in rows(settings, instance.listeners)]


def rows(instance: InstanceSettings, listeners: Iterable[Listener]) -> Iterator[Row]:
    """A row for each listen string of an instance that is listening, or will be.

    It has one for each family where the kernel has chosen the ports, and so two of them. Where no
    address of it can be had yet, the row says why in place of what to type.
    """
    groups: dict[tuple[str, str, str], list[Listener]] = {}
    for listener in listeners:
        if listener.is_listening or listener.waits_for:
            port = listener.address.rpartition(":")[2]
            groups.setdefault((listener.listen.role, listener.listen.text, port), []).append(
                listener
            )
    for (*_, port), every in groups.items():
        group = [listener for listener in every if listener.is_listening] or every
        listen = group[0].listen
        hosts = {listener.listen.host for listener in group}
        host = TOGETHER.get(frozenset(hosts), listen.host)
        address = group[0].address if len(group) == 1 else f"{host}:{port}"
        if listen.transport == "multicast":
            address = f"{listen.address} via {listen.interface}"
        yield Row(
            instance.name,
            listen.scheme,
            address + f" ({listen.role})" * bool(listen.role),
            _command(instance, listen, ANY_HOST.get(host, host), port)
            if group[0].is_listening
            else f"(not yet: {group[0].waits_for})",
        )


def _command(instance: InstanceSettings, listen: Listen, host: str, port: str) -> str:
    # what cannot be tried so: an address that only systemd knows, a door that wants a proxy's
    # header, a group that is joined by the name of an interface
    if listen.systemd or listen.proxies or (listen.transport == "multicast" and ":" in host):
        return ""
    template = instance.kind.try_with(listen.transport)
    if ":" in host and "{host}:" in template:
        host = f"[{host}]"
    return template.format(
        host=host,
        port=port,
        path=shlex.quote(listen.path),
        group=listen.host,
        interface=listen.interface,
    )


def table(rows: Iterable[Row], width: int | None = None) -> str:
    """The rows as aligned columns under a heading; a service is named once.

    Where a line would be longer than `width`, what to type has a line of its own.
    """
    cells = [("service", "transport", "address", "try it with")]
    last = ""
    for row in rows:
        name = "" if row.service == last else row.service
        cells.append((name, row.transport, row.address, row.command))
        last = row.service
    return "\n".join(columns(cells, width)) + "\n"


def note(rows: Iterable[Row], nc: str | None) -> str:
    """What is to be said below a table whose commands need OpenBSD's nc, where `nc` is another.

    `nc` is the file that would run, its links followed; None where there is none.
    """
    needs_it = any("nc" in row.command.split() for row in rows)
    if not needs_it or (nc is not None and Path(nc).name == OPENBSD_NC):
        return ""
    return "nc is OpenBSD's netcat here (on Debian: apt install netcat-openbsd)\n"


def nc_on_path() -> str | None:
    """The file that runs when `nc` is typed."""
    found = shutil.which("nc")
    return found and os.path.realpath(found)
