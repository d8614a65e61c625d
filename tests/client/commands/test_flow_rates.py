"""`sock chargen` and `discard` by datagrams: how many, how fast; and whose pattern it is."""

from __future__ import annotations

import json
import os
import signal
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from sockd.client.commands.flows import DISCARD_DATAGRAM, ONE_AT_A_TIME
from sockd.client.exits import Exit
from sockd.formats.chargen import MOST_DATAGRAM, PATTERN, RFC, RINGS, Ring
from tests.client.commands.site import Site, served
from tests.client.liars import datagram_liar, says, stays, stream_liar
from tests.client.running import Done, sock, sock_open
from tests.processes import PATIENCE

LATE = "60s"
DATAGRAMS = ["udp", "unixgram"]
SIZES = {"chargen": MOST_DATAGRAM, "discard": DISCARD_DATAGRAM}
COMMANDS = sorted(SIZES)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    with served(tmp_path_factory.mktemp("rates"), COMMANDS) as running:
        yield running


def host(done: Done) -> dict[str, Any]:
    """The summary of a run of one host, told as JSON."""
    found: dict[str, Any] = json.loads(done.out.splitlines()[-1])["hosts"][0]
    return found


@pytest.mark.parametrize("transport", DATAGRAMS)
@pytest.mark.parametrize("command", COMMANDS)
def test_datagrams_have_a_rate_of_their_number_and_of_their_bytes(
    site: Site, command: str, transport: str
) -> None:
    done = sock(command, *site.to(command, transport), "-W", LATE, "-c", "9", "-i", "1ms", "-J")
    found = host(done)
    assert (done.code, found["counts"]["sent"]) == (Exit.ANSWERED, 9), done.err
    assert found["datagram_rate"] > 0
    bits = found["datagram_rate"] * SIZES[command] * 8
    assert bits - 1 <= found["rate_bps"] <= bits + 1


@pytest.mark.parametrize("command", COMMANDS)
def test_a_datagram_alone_has_none(site: Site, command: str) -> None:
    found = host(sock(command, *site.to(command, "udp"), "-W", LATE, "-J"))
    assert (found["datagram_rate"], found["rate_bps"]) == (None, None)


@pytest.mark.parametrize("command", COMMANDS)
def test_they_are_counted_each_second_and_have_a_rate_when_they_are_stopped(
    site: Site, command: str
) -> None:
    way = "sent" if command == "discard" else "received"
    counts: Counter[str] = Counter()
    to, much = site.to(command, "udp"), ["-c", "1000000000", "-i", "1ms", "-W", LATE]
    with sock_open(command, *to, *much, "-J") as process:
        assert process.stdout is not None
        while counts[way] < 2:
            line = json.loads(process.stdout.readline())
            if line["type"] == "interval":
                counts.update({name: line["counts"][name] for name in (way, f"bytes_{way}")})
        os.kill(process.pid, signal.SIGINT)
        *_, last = process.stdout
        assert process.wait(PATIENCE) == -signal.SIGINT
    [found] = json.loads(last)["hosts"]
    assert found["datagram_rate"] > 0
    assert counts[way] <= found["counts"][way]
    assert counts[f"bytes_{way}"] == SIZES[command] * counts[way]


@pytest.mark.parametrize("command", COMMANDS)
def test_rates_are_told_to_people_to_monitoring_and_to_prometheus(site: Site, command: str) -> None:
    run = [command, *site.to(command, "udp"), "-W", LATE, "-c", "3", "-i", "0"]
    quiet = ["--rate"] if command == "chargen" else []
    done = sock(*run, *quiet)
    assert (done.code, done.out) == (Exit.ANSWERED, b""), done.err
    assert "3 sent" in done.err
    assert "bit/s, " in done.err
    assert " datagrams/s, " in done.err
    done = sock(*run, *quiet, "--check")
    assert b"'rate'=" in done.out
    assert b"'datagram_rate'=" in done.out
    done = sock(*run, *quiet, "--prometheus", "-")
    assert b"\nsock_rate_bytes_per_second{" in done.out
    assert b"\nsock_datagrams_per_second{" in done.out


def test_of_what_is_discarded_it_is_said_that_nobody_knows_what_has_arrived(site: Site) -> None:
    [note] = host(sock("discard", *site.to("discard", "udp"), "-c", "2", "-i", "0", "-J"))["notes"]
    assert note == "nothing comes back: this is what was sent, what has arrived is not known"


def test_of_what_is_asked_one_by_one_it_is_said_that_there_may_be_more(site: Site) -> None:
    to = site.to("chargen", "udp")
    assert (
        ONE_AT_A_TIME in host(sock("chargen", *to, "-W", LATE, "-c", "2", "-i", "0", "-J"))["notes"]
    )
    assert host(sock("chargen", *to, "-W", LATE, "-J"))["notes"] == []


# patterns


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_the_ring_of_a_stream_is_known_and_told(ring: Ring) -> None:
    with stream_liar(says(ring.pattern * 3), stays) as liar:
        to, size = f"127.0.0.1:{liar.port}", str(len(ring.pattern) * 2)
        done = sock("chargen", to, "-W", LATE, "-s", size, "-J")
    found = host(done)
    assert (done.code, found["values"]["ring"]) == (Exit.ANSWERED, ring.name), done.err
    notes = [
        note for note in found["notes"] if f"the {len(ring.characters)} of {ring.name}" in note
    ]
    assert len(notes) == (ring is not RFC)


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_a_stream_of_any_ring_is_corrupt_from_the_first_byte_that_does_not_follow(
    ring: Ring,
) -> None:
    text = ring.pattern[:3000] + b"\0" + ring.pattern[3001:]
    with stream_liar(says(text), stays) as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", LATE, "-s", "5000", "-J")
    assert (done.code, "corrupt at byte 3000 " in host(done)["error"]) == (Exit.BAD_ANSWER, True)
    assert host(done)["values"]["ring"] == ring.name


@pytest.mark.parametrize("ring", RINGS, ids=lambda ring: ring.name)
def test_the_ring_of_a_datagram_is_told_as_far_as_it_is_known(ring: Ring) -> None:
    line = len(ring.characters) - 1  # it turns after its first character
    data = ring.pattern[line * ring.line :]
    with datagram_liar(lambda _: [data]) as liar:
        done = sock("chargen", "--udp", f"127.0.0.1:{liar.port}", "-W", LATE, "-vv")
    assert (done.code, done.out) == (Exit.ANSWERED, data), done.err
    assert f", ring {ring.name}\n" in done.err
    assert ("not the 95 characters" in done.err) == (ring is not RFC)


def test_unchecked_no_ring_is_told() -> None:
    with stream_liar(says(PATTERN)) as liar:
        done = sock("chargen", f"127.0.0.1:{liar.port}", "-W", LATE, "--unchecked", "-J")
    assert "ring" not in host(done)["values"]
