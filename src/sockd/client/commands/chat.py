"""`chat`: talk with the others on the LAN."""

from __future__ import annotations

import sys

import click
from attrs import evolve

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.exits import Exit
from sockd.client.outputs.choose import choose
from sockd.client.process import Run, run_process
from sockd.client.start import hooks_for, targets
from sockd.client.targets import Transport
from sockd.formats import ports

_MEANINGLESS = ("count", "interval", "retries", "all_addresses", "enough", "tells_timing")


@click.command(cls=Command)
@click.option("--nick", metavar="NAME", help="The nickname to log in by.")
@click.option("--doctor", is_flag=True, help="Tell why no server is seen, and do not chat.")
@click.argument("host", required=False, metavar="[HOST[:PORT]]")
@asks(Transport.UDP, Transport.TCP, Transport.TLS, Transport.UNIX, leaves_out=_MEANINGLESS)
def chat(asking: Asking, host: str | None, nick: str | None, doctor: bool) -> int:
    """Talk with the others on the LAN: channels, private messages, who is here."""
    if doctor:
        return _examine(asking, host)
    from sockd.client.chat.run import is_terminal, talk

    if is_terminal():
        _install_asyncio()
    [target] = targets(
        [host] if host else [], asking, {Transport.UDP: ports.CHAT, Transport.TCP: ports.CHAT}
    )
    report = choose("chat", [target.name], evolve(asking, count=None), has_rows=True)

    async def body(run: Run) -> Exit:
        return await talk(run, target, nick or "")

    return run_process(body, asking, report, hooks_for("chat", asking))


def _examine(asking: Asking, host: str | None) -> int:
    """Why no server is seen. A host that is named is asked, too."""
    from sockd.client.chat.doctor import examine, tell

    if asking.transport not in ("", Transport.UDP) or asking.path:
        raise click.UsageError("--doctor looks for servers by UDP")
    asked = targets([host], asking, {Transport.UDP: ports.CHAT}) if host else []

    async def body(run: Run) -> Exit:
        return await examine(run, *asked)

    return run_process(body, asking, tell(sys.stdout.buffer))


def _install_asyncio() -> None:
    """The line that is typed is read by asyncio, so the reactor stands on it."""
    import asyncio

    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # before it is installed: else what waits for it hangs
    asyncioreactor.install(loop)
