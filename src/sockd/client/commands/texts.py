"""`daytime`, `quote`, `greet`: services that say a text, on a connection or to any datagram."""

from __future__ import annotations

import click
from attrs import evolve

from sockd.client.arguments import Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, Speech, Talk
from sockd.client.errors import BadAnswer, TimedOut
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.start import ask_hosts
from sockd.client.targets import Transport
from sockd.formats import ports
from sockd.formats.said import MOST_QUOTE, control_character

TCP, TLS, UDP, UNIX, UNIXGRAM = (
    Transport.TCP,
    Transport.TLS,
    Transport.UDP,
    Transport.UNIX,
    Transport.UNIXGRAM,
)


MOST_TEXT = 64 * 1024
"""Bytes of an answer: no date, quotation or greeting has so many, and an endless one must end."""


async def read_text(stream: Stream, talk: Talk) -> Answer:
    """All that the service says, to its end, which must come within the wait."""
    reactor, wait = talk.run.reactor, talk.asking.wait
    end = reactor.seconds() + wait
    while data := await _read(stream, talk, end - reactor.seconds()):
        check(data, talk)
        talk.out(data)
    if not talk.size:
        raise BadAnswer(f"{talk.target} closed without a word")
    if stream.is_cut:
        raise BadAnswer(f"{talk.target} closed without TLS's end: its text may be cut short")
    return Answer()


async def _read(stream: Stream, talk: Talk, left: float) -> bytes:
    try:
        return await stream.read(max(0.0, left))
    except TimedOut:
        what = "had not finished" if talk.size else "sent no answer"
        raise TimedOut(f"{talk.target} {what} within {talk.asking.wait:g} s") from None


async def ask_text(datagrams: Datagrams, talk: Talk) -> Answer:
    """The answer to a datagram with nothing in it, or with as much as `--size` says."""
    came = await datagrams.ask(bytes(talk.asking.size or 0), wait=talk.asking.wait)
    if not came.data:
        raise BadAnswer(f"{talk.target} sent an empty answer")
    check(came.data, talk)
    talk.out(came.data)
    return Answer(rtt_ns=came.rtt_ns, is_kernel=came.is_kernel)


def check(data: bytes, talk: Talk) -> None:
    """Raises BadAnswer where the next part of an answer makes it no text, or too long a one."""
    at = control_character(data)
    if at is not None:
        raise BadAnswer(f"{talk.target} sent no text: its byte {talk.size + at} is {data[at]:#04x}")
    if talk.size + len(data) > MOST_TEXT:
        raise BadAnswer(f"{talk.target} sent more than {MOST_TEXT} bytes")


def quotation(found: Answer, talk: Talk) -> Answer:
    """A quotation, with a note where it is longer than it may be: no reason to refuse it."""
    if talk.size <= MOST_QUOTE:
        return found
    note = f"the quotation has {talk.size} bytes, RFC 865 allows {MOST_QUOTE}"
    return evolve(found, notes=(note,))


async def read_quote(stream: Stream, talk: Talk) -> Answer:
    """As `read_text`."""
    return quotation(await read_text(stream, talk), talk)


async def ask_quote(datagrams: Datagrams, talk: Talk) -> Answer:
    """As `ask_text`."""
    return quotation(await ask_text(datagrams, talk), talk)


def usual(port: int) -> dict[Transport, int]:
    """A service's port over each transport that has ports."""
    return dict.fromkeys((TCP, TLS, UDP), port)


DAYTIME = Speech(
    name="daytime",
    kind="daytime",
    ports=usual(ports.DAYTIME),
    stream=read_text,
    datagram=ask_text,
)
QUOTE = Speech(
    name="quote", kind="quote", ports=usual(ports.QUOTE), stream=read_quote, datagram=ask_quote
)
GREET = Speech(name="greet", kind="greet", ports=usual(ports.GREET), stream=read_text)


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, has_size=True)
def daytime(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Ask hosts for the date and time as text (RFC 867)."""
    return ask_hosts(DAYTIME, hosts, asking)


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, has_size=True)
def quote(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Print a quotation (RFC 865)."""
    return ask_hosts(QUOTE, hosts, asking)


@click.command(cls=Command)
@click.argument("hosts", nargs=-1, metavar="[HOST...]")
@asks(TCP, TLS, UNIX)
def greet(asking: Asking, hosts: tuple[str, ...]) -> int:
    """Print a greeting: our name as the host knows it, and its time."""
    return ask_hosts(GREET, hosts, asking)
