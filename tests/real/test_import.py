"""The same clients at inetd or xinetd, and at sockd with what `sockd import` makes of their files.

The files are those that Debian's packages install, with every service in them switched on, and a
few programs more.
"""

from __future__ import annotations

import json
import re
import socket
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from attrs import frozen

from tests.daemons import Daemon, receive_all, socket_on, two_hosts
from tests.processes import SOCKD, finish, succeed
from tests.real.others import serving, xinetd

SERVER = "10.77.0.1"
INETD = Path("/etc/inetd.conf")
SOCKETS = "/proc/self/fd/0 /proc/self/fd/1 /proc/self/fd/2 /proc/self/cwd"
PORTS = {"echo": 7, "discard": 9, "daytime": 13, "chargen": 19, "time": 37}
CAT, TOLD, WHO, INSIDE, FEW, BOUND, NONE = 7001, 7002, 7003, 7004, 7005, 7006, 7007
PROGRAMS = """
{cat} stream tcp nowait nobody /bin/cat cat
{told} stream tcp nowait nobody /usr/bin/readlink readlink {sockets}
{who} stream tcp nowait nobody:tty /usr/bin/id id
127.0.0.1:{bound} stream tcp nowait nobody /bin/cat cat
"""
BLOCK = """
service {name}
{{
    type = UNLISTED
    socket_type = stream
    protocol = tcp
    wait = no
    user = nobody
    port = {port}
    {more}
}}
"""


@frozen
class Host:
    """One of the two, as its clients see it: some on the neighbouring host, some on its own."""

    name: str
    neighbour: str

    def connect(
        self, port: int, *, is_near: bool = False, kind: int = socket.SOCK_STREAM
    ) -> socket.socket:
        sock = socket_on(self.name if is_near else self.neighbour, socket.AF_INET, kind)
        try:
            sock.connect(("127.0.0.1" if is_near else SERVER, port))
        except OSError:
            sock.close()
            raise
        return sock

    def says(self, port: int, data: bytes = b"", *, is_near: bool = False) -> bytes:
        """What comes for these bytes, to the end."""
        with self.connect(port, is_near=is_near) as sock:
            try:
                sock.sendall(data)
                sock.shutdown(socket.SHUT_WR)
                return receive_all(sock)
            except OSError:  # who is not let in may be reset
                return b""

    def datagram(self, port: int, data: bytes) -> bytes:
        with self.connect(port, kind=socket.SOCK_DGRAM) as sock:
            sock.send(data)
            return sock.recv(65535)


def of_inetd(folder: Path) -> tuple[list[Path], list[str]]:
    """The files of inetd, and its command."""
    names = {"cat": CAT, "told": TOLD, "who": WHO, "bound": BOUND}
    lines = [re.sub(r"^#(?=\w+\s.*\sinternal)", "", one) for one in INETD.read_text().splitlines()]
    programs = PROGRAMS.format(**names, sockets=SOCKETS)
    conf = folder / "inetd.conf"
    conf.write_text("\n".join(lines) + programs)
    return [conf], ["inetd", "-i", str(conf)]


def of_xinetd(folder: Path) -> tuple[list[Path], list[str]]:
    """The files of xinetd, and its command."""
    program = xinetd()
    of_package = Path(program).parents[2] / "etc" / "xinetd.d"
    services, conf = folder / "xinetd.d", folder / "xinetd.conf"
    services.mkdir()
    for file in of_package.iterdir():
        text = file.read_text()
        (services / file.name).write_text(re.sub(r"(disable\s*=\s*)yes", r"\1no", text))
    cat = "server = /bin/cat"
    blocks = {
        "cat": (CAT, cat),
        "told": (TOLD, f"server = /usr/bin/readlink\n    server_args = {SOCKETS}"),
        "who": (WHO, "server = /usr/bin/id\n    group = tty"),
        "inside": (INSIDE, f"{cat}\n    only_from = 10.77.0.0\n    no_access = 10.77.0.7"),
        "few": (FEW, f"{cat}\n    instances = 1"),
        "bound": (BOUND, f"{cat}\n    bind = 127.0.0.1"),
        "none": (NONE, f"{cat}\n    only_from ="),
    }
    for name, (port, more) in blocks.items():
        (services / name).write_text(BLOCK.format(name=name, port=port, more=more))
    conf.write_text(f"defaults\n{{\n}}\nincludedir {services}\n")
    pidfile = str(folder / "pid")
    return [conf], [program, "-dontfork", "-f", str(conf), "-pidfile", pidfile]


def pair(
    folder: Path, files: Callable[[Path], tuple[list[Path], list[str]]], stack: ExitStack
) -> tuple[Host, Host]:
    """The other super-server on a host of its own, and sockd on another, each with a neighbour."""
    paths, command = files(folder)
    text = succeed(sys.executable, "-m", "sockd.cli", "import", *paths)
    theirs, ours = stack.enter_context(two_hosts()), stack.enter_context(two_hosts())
    where = [("tcp", port) for port in (*PORTS.values(), CAT, TOLD, WHO)]
    stack.enter_context(
        serving(["ip", "netns", "exec", theirs[0], "env", "--chdir=/", *command], *where)
    )
    stack.enter_context(Daemon(folder, text, namespace=ours[0]))
    return Host(*theirs), Host(*ours)


@pytest.fixture(scope="module")
def inetd(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        yield pair(tmp_path_factory.mktemp("inetd"), of_inetd, stack)


@pytest.fixture(scope="module")
def its_sibling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Host, Host]]:
    with ExitStack() as stack:
        yield pair(tmp_path_factory.mktemp("xinetd"), of_xinetd, stack)


@pytest.fixture(scope="module", params=["inetd", "its_sibling"], ids=["inetd", "xinetd"])
def both(request: pytest.FixtureRequest) -> tuple[Host, Host]:
    """The other super-server, and sockd."""
    found: tuple[Host, Host] = request.getfixturevalue(request.param)
    return found


def test_what_is_built_in_says_the_same(both: tuple[Host, Host]) -> None:
    data = bytes(range(256)) * 40
    for host in both:
        assert host.says(PORTS["echo"], data) == data
        assert host.says(PORTS["discard"], data) == b""
        assert len(host.says(PORTS["time"])) == 4
        assert host.says(PORTS["daytime"]).endswith(b"\r\n")
        with host.connect(PORTS["chargen"]) as sock:
            assert len(sock.recv(74, socket.MSG_WAITALL)) == 74


def test_what_is_built_in_answers_datagrams_too(its_sibling: tuple[Host, Host]) -> None:
    for host in its_sibling:
        assert host.datagram(PORTS["echo"], b"hello") == b"hello"
        assert len(host.datagram(PORTS["time"], b"")) == 4
        assert host.datagram(PORTS["daytime"], b"").endswith(b"\r\n")
        assert host.datagram(PORTS["chargen"], bytes(512))


def test_a_program_has_the_connection_and_the_same_user_and_folder(
    both: tuple[Host, Host],
) -> None:
    theirs, ours = both
    data = bytes(range(256)) * 4000
    assert theirs.says(CAT, data[:20_000]) == ours.says(CAT, data[:20_000]) == data[:20_000]
    told = [re.sub(rb"\d+", b"N", host.says(TOLD)) for host in both]
    assert told[0] == told[1] == b"socket:[N]\n" * 3 + b"/\n"
    assert theirs.says(WHO) == ours.says(WHO)
    assert b"gid=5(tty)" in ours.says(WHO)


def test_an_address_of_one_interface_is_had_there_alone(both: tuple[Host, Host]) -> None:
    for host in both:
        assert host.says(BOUND, b"near", is_near=True) == b"near"
        with pytest.raises(ConnectionRefusedError):
            host.says(BOUND)


def test_who_may_come_is_the_same(its_sibling: tuple[Host, Host]) -> None:
    for host in its_sibling:
        assert host.says(INSIDE, b"from there") == b"from there"
        assert host.says(INSIDE, b"from here", is_near=True) == b""
        assert host.says(NONE, b"from there") == host.says(NONE, b"near", is_near=True) == b""


def test_as_many_are_served_at_once(its_sibling: tuple[Host, Host]) -> None:
    for host in its_sibling:
        with host.connect(FEW) as first:
            first.sendall(b"first")
            assert first.recv(5) == b"first"
            assert host.says(FEW, b"second") == b""


def test_the_doctor_sees_who_has_the_addresses(both: tuple[Host, Host], tmp_path: Path) -> None:
    config = tmp_path / "sockd.toml"
    config.write_text(f'[service.echo]\nlisten = ["tcp:{PORTS["echo"]}:interface=*"]\n')
    theirs, ours = both
    for host, name in ((theirs, "inetd"), (ours, "")):
        command = ["ip", "netns", "exec", host.name, SOCKD, "doctor", "--json", str(config)]
        told = json.loads(finish(command).stdout)["findings"]
        [text, *_] = [one["text"] for one in told if one["level"] == "bad"]
        assert re.search(rf"held by x?{name}.* \(process \d+\)", text), text
