"""The table that a start prints: what serves where, and what to type to try it."""

from __future__ import annotations

import socket
import sys
from pathlib import Path
from typing import Any

import pytest
import pytest_twisted

from sockd.net.listener import Listener
from sockd.ops.table import Row, client_command, rows, table
from sockd.service import Kind
from sockd.services.echo import EchoStream
from sockd.testing.sockets import listen_string, serve
from tests.helpers import make_context, make_settings
from tests.processes import free_port


async def rows_of(kind: str, *listens: str, **settings: Any) -> list[Row]:
    """What the table says of an instance while it listens."""
    async with serve(kind, *listens, **settings) as instance:
        return list(rows(make_settings(kind, listens, **settings), instance.listeners))


def port_of(row: Row) -> str:
    """The port that the kernel chose."""
    return row.address.rpartition(":")[2]


@pytest.mark.parametrize("interface", ["127.0.0.1", "127.0.0.2"])
@pytest.mark.parametrize(("transport", "option"), [("tcp", "--tcp"), ("udp", "--udp")])
@pytest_twisted.ensureDeferred
async def test_a_row_has_the_port_that_the_kernel_chose_and_what_to_type(
    transport: str, option: str, interface: str
) -> None:
    [row] = await rows_of("echo", f"{transport}:0:interface={interface}")
    port = port_of(row)
    assert int(port) > 0
    command = f"sock echo -c 3 {option} {interface}:{port}"
    assert row == Row("echo", transport, f"{interface}:{port}", command)


@pytest.mark.parametrize(
    ("interface", "address", "host"),
    [("0.0.0.0", "0.0.0.0", "127.0.0.1"), ("::", "[::]", "[::1]"), ("[::1]", "[::1]", "[::1]")],
)
@pytest_twisted.ensureDeferred
async def test_what_listens_on_every_address_is_tried_on_loopback(
    interface: str, address: str, host: str
) -> None:
    escaped = interface if interface.startswith("[") else f"[{interface}]"
    [row] = await rows_of("said", f"tcp:0:interface={escaped}")
    port = port_of(row)
    command = f"sock said --host {host}:{port} hello"
    assert row == Row("said", "tcp", f"{address}:{port}", command)


@pytest_twisted.ensureDeferred
async def test_localhost_is_one_row_for_both_families() -> None:
    port = free_port()
    assert await rows_of("said", f"tcp:{port}:interface=localhost") == [
        Row("said", "tcp", f"localhost:{port}", f"sock said --host localhost:{port} hello")
    ]


@pytest_twisted.ensureDeferred
async def test_every_interface_is_one_row_for_both_families() -> None:
    port = free_port()
    assert await rows_of("said", f"tcp:{port}:interface=*") == [
        Row("said", "tcp", f"*:{port}", f"sock said --host localhost:{port} hello")
    ]


@pytest_twisted.ensureDeferred
async def test_two_families_on_two_ports_are_two_rows() -> None:
    four, six = await rows_of("said", "tcp:0:interface=localhost")
    assert four.address == f"127.0.0.1:{port_of(four)}"
    assert six.address == f"[::1]:{port_of(six)}"
    assert six.command == f"sock said --host [::1]:{port_of(six)} hello"


@pytest_twisted.ensureDeferred
async def test_an_address_that_is_not_listened_on_has_no_row() -> None:
    port = free_port()
    with socket.socket(socket.AF_INET6) as holder:
        holder.bind(("::1", port))
        holder.listen()
        assert await rows_of("said", f"tcp:{port}:interface=localhost", required=False) == [
            Row("said", "tcp", f"127.0.0.1:{port}", f"sock said --host 127.0.0.1:{port} hello")
        ]


@pytest_twisted.ensureDeferred
async def test_an_address_that_cannot_be_had_yet_is_a_row_that_says_why() -> None:
    port = free_port()
    with socket.socket() as holder:
        holder.bind(("127.0.0.1", port))
        holder.listen()
        listen = f"tcp:{port}:interface=127.0.0.1"
        [row] = await rows_of("said", listen, required=False)
    assert (row.service, row.address) == ("said", f"127.0.0.1:{port}")
    assert row.command.startswith("(not yet: address in use")


@pytest_twisted.ensureDeferred
async def test_a_path_that_a_shell_would_take_apart_is_quoted(tmp_path: Path) -> None:
    path = f"{tmp_path}/two words.sock"
    [row] = await rows_of("echo", f"unix:{path}")
    assert row.command == f"sock echo -c 3 --unix '{path}'"


def test_a_kind_without_a_command_of_the_client_is_asked_over_every_transport() -> None:
    kind = Kind(name="odd", doc="Odd.", stream=EchoStream, asks="echo hello")
    assert kind.try_with("tcp") == "echo hello | sock send {host} {port}"
    assert kind.try_with("tls") == "echo hello | sock send --tls --insecure {host} {port}"
    assert kind.try_with("unix") == "echo hello | sock send --unix {path}"
    first = Kind(name="odd", doc="Odd.", stream=EchoStream)
    assert first.try_with("tcp") == "sock get {host} {port}"


@pytest.mark.parametrize(
    ("kind", "transport", "tool"),
    [
        ("echo", "unix", "sock echo -c 3 --unix"),
        ("echo", "unixgram", "sock echo -c 3 --udp --unix"),
        ("daytime", "unix", "sock daytime --unix"),
    ],
)
@pytest_twisted.ensureDeferred
async def test_a_socket_file_is_a_row_with_its_path(
    kind: str, transport: str, tool: str, tmp_path: Path
) -> None:
    [row] = await rows_of(kind, listen_string(transport, tmp_path))
    path = f"{tmp_path}/service.sock"
    assert row == Row(kind, transport, path, f"{tool} {path}")


@pytest.mark.parametrize(("interface", "host"), [("127.0.0.1", "127.0.0.1"), ("[::1]", "[::1]")])
@pytest_twisted.ensureDeferred
async def test_tls_is_tried_with_a_host_and_a_port_in_one_word(
    interface: str, host: str, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    listen = f"tls:0:interface={interface}:privateKey={key}:certKey={certificate}"
    [row] = await rows_of("echo", listen)
    port = port_of(row)
    command = f"sock echo -c 3 --tls --insecure {host}:{port}"
    assert row == Row("echo", "tls", f"{host}:{port}", command)


@pytest_twisted.ensureDeferred
async def test_multicast_is_a_row_with_its_group_and_its_interface() -> None:
    listen = "multicast:224.225.226.227:2070:interface=127.0.0.1"
    assert await rows_of("beacon", listen) == [
        Row(
            "beacon",
            "multicast",
            "224.225.226.227:2070 via 127.0.0.1",
            "sock beacon -c 1 -I 127.0.0.1 --group 224.225.226.227 --port 2070",
        )
    ]


def test_nobody_knows_how_to_try_what_the_service_manager_hands_over() -> None:
    settings = make_settings("echo", ["systemd:name=small"])
    [listen] = settings.listen
    listener = Listener(make_context("echo"), listen, True)
    assert list(rows(settings, [listener])) == []
    listener.port = "whatever was handed over"
    assert list(rows(settings, [listener])) == [Row("echo", "tcp", "systemd small", "")]


def test_the_columns_are_aligned_and_a_service_is_named_once() -> None:
    shown = table(
        [
            Row("echo", "tcp", "localhost:10007", "sock echo -c 3 --tcp localhost:10007"),
            Row("echo", "udp", "localhost:10007", "sock echo -c 3 --udp localhost:10007"),
            Row("a-longer-name", "unixgram", "/run/a.sock", ""),
            Row("echo", "tcp", "[::1]:7", "sock echo [::1]:7"),
        ]
    )
    assert shown.splitlines() == [
        "service        transport  address          try it with",
        "echo           tcp        localhost:10007  sock echo -c 3 --tcp localhost:10007",
        "               udp        localhost:10007  sock echo -c 3 --udp localhost:10007",
        "a-longer-name  unixgram   /run/a.sock",
        "echo           tcp        [::1]:7          sock echo [::1]:7",
    ]


def test_a_table_of_nothing_is_its_heading() -> None:
    assert table([]) == "service  transport  address  try it with\n"


@pytest_twisted.ensureDeferred
async def test_what_only_a_proxy_can_try_has_no_command() -> None:
    (row,) = await rows_of("said", "haproxy:tcp:0:interface=127.0.0.1:proxies=127.0.0.1/32")
    assert (row.transport, row.command) == ("haproxy:tcp", "")


def test_what_is_too_long_for_the_terminal_has_a_line_of_its_own() -> None:
    rows = [
        Row("echo", "tcp", "localhost:10007", "sock echo -c 3 --tcp localhost:10007"),
        Row("a-longer-name", "unixgram", "/run/a.sock", ""),
    ]
    assert table(rows, 78).splitlines() == [
        "service        transport  address",
        "    try it with",
        "echo           tcp        localhost:10007",
        "    sock echo -c 3 --tcp localhost:10007",
        "a-longer-name  unixgram   /run/a.sock",
    ]
    [_, wide, *_] = table(rows, 79).splitlines()
    assert len(wide) == 79


def test_the_client_is_called_as_it_has_to_be_typed() -> None:
    rows = [
        Row("echo", "tcp", "localhost:7", "sock echo --tcp localhost:7"),
        Row("wrap", "unix", "/run/sock wrap", "seq 60 | sock wrap --unix '/run/sock wrap'"),
    ]
    text = table(rows, client=".venv/bin/sock")
    assert "  .venv/bin/sock echo --tcp localhost:7\n" in text
    assert "  seq 60 | .venv/bin/sock wrap --unix '/run/sock wrap'\n" in text


def test_the_client_is_the_one_of_this_installation(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    here = Path(sys.executable).parent
    monkeypatch.setenv("PATH", str(here))
    assert client_command() == "sock"
    monkeypatch.setenv("PATH", str(tmp_path))
    assert client_command() == str(here / "sock").removeprefix(f"{Path.cwd()}/")
    monkeypatch.chdir(here.parent)
    assert client_command() == "bin/sock"
