"""`daytime`, `quote`, `greet`: services that say a text, on a connection or to any datagram."""

from __future__ import annotations

import click

from sockd.client.arguments import asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, Speech, Talk
from sockd.client.datagrams import Datagrams
from sockd.client.errors import BadAnswer
from sockd.client.start import ask_hosts
from sockd.client.streams import Stream
from sockd.client.targets import Transport
from sockd.formats import ports

TCP, TLS, UDP, UNIX, UNIXGRAM = (
    Transport.TCP,
    Transport.TLS,
    Transport.UDP,
    Transport.UNIX,
    Transport.UNIXGRAM,
)


async def read_text(stream: Stream, talk: Talk) -> Answer:
    """All that the service says, to its end."""
    while data := await stream.read(talk.asking.wait):
        talk.out(data)
    if not talk.size:
        raise BadAnswer(f"{talk.target} closed without a word")
    return Answer()


async def ask_text(datagrams: Datagrams, talk: Talk) -> Answer:
    """The answer to a datagram with nothing in it, or with as much as `--size` says."""
    came = await datagrams.ask(bytes(talk.asking.size or 0), wait=talk.asking.wait)
    talk.out(came.data)
    return Answer(rtt_ns=came.rtt_ns, is_kernel=came.is_kernel)


def speech(name: str, *over: Transport, port: int) -> Speech:
    """A service that says a text."""
    return Speech(
        name=name,
        kind=name,
        ports=dict.fromkeys(over, port),
        stream=read_text,
        datagram=ask_text,
    )


DAYTIME = speech("daytime", TCP, TLS, UDP, port=ports.DAYTIME)
QUOTE = speech("quote", TCP, TLS, UDP, port=ports.QUOTE)
GREET = speech("greet", TCP, TLS, port=ports.GREET)


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, has_size=True)
def daytime(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Ask hosts for the date and time as text (RFC 867)."""
    return ask_hosts(DAYTIME, hosts, asking)


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, has_size=True)
def quote(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Print a quotation (RFC 865)."""
    return ask_hosts(QUOTE, hosts, asking)


@click.command()
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, TLS, UNIX)
def greet(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Print a greeting: our name as the host knows it, and its time."""
    return ask_hosts(GREET, hosts, asking)
