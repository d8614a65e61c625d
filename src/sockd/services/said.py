"""Say what was said.

Reads one line, answers `You said:LINE`, and closes. What else the client sends is dropped.

    $ sock said 'Hello there!'
    You said:Hello there!
"""

from sockd.formats import ports
from sockd.formats.answers import you_said
from sockd.net.requests import Requests
from sockd.service import Exchange, Instance, Kind


class SaidStream(Requests):
    """One line, one answer, the end."""

    def answer(self, request: bytes) -> bytes:
        self.hear_no_more()
        return you_said(request)


kind = Kind(
    name="said",
    doc=__doc__,
    stream=SaidStream,
    instances=[Instance("said", [f"tcp:{ports.SAID}:interface=localhost"])],
    command="sock said {at} hello",
    wire={
        "stream": Exchange(
            asks="The client connects and sends one line that ends in LF or CRLF.",
            answers="One line comes back: 'You said:', the line and CRLF.",
            ends="The service closes when the answer is sent; more lines are forgotten.",
        ),
    },
)
