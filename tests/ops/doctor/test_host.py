"""The facts of this host, and the command that tells what comes of them."""

from __future__ import annotations

import json
import os
import socket
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sockd.listen.strings import parse
from sockd.ops.doctor import host
from sockd.ops.doctor.finding import Holder, Wanted
from sockd.testing.certificate import make_certificate
from tests.commands import config, runtime, sockd
from tests.daemons import Daemon
from tests.processes import NOBODY, running

__all__ = ["runtime"]

MISSING = Path("/no/such/file")


def test_the_facts_are_those_of_this_process() -> None:
    found = host.facts(None)
    assert (found.pid, found.is_daemon, found.uid) == (os.getpid(), False, os.geteuid())
    assert found.descriptors >= 256
    assert found.receive_buffer > 0
    assert "lo" in {interface.name for interface in found.interfaces}
    assert (found.plugin, found.reactor) == ("", "")
    assert found.twistd.endswith("/twistd")


def test_of_a_daemon_the_facts_are_its_own() -> None:
    script = "import resource, time; resource.setrlimit(7, (77, 77)); print('it is on', flush=1)"
    with running([sys.executable, "-c", f"{script}; time.sleep(600)"]) as process:
        process.wait_for("^it is on")
        found = host.facts(process.pid)
        assert (found.pid, found.is_daemon, found.descriptors) == (process.pid, True, 77)


@contextmanager
def somebody() -> Iterator[int]:
    """A process of a user without rights."""
    script = "import time; print('it is on', flush=True); time.sleep(600)"
    become = ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups"]
    with running([*become, sys.executable, "-c", script]) as process:
        process.wait_for("^it is on")
        yield process.pid


def test_whether_a_file_can_be_read_is_asked_as_the_daemon(tmp_path: Path) -> None:
    with tempfile.NamedTemporaryFile() as key:
        with somebody() as pid:
            reads = host.facts(pid).reads
            assert not reads(key.name)
            os.chown(key.name, 0, NOBODY)
            Path(key.name).chmod(0o640)
            assert reads(key.name)
            assert not reads(str(tmp_path / "none"))
        assert host.facts(None).reads(key.name)


def test_a_file_is_moved_away_by_who_may_write_in_its_folder() -> None:
    with tempfile.TemporaryDirectory() as name:
        for mode, folder in (
            (0o755, "."),
            (0o777, "open"),
            (0o755, "closed"),
            (0o776, "unsearched"),
        ):
            Path(name, folder).mkdir(exist_ok=True)
            Path(name, folder).chmod(mode)
        Path(name, "open/link").symlink_to("../closed/log")
        with somebody() as pid:
            may_move = host.facts(pid).may_move
            assert may_move(f"{name}/open/log")
            assert not may_move(f"{name}/closed/log")
            assert not may_move(f"{name}/unsearched/log")
            assert not may_move(f"{name}/open/link"), "it is the file that is moved"
        assert host.facts(None).may_move(f"{name}/closed/log")


def test_whoever_listens_is_seen_unless_it_is_the_daemon() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listen = parse(f"tcp:{port}:interface=127.0.0.1")
        holder = host.facts(None).holder(listen)
        assert isinstance(holder, Holder)
        assert holder.pid == os.getpid()
        assert host.facts(os.getpid()).holder(listen) is None
        assert host.facts(None).holder(parse(f"udp:{port}:interface=127.0.0.1")) is None


def test_whose_a_process_is_that_listens_is_told_to_root_alone() -> None:
    script = (
        "import socket, time; one = socket.create_server(('127.0.0.1', 0)); "
        "print('port', one.getsockname()[1], flush=True); time.sleep(600)"
    )
    with running([sys.executable, "-c", script]) as process:
        port = process.wait_for(r"^port (\d+)")[1]
        listen = parse(f"tcp:{port}:interface=127.0.0.1")
        os.seteuid(NOBODY)
        try:
            assert host.facts(None).holder(listen) == Holder()
        finally:
            os.seteuid(0)
        holder = host.facts(None).holder(listen)
        assert holder is not None
        assert holder.pid == process.pid


def test_other_super_servers_are_asked_what_they_will_want(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "inetd.conf"
    file.write_text("echo stream tcp nowait root internal\n#time stream tcp nowait root internal\n")
    monkeypatch.setattr(host, "INETD_FILES", (str(file), str(MISSING)))
    assert host.facts(None).others == (Wanted(f"{file}:1", True, 7),)


def test_the_end_of_a_certificate_is_read_from_its_file(tmp_path: Path) -> None:
    certificate, key, *_ = make_certificate(tmp_path)
    assert host.expires(str(certificate)) > 0
    with pytest.raises(ValueError, match="no such file"):
        host.expires(str(MISSING))
    with pytest.raises(ValueError, match="PEM"):
        host.expires(str(key))


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo '    sockd   many services'", ""),
        ("echo '    web  a server'", "does not find sockd"),
        ("exit 1", "does not find sockd"),
        ("sleep 600", "timed out"),
    ],
)
def test_twistd_is_asked_itself(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, why: str
) -> None:
    twistd = tmp_path / "twistd"
    twistd.write_text(f"#!/bin/sh\n{'exec ' if 'sleep' in script else ''}{script}\n")
    twistd.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    if why == "timed out":
        monkeypatch.setattr(host, "TWISTD_SECONDS", 0.2)
    found = host.facts(None)
    assert found.twistd == str(twistd)
    assert why in found.plugin
    assert bool(why) == bool(found.plugin)


# the command


def test_all_well_ends_with_0_and_something_bad_with_1(tmp_path: Path) -> None:
    free = config(tmp_path, '[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\n')
    result = sockd("doctor", free)
    assert result.exit_code == 0, result.output
    assert {line[:5].strip() for line in result.stdout.splitlines()} <= {"ok", "warn", ""}
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        listen = f'listen = ["tcp:{port}:interface=127.0.0.1"]\n'
        taken = config(tmp_path, f"[service.echo]\n{listen}")
        result = sockd("doctor", taken)
        assert result.exit_code == 1
        assert f"process {os.getpid()}" in result.stdout
        answer = json.loads(sockd("doctor", "--json", taken).stdout)
        assert answer["ok"] is False
        bad = [one for one in answer["findings"] if one["level"] == "bad"]
        assert [one["topic"] for one in bad] == ["addresses"]


def test_a_mistake_in_the_configuration_is_told_as_everywhere(tmp_path: Path) -> None:
    result = sockd("doctor", config(tmp_path, "[service.echo]\nlisten = 5\n"))
    assert result.exit_code == 1
    assert "service.echo.listen" in result.stderr


def test_a_daemon_that_runs_is_looked_at_and_its_own_addresses_are_no_others(
    tmp_path: Path,
) -> None:
    path = tmp_path / "control"
    text = f'[sockd]\ncontrol = "{path}"\n[service.echo]\nlisten = ["tcp:0:interface=127.0.0.1"]\n'
    with Daemon(tmp_path, text) as daemon:
        _, port = daemon.address("echo", "tcp")
        file = config(tmp_path, text.replace("tcp:0", f"tcp:{port}"))
        for more in ((file,), (file, "--control", path)):
            result = sockd("doctor", *more)
            assert result.exit_code == 0, result.output
            assert f"the daemon (process {daemon.pid})" in result.stdout
