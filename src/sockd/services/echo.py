"""Send every byte back, as it comes (RFC 862).

A stream gets its bytes back in order, until it ends. A datagram comes back whole, an empty one too.
A client that does not read what comes back is not read from either.

    $ printf 'anybody home?\\n' | nc -N localhost 10007
    anybody home?
"""

from sockd.formats import ports
from sockd.net.datagram import Replies
from sockd.net.stream import Stream
from sockd.service import Instance, Kind


class EchoStream(Stream):
    """Bytes back."""

    def received(self, data: bytes) -> None:
        self.write(data)


class EchoReplies(Replies):
    """Datagrams back."""

    def answer(self, data: bytes) -> bytes:
        return data


kind = Kind(
    name="echo",
    doc=__doc__,
    stream=EchoStream,
    datagram=EchoReplies,
    instances=[
        Instance(
            "echo",
            [f"tcp:{ports.ECHO}:interface=localhost", f"udp:{ports.ECHO}:interface=localhost"],
        )
    ],
    asks="echo hello",
)
