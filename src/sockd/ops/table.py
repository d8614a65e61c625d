"""The table that a start prints: what serves where, and what to type to try it."""

from __future__ import annotations

import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Iterator
from contextlib import suppress
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

_CLIENT = re.compile(r"(^|\| )sock ")


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
    return instance.kind.try_with(listen.transport).format(
        host=host,
        port=port,
        address=f"[{host}]:{port}" if ":" in host else f"{host}:{port}",
        path=shlex.quote(listen.path),
        group=listen.host,
        interface=listen.interface,
    )


def table(rows: Iterable[Row], width: int | None = None, client: str = "sock") -> str:
    """The rows as aligned columns under a heading; a service is named once.

    Where a line would be longer than `width`, what to type has a line of its own. `client` is what
    has to be typed for `sock`.
    """
    cells = [("service", "transport", "address", "try it with")]
    last = ""
    for row in rows:
        name = "" if row.service == last else row.service
        command = _CLIENT.sub(rf"\g<1>{client} ", row.command)
        cells.append((name, row.transport, row.address, command))
        last = row.service
    return "\n".join(columns(cells, width)) + "\n"


def client_command() -> str:
    """What has to be typed for the client that belongs to this installation."""
    ours = Path(sys.executable).with_name("sock")
    found = shutil.which("sock")
    if not ours.exists() or (found and Path(found).samefile(ours)):
        return "sock"
    with suppress(ValueError):
        ours = ours.relative_to(Path.cwd())
    return shlex.quote(str(ours))
