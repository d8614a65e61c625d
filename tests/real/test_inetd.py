"""The same questions to openbsd-inetd and to sockd, each on a host of its own, on the real ports.

Where the two differ, a test of its own says how, and that it is meant.
"""

from __future__ import annotations

import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest

from tests.daemons import Daemon, receive_all, socket_on, two_hosts
from tests.processes import PATIENCE

PORTS = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}
INETD = "".join(
    f"{name} stream tcp nowait root internal\n{name} dgram udp wait root internal\n"
    for name in PORTS
)
SOCKD = '[defaults]\ntrusted = ["10.77.0.0/24", "fd77::/64"]\n' + "".join(
    f'[service.{name}]\nlisten = ["tcp:{port}:interface=*", "udp:{port}:interface=*"]\n'
    for name, port in PORTS.items()
)
INETD_DATAGRAM = 4096
"""Bytes of a datagram that inetd reads; the rest is lost."""
LINE = 74
"""Bytes of a line of chargen, its end too."""
RANDOM = random.Random(862)


class Server:
    """One of the two, as its clients on the neighbouring host see it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.family = socket.AF_INET

    def on(self, family: int) -> Server:
        server = Server(self.host)
        server.family = socket.AF_INET6 if family else socket.AF_INET
        return server

    def connect(self, service: str) -> socket.socket:
        return self.open(service, socket.SOCK_STREAM)

    def stream(self, service: str, data: bytes = b"") -> bytes:
        """What comes for these bytes, to the end, once the client's half is closed."""
        with self.connect(service) as sock:
            answer = b""
            # less than the windows hold, so that neither side waits for the other
            for start in range(0, len(data), 4096):
                sock.sendall(data[start : start + 4096])
                if service == "echo":
                    while len(answer) < min(start + 4096, len(data)):
                        answer += sock.recv(65536)
            sock.shutdown(socket.SHUT_WR)
            return answer + receive_all(sock)

    def datagram(self, service: str, data: bytes = b"") -> bytes:
        """The datagram that answers this one."""
        with self.open(service, socket.SOCK_DGRAM) as sock:
            sock.send(data)
            return sock.recv(65535)

    def open(self, service: str, kind: int) -> socket.socket:
        sock = socket_on(self.host, self.family, kind)
        address = "fd77::1" if self.family == socket.AF_INET6 else "10.77.0.1"
        try:
            sock.connect((address, PORTS[service]))
        except OSError:
            sock.close()
            raise
        return sock


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Server, Server]]:
    folder = tmp_path_factory.mktemp("inetd")
    with ExitStack() as stack:
        host, neighbour = stack.enter_context(two_hosts())
        stack.enter_context(Daemon(folder, SOCKD, namespace=host))
        inetd_host, inetd_neighbour = stack.enter_context(two_hosts())
        config = folder / "inetd.conf"
        config.write_text(INETD)
        process = subprocess.Popen(
            ["ip", "netns", "exec", inetd_host, "inetd", "-i", "-R", "100000", str(config)]
        )
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.terminate)
        inetd = Server(inetd_neighbour)
        await_listening(inetd)
        yield inetd, Server(neighbour)


def await_listening(inetd: Server) -> None:
    until = time.monotonic() + PATIENCE
    while True:
        try:
            inetd.stream("time")  # the last one in its configuration
            inetd.on(1).stream("time")
        except ConnectionRefusedError:
            assert time.monotonic() < until, "inetd does not listen"
            time.sleep(0.02)
        else:
            return


@pytest.fixture(params=["IPv4", "IPv6"])
def inetd(request: pytest.FixtureRequest, servers: tuple[Server, Server]) -> Server:
    return servers[0].on(request.param == "IPv6")


@pytest.fixture
def sockd(inetd: Server, servers: tuple[Server, Server]) -> Server:
    """Over the same family as inetd."""
    return servers[1].on(inetd.family == socket.AF_INET6)


@pytest.mark.parametrize("size", [0, 1, 2, 73, 1448, 1449, 4096, 8191, 16385, 65536])
def test_echo_streams_are_the_same(inetd: Server, sockd: Server, size: int) -> None:
    data = RANDOM.randbytes(size)
    assert inetd.stream("echo", data) == sockd.stream("echo", data) == data


@pytest.mark.parametrize("size", [0, 1, 2, 73, 512, 1472, 1473, INETD_DATAGRAM])
def test_echo_datagrams_are_the_same(inetd: Server, sockd: Server, size: int) -> None:
    data = RANDOM.randbytes(size)
    assert inetd.datagram("echo", data) == sockd.datagram("echo", data) == data


@pytest.mark.parametrize("size", [INETD_DATAGRAM + 1, 9000, 65507])
def test_echo_sends_back_whole_the_datagrams_that_inetd_cuts(
    inetd: Server, sockd: Server, size: int
) -> None:
    """They differ: RFC 862 has the data received sent back, and says nothing of 4096 bytes."""
    data = RANDOM.randbytes(size)
    assert inetd.datagram("echo", data) == data[:INETD_DATAGRAM]
    assert sockd.datagram("echo", data) == data


def test_discard_says_nothing_and_takes_everything(inetd: Server, sockd: Server) -> None:
    data = RANDOM.randbytes(65536)
    assert inetd.stream("discard", data) == sockd.stream("discard", data) == b""
    for server in (inetd, sockd):
        with server.open("discard", socket.SOCK_DGRAM) as sock:
            for size in (0, 1, 512):
                sock.send(bytes(size))
            sock.settimeout(0.3)
            with pytest.raises(TimeoutError):
                sock.recv(65535)


def chargen(server: Server, lines: int) -> bytes:
    """The first lines of a stream that is then cut off."""
    text = b""
    with server.connect("chargen") as sock:
        while len(text) < lines * LINE:
            text += sock.recv(65536)
    return text[: lines * LINE]


def test_chargen_streams_begin_with_the_same_lines(inetd: Server, sockd: Server) -> None:
    assert chargen(inetd, 500) == chargen(sockd, 500)


@pytest.mark.parametrize("size", [0, 1, LINE, 512, 1400])
def test_chargen_datagrams_are_never_longer_than_what_they_answer(
    inetd: Server, sockd: Server, size: int
) -> None:
    """They differ: inetd sends a line for any datagram, so a forged empty one is worth 74 bytes."""
    pattern = chargen(sockd, 95)
    line = inetd.datagram("chargen", bytes(size))
    assert line in {pattern[start : start + LINE] for start in range(0, len(pattern), LINE)}
    assert sockd.datagram("chargen", bytes(size)) == pattern[: min(size, 512)]


def at_once(
    ask: Callable[[Server, str], bytes], service: str, *servers: Server
) -> tuple[bytes, ...]:
    """What each server answers within one second, or the last of some tries where they differ.

    inetd's clock, the kernel's for time(), is up to a tick late: just after a second begins it
    still tells the one before.
    """
    for _ in range(20):
        answers = tuple(ask(server, service) for server in servers)
        if len(set(answers)) == 1:
            break
    return answers


@pytest.mark.parametrize("ask", [Server.stream, Server.datagram])
def test_daytime_is_the_same_line(
    inetd: Server, sockd: Server, ask: Callable[[Server, str], bytes]
) -> None:
    theirs, ours = at_once(ask, "daytime", inetd, sockd)
    assert ours == theirs
    assert time.strptime(ours.decode("ascii"), "%a %b %d %H:%M:%S %Y\r\n")
    assert len(ours) == len(b"Sat Jun 17 18:06:14 2000\r\n")


@pytest.mark.parametrize("ask", [Server.stream, Server.datagram])
def test_time_is_the_same_number(
    inetd: Server, sockd: Server, ask: Callable[[Server, str], bytes]
) -> None:
    theirs, ours = at_once(ask, "time", inetd, sockd)
    assert ours == theirs
    assert len(ours) == 4


def test_a_stream_that_says_one_thing_ends_by_itself(inetd: Server, sockd: Server) -> None:
    for server in (inetd, sockd):
        for service in ("daytime", "time"):
            with server.connect(service) as sock:
                assert receive_all(sock)


def test_many_datagrams_of_every_size_come_back_in_order(inetd: Server, sockd: Server) -> None:
    sizes = [RANDOM.randrange(1400) for _ in range(200)]
    data = [RANDOM.randbytes(size) for size in sizes]
    answers = []
    for server in (inetd, sockd):
        with server.open("echo", socket.SOCK_DGRAM) as sock:
            got = []
            for one in data:
                sock.send(one)
                got.append(sock.recv(65535))
            answers.append(got)
    assert answers[0] == answers[1] == data
