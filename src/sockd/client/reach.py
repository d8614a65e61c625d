"""Getting to a target, by datagrams or by a connection, with `--explain` looking on."""

from __future__ import annotations

from sockd.client.asking import Asking
from sockd.client.errors import ClientError
from sockd.client.net.datagrams import Datagrams, open_path
from sockd.client.net.dial import dial
from sockd.client.net.resolve import Found, look_up
from sockd.client.net.sockets import to_host
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.report import Timing
from sockd.client.targets import Target
from sockd.formats.hostport import host_port
from sockd.reactor.sockaddr import Address


async def reach(run: Run, target: Target) -> Datagrams:
    """A socket to a host's first address (RFC 6724), or to a socket file.

    Raises NameNotFound, TimedOut, Unreachable, UsageFault.
    """
    if target.path:
        opened = open_path(run.reactor, target.path)
    else:
        asking = run.asking
        found = _looked_up(run, target) or await look_up(run.reactor, target, asking)
        address, took_ns = found.addresses[0], found.took_ns
        is_name = took_ns is not None and address.host != target.host
        to = to_host(
            (address.host, address.port),
            interface=asking.interface,
            name=f"{target} ({address.host})" if is_name else str(target),
        )
        steps = None if took_ns is None else Timing(resolve_ns=took_ns)
        opened = Datagrams(run.reactor, to, steps=steps)
    hooks = run.explain(target)
    if (wrote := hooks.wrote) is not None:
        opened.on_send = lambda data, address: wrote(data, _text(address))
    if (read := hooks.read) is not None:
        opened.on_receive = lambda data, address: read(data, _text(address))
    return opened


async def connect(
    run: Run, target: Target, asking: Asking | None = None, *, has_urgent: bool = False
) -> Stream:
    """A connection to a target; with other options than those of the run, if there are any.

    As `dial`.
    """
    hooks = run.explain(target)
    return await dial(
        run.reactor,
        target,
        asking or run.asking,
        on_write=hooks.wrote,
        on_read=hooks.read,
        found=_looked_up(run, target),
        has_urgent=has_urgent,
    )


def _looked_up(run: Run, target: Target) -> Found | None:
    """What its name is known to be, once: later ways ask for it anew. Raises as `resolve`."""
    known = run.looked_up.pop(target, None)
    if isinstance(known, ClientError):
        raise known
    return known


def _text(address: Address) -> str:
    return host_port(*address) if address[1] else address[0]
