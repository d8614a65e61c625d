"""The bases of datagram services: what an answer may cost, faults, and answers that come later."""

from __future__ import annotations

import socket
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed

from sockd.access.state import DaemonState
from sockd.net.datagram import MAX_ANSWER, MAX_OWED, Replies
from sockd.net.sender import Sender
from sockd.reactor.wire import Datagram
from sockd.service import Kind
from tests.helpers import FOUND, LogRecorder, make_context, make_world, open_port
from tests.memory import ASKER, Loop, MemoryPort, Sent

pytestmark = pytest.mark.usefixtures("own_runtime")
HEADERS = 28
"""Bytes of IPv4 and UDP."""
KINDS = {name: kind for name, kind in FOUND.kinds.items() if kind.datagram}
LARGEST = 65_507


def questions() -> st.SearchStrategy[bytes]:
    """Datagrams of every size, of bytes that mean something to some service."""
    pieces = st.sampled_from(
        [b"a", b"\n", b"\r\n", b"\\", b"\xff", "ą".encode(), b"12: ", b"7", b" ", b"Europe/Warsaw"]
    )
    repeated = st.builds(
        lambda piece, size: (piece * size)[:LARGEST], pieces, st.integers(0, LARGEST)
    )
    return st.one_of(st.binary(max_size=600), st.lists(pieces).map(b"".join), repeated)


def promised(kind: str, size: int) -> int:
    """Bytes of the longest answer to a question of this size."""
    if kind == "chat":
        return 3 * (HEADERS + size) - HEADERS
    declared = KINDS[kind].datagram
    assert declared is not None
    return MAX_ANSWER if declared.amplifies else size


@settings(max_examples=100 * len(KINDS))
@given(st.sampled_from(sorted(KINDS)), questions())
def test_no_answer_is_longer_than_the_promise(kind: str, question: bytes) -> None:
    port = open_port(kind, make_context(kind))
    [*answers] = port.ask(question)
    assert len(answers) <= 1
    limit = promised(kind, len(question))
    assert all(len(answer) <= limit for answer in answers)
    assert port.counted["errors"] == 0


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("size", [0, 1, 2, 3, 511, 512, 513, 1400, 8193, LARGEST])
def test_bytes_out_for_bytes_in_at_the_edges(kind: str, size: int) -> None:
    for letter in (b"a", b"\\", b"\xff", b"9"):
        answers = open_port(kind, make_context(kind)).ask(letter * size)
        assert sum(map(len, answers)) <= promised(kind, size)


@pytest.mark.parametrize("kind", [name for name, one in KINDS.items() if one.datagram.amplifies])  # type: ignore[union-attr]
def test_ten_thousand_requests_of_one_network_get_thirty_answers_in_the_first_second(
    kind: str,
) -> None:
    context = make_context(kind)
    port = open_port(kind, context)
    for number in range(10_000):
        port.ask(b"7", (f"198.51.100.{number % 256}", 40_000))
        context.world.reactor.advance(0.0001)
    assert len(port.sent) <= 30
    assert sum(map(len, port.answers)) <= 30 * MAX_ANSWER
    assert len(port.ask(b"7", ("198.51.101.1", 40_000))) == 1


class Probe(Replies):
    """Does what the datagram says."""

    amplifies = True

    def __init__(self, context: Any, entrance: Any) -> None:
        super().__init__(context, entrance)
        self.pending: list[Deferred[bytes]] = []
        self.cancelled = 0

    def answer(self, data: bytes) -> bytes | Deferred[bytes] | None:
        if data == b"raise":
            raise ZeroDivisionError("by design")
        if data == b"at once":
            return succeed(b"now")
        if data == b"text":
            return "a text"  # type: ignore[return-value]
        if data == b"later":
            self.pending.append(Deferred(self.cancel))
            return self.pending[-1]
        return None if data == b"nothing" else data * 2

    def cancel(self, _: Deferred[bytes]) -> None:
        self.cancelled += 1


class Frugal(Probe):
    """The same, of a service that must not amplify."""

    amplifies = False


PROBE = Kind(name="probe", doc="Does what it is told.", datagram=Probe)
FRUGAL = Kind(name="frugal", doc="Must not amplify.", datagram=Frugal)


def probe(kind: Kind = PROBE, is_local: bool = False, **table: Any) -> MemoryPort:
    return open_port(kind, make_context(kind, **table), is_local)


def test_an_answer_goes_to_who_asked() -> None:
    port = probe()
    assert port.ask(b"ab", ("198.51.100.1", 4000)) == [b"abab"]
    assert port.sent == [Sent(b"abab", ("198.51.100.1", 4000))]


def test_none_is_no_answer_and_no_bytes_are_an_empty_datagram() -> None:
    port = probe()
    assert port.ask(b"nothing") == []
    assert port.ask(b"") == [b""]


def test_an_exception_costs_its_datagram_and_nothing_else(log: LogRecorder) -> None:
    port = probe()
    assert port.ask(b"raise") == []
    assert port.ask(b"x") == [b"xx"]
    [fault] = log.flush_faults()
    assert (fault["event"], fault["service"], str(fault["peer"])) == (
        "error",
        "probe",
        "192.0.2.7:50007",
    )
    assert port.counted["errors"] == 1


def test_an_answer_above_512_bytes_is_an_error_line_instead() -> None:
    assert probe().ask(b"x" * 257) == [b"error: the answer has more than 512 bytes\r\n"]


def test_an_answer_that_must_not_be_longer_than_its_question_is_not_sent_and_reported(
    log: LogRecorder,
) -> None:
    port = probe(FRUGAL)
    assert port.ask(b"x") == []
    assert port.counted["errors"] == 1
    [report] = log.events("failed")
    assert str(report["reason"]).endswith("was not sent: too long")


def test_a_datagram_that_is_refused_is_not_looked_at(log: LogRecorder) -> None:
    port = probe(deny=["198.51.100.0/24"])
    assert port.ask(b"raise", ("198.51.100.1", 40_000)) == []
    assert port.ask(b"raise", ("192.0.2.1", 7)) == []
    rules = [str(event["reason"]) for event in log.events("refused")]
    assert rules == ["deny 198.51.100.0/24", "source port 7 is a service's"]


def test_every_datagram_is_counted() -> None:
    port = probe(deny=["198.51.100.0/24"])
    counts = port.counted
    port.ask(b"abc")
    port.ask(b"abc", ("198.51.100.1", 40_000))
    port.ask(b"nothing")
    assert (counts["datagrams_in"], counts["bytes_in"]) == (3, 13)
    assert (counts["datagrams_out"], counts["bytes_out"], counts["refused"]) == (1, 6, 1)


def test_an_answer_that_the_network_does_not_take_is_not_counted() -> None:
    port = probe()
    port.trouble = "network is unreachable"
    assert port.ask(b"abc") == []
    assert port.counted["datagrams_out"] == 0


def batch(*questions: bytes) -> list[Datagram]:
    """What comes in one turn, each from a port of its own."""
    return [
        (data, ("198.51.100.1", 4000 + number), None, None, None, None)
        for number, data in enumerate(questions)
    ]


def test_what_comes_in_one_turn_is_answered_in_order(log: LogRecorder) -> None:
    port = probe()
    questions = batch(b"a", b"raise", b"b", b"at once", b"nothing", b"later", b"c")
    assert port.ask_at_once(*questions) == [b"aa", b"bb", b"now", b"cc"]
    assert [one.to[1] for one in port.sent] == [4000, 4002, 4003, 4006]
    later(port).pending[0].callback(b"at last")
    assert port.sent[-1] == Sent(b"at last", ("198.51.100.1", 4005))
    assert len(log.flush_faults()) == 1
    counts = port.counted
    assert (counts["datagrams_in"], counts["bytes_in"]) == (7, 27)
    assert (counts["datagrams_out"], counts["bytes_out"], counts["errors"]) == (5, 16, 1)


def test_answers_of_a_turn_that_the_network_does_not_take_are_not_counted() -> None:
    port = probe()
    port.unreachable = {("198.51.100.1", 4000), ("198.51.100.1", 4002)}
    assert port.ask_at_once(*batch(b"a", b"bb", b"ccc")) == [b"bbbb"]
    assert (port.counted["datagrams_out"], port.counted["bytes_out"]) == (1, 4)


def test_the_daemon_does_not_answer_its_own_datagrams(log: LogRecorder) -> None:
    """A client can make its name lead to a socket of the daemon's: one answer, and no loop."""
    host = make_world(state=DaemonState(own_pid=lambda: 4711))
    port = open_port(PROBE, make_context(PROBE, host), True)
    assert port.ask(b"x", pid=4711) == []
    assert port.ask(b"x", pid=4712) == [b"xx"]
    assert [str(event["reason"]) for event in log.events("refused")] == ["the peer is this daemon"]


def test_only_users_that_are_listed_may_ask_over_a_unix_socket() -> None:
    local = ["unixgram:/tmp/probe.sock"]
    port = probe(is_local=True, listen=local, allow_users=[11])
    assert port.ask(b"x", uid=11) == [b"xx"]
    assert port.ask(b"x", uid=12) == []
    assert port.ask(b"x") == []


# answers that come later


def later(port: MemoryPort) -> Probe:
    protocol = port.protocol
    assert isinstance(protocol, Probe)
    return protocol


def test_a_late_answer_leaves_from_the_address_that_was_asked() -> None:
    port = probe()
    asked = (socket.IPPROTO_IP, 8, b"12 bytes....")
    port.ask(b"later", ("198.51.100.1", 4000), asked=asked)
    later(port).pending[0].callback(b"at last")
    assert port.sent == [Sent(b"at last", ("198.51.100.1", 4000), asked)]


def test_late_answers_are_bounded_and_one_more_is_cancelled(log: LogRecorder) -> None:
    port = probe()
    for number in range(MAX_OWED + 3):
        port.ask(b"later", (f"198.51.{number}.1", 4000))
    assert later(port).cancelled == 3
    assert str(log.events("refused")[0]["reason"]) == f"{MAX_OWED} answers outstanding"
    for pending in later(port).pending[:MAX_OWED]:
        pending.callback(b"yes")
    assert len(port.sent) == MAX_OWED
    port.ask(b"later", ("198.51.200.1", 4000))
    assert later(port).cancelled == 3


def test_a_late_answer_is_as_short_as_any() -> None:
    port = probe()
    port.ask(b"later")
    later(port).pending[0].callback(b"x" * (MAX_ANSWER + 1))
    assert [sent.data for sent in port.sent] == [b"error: the answer has more than 512 bytes\r\n"]


def test_a_late_answer_that_fails_is_reported_and_costs_nothing_else(log: LogRecorder) -> None:
    port = probe()
    port.ask(b"later")
    later(port).pending[0].errback(ZeroDivisionError("by design"))
    assert port.ask(b"x") == [b"xx"]
    assert port.counted["errors"] == 1
    assert [event["service"] for event in log.flush_faults()] == ["probe"]


def test_an_answer_of_another_type_is_its_own_datagrams_fault_only(log: LogRecorder) -> None:
    port = probe()
    batch = [(data, ASKER, None, None, None, None) for data in (b"a", b"text", b"b")]
    assert port.ask_at_once(*batch) == [b"aa", b"bb"]
    port.ask(b"later")
    later(port).pending[0].callback("text")  # type: ignore[arg-type]
    assert port.ask(b"c") == [b"cc"]
    assert port.counted["errors"] == len(log.flush_faults()) == 2


def test_what_is_still_owed_when_the_port_closes_is_cancelled(log: LogRecorder) -> None:
    port = probe()
    for _ in range(3):
        port.ask(b"later", ("127.0.0.1", 4000))
    port.stopListening()
    assert later(port).cancelled == 3
    assert (port.sent, log.events("failed")) == ([], [])


# senders


class Voice(Sender):
    """Speaks when the test says so."""


VOICE = Kind(name="voice", doc="Speaks.", sender=Voice)


def voice(aim: Any = lambda port: None) -> tuple[MemoryPort, Voice]:
    context = make_context(VOICE)
    protocol = Voice(context, ("224.0.0.9", 2070), aim)
    port = MemoryPort(protocol)
    loop: Loop = context.world.reactor
    loop.ports.append(port)
    return port, protocol


def test_a_sender_is_aimed_before_each_message() -> None:
    aimed: list[object] = []
    port, protocol = voice(aimed.append)
    protocol.send(b"one")
    protocol.send(b"two")
    assert aimed == [port, port]
    assert port.sent == [Sent(b"one", ("224.0.0.9", 2070)), Sent(b"two", ("224.0.0.9", 2070))]


def test_a_network_that_is_away_is_reported_once_and_once_when_it_is_back(
    log: LogRecorder,
) -> None:
    port, protocol = voice()
    port.trouble = "network is unreachable"
    for _ in range(5):
        protocol.send(b"hello")
    port.trouble = ""
    protocol.send(b"hello")
    protocol.send(b"hello")
    whys = [str(event["reason"]) for event in log.events("failed")]
    assert whys == [
        "cannot send: network is unreachable; trying again each time",
        "sending again",
    ]
    assert protocol.context.guard.counts["datagrams_out"] == 2


def test_an_interface_that_is_gone_is_reported_as_the_network(log: LogRecorder) -> None:
    def aim(_: object) -> None:
        raise OSError(99, "Cannot assign requested address")

    port, protocol = voice(aim)
    protocol.send(b"hello")
    assert port.sent == []
    assert "Cannot assign requested address" in str(log.events("failed")[0]["reason"])


def test_what_a_sender_hears_is_dropped() -> None:
    port, protocol = voice()
    assert port.ask(b"hello", ASKER) == []
    assert protocol.context.guard.counts["datagrams_in"] == 1
