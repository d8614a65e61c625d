"""From a command line to a run: whom to ask, how to tell, and off."""

from __future__ import annotations

import socket
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

import click
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.arguments import check_times
from sockd.client.asking import Asking
from sockd.client.asks import ConversationHost, Speech
from sockd.client.errors import NameNotFound
from sockd.client.exits import Exit
from sockd.client.hosts import Asked, Hosts
from sockd.client.net.resolve import resolve
from sockd.client.outputs.choose import choose
from sockd.client.process import SILENT, Hooks, Run, run_process
from sockd.client.report import Value
from sockd.client.targets import Target, Transport, parse_host


def targets(hosts: Sequence[str], asking: Asking, ports: Mapping[Transport, int]) -> list[Target]:
    """Whom to ask: each host as `HOST` or `HOST:PORT`, or the socket file of `--unix`.

    Raises UsageError.
    """
    transport = Transport(asking.transport)
    if asking.path:
        if hosts:
            raise click.UsageError(
                f"--unix {asking.path} says whom to ask: {hosts[0]!r} is too much"
            )
        return [Target(transport, path=asking.path)]
    found = []
    for text in hosts or ["localhost"]:
        try:
            host, port = parse_host(text)
        except ValueError as error:
            raise click.UsageError(str(error)) from None
        port = port or asking.port or ports.get(transport) or ports.get(Transport.TCP)
        if port is None:
            raise click.UsageError(
                f"{transport} has no usual port here: write {text}:PORT, or give --port"
            )
        found.append(Target(transport, host=host, port=port))
    several = {
        host for host, count in Counter(target.host for target in found).items() if count > 1
    }
    return [evolve(target, is_named_with_port=target.host in several) for target in found]


def ask_hosts(speech: Speech, hosts: Sequence[str], asking: Asking) -> int:
    """Ask hosts side by side by a speech. Returns the exit code."""
    found = targets(hosts, asking, speech.ports)
    return run_hosts(
        speech.name,
        found,
        asking,
        lambda run, target: ConversationHost(run, speech, target),
        kind=speech.kind,
    )


def run_hosts(
    command: str,
    found: Sequence[Target],
    asking: Asking,
    make: Callable[[Run, Target], Asked],
    *,
    has_rows: bool = False,
    kind: str = "",
    options: Mapping[str, Value] | None = None,
) -> int:
    """Ask hosts side by side, each by what `make` makes for it. Returns the exit code.

    `kind` is the service whose documentation explains what goes over the wire; `options` are those
    of the command itself.
    """
    if asking.enough is not None and asking.enough > len(found) and not asking.all_addresses:
        count = f"{len(found)} host{'s are' if len(found) > 1 else ' is'} asked"
        raise click.UsageError(f"--any {asking.enough} can never be: {count}")
    check_times(asking)
    report = choose(command, [target.name for target in found], asking, has_rows=has_rows)

    async def body(run: Run) -> Exit:
        given = {**asking.given(), **(options or {})}
        try:
            asked = await every_address(run, found) if asking.all_addresses else found
        except CancelledError:
            Hosts(run, command, [make(run, target) for target in found]).leave(given)
            raise
        return await Hosts(run, command, [make(run, target) for target in asked]).ask(given)

    return report.exit_code(run_process(body, asking, report, hooks_for(kind, asking)))


async def every_address(run: Run, found: Sequence[Target]) -> list[Target]:
    """A target for each address of each host; all names are asked for at once.

    One that is not found stays as it is: whoever asks it is told why.
    """
    looking = [Deferred.fromCoroutine(_addresses(run, target)) for target in found]
    try:
        by_host = [await one for one in looking]
    finally:
        for one in looking:
            one.addErrback(lambda _: None)
            one.cancel()
    asked = {(one.host, one.port, one.path): one for targets in by_host for one in targets}
    return [*asked.values()]


async def _addresses(run: Run, target: Target) -> list[Target]:
    if target.path:
        return [target]
    try:
        addresses = await resolve(
            run.reactor,
            target.host,
            target.port,
            kind=socket.SOCK_STREAM if target.transport.is_stream else socket.SOCK_DGRAM,
            family=run.asking.family,
            is_numeric=run.asking.is_numeric,
            wait=run.asking.wait,
        )
    except NameNotFound:
        return [target]
    return [evolve(target, host=address.host, known_as=target.host) for address in addresses]


def hooks_for(kind: str, asking: Asking) -> Callable[[Target], Hooks]:
    """What `--explain` does with the bytes of each target; nothing without it."""
    if not asking.explains:
        return lambda _: SILENT
    from sockd.client.explain import explainer

    return explainer(kind, asking)
