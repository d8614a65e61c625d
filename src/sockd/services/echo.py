"""Send every byte back, as it comes (RFC 862).

A stream gets its bytes back in order, until it ends. A datagram comes back whole, an empty one too.
A client that does not read what comes back is not read from either.

    $ printf 'anybody home?\\n' | nc -N localhost 10007
    anybody home?
    $ sock echo -c 3 127.0.0.1
    64 bytes from 127.0.0.1: seq=0 time=0.658 ms (kernel)
    64 bytes from 127.0.0.1: seq=1 time=0.282 ms (kernel)
    64 bytes from 127.0.0.1: seq=2 time=0.313 ms (kernel)
    echo 127.0.0.1, udp port 10007: 237 ms
      probes       3 sent, 3 received, 0 % loss
      round trip   min 282 µs, avg 418 µs, max 658 µs, stddev 171 µs
    ...
"""

from sockd.formats import ports
from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.stream import Stream
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


class EchoStream(Stream):
    """Bytes back."""

    def received(self, data: bytes) -> None:
        self.write(data)


class EchoReplies(Replies):
    """Datagrams back."""

    quick_bytes = ANY_SIZE

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
    command="sock echo -c 3 {to}",
    tries={"tcp": "sock echo -c 3 --tcp {address}"},
    wire={
        "stream": Exchange(
            asks="The client connects and sends what it likes (RFC 862).",
            answers=(
                "Every byte comes back, in order; TCP may cut the answer into other pieces "
                "than the question."
            ),
            ends=("The client ends its half; the service sends back what is left and closes."),
        ),
        "datagram": Exchange(
            asks=(
                "The client sends a datagram with what it likes in it, or with nothing (RFC 862)."
            ),
            answers="The same bytes come back in one datagram.",
            ends=STANDS_ALONE,
        ),
    },
)
