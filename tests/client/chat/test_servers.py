"""Who has answered a hello: forged answers are dropped, and no server is told twice."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.client.chat.servers import MOST_SERVERS, Found, Server, server_of
from sockd.client.lan.proofs import chat_hello, says_chat
from sockd.formats import ports
from sockd.formats.chat.events import Code, pack, unpack
from tests.client.chat.hellos import BETA, GAMMA, PLEASE, TOKEN, asked_nonce, welcome

# answers


def test_a_welcome_to_our_hello_and_an_old_servers_error_are_answers() -> None:
    assert says_chat(TOKEN, welcome())
    assert says_chat(TOKEN, PLEASE)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x03",
        welcome(token=b"another"),
        welcome()[:-50],
        welcome().replace(b"\x03\xe81 ", b"\x03\xe82 "),  # of a version that we have not said
        pack(Code.LOGIN_ACK, b"rufus"),
        chat_hello(TOKEN),
    ],
)
def test_forged_and_malformed_answers_are_none(data: bytes) -> None:
    assert not says_chat(TOKEN, data)


@given(st.binary(max_size=300))
def test_only_an_error_can_be_made_without_our_nonce(data: bytes) -> None:
    event = unpack(data)
    assert says_chat(TOKEN, data) == (event is not None and event.code == Code.ERROR)


def test_who_has_answered_is_told_by_its_name_or_its_address() -> None:
    assert server_of("192.0.2.2", 2027, welcome()) == Server("192.0.2.2", 2027, "beta", True, BETA)
    assert str(server_of("192.0.2.2", 2027, welcome())) == "beta (192.0.2.2:2027)"
    assert server_of("192.0.2.2", 2029, PLEASE) == Server("192.0.2.2", 2029)
    assert str(server_of("fe80::2%eth0", 2029, PLEASE)) == "[fe80::2%eth0]:2029"


def test_no_name_acts_on_a_terminal() -> None:
    nonce, cookie = asked_nonce(chat_hello(TOKEN)).hex().encode(), bytes(16).hex().encode()
    text = b"1 %s %s 00000001 %s - \x1b]0;x\x07" % (nonce, BETA.hex().encode(), cookie)
    assert (
        str(server_of("192.0.2.2", 2027, pack(Code.WELCOME, text)))
        == r"\x1b]0;x\x07 (192.0.2.2:2027)"
    )


# who is who


def new(host: str, id: bytes = BETA, port: int = 2027) -> Server:
    return Server(host, port, "a name", True, id)


def found(*servers: Server, last: Server | None = None, own: Sequence[str] = ()) -> list[Server]:
    kept = Found(last, frozenset(own))
    for one in servers:
        kept.add(one)
    return kept.in_order


def test_a_server_that_answers_from_several_addresses_and_doors_is_one() -> None:
    first = new("192.0.2.2")
    again = [new("198.51.100.2"), new("fe80::2%eth0"), new("192.0.2.2", port=2029), first]
    assert found(first, *again) == [first]


def test_two_servers_are_two_though_they_have_the_same_name() -> None:
    assert found(new("192.0.2.2"), new("192.0.2.3", GAMMA)) == [
        new("192.0.2.2"),
        new("192.0.2.3", GAMMA),
    ]


def test_old_servers_are_told_apart_by_their_addresses_and_this_host_is_one() -> None:
    others = [Server("192.0.2.2", 2027), Server("192.0.2.3", 2027), Server("192.0.2.3", 2029)]
    assert found(*others, *others) == others
    own = [Server("127.0.0.1", 2027), Server("192.0.2.7", 2027), Server("::1", 2027)]
    assert found(*own, own=["192.0.2.7", "127.0.0.1"]) == own[:1]


def test_a_welcome_counts_for_more_than_an_error_from_the_same_address() -> None:
    forged, other = Server("192.0.2.2", 2027), Server("192.0.2.3", 2027)
    assert found(forged, other, new("192.0.2.2"), forged) == [new("192.0.2.2"), other]
    # it had answered from elsewhere before
    assert found(new("198.51.100.2"), forged, new("192.0.2.2")) == [new("198.51.100.2")]


def test_the_last_server_comes_first_by_its_id_or_its_address_if_it_answers() -> None:
    a, b, c = new("192.0.2.2"), new("192.0.2.3", GAMMA), Server("192.0.2.4", 2027)
    assert found(a, b, c, last=b) == [b, a, c]
    assert found(a, b, c, last=new("192.0.2.99", GAMMA)) == [b, a, c]
    assert found(a, b, c, last=c) == [c, a, b]
    assert found(a, b, c, last=Server("192.0.2.99", 2027)) == [a, b, c]


def test_no_more_servers_are_kept_than_can_be_read_but_the_last_one_always_is() -> None:
    many = [Server(f"192.0.2.{number}", 2027) for number in range(200)]
    assert found(*many) == many[:MOST_SERVERS]
    assert found(*many, last=many[150]) == [many[150], *many[:MOST_SERVERS]]


SERVERS = st.builds(
    lambda host, id, port: Server(f"192.0.2.{host}", port, "", bool(id), id),
    st.integers(1, 4),
    st.sampled_from([b"", BETA, GAMMA]),
    st.sampled_from([ports.CHAT, ports.CHAT_CONTROL]),
)


@given(st.lists(SERVERS, max_size=20), st.none() | SERVERS)
def test_nobody_is_told_twice_and_nobody_is_left_out(
    servers: list[Server], last: Server | None
) -> None:
    kept = found(*servers, last=last)
    assert set(kept) <= set(servers)
    ids = [one.id for one in kept if one.id]
    assert len(set(ids)) == len(ids)
    assert set(ids) == {one.id for one in servers if one.id}
    for one in servers:
        assert any(
            (one.id and one.id == other.id) or (one.host, one.port) == (other.host, other.port)
            for other in (*kept, *[other for other in servers if other.id])
        )
