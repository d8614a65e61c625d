"""`chat`: talk with the others on the LAN."""

from __future__ import annotations

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
@click.argument("host", required=False, metavar="[HOST[:PORT]]")
@asks(Transport.UDP, Transport.TCP, Transport.TLS, Transport.UNIX, leaves_out=_MEANINGLESS)
def chat(asking: Asking, host: str | None, nick: str | None) -> int:
    """Talk with the others on the LAN: channels, private messages, who is here."""
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


def _install_asyncio() -> None:
    """The line that is typed is read by asyncio, so the reactor stands on it."""
    import asyncio

    from twisted.internet import asyncioreactor

    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)  # before it is installed: else what waits for it hangs
    asyncioreactor.install(loop)
