"""Send a rotating pattern of characters (RFC 864).

Lines of 72 characters and CRLF, each shifted by one against the last, over the 95 printable ASCII
characters. A stream gets them until it ends, as fast as it reads. A datagram gets the beginning of
the pattern: at most 512 bytes, and never more than it brought, so that nobody can use the service
to flood somebody else.

    $ sock chargen -s 148
     !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefg
    !"#$%&'()*+,-./0123456789:;<=>?@ABCDEFGHIJKLMNOPQRSTUVWXYZ[\\]^_`abcdefgh
    chargen localhost (...), tcp port 10019: 11.1 ms
      rate         7.30 Mbit/s, 148 bytes
    ...
"""

from collections.abc import Iterator
from itertools import repeat

from sockd.formats import ports
from sockd.formats.chargen import PATTERN
from sockd.net.datagram import ANY_SIZE, MAX_ANSWER, Replies
from sockd.net.requests import Once
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


class ChargenStream(Once):
    """The pattern, one rotation after the other, as fast as they are taken."""

    def greeting(self) -> Iterator[bytes]:
        return repeat(PATTERN)

    def finished(self) -> None:
        self.close()


class ChargenReplies(Replies):
    """The beginning of the pattern, as long as the question at most."""

    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        return PATTERN[: min(len(data), MAX_ANSWER)]


kind = Kind(
    name="chargen",
    doc=__doc__,
    stream=ChargenStream,
    datagram=ChargenReplies,
    instances=[
        Instance(
            "chargen",
            [
                f"tcp:{ports.CHARGEN}:interface=localhost",
                f"udp:{ports.CHARGEN}:interface=localhost",
            ],
        )
    ],
    command="sock chargen -s 1k {to}",
    wire={
        "stream": Exchange(
            asks="The client connects; what it sends is read and forgotten (RFC 864).",
            answers=(
                "Lines of 72 characters and CRLF, each shifted by one against the last, over "
                "the 95 printable ASCII characters, as fast as they are read."
            ),
            ends="The client closes when it has enough: the pattern has no end.",
        ),
        "datagram": Exchange(
            asks=("Any datagram asks; its length bounds the answer here, though not in RFC 864."),
            answers=(
                "One datagram of at most 512 bytes, the beginning of the pattern, never "
                "longer than the question, so that nobody is flooded with it."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
