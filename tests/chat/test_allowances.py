"""How much is remembered of what addresses have had."""

from __future__ import annotations

from sockd.chat.allowances import KEPT, Allowances
from sockd.chat.members import Session, User
from tests.chat.world import World, settings


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


def test_a_unix_socket_has_no_address_and_so_no_limits_of_one() -> None:
    allowances = Allowances(settings())
    assert all(allowances.may_answer("", 0.0) for _ in range(100))
    assert all(allowances.has_room("") for _ in range(100))
