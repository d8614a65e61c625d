"""From a command line to a run: whom to ask, how to tell, and off."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import click

from sockd.client.asking import Asking
from sockd.client.asks import ConversationHost, Speech
from sockd.client.exits import Exit
from sockd.client.hosts import Asked, Hosts
from sockd.client.outputs.choose import choose
from sockd.client.process import Run, run_process
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
            raise click.UsageError(f"{transport} has no usual port here: give one with --port")
        found.append(Target(transport, host=host, port=port))
    return found


def ask_hosts(speech: Speech, hosts: Sequence[str], asking: Asking) -> int:
    """Ask hosts side by side by a speech. Returns the exit code."""
    found = targets(hosts, asking, speech.ports)
    return run_hosts(
        speech.name,
        found,
        asking,
        lambda run, target: ConversationHost(run, speech, target),
        has_rows=speech.has_rows,
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
) -> int:
    """Ask hosts side by side, each by what `make` makes for it. Returns the exit code."""
    report = choose(command, [target.name for target in found], asking, has_rows=has_rows)

    async def body(run: Run) -> Exit:
        return await Hosts(run, command, [make(run, target) for target in found]).ask()

    return report.exit_code(run_process(body, asking, report))
