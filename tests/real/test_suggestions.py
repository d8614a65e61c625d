"""What the start table says can be typed works in a terminal, and ends by itself."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from attrs import define

from sockd.client.exits import Exit
from sockd.service import find
from tests.daemons import namespace
from tests.processes import PATIENCE, SOCKD, running

KINDS = find().kinds
MOST_SECONDS = 10 * PATIENCE
"""Some begin together, and those that talk are talked to one after the other."""
AT_ONCE = 8
TRIES = 3
"""Of a command whose answer does not come in time: the machine may have stood still."""
SILENT = {"discard"}
"""Kinds that answer nothing, so that nothing is known of a datagram to them."""
TALKS = {
    "chat": ((b"nickname", "user{number}"), (b"logged in", "/quit")),
    "travesty": ((b">", "bye"),),
}
"""Kinds whose client goes on until its user has enough: what is asked, what is answered."""
SETTINGS = {"exec": 'command = ["echo", "hello"]', "beacon": "period = 1"}
"""What a kind must be told, or what makes it quick."""


def config(folder: Path, certificate: Path, key: Path) -> str:
    """An instance of every kind, over every transport that it has."""
    tables = []
    for number, (name, kind) in enumerate(sorted(KINDS.items())):
        port = 20_000 + number
        listens = {
            "tcp": f"tcp:{port}:interface=127.0.0.1",
            "tls": f"tls:{port + 100}:interface=127.0.0.1:privateKey={key}:certKey={certificate}",
            "unix": f"unix:{folder}/{name}.stream",
            "udp": f"udp:{port}:interface=127.0.0.1",
            "unixgram": f"unixgram:{folder}/{name}.datagram",
            "multicast": "multicast:224.225.226.227:2070:interface=127.0.0.1",
        }
        listen = ", ".join(f'"{listens[one]}"' for one in kind.transports)
        tables.append(f"[service.{name}]\nlisten = [{listen}]\n{SETTINGS.get(name, '')}")
    return "\n".join(tables)


@define
class Typed:
    """A command that was typed in a terminal, and what it shows there."""

    service: str
    command: str
    process: subprocess.Popen[bytes]
    screen: int
    complaints: Path
    """Its standard error, where the client tells what it measured."""
    shown: bytes = b""

    def talk(self) -> None:
        """Do as its user does, who has enough of it soon."""
        for asked, answer in TALKS.get(self.service, ()):
            while asked not in self.shown:
                self.shown += os.read(self.screen, 65_536)
            os.write(self.screen, f"{answer.format(number=self.process.pid)}\r".encode())

    def read(self) -> None:
        """Read what it shows until nobody has the terminal open."""
        with suppress(OSError):  # Linux: EIO, the end of a terminal
            self.talk()
            while data := os.read(self.screen, 65_536):
                self.shown += data
        os.close(self.screen)
        self.process.wait(PATIENCE)


def type_in(host: str, service: str, command: str, complaints: Path) -> Typed:
    """Start a command as a user does: a terminal is its input, where nothing is typed."""
    screen, device = os.openpty()
    argv = ["timeout", str(MOST_SECONDS), "ip", "netns", "exec", host, "bash", "-c", command]
    with complaints.open("wb") as errors:
        process = subprocess.Popen(
            argv,
            stdin=device,
            stdout=device,
            stderr=errors,
            start_new_session=True,
            env={**os.environ, "XDG_STATE_HOME": f"{complaints}-state"},
        )
    os.close(device)
    return Typed(service, command, process, screen, complaints)


def suggestions(text: str) -> list[tuple[str, str]]:
    """Service and command of each row of a table."""
    heading, *rows = text.partition("service ")[2].split("\n\n")[0].splitlines()
    column = len("service ") + heading.index("try it with")
    found = []
    service = ""
    for row in rows:
        service = row.split()[0] if row[0] != " " else service
        found.append((service, row[column:]))
    return found


def try_out(host: str, commands: Sequence[tuple[str, str]], folder: Path) -> None:
    """Type some at once: each ends well and shows something."""
    for tries in range(TRIES):
        typed = [
            type_in(host, *one, folder / f"{number}.errors") for number, one in enumerate(commands)
        ]
        for one in typed:
            one.read()
        late = [one for one in typed if one.process.returncode == Exit.TIMEOUT]
        for one in typed:
            told = (one.command, one.shown, one.complaints.read_bytes())
            assert one.process.returncode == 0 or (one in late and tries < TRIES - 1), told
            shown = one.shown + one.complaints.read_bytes()
            assert shown.strip() or one.service in SILENT, told
        commands = [(one.service, one.command) for one in late]


def test_every_suggestion_works_in_a_terminal_and_ends_by_itself(
    tmp_path: Path, tls_files: tuple[Path, Path, Path]
) -> None:
    certificate, key, _ = tls_files
    file = tmp_path / "sockd.toml"
    file.write_text(config(tmp_path, certificate, key), "utf-8")
    with namespace() as host:
        argv = ["ip", "netns", "exec", host, SOCKD, "run", "--config", str(file)]
        with running(argv, environment={"RUNTIME_DIRECTORY": str(tmp_path)}) as daemon:
            daemon.wait_for(r"^wrap .*\n(  .*\n)*\n")
            found = suggestions(daemon.text())
            assert {name for name, _ in found} == set(KINDS)
            doors = sum(len(kind.instances[0].doors) for kind in KINDS.values() if kind.instances)
            assert len(found) == doors + sum(len(kind.transports) for kind in KINDS.values())
            for begin in range(0, len(found), AT_ONCE):
                try_out(host, found[begin : begin + AT_ONCE], tmp_path)
            daemon.stop()
