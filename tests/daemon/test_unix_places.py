"""Socket files at a change: of another kind of socket, of a change that fails, or gone."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pytest_twisted import ensureDeferred

from sockd.daemon.daemon import StartError
from tests.daemon.running import LOOPBACK, apply, aside, daemon_of, inodes, listeners, said_at, says
from tests.listen.test_socket_owners import GROUP, as_nobody, path, state
from tests.memory import REACTOR
from tests.net.test_listener import Full, taken
from tests.processes import NOBODY, PATIENCE

__all__ = ["path"]
STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


@contextmanager
def asking(path: Path, kind: socket.SocketKind) -> Iterator[socket.socket]:
    """A client that has asked, and whom nobody has looked at yet."""
    with socket.socket(socket.AF_UNIX, kind) as sock:
        sock.settimeout(PATIENCE)
        if kind == DATAGRAM:
            sock.bind(str(path.with_name("client")))
        try:
            sock.connect(str(path))
            sock.send(b"?")
            yield sock
        finally:
            path.with_name("client").unlink(missing_ok=True)


async def answered(sock: socket.socket) -> tuple[bytes, Any]:
    """What it gets, and from whom."""
    data, sender = await aside(sock.recvfrom, 100)
    return data.strip(), sender


@ensureDeferred
async def test_another_kind_of_socket_takes_the_place_of_a_file_and_who_waits_is_served(
    tmp_path: Path,
) -> None:
    path = tmp_path / "file"
    stream, datagram = f"unix:{path}", f"unixgram:{path}"
    async with daemon_of(says(stream)) as daemon:
        for wanted, was, now in ((datagram, STREAM, DATAGRAM), (stream, DATAGRAM, STREAM)) * 2:
            with asking(path, was) as early:
                apply(daemon, says(wanted))
                assert path.is_socket()
                assert (await answered(early))[0] == b"one"
            with asking(path, now) as late:
                word, sender = await answered(late)
                assert word == b"one"
                assert now == STREAM or sender == str(path)
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_a_change_that_fails_leaves_the_file_of_the_other_kind(tmp_path: Path) -> None:
    path, full = tmp_path / "file", Full()
    full.is_full, full.callLater = False, REACTOR.callLater
    async with daemon_of(says(f"unix:{path}"), reactor=full) as daemon:
        file = path.stat().st_ino
        with taken() as sock:
            held = f"tcp:{sock.getsockname()[1]}:{LOOPBACK}"
            with pytest.raises(StartError, match="address in use"):
                apply(daemon, says(f"unixgram:{path}", held))
        full.is_full = True  # when all is bound already
        with pytest.raises(StartError, match="Too many open files"):
            apply(daemon, says(f"unixgram:{path}", f"udp:0:{LOOPBACK}"))
        full.is_full = False
        assert path.stat().st_ino == file
        assert await said_at(listeners(daemon)[0]) == b"one"
    assert list(tmp_path.iterdir()) == []


@ensureDeferred
async def test_a_name_that_somebody_has_taken_since_is_left_to_him(tmp_path: Path) -> None:
    path = tmp_path / "file"
    async with daemon_of(says(f"unix:{path}")) as daemon:
        wanted = says(f"unixgram:{path}")
        path.unlink()
        path.write_text("somebody else's", "utf-8")
        with pytest.raises(StartError, match="not a socket"):
            apply(daemon, wanted)
    assert path.read_text("utf-8") == "somebody else's"
    assert [file.name for file in tmp_path.iterdir()] == ["file"]


@ensureDeferred
async def test_a_file_that_is_gone_is_there_again_after_a_change(tmp_path: Path) -> None:
    path, stays = tmp_path / "file", f"tcp:0:{LOOPBACK}"
    async with daemon_of(says(f"unix:{path}", stays)) as daemon:
        before = inodes(daemon)
        with asking(path, STREAM) as early:
            path.unlink()
            apply(daemon, says(f"unix:{path}", stays))
            assert path.is_socket()
            assert (await answered(early))[0] == b"one"
        with asking(path, STREAM) as late:
            assert (await answered(late))[0] == b"one"
        assert inodes(daemon)[0] != before[0]
        assert inodes(daemon)[1] == before[1]
    assert list(tmp_path.iterdir()) == []


MINE = (NOBODY, NOBODY, 0o660)


@pytest.mark.parametrize("name", ["says", "renamed"])
@pytest.mark.parametrize("transport", ["unix", "unixgram"])
@ensureDeferred
async def test_a_change_to_a_group_that_cannot_be_had_is_refused_whole_and_the_file_stays(
    transport: str, name: str, path: Path
) -> None:
    text = f"{transport}:{path}"
    with as_nobody():
        async with daemon_of(says(text)) as daemon:
            before = inodes(daemon)
            with pytest.raises(StartError, match=f"{name}: .* cannot be given to group {GROUP}"):
                apply(daemon, says(f"{text}:group={GROUP}", name=name, word="two"))
            assert state(path) == MINE
            assert inodes(daemon) == before
            with asking(path, STREAM if transport == "unix" else DATAGRAM) as sock:
                assert (await answered(sock))[0] == b"one"
            apply(daemon, says(f"{text}:mode=600", name=name, word="two"))  # and this can be had
            assert state(path) == (NOBODY, NOBODY, 0o600)


@ensureDeferred
async def test_where_it_need_not_be_there_it_is_tried_again_as_a_new_one_would_be(
    path: Path,
) -> None:
    with as_nobody():
        async with daemon_of(says(f"unix:{path}", required=False)) as daemon:
            apply(daemon, says(f"unix:{path}:group={GROUP}", name="renamed", required=False))
            [waits] = listeners(daemon)
            assert waits.is_tried_again
            assert f"group {GROUP}" in waits.waits_for
            assert not path.exists()
