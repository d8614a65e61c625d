"""Tell everybody on the LAN the time and this host's name, by multicast.

Every 15 seconds, on even multiples of the period on the clock, one datagram goes to the group: the
time in the form of C's ctime, `/`, and the host's name. Whoever joins the group hears it; a host
that falls silent may be down. The default stays on this host's loopback interface: name another
`interface` (and a `ttl`, where routers are to pass it on) to be heard by others.

    $ sock beacon -c 1
    127.0.0.1: Sat Jun 17 18:06:15 2000/...
"""

from __future__ import annotations

from attrs import frozen, validators
from twisted.internet.interfaces import IDelayedCall

from sockd.formats import ports
from sockd.formats.clock import local_ctime
from sockd.net.context import Context
from sockd.net.sender import Sender
from sockd.options.option import Change, option
from sockd.options.units import Duration
from sockd.service import Exchange, Instance, Kind

LOOK_SECONDS = 1.0
"""How often the clock on the wall is looked at: it may be set, and the beacon stays on its beat."""


@frozen
class BeaconOptions:
    """What the beacon can be told."""

    period: Duration = option(
        Duration(15), "time between two messages", validator=validators.ge(1), change=Change.NOW
    )


def beacon(unix_seconds: float, hostname: str) -> bytes:
    """The message."""
    return f"{local_ctime(unix_seconds)}/{hostname}".encode()


def next_beat(unix_seconds: float, period: float) -> float:
    """The next even multiple of the period, in Unix seconds, later than now."""
    return (unix_seconds // period + 1) * period


class BeaconSender(Sender):
    """A message on each beat of the clock on the wall."""

    context: Context[BeaconOptions, None]
    _look: IDelayedCall | None = None
    _beat = 0.0

    def startProtocol(self) -> None:
        self._beat = next_beat(self.context.world.wall(), self.context.options.period)
        self._wait()

    def stopProtocol(self) -> None:
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _wait(self) -> None:
        left = self._beat - self.context.world.wall()
        self._look = self.context.clock.callLater(min(max(left, 0.0), LOOK_SECONDS), self._tick)

    def _tick(self) -> None:
        now, beat = self.context.world.wall(), self._beat
        self._beat = next_beat(now, self.context.options.period)
        self._wait()  # before it speaks: whatever happens to one message, the next is not lost
        # within a look of the beat it is time; further off, the clock has been set
        if beat <= now < beat + LOOK_SECONDS:
            self.send(beacon(beat, self.context.world.hostname))


kind = Kind(
    name="beacon",
    doc=__doc__,
    sender=BeaconSender,
    options=BeaconOptions,
    instances=[
        Instance("beacon", [f"multicast:{ports.BEACON_GROUP}:{ports.BEACON}:interface=127.0.0.1"])
    ],
    wire={
        "sender": Exchange(
            asks="The client joins the multicast group and listens; it sends nothing.",
            answers=(
                "On even multiples of the period on the clock one datagram goes to the group: "
                "the time as C's ctime writes it, '/', and the host's name."
            ),
            ends="Nothing ends: the client leaves the group when it has heard enough.",
        ),
    },
)
