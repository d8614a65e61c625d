"""Fill text into narrow paragraphs.

Reads a text to end of file (the client shuts down its writing half), answers it filled into
paragraphs of at most 30 columns, and closes. Empty lines separate paragraphs; a word that is longer
than a line is broken. Text that is not UTF-8 has its odd bytes shown escaped. The default instance
listens on a socket in the runtime directory.

    $ echo 'Sockets are where programs on two machines meet.' | sock wrap
    Sockets are where programs on
    two machines meet.
"""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterator

from attrs import frozen, validators

from sockd.formats import ports
from sockd.formats.fill import fill
from sockd.formats.whole import TextBuffer
from sockd.net.context import Context
from sockd.net.requests import Requests
from sockd.options.option import option
from sockd.options.units import Size
from sockd.service import Exchange, Instance, Kind

PIECE = 4096
"""Bytes that are decoded at once: characters may need four times the memory of their bytes."""


@frozen
class WrapOptions:
    """What the wrap service can be told."""

    columns: int = option(
        30, "columns of a line", validator=[validators.ge(2), validators.le(1000)]
    )
    max_text: Size = option(
        Size(128 * 1024),
        "bytes of the longest text: it is held until its end",
        validator=validators.ge(1),
    )


def wrap(text: bytes, columns: int) -> Iterator[bytes]:
    """The lines of the answer, with their ends; decoded as they are needed, not at once."""
    decode = getincrementaldecoder("utf-8")("backslashreplace").decode
    starts = range(0, len(text), PIECE)
    pieces = (decode(text[at : at + PIECE], at + PIECE >= len(text)) for at in starts)
    for line in fill(pieces, columns):
        yield line.encode() + b"\r\n"


class WrapStream(Requests):
    """A text in, a text out."""

    context: Context[WrapOptions, None]
    reads_texts = True

    def make_buffer(self) -> TextBuffer:
        return TextBuffer(int(self.context.options.max_text))

    def answer(self, request: bytes) -> Iterator[bytes]:
        return wrap(request, self.context.options.columns)


kind = Kind(
    name="wrap",
    doc=__doc__,
    stream=WrapStream,
    options=WrapOptions,
    instances=[Instance("wrap", [f"unix:${{RUNTIME}}/{ports.WRAP_SOCKET}"])],
    command="seq -s ' ' 60 | sock wrap {at}",
    wire={
        "stream": Exchange(
            asks=(
                "The client connects, sends a text, and ends its half so that the service "
                "knows where the text ends."
            ),
            answers=(
                "The text comes back filled into paragraphs of as many columns as the service "
                "is set to, lines ending in CRLF."
            ),
            ends="The service closes when all of the text is sent back.",
        ),
    },
)
