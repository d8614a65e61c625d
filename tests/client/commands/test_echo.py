"""`sock echo`: what it counts, how it ends, over every transport."""

from __future__ import annotations

import json
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from operator import eq
from pathlib import Path as FilePath
from typing import Any

import pytest

from sockd.client.commands.echo import PerSecond
from sockd.client.report import Counts
from sockd.formats.probe import SEQUENCES, SMALLEST
from tests.client.liars import (
    Told,
    datagram_liar,
    echoes,
    hears,
    refusing_port,
    resets,
    says,
    stays,
    stream_liar,
)
from tests.client.relay import Fate, Path, Plan, Relay, seeded
from tests.client.running import Done, sock, unspoilt
from tests.processes import PATIENCE

SPOILED = 60
"""Probes whose fate is drawn; those after them pass, so that what is late comes before the end."""
PROBES = 250
WAIT = 4.0
INTERVAL = 0.02


def events(done: Done) -> list[dict[str, Any]]:
    """What a run with `-J` has told."""
    return [json.loads(line) for line in done.out.splitlines()]


def host(done: Done) -> dict[str, Any]:
    """The summary of its only host."""
    [found] = events(done)[-1]["hosts"]
    assert isinstance(found, dict)
    return found


def plan_of(seed: int, first: int) -> Plan:
    """Fates for the first probes; the very last is lost, so that the run lasts for its wait."""
    drawn = seeded(seed)

    def plan(seq: int, attempt: int) -> Fate:
        n = (seq - first) % SEQUENCES
        if n == PROBES - 1:
            return Fate.LOSE
        return drawn(seq, attempt) if n < SPOILED else Fate.PASS

    return plan


def through(seed: int, first: int) -> tuple[Done, Counts]:
    """A run through a relay, and what the relay has counted."""
    with Relay(Path(plan_of(seed, first)), delay=WAIT + 0.5) as relay:
        address = "{}:{}".format(*relay.address)
        options = [f"-c{PROBES}", f"-W{WAIT}", f"-i{INTERVAL}", f"--first={first}"]
        return sock("echo", "-J", *options, address), relay.counts


def test_what_is_reported_is_what_the_path_did() -> None:
    """Lost, doubled, reordered, late, corrupt and foreign; sequence numbers that wrap, too."""
    cases = [(1, 0), (2, SEQUENCES - 30), (3, 7), (4, SEQUENCES - 1)]
    with ThreadPoolExecutor(len(cases)) as pool:
        runs = list(pool.map(lambda case: through(*case), cases))
    for done, expected in runs:
        assert done.code == 0, done.err
        counts = host(done)["counts"]
        del counts["loss"]
        assert Counts(**counts) == expected
        outcomes = Counter(event["outcome"] for event in events(done) if event["type"] == "probe")
        assert outcomes == Counter(
            answered=expected.received,
            lost=expected.lost,
            late=expected.late,
            duplicate=expected.duplicates,
            corrupt=expected.corrupt,
            foreign=expected.foreign,
        )
    assert all(
        min(getattr(total, name) for _, total in runs) >= 0
        and max(getattr(total, name) for _, total in runs) > 0
        for name in ("lost", "late", "duplicates", "corrupt", "foreign", "reordered")
    )


def test_a_probe_is_not_sent_twice_where_it_is_measured_and_is_where_retries_are_asked_for() -> (
    None
):
    def first_tries_are_lost(seq: int, attempt: int) -> Fate:
        return Fate.LOSE if attempt == 1 and seq % 2 == 0 else Fate.PASS

    def ask(*options: str) -> tuple[int, int, int]:
        with Relay(Path(first_tries_are_lost)) as relay:
            address = "{}:{}".format(*relay.address)
            counts = host(sock("echo", "-J", "-c4", "-i0.05", "-W1", *options, address))["counts"]
        return counts["sent"], counts["received"], counts["lost"]

    for options, expected in (((), (4, 2, 2)), (("--retries", "1"), (4, 4, 0))):
        assert unspoilt(partial(ask, *options), partial(eq, expected)) == expected


def test_a_window_is_told_to_be_one() -> None:
    with Relay(Path(lambda *_: Fate.PASS)) as relay:
        done = sock("echo", "-J", "--window", "8", "-c500", "{}:{}".format(*relay.address))
        assert relay.counts.sent == 500
    found = host(done)
    assert (found["counts"]["received"], found["window"]) == (500, 8)
    assert (found["missed_slots"], found["lateness"]) == (None, None)
    assert any("closed loop" in note for note in found["notes"])
    assert not [event for event in events(done) if event["type"] == "probe"]


def test_a_schedule_tells_how_late_it_was_itself() -> None:
    with datagram_liar(lambda data: [data]) as server:
        found = host(sock("echo", "-W", "60s", "-J", "-c5", "-i0.01", f"127.0.0.1:{server.port}"))
    assert found["window"] is None
    assert found["lateness"]["count"] == 5
    assert found["missed_slots"] >= 0


def test_round_trips_are_stamped_by_the_kernel() -> None:
    with datagram_liar(lambda data: [data]) as server:
        found = host(sock("echo", "-W", "60s", "-J", "-c30", "-i0.01", f"127.0.0.1:{server.port}"))
    assert found["stamps"] in ("kernel", "mixed")  # its first stamps come a moment later
    assert found["stamps_discarded"] == 0
    assert found["rtt"]["min_ns"] > 0


def test_over_a_connection_the_kernel_s_own_round_trip_is_told() -> None:
    with stream_liar(echoes) as server:
        done = sock(
            "echo", "-W", "60s", "--tcp", "-J", "-c10", "-i0.01", f"127.0.0.1:{server.port}"
        )
    found = host(done)
    assert done.code == 0
    assert (found["counts"]["received"], found["counts"]["lost"]) == (10, 0)
    assert found["values"]["kernel_rtt_ns"] > 0
    assert found["values"]["retransmits"] in range(0, 100)
    assert found["timing"]["connect_ns"] > 0
    assert found["stamps"] == "user"


def test_probes_are_found_in_a_stream_however_it_is_cut() -> None:
    def cuts(told: Told) -> None:
        while data := told.sock.recv(7):
            told.sock.sendall(data)

    with stream_liar(cuts) as server:
        done = sock("echo", "-W", "60s", "--tcp", "-J", "-c5", "-i0.01", f"127.0.0.1:{server.port}")
    assert host(done)["counts"]["received"] == 5


@pytest.mark.parametrize("transport", ["unix", "unixgram"])
def test_socket_files_are_measured_too(transport: str, tmp_path: FilePath) -> None:
    path = tmp_path / "echo.sock"
    if transport == "unix":
        with stream_liar(echoes, path=path):
            done = sock("echo", "-W", "60s", "-J", "-c3", "-i0.01", "--unix", path)
    else:
        with datagram_liar(lambda data: [data], path=path):
            done = sock("echo", "-W", "60s", "-J", "-c3", "-i0.01", "--udp", "--unix", path)
    assert done.code == 0, done.err
    assert host(done)["counts"]["received"] == 3
    assert host(done)["transport"] == transport


def test_a_socket_file_may_be_named_from_where_one_stands(
    tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with datagram_liar(lambda data: [data], path=tmp_path / "echo.sock"):
        done = sock("echo", "-W", "60s", "-J", "-c3", "-i0.01", "--udp", "--unix", "echo.sock")
    assert host(done)["counts"]["received"] == 3


# what ends badly


def test_a_port_where_nobody_listens_is_1_and_told_by_the_network() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    done = sock("echo", "-J", "-c3", "-i0.01", "-W1", f"127.0.0.1:{port}")
    assert done.code == 1
    found = host(done)
    assert found["counts"]["failed"] == 3
    assert found["icmp"][0]["count"] == 3
    assert "port unreachable" in found["icmp"][0]["text"]
    assert "port unreachable" in found["error"]


def test_silence_is_3() -> None:
    with datagram_liar(lambda _: []) as server:
        asked = f"127.0.0.1:{server.port}"
        done = sock("echo", "-c2", "-i0.01", "-W0.2", asked)
    assert done.code == 3
    assert f"no answer from {asked} within 0.2 s" in done.err


def test_garbage_is_4() -> None:
    with datagram_liar(lambda data: [b"garbage", data[:-1]]) as server:
        done = sock("echo", "-J", "-c2", "-i0.01", "-W0.5", f"127.0.0.1:{server.port}")
    assert done.code == 4
    counts = host(done)["counts"]
    assert (counts["foreign"], counts["corrupt"], counts["lost"]) == (2, 2, 2)


def test_a_stream_of_garbage_is_4() -> None:
    with stream_liar(says(b"x" * 640), stays) as server:
        done = sock("echo", "--tcp", "-J", "-c2", "-i0.01", "-W0.5", f"127.0.0.1:{server.port}")
    assert done.code == 4


def test_a_flood_of_answers_is_counted_and_not_told_row_by_row() -> None:
    flood = 5_000
    with datagram_liar(lambda data: [*[b"garbage"] * flood, data]) as server:
        done = sock("echo", "-J", "-c1", "-W20", f"127.0.0.1:{server.port}")
    found = host(done)
    told = [event for event in events(done) if event["type"] == "probe"]
    assert found["counts"]["received"] == 1
    assert found["counts"]["foreign"] + found["own_losses"] == flood
    assert len(told) < 1_000


def test_a_flood_that_lasts_is_bounded_in_each_second() -> None:
    bound = PerSecond(2)
    assert [bound.takes(at) for at in (0, 1, 2, 10**9, 10**9 + 1, 10**9 + 2)] == [
        True,
        True,
        False,
    ] * 2


def test_a_refused_connection_is_1() -> None:
    with refusing_port() as port:
        assert sock("echo", "--tcp", "-c2", f"127.0.0.1:{port}").code == 1


def test_a_connection_that_breaks_fails_what_is_on_its_way() -> None:
    with stream_liar(hears(3 * 64), resets) as server:
        done = sock("echo", "--tcp", "-J", "-c9", "-i0.01", f"127.0.0.1:{server.port}")
    assert done.code == 1
    counts = host(done)["counts"]
    assert counts["in_flight"] == 0
    assert counts["failed"] == counts["sent"] >= 3


def test_an_answer_of_another_address_is_foreign() -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other,
        ThreadPoolExecutor(1) as pool,
    ):
        asked.bind(("127.0.0.1", 0))
        other.bind(("127.0.0.2", 0))
        asked.settimeout(PATIENCE)
        port = asked.getsockname()[1]
        run = pool.submit(sock, "echo", "-J", "-c1", "-W1", f"127.0.0.1:{port}")
        other.sendto(*asked.recvfrom(65_535))
        done = run.result()
    assert done.code == 3, "who was asked has said nothing"
    assert "127.0.0.2" in host(done)["error"]
    counts = host(done)["counts"]
    assert (counts["received"], counts["foreign"], counts["lost"]) == (0, 1, 1)


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["-s", str(SMALLEST - 1)], f"a probe has {SMALLEST} to 65507 bytes"),
        (["-s", "70000"], "20 to 65507 bytes"),
        (["--window", "8", "-i", "1"], "choose one"),
        (["-i", "0"], "--window"),
        (["-i", "0.0000001ms"], "--window"),
        (["--window", "0"], "--window"),
        (["--first", "-1"], "--first"),
        (["--udp", "--tcp"], "exclude each other"),
    ],
)
def test_what_cannot_be_measured_so_is_a_mistake(options: list[str], told: str) -> None:
    done = sock("echo", *options, "127.0.0.1:9")
    assert done.code == 2
    assert told in " ".join(done.err.split())


def test_a_connection_that_takes_nothing_has_no_probes_pile_up() -> None:
    """What would wait here beyond a bound is not sent, and the row says why."""
    with stream_liar(stays) as server:
        done = sock(
            "echo", "--tcp", "-J", "-v", "-s", "64000", "-i", "2ms", "-c", "400", "-W", "1s",
            f"127.0.0.1:{server.port}",
        )  # fmt: skip
    assert done.code == 3
    counts = events(done)[-1]["hosts"][0]["counts"]
    assert (counts["sent"], counts["received"]) == (400, 0)
    assert counts["failed"] > 0
    assert b"takes nothing more: 1048576 bytes wait to be sent" in done.out
