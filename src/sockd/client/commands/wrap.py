"""`wrap`: a text that is filled into paragraphs."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

import click
from attrs import evolve, frozen

from sockd.client.arguments import FILE, Command, asks
from sockd.client.asking import Asking
from sockd.client.asks import Answer, Speech, Talk
from sockd.client.errors import BadAnswer
from sockd.client.net.streams import Stream
from sockd.client.start import ask_hosts
from sockd.client.talk.input import Given
from sockd.client.talk.lines import shown
from sockd.client.talk.local import at_runtime_socket
from sockd.client.talk.refusing import refused
from sockd.client.talk.sending import Sending
from sockd.client.targets import Transport
from sockd.client.waiting import beside
from sockd.formats import ports
from sockd.formats.faults import error_in

MOST_TEXT = 4 * 1024 * 1024
"""Bytes of a text: 32 times what the service takes by default, and it is held here too."""
MOST_ANSWER = 8
"""An answer is so many times as long as its text at most: odd bytes escaped, by four characters
each, and a line end after each two."""
LEAST_ANSWER = 4096
"""Bytes that an answer may have however short its text is: it may be an error."""


@frozen
class Wrapping:
    """One text."""

    text: bytes

    async def stream(self, stream: Stream, talk: Talk) -> Answer:
        """Send it while the answer is read; print that once it is whole, and has the same words."""
        run = talk.run
        sending = Sending(Given(self.text), stream, talk.asking.wait, run.monotonic_ns, run.reactor)
        return await beside(self._receive(sending, talk), sending.send())

    async def _receive(self, sending: Sending, talk: Talk) -> Answer:
        most = MOST_ANSWER * len(self.text) + LEAST_ANSWER
        found = bytearray()
        while data := await sending.read():
            found += data
            if len(found) > most:
                raise BadAnswer(f"{talk.target} answered more than {most} bytes")
        answer = bytes(found)
        if not is_filled(self.text, answer):
            if (message := error_in(answer)) is not None:
                return refused(talk, "the text", message)
            raise BadAnswer(f"{talk.target} answered other words than were sent: {shown(answer)}")
        talk.out(answer)
        return Answer()


def is_filled(text: bytes, answer: bytes) -> bool:
    """Whether an answer can be the text filled: all but the white space is the same.

    What is not UTF-8 is shown by the service in its own way: then only that something came is said,
    and that it is no error.
    """
    try:
        words = text.decode().split()
    except UnicodeDecodeError:
        return bool(answer.strip()) and (error_in(answer) is None or error_in(text) is not None)
    try:
        return "".join(words) == "".join(answer.decode().split())
    except UnicodeDecodeError:
        return False


def read_files(names: Sequence[str]) -> bytes:
    """All files one after the other, `-` and none being standard input. Raises UsageError."""
    text = bytearray()
    for name in names or ["-"]:
        try:
            if name == "-":
                text += _read(sys.stdin.buffer, MOST_TEXT - len(text))
            else:
                with Path(name).open("rb") as file:
                    text += _read(file, MOST_TEXT - len(text))
        except (OSError, ValueError) as error:
            said = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            what = "standard input" if name == "-" else name
            raise click.UsageError(f"cannot read {what}: {said.lower()}") from None
    return bytes(text)


def _read(file: BinaryIO, room: int) -> bytes:
    data = file.read(room + 1)
    if len(data) > room:
        raise click.UsageError(f"the text has more than {MOST_TEXT} bytes")
    return data


@click.command(cls=Command)
@click.argument("files", nargs=-1, type=FILE, metavar="[FILE...]")
@click.option("-H", "--host", "hosts", multiple=True, metavar="HOST[:PORT]", help="Ask this host.")
@asks(Transport.UNIX, Transport.TCP, Transport.TLS)
def wrap(asking: Asking, files: tuple[str, ...], hosts: tuple[str, ...]) -> int:
    """Have a text filled into paragraphs: of files, or of standard input.

    By the socket file `wrap.sock` of the runtime directory, or the one that --unix names, or of a
    host with --host. What cannot be read is told before anything is sent. An answer has the words
    of the text; an error from the service goes to standard error, and the exit code is 1.
    """
    if asking.transport == Transport.UNIX and not asking.path:
        if hosts or asking.port is not None:
            asking = evolve(asking, transport=Transport.TCP)
        else:
            asking = at_runtime_socket(asking, Transport.UNIX, ports.WRAP_SOCKET)
    wrapping = Wrapping(read_files(files))
    return ask_hosts(Speech(name="wrap", kind="wrap", stream=wrapping.stream), hosts, asking)
