"""`sock urgent`: lines, urgent bytes at ^C, and what servers report, or do not."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from sockd.client.exits import Exit
from tests.client.liars import (
    Liar,
    Told,
    hears,
    hears_end,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import SOCK, sock, sock_open
from tests.daemons import Daemon
from tests.processes import PATIENCE, Running, followed, variables, wait_until

SERVICES = """
[service.urgent]
listen = ["tcp:0:interface=127.0.0.1"]
[service.inline]
kind = "urgent"
inline = true
listen = ["tcp:0:interface=127.0.0.1"]
"""
LATE = ("-W", "60")
"""A wait that must not run out."""


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    with Daemon(tmp_path_factory.mktemp("urgent"), SERVICES) as running:
        yield running


def at(daemon: Daemon, service: str) -> str:
    host, port = daemon.address(service, "tcp")
    return f"{host}:{port}"


# with our service


@pytest.mark.parametrize(
    ("service", "urgent"),
    [("urgent", "got 1 byte of urgent data: !"), ("inline", "got 1 bytes of normal data: !")],
)
def test_in_step_each_thing_that_is_sent_is_reported_before_the_next(
    daemon: Daemon, service: str, urgent: str
) -> None:
    times = ("--urgent-after", "0", "--urgent-after", "2", "--urgent-after", "2")
    done = sock("urgent", "-c", "3", "-i", "0", "--step", *times, *LATE, at(daemon, service))
    sent = "sending 1 byte of urgent data: !"
    assert done.out.decode().splitlines() == [
        *(sent, urgent),
        *("sending 3 bytes of normal data: aa", "got 3 bytes of normal data: aa"),
        *("sending 3 bytes of normal data: ab", "got 3 bytes of normal data: ab"),
        *(sent, urgent) * 2,
        *("sending 3 bytes of normal data: ac", "got 3 bytes of normal data: ac"),
    ]
    assert (done.code, done.err) == (0, "")


def test_quietly_only_what_is_reported_is_printed(daemon: Daemon) -> None:
    done = sock("urgent", "-q", "-c", "1", "--urgent-after", "1", "--step", at(daemon, "urgent"))
    assert done.out.decode().splitlines() == [
        "got 3 bytes of normal data: aa",
        "got 1 byte of urgent data: !",
    ]


def test_json_has_what_was_sent_as_numbers_and_what_was_reported_as_text(daemon: Daemon) -> None:
    done = sock("urgent", "-J", "-c", "2", "-i", "0", "--urgent-after", "2", at(daemon, "urgent"))
    start, probe, summary = map(json.loads, done.out.splitlines())
    assert start["options"]["count"] == 2
    assert probe["values"] == {"lines": 2, "urgent": 1}
    assert probe["text"].count("got ") >= 2
    [host] = summary["hosts"]
    assert (host["counts"]["bytes_sent"], host["values"]) == (7, {"lines": 2, "urgent": 1})
    assert (host["exit"], done.code, done.err) == (0, 0, "")


def test_explain_tells_the_urgent_byte_from_others(daemon: Daemon) -> None:
    done = sock("urgent", "--explain", "-c", "1", "--urgent-after", "1", at(daemon, "urgent"))
    assert done.code == 0
    shown = r"^# .*: write to .* \(tcp\), (.+)\n(?:# .*\n)+O .*\n000000  (.+?)  "
    assert re.findall(shown, done.err, re.M) == [("3 bytes", "61 61 0a"), ("1 urgent byte", "21")]


# at a terminal


@contextmanager
def on_keyboard(*arguments: str) -> Iterator[tuple[Running, int]]:
    """`sock` on a terminal of its own, which is read, and typed at by a descriptor."""
    ours, its = pty.openpty()
    script = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY)\n"
    script += "os.execv(sys.argv[1], sys.argv[1:])"
    process = subprocess.Popen(
        [sys.executable, "-c", script, SOCK, *arguments],
        stdin=its,
        stdout=its,
        stderr=its,
        env=variables({"TERM": "xterm"}),
        start_new_session=True,
    )
    os.close(its)
    process.stdout = Screen(ours)  # type: ignore[assignment]  # what `followed` needs of it
    try:
        with followed(process) as running:
            yield running, ours
    finally:
        os.close(ours)


class Screen:
    """What a program writes on a terminal."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def read1(self, size: int) -> bytes:
        """The next of it; nothing once nobody has the terminal open."""
        try:
            return os.read(self.descriptor, size)
        except OSError:  # Linux: EIO
            return b""

    def close(self) -> None:
        """The terminal is closed by whoever opened it."""


def test_each_control_c_is_an_urgent_byte_and_control_backslash_the_end(daemon: Daemon) -> None:
    # one line, and then it waits for longer than the test takes
    with on_keyboard("urgent", "-i", "1h", at(daemon, "urgent")) as (running, keyboard):
        running.wait_for("got 3 bytes of normal data: aa")
        for count in (1, 2, 3):
            os.write(keyboard, b"\x03")
            running.wait_for("(?s)" + "got 1 byte of urgent data: !.*" * count)
        os.write(keyboard, b"\x1c")
        assert running.wait() == 0
        # the terminal echoes ^C before a line
        shown = re.findall("(?:sending|got) .*(?=\r)", running.text())
    sent, got = "sending 1 byte of urgent data: !", "got 1 byte of urgent data: !"
    assert shown == [
        *("sending 3 bytes of normal data: aa", "got 3 bytes of normal data: aa"),
        *(sent, got) * 3,
    ]
    said = daemon.wait_for("closed", service="urgent", bytes_in=6)
    whose = said["peer_port"]
    told = [one for one in daemon.events("urgent-data") if one["peer_port"] == whose]
    assert [one["text"] for one in told] == ["!", "!", "!"]


# with servers that report nothing


def reads_inline(told: Told) -> None:
    """Have urgent bytes come in their place."""
    told.sock.setsockopt(socket.SOL_SOCKET, socket.SO_OOBINLINE, 1)


def takes_urgent(told: Told) -> None:
    """Wait for an urgent byte, and take it out of what is unread."""
    poll = select.poll()
    poll.register(told.sock, select.POLLPRI)
    assert poll.poll(PATIENCE * 1000)
    told.sock.settimeout(None)  # Python would wait for ordinary data
    told.heard += b"[" + told.sock.recv(1, socket.MSG_OOB) + b"]"
    told.sock.settimeout(PATIENCE)


def test_what_is_sent_are_lines_and_urgent_bytes_in_their_place() -> None:
    with stream_liar(reads_inline, hears_end) as server:
        done = sock(
            *("urgent", "-c", "4", "-i", "0", "--urgent-after", "1", "--urgent-after", "3"),
            *(*LATE, f"127.0.0.1:{server.port}"),
        )
        assert server.wait_heard(1) == b"aa\n!ab\nac\n!ad\n"
    assert done.out.decode().splitlines() == [
        "sending 3 bytes of normal data: aa",
        "sending 1 byte of urgent data: !",
        "sending 3 bytes of normal data: ab",
        "sending 3 bytes of normal data: ac",
        "sending 1 byte of urgent data: !",
        "sending 3 bytes of normal data: ad",
    ]
    assert (done.code, done.err) == (0, "")


def has_heard(server: Liar, size: int) -> bool:
    return len(server.heard[0]) == size


def test_an_interrupt_sends_what_a_server_can_take_as_an_urgent_byte() -> None:
    with stream_liar(hears(3), takes_urgent, takes_urgent, hears_end) as server:
        address = f"127.0.0.1:{server.port}"
        with sock_open("urgent", "-i", "1h", address) as process:
            wait_until(lambda: server.heard and server.heard[0] == b"aa\n", "a line has come")
            for size in (6, 9):
                os.kill(process.pid, signal.SIGINT)
                wait_until(partial(has_heard, server, size), "an urgent byte has come")
            assert server.heard[0] == b"aa\n[!][!]"
            os.kill(process.pid, signal.SIGQUIT)
            out, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")
    assert out.decode().splitlines() == [
        "sending 3 bytes of normal data: aa",
        *["sending 1 byte of urgent data: !"] * 2,
    ]


def test_thirty_lines_are_sent_if_nothing_else_is_said() -> None:
    with stream_liar(hears_end) as server:
        done = sock("urgent", "-i", "0", f"127.0.0.1:{server.port}")
        lines = server.wait_heard(1).split()
    assert (len(lines), lines[0], lines[25:27], lines[-1]) == (30, b"aa", [b"az", b"ba"], b"bd")
    assert done.code == 0


def test_a_server_that_ends_early_ends_it() -> None:
    with stream_liar(hears(3), says(b"enough\n")) as server:
        done = sock("urgent", "-i", "1h", f"127.0.0.1:{server.port}")
    assert done.out.decode().splitlines()[-1] == "enough"
    assert (done.code, done.err) == (0, "")


def test_a_server_that_never_ends_is_left_once_all_is_sent_and_the_wait_is_over() -> None:
    with stream_liar(stays) as server:
        done = sock("urgent", "-c", "2", "-i", "0", "-W", "0.3", f"127.0.0.1:{server.port}")
    assert (done.code, done.err) == (0, "")


def test_in_step_a_server_that_reports_nothing_is_no_answer_in_time() -> None:
    with stream_liar(stays) as server:
        done = sock("urgent", "--step", "-W", "0.3", f"127.0.0.1:{server.port}")
    assert done.code == Exit.TIMEOUT
    assert "sent no answer within 0.3 s" in done.err


def test_an_interrupt_after_all_is_sent_ends_it() -> None:
    with stream_liar(hears_end, says(b"all\n"), stays) as server:
        address = f"127.0.0.1:{server.port}"
        with sock_open("urgent", "-c", "1", "-W", "1h", address) as process:
            assert process.stdout is not None
            while process.stdout.readline() != b"all\n":
                pass
            os.kill(process.pid, signal.SIGINT)
            assert process.wait(PATIENCE) == -signal.SIGINT


def test_a_reset_is_told() -> None:
    with stream_liar(hears(3), resets) as server:
        done = sock("urgent", "-i", "1h", f"127.0.0.1:{server.port}")
    assert done.code == Exit.UNREACHABLE
    assert "reset" in done.err


def test_where_nobody_listens_that_is_told() -> None:
    with refusing_port() as port:
        assert sock("urgent", f"127.0.0.1:{port}").code == Exit.UNREACHABLE


# the command line


@pytest.mark.parametrize(
    ("arguments", "why"),
    [
        (["--tls"], "--tls: there is urgent data over TCP without TLS only"),
        (["--unix", "/tmp/u.sock"], "--unix: there is urgent data over TCP without TLS only"),
        (["-c", "3", "--urgent-after", "4"], "--urgent-after 4: there are 3 lines (-c)"),
        (["--urgent-after", "-1"], "--urgent-after"),
        (["-c", "0"], "--count"),
    ],
)
def test_what_cannot_be_is_a_mistake_that_says_why(arguments: list[str], why: str) -> None:
    done = sock("urgent", *arguments)
    assert (done.code, done.out) == (Exit.USAGE, b"")
    assert why in done.err


def test_the_options_that_only_refuse_are_not_offered(tmp_path: Path) -> None:
    text = sock("urgent", "--help").out.decode()
    assert "--urgent-after" in text
    assert "--tls" not in text
    assert "--unix" not in text
