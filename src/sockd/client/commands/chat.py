"""`chat`: talk with the others on the LAN."""

from __future__ import annotations

import sys

import click

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.exits import Exit
from sockd.client.process import Run, install_asyncio, is_terminal, run_process
from sockd.client.start import targets
from sockd.client.targets import Transport
from sockd.formats import ports

UDP, TCP, TLS, UNIX, UNIXGRAM = (
    Transport.UDP,
    Transport.TCP,
    Transport.TLS,
    Transport.UNIX,
    Transport.UNIXGRAM,
)
_MEANINGLESS = (
    *("count", "interval", "retries", "all_addresses", "enough", "deadline"),
    *("is_quiet", "tells_timing", "explains", "color"),
    *("prometheus", "is_check", "warn", "crit"),
)
"""A chat is no measurement."""


@click.command(cls=Command)
@click.option("--nick", metavar="NAME", help="The nickname; else the last one, or your login name.")
@click.option(
    "--join", "channels", metavar="TITLE", multiple=True, help="Be in this channel; several times."
)
@click.option("--doctor", is_flag=True, help="Tell why no server is seen, and do not chat.")
@click.argument("host", required=False, metavar="[HOST[:PORT]]")
@asks(UDP, TCP, TLS, UNIX, UNIXGRAM, leaves_out=_MEANINGLESS)
def chat(
    asking: Asking, host: str | None, nick: str | None, channels: tuple[str, ...], doctor: bool
) -> int:
    """Talk with the others on the LAN: channels, private messages, who is here.

    Without HOST the server is looked for. Type /help for what can be done. In a pipe each line is
    said or done, and what happens is printed, a line each; at the end of its input it logs off.
    """
    if doctor:
        return _examine(asking, host)
    _check(nick, channels)
    wanted = None
    if host or asking.path:
        usual = {Transport.UDP: ports.CHAT, Transport.TCP: ports.CHAT}
        [wanted] = targets([host] if host else [], asking, usual)
    from sockd.client.chat.run import Wanted, talk

    if is_terminal() and not asking.as_json:
        install_asyncio()

    async def body(run: Run) -> Exit:
        return await talk(run, Wanted(wanted, nick or "", channels))

    return run_process(body, asking, lambda _: None)


def _check(nick: str | None, channels: tuple[str, ...]) -> None:
    """Raises UsageError where a name cannot be one, at whatever server."""
    if nick is not None and nick.split() != [nick]:
        raise click.UsageError(f"--nick needs a name without white space, got {nick!r}")
    for title in channels:
        if title.split() != [title]:
            raise click.UsageError(f"--join needs a title without white space, got {title!r}")


def _examine(asking: Asking, host: str | None) -> int:
    """Why no server is seen. A host that is named is asked, too."""
    from sockd.client.chat.doctor import examine, tell

    if asking.transport not in ("", Transport.UDP) or asking.path:
        raise click.UsageError("--doctor looks for servers by UDP")
    asked = targets([host], asking, {Transport.UDP: ports.CHAT}) if host else []

    async def body(run: Run) -> Exit:
        return await examine(run, *asked)

    return run_process(body, asking, tell(sys.stdout.buffer))
