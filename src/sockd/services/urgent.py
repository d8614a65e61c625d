"""Tell of urgent data, and of all other data (TCP).

A line for each read goes to the log and to the client: `got N bytes of normal data: DATA`, also
where N is 1, or `got 1 byte of urgent data: X`. What is no text is escaped; a line end that is the
last of the data is counted, and not shown. A read has at most 1,024 bytes, so all that came is in
the reports, and no line is longer than some 4,000 characters. The log has ten reports a second, and
tells how many it has left out.

    $ sock urgent -c 3 --urgent-after 2 --step -i 0
    sending 3 bytes of normal data: aa
    got 3 bytes of normal data: aa
    sending 3 bytes of normal data: ab
    got 3 bytes of normal data: ab
    sending 1 byte of urgent data: !
    got 1 byte of urgent data: !
    sending 3 bytes of normal data: ac
    got 3 bytes of normal data: ac

*What it is.* A header of TCP has a flag, URG, and a pointer to a place in the stream: so far it is
urgent. The flag goes ahead; the bytes do not, and they wait for room like all others. Programs call
this out-of-band data (`MSG_OOB`), and it is nothing of the kind: it is a mark in the one stream
there is. RFC 6093 tells what has become of it.

*One mark.* The pointer says where urgent data ends, and nothing where it begins. So kernels take one
byte out of the stream, the last one before the mark, and hand it to who asks for it. There is
room for one. When another comes before it was read, the first is an ordinary byte again: whoever
sends `!` twice may be told of one. Where the urgent byte is the first thing to read, Linux drops
it at an ordinary read, without a word; the service asks for it before each read.

*In its place.* With `inline = true` (`SO_OOBINLINE`) nothing is taken out: the byte comes where it
was sent, and is the first of a read, as reads end at the mark. This is what RFC 6093 asks of all
programs. Here is such an instance, at port 2009, of a daemon that was started with
`--set 'service.inline={kind="urgent",inline=true,listen=["tcp:2009:interface=localhost"]}'`:

    $ sock urgent -c 2 --urgent-after 1 --step -i 0 localhost:2009
    sending 3 bytes of normal data: aa
    got 3 bytes of normal data: aa
    sending 1 byte of urgent data: !
    got 1 bytes of normal data: !
    sending 3 bytes of normal data: ab
    got 3 bytes of normal data: ab

*Why nothing new should need it.* The standards and the kernels disagreed on where the pointer points;
firewalls clear the flag, and what was urgent is then a byte of the text; a byte may be lost, as
above; and TLS, QUIC and Unix sockets have none. A second connection, or frames with a type, do
without. It is here for what was written with it: telnet, rlogin, FTP's ABOR.

A client that does not read its reports is not read from, and told of nothing meanwhile.
"""

from __future__ import annotations

from typing import Any

from attrs import frozen

from sockd import events
from sockd.access.buckets import Buckets
from sockd.access.peer import Peer
from sockd.formats import ports
from sockd.formats.urgent import normal_data, urgent_data, without_line_end
from sockd.net import urgent
from sockd.net.context import Context
from sockd.net.stream import Stream
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
    _urgent: urgent.Urgent | None = None

    @classmethod
    def prepare(cls, context: Context[Any, Any], sock: Any) -> None:
        urgent.set_inline(sock, context.options.inline)

    def opened(self) -> None:
        self.transport.bufferSize = MOST_READ
        if not urgent.works_on(self.transport):
            return  # in memory
        is_inline = self.context.options.inline
        urgent.set_inline(self.transport.getHandle(), is_inline)  # it may have changed
        if not is_inline:
            self._urgent = urgent.Urgent(self.transport, self._watch, self._came)

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
    def _watch(self) -> urgent.UrgentWatch:
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
