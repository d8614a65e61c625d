"""Tell of urgent data, and of ordinary data beside it.

Each read is a line, to the client and in the log: `got N bytes of normal data: DATA`, with `bytes`
also behind a 1, or `got 1 byte of urgent data: X`. What is no text is escaped. A line end that is
the last of the data is counted and not shown. At most 1,024 bytes are read at once, so that lines
are bounded and yet have all that came. The log has ten a second, and says how many it lacks.

    $ sock urgent -c 3 --urgent-after 2 --step -i 0
    sending 3 bytes of normal data: aa
    got 3 bytes of normal data: aa
    sending 3 bytes of normal data: ab
    got 3 bytes of normal data: ab
    sending 1 byte of urgent data: !
    got 1 byte of urgent data: !
    sending 3 bytes of normal data: ac
    got 3 bytes of normal data: ac

**What it is.** A segment of TCP can say that the stream is urgent up to some place. That news goes
ahead; the bytes do not: they wait for room like all others. So the name out-of-band data, as in
`MSG_OOB`, promises too much: there is one stream, with a mark in it.

**One mark.** TCP tells where urgent data ends, and not where it begins. Kernels take the one byte
before the mark out of the stream, for whoever asks for it. When another comes before that was
read, the first is an ordinary byte again: of `!` sent in a row, some are urgent to the receiver.
Where it is the next thing to read, Linux drops it in silence: at an ordinary read, or when another
urgent byte comes. So the service has the kernel leave all in the stream, asks what is urgent as
soon as it has come, and leaves that out when it reads it. Nothing is lost, nor told twice.

**In its place.** With `inline = true` (`SO_OOBINLINE`) nothing is taken out. The byte comes where
it was sent, and begins a read, as a read ends at the mark. To see it, start the daemon with
`--set 'service.inline={kind="urgent", inline=true, listen=["tcp:2009:interface=localhost"]}'`:

    $ sock urgent -c 2 --urgent-after 1 --step -i 0 localhost:2009
    sending 3 bytes of normal data: aa
    got 3 bytes of normal data: aa
    sending 1 byte of urgent data: !
    got 1 bytes of normal data: !
    sending 3 bytes of normal data: ab
    got 3 bytes of normal data: ab

**Today.** RFC 6093 tells programs that still use urgent data to have it in its place, and new ones
not to use it. For decades kernels and standards disagreed on which byte is meant; firewalls clear
the flag and so make text of the byte; kernels lose what they should keep; TLS and Unix sockets have
nothing of the kind, so this service is for TCP alone, and for Linux. Whoever is to be heard at once
opens a second connection, or sends messages short enough to stop between two of them. What is left
is what was written with it: telnet, rlogin, FTP's ABOR, and travesty.

A client that does not read its reports is not read from, and its urgent bytes stay in the kernel.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.entrance import Entrance
from sockd.access.peer import Peer
from sockd.formats import ports
from sockd.formats.urgent import normal_data, urgent_data, without_line_end
from sockd.net import urgent
from sockd.net.context import Context
from sockd.net.stream import Stream
from sockd.net.urgent import UrgentWatch
from sockd.net.urgent_transport import Urgent, works_on
from sockd.options.option import option
from sockd.service import Exchange, Instance, Kind

MOST_READ = 1024
"""Bytes of a read: each may need four characters of its line, in the log too, and all of them are
to be seen."""
TOLD_PER_SECOND = 10
"""Reports of an instance in the log: as many as of refusals."""


@frozen
class UrgentOptions:
    """What the urgent service can be told."""

    inline: bool = option(
        False, "urgent bytes come in their place, as ordinary ones (SO_OOBINLINE)"
    )


class Reports:
    """What the log is told, by all connections of an instance: not more than it can take."""

    def __init__(self, context: Context[UrgentOptions, Reports]) -> None:
        self._context = context
        self._bucket = Buckets(TOLD_PER_SECOND, TOLD_PER_SECOND, 1)
        self._untold = 0

    def tell(self, event: str, peer: Peer, data: bytes, **fields: Any) -> None:
        """Report a read."""
        if not self._bucket.take("", self._context.clock.seconds()):
            self._untold += 1
            return
        text = without_line_end(data).decode("utf-8", "backslashreplace")
        untold, self._untold = events.Untold(self._untold), 0
        name = self._context.name
        events.emit(event, service=name, peer=peer, text=text, suppressed=untold, **fields)

    def stop(self) -> None:
        """There is nothing to let go of."""


class UrgentStream(Stream):
    """A line for each read."""

    transports = ("tcp",)
    context: Context[UrgentOptions, Reports]
    _urgent: Urgent | None = None

    @classmethod
    def prepare(cls, context: Context[Any, Any], sock: Any, entrance: Entrance) -> None:
        urgent.set_inline(sock)  # nothing is lost that comes before the accept

    def opened(self) -> None:
        self.transport.bufferSize = MOST_READ
        if not works_on(self.transport):
            return  # in memory
        if not self.context.options.inline:
            self._urgent = Urgent(self.transport, self._watch, self._came)

    def received(self, data: bytes) -> None:
        self.write(normal_data(data).encode() + b"\r\n")
        self.context.shared.tell("normal-data", self.peer, data, size=len(data))

    def _came(self, byte: bytes) -> None:
        """An urgent byte has come."""
        self.bytes_in += 1
        if not self.is_closing:
            self.contain(self._tell_urgent, byte)

    def _tell_urgent(self, byte: bytes) -> None:
        self.write(urgent_data(byte).encode() + b"\r\n")
        self.context.shared.tell("urgent-data", self.peer, byte)

    def gone(self) -> None:
        if self._urgent is not None:
            self._urgent.stop()

    @property
    def _watch(self) -> UrgentWatch:
        return self.context.world.urgent

    # who does not read is told of no more urgent bytes either: they stay with the kernel

    def pauseProducing(self) -> None:
        super().pauseProducing()
        if self._urgent is not None:
            self._watch.remove(self._urgent)

    def resumeProducing(self) -> None:
        super().resumeProducing()
        if self._urgent is not None:
            self._watch.add(self._urgent)


def check(options: UrgentOptions) -> None:
    """Raises ValueError where there is no urgent data as we know it."""
    if not urgent.IS_HERE:
        raise ValueError("urgent data works on Linux alone")


kind = Kind(
    name="urgent",
    doc=__doc__,
    stream=UrgentStream,
    options=UrgentOptions,
    check=check,
    shared=Reports,
    # elsewhere it would stop the start of all the others
    instances=[Instance("urgent", [f"tcp:{ports.URGENT}:interface=localhost"])] * urgent.IS_HERE,
    command="sock urgent -c 3 -i 0.2 --urgent-after 2 {to}",
    wire={
        "stream": Exchange(
            asks="The client connects and sends what it likes, urgent bytes (MSG_OOB) too.",
            answers=(
                "A line comes back for each read, 'got N bytes of normal data: DATA' or "
                "'got 1 byte of urgent data: X', and CRLF."
            ),
            ends="The client ends its half; the service reports what is left and closes.",
        ),
    },
)
