"""The log and the programs that administrators have for logs: logrotate, fail2ban, the journal."""

from __future__ import annotations

import os
import re
import shutil
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.processes import (
    SOCKD,
    STOPPED,
    TWISTD,
    free_port,
    run,
    running,
    succeed,
    tcp_says,
    wait_until,
)

ETC = Path(__file__).parents[2] / "etc"
FILTER = str(ETC / "fail2ban" / "filter.d" / "sockd.conf")
REMOTE = "/lib/systemd/systemd-journal-remote"
NO = ["127.0.0.2", "127.0.0.3"]
"""Hosts that are denied."""


@contextmanager
def refusing(
    folder: Path, *options: str, environment: dict[str, str] | None = None
) -> Iterator[int]:
    """A daemon that refuses some hosts, over TCP and UDP; its port, which is the same for both."""
    port = free_port()
    listen = f'["tcp:{port}:interface=*", "udp:{port}:interface=*"]'
    deny = f'--set=service.echo.deny=["{NO[0]}", "{NO[1]}"]'
    argv = [SOCKD, "run", "--only=echo", f"--set=service.echo.listen={listen}", deny, *options]
    with running(argv, cwd=folder) as daemon:
        wait_until(lambda: answers(port), "it serves")
        yield port
        assert daemon.stop() == 0


def answers(port: int) -> bool:
    """Whether a client that may come is served."""
    with socket.socket() as sock:
        if sock.connect_ex(("127.0.0.1", port)):
            return False
        sock.sendall(b"x")
        return sock.recv(1) == b"x"


def ask(port: int) -> None:
    """Be refused, over TCP from one host, over UDP from the other, who only seems to have come."""
    with socket.create_connection(("127.0.0.1", port), source_address=(NO[0], 0)) as sock:
        assert sock.recv(1) == b""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((NO[1], 0))
        sock.sendto(b"x", ("127.0.0.1", port))


def banned(*where: str) -> list[str]:
    """The hosts that fail2ban finds in a log."""
    told = succeed("fail2ban-regex", "--out=id", *where, FILTER).split()
    return sorted(set(told))


@pytest.mark.parametrize("form", ["text", "json"])
def test_fail2ban_finds_who_was_refused_over_tcp_and_nobody_else(tmp_path: Path, form: str) -> None:
    log = tmp_path / "log"
    with refusing(tmp_path, "--log-format", form, f"--set=sockd.log_file={log}") as port:
        ask(port)
        wait_until(lambda: log.read_text("utf-8").count("refused: ") == 2, "both are refused")
    assert banned(str(log)) == [NO[0]]
    assert len(log.read_text("utf-8").splitlines()) > 2


REFUSED = {
    "192.0.2.1": "192.0.2.1:5 refused: deny 192.0.2.0/24",
    "192.0.2.2": "192.0.2.2:5 refused: no allow rule matches",
    "192.0.2.3": "192.0.2.3:5 refused: max_connections_per_source = 20",
    "192.0.2.4": "192.0.2.4:5 refused: connect_rate = 50/s "
    "(and 12 more refused since the last report)",
    "2001:db8::1": "[2001:db8::1]:5 refused: connect_rate = 50/s",
}
"""What a host has done itself."""
OTHERS = [
    "echo: connection from 192.0.2.5:5 refused: max_connections = 1000",
    "echo: connection from 192.0.2.5:5 refused: not one of the listed proxies",
    "echo: datagram from 192.0.2.5:5 refused: deny 192.0.2.0/24",
    "echo: connection from local process 7 of user 0 refused: allow_users: not user 0",
    "exec: process 7 of 10.0.0.1:5 reports: echo: connection from 192.0.2.5:5 refused: deny x",
    "said: 10.0.0.1:5 closed after 1.0 s: echo: connection from 192.0.2.5:5 refused: deny x",
    "echo: connection from 192.0.2.5:5 refused: deny x and more",
]
"""What is no refusal of a connection, or not the host's doing."""


def test_fail2ban_finds_every_refusal_that_is_the_hosts_own_doing_and_no_other_line(
    tmp_path: Path,
) -> None:
    lines = [f"echo-7: connection from {line}" for line in REFUSED.values()] + OTHERS
    log = tmp_path / "log"
    log.write_text("".join(f"2026-11-29T18:00:00.000Z {line}\n" for line in lines), "utf-8")
    assert banned(str(log)) == sorted(REFUSED)


def journal_of(folder: Path, messages: Sequence[str]) -> Path:
    """A file of the journal, with what a unit has written to it."""
    export = folder / "export"
    at = 1_780_000_000_000_000
    with export.open("w", encoding="utf-8") as file:
        for number, message in enumerate(messages):
            priority, text = re.fullmatch("<([0-7])>(.*)", message).groups()  # type: ignore[union-attr]
            for unit in ("sockd.service", "other.service"):
                file.write(
                    f"__REALTIME_TIMESTAMP={at + number}\n__MONOTONIC_TIMESTAMP={number}\n"
                    f"_BOOT_ID={1:032x}\n_SYSTEMD_UNIT={unit}\nPRIORITY={priority}\n"
                    f"_HOSTNAME=host\nSYSLOG_IDENTIFIER=twistd\n_PID=7\n"
                    f"MESSAGE={text if unit == 'sockd.service' else text.replace(NO[0], NO[1])}\n\n"
                )
    journal = folder / "sockd.journal"
    succeed(REMOTE, f"--output={journal}", str(export))
    return journal


def test_in_the_journal_lines_have_priorities_and_fail2ban_finds_the_unit(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with out.open("wb") as stream:
        found = os.fstat(stream.fileno())
        place = f"{found.st_dev}:{found.st_ino}"
        port = free_port()
        options = ["run", "--only=echo", f'--set=service.echo.listen=["tcp:{port}"]']
        deny = f'--set=service.echo.deny=["{NO[0]}"]'
        environment = {"JOURNAL_STREAM": place}
        argv = [SOCKD, *options, deny]
        with running(argv, cwd=tmp_path, environment=environment, stdout=stream) as daemon:
            wait_until(lambda: answers(port), "it serves")
            with socket.create_connection(("127.0.0.1", port), source_address=(NO[0], 0)) as sock:
                assert sock.recv(1) == b""
            assert daemon.stop() == 0
    lines = out.read_text("utf-8").splitlines()
    assert "<6>echo: connection from 127.0.0.1" in "\n".join(lines)
    assert all(re.match(r"<[46]>\S", line) for line in lines)
    assert "^C" not in "".join(lines), "there is no table"
    journal = journal_of(tmp_path, lines)
    told = succeed("journalctl", f"--file={journal}", "--output=cat", "--unit=sockd")
    assert f"{NO[0]}:" in told
    assert "<6>" not in told
    assert banned(f"systemd-journal[journalfiles={journal}]") == [NO[0]]


def test_fail2ban_takes_the_jail(tmp_path: Path) -> None:
    shutil.copytree("/etc/fail2ban", tmp_path / "etc", symlinks=True)
    for name in ("filter.d", "jail.d"):
        shutil.copy(ETC / "fail2ban" / name / "sockd.conf", tmp_path / "etc" / name)
    (tmp_path / "etc" / "jail.d" / "defaults-debian.conf").unlink()  # sshd, which is not here
    told = succeed("fail2ban-client", "-c", tmp_path / "etc", "-d")
    assert "['add', 'sockd', 'systemd']" in told
    assert "'addjournalmatch', '_SYSTEMD_UNIT=sockd.service'" in told
    assert "['start', 'sockd']" in told


SYSTEMCTL = """#!/bin/sh
[ "$*" = "kill --signal=USR1 --kill-who=main sockd.service" ] && kill -USR1 "$(cat {pid})"
"""


def test_logrotate_moves_the_log_away_and_sockd_goes_on_in_a_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Below twistd, which has a pid file, and as a unit, of which systemd knows the process."""
    port = free_port()
    text = (ETC / "logrotate.d" / "sockd").read_text("utf-8")
    rules = tmp_path / "rules"
    text = text.replace("/var/log/", f"{tmp_path}/").replace("/run/", f"{tmp_path}/")
    rules.write_text(text, "utf-8")
    rules.chmod(0o644)
    pid, aside = tmp_path / "sockd.pid", tmp_path / "aside.pid"
    (tmp_path / "systemd" / "system").mkdir(parents=True)
    systemctl = tmp_path / "bin" / "systemctl"
    systemctl.parent.mkdir()
    systemctl.write_text(SYSTEMCTL.format(pid=aside), "ascii")
    systemctl.chmod(0o755)
    monkeypatch.setenv("PATH", f"{systemctl.parent}:{os.environ['PATH']}")
    log = tmp_path / "sockd.log"
    listen = f'--set=service.daytime.listen=["tcp:{port}:interface=127.0.0.1"]'
    argv = [TWISTD, "-n", f"--pidfile={pid}", f"--logfile={log}", "sockd"]
    with running([*argv, "--only=daytime", listen], cwd=tmp_path) as daemon:
        wait_until(lambda: log.exists() and "runs 1 service" in log.read_text("utf-8"), "it serves")
        log.chmod(0o640)
        for turn in range(3):
            assert tcp_says(port)
            if turn == 2:
                pid.rename(aside)
            succeed("logrotate", "--force", f"--state={tmp_path}/state", rules)
            wait_until(
                lambda: log.exists() and "the log goes on" in log.read_text("utf-8"),
                f"it goes on, turn {turn}",
            )
        aside.rename(pid)
        assert daemon.stop() == STOPPED
    assert log.stat().st_mode & 0o777 == 0o640
    assert run("sh", "-c", f"ls {tmp_path}/sockd.log*").stdout.split() == [
        f"{log}{ending}" for ending in ("", ".1", ".2.gz", ".3.gz")
    ]
