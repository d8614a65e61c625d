"""For the tests of services, those of other distributions too: nothing here is a mock.

Instances and their clients in memory, on a loop whose time a test moves (`make_context`, `connect`,
`open_port`, `open_sender`); real listeners on the running reactor (`serve`, `dial`, `Asker`); and
the contract battery (`memory_cases`, `socket_cases`), which talks to a service in every way from
samples of what it is asked. docs/writing-a-service.md shows all of it at work.

What is imported here needs no pytest, and installs no reactor. `sockd.testing.plugin` is a plugin
of pytest, after whose tests nothing may be left; without pytest, `nothing_left` does the same.
"""

from sockd.testing.battery import MemoryCase, SocketCase, memory_cases, socket_cases
from sockd.testing.certificate import make_certificate
from sockd.testing.instances import (
    HOSTNAME,
    PEER,
    connect,
    knock,
    make_context,
    make_settings,
    make_world,
    open_port,
    open_sender,
)
from sockd.testing.leftovers import nothing_left
from sockd.testing.log import LogRecorder
from sockd.testing.memory import ASKER, NOON, Client, Loop, MemoryPort, Sent, Wall
from sockd.testing.running import PATIENCE, until, wait, warm_up
from sockd.testing.samples import DatagramSample, StreamSample, speaker, teller
from sockd.testing.sockets import (
    Asker,
    Connection,
    TLSConnection,
    address_of,
    dial,
    listen_string,
    serve,
)

__all__ = [
    "ASKER",
    "HOSTNAME",
    "NOON",
    "PATIENCE",
    "PEER",
    "Asker",
    "Client",
    "Connection",
    "DatagramSample",
    "LogRecorder",
    "Loop",
    "MemoryCase",
    "MemoryPort",
    "Sent",
    "SocketCase",
    "StreamSample",
    "TLSConnection",
    "Wall",
    "address_of",
    "connect",
    "dial",
    "knock",
    "listen_string",
    "make_certificate",
    "make_context",
    "make_settings",
    "make_world",
    "memory_cases",
    "nothing_left",
    "open_port",
    "open_sender",
    "serve",
    "socket_cases",
    "speaker",
    "teller",
    "until",
    "wait",
    "warm_up",
]
