import ipaddress
from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sockd.access.prefixes import (
    Address,
    Prefix,
    Rules,
    matches,
    parse_address,
    parse_prefix,
    source_key,
)

# A small world, so that prefixes and addresses meet.
SMALL_V4 = st.integers(0x0A000000, 0x0A00000F).map(IPv4Address)
SMALL_V6 = st.integers(1, 15).map(lambda low: IPv6Address(0x20010DB8 << 96 | low))
SMALL_ADDRESS = st.one_of(SMALL_V4, SMALL_V6)


@st.composite
def small_prefixes(draw: st.DrawFn) -> Prefix:
    address = draw(SMALL_ADDRESS)
    bits = address.max_prefixlen - draw(st.sampled_from([0, 1, 2, 3, 4, address.max_prefixlen]))
    return ipaddress.ip_network((address, bits), strict=False)


def rules(allow: str = "", deny: str = "") -> Rules:
    return Rules(
        tuple(parse_prefix(text) for text in allow.split()),
        tuple(parse_prefix(text) for text in deny.split()),
    )


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("::1", "::1"),
        ("fe80::1%eth0", "fe80::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("2001:DB8:0::1", "2001:db8::1"),
    ],
)
def test_an_address_is_read_without_scope_and_without_mapping(text: str, address: str) -> None:
    assert str(parse_address(text)) == address


@pytest.mark.parametrize("text", ["", "localhost", "192.0.2", "192.0.2.1%eth0", "010.0.0.1", "%"])
def test_what_is_not_an_address_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="expected an address such as"):
        parse_address(text)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        ("10.0.0.0/8", "10.0.0.0/8"),
        ("10.0.0.0/255.0.0.0", "10.0.0.0/8"),
        ("127.0.0.1", "127.0.0.1/32"),
        ("::1", "::1/128"),
        ("2001:db8::/32", "2001:db8::/32"),
        ("::/0", "::/0"),
        ("::ffff:10.0.0.0/104", "10.0.0.0/8"),
    ],
)
def test_a_prefix_is_read(text: str, prefix: str) -> None:
    assert str(parse_prefix(text)) == prefix


@pytest.mark.parametrize(
    "text", ["", "lan", "10.0.0.0/33", "10/8", "10.0.0.0/8/8", "fe80::%eth0/64", "/8", "10.0.0.0/"]
)
def test_what_is_not_a_prefix_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match=r'expected an address or prefix such as "10.0.0.0/8"'):
        parse_prefix(text)


@pytest.mark.parametrize(
    ("text", "meant"), [("10.1.2.3/8", '"10.0.0.0/8"'), ("2001:db8::1/64", '"2001:db8::/64"')]
)
def test_bits_behind_a_prefix_are_refused_with_the_prefix_that_was_meant(
    text: str, meant: str
) -> None:
    with pytest.raises(ValueError, match=f"did you mean {meant}"):
        parse_prefix(text)


def test_without_rules_everyone_may_come_in() -> None:
    assert rules().refusal("192.0.2.1") is None


def test_with_an_allow_rule_the_others_are_refused() -> None:
    lan = rules(allow="10.0.0.0/8")
    assert lan.refusal("10.1.2.3") is None
    assert str(lan.refusal("192.0.2.1")) == "no allow rule matches"
    assert str(lan.refusal("::1")) == "no allow rule matches"


def test_a_refusal_names_the_rule() -> None:
    assert str(rules(deny="10.0.0.0/8").refusal("10.1.2.3")) == "deny 10.0.0.0/8"
    assert rules(deny="10.0.0.0/8").refusal("11.1.2.3") is None


def test_the_most_specific_prefix_wins() -> None:
    some = rules(allow="0.0.0.0/0 10.1.0.0/16", deny="10.0.0.0/8 10.1.2.0/24")
    assert some.refusal("192.0.2.1") is None
    assert str(some.refusal("10.2.0.1")) == "deny 10.0.0.0/8"
    assert some.refusal("10.1.0.1") is None
    assert str(some.refusal("10.1.2.1")) == "deny 10.1.2.0/24"


def test_a_tie_is_denied() -> None:
    assert (
        str(rules(allow="10.0.0.0/8", deny="10.0.0.0/8").refusal("10.0.0.1")) == "deny 10.0.0.0/8"
    )


def test_a_mapped_address_is_judged_as_ipv4() -> None:
    some = rules(deny="10.0.0.0/8")
    assert str(some.refusal("::ffff:10.0.0.1")) == "deny 10.0.0.0/8"
    assert str(some.refusal(IPv6Address("::ffff:10.0.0.1"))) == "deny 10.0.0.0/8"


def test_rules_with_the_same_prefixes_are_equal() -> None:
    assert rules(allow="::1") == rules(allow="::1")
    assert hash(rules(allow="::1")) == hash(rules(allow="::1"))


@given(st.lists(small_prefixes()), st.lists(small_prefixes()), SMALL_ADDRESS)
def test_rules_agree_with_their_definition(
    allow: list[Prefix], deny: list[Prefix], address: Address
) -> None:
    allowed = max((prefix.prefixlen for prefix in allow if address in prefix), default=-1)
    denied = max((prefix.prefixlen for prefix in deny if address in prefix), default=-1)
    refused = denied >= allowed if (allowed, denied) != (-1, -1) else bool(allow)
    assert (Rules(tuple(allow), tuple(deny)).refusal(address) is not None) is refused


def test_matches_says_whether_any_prefix_holds_the_address() -> None:
    prefixes = (parse_prefix("127.0.0.0/8"), parse_prefix("::1"))
    assert matches(prefixes, "127.1.2.3")
    assert matches(prefixes, "::1")
    assert matches(prefixes, IPv6Address("::ffff:127.0.0.1"))
    assert not matches(prefixes, "192.0.2.1")
    assert not matches((), "::1")


@pytest.mark.parametrize(
    ("address", "key"),
    [
        ("192.0.2.77", "192.0.2.0/24"),
        ("::ffff:192.0.2.77", "192.0.2.0/24"),
        ("2001:db8:0:1ff::9", "2001:db8:0:100::/56"),
        ("fe80::1%eth0", "fe80::/56"),
    ],
)
def test_a_source_is_counted_under_its_network(address: str, key: str) -> None:
    assert source_key(address, 24, 56) == key
    assert source_key(parse_address(address), 24, 56) == key
