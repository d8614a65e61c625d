"""Whoever owns the directory of a socket file, or starts at the same time, gains nothing by it.

What the other one does is done at each step of ours, one after the other: no chance is in it.
"""

from __future__ import annotations

import os
import socket
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from itertools import count
from pathlib import Path

import pytest

from sockd.listen.socket_files import BEING_BOUND, file_identity, remove_own, set_mode
from sockd.listen.sockets import ListenError, bound
from sockd.listen.strings import parse
from tests.listen.stepwise import at_each_step

KINDS = {"unix": socket.SOCK_STREAM, "unixgram": socket.SOCK_DGRAM}


@pytest.fixture
def folders(tmp_path: Path) -> Iterator[Path]:
    """A new folder for each try."""
    numbers = (tmp_path / str(number) for number in count())

    def make() -> Iterator[Path]:
        for folder in numbers:
            folder.mkdir()
            yield folder

    return make()


def make_secret(folder: Path) -> Path:
    """A file that is nobody else's business."""
    secret = folder / "secret"
    secret.touch()
    secret.chmod(0o600)
    return secret


def put_link(path: Path, secret: Path) -> None:
    """As the owner of the directory can: the socket's name leads elsewhere."""
    path.unlink(missing_ok=True)
    path.symlink_to(secret)


def swap_directory(directory: Path, other: Path) -> None:
    """The directory's name leads to another one."""
    directory.rename(directory.with_name("moved"))
    directory.symlink_to(other)


@pytest.mark.parametrize("transport", KINDS)
def test_no_mode_but_the_sockets_is_set_at_a_bind(transport: str, folders: Iterator[Path]) -> None:
    secrets: list[Path] = []

    def prepare() -> tuple[Callable[[], None], Callable[[], None]]:
        folder = next(folders)
        path, secret = folder / "socket", make_secret(folder)
        secrets.append(secret)

        def bind() -> None:
            with suppress(ListenError):
                bound(parse(f"{transport}:{path}:mode=666")).close()

        return bind, lambda: put_link(path, secret)

    assert at_each_step(prepare) > 20
    assert {stat.S_IMODE(secret.lstat().st_mode) for secret in secrets} == {0o600}


def test_no_mode_but_the_sockets_is_set_later(folders: Iterator[Path]) -> None:
    secrets: list[Path] = []

    def prepare() -> tuple[Callable[[], None], Callable[[], None]]:
        folder = next(folders)
        path, secret = folder / "socket", make_secret(folder)
        secrets.append(secret)
        bound(parse(f"unix:{path}")).close()
        identity = file_identity(str(path))

        def change() -> None:
            with suppress(OSError):
                set_mode(str(path), identity, 0o666)

        return change, lambda: put_link(path, secret)

    assert at_each_step(prepare) > 5
    assert {stat.S_IMODE(secret.lstat().st_mode) for secret in secrets} == {0o600}


def test_a_file_with_a_second_name_keeps_its_mode(tmp_path: Path) -> None:
    """It could be one of ours that was given to another directory."""
    path = tmp_path / "socket"
    with bound(parse(f"unix:{path}")):
        os.link(path, tmp_path / "other")
        with pytest.raises(OSError, match="Too many links"):
            set_mode(str(path), file_identity(str(path)), 0o666)
        assert stat.S_IMODE(path.stat().st_mode) == 0o660


def test_nothing_is_removed_from_a_directory_that_took_the_others_place(
    folders: Iterator[Path],
) -> None:
    others: list[Path] = []

    def prepare() -> tuple[Callable[[], None], Callable[[], None]]:
        folder = next(folders)
        directory, other = folder / "ours", folder / "other"
        for one in (directory, other):
            one.mkdir()
            bound(parse(f"unix:{one}/socket")).close()
        others.append(other / "socket")
        path = str(directory / "socket")
        identity = file_identity(path)

        def remove() -> None:
            with suppress(OSError):
                remove_own(path, identity)

        return remove, lambda: swap_directory(directory, other)

    assert at_each_step(prepare) > 5
    assert all(other.is_socket() for other in others)


def answers(path: Path, kind: socket.SocketKind, owner: socket.socket) -> bool:
    """Whether who comes to a path comes to this socket."""
    with socket.socket(socket.AF_UNIX, kind) as client:
        client.connect(str(path))
        if kind == socket.SOCK_STREAM:
            with suppress(BlockingIOError):
                owner.accept()[0].close()
                return True
            return False
        client.send(b"?")
        with suppress(BlockingIOError):
            return owner.recv(1) == b"?"
        return False


@pytest.mark.parametrize("is_dead_one_there", [True, False])
@pytest.mark.parametrize("transport", KINDS)
def test_two_starts_at_once_cannot_both_have_one_path(
    transport: str, is_dead_one_there: bool, folders: Iterator[Path]
) -> None:
    """One is told that it has it, and has it; the other one is told the truth."""
    reasons = set()
    with ExitStack() as stack:

        def prepare() -> tuple[Callable[[], None], Callable[[], None]]:
            path = next(folders) / "socket"
            owners: list[socket.socket] = []
            if is_dead_one_there:
                bound(parse(f"{transport}:{path}")).close()

            def start() -> None:
                try:
                    owners.append(stack.enter_context(bound(parse(f"{transport}:{path}"))))
                except ListenError as error:
                    reasons.add(error.why)

            def first() -> None:
                start()
                assert len(owners) == 1
                assert answers(path, KINDS[transport], owners[0])
                stack.pop_all().close()
                assert [one.name for one in path.parent.iterdir()] == ["socket"]

            return first, start

        assert at_each_step(prepare) > 50
    assert reasons == {BEING_BOUND.format(lock=".socket.lock"), "this daemon listens there already"}


def test_a_start_does_not_take_a_file_from_who_is_about_to_listen(tmp_path: Path) -> None:
    """Of many at once, in threads that run as they like, one has it."""
    path = tmp_path / "socket"
    together = threading.Barrier(8)
    for _ in range(25):
        owners: list[socket.socket] = []

        def start() -> None:
            together.wait(60)
            with suppress(ListenError):
                owners.append(bound(parse(f"unix:{path}")))  # noqa: B023 - ends within the round

        starts = [threading.Thread(target=start) for _ in range(8)]
        for one in starts:
            one.start()
        for one in starts:
            one.join()
        assert len(owners) == 1
        assert answers(path, socket.SOCK_STREAM, owners[0])
        owners[0].close()


def test_a_lock_that_was_left_behind_stops_nobody(tmp_path: Path) -> None:
    """Whoever had it was killed, and the kernel took it from it."""
    lock = tmp_path / ".socket.lock"
    lock.touch()
    with bound(parse(f"unix:{tmp_path}/socket")):
        assert not lock.exists()


@pytest.mark.parametrize(
    "make", [Path.mkdir, os.mkfifo, lambda path: path.symlink_to("/etc/hosts")]
)
def test_what_lies_where_the_lock_is_to_be_is_neither_followed_nor_waited_for(
    make: Callable[[Path], None], tmp_path: Path
) -> None:
    make(tmp_path / ".socket.lock")
    with suppress(ListenError):
        bound(parse(f"unix:{tmp_path}/socket")).close()
    assert Path("/etc/hosts").exists()
