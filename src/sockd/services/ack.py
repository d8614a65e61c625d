"""Acknowledge each line.

For each line one line, `OK : LINE`, on as many connections at once as there are. A datagram is one
line: its line end, if it has one, is dropped, and the answer ends in CRLF.

    $ printf 'hello\\nhow are you\\n' | nc -N localhost 8888
    OK : hello
    OK : how are you
"""

from sockd.net.datagram import MAX_ANSWER, Datagrams
from sockd.net.lines import Lines
from sockd.net.stream import error_line
from sockd.service import Instance, Kind

MAX_DATAGRAM_LINE = MAX_ANSWER - len(b"OK : \r\n")
"""Bytes of the longest line that can be acknowledged in a datagram."""


def acknowledge(lines: list[bytes]) -> bytes:
    """The answers to lines that come without their ends."""
    return b"OK : " + b"\r\nOK : ".join(lines) + b"\r\n"


class AckStream(Lines):
    """Lines, acknowledged in batches."""

    def answer(self, lines: list[bytes]) -> bytes:
        return acknowledge(lines)


class AckDatagrams(Datagrams):
    """Datagrams, each a line."""

    amplifies = True

    def answer(self, data: bytes) -> bytes:
        line = data.removesuffix(b"\n").removesuffix(b"\r")
        if len(line) > MAX_DATAGRAM_LINE:
            return error_line(f"line longer than {MAX_DATAGRAM_LINE} bytes")
        return acknowledge([line])


kind = Kind(
    name="ack",
    doc=__doc__,
    stream=AckStream,
    datagram=AckDatagrams,
    instances=[Instance("ack", ["tcp:8888:interface=localhost", "udp:8888:interface=localhost"])],
    tries={
        "tcp": "echo hello | nc -N {host} {port}",
        "udp": "echo hello | nc -u -W1 {host} {port}",
    },
)
