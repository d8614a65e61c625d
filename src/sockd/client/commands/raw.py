"""`get`, `send`: bytes as they are, of a service that this program need not know."""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress

import click
from attrs import evolve

from sockd.client.arguments import Command, asks
from sockd.client.asking import LARGEST_SIZE, Asking
from sockd.client.asks import INTERVAL, Answer, ConversationHost, Speech, Talk
from sockd.client.errors import TimedOut
from sockd.client.exits import Exit
from sockd.client.hosts import Asked
from sockd.client.net.addresses import MOST_PORT
from sockd.client.net.datagrams import Datagrams
from sockd.client.net.streams import Stream
from sockd.client.process import Run
from sockd.client.report import Error
from sockd.client.start import ask_hosts, run_hosts, targets
from sockd.client.talk.data import DATA, DataCommand
from sockd.client.talk.input import Given, Input, Source
from sockd.client.talk.oneway import OneWayHost
from sockd.client.talk.sending import Sending
from sockd.client.targets import Target, Transport, parse_host
from sockd.client.waiting import beside

TCP, TLS, UDP, UNIX, UNIXGRAM = (
    Transport.TCP,
    Transport.TLS,
    Transport.UDP,
    Transport.UNIX,
    Transport.UNIXGRAM,
)
_HEX = frozenset("0123456789abcdefABCDEF")
_BETWEEN = frozenset(" \t\n:")


async def read_to_end(stream: Stream, talk: Talk) -> Answer:
    """All that the service sends, to its end."""
    while data := await stream.read():
        talk.out(data)
    _tell_cut(stream, talk)
    return Answer()


def _tell_cut(stream: Stream, talk: Talk) -> None:
    """Tell where TLS did not say that this is the end: many servers do not, and it is no error."""
    if stream.is_cut:
        talk.run.report(
            Error(
                target=talk.target.name,
                reason="cut",
                message=f"{talk.target} ended without TLS's own end: more may have followed",
                exit=Exit.ANSWERED,
            )
        )


async def print_answer(sending: Sending, talk: Talk) -> Answer:
    """What comes: to its end, to a silence after something came, or to enough lines."""
    left = talk.asking.answers
    while True:
        try:
            data = await sending.read()
        except TimedOut:
            if not talk.size:
                raise
            return Answer()
        if not data:
            break
        if left is not None:
            data, left = _lines(data, left)
        talk.out(data)
        if left == 0:
            return Answer()
    await sending.rest()
    _tell_cut(sending.stream, talk)
    return Answer()


def _lines(data: bytes, most: int) -> tuple[bytes, int]:
    """The data up to the end of so many lines, and how many are left to come."""
    at = 0
    while most and (end := data.find(b"\n", at) + 1):
        at, most = end, most - 1
    return (data, most) if most else (data[:at], 0)


async def ask_once(data: bytes, datagrams: Datagrams, talk: Talk) -> Answer:
    """One datagram, and what is answered: so many, or until nothing more comes."""
    wait, most = talk.asking.wait, talk.asking.answers
    first = await datagrams.ask(data, wait=wait)
    talk.out(first.data)
    count = 1
    while count != most:
        try:
            came = await datagrams.receive(wait)
        except TimedOut:
            break
        if datagrams.is_many or came.address == first.address:
            talk.out(came.data)
            count += 1
    return Answer(values={"answers": count}, rtt_ns=first.rtt_ns, is_kernel=first.is_kernel)


def destination(words: Sequence[str], asking: Asking) -> tuple[list[str], Asking, list[str]]:
    """The host, how to get there, and the words that follow: of HOST PORT or HOST:PORT.

    With `--unix` or `--port` there is no PORT. Raises UsageError.
    """
    rest = list(words)
    if asking.path:
        return [], asking, rest
    if not rest:
        raise click.UsageError("there is no HOST, and no --unix PATH")
    host = rest.pop(0)
    try:
        _, port = parse_host(host)
    except ValueError as error:
        raise click.UsageError(str(error)) from None
    if port is None and asking.port is None:
        if not rest:
            raise click.UsageError(f"there is no PORT after {host}")
        asking = evolve(asking, port=parse_port(rest.pop(0), host, Transport(asking.transport)))
    return [host], asking, rest


def parse_port(text: str, host: str, transport: Transport) -> int:
    """A number, or the port of a service that this system knows by name (`/etc/services`).

    Raises UsageError.
    """
    if text.isascii() and text.isdecimal():
        if len(text) <= 5 and 1 <= int(text) <= MOST_PORT:
            return int(text)
        raise click.UsageError(f"expected a port of 1 to {MOST_PORT} after {host}, got {text!r}")
    protocol, other = ("udp", "tcp") if transport is UDP else ("tcp", "udp")
    if port := _service_port(text, protocol):
        return port
    said = f"expected a port after {host}: /etc/services has no {text!r} over {protocol}"
    if port := _service_port(text, other):
        said += f", but over {other}, at port {port}"
    raise click.UsageError(said)


def _service_port(name: str, protocol: str) -> int | None:
    for spelt in (name, name.lower()):
        with suppress(OSError, ValueError):  # what is no UTF-8
            return socket.getservbyname(spelt, protocol)
    return None


def parse_hex(text: str) -> bytes:
    """Bytes in hex, two digits each; white space and colons between them do nothing.

    Raises ValueError that says where it is wrong.
    """
    digits = ""
    for at, character in enumerate(text, start=1):
        if character in _HEX:
            digits += character
        elif character not in _BETWEEN:
            raise ValueError(f"character {at} of the data is no hex digit: {character!r}")
        elif len(digits) % 2:
            raise ValueError(f"at character {at} of the data a byte has one hex digit, not two")
    if len(digits) % 2:
        raise ValueError(f"the data ends after one hex digit of a byte: {text[-1]!r}")
    return bytes.fromhex(digits)


def data_of(words: Sequence[str], is_hex: bool) -> bytes | None:
    """What the arguments say; None: standard input has it. Raises UsageError."""
    if not words:
        if is_hex:
            raise click.UsageError("--hex is for DATA on the command line")
        return None
    text = " ".join(words)
    if not is_hex:
        return os.fsencode(text)
    try:
        return parse_hex(text)
    except ValueError as error:
        raise click.UsageError(str(error)) from None


def read_datagram() -> bytes:
    """Standard input to its end, for one datagram; the reactor does not run yet."""
    try:
        data = sys.stdin.buffer.read(LARGEST_SIZE + 1)
    except OSError as error:
        why = (error.strerror or str(error)).lower()
        raise click.UsageError(f"cannot read standard input: {why}") from None
    if len(data) > LARGEST_SIZE:
        raise click.UsageError(f"standard input has more than a datagram's {LARGEST_SIZE} bytes")
    return data


@click.command(cls=Command)
@click.argument("words", nargs=-1, metavar="HOST PORT")
@asks(TCP, TLS, UNIX)
def get(asking: Asking, words: tuple[str, ...]) -> int:
    """Print what a service sends, to end of file, as it is.

    PORT is a number or a name of /etc/services. That it ends without a word is no error. Where it
    falls silent before its end the exit code is 3.
    """
    hosts, asking, rest = destination(words, asking)
    if rest:
        raise click.UsageError(f"{rest[0]!r} is too much: get sends nothing")
    return ask_hosts(Speech(name="get", stream=read_to_end), hosts, asking)


@click.command(cls=DataCommand)
@click.argument("words", nargs=-1, metavar="HOST PORT [DATA...]", type=DATA)
@click.option("--hex", "is_hex", is_flag=True, help="DATA is in hex: 16:ff, 1616 00.")
@click.option("--keep-open", "keeps_open", is_flag=True, help="Do not finish after the data.")
@asks(TCP, UDP, TLS, UNIX, UNIXGRAM, has_answers=True)
def send(asking: Asking, words: tuple[str, ...], is_hex: bool, keeps_open: bool) -> int:
    """Send DATA or standard input, print the answer.

    PORT is a number or a name of /etc/services. On a connection the data is finished (unless
    --keep-open), and the answer printed to its end, or until nothing more comes for the time of
    --wait. --answers N ends after N lines.

    With --udp the data is one datagram. No answer says that it is the last, so after each another
    one is waited for: --answers 1 ends with the first, and --answers 0 waits for none, where none
    is due, as of a log.

    An end without an answer is no error; where nothing comes and nothing ends, the exit code is 3.
    """
    hosts, asking, rest = destination(words, asking)
    found = targets(hosts, asking, {})
    given = data_of(rest, is_hex)
    if asking.answers == 0:
        _check_silent(asking)
    if found[0].transport.is_stream:
        if given is None and (asking.is_repeated or asking.retries):
            raise click.UsageError("standard input is read once: give DATA to send it again")
    elif keeps_open:
        raise click.UsageError("--keep-open is for connections")
    elif given is None:
        given = read_datagram()
    return run_hosts("send", found, asking, _sender(given, keeps_open))


def _check_silent(asking: Asking) -> None:
    """Raises UsageError where it makes no sense that no answer is due."""
    if Transport(asking.transport).is_stream:
        raise click.UsageError(
            "--answers 0 is for datagrams: a connection ends when the other side does"
        )
    if asking.retries:
        raise click.UsageError("--retries asks again where no answer came: none is due")


def _sender(given: bytes | None, keeps_open: bool) -> Callable[[Run, Target], Asked]:
    def make(run: Run, target: Target) -> Asked:
        if run.asking.answers == 0:
            return OneWayHost(run, target, given or b"", INTERVAL, listens=False)

        async def stream(connection: Stream, talk: Talk) -> Answer:
            source: Source = Input(run.reactor) if given is None else Given(given)
            sending = Sending(
                source, connection, talk.asking.wait, run.monotonic_ns, run.reactor, keeps_open
            )
            try:
                return await beside(print_answer(sending, talk), sending.send())
            finally:
                source.close()

        async def datagram(datagrams: Datagrams, talk: Talk) -> Answer:
            return await ask_once(given or b"", datagrams, talk)

        return ConversationHost(run, Speech(name="send", stream=stream, datagram=datagram), target)

    return make
