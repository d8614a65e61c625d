"""Where an instance listens: its listen strings read, and what a start would stumble over there."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from attrs import evolve

from sockd.config.checker import Checker
from sockd.config.document import Key
from sockd.listen.socket_files import path_mistake
from sockd.listen.strings import Listen, expand
from sockd.net import tls
from sockd.options.files import absolute
from sockd.service import Door

if TYPE_CHECKING:
    from sockd.config.settings import InstanceSettings

_EXAMPLE = '["tcp:7800:interface=127.0.0.1"]'


def read_listens(
    check: Checker, key: Key, value: Any, door: Door, name: str, runtime: str
) -> tuple[tuple[Key, Listen], ...]:
    """The addresses of a list of listen strings, each with the key of its string."""
    if value is None:
        usable = ", ".join(door.transports)
        check.mistake(key, f"missing; {name} can be listened on over {usable}")
        return ()
    if not isinstance(value, list) or not value:
        check.mistake(key, f"expected a list such as {_EXAMPLE}, got {value!r}")
        return ()
    result: list[tuple[Key, Listen]] = []
    for index, text in enumerate(value):
        where = (*key, index)
        if not isinstance(text, str):
            check.mistake(where, f"expected a text, got {text!r}")
            continue
        try:
            expanded = expand(text.replace("${RUNTIME}", runtime.replace(":", "\\:")))
            found = [_located(listen, check, where) for listen in expanded]
        except ValueError as error:
            check.mistake(where, str(error))
            continue
        transport = found[0].transport
        if transport not in door.transports:
            usable = ", ".join(door.transports)
            check.mistake(where, f"{name} does not work over {transport}, only over {usable}")
            continue
        result += [(where, evolve(listen, role=door.role)) for listen in found]
    return tuple(result)


def _located(listen: Listen, check: Checker, key: Key) -> Listen:
    """The same; relative paths start at the folder of the file that the string stands in."""
    address, terms = listen.address, listen.terms
    if not (address.path or terms.tls_files):
        return listen
    folder = check.document.folder(key)
    return evolve(
        listen,
        address=evolve(address, path=absolute(address.path, folder)),
        terms=evolve(
            terms,
            certificate=absolute(terms.certificate, folder),
            key=absolute(terms.key, folder),
            client_ca=absolute(terms.client_ca, folder),
            further=tuple(
                (absolute(certificate, folder), absolute(key, folder))
                for certificate, key in terms.further
            ),
        ),
    )


def with_tls(listen: Listen, versions: tuple[str, ...], ciphers: str) -> Listen:
    """The same with what is spoken where TLS is."""
    if listen.transport != "tls":
        return listen
    return evolve(listen, terms=evolve(listen.terms, versions=versions, ciphers=ciphers))


def failure(listen: Listen) -> str:
    """Why an address cannot be had for the files that it needs, or nothing."""
    if listen.path:
        return path_mistake(listen.path)
    if listen.transport == "tls":
        try:
            tls.load(listen.terms)
        except ValueError as error:
            return str(error)
    return ""


def _file(path: str) -> str:
    """One name for a file, by whichever folders it is reached; nothing for no file."""
    folder, _, name = path.rpartition("/")
    return os.path.join(os.path.realpath(folder or "/"), name) if name else path  # noqa: PTH118


def conflicts(instances: Sequence[InstanceSettings]) -> Iterator[tuple[Key, str]]:
    """Addresses that two want: the key of the later one, and what is wrong."""
    taken: dict[tuple[bool, int, int, str], dict[str, str]] = {}
    for instance in instances:
        told: set[str] = set()
        for listen in instance.listen:
            if (
                listen.transport == "multicast"
                or listen.systemd
                or (listen.port == 0 and not listen.path)
            ):
                continue
            # a file is a file, whatever comes there
            is_datagram = listen.transport == "udp"
            version = 0 if listen.path else 6 if ":" in listen.host else 4
            place = (is_datagram, version, listen.port, _file(listen.path))
            owners = taken.setdefault(place, {})
            # nobody shares a port with a socket that listens on all addresses
            rivals = owners if listen.host in ("0.0.0.0", "::") else (listen.host, "0.0.0.0", "::")
            owner = next((owners[host] for host in rivals if host in owners), None)
            owners.setdefault(listen.host, instance.name)
            if owner is not None and listen.text not in told:
                told.add(listen.text)  # which may stand for two addresses
                yield (
                    ("service", instance.name, "listen"),
                    f"{listen.text}: service.{owner} listens there already",
                )
