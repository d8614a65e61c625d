"""Read and forget (RFC 863).

Nothing ever comes back, from a stream or for a datagram. The log tells how many bytes came.

    $ printf 'into the void\\n' | sock send localhost 10009
"""

from sockd.formats import ports
from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.stream import Stream
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


class DiscardStream(Stream):
    """Bytes are counted and dropped, which the base has done already."""

    lingers = False


class DiscardReplies(Replies):
    """No datagram is answered."""

    answers = False
    hears_all = True
    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> None:
        return None


kind = Kind(
    name="discard",
    doc=__doc__,
    stream=DiscardStream,
    datagram=DiscardReplies,
    instances=[
        Instance(
            "discard",
            [
                f"tcp:{ports.DISCARD}:interface=localhost",
                f"udp:{ports.DISCARD}:interface=localhost",
            ],
        )
    ],
    command="sock discard -s 1k {to}",
    wire={
        "stream": Exchange(
            asks="The client connects and sends what it likes (RFC 863).",
            answers="Nothing ever comes back: all is read and forgotten.",
            ends="The client closes; the service then closes too.",
        ),
        "datagram": Exchange(
            asks="The client sends what it likes (RFC 863).",
            answers=(
                "No datagram is answered, so a lost one cannot be told from one that arrived."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
