"""What was sent to many is answered by who says so; local peers that answer come to an end."""

from __future__ import annotations

import socket

import pytest

from sockd.net.datagram import Replies
from sockd.reactor.ancillary import AskedOfMany
from sockd.service import Kind
from tests.helpers import FOUND, LogRecorder, make_context, make_world, open_port
from tests.net.test_datagram import probe

ALONE = (socket.IPPROTO_IP, 8, bytes(12))
MANY = AskedOfMany(*ALONE)
KINDS = {name: kind.datagram for name, kind in FOUND.kinds.items() if kind.datagram}


def reasons(log: LogRecorder) -> list[str]:
    return [event["reason"].name for event in log.events("refused")]


def test_what_was_sent_to_many_is_not_answered(log: LogRecorder) -> None:
    port = probe()
    assert port.ask(b"x", asked=ALONE) == [b"xx"]
    assert port.ask(b"x", asked=MANY) == []
    assert reasons(log) == ["to_many"]


def test_it_is_where_that_is_asked_for_and_leaves_from_the_address_that_heard_it() -> None:
    port = probe(answer_broadcasts=True)
    assert port.ask(b"x", asked=MANY) == [b"xx"]
    assert port.sent[0].source == MANY


def test_a_service_can_say_that_it_is_found_so() -> None:
    class Found(Replies):
        hears_all = True

        def answer(self, data: bytes) -> bytes:
            return data

    kind = Kind(name="found", doc="Is found.", datagram=Found)
    assert open_port(kind, make_context(kind)).ask(b"x", asked=MANY) == [b"x"]


def test_the_chat_is_found_so_and_nothing_else_is() -> None:
    assert {name for name, kind in KINDS.items() if kind.hears_all} == {"chat", "discard"}
    assert {name for name, kind in KINDS.items() if not kind.answers} == {"discard"}


def test_it_spends_nobodys_budget(log: LogRecorder) -> None:
    port = probe(reply_burst=1)
    for _ in range(3):
        assert port.ask(b"x", asked=MANY) == []
    assert port.ask(b"x", asked=ALONE) == [b"xx"]
    assert port.ask(b"x", asked=ALONE) == []
    assert reasons(log) == [*["to_many"] * 3, "reply_rate"]


@pytest.mark.parametrize("name", sorted(KINDS.keys() - {"discard", "chat"}))
def test_two_services_that_were_set_on_one_another_come_to_an_end(
    name: str, log: LogRecorder
) -> None:
    """By a local name that leads to a socket of the other's. What one says the other is asked."""
    loop = make_world().reactor
    one, other = (
        open_port(name, make_context(name, make_world(reactor=loop)), True) for _ in range(2)
    )
    said, exchanges = one.ask(b"Mars", ("/run/other.sock", 0), pid=2), 0
    while said:
        exchanges += 1
        assert exchanges < 10_000, "it would go on for ever"
        loop.advance(0.0003)
        said = other.ask(said[0], ("/run/one.sock", 0), pid=1)
        one, other = other, one
    assert "local_reply_rate" in reasons(log)


def test_a_loop_spends_nobody_elses_budget() -> None:
    port = probe(is_local=True, local_reply_rate="1/s")
    answered = [len(port.ask(b"x", ("/run/other.sock", 0))) for _ in range(20)]
    assert answered == [1] * 10 + [0] * 10
    assert port.ask(b"x", ("/asker", 0)) == [b"xx"]


def test_who_had_the_same_name_before_spends_nobody_elses_budget() -> None:
    """A socket keeps the name that it was bound to, though its file has gone elsewhere since."""
    port = probe(is_local=True, local_reply_rate="1/s")
    assert sum(len(port.ask(b"x", uid=1001)) for _ in range(20)) == 10
    assert port.ask(b"x", uid=1000) == [b"xx"]


def test_who_asks_no_faster_than_the_rate_is_always_answered() -> None:
    port = probe(is_local=True, local_reply_rate="1/s")
    loop = port.protocol.context.world.reactor  # type: ignore[attr-defined]
    for _ in range(50):
        assert port.ask(b"x") == [b"xx"]
        loop.advance(1)


def test_the_budget_of_local_names_can_be_off() -> None:
    port = probe(is_local=True, local_reply_rate="off")
    assert sum(len(port.ask(b"x")) for _ in range(5_000)) == 5_000


def test_a_service_that_never_answers_has_no_budget() -> None:
    port = open_port("discard", make_context("discard"), True)
    for _ in range(5_000):
        port.ask(b"x")
    assert port.counted["refused"] == 0


def test_a_peer_by_the_name_of_a_socket_of_ours_is_not_answered(log: LogRecorder) -> None:
    """It has bound that name where our name is another one: the answer would come to us."""
    port = probe(is_local=True)
    state = port.protocol.context.world.state  # type: ignore[attr-defined]
    state.open_local_name("/run/sockd/localtime.sock")
    state.open_local_name("/run/sockd/localtime.sock")
    state.close_local_name("/run/sockd/localtime.sock")
    assert port.ask(b"x", ("/run/sockd/localtime.sock", 0), pid=4711) == []
    assert reasons(log) == ["own_name"]
    state.close_local_name("/run/sockd/localtime.sock")
    assert port.ask(b"x", ("/run/sockd/localtime.sock", 0), pid=4711) == [b"xx"]
