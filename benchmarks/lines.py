"""Pipelined lines: sockd's reverse against the same on Twisted's stock LineOnlyReceiver.

Each server is a process on one core, the load runs on the other; rounds alternate between the two,
so that noise meets both. Prints lines a second and the median of the ratios. An absolute figure
says nothing of another machine; the ratio does.

    .venv/bin/python benchmarks/lines.py [ROUNDS]
"""

from __future__ import annotations

import os
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time

SERVER_CORE, LOAD_CORE = 0, 1
LINE = b"The quick brown fox jumps over the lazy dog"
LINES = 1_000_000
CHUNK = (LINE + b"\r\n") * 1000

STOCK = """
import sys
from twisted.internet import reactor, protocol
from twisted.protocols.basic import LineOnlyReceiver

class Reverse(LineOnlyReceiver):
    def lineReceived(self, line):
        self.sendLine(line[::-1])

port = reactor.listenTCP(0, protocol.Factory.forProtocol(Reverse), interface="127.0.0.1")
print(port.getHost().port, flush=True)
reactor.run()
"""

SOCKD = """
import sys
from twisted.internet import reactor
from sockd.tap import load_alone, make_daemon
from sockd.service import find

daemon = make_daemon(load_alone("reverse", ["tcp:0:interface=127.0.0.1"], [], find()), reactor)
daemon.privilegedStartService()
daemon.startService()
print(daemon.rows[0].address.rpartition(":")[2], flush=True)
reactor.run()
"""


def start(code: str) -> tuple[subprocess.Popen[str], int]:
    """A server on its core, and the port it listens on."""
    process = subprocess.Popen(
        ["taskset", "-c", str(SERVER_CORE), sys.executable, "-c", code],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    return process, int(process.stdout.readline())


def measure(port: int) -> float:
    """Lines answered a second."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as sock:

        def send() -> None:
            for _ in range(LINES // 1000):
                sock.sendall(CHUNK)

        sender = threading.Thread(target=send)
        began = time.perf_counter()
        sender.start()
        received = 0
        # to the last byte, and only then the end: a stock protocol drops what it has not sent
        while received < LINES * (len(LINE) + 2):
            received += len(sock.recv(1 << 20))
        taken = time.perf_counter() - began
        sender.join()
    return LINES / taken


def main(rounds: int) -> None:
    """Alternate, print, and end the servers."""
    os.sched_setaffinity(0, {LOAD_CORE})
    servers = {"stock": start(STOCK), "sockd": start(SOCKD)}
    try:
        ratios = []
        for _ in range(rounds):
            figures = {name: measure(port) for name, (_, port) in servers.items()}
            ratios.append(figures["sockd"] / figures["stock"])
            print(
                f"sockd {figures['sockd']:>12,.0f}  LineOnlyReceiver {figures['stock']:>12,.0f} "
                f"lines/s  ratio {ratios[-1]:.2f}"
            )
        print(
            f"median of {rounds} ratios: {statistics.median(ratios):.2f} "
            f"(from {min(ratios):.2f} to {max(ratios):.2f})"
        )
    finally:
        for process, _ in servers.values():
            process.send_signal(signal.SIGKILL)
            process.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
