"""`reverse`, `factor`, `ack`, `said`: lines in, an answer to each."""

from __future__ import annotations

import os
from collections.abc import Sequence

import click
from attrs import define, field

from sockd.client.arguments import asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, ConversationHost, Speech, Talk
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.start import run_hosts, targets
from sockd.client.talk.data import DATA, DataCommand
from sockd.client.talk.input import Given, Input, Source, Tee
from sockd.client.talk.lines import Form, over_datagrams, over_stream
from sockd.client.targets import Target, Transport
from sockd.formats import answers, ports
from sockd.formats.factors import are_factors

TCP, TLS, UDP, UNIX, UNIXGRAM = (
    Transport.TCP,
    Transport.TLS,
    Transport.UDP,
    Transport.UNIX,
    Transport.UNIXGRAM,
)
FACTOR_WAIT = 6.0
"""Seconds: the service takes five for a number at most, and then says so."""


def _without_number(number: int, data: bytes) -> bytes:
    found = answers.split_number(data)
    return found[1] if found is not None and found[0] == b"%d" % number else data


REVERSE = Form(
    name="reverse",
    fits=answers.is_reversed,
    question=answers.numbered,
    text=_without_number,
)
FACTOR = Form(name="factor", fits=are_factors)
ACK = Form(name="ack", fits=answers.acknowledges, has_greeting=True)
SAID = Form(name="said", fits=answers.was_said)
PORTS = {
    "reverse": {TCP: ports.REVERSE, UDP: ports.REVERSE_DATAGRAMS},
    "factor": {TCP: ports.FACTOR, UDP: ports.FACTOR},
    "ack": {TCP: ports.ACK, UDP: ports.ACK},
    "said": {TCP: ports.SAID},
}


@define(eq=False)
class LinesHost(ConversationHost):
    """A host that is asked lines: at its end the others need not wait for it to read."""

    source: Source | None = field(kw_only=True)

    async def go(self) -> None:
        """Ask until all is asked."""
        try:
            await ConversationHost.go(self)
        finally:
            if self.source is not None:
                self.source.close()


@define(eq=False)
class FirstLine:
    """A source up to the end of its first line."""

    source: Source
    _is_over: bool = False

    async def read(self) -> bytes:
        """The next bytes of the line."""
        if self._is_over:
            return b""
        data = await self.source.read()
        line, end, _ = data.partition(b"\n")
        self._is_over = bool(end) or not data
        return line + end

    def close(self) -> None:
        """Nobody reads it any more."""
        self.source.close()


def ask_lines(
    form: Form, asking: Asking, hosts: Sequence[str], given: bytes | None, only_first: bool = False
) -> int:
    """Ask hosts lines, side by side. Returns the exit code."""
    found = targets(hosts, asking, PORTS[form.name])
    if given is None and asking.is_repeated:
        raise click.UsageError(
            "-c and -i ask again, and standard input is read once: give arguments"
        )
    if given is None and asking.retries and found[0].transport.is_stream:
        raise click.UsageError(
            "--retries asks again, and standard input is read once: give arguments"
        )
    tees: list[Tee] = []

    def reader(run: Run) -> Source:
        if not tees:
            source: Source = Input(run.reactor)
            tees.append(Tee(FirstLine(source) if only_first else source))
        return tees[0].reader()

    def make(run: Run, target: Target) -> LinesHost:
        read = reader(run) if given is None else None

        async def stream(connection: Stream, talk: Talk) -> Answer:
            return await over_stream(form, read or Given(given or b""), connection, talk)

        async def datagram(datagrams: Datagrams, talk: Talk) -> Answer:
            return await over_datagrams(form, read or Given(given or b""), datagrams, talk)

        speech = Speech(
            name=form.name, kind=form.name, stream=stream, datagram=datagram, retries_itself=True
        )
        return LinesHost(run, speech, target, source=read)

    return run_hosts(form.name, found, asking, make, kind=form.name)


def data_of(texts: Sequence[str]) -> bytes | None:
    """A line each; None: standard input has them."""
    return b"".join(os.fsencode(text) + b"\n" for text in texts) if texts else None


_HOSTS = click.option(
    "-H",
    "--host",
    "hosts",
    multiple=True,
    metavar="HOST[:PORT]",
    help="Ask this host instead of localhost; several are asked side by side.",
)


@click.command(cls=DataCommand)
@click.argument("texts", nargs=-1, metavar="[LINE...]", type=DATA)
@_HOSTS
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM)
def reverse(asking: Asking, texts: tuple[str, ...], hosts: tuple[str, ...]) -> int:
    """Have lines reversed: the arguments, or those of standard input.

    An answer must have the bytes of its line. By datagrams lines are numbered, and asked one after
    the other. An error line from the service goes to standard error; the exit code is then 1.
    """
    return ask_lines(REVERSE, asking, hosts, data_of(texts))


@click.command(cls=DataCommand)
@click.argument("texts", nargs=-1, metavar="[N...]", type=DATA)
@_HOSTS
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, wait=FACTOR_WAIT)
def factor(asking: Asking, texts: tuple[str, ...], hosts: tuple[str, ...]) -> int:
    """Ask for the prime factors of numbers: the arguments, or the lines of standard input.

    They are checked: primes whose product is the number. What the service refuses is told on
    standard error, as -5, which has none; the exit code is then 1. -4 and -6 are options:
    `sock factor -- -4`.
    """
    return ask_lines(FACTOR, asking, hosts, data_of(texts))


@click.command(cls=DataCommand)
@click.argument("texts", nargs=-1, metavar="[LINE...]", type=DATA)
@_HOSTS
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM)
def ack(asking: Asking, texts: tuple[str, ...], hosts: tuple[str, ...]) -> int:
    """Send lines, print their acknowledgements: of the arguments, or of standard input.

    A greeting that comes first is printed with -v. An error line from the service goes to standard
    error; the exit code is then 1.
    """
    return ask_lines(ACK, asking, hosts, data_of(texts))


@click.command(cls=DataCommand)
@click.argument("texts", nargs=-1, metavar="[WORD...]", type=DATA)
@_HOSTS
@asks(TCP, TLS, UNIX)
def said(asking: Asking, texts: tuple[str, ...], hosts: tuple[str, ...]) -> int:
    """Say one line, print what was said: the arguments, or standard input's first line.

    The service hears one line, and closes.
    """
    given = data_of([" ".join(texts)]) if texts else None
    if given is not None and given.count(b"\n") > 1:
        raise click.UsageError("said takes one line")
    return ask_lines(SAID, asking, hosts, given, only_first=True)
