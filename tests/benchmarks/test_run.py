"""The runner: what it makes of peers that fail, and how it ends."""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path
from typing import Literal

import pytest

from benchmarks import processes
from benchmarks import run as runner
from benchmarks.__main__ import failed
from benchmarks.machine import pick_cores
from benchmarks.processes import Failed
from benchmarks.roster import SOCKD, Peer
from benchmarks.run import Bench, Plan, Result
from benchmarks.works import Work
from tests.benchmarks.made_up import ABSENT, OURS, result
from tests.daemons import children
from tests.processes import PATIENCE, Running, is_gone, running

# the first of them has the tools built
pytestmark = [pytest.mark.usefixtures("tools"), pytest.mark.timeout(400)]

PLANS = [Plan(1, 2, seconds, 0.0) for seconds in (0.1, 1.0, 10.0)]
"""One start, two rounds; the next where that was too short for an answer on a busy machine."""
ECHO = ("pingpong", "--connections", "2")


def measure(peer: Peer, how: Literal["load", "processor"] = "load") -> Result:
    """A peer beside sockd, at an echo."""
    work = Work("echo", "echo", "echo", ECHO, "messages/s", {peer: 1.0}, how)
    for plan in PLANS:
        found = Bench(pick_cores(), plan, {}).measure(work, lambda _: None)
        if not any(row.trouble.startswith("no answer within") for row in found.rows):
            break
    return found


def script(tmp_path: Path, text: str) -> Peer:
    """A peer in Python."""
    file = tmp_path / "peer.py"
    file.write_text(text)
    return Peer("peer", (sys.executable, str(file)))


def test_each_round_has_a_figure_of_every_peer() -> None:
    found = measure(Peer("again", SOCKD.argv))
    assert [row.trouble for row in found.rows] == ["", ""]
    assert [len(row.samples) for row in found.rows] == [2, 2]
    assert len(found.ratios(found.rows[1])) == 2


def test_a_peer_that_ends_at_once_is_named_with_what_it_said(tmp_path: Path) -> None:
    found = measure(script(tmp_path, "import sys; sys.exit('no licence')"))
    assert "no licence" in found.rows[1].trouble
    assert found.rows[0].samples


class Clock:
    """Time that passes, whenever somebody looks, once a file is there."""

    def __init__(self, file: Path) -> None:
        self.sleep = time.sleep
        self._file = file
        self._now = 0.0

    def monotonic(self) -> float:
        self._now += 10.0 * self._file.exists()
        return self._now


def test_a_peer_that_tells_no_port_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    said = tmp_path / "said"
    monkeypatch.setattr(processes, "time", Clock(said))
    monkeypatch.setattr(runner, "START_SECONDS", 1.0)
    mute = Peer("mute", ("sh", "-c", f"echo thinking >&2; echo >{said}; sleep 1000"))
    bench = Bench(pick_cores(), PLANS[0], {})
    with (
        pytest.raises(Failed, match=r"^nothing within 1 s: thinking$"),
        bench.serving("echo", mute),
    ):
        pass


def test_a_peer_that_answers_wrongly_has_no_figure(tmp_path: Path) -> None:
    text = """
import socketserver
class Wrong(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            self.request.sendall(data[::-1])
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Wrong)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
    found = measure(script(tmp_path, text))
    assert "load: " in found.rows[1].trouble
    assert found.ratios(found.rows[1]) == []


def test_what_is_measured_by_the_processor_leaves_out_the_time_in_which_a_server_waits(
    tmp_path: Path,
) -> None:
    text = """
import socketserver, time
class Slow(socketserver.BaseRequestHandler):
    def handle(self):
        while data := self.request.recv(65536):
            time.sleep(0.02)
            self.request.sendall(data)
server = socketserver.ThreadingTCPServer(("127.0.0.1", 0), Slow)
print(server.server_address[1], flush=True)
server.serve_forever()
"""
    found = measure(script(tmp_path, text), "processor")
    # two connections, a fiftieth of a second for each answer: by the clock it is at most 100
    assert found.rows[1].typical("rate") > 100


def bench_command(*arguments: str) -> list[str]:
    """The benchmark as `make` starts it."""
    return [sys.executable, "-m", "benchmarks", "--quick", *arguments]


def below(child: Running) -> list[int]:
    """The processes that it has started, once there are some, however far they are."""
    until = time.monotonic() + PATIENCE
    while not (found := children(child.pid)):
        assert time.monotonic() < until, child.text()
        time.sleep(0.001)
    return found


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_whatever_ends_it_ends_what_it_started(number: signal.Signals, tmp_path: Path) -> None:
    command = bench_command("--only", "tls-echo")
    with running(command, environment={"TMPDIR": str(tmp_path)}) as child:
        child.wait_for("load average")
        started = below(child)
        os.kill(child.pid, number)
        code = child.wait()
    assert code == (-number if number is signal.SIGKILL else 128 + number)
    assert all(is_gone(pid) for pid in started)
    if number is not signal.SIGKILL:
        assert not list(tmp_path.iterdir())


def test_a_peer_that_is_missing_is_an_error_unless_it_is_allowed() -> None:
    results = [result({OURS: [1.0], ABSENT: []})]
    assert failed(results, allow_missing=False) == [ABSENT]
    assert failed(results, allow_missing=True) == []


def test_a_peer_that_is_there_and_fails_is_an_error_in_any_case() -> None:
    there = Peer("there", (sys.executable,))
    assert failed([result({OURS: [1.0], there: []})], allow_missing=True) == [there]


def test_a_run_in_which_a_peer_is_missing_names_it_and_exits_with_1(tmp_path: Path) -> None:
    # Perl is not found where there is nothing but what the runner itself needs
    tools = tmp_path / "bin"
    tools.mkdir()
    for name in ("setpriv", "taskset"):
        (tools / name).symlink_to(Path("/usr/bin") / name)
    command = bench_command("--only", "fan-out")
    with running(command, environment={"PATH": str(tools)}) as child:
        child.wait_for("Perl did not run: needs perl", 100.0)
        assert child.wait() == 1
