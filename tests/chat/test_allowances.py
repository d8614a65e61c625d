"""How much is remembered of what addresses have had."""

from __future__ import annotations

from sockd.chat.allowances import KEPT, Allowances
from sockd.chat.members import Session, User
from sockd.formats.chat.events import Code
from tests.chat.world import MULTICAST, New, Old, World, joined, new, old, settings


def test_so_many_networks_are_remembered_and_then_the_one_that_asked_longest_ago_is_not() -> None:
    allowances = Allowances(settings())
    hosts = [f"10.{number >> 8}.{number & 255}.1" for number in range(KEPT + 1)]
    assert all(allowances.may_answer(host, 0.0) for host in hosts[:KEPT])
    assert not allowances.may_answer(hosts[0], 0.0)
    assert not allowances.may_answer(hosts[1], 0.0)
    assert allowances.may_answer(hosts[KEPT], 0.0)  # 2 makes room for it
    assert not allowances.may_answer(hosts[3], 0.0)
    assert allowances.may_answer(hosts[2], 0.0)


def test_networks_are_24_bits_of_ipv4_and_56_of_ipv6() -> None:
    allowances = Allowances(settings())
    for first, same, other in (
        ("192.0.2.1", "192.0.2.254", "192.0.3.1"),
        ("2001:db8::1", "2001:db8:0:ff::1", "2001:db8:0:100::1"),
    ):
        assert allowances.may_answer(first, 0.0)
        assert not allowances.may_answer(same, 0.0)
        assert allowances.may_answer(other, 0.0)


def test_of_new_clients_that_have_gone_so_many_are_remembered() -> None:
    allowances, world = Allowances(settings()), World()

    def user(port: int) -> User:
        session = Session(bytes(8), bytes(16), 1)
        return User(b"ada", world.place(port=port), 0.0, 0.0, session, tokens_at=0.0, tokens=5.0)

    for port in range(KEPT + 1):
        gone = user(port)
        gone.tokens = 0.0
        allowances.go(gone)
    for port, tokens in ((0, 5.0), (1, 2.0), (KEPT, 2.0)):
        back = user(port)
        allowances.come(back, 1.0)
        assert back.tokens == tokens


def test_the_port_of_groups_is_told_though_the_address_has_been_sent_all_that_it_may_be() -> None:
    world = World()
    ada = old(world, "ada")
    assert world.desk.may_send(world.rooms.at[ada.place], 64_000, world.now)
    bob = Old(world, b"bob", world.place(MULTICAST))
    assert bob.log_in() == [(Code.LOGIN_ACK, b"bob"), (Code.SET_MCAST_PORT, b"2028")]


def test_a_unix_socket_has_no_address_and_so_no_limits_of_one() -> None:
    allowances = Allowances(settings())
    assert all(allowances.may_answer("", 0.0) for _ in range(100))
    assert all(allowances.has_room("") for _ in range(100))


def test_of_ipv6_a_network_of_64_bits_counts_as_one_address_but_not_that_of_the_link() -> None:
    world = World(users_per_address=2)
    new(world, "ada", host="2001:db8::1")
    bob = new(world, "bob", host="2001:db8::2")
    late = New(world, b"late", world.place(host="2001:db8::3"))
    assert late.log_in()[-1] == (Code.ERROR, b"your address has enough users")
    new(world, "elsewhere", host="2001:db8:0:1::1")
    for number in range(1, 4):
        new(world, f"near{number}", host=f"fe80::{number}%eth0")
    bob.place = world.place(host="2001:db8:0:1::2")
    bob.log_in()
    assert late.log_in()[-1][0] == Code.OPENED


def test_who_comes_from_another_port_each_time_has_no_more_events_than_those_who_stay() -> None:
    world = World(users_per_address=10)
    heard = joined(new(world, "heard", host="192.0.2.9"), "Pets")
    for number in range(100):
        ada = new(world, f"ada{number}")
        for _ in range(3):
            ada.ask(Code.JOIN_REQ, b"Pets")
            ada.ask(Code.PART_REQ, b"Pets")
        ada.log_off()
    told = [event for event in heard.heard() if event.code == Code.USER_JOINS]
    assert len(told) <= 50  # 10 users, 5 events each
