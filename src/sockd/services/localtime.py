"""Tell the time in the zone that a datagram names.

A datagram that names a time zone, such as `Europe/Warsaw`, gets the time there in the form of C's
ctime, without a line end; one that names none (white space, or nothing) gets the local time.
An unknown zone gets `error: unknown time zone X`, and one that cannot be read at the moment `error:
busy` and why. A client on a Unix socket must bind its own, by a path that begins with `/` and that
the daemon's user may write to, or it gets no answer.

    $ sock localtime America/Anchorage
    Sat Jun 17 18:06:14 2000
    $ sock localtime Mars/Base
    sock: ...localtime.sock said to 'Mars/Base': unknown time zone Mars/Base
"""

from sockd.formats import ports
from sockd.formats.clock import is_zone, local_ctime
from sockd.formats.text import escape
from sockd.net.datagram import Replies
from sockd.service import Exchange, Instance, Kind

ZONE_SHOWN = 100
"""Characters of an unknown zone's name that are shown back."""


def local_time(question: bytes, unix_seconds: float) -> bytes:
    """The answer to a datagram that may name a zone."""
    name = question.strip()
    text = name.decode("ascii", "replace")
    try:
        if name and not is_zone(text):
            return f"error: unknown time zone {escape(name, ZONE_SHOWN)}".encode()
        return local_ctime(unix_seconds, text).encode()
    except OSError as error:  # descriptors are out: it is not unknown
        return f"error: busy ({error.strerror})".encode()


class LocaltimeReplies(Replies):
    """One time for each datagram."""

    amplifies = True

    def answer(self, data: bytes) -> bytes:
        return local_time(data, self.context.world.wall())


kind = Kind(
    name="localtime",
    doc=__doc__,
    datagram=LocaltimeReplies,
    instances=[Instance("localtime", [f"unixgram:${{RUNTIME}}/{ports.LOCALTIME_SOCKET}"])],
    command="sock localtime {at} Europe/Warsaw",
    wire={
        "datagram": Exchange(
            asks=(
                "The client binds a socket file of its own to be answered at, and sends the "
                "name of a time zone, or a space for the local one."
            ),
            answers=(
                "One datagram comes back: the time there as C's ctime writes it, without a "
                "line end, or a text that begins 'error: '."
            ),
            ends="Nothing ends: the client removes its own socket file.",
        ),
    },
)
