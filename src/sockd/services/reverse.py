"""Reverse each line.

Each line comes back reversed, to end of file. Text that is valid UTF-8 is reversed by characters,
and a combining mark stays with its letter; anything else is reversed by bytes.

A datagram comes back reversed as a whole. One of the form `NUMBER: TEXT` comes back as `NUMBER: `
and the text reversed, so that a client can tell which of its questions was answered.

    $ sock reverse stressed
    desserts
    $ sock send --udp --answers 1 localhost 2007 '42: the meaning of life'
    42: efil fo gninaem eht
"""

import unicodedata

from sockd.formats import ports
from sockd.formats.answers import numbered, split_number
from sockd.formats.lines import split_lines
from sockd.net.datagram import Replies
from sockd.net.requests import Requests
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


def reverse(line: bytes) -> bytes:
    """The line backwards; as many bytes as before."""
    if line.isascii():
        return line[::-1]
    try:
        text = line.decode()
    except UnicodeDecodeError:
        return line[::-1]
    return _reverse_text(text, _marks(text)).encode()


def reverse_lines(lines: list[bytes]) -> bytes:
    """The answers to lines that come without their ends."""
    try:
        text = b"\n".join(lines).decode()
    except UnicodeDecodeError:
        return b"\r\n".join(map(reverse, lines)) + b"\r\n"
    marks = _marks(text)
    if marks:
        answers = [_reverse_text(line, marks) for line in text.split("\n")]
    else:
        answers = text[::-1].split("\n")[::-1]
    return "\r\n".join(answers).encode() + b"\r\n"


def reverse_block(block: bytes) -> bytes:
    """The answers to whole lines that have their ends."""
    if block.isascii():
        if block.find(b"\n") == len(block) - 1:
            return block.removesuffix(b"\n").removesuffix(b"\r")[::-1] + b"\r\n"
        # all of it backwards at once: the lines backwards, the last one first, ends before them
        backwards = bytearray(block)
        backwards.reverse()
        end = b"\n\r" if b"\r" in block else b"\n"
        lines = bytes(backwards).split(end)
        if end == b"\n" or len(lines) > block.count(b"\n"):
            lines.reverse()
            return b"\r\n".join(lines)
    return reverse_lines(split_lines(block))


def _marks(text: str) -> set[str]:
    """The combining marks of a text."""
    return {character for character in set(text) if unicodedata.category(character).startswith("M")}


def _reverse_text(text: str, marks: set[str]) -> str:
    """A text backwards, its marks behind their letters; time grows with the length, no faster."""
    if not marks:
        return text[::-1]
    # a pattern of these marks would be quicker, but to make one costs more than a short text
    letters, end = [], len(text)
    for start in range(end - 1, -1, -1):
        if text[start] not in marks or not start:
            letters.append(text[start:end])
            end = start
    return "".join(letters)


def reverse_datagram(data: bytes) -> bytes:
    """The answer to a datagram: never longer than it."""
    if found := split_number(data):
        return numbered(found[0], reverse(found[1]))
    return reverse(data)


class ReverseStream(Requests):
    """Lines, reversed in batches."""

    def answer_block(self, block: bytes) -> bytes:
        return reverse_block(block)


class ReverseReplies(Replies):
    """Datagrams, each reversed."""

    quick_bytes = 4096  # a quarter of a millisecond, of the slowest letters

    def answer(self, data: bytes) -> bytes:
        return reverse_datagram(data)


kind = Kind(
    name="reverse",
    doc=__doc__,
    stream=ReverseStream,
    datagram=ReverseReplies,
    instances=[
        Instance(
            "reverse",
            [
                f"tcp:{ports.REVERSE}:interface=localhost",
                f"udp:{ports.REVERSE_DATAGRAMS}:interface=localhost",
            ],
        )
    ],
    command="sock reverse {at} stressed",
    wire={
        "stream": Exchange(
            asks="The client connects, and sends lines that end in LF or CRLF.",
            answers=(
                "Each line comes back reversed and ends in CRLF: text that is UTF-8 by "
                "characters, anything else by bytes."
            ),
            ends=(
                "The client ends its half when it has asked all; the service answers what it "
                "has got and closes."
            ),
        ),
        "datagram": Exchange(
            asks=(
                "The client sends a text; 'NUMBER: ' before it lets the client tell which of "
                "its questions was answered."
            ),
            answers=(
                "The same bytes come back reversed in one datagram; a number, its colon and "
                "the space stay in front."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
