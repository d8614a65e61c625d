"""gevent, by its documentation: `gevent_peer.py KIND`."""

import sys
from socket import socket
from time import ctime

from gevent.server import DatagramServer, StreamServer


def echo(sock: socket, _: object) -> None:
    """Bytes back."""
    while data := sock.recv(65536):
        sock.sendall(data)


def reverse(sock: socket, _: object) -> None:
    """Lines back, reversed."""
    for line in sock.makefile("rb"):
        sock.sendall(line.rstrip(b"\r\n")[::-1] + b"\r\n")


def daytime(sock: socket, _: object) -> None:
    """The time; the server closes."""
    sock.sendall(ctime().encode() + b"\r\n")


class UDPEcho(DatagramServer):  # type: ignore[misc]  # gevent has no annotations
    """Datagrams back."""

    def handle(self, data: bytes, address: tuple[str, int]) -> None:
        self.socket.sendto(data, address)


HANDLERS = {"echo": echo, "reverse": reverse, "daytime": daytime}

kind = sys.argv[1]
any_port = ("127.0.0.1", 0)
server = UDPEcho(any_port) if kind == "udp-echo" else StreamServer(any_port, HANDLERS[kind])
server.start()
print(server.server_port, flush=True)
server.serve_forever()
