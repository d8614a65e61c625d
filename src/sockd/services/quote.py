"""Send a quotation (RFC 865).

One quotation of at most 512 bytes, a different one each time by chance; a stream is closed then,
any datagram gets one datagram. The quotations come from a file in fortune's format (text between
lines that are `%` alone); without one there is a small set built in.

    $ sock quote
    ...
"""

from __future__ import annotations

from attrs import frozen

from sockd.formats import ports
from sockd.formats.quotes import builtin_quotes, parse_quotes
from sockd.net.context import Context
from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.requests import Once
from sockd.options.files import FilePath, read_file
from sockd.options.option import option
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind

MAX_FILE = 16 * 1024 * 1024
"""Bytes of the longest quotation file: it is kept in memory."""


@frozen
class QuoteOptions:
    """What the quote service can be told."""

    file: FilePath = option(
        FilePath(""),
        "a file of quotations, `%` lines between them; empty: those built in",
        validator=lambda _, __, name: read_quotes(name),
    )


def read_quotes(name: str) -> tuple[bytes, ...]:
    """The quotations of a file, or those built in. Raises ValueError that names the file."""
    if not name:
        return builtin_quotes()
    try:
        return parse_quotes(read_file(name, MAX_FILE))
    except OSError as error:
        raise ValueError(f"{name}: {error.strerror}") from None
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from None


class Quotes:
    """The quotations of one instance, read once at start."""

    def __init__(self, context: Context[QuoteOptions, Quotes]) -> None:
        self.quotes = read_quotes(context.options.file)

    def stop(self) -> None:
        """Nothing to let go of."""


def quote(context: Context[QuoteOptions, Quotes]) -> bytes:
    """One of the instance's quotations."""
    return context.world.random.choice(context.shared.quotes)


class QuoteStream(Once):
    """One quotation, then the end."""

    context: Context[QuoteOptions, Quotes]

    def greeting(self) -> bytes:
        return quote(self.context)


class QuoteReplies(Replies):
    """One quotation for any datagram."""

    context: Context[QuoteOptions, Quotes]

    amplifies = True
    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        return quote(self.context)


kind = Kind(
    name="quote",
    doc=__doc__,
    stream=QuoteStream,
    datagram=QuoteReplies,
    options=QuoteOptions,
    shared=Quotes,
    instances=[
        Instance(
            "quote",
            [f"tcp:{ports.QUOTE}:interface=localhost", f"udp:{ports.QUOTE}:interface=localhost"],
        )
    ],
    command="sock quote {to}",
    wire={
        "stream": Exchange(
            asks="The client connects; what it sends is forgotten (RFC 865).",
            answers="One quotation of at most 512 bytes.",
            ends="The service closes when the quotation is sent.",
        ),
        "datagram": Exchange(
            asks="Any datagram asks, an empty one too (RFC 865).",
            answers="One datagram with a quotation of at most 512 bytes.",
            ends=STANDS_ALONE,
        ),
    },
)
