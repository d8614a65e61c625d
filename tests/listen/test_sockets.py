"""A listen string becomes a bound socket, or a sentence that says why there is none."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest

from sockd.listen.sockets import ListenError, aim, bound, failures, widen
from sockd.listen.strings import expand, parse
from sockd.options.runtime import runtime_directory
from tests.daemons import namespace
from tests.processes import NOBODY, free_port, run

STREAM, DATAGRAM = socket.SOCK_STREAM, socket.SOCK_DGRAM


def why(text: str) -> str:
    """The sentence that a listen string fails with."""
    with pytest.raises(ListenError) as caught:
        bound(parse(text))
    return str(caught.value)


# the runtime directory


@pytest.mark.parametrize(
    ("environment", "uid", "expected"),
    [
        ({"RUNTIME_DIRECTORY": "/run/a", "XDG_RUNTIME_DIR": "/b"}, 0, "/run/a"),
        ({"RUNTIME_DIRECTORY": "/run/a:/run/b"}, 7, "/run/a"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/sockd"),
        ({}, 0, "/run/sockd"),
        ({}, 7, "/tmp/sockd-7"),
        ({"TMPDIR": "/elsewhere"}, 7, "/elsewhere/sockd-7"),
    ],
)
def test_the_runtime_directory_is_the_service_managers_the_sessions_or_of_ones_own(
    environment: dict[str, str], uid: int, expected: str
) -> None:
    assert runtime_directory(environment, uid) == expected


def test_it_is_made_where_a_socket_is_to_lie_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "run" / "sockd"
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    before = os.umask(0)
    try:
        with bound(parse(f"unix:{folder}/socket")):
            assert folder.stat().st_mode & 0o022 == 0
    finally:
        os.umask(before)


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
        "cannot listen on tcp 192.0.2.1:0: Cannot assign requested address: "
        "no interface of this host has it"
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
