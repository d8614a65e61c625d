"""sockd as it is, with every guard on: `sockd_peer.py REACTOR KIND`.

A server is the command that a user types, on a port that the kernel chooses. Its log goes where
standard output goes, to a file; asked for `daytime-log` it has two lines for each connection. The
fan-out is the daemon's datagram port, used as the service beacon does.
"""

import os
import socket
import sys
from pathlib import Path
from time import monotonic

from twisted.application.reactors import installReactor
from twisted.internet.protocol import DatagramProtocol

LISTENS = {
    "echo": "tcp:0:interface=127.0.0.1",
    "udp-echo": "udp:0:interface=127.0.0.1",
    "tls-echo": "tls:0:interface=127.0.0.1:privateKey={0}:certKey={0}",
    "chat": "udp:0:interface=127.0.0.1",
    "chat-wildcard": "udp:0:interface=0.0.0.0",
}
# of one who speaks all the time, where others have the limit that the service has by itself
CHAT = {
    "listen_multicast": '["udp:0:interface=127.0.0.1"]',
    "event_rate": '"1000000/s"',
    "event_burst": "1000000",
}


SERVICES = {
    "reverse": "reverse",
    "daytime": "daytime",
    "daytime-log": "daytime",
    "chat": "chat",
    "chat-wildcard": "chat",
}


def serve(reactor_name: str, kind: str) -> None:
    """Become the daemon with one service."""
    service = SERVICES.get(kind, "echo")
    listen = LISTENS.get(kind, LISTENS["echo"]).format(os.environ.get("CERTIFICATE"))
    sockd = str(Path(sys.executable).with_name("sockd"))
    # the load is one source, which is counted as a stranger's
    settings = {
        "listen": f'["{listen}"]',
        "trusted": "[]",
        "max_connections": "20000",
        "max_connections_per_source": "20000",
        "connect_rate": '"1000000/s"',
        "reply_rate": '"1000000/s"',
        "log_connections": str(kind == "daytime-log").lower(),
        **(CHAT if service == "chat" else {}),
    }
    assignments = [f"--set=service.{service}.{name}={one}" for name, one in settings.items()]
    # every line of it is to be written
    assignments += ["--set=sockd.log_rate=off", "--set=sockd.log_total_rate=off"]
    os.execv(sockd, [sockd, "run", f"--reactor={reactor_name}", f"--only={service}", *assignments])


def fan_out(reactor_name: str, seconds: float) -> None:
    """Send one datagram to a thousand addresses, again and again; datagrams a second."""
    from sockd.reactor.datagram import DatagramPort

    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind(("127.0.0.1", 0))
    port = DatagramPort(sock, DatagramProtocol(), installReactor(reactor_name))
    port.startListening()
    first = int(os.environ["PORT"])
    addresses = [("127.0.0.1", first + number) for number in range(1000)]
    began = monotonic()
    count = 0
    while monotonic() < began + seconds:
        count += port.write_many(b"x" * 64, addresses)
    print(count / (monotonic() - began))


if sys.argv[2] == "fanout":
    fan_out(sys.argv[1], float(sys.argv[3]))
else:
    serve(*sys.argv[1:])
