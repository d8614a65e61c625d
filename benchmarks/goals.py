"""What sockd is to bear, each with the figure that was measured here.

    python -m benchmarks.goals [SECONDS]

The daemon on one core, the load on another; SECONDS (60) is how long datagrams are echoed. It needs
what `make bench-tools` makes. Exit codes: 0 all is borne; 1 something is not.
"""

from __future__ import annotations

import json
import re
import selectors
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from attrs import frozen

from benchmarks.certificate import certificate
from benchmarks.machine import allow_descriptors, pick_cores
from benchmarks.processes import Child, Failed, free_port, started
from benchmarks.roster import BUILT
from sockd.config.settings import default_instances
from sockd.service import find

SECONDS = 60.0
SOCKD = [str(Path(sys.executable).with_name("sockd")), "run"]
PATIENCE = 120.0
"""Seconds until what should come does not."""
LOOPBACK = "interface=127.0.0.1"
RESIDENT = 4_096, 40_960
"""Bytes that an idle connection may take, in the clear and in TLS."""
BURST, BURST_BYTES = 2_000, 512
SESSIONS = 1_000
AT_ONCE = 1_000
MOST = 100
"""Connections that a service takes, where AT_ONCE come."""
BUFFER = 8 << 20
"""Bytes of a client's receive buffer: the answers to a burst."""
FOR_A_LOAD = """
[defaults]
trusted = []
max_connections = 20000
max_connections_per_source = 20000
connect_rate = "1000000/s"
reply_rate = "1000000/s"
log_connections = false
"""
"""All guards are on, and the load is one source, which is counted as a stranger's."""


@frozen
class Goal:
    """What is to be borne, and whether it was."""

    name: str
    wanted: str
    measured: str
    is_reached: bool


@frozen
class Here:
    """Where it is measured."""

    server: int
    load: int
    certificate: str
    seconds: float

    @contextmanager
    def daemon(self, config: str) -> Iterator[Child]:
        """A daemon with a configuration, which has begun to serve."""
        with tempfile.TemporaryDirectory() as folder:
            file = Path(folder, "sockd.toml")
            file.write_text(config, "utf-8")
            with started([*SOCKD, str(file)], self.server) as daemon:
                daemon.wait_for(re.compile(r"runs \d+ service"), PATIENCE)
                yield daemon

    @contextmanager
    def loading(self, *arguments: str) -> Iterator[Child]:
        """The load generator."""
        with started([str(BUILT / "load"), *arguments], self.load) as load:
            yield load

    def load_of(self, mode: str, service: str, listen: str, seconds: float) -> dict[str, float]:
        """What the load generator says of a service."""
        port = free_port()
        config = f'{FOR_A_LOAD}[service.{service}]\nlisten = ["{listen.format(port=port)}"]\n'
        with (
            self.daemon(config),
            self.loading(mode, "--port", str(port), "--seconds", str(seconds)) as load,
        ):
            found: dict[str, float] = json.loads(load.finish(seconds + PATIENCE))
            return found


def idle(here: Here, mode: str, count: int, most: int) -> Goal:
    """Memory of connections that do nothing."""
    port = free_port()
    secure = f":privateKey={here.certificate}:certKey={here.certificate}"
    listen = f"ssl:{port}{secure}:{LOOPBACK}" if mode == "tls-idle" else f"tcp:{port}:{LOOPBACK}"
    config = f'{FOR_A_LOAD}[service.echo]\nlisten = ["{listen}"]\n'
    with here.daemon(config) as daemon:
        before = daemon.resident()
        with here.loading(mode, "--connections", str(count), "--port", str(port)) as load:
            load.wait_for(re.compile("^ready$", re.MULTILINE), PATIENCE)
            each = (daemon.resident() - before) / count
    name = f"{count:,} idle {'TLS' if 'tls' in mode else 'TCP'} connections"
    return Goal(name, f"{most:,} B each", f"{each:,.0f} B each", each <= most)


def datagrams(here: Here) -> Goal:
    """Echo of datagrams with every guard on: none is lost."""
    found = here.load_of("udp", "echo", f"udp:{{port}}:{LOOPBACK}", here.seconds)
    measured = f"{found['loss']:.4%} of {found['count']:,.0f} lost, {found['late']:.0f} late"
    return Goal(f"UDP echo for {here.seconds:g} s", "no loss", measured, not found["loss"])


def burst(here: Here) -> Goal:
    """Many datagrams at once, all of which are answered."""
    port = free_port()
    config = f'{FOR_A_LOAD}[service.echo]\nlisten = ["udp:{port}:{LOOPBACK}"]\n'
    with here.daemon(config), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        for option in (socket.SO_RCVBUF, 33):  # SO_RCVBUFFORCE, which takes a right
            with suppress(PermissionError):
                sock.setsockopt(socket.SOL_SOCKET, option, BUFFER)
        sock.connect(("127.0.0.1", port))
        for number in range(BURST):
            sock.send(b"%0*d" % (BURST_BYTES, number))
        sock.settimeout(5.0)
        heard: set[bytes] = set()
        with suppress(TimeoutError):
            while len(heard) < BURST:
                heard.add(sock.recv(BURST_BYTES))
    what = f"a burst of {BURST:,} x {BURST_BYTES} bytes"
    return Goal(what, "whole", f"{len(heard):,} answered", len(heard) == BURST)


def handshakes(here: Here) -> Goal:
    """Full TLS handshakes."""
    secure = f":privateKey={here.certificate}:certKey={here.certificate}"
    rate = here.load_of("tls-handshake", "daytime", f"ssl:{{port}}{secure}:{LOOPBACK}", 3.0)["rate"]
    return Goal("TLS handshakes", "500/s", f"{rate:,.0f}/s", rate >= 500)


def chat(here: Here) -> Goal:
    """Many users, some of whom talk in one channel."""
    port = free_port()
    ours = f'listen = ["udp:{port}:{LOOPBACK}"]\nlisten_multicast = ["udp:0:{LOOPBACK}"]'
    config = (
        f'{FOR_A_LOAD}[service.chat]\n{ours}\nevent_rate = "1000000/s"\nevent_burst = 1000000\n'
    )
    mode = ("chat-load", "--users", "20000", "--members", "1000", "--rate", "20")
    with here.daemon(config), here.loading(*mode, "--port", str(port), "--seconds", "10") as load:
        load.wait_for(re.compile("^done$", re.MULTILINE), 2 * PATIENCE)
        load.close_input()
        found = json.loads(load.finish(PATIENCE).splitlines()[-1])
    p99 = found["p99_us"] / 1e3
    name = "chat: 20,000 users, 1,000 in a channel with 20 messages/s"
    measured = f"p99 {p99:.1f} ms, {found['loss']:.4%} lost"
    return Goal(name, "p99 of delivery 50 ms", measured, p99 <= 50 and not found["loss"])


def start(here: Here) -> Goal:
    """From the command to the first answer, with all that is built in."""
    port = free_port()
    lines = []
    for name, (kind, instance) in default_instances(find()).items():
        lines += [f"[service.{name}]", f'kind = "{kind.name}"']
        for key, listen in instance.listens().items():
            free = [re.sub(r"^(tcp|udp):\d+", r"\1:0", one) for one in listen]
            where = [f"tcp:{port}:{LOOPBACK}"] if name == "daytime" else free
            lines.append(f"{key} = {json.dumps(where)}")
        lines += [f"{key} = {json.dumps(value)}" for key, value in instance.settings.items()]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "sockd.toml")
        file.write_text("\n".join(lines), "utf-8")
        begin = time.monotonic()
        with started([*SOCKD, str(file)], here.server) as daemon:
            daemon.wait_for_port(port, PATIENCE)
            seconds = time.monotonic() - begin
            waited = daemon.waited_seconds()
    measured = f"{seconds:.2f} s, of which it waited {waited:.2f} s for its processor"
    return Goal("serving after the start", "1 s", measured, seconds - waited <= 1)


def stop(here: Here) -> Goal:
    """From the signal to the end: half are in the middle of a line, half do not read."""
    ports = free_port(), free_port()
    config = FOR_A_LOAD + "".join(
        f'[service.{name}]\nlisten = ["tcp:{port}:{LOOPBACK}"]\n'
        for name, port in zip(("reverse", "chargen"), ports, strict=True)
    )
    with here.daemon(config) as daemon, ExitStack() as stack:
        for number in range(SESSIONS):
            address = "127.0.0.1", ports[number % 2]
            sock = stack.enter_context(socket.create_connection(address, PATIENCE))
            sock.sendall(b"hello\nhalf a line")
            sock.recv(1)
        begin = time.monotonic()
        signal.pidfd_send_signal(daemon.handle, signal.SIGTERM)
        daemon.code(PATIENCE)
        seconds = time.monotonic() - begin
    what = f"stopped with {SESSIONS:,} sessions, half of which do not read"
    return Goal(what, "5 s", f"{seconds:.2f} s", seconds <= 5)


def connections(here: Here) -> Goal:
    """As many connections as are allowed, and not one more, where many come at once."""
    port = free_port()
    config = f"{FOR_A_LOAD}[service.echo]\nmax_connections = {MOST}\n"
    config += f'listen = ["tcp:{port}:{LOOPBACK}:backlog={AT_ONCE}"]\n'
    with here.daemon(config), ExitStack() as stack:
        socks = [stack.enter_context(socket.socket()) for _ in range(AT_ONCE)]
        for sock in socks:
            sock.setblocking(False)
            sock.connect_ex(("127.0.0.1", port))
        served, ended = answered(socks)
    name = f"{AT_ONCE:,} connects at once, max_connections = {MOST}"
    return Goal(name, f"{MOST} served", f"{served} served, {ended} ended", served == MOST)


def answered(socks: list[socket.socket]) -> tuple[int, int]:
    """Ask on each: how many are answered, and how many are ended."""
    found = {True: 0, False: 0}
    with selectors.DefaultSelector() as waiting:
        for one in socks:
            waiting.register(one, selectors.EVENT_WRITE)
        while waiting.get_map():
            ready = waiting.select(PATIENCE)
            if not ready:
                raise Failed(f"{len(waiting.get_map())} are neither answered nor ended")
            for key, event in ready:
                sock = key.fileobj
                assert isinstance(sock, socket.socket)
                with suppress(OSError):
                    if event == selectors.EVENT_WRITE and sock.send(b"?"):
                        waiting.modify(sock, selectors.EVENT_READ)
                        continue
                waiting.unregister(sock)
                found[is_served(sock)] += 1
    return found[True], found[False]


def is_served(sock: socket.socket) -> bool:
    """Whether it was answered, and has not been ended."""
    try:
        return sock.recv(1) == b"?"
    except OSError:
        return False


GOALS: tuple[Callable[[Here], Goal], ...] = (
    start,
    lambda here: idle(here, "idle", 10_000, RESIDENT[0]),
    lambda here: idle(here, "tls-idle", 2_000, RESIDENT[1]),
    handshakes,
    burst,
    connections,
    stop,
    chat,
    datagrams,
)


def main(seconds: float) -> int:
    """Measure each; the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    allow_descriptors(24_000)
    cores = pick_cores()
    missed = 0
    with certificate() as file:
        here = Here(cores.server, cores.load, file, seconds)
        for measure in GOALS:
            goal = measure(here)
            missed += not goal.is_reached
            mark = "ok    " if goal.is_reached else "MISSED"
            print(f"{mark} {goal.name}: {goal.measured} (wanted: {goal.wanted})", flush=True)
    return int(bool(missed))


if __name__ == "__main__":
    try:
        sys.exit(main(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
    except Failed as error:
        sys.exit(f"it could not be measured: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)
