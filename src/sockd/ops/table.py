"""The table that a start prints: what serves where, and what to type to try it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from attrs import frozen

from sockd.config.settings import InstanceSettings
from sockd.daemon.instance import RunningInstance
from sockd.listen.strings import Listen
from sockd.net.listener import Listener

ANY_HOST = {"0.0.0.0": "127.0.0.1", "::": "::1", "*": "localhost"}
"""Where to try what listens on every address."""
TOGETHER = {
    frozenset(("127.0.0.1", "::1")): "localhost",
    frozenset(("0.0.0.0", "::")): "*",
}
"""What a listen string calls an address of each family."""


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
    return [row for settings, one in instances for row in rows(settings, one.listeners)]


def rows(instance: InstanceSettings, listeners: Iterable[Listener]) -> Iterator[Row]:
    """A row for each listen string of an instance that is listening.

    It has one for each family where the kernel has chosen the ports, and so two of them.
    """
    groups: dict[tuple[str, str, str], list[Listener]] = {}
    for listener in listeners:
        if listener.is_listening:
            port = listener.address.rpartition(":")[2]
            groups.setdefault((listener.listen.role, listener.listen.text, port), []).append(
                listener
            )
    for (*_, port), group in groups.items():
        listen = group[0].listen
        hosts = {one.listen.host for one in group}
        host = TOGETHER.get(frozenset(hosts), listen.host)
        address = group[0].address if len(group) == 1 else f"{host}:{port}"
        if listen.transport == "multicast":
            address = f"{listen.address} via {listen.interface}"
        yield Row(
            instance.name,
            listen.scheme,
            address + f" ({listen.role})" * bool(listen.role),
            _command(instance, listen, ANY_HOST.get(host, host), port),
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
        host=host, port=port, path=listen.path, group=listen.host, interface=listen.interface
    )


def table(rows: Iterable[Row]) -> str:
    """The rows as aligned columns under a heading; a service is named once."""
    cells = [("service", "transport", "address", "try it with")]
    last = ""
    for row in rows:
        name = "" if row.service == last else row.service
        cells.append((name, row.transport, row.address, row.command))
        last = row.service
    widths = [max(len(cell[column]) for cell in cells) for column in range(3)]
    lines = [
        "  ".join([*(cell[i].ljust(widths[i]) for i in range(3)), cell[3]]).rstrip()
        for cell in cells
    ]
    return "\n".join(lines) + "\n"
