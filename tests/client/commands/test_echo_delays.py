"""`sock echo` tells whose delay and whose loss it is: the server's, the network's, or its own."""

from __future__ import annotations

import json
import os
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

from attrs import define, field

from sockd.client.net.sockets import RECEIVE_BUFFER
from tests.client.lan import answering
from tests.client.running import SOCK, unspoilt
from tests.processes import running, wait_until

STALL = 0.5
"""Seconds for which a server says nothing."""
PAUSE = 1.0
"""Seconds for which the client stands still."""
FLOOD = 2 * RECEIVE_BUFFER // 512
"""Datagrams that are more than a receive queue takes: the kernel doubles what was asked for, and
counts more than 512 bytes for the shortest."""


@define
class Client:
    """The process of `sock`, which its server stops and lets go on."""

    pids: list[int] = field(factory=list)

    @contextmanager
    def standing_still(self) -> Iterator[None]:
        """It does nothing while the block runs; its socket goes on to receive."""
        wait_until(lambda: self.pids, "the client to be known")
        pid = self.pids[0]
        os.kill(pid, signal.SIGSTOP)
        try:
            wait_until(lambda: _state(pid) == "T", "the client to stand still")
            yield
        finally:
            os.kill(pid, signal.SIGCONT)


def _state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text("ascii").rpartition(")")[2].split()[0]


@define
class Told:
    """What a run has told."""

    code: int
    events: list[dict[str, Any]]

    @property
    def host(self) -> dict[str, Any]:
        """The summary of its only host."""
        [found] = self.events[-1]["hosts"]
        return dict(found)

    @property
    def stalls(self) -> int:
        """Answers that took as long as the server says nothing."""
        return sum(rtt_ns >= STALL * 1e9 for rtt_ns in self.rtts_ns)

    @property
    def rtts_ns(self) -> list[int]:
        """Of what was answered, in order of the answers."""
        return [e["rtt_ns"] for e in self.events if e.get("outcome") == "answered"]


Send = Callable[[bytes], object]
Act = Callable[[Send, bytes], None]
"""What a server does with the chosen probe: it is given what sends to the client, and the probe."""


def measure(number: int, act: Act, *options: str, client: Client | None = None) -> Told:
    """A run with a server that answers at once, but for the probe of that number."""
    numbers = count()

    def answer(sock: socket.socket, data: bytes, peer: tuple[str, int]) -> None:
        if next(numbers) == number:
            act(lambda said: sock.sendto(said, peer), data)
        else:
            sock.sendto(data, peer)

    server = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    server.bind(("127.0.0.1", 0))
    asked = f"127.0.0.1:{server.getsockname()[1]}"
    with answering(server, answer), running([SOCK, "echo", "-J", *options, asked]) as child:
        if client is not None:
            client.pids.append(child.pid)
        code = child.wait()
    return Told(code, [json.loads(line) for line in child.text().splitlines()])


def passes(seconds: float) -> None:
    """So much time passes."""
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "time to pass")


def stalls(send: Send, data: bytes) -> None:
    passes(STALL)
    send(data)


# whose delay it is


def test_a_schedule_shows_a_stall_in_every_probe_that_met_it() -> None:
    host = (told := measure(20, stalls, "-i0.01", "-c100", "-W60")).host
    assert (host["counts"]["sent"], host["counts"]["received"]) == (100, 100)
    # those that were due in its first 0.4 s met what was left of it
    slow = [rtt_ns for rtt_ns in told.rtts_ns if rtt_ns >= 100_000_000]
    assert len(slow) + host["missed_slots"] >= 38
    assert host["rtt"]["percentiles"]["p99_ns"] >= STALL * 1e9 / 2
    assert host["rtt"]["max_ns"] >= STALL * 1e9


def test_a_window_shows_the_same_stall_once() -> None:
    told = unspoilt(
        lambda: measure(20, stalls, "--window=1", "-c300", "-W60", "-v"),
        lambda told: told.stalls == 1,
    )
    host = told.host
    assert host["counts"]["received"] == 300
    assert told.stalls == 1
    assert host["rtt"]["percentiles"]["p99_ns"] < STALL * 1e9 <= host["rtt"]["max_ns"]
    assert "held back the next ones" in " ".join(host["notes"])


def test_what_the_client_itself_held_up_is_in_no_round_trip() -> None:
    """It stands still for a second: an answer comes meanwhile, and is read long after."""
    slots = 0.9 * PAUSE / 0.01

    def once() -> Told:
        client = Client()

        def answers_meanwhile(send: Send, data: bytes) -> None:
            with client.standing_still():
                send(data)
                passes(PAUSE)

        return measure(20, answers_meanwhile, "-i0.01", "-c60", "-W60", client=client)

    told = unspoilt(once, lambda told: told.host["missed_slots"] >= slots)
    host = told.host
    assert (host["counts"]["sent"], host["counts"]["received"]) == (60, 60)
    assert host["missed_slots"] >= slots
    assert host["lateness"]["percentiles"]["p90_ns"] < 10_000_000
    assert told.rtts_ns[20] < PAUSE * 1e9 / 2
    [probe] = [event for event in told.events if event.get("seq") == 20]
    assert probe["stamp"] == "kernel"


# whose loss it is


def test_a_full_receive_queue_is_the_client_s_own_loss() -> None:
    client = Client()

    def floods(send: Send, data: bytes) -> None:
        with client.standing_still():
            for _ in range(FLOOD):
                send(b"")
            send(data)

    told = measure(2, floods, "-i0.05", "-c3", "-W2", client=client)
    host = told.host
    assert told.code == 0
    assert (host["counts"]["received"], host["counts"]["lost"]) == (2, 1)
    assert host["own_losses"] > 0
    assert host["own_losses"] + host["counts"]["foreign"] == FLOOD + 1
    [note] = [note for note in host["notes"] if "receive queue of this client" in note]
    assert note.startswith(f"{host['own_losses']} datagrams found the receive queue")
    assert "the network is not to blame" in note
