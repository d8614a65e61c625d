"""Acknowledge each line.

A connection is greeted, if that is set; then for each line there is one, `OK : LINE`, on as many
connections at once as there are. A datagram is one line: its line end, if it has one, is dropped,
and the answer ends in CRLF. No datagram is greeted.

    $ sock ack hello 'how are you'
    OK : hello
    OK : how are you
    $ echo hello | sock send localhost 8888
    Hello client how are you
    OK : hello
"""

from attrs import frozen
from twisted.internet.defer import Deferred

from sockd.formats import ports
from sockd.formats.answers import acknowledge
from sockd.formats.faults import error_line
from sockd.formats.lines import split_lines
from sockd.formats.template import Template
from sockd.net.context import Context
from sockd.net.datagram import ANY_SIZE, MAX_ANSWER, Replies
from sockd.net.requests import Requests
from sockd.options.option import option
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind

GREETING = "Hello client how are you"
"""The greeting of the default instance: the tutorial's server says it."""
MAX_DATAGRAM_LINE = MAX_ANSWER - len(b"OK : \r\n")
"""Bytes of the longest line that can be acknowledged in a datagram."""


@frozen
class AckOptions:
    """What the ack service can be told."""

    greeting: Template = option(
        Template(""),
        "a line for each new connection, with the fields of greet's template; empty: none",
    )


class AckStream(Requests):
    """A greeting, then lines, acknowledged in batches."""

    context: Context[AckOptions, None]

    def greeting(self) -> bytes | Deferred[bytes]:
        template = self.context.options.greeting
        return self.context.greeting(template, self.peer) if template else b""

    def answer_block(self, block: bytes) -> bytes:
        return acknowledge(split_lines(block))


class AckReplies(Replies):
    """Datagrams, each a line."""

    amplifies = True
    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        line = data.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_DATAGRAM_LINE:
            return error_line(f"line longer than {MAX_DATAGRAM_LINE} bytes")
        return acknowledge([line])


kind = Kind(
    name="ack",
    doc=__doc__,
    stream=AckStream,
    datagram=AckReplies,
    options=AckOptions,
    instances=[
        Instance(
            "ack",
            [f"tcp:{ports.ACK}:interface=localhost", f"udp:{ports.ACK}:interface=localhost"],
            {"greeting": GREETING},
        )
    ],
    command="sock ack {at} hello",
    wire={
        "stream": Exchange(
            asks="The client connects, and sends lines that end in LF or CRLF.",
            answers=(
                "The service greets the connection if that is set, and answers each line with "
                "'OK : ', the line and CRLF."
            ),
            ends=(
                "The client ends its half when it has asked all; the service answers what it "
                "has got and closes."
            ),
        ),
        "datagram": Exchange(
            asks="Each datagram is one line, with or without its line end.",
            answers=("One datagram comes back: 'OK : ', the line and CRLF; there is no greeting."),
            ends=STANDS_ALONE,
        ),
    },
)
