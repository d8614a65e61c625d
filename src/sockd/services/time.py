"""Tell the time as a 32-bit number of seconds since 1900 (RFC 868).

Four bytes, big-endian, unsigned: seconds since 1900-01-01 00:00 UTC. The number wraps in February
2036, as the RFC's format does. A stream is closed then; any datagram gets one datagram.

    $ rdate -p -o 10037 localhost
    Sat Jun 17 18:06:14 UTC 2000
    $ sock time
    localhost         -0.45..+0.56 s  Sat Jun 17 18:06:14 2000
"""

from sockd.formats import ports
from sockd.formats.time import time_since_1900
from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.requests import Once
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


class TimeStream(Once):
    """Four bytes, then the end."""

    def greeting(self) -> bytes:
        return time_since_1900(self.context.world.wall())


class TimeReplies(Replies):
    """Four bytes for any datagram."""

    amplifies = True
    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        return time_since_1900(self.context.world.wall())


kind = Kind(
    name="time",
    doc=__doc__,
    stream=TimeStream,
    datagram=TimeReplies,
    instances=[
        Instance(
            "time",
            [f"tcp:{ports.TIME}:interface=localhost", f"udp:{ports.TIME}:interface=localhost"],
        )
    ],
    command="sock time {to}",
    wire={
        "stream": Exchange(
            asks="The client connects; what it sends is forgotten (RFC 868).",
            answers=(
                "Four bytes, big-endian and unsigned: the seconds since 1900-01-01 00:00 UTC, "
                "2208988800 more than Unix counts, modulo 2^32."
            ),
            ends="The service closes when the four bytes are sent.",
        ),
        "datagram": Exchange(
            asks="Any datagram asks, an empty one too (RFC 868).",
            answers=(
                "One datagram of four bytes, big-endian and unsigned: the seconds since "
                "1900-01-01 00:00 UTC, 2208988800 more than Unix counts, modulo 2^32."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
