"""What the tests of security and reliability share: a watched daemon, sockets on other hosts.

A host is a network namespace. `on` runs a function there, and the sockets that it makes stay there
for good, whoever uses them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import selectors
import signal
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

from tests.daemons import REACTOR, Daemon, children, descriptors, run
from tests.processes import PATIENCE, Running, running, wait_until

T = TypeVar("T")
_CLONE_NEWNET = 0x40000000
SETTLE_SECONDS = 120.0
"""How long a daemon may take to let go of what its clients left: there may be work in it."""


class Watched(Daemon):
    """A daemon that at the end, its clients gone, has the descriptors that it began with."""

    spare_descriptors = 0
    """Descriptors that it may keep, such as the pipes of a worker."""
    _at_first = 0

    def start(self) -> None:
        super().start()
        # libuv opens one more with its first connection, for when there are none left
        self._at_first = descriptors(self.pid) + (os.environ[REACTOR] == "uvloop")

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self.process is not None
        if error is None and self.process.poll() is None:
            try:
                self.settle()
            except BaseException:
                self.stop()
                raise
        super().__exit__(kind, error, trace)

    def settle(self) -> None:
        """Wait until nothing is left of its clients: no descriptor, no zombie."""
        wait_until(
            lambda: descriptors(self.pid) <= self._at_first + self.spare_descriptors,
            f"descriptors are back to {self._at_first}",
            SETTLE_SECONDS,
        )
        wait_until(lambda: not self.zombies(), "no zombie is left", SETTLE_SECONDS)

    def zombies(self) -> list[int]:
        """Children that ended and were not reaped."""
        return [pid for pid in children(self.pid) if _state(pid) == "Z"]

    def memory(self) -> int:
        """Bytes of memory in use (resident)."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf(
            "SC_PAGE_SIZE"
        )

    def worked_seconds(self) -> float:
        """Time that its main thread has been on a processor, to the nanosecond."""
        return int(Path(f"/proc/{self.pid}/schedstat").read_text().split()[0]) / 1e9

    def sleeps(self) -> bool:
        """Whether its main thread waits for something to do: it works not, and was not stopped."""
        state = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()[0]
        return state == "S"

    def cpu_seconds(self) -> float:
        """CPU time used so far."""
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):  # it ended before it was read
        return ""


def is_alive(pid: int) -> bool:
    """Whether there is such a process, and it has not ended."""
    return _state(pid) not in ("", "Z")


@contextmanager
def paused(pid: int) -> Iterator[None]:
    """A process does nothing while the block runs: it finds all at once what came meanwhile."""
    os.kill(pid, signal.SIGSTOP)
    try:
        wait_until(lambda: _state(pid) == "T", "it has stopped")
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


# hosts


def on(host: str, make: Callable[[], T]) -> T:
    """Run a function on a host: in a thread of its own that has entered the namespace.

    The host "" is this one.
    """
    if not host:
        return make()
    result: list[T] = []
    errors: list[BaseException] = []

    def work() -> None:
        try:
            with Path("/run/netns", host).open() as namespace:
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.setns(namespace.fileno(), _CLONE_NEWNET):
                    number = ctypes.get_errno()
                    raise OSError(number, os.strerror(number))
            result.append(make())
        except BaseException as error:  # noqa: BLE001 - the caller's to handle, in its own thread
            errors.append(error)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    for error in errors:
        raise error
    return result[0]


def add_addresses(host: str, addresses: Sequence[str]) -> None:
    """More addresses for the card of a host that `two_hosts` made."""
    card = run("ip", "-n", host, "-o", "link", "show", "type", "veth").split(": ")[1]
    for address in addresses:
        run("ip", "-n", host, "addr", "add", f"{address}/24", "dev", card.partition("@")[0])


def connect(host: str, address: tuple[str, int], source: str = "") -> socket.socket:
    """A TCP connection from a host, perhaps from one of its addresses."""
    start = (source, 0) if source else None
    return on(host, lambda: socket.create_connection(address, PATIENCE, source_address=start))


def udp(host: str, address: tuple[str, int] = ("", 0)) -> socket.socket:
    """A UDP socket on a host, with a timeout."""

    def make() -> socket.socket:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family, socket.SOCK_DGRAM)
        sock.settimeout(PATIENCE)
        sock.bind(address)
        return sock

    return on(host, make)


@contextmanager
def hosts_file(host: str, name: str, content: bytes) -> Iterator[None]:
    """A file of /etc that a host has for itself, where `ip netns exec` lays it over the other."""
    folder = Path("/etc/netns", host)
    folder.mkdir(parents=True)
    file = folder / name
    try:
        file.write_bytes(content)
        yield
    finally:
        file.unlink(missing_ok=True)
        folder.rmdir()
        with contextlib.suppress(OSError):  # others are there
            folder.parent.rmdir()


# datagrams made by hand


def forged(source: tuple[str, int], target: tuple[str, int], data: bytes) -> bytes:
    """An IPv4 packet with a UDP datagram that says it comes from `source`."""
    datagram = struct.pack("!HHHH", source[1], target[1], 8 + len(data), 0) + data
    header = struct.pack(
        "!BBHHHBBH4s4s",
        0x45,
        0,
        20 + len(datagram),
        0,
        0,
        64,
        socket.IPPROTO_UDP,
        0,
        socket.inet_aton(source[0]),
        socket.inet_aton(target[0]),
    )
    checksum = _checksum(header)
    return header[:10] + struct.pack("!H", checksum) + header[12:] + datagram


def _checksum(header: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(header) // 2}H", header))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def raw_sender(host: str) -> socket.socket:
    """A socket that sends whole IPv4 packets from a host."""
    return on(host, lambda: socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW))


def sniffer(host: str, interface: str = "lo") -> socket.socket:
    """A socket that hears every packet that arrives on a host's interface."""

    def make() -> socket.socket:
        everything = socket.htons(3)  # ETH_P_ALL
        sock = socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, everything)
        sock.setsockopt(socket.SOL_SOCKET, 33, 32 * 1024 * 1024)  # SO_RCVBUFFORCE
        sock.bind((interface, 3))
        return sock

    return on(host, make)


Datagram = tuple[str, int, str, int, bytes]
"""Source host and port, target host and port, data."""


def heard(sock: socket.socket, seconds: float) -> list[Datagram]:
    """The UDP datagrams (IPv4, whole) that a sniffer hears arriving until `seconds` from now."""
    found = []
    until = time.monotonic() + seconds
    # what has arrived is taken, however late it is by the time that somebody looks
    while time.monotonic() < until + PATIENCE:
        sock.settimeout(max(until - time.monotonic(), 0.0))
        try:
            packet, address = sock.recvfrom(65_535)
        except (TimeoutError, BlockingIOError):
            break
        if address[2] != socket.PACKET_OUTGOING and packet[0] >> 4 == 4:
            start = (packet[0] & 15) * 4
            if packet[9] == socket.IPPROTO_UDP:
                source, target, size = struct.unpack("!HHH", packet[start : start + 6])
                here, there = (socket.inet_ntoa(packet[at : at + 4]) for at in (12, 16))
                found.append((here, source, there, target, packet[start + 8 : start + size]))
    return found


# connections in numbers


def small_clients(address: tuple[str, int], count: int) -> list[socket.socket]:
    """Connections with little room in their kernel: what is not read stays with the daemon."""
    socks = []
    for _ in range(count):
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)
        sock.settimeout(PATIENCE)
        sock.connect(address)
        socks.append(sock)
    return socks


def send_unread(daemon: Watched, socks: Sequence[socket.socket], data: bytes) -> None:
    """Send the data on every connection until the daemon takes no more, and read nothing."""
    left: dict[Any, memoryview] = dict.fromkeys(socks, memoryview(data))
    until = time.monotonic() + PATIENCE
    with selectors.DefaultSelector() as selector:
        for sock in socks:
            sock.setblocking(False)
            selector.register(sock, selectors.EVENT_WRITE)
        while selector.get_map() and time.monotonic() < until:
            ready = selector.select(0.3)
            if not ready and daemon.sleeps() and not selector.select(0):
                return  # it does not want what is there; a daemon that stands still may yet
            for key, _ in ready:
                one: Any = key.fileobj
                try:
                    left[one] = left[one][one.send(left[one]) :]
                except BlockingIOError:
                    continue
                if not left[one]:
                    selector.unregister(one)


def reset(sock: socket.socket) -> None:
    """Leave without a word: the connection is reset, whatever is on its way.

    After an ordinary close the other end cannot tell that nobody reads any more, until it writes.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def closed_at(sock: socket.socket, seconds: float) -> float:
    """Read to the end; the seconds until it came. Fails where it does not come in time."""
    start = time.monotonic()
    until = start + seconds
    while True:
        sock.settimeout(max(until - time.monotonic(), 0.001))
        try:
            if not sock.recv(65_536):
                return time.monotonic() - start
        except ConnectionResetError:
            return time.monotonic() - start


def most_memory(daemon: Watched, seconds: float) -> int:
    """The most that the daemon holds at once within the time."""
    until = time.monotonic() + seconds
    most = 0
    while time.monotonic() < until:
        most = max(most, daemon.memory())
        time.sleep(0.02)
    return most


# other programs


def program(*command: str, host: str = "") -> AbstractContextManager[Running]:
    """A process that is ended at the end."""
    prefix = ("ip", "netns", "exec", host) if host else ()
    return running([*prefix, *command])
