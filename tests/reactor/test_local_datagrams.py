"""The datagram port on Unix sockets: names, users, and peers that are full or gone."""

from __future__ import annotations

import os
import socket
from array import array
from pathlib import Path
from typing import Any

import pytest

from sockd.reactor.wire import MAX_DATAGRAM
from tests.reactor.ports import Listens, bound, listening


def descriptors() -> int:
    """How many this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))


def test_a_longer_datagram_than_udp_carries_is_dropped_and_counted(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        for length in (MAX_DATAGRAM, MAX_DATAGRAM + 1, 100_000):
            asker.sendto(b"a" * length, path)
            port.doRead()
            assert (port.uid, port.asked) == (None, None)
        asker.sendto(b"after", path)
        port.doRead()
    assert [len(one.data) for one in protocol.heard] == [MAX_DATAGRAM, 5]
    assert port.counts == {"truncated": 2}


def test_a_peer_without_a_name_is_an_empty_path(tmp_path: Path) -> None:
    protocol = Listens(lambda data, addr: port.write(b"answer", addr))
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        asker.sendto(b"", path)
        asker.sendto(b"again", path)
        port.doRead()
    assert [one.sender for one in protocol.heard] == [("", 0), ("", 0)]
    assert port.counts == {"send EINVAL": 2}


@pytest.mark.parametrize(
    "name", ["asker", "żółw", b"\xff\xfe", b"\0sockd %d", b"\0\xff%d\0"], ids=repr
)
def test_a_peer_is_answered_by_whatever_name_it_has(name: Any, tmp_path: Path) -> None:
    protocol = Listens(lambda data, addr: port.write(b"answer", addr))
    if isinstance(name, bytes) and b"%d" in name:
        name = name % os.getpid()  # one for the whole network namespace
    else:
        name = os.fsencode(tmp_path) + b"/" + os.fsencode(name)
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        bound(name, socket.AF_UNIX) as asker,
    ):
        asker.sendto(b"question", path)
        port.doRead()
        assert asker.recv(100) == b"answer"
    assert protocol.heard[0].sender == (os.fsdecode(name), 0)
    assert not port.counts


def test_a_peer_that_is_full_or_gone_costs_only_its_answers(tmp_path: Path) -> None:
    path = str(tmp_path / "asker")
    with listening(bound(str(tmp_path / "port"), socket.AF_UNIX), Listens()) as port:
        with bound(path, socket.AF_UNIX) as asker:
            sent = 0
            while port.write(b"answer", (path, 0)):
                sent += 1
            assert port.last_error == "the send buffer is full"
            assert not port.write(b"answer", (path, 0))
            assert port.counts == {"dropped": 2}
            assert [asker.recv(100) for _ in range(sent)] == [b"answer"] * sent
            assert port.write(b"room again", (path, 0))
        assert not port.write(b"answer", (path, 0))
        Path(path).unlink()
        assert not port.write(b"answer", (path, 0))
        assert not port.write(b"answer", (path * 20, 0))
    assert port.counts.pop("send ECONNREFUSED") == 1
    assert port.counts.pop("send ENOENT") == 1
    assert port.counts.total() == 3


def test_the_sender_of_a_local_datagram_is_known_while_it_is_handed_on(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        asker.sendto(b"", path)
        port.doRead()
        assert port.uid is None
    assert [one.uid for one in protocol.heard] == [os.getuid()]


def test_descriptors_that_a_local_peer_sends_are_closed(tmp_path: Path) -> None:
    protocol = Listens()
    path = str(tmp_path / "port")
    with (
        listening(bound(path, socket.AF_UNIX), protocol) as port,
        socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as asker,
    ):
        before = descriptors()
        for data in (b"whole", b"a" * (MAX_DATAGRAM + 1)):
            for count in (1, 5, 100):
                sent = array("i", [asker.fileno()] * count)
                asker.sendmsg([data], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, sent)], 0, path)
                port.doRead()
        assert descriptors() == before
    assert [(one.data, one.uid) for one in protocol.heard] == [(b"whole", os.getuid())] * 3


def test_a_datagram_goes_to_many_names(tmp_path: Path) -> None:
    paths = [str(tmp_path / f"peer {number}") for number in range(3)]
    with listening(bound(str(tmp_path / "port"), socket.AF_UNIX), Listens()) as port:
        peers = [bound(path, socket.AF_UNIX) for path in paths]
        addresses = [(path, 0) for path in (*paths, str(tmp_path / "nobody"))]
        assert port.write_many(b"hello", addresses) == 3
        for peer in peers:
            assert peer.recv(100) == b"hello"
            peer.close()
    assert port.counts == {"send ENOENT": 1}
