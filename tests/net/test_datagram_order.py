"""What a service sends leaves in that order, by whatever call."""

from __future__ import annotations

from sockd.net.datagram import Datagram, Datagrams
from tests.helpers import ENTRANCE, make_context
from tests.reactor.ports import PLAIN, bound, listening, read_when_ready


class ToOneAndToMany(Datagrams):
    """Answers with both."""

    def received(self, datagram: Datagram) -> None:
        for part in (b"1", b"2"):
            self.send(datagram.data + b" to one " + part, datagram.sender)
            self.send_many(datagram.data + b" to many " + part, [datagram.sender])


def test_what_goes_to_many_overtakes_nothing_that_goes_to_one() -> None:
    """Nor what is sent for another datagram of the same pass."""
    protocol = ToOneAndToMany(make_context("echo"), ENTRANCE)
    with bound((PLAIN, 0)) as here, listening(bound((PLAIN, 0)), protocol) as port:
        for data in (b"a", b"b"):
            here.sendto(data, port.socket.getsockname())
        read_when_ready(port)
        got = [here.recv(100).decode() for _ in range(8)]
    assert got == [
        f"{data} to {whom} {n}" for data in "ab" for n in "12" for whom in ("one", "many")
    ]
    assert protocol.context.guard.counts["datagrams_out"] == 8
