"""What the prober counts is what the path did, datagram by datagram."""

from __future__ import annotations

import socket

import pytest
from attrs import evolve
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.measure.prober import Prober
from sockd.client.report import Counts
from sockd.formats.probe import SEQUENCES, ProbeFormat
from tests.client.relay import PATIENCE, Fate, Path, Relay, changed, foreign, seeded

TOKEN = b"session!"
WAIT = 1_000_000
"""Of a clock that only these tests move."""
FIRSTS = st.integers(0, SEQUENCES - 1) | st.integers(SEQUENCES - 60, SEQUENCES - 1)


def told(fates: list[Fate], first: int) -> tuple[Prober, Path]:
    """A prober after a run in memory, in which each probe has its fate; and the path."""
    form = ProbeFormat(TOKEN, 40)
    prober = Prober(form, WAIT, first=first)
    path = Path(lambda seq, _: fates[(seq - first) % SEQUENCES])
    now = 5
    for _ in fates:
        (data,) = prober.payloads()
        prober.sent(now)
        now += 1
        if path.forward(data):
            for answer in path.back(data):
                prober.received(answer, now)
    for answer in path.flush():
        prober.received(answer, now)
    assert prober.counts.in_flight == prober.counts.sent - prober.counts.received
    now += WAIT
    prober.expire(now)
    for answer in path.release():
        prober.received(answer, now)
    return prober, path


@given(st.lists(st.sampled_from(Fate), max_size=60), FIRSTS)
def test_whatever_becomes_of_probes_is_counted_so(fates: list[Fate], first: int) -> None:
    prober, path = told(fates, first)
    assert prober.counts == path.counts
    assert len(prober.rtt) == prober.counts.received


@pytest.mark.parametrize(
    ("fate", "expected"),
    [
        (Fate.PASS, Counts(sent=4, received=4)),
        (Fate.LOSE, Counts(sent=4, received=3, lost=1)),
        (Fate.DOUBLE, Counts(sent=4, received=4, duplicates=1)),
        (Fate.SWAP, Counts(sent=4, received=4, reordered=1)),
        (Fate.DELAY, Counts(sent=4, received=3, lost=1, late=1)),
        (Fate.DELAY_DOUBLED, Counts(sent=4, received=3, lost=1, late=1, duplicates=1)),
        (Fate.CORRUPT, Counts(sent=4, received=3, lost=1, corrupt=1)),
        (Fate.INJECT, Counts(sent=4, received=4, foreign=1)),
    ],
)
@pytest.mark.parametrize("first", [0, SEQUENCES - 2])
def test_each_fate_has_its_count(fate: Fate, expected: Counts, first: int) -> None:
    prober, _ = told([Fate.PASS, fate, Fate.PASS, Fate.PASS], first)
    assert prober.counts == evolve(expected, bytes_sent=160, bytes_received=40 * expected.received)


def test_a_plan_depends_on_its_seed_the_number_and_the_try_alone() -> None:
    plan, same, other = seeded(3), seeded(3), seeded(4)
    fates = [plan(seq, 1) for seq in range(300)]
    assert fates == [same(seq, 1) for seq in reversed(range(300))][::-1]
    assert fates != [other(seq, 1) for seq in range(300)]
    assert fates != [plan(seq, 2) for seq in range(300)]
    assert set(fates) == set(Fate)


@given(st.binary(min_size=20, max_size=80))
def test_what_the_path_changes_is_one_bit_or_the_token(data: bytes) -> None:
    number = int.from_bytes(changed(data), "big") ^ int.from_bytes(data, "big")
    assert number.bit_count() == 1
    assert changed(data)[:8] == data[:8]
    assert foreign(data)[:8] != data[:8]
    assert foreign(data)[8:] == data[8:]


class Client:
    """A prober on a socket, with a clock that the test moves: no stall of a process matters."""

    def __init__(self, sock: socket.socket, prober: Prober) -> None:
        self.sock = sock
        self.prober = prober
        self.now = 5
        self.sent = 0
        self.read = 0

    def ask(self, probes: int) -> None:
        """Send so many probes."""
        for data in self.prober.payloads(probes):
            self.prober.sent(self.now)
            self.sock.send(data)
        self.sent += probes

    def hear(self, answers: int) -> None:
        """Read until so many answers came in all."""
        self.now += 1
        batch = [(self.sock.recv(65_535), None) for _ in range(answers - self.read)]
        self.read = answers
        self.prober.received_many(batch, self.now)


@pytest.mark.parametrize("is_through_server", [False, True])
@pytest.mark.parametrize("first", [0, SEQUENCES - 200])
def test_over_a_relay_the_counts_are_the_relays_own(first: int, is_through_server: bool) -> None:
    prober = Prober(ProbeFormat(TOKEN, 64), WAIT, first=first)
    server = Relay(Path(lambda *_: Fate.PASS))
    relay = Relay(Path(seeded(11)), server.address if is_through_server else None)
    with server, relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(relay.address)
        client = Client(sock, prober)
        for _ in range(40):
            client.ask(16)
            client.hear(relay.settle(client.sent))
        client.hear(relay.flush())
        client.now += WAIT
        prober.expire(client.now)
        client.hear(relay.release())
    assert prober.counts == relay.counts
    assert prober.counts.sent == 640
    for name in ("lost", "late", "duplicates", "corrupt", "foreign", "reordered"):
        assert getattr(prober.counts, name) > 5, name


def test_a_relay_with_a_delay_lets_everything_go_by_itself() -> None:
    prober = Prober(ProbeFormat(TOKEN, 64), WAIT)
    fates = [Fate.DELAY, Fate.SWAP, Fate.PASS, Fate.DELAY, Fate.SWAP]
    relay = Relay(Path(lambda seq, _: fates[seq]), delay=0.2)
    with relay, socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(PATIENCE)
        sock.connect(relay.address)
        client = Client(sock, prober)
        client.ask(5)
        seqs = [prober.form.read(sock.recv(100))[1] for _ in range(5)]
        assert sorted(seqs) == [*range(5)]
        assert seqs.index(0) < seqs.index(3)
        # where the thread stood still, what was to be overtaken was let go before
        assert relay.counts.reordered == (seqs.index(1) > seqs.index(2))
