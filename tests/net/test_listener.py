"""Each address of an instance listens, says where, waits its turn where it may, and lets go."""

from __future__ import annotations

import errno
import os
import re
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.internet.threads import deferToThread

from sockd.daemon.instance import InstanceError, RunningInstance, make_instance
from sockd.net.listener import RETRY_SECONDS
from tests.daemons import Daemon, ask, give, namespace, receive_all, run, socket_on
from tests.helpers import LogRecorder, make_settings, make_world
from tests.memory import REACTOR
from tests.processes import NOBODY, PATIENCE, free_port, tcp_says, unix_says

NO_SUCH_ADDRESS = "Cannot assign requested address: no interface of this host has it"
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
INET, INET6 = socket.AF_INET, socket.AF_INET6


class Retimed:
    """The running reactor, with timers on a clock that the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.callLater = self.clock.callLater
        self.seconds = self.clock.seconds

    def __getattr__(self, name: str) -> Any:
        return getattr(REACTOR, name)


class Full(Retimed):
    """The same, while descriptors have run out."""

    def __init__(self) -> None:
        super().__init__()
        self.is_full = True

    def addReader(self, reader: Any) -> None:
        self._need_one()
        REACTOR.addReader(reader)

    def adoptStreamPort(self, *arguments: Any) -> Any:
        self._need_one()
        return REACTOR.adoptStreamPort(*arguments)

    def _need_one(self) -> None:
        if self.is_full:
            raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))


@contextmanager
def instance(*listen: str, clock: Retimed | None = None, **table: Any) -> Iterator[RunningInstance]:
    """An echo instance with these addresses, nothing bound yet."""
    settings = make_settings("echo", list(listen), **table)
    service = make_instance(settings, make_world(clock or REACTOR))
    try:
        yield service
    finally:
        service.stop()


def addresses(log: LogRecorder, event: str = "listening") -> list[str]:
    return [str(one["local"]) for one in log.events(event)]


@contextmanager
def taken(kind: socket.SocketKind = STREAM) -> Iterator[socket.socket]:
    """A port that somebody holds, and that nobody else takes when it is let go."""
    with socket.socket(INET, kind) as sock:
        sock.bind(("127.0.0.1", free_port()))
        if kind == STREAM:
            sock.listen()
        yield sock


async def aside(call: Any, *args: Any) -> Any:
    """A client that blocks, while the reactor turns."""
    done: Deferred[Any] = deferToThread(call, *args)
    return await done


# in one process


def test_the_port_that_the_kernel_chose_is_told(log: LogRecorder) -> None:
    with instance("tcp:0:interface=127.0.0.1", "udp:0:interface=127.0.0.1") as service:
        service.start()
        tcp, udp = service.listeners
        assert addresses(log) == [f"tcp {tcp.address}", f"udp {udp.address}"]
        assert tcp.address == f"127.0.0.1:{tcp.port.getHost().port}"
        assert udp.address == f"127.0.0.1:{udp.port.getHost().port}"
        assert not tcp.address.endswith(":0")


def test_a_required_address_that_is_taken_is_an_error() -> None:
    with taken() as sock, instance(f"tcp:{sock.getsockname()[1]}:interface=127.0.0.1") as service:
        with pytest.raises(InstanceError, match="address in use, held by"):
            service.start()
        assert service.listeners == ()


@pytest.mark.parametrize(("transport", "kind"), [("tcp", STREAM), ("udp", DATAGRAM)])
def test_one_that_is_not_required_is_tried_again_until_it_is_free(
    transport: str, kind: socket.SocketKind, log: LogRecorder
) -> None:
    reactor = Retimed()
    with taken(kind) as sock:
        port = sock.getsockname()[1]
        text = f"{transport}:{port}:interface=127.0.0.1"
        with instance(text, clock=reactor, required=False) as service:
            service.start()
            [event] = log.events("retry")
            assert str(event["local"]) == f"{transport} 127.0.0.1:{port}"
            assert str(event["reason"]).startswith("address in use, held by ")
            assert event["seconds"] == RETRY_SECONDS
            reactor.clock.advance(RETRY_SECONDS)
            sock.close()
            reactor.clock.advance(RETRY_SECONDS - 1)
            assert addresses(log) == []
            reactor.clock.advance(1)
            assert service.listeners[0].is_listening
            [event] = log.events("retried")
            assert (str(event["local"]), event["tries"]) == (f"{transport} 127.0.0.1:{port}", 3)
            assert f"listening on {transport} 127.0.0.1:{port}, at try 3" in log.lines()[-1]
            assert len(log.events("retry")) == 2
            assert reactor.clock.getDelayedCalls() == []


@pytest.mark.parametrize("transport", ["tcp", "udp", "unixgram"])
def test_without_descriptors_an_address_is_let_go_and_tried_again(
    transport: str, tmp_path: Path, log: LogRecorder
) -> None:
    where = f"{tmp_path}/file" if transport == "unixgram" else "0:interface=127.0.0.1"
    full = Full()
    with instance(f"{transport}:{where}", clock=full, required=False) as service:
        service.start()
        assert [one.is_listening for one in service.listeners] == [False]
        assert not service.context.world.state.udp_ports
        assert list(tmp_path.iterdir()) == []
        assert [str(one["reason"]) for one in log.events("retry")] == ["Too many open files"]
        full.is_full = False
        full.clock.advance(RETRY_SECONDS)
        assert [one.is_listening for one in service.listeners] == [True]
        assert len(service.context.world.state.udp_ports) == (transport == "udp")


def test_an_instance_that_stops_tries_no_more() -> None:
    reactor = Retimed()
    with taken() as sock:
        text = f"tcp:{sock.getsockname()[1]}:interface=127.0.0.1"
        with instance(text, clock=reactor, required=False) as service:
            service.start()
            assert len(reactor.clock.getDelayedCalls()) == 1
    assert reactor.clock.getDelayedCalls() == []


@ensureDeferred
async def test_an_address_is_free_again_once_its_instance_has_stopped(tmp_path: Path) -> None:
    port = free_port()
    texts = [f"{kind}:{port}:interface=127.0.0.1" for kind in ("tcp", "udp")]
    texts += [f"unix:{tmp_path}/stream", f"unixgram:{tmp_path}/datagrams"]
    for _ in range(3):
        with instance(*texts) as service:
            service.start()
            assert await aside(tcp_says, port, b"hi") == b"hi"
            assert await aside(unix_says, tmp_path / "stream", b"hi") == b"hi"
            await service.stop()
            assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_a_file_that_has_replaced_ours_stays_when_we_stop(transport: str, tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with instance(f"{transport}:{path}") as service:
        service.start()
        path.unlink()
        path.write_text("somebody else's", "utf-8")
    assert path.read_text("utf-8") == "somebody else's"


def test_a_receive_buffer_that_the_kernel_cuts_is_warned_of_once(log: LogRecorder) -> None:
    texts = [f"udp:0:interface={host}" for host in ("127.0.0.1", "127.0.0.2")]
    with instance(*texts, receive_buffer="64m") as service:
        os.seteuid(NOBODY)  # who may not go beyond net.core.rmem_max
        try:
            service.start()
        finally:
            os.seteuid(0)
    [event] = log.events("warning")
    assert event["reason"].name == "receive_buffer"
    assert event["reason"].values["wanted"] == 64 * 1024**2


# on a host of its own


@pytest.fixture(scope="module")
def host() -> Iterator[str]:
    """A host with every port free and more than one address."""
    with namespace() as name:
        for address in ("10.9.9.1/32", "10.9.9.2/32", "fd99::1/128", "fd99::2/128"):
            give(name, address, "lo")
        yield name


def answer(host: str, address: str, kind: socket.SocketKind, port: int = 7) -> bytes:
    """What the echo service at an address answers; from another one an answer does not count."""
    family = INET6 if ":" in address else INET
    with socket_on(host, family, kind) as sock:
        sock.connect((address, port))
        if kind == STREAM:
            return ask(sock, b"hi")
        sock.send(b"hi")
        return sock.recv(100)


def test_localhost_and_the_star_stand_for_both_families(host: str, tmp_path: Path) -> None:
    text = """
[service.echo]
listen = ["tcp:7:interface=localhost", "udp:7:interface=localhost",
          "tcp:8:interface=*", "udp:8:interface=*"]
"""
    with Daemon(tmp_path, text, namespace=host) as daemon:
        assert [
            (one["transport"], one["local_address"], one["local_port"])
            for one in daemon.events("listening")
        ] == [
            *(("tcp", "127.0.0.1", 7), ("tcp", "::1", 7)),
            *(("udp", "127.0.0.1", 7), ("udp", "::1", 7)),
            *(("tcp", "0.0.0.0", 8), ("tcp", "::", 8)),
            *(("udp", "0.0.0.0", 8), ("udp", "::", 8)),
        ]
        for kind in (STREAM, DATAGRAM):
            for address in ("127.0.0.1", "::1"):
                assert answer(host, address, kind) == b"hi"
            for address in ("127.0.0.1", "::1", "10.9.9.2", "fd99::2"):
                assert answer(host, address, kind, port=8) == b"hi"
        with pytest.raises(ConnectionRefusedError):
            answer(host, "10.9.9.2", STREAM)


def test_a_datagram_is_answered_from_the_address_that_was_asked(host: str, tmp_path: Path) -> None:
    text = "[service.echo]\nlisten = ['udp:7:interface=*']"
    with Daemon(tmp_path, text, namespace=host):
        for address in ("10.9.9.1", "10.9.9.2", "127.0.0.5", "fd99::1", "fd99::2"):
            family = INET6 if ":" in address else INET
            with socket_on(host, family, DATAGRAM) as sock:
                sock.sendto(b"hi", (address, 7))
                data, source = sock.recvfrom(100)
                assert (data, source[:2]) == (b"hi", (address, 7))


@pytest.fixture(scope="module")
def host_without_ipv6() -> Iterator[str]:
    """A host on which IPv6 is switched off."""
    with namespace() as name:
        switch = "net.ipv6.conf.all.disable_ipv6=1"
        run("ip", "netns", "exec", name, "sysctl", "-q", "-w", switch)
        yield name


def test_without_ipv6_what_a_name_without_a_family_stands_for_is_skipped_with_a_warning(
    host_without_ipv6: str, tmp_path: Path
) -> None:
    text = "[service.echo]\nlisten = ['tcp:7:interface=localhost', 'udp:7:interface=*']"
    with Daemon(tmp_path, text, namespace=host_without_ipv6) as daemon:
        assert [
            (one["level"], one["transport"], one["local_address"], one["reason"], one["detail"])
            for one in daemon.events("skipped")
        ] == [
            ("warn", "tcp", "::1", "listen_error", NO_SUCH_ADDRESS),
            ("warn", "udp", "::", "listen_error", "IPv6 is off on this host"),
        ]
        assert answer(host_without_ipv6, "127.0.0.1", STREAM) == b"hi"
        assert answer(host_without_ipv6, "127.0.0.1", DATAGRAM) == b"hi"


@pytest.mark.parametrize(
    ("listen", "message"),
    [
        ("tcp:7:interface=[::1]", f"tcp [::1]:7: {NO_SUCH_ADDRESS}"),
        ("udp:7:interface=[::1]", f"udp [::1]:7: {NO_SUCH_ADDRESS}"),
        ("tcp6:7", "tcp [::]:7: IPv6 is off on this host"),
        ("udp:7:interface=[::]", "udp [::]:7: IPv6 is off on this host"),
    ],
)
def test_without_ipv6_an_address_of_it_that_was_asked_for_is_an_error(
    listen: str, message: str, host_without_ipv6: str, tmp_path: Path
) -> None:
    text = f"[service.echo]\nlisten = ['{listen}']"
    daemon = Daemon(tmp_path, text, namespace=host_without_ipv6)
    with pytest.raises(AssertionError, match="the daemon did not start"):
        daemon.start()
    assert daemon.text() == f"echo: cannot listen on {message}\nsockd: not started\n"


# when it is killed


def test_socket_files_of_a_daemon_that_was_killed_do_not_block_the_next(tmp_path: Path) -> None:
    text = """
[service.wrap]
listen = ["unix:${RUNTIME}/wrap.sock"]
[service.localtime]
listen = ["unixgram:${RUNTIME}/localtime.sock"]
"""
    daemon = Daemon(tmp_path, text)
    files = [daemon.runtime / "wrap.sock", daemon.runtime / "localtime.sock"]
    for _ in range(3):
        daemon.start()
        daemon.kill()
        assert all(file.is_socket() for file in files)
        daemon.log.unlink()
    with daemon:
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(PATIENCE)
            sock.connect(str(files[0]))
            sock.sendall(b"a  text\n")
            sock.shutdown(socket.SHUT_WR)
            assert receive_all(sock) == b"a text\r\n"
        assert all(file.is_socket() for file in files)
    assert not any(file.exists() for file in files)


def test_a_daemon_that_lives_is_not_robbed_of_its_socket_files(tmp_path: Path) -> None:
    text = "[service.wrap]\n[service.localtime]"
    with Daemon(tmp_path, text) as first:
        second = Daemon(tmp_path, text)
        with pytest.raises(AssertionError, match="the daemon did not start"):
            second.start()
        held = rf"another process listens there, held by \S+ \(process {first.pid}\)"
        lines = second.text().splitlines()
        assert lines[-1] == "sockd: not started"
        for line, what in zip(lines[:-1], ("unix", "unixgram"), strict=True):
            assert f"cannot listen on {what} " in line
            assert re.search(held, line)
        assert unix_says(first.runtime / "wrap.sock", b"hi\n") == b"hi\r\n"
