"""An interface that goes and comes back: who is on it says so and tries again, the others go on.

    python -m benchmarks.interfaces

As root, for it takes two hosts, which are network namespaces with a cable between them. The
daemon's end of it is at first without multicast, then with it, then gone, then there again; an
address that a service wants comes last of all. A client on loopback asks all the time. Exit codes:
0 all of it was told, all was served again, and the client was always answered; 1 not.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from attrs import define, field

from benchmarks.machine import pick_cores
from benchmarks.processes import Child, Failed, started

GROUP = "224.225.226.227"
HERE, THERE, LATE = "10.78.0.1", "10.78.0.2", "10.78.0.9"
CONFIG = f"""
[sockd]
control = "off"
bans = "off"
log_format = "json"
[service.beacon]
listen = ["multicast:{GROUP}:2070:interface={HERE}"]
period = "1s"
[service.echo]
listen = ["tcp:7:interface=127.0.0.1"]
connect_rate = "off"
[service.far]
kind = "echo"
listen = ["tcp:7:interface={HERE}", "udp:7:interface={HERE}"]
[service.late]
kind = "echo"
listen = ["tcp:8:interface={LATE}"]
required = false
"""
PATIENCE = 120.0
"""Seconds until what should come does not: an address is tried again every thirty."""
PAUSE = 0.01
_CLONE_NEWNET = 0x40000000  # linux/sched.h


def ip(words: str) -> None:
    """A command of iproute2, which must succeed."""
    subprocess.run(["ip", *words.split()], check=True)


@define
class Lan:
    """Two hosts, and a cable that can be cut."""

    here: str
    there: str

    def join(self) -> None:
        """Put the cable there."""
        ip(f"link add lan0 netns {self.here} type veth peer name lan0 netns {self.there}")
        for host, address in ((self.here, HERE), (self.there, THERE)):
            ip(f"-n {host} addr add {address}/24 dev lan0")
            ip(f"-n {host} link set lan0 up")

    def open(self, host: str, kind: socket.SocketKind) -> socket.socket:
        """A socket of a host."""
        made: list[socket.socket] = []

        def make() -> None:  # a namespace is a thread's own: this one enters it, and ends in it
            with Path(f"/run/netns/{host}").open("rb") as entrance:
                if ctypes.CDLL(None, use_errno=True).setns(entrance.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
                made.append(socket.socket(socket.AF_INET, kind))

        thread = threading.Thread(target=make)
        thread.start()
        thread.join()
        made[0].settimeout(1.0)
        return made[0]

    def answers(self, kind: socket.SocketKind, host: str, address: tuple[str, int]) -> bool:
        """Whether an echo service answers there."""
        with self.open(host, kind) as sock:
            try:
                sock.connect(address)
                sock.send(b"still here")
                return sock.recv(100) == b"still here"
            except OSError:
                return False

    def hears(self) -> bool:
        """Whether the beacon is heard on the other host, within a second and some."""
        with self.open(self.there, socket.SOCK_DGRAM) as sock:
            sock.settimeout(1.5)
            membership = struct.pack("4s4s", *map(socket.inet_aton, (GROUP, THERE)))
            try:
                sock.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
                sock.bind((GROUP, 2070))
                return bool(sock.recv(1000))
            except OSError:
                return False


@contextmanager
def lan() -> Iterator[Lan]:
    """It, without its cable."""
    names = [f"sockd-r6-{os.getpid()}-{side}" for side in ("here", "there")]
    with ExitStack() as stack:
        for name in names:
            ip(f"netns add {name}")
            stack.callback(ip, f"netns del {name}")
            ip(f"-n {name} link set lo up")
        yield Lan(*names)


@define
class Client:
    """Asks on loopback, one question after the other, for as long as it is let."""

    lan: Lan
    answered: int = 0
    failed: int = 0
    longest: float = 0.0
    _is_over: threading.Event = field(factory=threading.Event)

    @contextmanager
    def asking(self) -> Iterator[None]:
        """Ask while the block runs."""
        thread = threading.Thread(target=self._ask)
        thread.start()
        try:
            yield
        finally:
            self._is_over.set()
            thread.join()

    def _ask(self) -> None:
        while not self._is_over.wait(PAUSE):
            begin = time.monotonic()
            if self.lan.answers(socket.SOCK_STREAM, self.lan.here, ("127.0.0.1", 7)):
                self.answered += 1
                self.longest = max(self.longest, time.monotonic() - begin)
            else:
                self.failed += 1


def took(what: str, is_so: Callable[[], object]) -> None:
    """Wait until it is so, and tell how long that took. Raises Failed."""
    begin = time.monotonic()
    while not is_so():
        if time.monotonic() > begin + PATIENCE:
            raise Failed(f"not within {PATIENCE:.0f} s: {what}")
        time.sleep(PAUSE)
    print(f"{time.monotonic() - begin:6.1f} s  {what}", flush=True)


def told(daemon: Child, event: str, **fields: str) -> bool:
    """Whether the daemon has told of this."""
    lines = [json.loads(line) for line in daemon.output().split("\n")[:-1] if line[:1] == "{"]
    wanted = {"event": event, **fields}
    return any(wanted.items() <= line.items() for line in lines)


def main() -> int:
    """Take the interface away and give it back; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    with lan() as net, tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sockd.toml")
        file.write_text(CONFIG, "utf-8")
        net.join()
        ip(f"-n {net.here} link set lan0 multicast off")
        run = [sys.executable, "-m", "sockd.cli", "run", str(file)]
        argv = ["ip", "netns", "exec", net.here, *run]
        with started(argv, pick_cores().server) as daemon:
            daemon.wait_for(re.compile('"event": "started"'), PATIENCE)
            client = Client(net)
            with client.asking():
                change_all(net, daemon)
    print(f"{client.answered:,} answers on loopback, the slowest after {client.longest:.3f} s")
    print(f"{client.failed} not answered")
    return int(bool(client.failed))


def change_all(net: Lan, daemon: Child) -> None:
    """What happens to the interface, in its order."""
    far = (HERE, 7)
    beacon = {"service": "beacon"}
    took("an address that is not there is told", lambda: told(daemon, "retry", service="late"))
    if net.hears():
        print("          without multicast on its interface the beacon is heard all the same")
    ip(f"-n {net.here} link set lan0 multicast on")
    took("with multicast, the beacon is heard", net.hears)
    ip(f"-n {net.here} link del lan0")
    took("gone: the beacon says so", lambda: told(daemon, "failed", reason="cannot_send", **beacon))
    net.join()
    took("there again: the beacon is heard", net.hears)
    took("and says so", lambda: told(daemon, "failed", reason="sends_again", **beacon))
    for kind, name in ((socket.SOCK_STREAM, "connections"), (socket.SOCK_DGRAM, "datagrams")):
        took(f"there again: {name} are answered", partial(net.answers, kind, net.there, far))
    ip(f"-n {net.here} addr add {LATE}/24 dev lan0")
    took("the missing address comes: it is bound", lambda: told(daemon, "retried", service="late"))
    took("and served", lambda: net.answers(socket.SOCK_STREAM, net.there, (LATE, 8)))


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as error:
        sys.exit(f"{error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
