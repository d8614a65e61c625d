"""A daemon below twistd that has become another user, or is elsewhere, reloads as any other."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockd.ops.control.client import ControlClient
from tests.processes import (
    NOBODY,
    PATIENCE,
    STOPPED,
    Running,
    foreground,
    free_port,
    running,
    tcp_says,
    udp_says,
)
from tests.test_background_starts import becoming_nobody, folder

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="becomes another user")
__all__ = ["folder"]

LOW = 871
"""A port below 1024 that nobody listens at."""


@contextmanager
def nobody(folder: Path, text: str) -> Iterator[tuple[Running, ControlClient]]:
    """A daemon that has given up root, with this configuration, and who asks it."""
    write(folder, text)
    environment = {"RUNTIME_DIRECTORY": str(folder / "run")}
    argv = becoming_nobody(str(folder / "sockd.toml"))
    with running(argv, environment=environment) as daemon:
        daemon.wait_for("runs 1 service")
        with ControlClient(str(folder / "run" / "control.sock"), PATIENCE) as client:
            yield daemon, client
        assert daemon.stop() == STOPPED
        assert "Traceback" not in daemon.text()


def write(folder: Path, listens: str) -> None:
    (folder / "sockd.toml").write_text(f"[service.echo]\n{listens}\n", "utf-8")


@pytest.mark.parametrize("required", ["true", "false"])
def test_a_new_port_below_1024_has_a_reload_refused_whole(required: str, folder: Path) -> None:
    first, second = free_port(), free_port()
    with nobody(folder, f"listen = ['tcp:{first}:interface=127.0.0.1']") as (_, client):
        listens = f"listen = ['tcp:{second}:interface=127.0.0.1', 'tcp:{LOW}:interface=127.0.0.1']"
        write(folder, f"{listens}\nrequired = {required}")
        [reason] = client.ask("reload")["reasons"]
        assert reason == (
            f"echo: cannot listen on tcp 127.0.0.1:{LOW}: root was given up at the start: a port "
            "below 1024 that is new needs a restart"
        )
        assert tcp_says(first, b"hi") == b"hi"
        with pytest.raises(ConnectionRefusedError):
            tcp_says(second, b"hi")


def test_a_port_below_1024_that_it_has_stays_and_moves(folder: Path) -> None:
    low = f"'tcp:{LOW}:interface=127.0.0.1', 'udp:{LOW}:interface=127.0.0.1'"
    other = f"[service.other]\nkind = 'echo'\nlisten = [{low}]"
    with nobody(folder, f"listen = [{low}]") as (_, client):
        high = f"listen = ['tcp:{free_port()}:interface=127.0.0.1']\nidle_timeout = '7s'"
        for text in (f"listen = [{low}]\nidle_timeout = '7s'", f"{high}\n{other}"):
            write(folder, text)
            assert client.ask("reload")["ok"]
            assert tcp_says(LOW, b"hi") == b"hi"


def test_the_wildcard_and_an_address_change_places_though_they_are_of_two_users(
    folder: Path,
) -> None:
    port = free_port()
    one = f"listen = ['tcp:{port}:interface=127.0.0.1', 'udp:{port}:interface=127.0.0.1']"
    every = f"listen = ['tcp:{port}', 'udp:{port}']"
    with nobody(folder, one) as (_, client):
        for text in (every, one, every):
            write(folder, text)
            answer = client.ask("reload")
            assert answer["ok"], answer
            assert tcp_says(port, b"hi") == b"hi"
            assert udp_says(port, b"hi") == b"hi"


def test_socket_files_and_the_configuration_are_where_they_were_at_the_start(folder: Path) -> None:
    (folder / "sockd.toml").write_text("[service.wrap]\n", "utf-8")
    daemon = foreground("--uid", str(NOBODY), "--rundir", "/", "sockd", "--config", "sockd.toml")
    # /run is its own: the host's may have a daemon's files
    script = f'mount -t tmpfs none /run && chmod 755 /run && cd {folder} && exec "$@"'
    argv = ["unshare", "--mount", "sh", "-c", script, "sh", *daemon]
    environment = {"RUNTIME_DIRECTORY": "", "XDG_RUNTIME_DIR": ""}
    with running(argv, environment=environment) as child:
        child.wait_for("listening on unix /run/sockd/wrap.sock")
        child.wait_for("runs 1 service")
        (folder / "sockd.toml").write_text("[service.wrap]\ncolumns = 40\n", "utf-8")
        child.process.send_signal(signal.SIGHUP)
        child.wait_for("the configuration (holds|stays)")
        steps = re.findall(r"Z (?:warn: )?(wrap: changed.*)", child.text())
        assert steps == ["wrap: changed: columns 30 -> 40"], child.text()
        assert child.stop() == STOPPED
