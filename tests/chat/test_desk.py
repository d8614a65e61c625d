"""Who an event is from: log-ins of old clients, and what strangers are told."""

from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from sockd.chat.allowances import RETRY_SECONDS
from sockd.chat.legacy import GUESSES, Legacy
from sockd.chat.threshold import MOST_ERROR
from sockd.chat.words import ANSWERS
from sockd.formats.chat.events import Code, pack
from sockd.formats.chat.hello import HELLO_BYTES, Hello
from sockd.formats.chat.session import Open
from sockd.formats.chat.trailer import sign
from tests.chat.world import (
    MULTICAST,
    QUICK,
    STREAM,
    UNICAST,
    New,
    Old,
    World,
    hush,
    joined,
    new,
    old,
    settings,
)

UDP_HEADERS = 28
"""Bytes of the headers of IPv4 and UDP."""


def test_who_is_not_logged_in_is_asked_to_log_in_whatever_it_asks() -> None:
    world = World()
    ada = Old(world, b"ada", world.place())
    for code in (Code.NOTHING, Code.JOIN_REQ, Code.SEND_PUBLIC, Code.STILL_HERE, 4711):
        assert ada.ask(code, b"Pets") == [(Code.ERROR, b"please log in")]


def test_a_log_off_of_who_is_not_logged_in_is_not_answered_as_the_log_in_behind_it_is() -> None:
    world = World()
    ada = Old(world, b"ada", world.place())
    ada.log_off()
    assert ada.log_in() == [(Code.LOGIN_ACK, b"ada")]


def test_a_datagram_without_a_code_is_dropped() -> None:
    world = World()
    for data in (b"", b"\0"):
        world.send(world.place(), data)
    assert (world.boxes, world.desk.counts["short"]) == ({}, 2)


@pytest.mark.parametrize("code", sorted(ANSWERS))
def test_what_only_servers_send_is_never_answered_so_two_servers_never_talk_for_ever(
    code: int,
) -> None:
    world = World()
    world.send(world.place(), pack(code, b"please log in"))
    assert world.boxes == {}
    logged_in = old(world, "ada")  # by somebody who has forged that server's address
    assert logged_in.ask(code, b"please log in") == []


def test_the_log_in_is_acknowledged_and_again_for_the_same_name_at_the_same_address() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    assert ada.ask(Code.LOGIN_REQ, b"ada") == [(Code.LOGIN_ACK, b"ada")]
    assert ada.ask(Code.LOGIN_REQ, b"Ada") == [(Code.LOGIN_ACK, b"Ada")]
    assert bob.heard() == []
    assert [one.title for one in world.rooms.users[b"ada"].channels] == [b"Pets"]


@pytest.mark.parametrize("gate", [UNICAST, STREAM, MULTICAST], ids=lambda gate: gate.name)
def test_the_port_of_groups_is_told_strictly_after_the_log_in_by_the_multicast_door_only(
    gate: object,
) -> None:
    world = World()
    for _ in range(2):  # the answer may have been lost
        ada = Old(world, b"ada", world.place(gate, port=5000))  # type: ignore[arg-type]
        more = [(Code.SET_MCAST_PORT, b"2028")] if gate is MULTICAST else []
        assert ada.log_in() == [(Code.LOGIN_ACK, b"ada"), *more]


@pytest.mark.parametrize("gate", [UNICAST, MULTICAST], ids=lambda gate: gate.name)
def test_a_nickname_never_moves_while_its_owner_lives(gate: object) -> None:
    world = World()
    ada = old(world, "ada")
    for name in (b"ada", b"ADA"):
        thief = Old(world, name, world.place(gate))  # type: ignore[arg-type]
        assert thief.log_in() == [(Code.ERROR, b"that nickname is taken")]
    assert world.rooms.users[b"ada"].place == ada.place
    ada.log_off()
    assert thief.log_in()[0] == (Code.LOGIN_ACK, b"ADA")


def test_another_name_at_the_same_address_logs_off_who_was_there() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    hush(ada)
    assert ada.ask(Code.LOGIN_REQ, b"eve") == [(Code.LOGIN_ACK, b"eve")]
    assert bob.heard() == [(Code.USER_PARTS, b"Pets ada")]
    assert sorted(world.rooms.users) == [b"bob", b"eve"]
    assert ada.ask(Code.LOGIN_REQ, b"bob") == [(Code.ERROR, b"that nickname is taken")]
    assert sorted(world.rooms.users) == [b"bob", b"eve"]


@pytest.mark.parametrize(
    ("name", "why"),
    [
        (b"", b"a nickname is needed"),
        (b"two words", b"a nickname has letters, digits, '_' and '-' only"),
        (b"caf\xc3\xa9", b"a nickname has letters, digits, '_' and '-' only"),
        (b"x" * 33, b"a nickname has at most 32 characters"),
    ],
)
def test_a_nickname_that_is_none_is_refused_in_words(name: bytes, why: bytes) -> None:
    world = World()
    assert Old(world, name, world.place()).log_in() == [(Code.ERROR, why)]


def test_a_log_off_has_to_name_who_logs_off() -> None:
    world = World()
    ada = old(world, "ada")
    for text in (b"", b"bob"):
        assert ada.ask(Code.LOGOFF, text) == []
    assert b"ada" in world.rooms.users
    assert world.desk.counts["forged"] == 2
    ada.send(Code.LOGOFF, b"ADA\n")
    assert b"ada" not in world.rooms.users


def test_a_connection_that_ends_logs_off() -> None:
    world = World()
    ada, bob = old(world, "ada", STREAM), joined(old(world, "bob"), "Pets")
    joined(ada, "Pets")
    hush(bob)
    world.disconnect(ada.place)
    world.disconnect(ada.place)
    assert bob.heard() == [(Code.USER_PARTS, b"Pets ada")]


# old clients can prove nothing


def test_an_old_client_is_served_on_the_link_and_told_off_it_that_it_is_not() -> None:
    world = World()
    place = world.place(host="203.0.113.9")
    world.send(place, pack(Code.LOGIN_REQ, b"ada"), is_on_link=False)
    assert world.take(place) == [pack(Code.ERROR, b"not on this link: use a newer client")]
    assert world.rooms.users == {}
    world.send(place, pack(Code.LOGIN_REQ, b"ada"))
    assert world.take(place) == [pack(Code.LOGIN_ACK, b"ada")]


def test_a_forged_source_off_the_link_gets_one_error_a_minute_and_network() -> None:
    world = World()
    network = [world.place(host=f"203.0.113.{number}") for number in range(1, 101)]
    hello = Open(b"ada", bytes(16), bytes(8)).write()
    for place in network:
        for data in (
            pack(0),
            pack(Code.LOGIN_REQ, b"ada"),
            pack(Code.LIST_CHANNELS),
            hello,
            sign(pack(Code.LOGOFF), bytes(8), 1, bytes(16)),
        ):
            world.send(place, data, is_on_link=False)
    assert sum(len(world.take(place)) for place in network) == 1
    assert world.desk.counts["stranger"] == 499
    other = world.place(host="198.51.100.1")
    world.send(other, pack(0), is_on_link=False)
    assert len(world.take(other)) == 1
    world.now += RETRY_SECONDS
    world.send(network[1], pack(0), is_on_link=False)
    assert len(world.take(network[1])) == 1


def test_old_clients_everywhere_are_served_off_the_link_where_the_option_says_so() -> None:
    world = World(legacy=Legacy.EVERYWHERE)
    place = world.place(host="203.0.113.9")
    world.send(place, pack(Code.LOGIN_REQ, b"ada"), is_on_link=False)
    assert world.take(place) == [pack(Code.LOGIN_ACK, b"ada")]


def test_no_old_client_is_served_where_the_option_says_so_and_those_who_are_there_go() -> None:
    world = World()
    ada, bob = joined(old(world, "ada"), "Pets"), joined(new(world, "bob"), "Pets")
    hush(ada)
    world.apply(settings(legacy=Legacy.OFF))
    assert ada.heard() == [(Code.ERROR, b"this server needs a newer client")]
    assert bob.heard() == [(Code.USER_PARTS, b"Pets ada")]
    assert ada.log_in() == [(Code.ERROR, b"this server needs a newer client")]
    assert bob.ask(Code.SEND_PUBLIC, b"x") == [(Code.PUBLIC_MSG, b"Pets bob x")]


def test_an_old_client_is_pinned_to_the_interface_that_it_has_logged_in_by() -> None:
    world = World()
    ada = joined(old(world, "ada"), "Pets")
    for code, text in (
        (Code.SEND_PUBLIC, b"x"),
        (Code.LOGOFF, b"ada"),
        (Code.LOGIN_REQ, b"ada"),
        (Code.LOGIN_REQ, b"eve"),
    ):
        world.send(ada.place, pack(code, text), interface=3)
    assert (ada.heard(), list(world.rooms.users)) == ([], [b"ada"])
    assert world.desk.counts["interface"] == 4


def test_at_most_8_old_clients_are_at_one_address() -> None:
    world = World()
    first, *_ = [old(world, f"u{number}") for number in range(8)]
    ninth = Old(world, b"ninth", world.place())
    assert ninth.log_in() == [(Code.ERROR, b"8 old clients at your address are enough")]
    assert first.log_in() == [(Code.LOGIN_ACK, b"u0")]
    assert first.ask(Code.LOGIN_REQ, b"other") == [(Code.LOGIN_ACK, b"other")]
    old(world, "elsewhere", host="192.0.2.2")
    new(world, "newer")
    first.send(Code.LOGOFF, b"other")
    assert ninth.log_in() == [(Code.LOGIN_ACK, b"ninth")]


def test_at_most_100_users_are_at_one_address() -> None:
    world = World()
    users = [new(world, f"u{number}") for number in range(100)]
    late = New(world, b"late", world.place())
    assert late.log_in()[-1] == (Code.ERROR, b"your address has enough users")
    new(world, "elsewhere", host="192.0.2.2")
    assert users[0].log_in()  # who is here may come back
    users[0].send(Code.LOGOFF)
    assert late.log_in()[-1][0] == Code.OPENED


def test_who_moves_leaves_its_place_to_another() -> None:
    world = World(users_per_address=1)
    ada = new(world, "ada")
    ada.place = world.place(host="192.0.2.9")
    ada.log_in()
    new(world, "bob")
    again = New(world, b"cid", world.place(host="192.0.2.9"))
    assert again.log_in()[-1] == (Code.ERROR, b"your address has enough users")


def test_who_is_trusted_or_comes_by_a_unix_socket_has_no_limits_of_an_address() -> None:
    world = World()
    world.desk.threshold.allowances.trusts = lambda host: host == "127.0.0.1"
    for number in range(20):
        old(world, f"local{number}", STREAM, "")
        last = old(world, f"trusted{number}", UNICAST, "127.0.0.1")
    user = world.rooms.at[last.place]
    assert user.tokens == world.settings.burst
    assert all(world.desk.may_send(user, 60_000, world.now) for _ in range(9))


def test_an_address_has_64_kb_a_second_of_what_old_clients_at_it_are_sent() -> None:
    world = World(**QUICK)
    ada, bob = joined(old(world, "ada"), "Pets"), joined(old(world, "bob"), "Pets")
    eve = joined(new(world, "eve"), "Pets")
    world.now += 60
    hush(ada, bob, eve)
    for _ in range(100):
        eve.send(Code.SEND_PUBLIC, b"x" * 940)
    got = [data for client in (ada, bob) for data in world.take(client.place)]
    size = len(got[0])
    assert 64_000 - size < len(got) * size <= 64_000
    assert world.refused == 200 - len(got)
    assert len(eve.heard()) == 100
    world.now += 1
    eve.send(Code.SEND_PUBLIC, b"x")
    assert len(ada.heard()) == 1


def test_who_logs_in_again_and_again_has_no_more_events_than_who_stays() -> None:
    world = World()
    heard = joined(new(world, "heard"), "Pets")
    ada = Old(world, b"ada", world.place(host="192.0.2.7"))
    for _ in range(500):
        ada.log_in()
        ada.ask(Code.JOIN_REQ, b"Pets")
        ada.log_off()
    told = [event for event in heard.heard() if event.code == Code.USER_JOINS]
    assert len(told) <= 40  # 8 old clients, 5 events each


def test_a_new_client_that_logs_in_again_and_again_has_no_more_events_than_one_that_stays() -> None:
    world = World()
    heard, ada = joined(new(world, "heard"), "Pets"), new(world, "ada")
    for _ in range(100):
        ada.ask(Code.JOIN_REQ, b"Pets")
        ada.log_off()
        ada.log_in()
    assert len([event for event in heard.heard() if event.code == Code.USER_JOINS]) <= 5
    world.now += 60
    ada.log_off()
    ada.log_in()
    assert world.rooms.at[ada.place].tokens == 5


def test_a_strict_server_asks_old_clients_for_a_number_which_their_log_off_bears_too() -> None:
    world = World(is_strict=True, max_nickname=40)
    name = b"x" * 40
    ada = Old(world, name, world.place())
    [(code, text)] = ada.log_in()
    assert code == Code.ERROR
    named = text.removeprefix(b"log in as ")
    assert named.startswith(name + b"/")
    assert len(text) + 2 <= 3 * len(pack(Code.LOGIN_REQ, name))
    assert ada.ask(Code.LOGIN_REQ, named) == [(Code.LOGIN_ACK, named)]
    ada.send(Code.LOGOFF, name)
    assert name in world.rooms.users
    elsewhere = Old(world, named, world.place(port=1))
    assert elsewhere.log_in()[0].code == Code.ERROR
    ada.send(Code.LOGOFF, named)
    assert world.rooms.users == {}


def test_whoever_guesses_numbers_is_not_heard_any_more_though_right_at_last() -> None:
    world = World(is_strict=True)
    ada = Old(world, b"ada", world.place())
    named = ada.log_in()[0].text.removeprefix(b"log in as ")
    other = ada.ask(Code.LOGIN_REQ, b"bob")[0].text.removeprefix(b"log in as ")
    assert ada.ask(Code.LOGIN_REQ, named) == [(Code.LOGIN_ACK, named)]
    for number in range(GUESSES):
        ada.send(*((Code.LOGOFF, b"ada/?") if number % 2 else (Code.LOGIN_REQ, b"bob/?")))
    world.take(ada.place)
    ada.send(Code.LOGOFF, named)
    ada.send(Code.LOGIN_REQ, other)
    assert list(world.rooms.users) == [b"ada"]
    assert world.take(ada.place) == []
    # what was lost is told again to who it is
    assert ada.ask(Code.LOGIN_REQ, named) == [(Code.LOGIN_ACK, named)]


def test_old_clients_leave_half_of_the_server_to_new_ones() -> None:
    world = World(max_users=4)
    first, _ = [old(world, name) for name in ("ada", "bob")]
    third = Old(world, b"cid", world.place())
    assert third.log_in() == [(Code.ERROR, b"the server is full")]
    assert first.ask(Code.LOGIN_REQ, b"eve") == [(Code.LOGIN_ACK, b"eve")]
    new(world, "dan")
    first.send(Code.LOGOFF, b"eve")
    assert third.log_in() == [(Code.LOGIN_ACK, b"cid")]


def test_a_full_server_says_so() -> None:
    world = World(max_users=1)
    old(world, "ada")
    assert Old(world, b"bob", world.place()).log_in() == [(Code.ERROR, b"the server is full")]


def test_a_hello_is_never_shorter_than_its_answer() -> None:
    world = World()
    world.desk.name = "a-name-of-a-server" * 10
    place = world.place()
    world.send(place, Hello(bytes(8)).write(), is_on_link=False)
    [answer] = world.take(place)
    assert len(answer) <= HELLO_BYTES
    world.send(place, Hello(bytes(8)).write()[:-1])
    assert world.take(place) == [pack(Code.ERROR, b"please log in")]


CODES = st.sampled_from([0, *Code, 3, 999, 65_535])
TEXTS = st.one_of(st.binary(max_size=80), st.text("ab_/1 \n", max_size=40).map(str.encode))


@given(st.lists(st.tuples(CODES, TEXTS, st.booleans()), max_size=8), st.booleans())
@example([(Code.LOGIN_REQ, b"a", True)], False)
def test_who_has_proven_nothing_gets_at_most_three_times_what_came(
    events: list[tuple[int, bytes, bool]], is_strict: bool
) -> None:
    world = World(is_strict=is_strict)
    for code, text, is_signed in events:
        place = world.place(MULTICAST)
        data = pack(code, text)
        if is_signed:
            data = sign(data, bytes(8), 1, bytes(16))
        world.send(place, data)
        out = sum(len(one) + UDP_HEADERS for one in world.take(place))
        assert out <= 3 * (len(data) + UDP_HEADERS)


def test_the_longest_error_for_strangers_is_three_times_the_shortest_question() -> None:
    assert len(pack(Code.ERROR, b"x" * MOST_ERROR)) + UDP_HEADERS <= 3 * (2 + UDP_HEADERS)
