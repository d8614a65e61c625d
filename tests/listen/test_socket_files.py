"""Socket files have their mode, replace dead ones, and are removed by who has bound them."""

from __future__ import annotations

import os
import socket
import stat
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from sockd.listen.socket_files import file_identity, remove_own
from sockd.listen.sockets import ListenError, bound
from sockd.listen.strings import parse

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
            remove_own(str(path), ours)
            assert path.is_socket()
            remove_own(str(path), file_identity(str(path)))
            assert not path.exists()
        remove_own(str(path), ours)  # there is nothing any more, and that is well
    remove_own("", None)
