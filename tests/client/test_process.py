"""How a run begins and ends: signals, closed pipes, exit codes."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import jsonschema
import pytest
import trustme

from sockd.client.ending import REPORT
from tests.client.issuers import Issuer
from tests.client.liars import (
    datagram_liar,
    echoes,
    hears_end,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.running import SOCK, Done, sock, sock_open
from tests.processes import PATIENCE, wait_until

SCHEMA = Path(__file__).parents[2] / "docs" / "sock.schema.json"


def finish(process: subprocess.Popen[bytes]) -> tuple[int, bytes, str]:
    """Its exit code and all it has said, once it has ended."""
    out, err = process.communicate(timeout=PATIENCE)
    return process.returncode, out, err.decode()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_prints_the_summary_and_ends_the_process_itself(number: signal.Signals) -> None:
    """A shell shows 128 and the number of the signal: 130 for ^C."""
    with (
        datagram_liar(lambda data: [data]) as server,
        sock_open("echo", f"127.0.0.1:{server.port}") as process,
    ):
        server.wait_heard(3)
        os.kill(process.pid, number)
        code, out, err = finish(process)
    assert code == -number
    assert out == b""
    assert "127.0.0.1" in err


def test_an_interrupted_run_of_json_ends_with_one_summary() -> None:
    with (
        datagram_liar(lambda data: [data]) as server,
        sock_open("echo", "-J", f"127.0.0.1:{server.port}") as process,
    ):
        server.wait_heard(3)
        os.kill(process.pid, signal.SIGINT)
        code, out, err = finish(process)
    assert (code, err) == (-signal.SIGINT, "")
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["type"] for event in events].count("summary") == 1
    assert events[-1]["type"] == "summary"
    assert events[-1]["interrupted"] is True
    assert events[-1]["hosts"][0]["counts"]["sent"] >= 3


def test_a_run_that_hangs_in_a_connection_can_be_interrupted() -> None:
    with stream_liar(stays) as server, sock_open("get", "127.0.0.1", str(server.port)) as process:
        server.wait_heard(1)
        os.kill(process.pid, signal.SIGINT)
        code, _, _ = finish(process)
    assert code == -signal.SIGINT


def test_sigquit_prints_the_summary_so_far_and_goes_on() -> None:
    with (
        datagram_liar(lambda data: [data]) as server,
        sock_open("echo", "-q", "-J", f"127.0.0.1:{server.port}") as process,
    ):
        server.wait_heard(2)
        os.kill(process.pid, signal.SIGQUIT)
        seen = len(server.heard)
        server.wait_heard(seen + 3)  # it goes on
        os.kill(process.pid, signal.SIGINT)
        code, out, _ = finish(process)
    assert code == -signal.SIGINT
    events = [json.loads(line) for line in out.splitlines()]
    assert any(event["type"] == "summary" and not event["is_final"] for event in events)
    assert [event["is_final"] for event in events if event["type"] == "summary"][-1] is True


def test_a_closed_pipe_is_no_error() -> None:
    endless = b"line\n" * 20_000

    with (
        stream_liar(*[says(endless)] * 200) as server,
        sock_open("get", "127.0.0.1", str(server.port)) as process,
    ):
        assert process.stdout is not None
        assert process.stdout.read(5) == b"line\n"
        process.stdout.close()
        process.stdout = None
        _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (0, b"")


@pytest.mark.parametrize("arguments", [["--help"], ["--version"], ["echo", "--help"]])
def test_help_that_nobody_reads_is_no_error(arguments: list[str]) -> None:
    ours, its = os.pipe()
    os.close(ours)
    with os.fdopen(its, "wb") as closed:
        done = subprocess.run(
            [SOCK, *arguments],
            stdout=closed,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize("transport", ["--udp", "--tcp"])
def test_who_reads_no_more_of_what_is_explained_ends_the_run(transport: str) -> None:
    liar = datagram_liar(lambda data: [data]) if transport == "--udp" else stream_liar(echoes)
    with (
        liar as server,
        sock_open("echo", transport, "--explain", f"127.0.0.1:{server.port}") as process,
    ):
        assert process.stderr is not None
        process.stderr.read(5)
        process.stderr.close()
        assert process.wait(PATIENCE) == 0


def test_standard_output_that_is_closed_from_the_start_is_no_traceback() -> None:
    with stream_liar(says(b"hello\n")) as server:
        argv = ["sh", "-c", f'exec "$0" get 127.0.0.1 {server.port} >&-']
        done = subprocess.run([*argv, SOCK], capture_output=True, timeout=PATIENCE * 2, check=False)
    assert b"Traceback" not in done.stderr


@pytest.mark.parametrize("option", [[], ["-J"]])
def test_a_full_disk_is_told_in_a_line_and_is_1(option: list[str]) -> None:
    with stream_liar(*[says(b"hello\n")] * 2) as server, Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [SOCK, "daytime", *option, f"127.0.0.1:{server.port}"],
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE,
            check=False,
        )
    assert (done.returncode, done.stderr) == (
        1,
        b"sock: cannot write the output: no space left on device\n",
    )


def test_a_terminal_that_goes_away_ends_it_by_its_signal() -> None:
    ours, its = pty.openpty()
    script = "import fcntl, os, sys, termios; fcntl.ioctl(0, termios.TIOCSCTTY)\n"
    script += "os.execv(sys.argv[1], sys.argv[1:])"
    with datagram_liar(lambda data: [data]) as server:
        process = subprocess.Popen(
            [sys.executable, "-c", script, SOCK, "echo", f"127.0.0.1:{server.port}"],
            stdin=its,
            stdout=its,
            stderr=its,
            start_new_session=True,
        )
        os.close(its)
        try:
            server.wait_heard(3)
            os.close(ours)
            assert process.wait(PATIENCE) == -signal.SIGHUP
        finally:
            process.kill()
            process.wait(PATIENCE)


def test_refused_is_1() -> None:
    with refusing_port() as port:
        done = sock("get", "127.0.0.1", str(port))
    assert (done.code, done.out) == (1, b"")
    assert "connection refused" in done.err


def test_a_reset_is_1() -> None:
    with stream_liar(resets) as server:
        assert sock("daytime", f"127.0.0.1:{server.port}").code == 1


def test_silence_is_3() -> None:
    with stream_liar(stays) as server:
        done = sock("daytime", "-W", "0.2", f"127.0.0.1:{server.port}")
    assert (done.code, done.out) == (3, b"")
    assert "within 0.2 s" in done.err
    with datagram_liar(lambda _: []) as quiet:
        assert sock("daytime", "--udp", "-W", "0.2", f"127.0.0.1:{quiet.port}").code == 3


def test_an_answer_that_breaks_the_protocol_is_4() -> None:
    with stream_liar(hears_end) as server:
        assert sock("time", f"127.0.0.1:{server.port}", "-W", "0.2").code in (3, 4)
    with stream_liar(says(b"12345")) as server:
        assert sock("time", f"127.0.0.1:{server.port}").code == 4


def test_a_name_that_is_not_found_is_6() -> None:
    done = sock("daytime", "nobody.invalid")
    assert done.code == 6
    assert "nobody.invalid" in done.err


def test_of_several_hosts_the_worst_code_is_the_run_s() -> None:
    with refusing_port() as port, stream_liar(says(b"now\n")) as server:
        done = sock("daytime", f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
        assert done.code == 1
        assert b"now" in done.out
        enough = sock("daytime", "--any", "1", f"127.0.0.1:{port}", f"127.0.0.1:{server.port}")
        assert enough.code == 0


def test_the_deadline_ends_what_waits() -> None:
    with datagram_liar(lambda data: [data]) as server:
        done = sock("echo", "-q", "-w", "0.5", f"127.0.0.1:{server.port}")
    assert done.code == 0


def test_monitoring_is_told_how_long_a_certificate_holds(tmp_path: Path) -> None:
    issuer = Issuer(tmp_path, trustme.CA())
    ends = datetime.now(UTC) + timedelta(days=10, hours=1)
    file = issuer.issue("127.0.0.1", not_after=ends)

    def check(*limits: str) -> Done:
        with stream_liar(says(b"now\n"), tls=(file, file)) as server:
            asked = f"127.0.0.1:{server.port}"
            # it closes without TLS's end, which these texts take for cut
            return sock("get", "--tls", "--ca", issuer.ca, "--check", *limits, *asked.split(":"))

    good, bad = check("--crit", "certificate_days=9:"), check("--crit", "certificate_days=14:")
    assert (good.code, bad.code) == (0, 2), (good, bad)
    assert b"certificate_days" in bad.out


def test_hosts_that_differ_in_their_ports_alone_are_told_apart() -> None:
    with stream_liar(says(b"one\n")) as first, stream_liar(says(b"two\n")) as second:
        asked = [f"127.0.0.1:{server.port}" for server in (first, second)]
        done = sock("daytime", *asked)
    assert set(done.out.decode().splitlines()) == {f"{asked[0]}: one", f"{asked[1]}: two"}


@pytest.mark.parametrize(
    ("options", "code"), [((), 1), (("-J",), 1), (("--check",), 3), (("--prometheus", "-"), 1)]
)
def test_a_full_disk_is_told_in_a_line(options: tuple[str, ...], code: int) -> None:
    with stream_liar(says(b"now\n")) as server, Path("/dev/full").open("wb") as full:
        argv = [SOCK, "daytime", f"127.0.0.1:{server.port}", *options]
        done = subprocess.run(
            argv, stdout=full, stderr=subprocess.PIPE, timeout=PATIENCE * 2, check=False
        )
    assert done.stderr == b"sock: cannot write the output: no space left on device\n"
    assert done.returncode == code


WAYS = (
    "factor -H 127.0.0.1:PORT",
    "wrap --tcp -H 127.0.0.1:PORT",
    "send 127.0.0.1 PORT",
    "send --udp 127.0.0.1 PORT",
)


@pytest.mark.parametrize("way", WAYS)
def test_a_standard_input_that_is_closed_is_told(way: str) -> None:
    """Nothing else has its number then, which would be read in its place."""
    with stream_liar(stays) as server:
        argv = way.replace("PORT", str(server.port))
        done = subprocess.run(
            ["sh", "-c", f'exec "$0" {argv} <&-', SOCK],
            capture_output=True,
            timeout=PATIENCE * 2,
            check=False,
        )
    assert b"cannot read standard input: bad file descriptor" in done.stderr
    assert b"Traceback" not in done.stderr
    assert (done.returncode, done.stdout) == (2, b"")


def state_of(pid: int) -> str:
    """R, S, T...: what a process does, by the letters of proc(5)."""
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


def interrupted_while_it_reads(tmp_path: Path, option: str) -> tuple[int, bytes, str]:
    """A run that gets a ^C while it reads its input, before the reactor has begun."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    with (
        sock_open("wrap", option, "--tcp", "-H", "127.0.0.1:9", pipe) as process,
        pipe.open("wb"),  # which waits until it reads
    ):
        # it sleeps nowhere else; a ^C that comes before that is seen by Python only when it wakes
        wait_until(lambda: state_of(process.pid) == "S", "it waits for its input")
        os.kill(process.pid, signal.SIGINT)
        return finish(process)


def test_a_run_of_json_has_its_summary_however_early_it_is_interrupted(tmp_path: Path) -> None:
    code, out, _ = interrupted_while_it_reads(tmp_path, "-J")
    assert code == -signal.SIGINT
    [event] = [json.loads(line) for line in out.splitlines()]
    assert (event["type"], event["command"], event["interrupted"]) == ("summary", "wrap", True)
    jsonschema.validate(event, json.loads(SCHEMA.read_text("utf-8")))


def test_monitoring_is_told_of_an_early_interrupt_as_unknown(tmp_path: Path) -> None:
    code, out, _ = interrupted_while_it_reads(tmp_path, "--check")
    assert (code, out) == (3, b"SOCK UNKNOWN - interrupted before anything was asked\n")


@pytest.mark.parametrize("command", ["daytime", "echo"])
def test_a_refusal_is_1_though_others_would_have_followed(command: str) -> None:
    with (
        refusing_port() as port,
        sock_open(command, "-i", "50ms", "-J", f"127.0.0.1:{port}") as process,
    ):
        assert process.stdout is not None
        told = map(json.loads, process.stdout)
        next(event for event in told if event.get("outcome") == "failed")
        os.kill(process.pid, signal.SIGINT)
        *_, last = told
    assert (last["interrupted"], last["exit"]) == (True, 1)


FAULTY = """
import sys, types
import click
from twisted.internet.task import deferLater
from sockd.client.asking import Asking
from sockd.client.exits import Exit
from sockd.client.main import COMMANDS, main
from sockd.client.process import run_process

def fault():
    raise ValueError("it said " + chr(27) + "]0;owned" + chr(7) + "^" + chr(0x202e))

async def raises(run):
    fault()

async def goes_on(run):
    run.reactor.callLater(0, fault)
    await deferLater(run.reactor, 0)
    await deferLater(run.reactor, 0)
    return Exit.ANSWERED

@click.command()
@click.argument("way")
@click.option("--check", is_flag=True)
def faulty(way, check):
    if way == "before":
        fault()
    return run_process({"raises": raises, "goes_on": goes_on}[way], Asking(), lambda _: None)

sys.modules["sockd.client.commands.faulty"] = types.SimpleNamespace(faulty=faulty)
COMMANDS["faulty"] = ("faulty", "raise what nobody has foreseen")
main()
"""
"""`sock` with a command whose fault has in its message what a host has sent."""
TOLD = r"it said \x1b]0;owned\x07^\u202e"


def run_faulty(*arguments: str) -> tuple[int, bytes, str]:
    """Its exit code and all it has said."""
    argv = [sys.executable, "-c", FAULTY, "faulty", *arguments]
    done = subprocess.run(argv, capture_output=True, timeout=PATIENCE * 2, check=False)
    return done.returncode, done.stdout, done.stderr.decode()


@pytest.mark.parametrize(("way", "code"), [("before", 70), ("raises", 70), ("goes_on", 0)])
def test_a_fault_of_its_own_is_told_escaped_and_asks_for_a_report(way: str, code: int) -> None:
    """One that a run survives is no exit code: whoever was asked has answered, or not."""
    got, out, err = run_faulty(way)
    assert (got, out) == (code, b"")
    trace, *lines = err.splitlines()
    assert trace.startswith("Traceback (most recent call last)")
    assert [lines[-2].removeprefix("builtins."), lines[-1]] == [f"ValueError: {TOLD}", REPORT]
    assert all(line.isprintable() for line in lines)


def test_monitoring_is_told_of_a_fault_of_its_own_in_one_line() -> None:
    code, out, err = run_faulty("before", "--check")
    assert (code, err) == (3, "")
    assert out.decode() == f"SOCK UNKNOWN - a fault of sock: ValueError: {TOLD}\n"
