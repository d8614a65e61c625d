"""From a command line to a run: whom to ask, how to tell, and off."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from itertools import chain

import click
from attrs import evolve
from twisted.internet.defer import CancelledError, Deferred

from sockd.client.arguments import check_times
from sockd.client.asking import Asking
from sockd.client.asks import ConversationHost, Speech
from sockd.client.errors import ClientError
from sockd.client.exits import Exit
from sockd.client.hosts import Asked, Hosts
from sockd.client.net.resolve import Found, look_up
from sockd.client.outputs.choose import choose
from sockd.client.process import SILENT, Hooks, Run, run_process
from sockd.client.report import Value
from sockd.client.targets import Target, Transport, parse_host
from sockd.client.waiting import within


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
    given = {**asking.given(), **(options or {})}

    async def body(run: Run) -> Exit:
        return await ask_all(run, command, found, make, given)

    return report.exit_code(run_process(body, asking, report, hooks_for(kind, asking)))


async def ask_all(
    run: Run,
    command: str,
    found: Sequence[Target],
    make: Callable[[Run, Target], Asked],
    options: Mapping[str, Value],
) -> Exit:
    """Ask hosts side by side, or all their addresses; what looks them up is a part of the run."""
    began = run.reactor.seconds()
    asked = found
    if run.asking.all_addresses:
        try:
            asked = await within(run.reactor, run.asking.deadline, every_address(run, found))
        except CancelledError:
            spent = run.reactor.seconds() - began
            Hosts(run, command, [make(run, target) for target in found]).leave(options, spent)
            raise
        except TimeoutError:
            pass  # no time is left for any of them, which is told
    hosts = Hosts(run, command, [make(run, target) for target in asked])
    return await hosts.ask(options, run.reactor.seconds() - began)


async def every_address(run: Run, named: Sequence[Target]) -> list[Target]:
    """A target for each address of each host; all names are asked for at once.

    An address that several of them have is asked once, as the first one's. A name that is not found
    stays as it is: whoever asks it is told why, and how long the others took (`Run.looked_up`).
    """
    looking = [Deferred.fromCoroutine(_addresses(run, target)) for target in named]
    try:
        by_host = [await one for one in looking]
    finally:
        for one in looking:
            one.addErrback(lambda _: None)
            one.cancel()
    asked: dict[tuple[str, int, str], Target] = {}
    for target, found in chain.from_iterable(by_host):
        if asked.setdefault((target.host, target.port, target.path), target) is target and found:
            run.looked_up[target] = found
    return [*asked.values()]


async def _addresses(run: Run, target: Target) -> list[tuple[Target, Found | ClientError | None]]:
    if target.path:
        return [(target, None)]
    try:
        found = await look_up(run.reactor, target, run.asking)
    except ClientError as error:
        return [(target, error)]
    return [
        (evolve(target, host=one.host, known_as=target.host), evolve(found, addresses=[one]))
        for one in found.addresses
    ]


def hooks_for(kind: str, asking: Asking) -> Callable[[Target], Hooks]:
    """What `--explain` does with the bytes of each target; nothing without it."""
    if not asking.explains:
        return lambda _: SILENT
    from sockd.client.explain import explainer

    return explainer(kind, asking)
