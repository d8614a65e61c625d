"""What the kernel tells of queues."""

from __future__ import annotations

import socket
from pathlib import Path

from sockd.net.queues import accept_queue, dropped


def test_connections_that_wait_are_counted_and_how_many_may() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=7) as server:
        assert accept_queue(server) == (0, 7)
        at = server.getsockname()
        with socket.create_connection(at), socket.create_connection(at):
            assert accept_queue(server) == (2, 7)
            server.accept()[0].close()
            assert accept_queue(server) == (1, 7)


def test_of_a_unix_socket_it_is_known_as_well(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with socket.socket(socket.AF_UNIX) as server, socket.socket(socket.AF_UNIX) as client:
        server.bind(path)
        server.listen(7)
        assert accept_queue(server) == (0, 7)
        client.connect(path)
        assert accept_queue(server) == (1, 7)
        server.accept()[0].close()
        assert accept_queue(server) == (0, 7)


def test_where_nothing_is_told_nothing_is_known() -> None:
    for family in (socket.AF_UNIX, socket.AF_INET):
        with socket.socket(family) as sock:
            sock.close()
            assert accept_queue(sock) is None


def test_what_has_no_room_is_counted_at_once() -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as sock, socket.socket(type=socket.SOCK_DGRAM) as to:
        to.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        to.bind(("127.0.0.1", 0))
        assert dropped(to) == 0
        for _ in range(100):
            sock.sendto(bytes(1000), to.getsockname())
        kept = 0
        to.setblocking(False)
        while kept < 100:
            try:
                to.recv(1000)
            except BlockingIOError:
                break
            kept += 1
        assert dropped(to) == 100 - kept > 0


def test_where_nothing_is_told_nothing_was_dropped() -> None:
    with socket.socket() as sock:
        sock.close()
        assert dropped(sock) == 0
