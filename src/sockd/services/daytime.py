"""Tell the date and time as a line of text (RFC 867).

The line has the form of C's ctime, `Sat Jun 17 18:06:14 2000`, in the server's local zone or the
one that the option names, and ends in CRLF. A stream is closed then; any datagram, an empty one
too, gets one datagram.

    $ nc -d localhost 10013
    Sat Jun 17 18:06:14 2000
    $ sock daytime --udp
    Sat Jun 17 18:06:14 2000
"""

from attrs import frozen

from sockd.formats import ports
from sockd.formats.clock import Zone, local_ctime
from sockd.net.context import Context
from sockd.net.datagram import ANY_SIZE, Replies
from sockd.net.requests import Once
from sockd.options.option import option
from sockd.service import STANDS_ALONE, Exchange, Instance, Kind


@frozen
class DaytimeOptions:
    """What the daytime service can be told."""

    zone: Zone = option(Zone(""), 'the time zone, such as "Europe/Warsaw"; empty: the local one')


def daytime(unix_seconds: float, zone: Zone) -> bytes:
    """The line for a Unix time in seconds, as seen in a zone."""
    return local_ctime(unix_seconds, zone).encode() + b"\r\n"


class DaytimeStream(Once):
    """One line, then the end."""

    context: Context[DaytimeOptions, None]

    def greeting(self) -> bytes:
        return daytime(self.context.world.wall(), self.context.options.zone)


class DaytimeReplies(Replies):
    """One line for any datagram."""

    context: Context[DaytimeOptions, None]

    amplifies = True
    quick_bytes = ANY_SIZE

    def answer(self, data: bytes) -> bytes:
        return daytime(self.context.world.wall(), self.context.options.zone)


kind = Kind(
    name="daytime",
    doc=__doc__,
    stream=DaytimeStream,
    datagram=DaytimeReplies,
    options=DaytimeOptions,
    instances=[
        Instance(
            "daytime",
            [
                f"tcp:{ports.DAYTIME}:interface=localhost",
                f"udp:{ports.DAYTIME}:interface=localhost",
            ],
        )
    ],
    command="sock daytime {to}",
    wire={
        "stream": Exchange(
            asks="The client connects; what it sends is forgotten (RFC 867).",
            answers=(
                "One line with the date and time: RFC 867 fixes no form of it, here it is C's "
                "ctime and CRLF."
            ),
            ends="The service closes when the line is sent.",
        ),
        "datagram": Exchange(
            asks="Any datagram asks, an empty one too (RFC 867).",
            answers=(
                "One datagram with the line: RFC 867 fixes no form of it, here it is C's "
                "ctime and CRLF."
            ),
            ends=STANDS_ALONE,
        ),
    },
)
