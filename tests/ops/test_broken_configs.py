"""R1: a configuration that is broken, in whichever way, changes nothing and says why."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from attrs import frozen

from sockd.ops.control.client import ControlClient
from tests.daemons import Daemon
from tests.processes import free_port, tcp_says, unix_says

GOOD = """
[defaults]
drain = "1s"
[service.echo]
listen = ["tcp:{port}:interface=127.0.0.1", "udp:{port}:interface=127.0.0.1"]
[service.wrap]
listen = ["unix:{folder}/wrap.sock"]
"""
KINDS = [
    # the file
    ('[service.echo', "Expected ']'"),
    ("[service.echo]\nlisten = [\"tcp:0\"]\nlisten = []", "listen is set a second time"),
    ("\xff", "UTF-8"),
    ("", "nothing to run"),
    ("@absent", "No such file"),
    ("@directory", "a directory, not a file"),
    ("@conf.d", "bad.toml:1"),
    # what stands in it
    ("{good}[sevice.echo]", "unknown key"),
    ("{good}[service.nosuch]\nlisten = ['tcp:0']", "nosuch"),
    ("{good}[service.x]\nkind = 'ehco'\nlisten = ['tcp:0']", "did you mean 'echo'"),
    ("{good}[service.greet]\nlisten = []", "expected a list such as"),
    ("{good}columns = 'many'", "columns: expected"),
    ("{good}columns = -1", "columns"),
    ("{good}max_conections = 5", "did you mean 'max_connections'"),
    ("{good}drain = '2 parsecs'", "expected a duration"),
    ("{good}allow = ['10.0.0.0/33']", "10.0.0.0/33"),
    ("{good}required = 'yes'", "expected"),
    ("{good}[sockd]\ncertificate_check = '0s'", "certificate_check"),
    ("{good}[sockd]\nlog_format = 'yaml'", "log_format"),
    ("{good}[sockd]\ncontrol = 7", "control: expected"),
    # where to listen
    ("{good}[service.greet]\nlisten = ['tcp:99999']", "from 0 to 65535"),
    ("{good}[service.greet]\nlisten = ['tpc:0']", "tpc"),
    ("{good}[service.greet]\nlisten = ['udp:0:interface=127.0.0.1']", "does not work over udp"),
    ("{good}[service.greet]\nlisten = ['tcp:0:interface=no.such.host']", "no.such.host"),
    ("{good}[service.greet]\nlisten = ['tcp:{port}:interface=127.0.0.1']", "echo listens there"),
    ("{good}[service.greet]\nlisten = ['unix:/nowhere/at/all']", "/nowhere/at is not there"),
    ("{good}[service.greet]\nlisten = ['unix:{folder}/file']", "not a socket"),
    ("{good}[service.greet]\nlisten = ['unix:{long}']", "at most 107 bytes"),
    (
        "{good}[service.greet]\nlisten = ['tls:0:privateKey={folder}/no:interface=127.0.0.1']",
        "No such file",
    ),
    (
        "{good}[service.greet]\nlisten = ['tls:0:privateKey={folder}/file:interface=127.0.0.1']",
        "there is no certificate in it",
    ),
    # what this host does not have
    ("{good}[service.greet]\nlisten = ['tcp:{taken}:interface=127.0.0.1']", "address in use"),
    ("{good}[service.greet]\nlisten = ['tcp:0:interface=192.0.2.1']", "Cannot assign requested"),
    ("{good}[service.greet]\nlisten = ['systemd:name=greet']", "not handed over"),
    ("{good}[service.greet]\nlisten = ['unix:{folder}/alive']", "another process listens there"),
    ("{good}[sockd]\ncontrol = '/nowhere/control.sock'", "control socket /nowhere/control.sock"),
    ("{good}[sockd]\ncontrol = '{folder}/alive'", "another process listens there"),
    # and beside something new that can be had
    (
        "[service.echo]\nlisten = ['tcp:{port}', 'udp:{port}']\n"
        "[service.greet]\nlisten = ['tcp:{taken}:interface=127.0.0.1']",
        "address in use",
    ),
]  # fmt: skip


@frozen
class Field:
    """A daemon that runs, and what is around it."""

    daemon: Daemon
    folder: Path
    port: int
    taken: int

    def write(self, text: str) -> None:
        """Write a configuration file that is broken in this way."""
        file = self.folder / "sockd.toml"
        if text == "@absent":
            file.unlink()
        elif text == "@directory":
            file.unlink()
            file.mkdir()
        elif text == "@conf.d":
            (self.folder / "conf.d").mkdir()
            (self.folder / "conf.d" / "bad.toml").write_text("[", "utf-8")
        else:
            file.write_bytes(self.filled(text).encode("latin-1"))

    def restore(self) -> None:
        """Have it be good again."""
        file, extra = self.folder / "sockd.toml", self.folder / "conf.d"
        if file.is_dir():
            file.rmdir()
        if extra.is_dir():
            (extra / "bad.toml").unlink()
            extra.rmdir()
        file.write_text(self.filled("{good}"), "utf-8")

    def filled(self, text: str) -> str:
        """A configuration with what is known here."""
        known = {"folder": self.folder, "port": self.port, "taken": self.taken, "long": "/x" * 60}
        for name, value in {"good": GOOD, **known}.items():
            text = text.replace(f"{{{name}}}", str(value))
        return text

    def sockets(self) -> set[str]:
        """Every socket that the daemon listens at, by its number."""
        process = Path(f"/proc/{self.daemon.pid}")
        # columns: of what listens, of its state, of its number
        tables = {"tcp": (3, "0A", 9), "udp": (3, "07", 9), "unix": (3, "00010000", 6)}
        listen = {
            row[number]
            for name, (state, listens, number) in tables.items()
            for row in map(str.split, (process / "net" / name).read_text().splitlines()[1:])
            if row[state] == listens
        }
        own = set()
        for descriptor in (process / "fd").iterdir():
            with suppress(OSError):  # it was being closed
                own.add(str(descriptor.readlink()))
        return {number for number in listen if f"socket:[{number}]" in own}


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Field]:
    folder = tmp_path_factory.mktemp("broken")
    (folder / "file").write_text("this is no key", "utf-8")
    with socket.socket() as held, socket.socket(socket.AF_UNIX) as alive:
        held.bind(("127.0.0.1", free_port()))
        held.listen()
        alive.bind(str(folder / "alive"))
        alive.listen()
        field = Field(Daemon(folder, "", ()), folder, free_port(), held.getsockname()[1])
        field.restore()
        with field.daemon:
            yield field


@pytest.mark.parametrize(("text", "why"), KINDS)
def test_it_changes_nothing_and_says_why(text: str, why: str, running: Field) -> None:
    control = str(running.daemon.runtime / "control.sock")
    with ControlClient(control, 60) as client:
        before = running.sockets()
        running.write(text)
        try:
            answer = client.ask("reload")
        finally:
            running.restore()
        assert not answer["ok"]
        assert re.search(why, "\n".join(answer["reasons"])), answer["reasons"]
        assert running.sockets() == before
    assert tcp_says(running.port, b"hi") == b"hi"
    assert unix_says(running.folder / "wrap.sock", b"a  b\n") == b"a b\r\n"
