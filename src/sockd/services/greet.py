"""Greet each client by name, with the time.

One line, `Hello there, NAME, it's now TIME`, then the connection is closed. NAME is the client's
host name, its address where it has none or where the resolver takes longer than half a second. The
text is a template: `welcome` is a greet with another one.

    $ sock greet
    Hello there, localhost, it's now Sat Jun 17 18:06:14 2000
    $ sock greet localhost:8887
    Hello client how are you
"""

from attrs import frozen
from twisted.internet.defer import Deferred

from sockd.formats import ports
from sockd.formats.template import Template
from sockd.net.context import Context
from sockd.net.requests import Once
from sockd.options.option import option
from sockd.service import Exchange, Instance, Kind

GREETING = Template("Hello there, {name}, it's now {time}")
"""The default text, without its line end."""


@frozen
class GreetOptions:
    """What the greet service can be told."""

    template: Template = option(
        GREETING, "the text; it can have {name} {address} {port} {time}, CRLF follows it"
    )


class GreetStream(Once):
    """One line, then the end."""

    context: Context[GreetOptions, None]

    def greeting(self) -> Deferred[bytes]:
        return self.context.greeting(self.context.options.template, self.peer)


kind = Kind(
    name="greet",
    doc=__doc__,
    stream=GreetStream,
    options=GreetOptions,
    instances=[
        Instance("greet", [f"tcp:{ports.GREET}:interface=localhost"]),
        Instance(
            "welcome",
            [f"tcp:{ports.WELCOME}:interface=localhost"],
            {"template": "Hello client how are you"},
        ),
    ],
    command="sock greet {to}",
    wire={
        "stream": Exchange(
            asks="The client connects; what it sends is forgotten.",
            answers=(
                "One line with the client's name as the service knows it, and the time; it "
                "ends in CRLF."
            ),
            ends="The service closes when the line is sent.",
        ),
    },
)
