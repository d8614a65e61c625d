"""A listen string becomes a bound socket, or a sentence that says why there is none."""

from __future__ import annotations

import os
import socket
import stat
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sockd.listen.runtime import make_runtime_directory
from sockd.listen.sockets import ListenError, aim, bound, failures, file_identity, unlink_own, widen
from sockd.listen.strings import expand, parse
from sockd.options.runtime import runtime_directory
from tests.daemons import namespace
from tests.processes import NOBODY, free_port, run

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM
LOCAL = [("unix", STREAM), ("unixgram", DATAGRAM)]


def why(text: str) -> str:
    """The sentence that a listen string fails with."""
    with pytest.raises(ListenError) as caught:
        bound(parse(text))
    return str(caught.value)


@contextmanager
def umask(mask: int) -> Iterator[None]:
    before = os.umask(mask)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def somebody_at(path: Path, kind: socket.SocketKind = STREAM) -> Iterator[socket.socket]:
    """A live socket of somebody else."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.bind(str(path))
        if kind == STREAM:
            sock.listen(1)
        yield sock


# socket files


@pytest.mark.parametrize("mask", [0o077, 0o000, 0o777])
@pytest.mark.parametrize("mode", [0o600, 0o660, 0o666, 0o640, 0o777])
@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_a_socket_file_has_exactly_its_mode_whatever_the_umask(
    transport: str, mode: int, mask: int, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with umask(mask), bound(parse(f"{transport}:{path}:mode={mode:o}")):
        assert stat.S_IMODE(path.stat().st_mode) == mode


def test_a_socket_file_is_for_its_owner_and_group_where_nothing_is_said(tmp_path: Path) -> None:
    with bound(parse(f"unix:{tmp_path}/socket")):
        assert stat.S_IMODE((tmp_path / "socket").stat().st_mode) == 0o660


@pytest.mark.parametrize("dead", [STREAM, DATAGRAM])
@pytest.mark.parametrize(("transport", "kind"), LOCAL)
def test_a_dead_socket_is_replaced(
    transport: str, kind: socket.SocketKind, dead: socket.SocketKind, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with somebody_at(path, dead):
        before = file_identity(str(path))
        holds_the_inode = os.open(path, os.O_PATH)
    try:
        with (
            bound(parse(f"{transport}:{path}")),
            socket.socket(socket.AF_UNIX, kind) as client,
        ):
            client.connect(str(path))
            assert file_identity(str(path)) != before
    finally:
        os.close(holds_the_inode)


@pytest.mark.parametrize("alive", [STREAM, DATAGRAM])
@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_a_live_socket_is_refused_and_stays(
    transport: str, alive: socket.SocketKind, tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    with somebody_at(path, alive), socket.socket(socket.AF_UNIX, alive) as client:
        assert why(f"{transport}:{path}") == (
            f"cannot listen on {transport} {path}: this daemon listens there already"
        )
        client.connect(str(path))


def test_a_live_socket_whose_queue_is_full_is_refused_and_stays(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with somebody_at(path), ExitStack() as stack:
        full = False
        while not full:
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.setblocking(False)
            full = client.connect_ex(str(path)) != 0
        assert "this daemon listens there already" in why(f"unix:{path}")
        assert path.is_socket()


def make_link_to_nothing(path: Path) -> None:
    path.symlink_to(path.with_name("nothing"))


@pytest.mark.parametrize("make", [Path.touch, Path.mkdir, os.mkfifo, make_link_to_nothing])
@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_what_is_not_a_socket_is_never_removed(
    transport: str, make: Callable[[Path], None], tmp_path: Path
) -> None:
    path = tmp_path / "socket"
    make(path)
    before = path.lstat()
    assert why(f"{transport}:{path}") == (
        f"cannot listen on {transport} {path}: "
        "there is a file that is not a socket; it is left alone"
    )
    assert os.path.samestat(path.lstat(), before)


def test_a_link_to_a_dead_socket_is_not_followed(tmp_path: Path) -> None:
    path, link = tmp_path / "socket", tmp_path / "link"
    with somebody_at(path):
        link.symlink_to(path)
    assert "not a socket" in why(f"unix:{link}")
    assert link.is_symlink()
    assert path.is_socket()


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    assert why(f"unix:{tmp_path}/none/socket") == (
        f"cannot listen on unix {tmp_path}/none/socket: "
        f"No such file or directory: {tmp_path}/none is not there"
    )


def test_only_our_own_socket_file_is_removed(tmp_path: Path) -> None:
    path = tmp_path / "socket"
    with bound(parse(f"unix:{path}")):
        ours = file_identity(str(path))
        path.unlink()
        with somebody_at(path):
            unlink_own(str(path), ours)
            assert path.is_socket()
            unlink_own(str(path), file_identity(str(path)))
            assert not path.exists()
        unlink_own(str(path), ours)  # there is nothing any more, and that is well
    unlink_own("", None)


# the runtime directory


@pytest.mark.parametrize(
    ("environment", "uid", "expected"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a", "XDG_RUNTIME_DIR": "/b"}, 0, "/run/a"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, 7, "/run/a"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/sockd"),
        ({}, 0, "/run/sockd"),
    ],
)
def test_the_runtime_directory_is_the_service_managers_else_the_sessions(
    environment: dict[str, str], uid: int, expected: str
) -> None:
    assert runtime_directory(environment, uid) == expected


def test_without_a_session_it_is_private_below_the_temporary_one(tmp_path: Path) -> None:
    script = "import os; from sockd.options.runtime import *; print(runtime_directory({}, 7))"
    done = run(sys.executable, "-c", script, environment={"TMPDIR": str(tmp_path)})
    assert done.stdout == f"{tmp_path}/sockd-7\n"


def test_it_is_made_where_a_socket_is_to_lie_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run" / "sockd"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    with umask(0), bound(parse(f"unix:{folder}/socket")):
        assert folder.stat().st_mode & 0o022 == 0


def test_one_that_others_can_write_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run"
    folder.mkdir()
    folder.chmod(0o777)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    assert why(f"unix:{folder}/socket") == (
        f"cannot listen on unix {folder}/socket: {folder} can be written by others"
    )
    link = tmp_path / "link"
    link.symlink_to(tmp_path)
    with pytest.raises(NotADirectoryError):
        make_runtime_directory(str(link))


# addresses


@pytest.mark.parametrize(("transport", "kind"), [("tcp", STREAM), ("udp", DATAGRAM)])
def test_a_port_in_use_names_who_holds_it(transport: str, kind: socket.SocketKind) -> None:
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.bind(("127.0.0.1", 0))
        if kind == STREAM:
            sock.listen()
        port = sock.getsockname()[1]
        for host in ("127.0.0.1", "0.0.0.0"):
            assert why(f"{transport}:{port}:interface={host}") == (
                f"cannot listen on {transport} {host}:{port}: address in use, held by this daemon"
            )


def test_both_families_can_have_the_same_port_on_all_addresses() -> None:
    port = free_port()
    for transport in ("tcp", "udp"):
        with (
            bound(parse(f"{transport}:{port}:interface=0.0.0.0")) as first,
            bound(parse(f"{transport}:{port}:interface=[::]")) as second,
        ):
            assert {first.family, second.family} == {socket.AF_INET, socket.AF_INET6}


def test_an_address_of_another_host_is_told_apart() -> None:
    with pytest.raises(ListenError) as caught:
        bound(parse("tcp:0:interface=192.0.2.1"))
    assert caught.value.no_such_address
    assert str(caught.value) == (
        "cannot listen on tcp 192.0.2.1:0: Cannot assign requested address"
    )


def test_a_port_below_1024_without_the_right_to_it_says_what_would_help() -> None:
    script = (
        "import os\n"
        "from sockd.listen.sockets import ListenError, bound\n"
        "from sockd.listen.strings import expand, parse\n"
        f"os.setuid({NOBODY})\n"
        "try: bound(parse('tcp:7'))\n"
        "except ListenError as error: print(error)\n"
    )
    with namespace() as host:
        done = run("ip", "netns", "exec", host, sys.executable, "-c", script)
    assert done.stdout == (
        "cannot listen on tcp 0.0.0.0:7: Permission denied: "
        "ports below 1024 need root or CAP_NET_BIND_SERVICE\n"
    )


def test_a_socket_never_blocks_and_is_not_handed_to_children(tmp_path: Path) -> None:
    for text in ("tcp:0", "udp:0", f"unix:{tmp_path}/a", f"unixgram:{tmp_path}/b"):
        with bound(parse(text)) as sock:
            assert not sock.getblocking()
            assert not sock.get_inheritable()


def test_a_receive_buffer_is_as_large_as_it_is_asked_for_where_that_is_allowed() -> None:
    with bound(parse("udp:0:interface=127.0.0.1")) as sock:
        assert widen(sock, 65536) == 65536
        assert widen(sock, 4 * 1024 * 1024) >= 65536


# multicast


def test_a_sender_says_where_and_how_far_it_sends() -> None:
    listen = parse("multicast:224.225.226.227:2070:ttl=31:interface=127.0.0.1")
    with bound(listen) as sock:
        aim(sock, listen.interface, listen.terms.ttl)
        assert sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL) == 31
        local = sock.getsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, 4)
        assert local == socket.inet_aton("127.0.0.1")


def test_a_sender_on_ipv6_finds_the_interface_of_its_address() -> None:
    listen = parse("multicast:[ff02::114]:2070:ttl=3:interface=[::1]")
    with bound(listen) as sock:
        aim(sock, listen.interface, listen.terms.ttl)
        assert sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS) == 3
        index = sock.getsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF)
        assert socket.if_indextoname(index) == "lo"


@pytest.mark.parametrize(
    "text",
    ["multicast:224.0.0.9:5:interface=192.0.2.1", "multicast:[ff02::9]:5:interface=[2001:db8::1]"],
)
def test_an_interface_that_is_not_there_is_an_error_each_time_it_is_aimed_at(text: str) -> None:
    listen = parse(text)
    with bound(listen) as sock:
        for _ in range(2):
            with pytest.raises(OSError, match="Cannot assign requested address"):
                aim(sock, listen.interface, listen.terms.ttl)


# what is said of several


def test_a_string_that_stands_for_two_addresses_is_told_once() -> None:
    first, second = expand("tcp:7:interface=localhost")
    [other] = expand("tcp:8")
    errors = [ListenError(first, "in use"), ListenError(other, "no"), ListenError(second, "in use")]
    assert failures(errors) == [
        "cannot listen on tcp 127.0.0.1:7 and [::1]:7: in use",
        "cannot listen on tcp 0.0.0.0:8: no",
    ]
    assert failures([ListenError(first, "in use"), ListenError(second, "no")]) == [
        "cannot listen on tcp 127.0.0.1:7: in use",
        "cannot listen on tcp [::1]:7: no",
    ]


@pytest.mark.parametrize("transport", ["tcp", "udp"])
def test_a_socket_that_goes_does_not_stop_one_that_comes(transport: str) -> None:
    with bound(parse(f"{transport}:0")) as old:
        port = old.getsockname()[1]
        new = parse(f"{transport}:{port}:interface=127.0.0.1")
        with pytest.raises(ListenError, match="address in use"):
            bound(new)
        with bound(new, [old]) as sock:
            assert sock.getsockname() == ("127.0.0.1", port)
        # and what it lent is taken back
        assert old.getsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT) == 0
