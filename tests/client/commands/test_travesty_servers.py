"""`sock travesty` and servers of others: old ones, slow ones, and such as are none."""

from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
from pathlib import Path

import pytest

from tests.client.liars import Step, Told, drips, hears, resets, says, stays, stream_liar
from tests.client.running import Done, sock, sock_open, unspoilt
from tests.processes import PATIENCE, wait_until

OLD = (says(b"200 hello\r\n"), hears(10), says(b"500 what?\r\n"))
"""An old server, up to the first command."""
NEW = (says(b"100 hello\r\n"), hears(10), says(b"206 ABORT\r\n"))
ASKED = len(b"FEATURES\r\n")
UPLOADED = ASKED + len(b"DATA\r\nsome words\r\n.\r\n")
ANALYZED = (hears(ASKED + 6), says(b"201 go on\r\n"), hears(UPLOADED), says(b"202 2 words\r\n"))
GENERATE = UPLOADED + len(b"GENERATE 5\r\n")
BYE = GENERATE + len(b"BYE\r\n")


@pytest.fixture
def text(tmp_path: Path) -> Path:
    file = tmp_path / "text"
    file.write_bytes(b"some words")
    return file


def marks(byte: bytes) -> Step:
    """Send an urgent byte."""

    def step(told: Told) -> None:
        assert told.sock.send(byte, socket.MSG_OOB) == 1

    return step


def hears_mark(told: Told) -> None:
    """Wait for an urgent byte, and drop all up to it."""
    poll = select.poll()
    poll.register(told.sock, select.POLLPRI)
    assert poll.poll(PATIENCE * 1000)
    told.sock.setblocking(False)  # to wait for it is to wait for more
    told.heard += b"^" + told.sock.recv(1, socket.MSG_OOB)
    told.sock.settimeout(PATIENCE)


def test_an_old_server_is_one_too(text: Path) -> None:
    script = (*OLD, *ANALYZED, hears(GENERATE), says(b"203 so\r\nwords some\r\n.\r\n"), hears(BYE))
    with stream_liar(*script, says(b"204 bye\r\n")) as liar:
        done = sock("travesty", "--generate", "5", text, f"127.0.0.1:{liar.port}")
    assert (done.code, done.out, done.err) == (0, b"words some\n", "")
    assert bytes(liar.heard[0]).endswith(b"some words\r\n.\r\nGENERATE 5\r\nBYE\r\n")


def test_a_text_that_comes_byte_by_byte_is_the_same(text: Path) -> None:
    made = b"203 so\r\n.words\r\n\r\n..\r\nsome\x1b\r\n.\r\n"
    script = (*OLD, *ANALYZED, hears(GENERATE), drips(made), hears(BYE))
    with stream_liar(*script) as liar:
        done = sock("travesty", "--generate", "5", text, f"127.0.0.1:{liar.port}")
    assert (done.code, done.out) == (0, b".words\n\n..\nsome\x1b\n")


def test_urgent_bytes_of_a_server_that_nobody_waits_for_mean_nothing(text: Path) -> None:
    made = (says(b"203 so\r\nwords "), marks(b"?"), says(b"some\r\n.\r\n"))
    script = (marks(b"!"), *NEW, marks(b"!"), *ANALYZED, hears(GENERATE), *made, hears(BYE))
    with stream_liar(*script, marks(b"!")) as liar:
        done = sock("travesty", "--generate", "5", text, f"127.0.0.1:{liar.port}")
    assert (done.code, done.out, done.err) == (0, b"words some\n", "")


@pytest.mark.parametrize(
    ("script", "code", "why"),
    [
        ((says(b"220 mail\r\n"), stays), 4, "greets as no travesty service: '220 mail'"),
        ((says(b"\x00\xff\x1b[31m\r\n"), stays), 4, r"'\x00\udcff\x1b[31m'"),
        ((says(b"x" * 100_000), stays), 4, "said a line of more than 4096 bytes"),
        ((says(b"500 too many\r\n"),), 1, "said: 500 too many"),
        ((says(b"100 hello\r\n"), hears(ASKED)), 1, "before it had answered FEATURES"),
        ((*OLD, hears(ASKED + 6), says(b"204 bye\r\n")), 4, "said '204 bye' to DATA"),
        ((*OLD, hears(ASKED + 6), says(b"201 go\r\n"), hears(ASKED + 6)), 1, "127.0.0.1"),
        ((*OLD, hears(ASKED + 6), resets), 1, "has reset the connection"),
        (
            (*OLD, *ANALYZED, hears(GENERATE), says(b"203 so\r\nwords")),
            1,
            "before it had answered GENERATE to its end",
        ),
    ],
)
def test_a_server_that_is_none_is_told(
    text: Path, script: tuple[Step, ...], code: int, why: str
) -> None:
    with stream_liar(*script) as liar:
        done = sock("travesty", "-W", "30", "--generate", "5", text, f"127.0.0.1:{liar.port}")
    assert done.code == code
    assert why in done.err
    assert "Traceback" not in done.err


@pytest.mark.parametrize(
    ("script", "what"),
    [
        ((stays,), "our call"),
        ((says(b"100 hello\r\n"), stays), "FEATURES"),
        ((*NEW, stays), "DATA"),
        ((*NEW, hears(ASKED + 6), says(b"201 go on\r\n"), stays), "the end of a text"),
        ((*NEW, *ANALYZED, says(b"203 so\r\nwords"), stays), "GENERATE to its end"),
    ],
)
def test_one_that_is_too_slow_is_told(text: Path, script: tuple[Step, ...], what: str) -> None:
    said = f"has not answered {what} within 2 s"

    def once() -> Done:
        with stream_liar(*script) as liar:
            return sock("travesty", "-W", "2", "--generate", "5", text, f"127.0.0.1:{liar.port}")

    done = unspoilt(once, lambda done: said in done.err)
    assert done.code == 3
    assert re.search(rf"127\.0\.0\.1:\d+ {said}", done.err)


def test_a_refusal_in_an_upload_is_told_and_the_connection_goes_on(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    descriptor = os.open(pipe, os.O_RDWR)  # it has no end
    refused = ASKED + len(b"DATA\r\nABORT\r\n")
    script = [*NEW, hears(ASKED + 6), says(b"201 go\r\n552 full\r\n"), hears(refused)]
    script += [says(b"500 what?\r\n207 now\r\n"), hears(refused + 7), says(b"205 so\r\n")]
    try:
        with stream_liar(*script, hears(refused + 12)) as liar:
            lines = f"analyze {pipe}\nreset\n".encode()
            there = f"127.0.0.1:{liar.port}"
            done = sock("travesty", there, stdin=lines)
    finally:
        os.close(descriptor)
    assert (done.code, done.out) == (1, b"")
    assert done.err == f"{there} said: 552 full\nforgotten\n"
    assert bytes(liar.heard[0]) == b"FEATURES\r\nDATA\r\nABORT\r\nRESET\r\nBYE\r\n"


# ^C


def interrupted(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Press ^C; what comes of it."""
    assert process.stdout is not None
    assert process.stdout.read(6) == b"words\n"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err.decode()


LINES = b"generate 5\nreset\n"
ASKS = ASKED + len(b"GENERATE 5\r\n")


def test_what_comes_before_the_mark_is_dropped() -> None:
    made = (says(b"203 so\r\nwords\r\n"), hears_mark, says(b"more words\r\n"), marks(b"!"))
    with (
        stream_liar(*OLD, hears(ASKS), *made, hears(ASKS + 7)) as liar,
        sock_open("travesty", f"127.0.0.1:{liar.port}") as process,
    ):
        assert process.stdin is not None
        process.stdin.write(LINES)
        process.stdin.flush()
        code, out, err = interrupted(process)
    assert (code, out) == (-signal.SIGINT, b"")
    assert err == "(stopped; 12 bytes discarded)\n"
    assert bytes(liar.heard[0]) == b"FEATURES\r\nGENERATE 5\r\n^!BYE\r\n"


def test_one_that_heeds_no_urgent_byte_is_told_to_abort() -> None:
    made = [says(b"203 so\r\nwords\r\n"), hears(ASKS + 9), says(b"207 words\r\n.\r\n")]
    made += [says(b"500 what?\r\n207 now\r\n"), hears(ASKS + 14)]
    with (
        stream_liar(*NEW, hears(ASKS), *made) as liar,
        sock_open("travesty", f"127.0.0.1:{liar.port}") as process,
    ):
        assert process.stdin is not None
        process.stdin.write(LINES)
        process.stdin.flush()
        code, out, err = interrupted(process)
    assert (code, out) == (-signal.SIGINT, b"")
    assert err == "(stopped; 14 bytes discarded)\n"
    assert bytes(liar.heard[0]).endswith(b"GENERATE 5\r\n\r\nABORT\r\nBYE\r\n")


def test_one_that_heeds_neither_is_out_of_step() -> None:
    made = (says(b"203 so\r\nwords\r\n"), stays)
    with (
        stream_liar(*OLD, hears(ASKS), *made) as liar,
        sock_open("travesty", f"127.0.0.1:{liar.port}") as process,
    ):
        assert process.stdin is not None
        process.stdin.write(LINES)
        process.stdin.flush()
        code, out, err = interrupted(process)
    assert (code, out) == (4, b"")
    assert "sent no urgent byte back: the connection is out of step" in err


def test_one_that_stands_still_with_a_full_queue_does_not_hold_the_client(tmp_path: Path) -> None:
    """Nothing is read of the upload: the urgent byte waits behind it, and a second ^C leaves."""
    file = tmp_path / "much"
    file.write_bytes(b"many words \n" * 2_000_000)
    with (
        stream_liar(*NEW, hears(ASKED + 6), says(b"201 go\r\n"), stays) as liar,
        sock_open("travesty", "-W", "600", "--generate", "5", file, f"127.0.0.1:{liar.port}") as it,
    ):
        wait_until(lambda: liar.heard and b"DATA" in liar.heard[0], "an upload")

        def is_gone() -> bool:
            if it.poll() is None:
                os.kill(it.pid, signal.SIGINT)
            return it.poll() is not None

        wait_until(is_gone, "it has left")
        assert it.wait(PATIENCE) == -signal.SIGINT
