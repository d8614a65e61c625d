"""What decides on an address, in words; and a guard does as it is said."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.bans import make_ban
from sockd.access.limits import Limits
from sockd.access.peer import Peer
from sockd.access.prefixes import Address, Prefix, parse_prefix
from sockd.access.verdict import Verdict, judge, judge_user
from sockd.options.user import User
from tests.access.test_prefixes import SMALL_ADDRESS, small_prefixes
from tests.helpers import make_context


def limits(allow: str = "", deny: str = "", **others: object) -> Limits:
    return Limits(
        allow=tuple(parse_prefix(text) for text in allow.split()),
        deny=tuple(parse_prefix(text) for text in deny.split()),
        **others,  # type: ignore[arg-type]
    )


NETS = limits("10.0.0.0/8 10.1.2.0/24", "10.1.0.0/16")


@pytest.mark.parametrize(
    ("host", "verdict"),
    [
        ("10.2.0.1", Verdict(True, "allow", "allow 10.0.0.0/8")),
        ("10.1.9.9", Verdict(False, "deny", "deny 10.1.0.0/16", ("allow 10.0.0.0/8",))),
        (
            "::ffff:10.1.2.3",
            Verdict(True, "allow", "allow 10.1.2.0/24", ("allow 10.0.0.0/8", "deny 10.1.0.0/16")),
        ),
        ("192.0.2.1", Verdict(False, "allow", "no allow rule matches")),
        ("127.0.0.1", Verdict(False, "allow", "no allow rule matches", is_trusted=True)),
        ("224.0.0.1", Verdict(False, "source", "source is a multicast address")),
    ],
)
def test_the_rule_that_decides_is_named_and_those_that_it_stands_above(
    host: str, verdict: Verdict
) -> None:
    assert judge(NETS, host) == verdict


def test_where_no_rule_has_an_address_everybody_may_come() -> None:
    free = Verdict(True, "", "no rule has it: everybody may come")
    assert judge(limits(), "192.0.2.1") == free
    assert judge(limits(deny="10.0.0.0/8"), "192.0.2.1") == free


def test_a_ban_stands_above_every_rule() -> None:
    ban = make_ban("10.1.2.3", 0.0)
    assert judge(NETS, "10.1.2.3", ban) == Verdict(
        *(False, "ban", "ban 10.1.2.3/32"),
        ("allow 10.0.0.0/8", "allow 10.1.2.0/24", "deny 10.1.0.0/16"),
    )


def test_what_is_no_address_is_told() -> None:
    with pytest.raises(ValueError, match="expected an address"):
        judge(NETS, "10.1.2.0/24")


def test_users_of_a_unix_socket_are_judged_too() -> None:
    some = limits(allow_users=(User(5),), trusted_users=(User(6),))
    assert judge_user(some, 5) == Verdict(True, "allow_users", "allow_users has user 5")
    assert judge_user(some, 6) == Verdict(
        False, "allow_users", "allow_users: not user 6", is_trusted=True
    )
    assert judge_user(limits(), 6) == Verdict(
        True, "", "no allow_users: the mode of the socket decides"
    )


@given(st.lists(small_prefixes()), st.lists(small_prefixes()), SMALL_ADDRESS)
def test_a_guard_does_as_it_is_said(
    allow: list[Prefix], deny: list[Prefix], address: Address
) -> None:
    context = make_context("echo", allow=[*map(str, allow)], deny=[*map(str, deny)])
    verdict = judge(context.limits, str(address))
    refused = context.guard.refusal(Peer(str(address), 50_000))
    assert verdict.is_allowed == (refused is None)
    assert refused is None or str(refused) == verdict.rule
