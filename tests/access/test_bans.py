"""Who is banned, from when until when."""

from __future__ import annotations

import contextlib
import ipaddress
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from sockd.access.bans import MAX_NOTE, MOST_BANS, Ban, Bans, NotBanned, make_ban
from sockd.access.prefixes import Prefix, parse_prefix


def table(*prefixes: str, now: float = 0.0, seconds: float = math.inf) -> Bans:
    bans = Bans()
    bans.add(now, *(make_ban(prefix, now, seconds) for prefix in prefixes))
    return bans


def banned(bans: Bans, host: str, now: float = 0.0, scope: str = "") -> str:
    found = bans.find(host, now, scope)
    return "" if found is None else str(found.reason)


def test_nobody_comes_from_a_banned_address_or_prefix() -> None:
    bans = table("192.0.2.7", "198.51.100.0/24", "2001:db8::/32")
    assert banned(bans, "192.0.2.7") == "ban 192.0.2.7/32"
    assert banned(bans, "198.51.100.9") == "ban 198.51.100.0/24"
    assert banned(bans, "2001:db8::9") == "ban 2001:db8::/32"
    for other in ("192.0.2.8", "198.51.101.1", "2001:db9::1", "::1"):
        assert banned(bans, other) == ""


def test_an_ipv4_address_that_is_mapped_into_ipv6_is_banned_as_such() -> None:
    assert banned(table("192.0.2.0/24"), "::ffff:192.0.2.7") == "ban 192.0.2.0/24"
    assert banned(table("::ffff:192.0.2.7"), "192.0.2.7") == "ban 192.0.2.7/32"


def test_a_ban_ends_when_its_time_is_over_and_not_before() -> None:
    bans = table("192.0.2.7", now=100.0, seconds=60)
    assert banned(bans, "192.0.2.7", 159.9)
    assert not banned(bans, "192.0.2.7", 160.0)
    assert bans.every == {}


def test_a_ban_without_a_time_holds_until_it_is_taken_back() -> None:
    bans = table("192.0.2.7")
    assert banned(bans, "192.0.2.7", 1e12)
    assert bans.remove(parse_prefix("192.0.2.7")).prefix == parse_prefix("192.0.2.7/32")
    assert not banned(bans, "192.0.2.7", 1e12)


def test_a_second_ban_of_a_prefix_replaces_the_first() -> None:
    bans = table("192.0.2.7", seconds=10)
    bans.add(5.0, make_ban("192.0.2.7", 5.0, 60, note="again"))
    assert [ban.note for ban in bans.now(5.0)] == ["again"]
    assert banned(bans, "192.0.2.7", 30.0)
    assert not banned(bans, "192.0.2.7", 65.0)


def test_the_most_specific_ban_is_told() -> None:
    bans = table("192.0.0.0/16", "192.0.2.7", "192.0.2.0/24")
    assert banned(bans, "192.0.2.7") == "ban 192.0.2.7/32"
    assert banned(bans, "192.0.2.8") == "ban 192.0.2.0/24"
    assert [str(ban.prefix) for ban in bans.now(0.0)] == [
        *("192.0.0.0/16", "192.0.2.0/24", "192.0.2.7/32")
    ]


def test_a_ban_of_one_service_is_none_of_another_nor_of_all() -> None:
    bans = Bans()
    bans.add(0.0, make_ban("192.0.2.7", 0.0, scope="chat"))
    assert banned(bans, "192.0.2.7", scope="chat")
    assert not banned(bans, "192.0.2.7")
    assert not banned(bans, "192.0.2.7", scope="talk")
    with pytest.raises(NotBanned):
        bans.remove(parse_prefix("192.0.2.7"))


def test_who_takes_back_what_is_not_banned_is_told_what_bans_it() -> None:
    bans = table("192.0.2.0/24", "192.0.0.0/16")
    with pytest.raises(NotBanned) as told:
        bans.remove(parse_prefix("192.0.2.7"))
    assert str(told.value) == (
        "192.0.2.7 is not banned; it is in 192.0.2.0/24, 192.0.0.0/16, which is"
    )
    with pytest.raises(NotBanned, match=r"^192\.0\.0\.0/15 is not banned$"):
        bans.remove(parse_prefix("192.0.0.0/15"))


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("pets", "expected an address or prefix"),
        ("192.0.2.7/24", "did you mean"),
        ("0.0.0.0/0", "0.0.0.0/0 is everybody: disable the service"),
        ("::/0", "::/0 is everybody: disable the service"),
        ("::ffff:0.0.0.0/96", "0.0.0.0/0 is everybody: disable the service"),
    ],
)
def test_what_is_no_prefix_or_is_everybody_is_not_banned(text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        make_ban(text, 0.0)


@pytest.mark.parametrize("seconds", [0, 0.5, -1, math.nan])
def test_a_ban_lasts_a_second_at_least(seconds: float) -> None:
    with pytest.raises(ValueError, match="a ban lasts 1 s at least"):
        make_ban("::1", 0.0, seconds)


def test_what_a_ban_is_for_is_one_line_of_a_table() -> None:
    assert make_ban("::1", 0.0, note="x" * MAX_NOTE).note
    with pytest.raises(ValueError, match="200 characters, not 201"):
        make_ban("::1", 0.0, note="x" * (MAX_NOTE + 1))


def test_what_cannot_be_written_is_no_note() -> None:
    with pytest.raises(ValueError, match="what a ban is for is no text: "):
        make_ban("::1", 0.0, note="\ud800")


def test_there_are_so_many_bans_and_not_one_more() -> None:
    bans = Bans()
    first = int(ipaddress.ip_address("10.0.0.0"))
    every = [make_ban(str(ipaddress.ip_address(first + n)), 0.0, 60) for n in range(MOST_BANS)]
    bans.add(0.0, *every)
    with pytest.raises(ValueError, match="10000 bans at most"):
        bans.add(0.0, make_ban("192.0.2.7", 0.0), every[0])
    assert len(bans.every) == MOST_BANS
    bans.add(0.0, every[0])
    bans.add(60.0, make_ban("192.0.2.7", 60.0))  # those that are over take no place
    assert len(bans.every) == 1


SMALL = st.integers(0, 15)


def _prefix(number: int, bits: int) -> Prefix:
    return ipaddress.ip_network((0x0A000000 | number, bits), strict=False)


class Machine(RuleBasedStateMachine):
    """Bans that come, end and are taken back, beside the plainest table that there is."""

    def __init__(self) -> None:
        super().__init__()
        self.bans = Bans()
        self.model: dict[Prefix, Ban] = {}
        self.now = 0.0

    @rule(number=SMALL, bits=st.integers(28, 32), seconds=st.integers(1, 9))
    def ban(self, number: int, bits: int, seconds: int) -> None:
        made = Ban(_prefix(number, bits), self.now, self.now + seconds)
        self.bans.add(self.now, made)
        self.model[made.prefix] = made

    @rule(number=SMALL, bits=st.integers(28, 32))
    def unban(self, number: int, bits: int) -> None:
        prefix = _prefix(number, bits)
        self.bans.now(self.now)
        if prefix in self.model:
            del self.model[prefix]
            self.bans.remove(prefix)
        else:
            with pytest.raises(NotBanned):
                self.bans.remove(prefix)

    @rule(seconds=st.integers(0, 9))
    def wait(self, seconds: int) -> None:
        self.now += seconds
        self.model = {key: one for key, one in self.model.items() if one.until > self.now}

    @invariant()
    def agrees(self) -> None:
        for number in range(16):
            address = ipaddress.ip_address(0x0A000000 | number)
            holding = [prefix for prefix in self.model if address in prefix]
            closest = max(holding, key=lambda prefix: prefix.prefixlen, default=None)
            found = self.bans.find(str(address), self.now)
            assert (found and found.prefix) == closest
        assert {ban.prefix for ban in self.bans.now(self.now)} == self.model.keys()


TestBansAgreeWithThePlainestTable = Machine.TestCase


@given(st.text(max_size=30))
def test_any_text_is_a_prefix_or_a_mistake(text: str) -> None:
    with contextlib.suppress(ValueError):
        assert make_ban(text, 0.0).prefix.prefixlen
